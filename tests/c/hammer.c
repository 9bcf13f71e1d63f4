/* Threads that use the library at random, and release each other's replies.
 *
 *     hammer ROUNDS */
#include "check.h"
#include <pthread.h>

enum { THREADS = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *mailbox[THREADS];
static int rounds;

/* Leaves a reply for whoever comes next, and takes the one that lay there. */
static char *exchange(int place, char *reply)
{
    char *other;
    CHECK(pthread_mutex_lock(&lock) == 0);
    other = mailbox[place];
    mailbox[place] = reply;
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return other;
}

static void read_other(char *reply)
{
    if (reply)
        CHECK(says(reply, "{\"status\":\"ok\",\"output\":"));
}

/* Everybody calls the shared executor, and an own one that is opened and closed again. */
static void *one_thread(void *number)
{
    static const char shared[] = "{\"executor\":\"shared\",\"runtime\":\"passthrough\",\"input\":{\"context\":\"shared\"}}";
    char own[100], call[200], closed[100], answer[100];
    int i, thread = *(int *)number;
    for (i = 0; i < rounds; i++) {
        sprintf(own, "{\"id\":\"own-%d\",\"cache_dir\":null}", thread);
        sprintf(call, "{\"executor\":\"own-%d\",\"runtime\":\"passthrough\",\"input\":{\"context\":[%d,%d]}}", thread, thread, i);
        sprintf(answer, "{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":[%d,%d]}}", thread, i);
        sprintf(closed, "{\"executor\":\"own-%d\"}", thread);
        read_other(exchange(i % THREADS, arawn_executor_new(own)));
        CHECK(says(arawn_execute_runtime(call), answer));
        read_other(exchange((i + thread) % THREADS, arawn_execute_runtime(shared)));
        read_other(exchange((i + 1) % THREADS, arawn_stats(closed)));
        read_other(exchange((i + 2) % THREADS, arawn_catalog_list("{\"executor\":\"shared\"}")));
        read_other(exchange((i + thread) % THREADS, arawn_executor_close(closed)));
        CHECK(says(arawn_execute_runtime(call), "\"code\":\"unknown_executor\""));
        CHECK(says(arawn_execute_runtime("{"), "\"code\":\"invalid_json\""));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS];
    int numbers[THREADS], i;
    CHECK(argc == 2);
    rounds = atoi(argv[1]);
    CHECK(says(arawn_configure("{\"pool_slots\":3}"), "\"status\":\"ok\""));
    CHECK(says(arawn_executor_new("{\"id\":\"shared\",\"cache_dir\":null}"), "\"status\":\"ok\""));
    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&thread[i], NULL, one_thread, &numbers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    for (i = 0; i < THREADS; i++)
        read_other(exchange(i, NULL));
    CHECK(says(arawn_stats("{}"), "\"executors\":1,"));
    CHECK(says(arawn_stats("{}"), "\"slots_in_use\":0,"));
    puts("done");
    return 0;
}
