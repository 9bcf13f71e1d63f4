/* Linked to the programs of tests/languages/sanitizers.rs: with PROVE set, does before main what a sanitizer must not let pass. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int shared;

/* Relaxed, so that it puts the two accesses one after the other and not, for the sanitizer, in an order: it may miss such as are
 * at the very same moment. */
static int written;

static void *writes(void *unused)
{
    shared++;
    __atomic_store_n(&written, 1, __ATOMIC_RELAXED);
    return unused;
}

__attribute__((constructor)) static void prove(void)
{
    const char *fault = getenv("PROVE");
    volatile int number = 0x7fffffff;
    char *volatile text;
    pthread_t thread;
    if (!fault)
        return;
    if (strcmp(fault, "address") == 0) {
        text = malloc(1);
        free(text);
        number = text[0];
    } else if (strcmp(fault, "leak") == 0) {
        text = malloc(1);
        text = NULL;
    } else if (strcmp(fault, "undefined") == 0) {
        number = number + 1;
    } else if (pthread_create(&thread, NULL, writes, NULL) == 0) {
        while (!__atomic_load_n(&written, __ATOMIC_RELAXED))
            ;
        shared++;
        pthread_join(thread, NULL);
    }
    exit(number == 0);
}
