/* Makes warm calls, for those who count what one takes.
 *
 *     warm_call CACHE_DIR BYTES COUNT [RUNTIMES_DIR RELOAD]
 *
 * The runtime is `passthrough`, or `own` of the catalog in RUNTIMES_DIR, whose executor has the JSON RELOAD for `reload`.
 * The input has BYTES bytes. COUNT calls are made after a hundred that are not counted, between two `getppid`, which nothing
 * else calls; it prints how often they asked for memory. */
#define _GNU_SOURCE
#include "allocations.h"
#include "check.h"
#include <unistd.h>

static void call(const char *request)
{
    char *reply = arawn_execute_runtime(request);
    CHECK(strncmp(reply, "{\"status\":\"ok\"", 14) == 0);
    arawn_free(reply);
}

int main(int argc, char **argv)
{
    char before[100], config[8400], *request;
    size_t bytes;
    int i, count;
    CHECK(argc == 4 || argc == 6);
    bytes = (size_t)atol(argv[2]);
    count = atoi(argv[3]);
    sprintf(before, "{\"executor\":\"e\",\"runtime\":\"%s\",\"input\":{\"context\":{\"text\":\"",
            argc == 4 ? "passthrough" : "own");
    request = malloc(strlen(before) + bytes + 10);
    /* Around it is `{"config":{},"context":{"text":""}}`. */
    CHECK(request && bytes >= 35);
    strcpy(request, before);
    memset(request + strlen(before), 'x', bytes - 35);
    strcpy(request + strlen(before) + bytes - 35, "\"}}}");
    if (argc == 4)
        sprintf(config, "{\"id\":\"e\",\"cache_dir\":\"%.4000s\"}", argv[1]);
    else
        sprintf(config, "{\"id\":\"e\",\"cache_dir\":\"%.4000s\",\"runtimes_dir\":\"%.4000s\",\"reload\":%.100s}", argv[1],
                argv[4], argv[5]);
    CHECK(says(arawn_configure("{\"pool_slots\":1}"), "\"status\":\"ok\""));
    CHECK(says(arawn_executor_new(config), "\"status\":\"ok\""));
    for (i = 0; i < 100; i++)
        call(request);
    allocations = 0;
    getppid();
    for (i = 0; i < count; i++)
        call(request);
    getppid();
    printf("%lu\n", allocations);
    CHECK(says(arawn_executor_close("{\"executor\":\"e\"}"), "\"status\":\"ok\""));
    free(request);
    return 0;
}
