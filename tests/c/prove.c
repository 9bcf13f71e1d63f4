/* Linked to the programs of tests/sanitizers.rs: with PROVE set, does before main what a sanitizer must not let pass. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int shared;

/* Often enough that the sanitizer, which may miss two accesses at the very same moment, sees some. */
static void *writes(void *unused)
{
    int i;
    for (i = 0; i < 10000; i++)
        shared++;
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
    } else if (strcmp(fault, "undefined") == 0) {
        number = number + 1;
    } else if (pthread_create(&thread, NULL, writes, NULL) == 0) {
        writes(NULL);
        pthread_join(thread, NULL);
    }
    exit(number == 0);
}
