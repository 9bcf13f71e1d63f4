/* One slot, held by a guest that loops; meanwhile one call waits 100 ms for it, and then one waits until it is free. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <time.h>

static void *holder(void *unused)
{
    (void)unused;
    return arawn_execute_runtime("{\"executor\":\"o\",\"runtime\":\"loop\",\"job\":\"hold\"}");
}

/* Frees the slot while the main thread waits for it. */
static void *freer(void *unused)
{
    struct timespec a_while = {0, 200 * 1000 * 1000};
    (void)unused;
    nanosleep(&a_while, NULL);
    CHECK(says(arawn_cancel("{\"executor\":\"o\",\"job\":\"hold\"}"), "\"status\":\"ok\""));
    return NULL;
}

int main(int argc, char **argv)
{
    static const char wanted[] = "{\"executor\":\"o\",\"runtime\":\"passthrough\",\"limits\":{\"timeout_ms\":100}}";
    static const char patient[] = "{\"executor\":\"o\",\"runtime\":\"passthrough\"}";
    char config[4096];
    char *reply;
    void *held;
    pthread_t thread, other;
    CHECK(argc == 2);
    CHECK(says(arawn_configure("{\"pool_slots\":1}"), "\"status\":\"ok\""));
    sprintf(config, "{\"id\":\"o\",\"cache_dir\":null,\"runtimes_dir\":\"%.4000s\"}", argv[1]);
    CHECK(says(arawn_executor_new(config), "\"status\":\"ok\""));
    CHECK(says(arawn_execute_runtime(patient), "\"status\":\"ok\""));
    CHECK(pthread_create(&thread, NULL, holder, NULL) == 0);
    for (;;) {
        reply = arawn_stats("{}");
        held = strstr(reply, "\"slots_in_use\":1");
        arawn_free(reply);
        if (held)
            break;
    }
    reply = arawn_execute_runtime(wanted);
    puts(reply);
    arawn_free(reply);
    CHECK(pthread_create(&other, NULL, freer, NULL) == 0);
    reply = arawn_execute_runtime(patient);
    puts(reply);
    arawn_free(reply);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(pthread_join(thread, &held) == 0);
    puts(held);
    arawn_free(held);
    return 0;
}
