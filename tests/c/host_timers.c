/* Timers of the host that fire a thousand times a second during calls, loads and writes to the disk cache: no system
 * call of the library's takes an interruption for a failure, and none of its threads runs a handler of the host's.
 *
 *     host_timers DIRECTORY CACHE */
#define _GNU_SOURCE
#include "faults.h"
#include <sys/time.h>
#include <unistd.h>

enum { THREADS = 4, CALLS = 500, SIGNALS_WANTED = 50 };

static int fired, strangers;
static __thread int is_the_hosts;

/* Not instrumented: the thread sanitizer runs handlers that wait at the next atomic, also at one in a handler that it runs
 * for that reason, and afterwards leaves every signal blocked, so that the next trap kills the process (sanitizers#1855,
 * mended in LLVM 21). */
__attribute__((no_sanitize_thread)) static void on_timer(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    __atomic_add_fetch(&fired, 1, __ATOMIC_RELAXED);
    if (!is_the_hosts)
        __atomic_add_fetch(&strangers, 1, __ATOMIC_RELAXED);
}

static const char *directory, *cache;
static sigset_t timers;

/* Executors come and go, so that catalogs are read and modules loaded from disk all the time. */
static void *one_thread(void *number)
{
    char config[9000], request[200], close[100], expected_text[40];
    unsigned long long before;
    sigset_t one;
    int call, own = *(int *)number;
    is_the_hosts = 1;
    CHECK(pthread_sigmask(SIG_UNBLOCK, &timers, NULL) == 0);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &one, NULL) == 0);
    before = blocked();
    sprintf(config, "{\"id\":\"t%d\",\"cache_dir\":\"%.4000s\",\"runtimes_dir\":\"%.4000s\"}", own, cache, directory);
    sprintf(request, "{\"executor\":\"t%d\",\"runtime\":\"passthrough\",\"input\":{\"context\":[%d]}}", own, own);
    sprintf(expected_text, "\"context\":[%d]", own);
    sprintf(close, "{\"executor\":\"t%d\"}", own);
    for (call = 0; call < CALLS || __atomic_load_n(&fired, __ATOMIC_RELAXED) < SIGNALS_WANTED; call++) {
        if (call % 50 == 0)
            CHECK(says(arawn_executor_new(config), "\"status\":\"ok\""));
        CHECK(says(arawn_execute_runtime(request), expected_text));
        if (call % 10 == 0)
            traps();
        if (call % 50 == 49)
            CHECK(says(arawn_executor_close(close), "\"status\":\"ok\""));
    }
    CHECK(blocked() == before);
    return NULL;
}

int main(int argc, char **argv)
{
    struct itimerval every = {{0, 1000}, {0, 1000}};
    struct timespec still = {0, 50000000};
    pthread_t thread[THREADS];
    int numbers[THREADS], i;
    CHECK(argc == 3);
    is_the_hosts = 1;
    directory = argv[1];
    cache = argv[2];
    install(SIGALRM, on_timer, 0, NULL);
    install(SIGPROF, on_timer, 0, NULL);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0 && setitimer(ITIMER_PROF, &every, NULL) == 0);
    open_executor(directory);
    /* From here on the main thread blocks them; the others do until they are marked. */
    sigemptyset(&timers);
    sigaddset(&timers, SIGALRM);
    sigaddset(&timers, SIGPROF);
    CHECK(pthread_sigmask(SIG_BLOCK, &timers, NULL) == 0);
    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&thread[i], NULL, one_thread, &numbers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    /* A signal that every thread of the host blocks is nobody's until the host waits for it. */
    works();
    nanosleep(&still, NULL);
    CHECK(sigwait(&timers, &i) == 0);
    printf("handlers run on threads of the library: %d\n", strangers);
    return 0;
}
