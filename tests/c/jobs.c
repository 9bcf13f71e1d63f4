/* Submits calls and polls, cancels and closes them in every order; nothing is left of any. Linux: /proc.
 *
 *     jobs RUNTIMES_DIR COUNT
 *
 * The directory has a runtime `loop` that never ends. With COUNT_MEMORY defined, memory is counted too: a sanitizer has an
 * allocator of its own. */
#ifdef COUNT_MEMORY
#include "allocations.h"
#endif
#include "check.h"
#include <dirent.h>
#include <pthread.h>

static char open_request[4096];
static int count;

static void open_executor(void)
{
    CHECK(says(arawn_executor_new(open_request), "\"status\":\"ok\""));
}

static void close_executor(void)
{
    CHECK(says(arawn_executor_close("{\"executor\":\"j\"}"), "\"status\":\"ok\""));
}

static void submit(int job, const char *runtime)
{
    char request[200], answer[100];
    sprintf(request, "{\"executor\":\"j\",\"runtime\":\"%s\",\"job\":\"%d\",\"input\":{\"context\":%d}}", runtime, job, job);
    sprintf(answer, "{\"status\":\"ok\",\"output\":{\"job\":\"%d\"}}", job);
    CHECK(says(arawn_submit(request), answer));
}

/* A job that has ended already cannot be cancelled. */
static void cancel(int job)
{
    char request[100];
    char *reply;
    sprintf(request, "{\"executor\":\"j\",\"job\":\"%d\"}", job);
    reply = arawn_cancel(request);
    CHECK(strstr(reply, "\"status\":\"ok\"") || strstr(reply, "\"code\":\"unknown_job\""));
    arawn_free(reply);
}

static int occurrences(const char *text, const char *of)
{
    int found = 0;
    while ((text = strstr(text, of)) != NULL) {
        found++;
        text++;
    }
    return found;
}

/* Polls all until `expected` jobs have ended, each an answer or a cancelled one; how many were cancelled. */
static int drain(int expected)
{
    int cancelled = 0;
    while (expected > 0) {
        char *reply = arawn_poll("{\"executor\":\"j\",\"wait_ms\":60000}");
        int ended = occurrences(reply, "\"reply\":"), stopped = occurrences(reply, "\"code\":\"cancelled\"");
        CHECK(ended > 0);
        CHECK(occurrences(reply, "\"reply\":{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":") + stopped == ended);
        cancelled += stopped;
        expected -= ended;
        arawn_free(reply);
    }
    CHECK(expected == 0);
    return cancelled;
}

static void polled_one_by_one(void)
{
    int i;
    for (i = 0; i < count; i++)
        submit(i, "passthrough");
    for (i = count - 1; i >= 0; i--) {
        char request[100], answer[200];
        sprintf(request, "{\"executor\":\"j\",\"job\":\"%d\",\"wait_ms\":60000}", i);
        sprintf(answer, "{\"job\":\"%d\",\"state\":\"finished\",\"reply\":{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":%d}}}", i, i);
        CHECK(says(arawn_poll(request), answer));
    }
}

static void cancelled_from_the_end(void)
{
    int i;
    for (i = 0; i < count; i++)
        submit(i, i % 100 == 0 ? "loop" : "passthrough");
    for (i = count - 1; i >= 0; i--)
        if (i % 100 == 0 || i % 3 == 0)
            cancel(i);
    CHECK(drain(count) >= (count + 99) / 100);
}

static void closed_with_everything_in_it(void)
{
    int i;
    for (i = 0; i < count; i++)
        submit(i, i % 100 == 50 ? "loop" : "passthrough");
    for (i = 50; i < count; i += 100)
        cancel(i);
    arawn_free(arawn_poll("{\"executor\":\"j\"}"));
    close_executor();
    open_executor();
}

static void *submitter(void *number)
{
    int i;
    for (i = *(int *)number; i < count; i += 4) {
        submit(i, "passthrough");
        if (i % 7 == 0)
            cancel(i);
    }
    return NULL;
}

static void from_many_threads(void)
{
    pthread_t thread[4];
    int number[4], i;
    for (i = 0; i < 4; i++) {
        number[i] = i;
        CHECK(pthread_create(&thread[i], NULL, submitter, &number[i]) == 0);
    }
    drain(count);
    for (i = 0; i < 4; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

static void all_is_quiet(void)
{
    static const char none[] = "\"queued\":0,\"running\":0,\"unpolled\":0";
    for (;;) {
        char *reply = arawn_stats("{}");
        int quiet = strstr(reply, none) && strstr(reply, "\"slots_in_use\":0");
        arawn_free(reply);
        if (quiet)
            return;
    }
}

#ifdef COUNT_MEMORY
/* Memories and stacks of guests are mapped, and not asked of the allocator. */
static int mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int letter, lines = 0;
    CHECK(maps != NULL);
    while ((letter = getc(maps)) != EOF)
        lines += letter == '\n';
    fclose(maps);
    return lines;
}
#endif

static int entries(const char *directory)
{
    DIR *entries = opendir(directory);
    int found = 0;
    CHECK(entries != NULL);
    while (readdir(entries))
        found++;
    closedir(entries);
    return found;
}

int main(int argc, char **argv)
{
    int round, descriptors = 0, threads = 0;
#ifdef COUNT_MEMORY
    long blocks = 0, bytes = 0;
    int maps = 0;
#endif
    CHECK(argc == 3);
    count = atoi(argv[2]);
    sprintf(open_request, "{\"id\":\"j\",\"cache_dir\":null,\"runtimes_dir\":\"%.4000s\"}", argv[1]);
    CHECK(says(arawn_configure("{\"pool_slots\":16,\"queue\":10000}"), "\"queue\":10000"));
    open_executor();
    CHECK(says(arawn_execute_runtime("{\"executor\":\"j\",\"runtime\":\"loop\",\"limits\":{\"timeout_ms\":500}}"), "timeout"));
    for (round = 0; round < 4; round++) {
        polled_one_by_one();
        cancelled_from_the_end();
        closed_with_everything_in_it();
        from_many_threads();
        all_is_quiet();
        if (round == 1) {
            descriptors = entries("/proc/self/fd");
            threads = entries("/proc/self/task");
#ifdef COUNT_MEMORY
            blocks = live_blocks;
            bytes = live_bytes;
            maps = mappings();
#endif
        }
    }
    CHECK(entries("/proc/self/fd") == descriptors);
    /* Threads for loading modules end when they have had nothing to do. */
    CHECK(entries("/proc/self/task") <= threads);
#ifdef COUNT_MEMORY
    /* A worker may still release what it last had. Of large buffers, 8 MiB are kept for later calls. */
    fprintf(stderr, "after two rounds %ld blocks of %ld bytes and %d mappings, ", blocks, bytes, maps);
    fprintf(stderr, "after four %ld of %ld and %d\n", live_blocks, live_bytes, mappings());
    CHECK(live_blocks < blocks + 100);
    CHECK(live_bytes < bytes + (9 << 20));
    /* The allocator maps some too. */
    CHECK(mappings() < maps + 16);
#endif
    close_executor();
    puts("done");
    return 0;
}
