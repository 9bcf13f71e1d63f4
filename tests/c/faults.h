/* What the tests of signals share: faults of the host's own that its handler recovers from, and guests that trap. The
 * includer defines _GNU_SOURCE. */
#ifndef FAULTS_H
#define FAULTS_H

#include "check.h"
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

static __thread sigjmp_buf recovery;
/* The signal that this thread is about to raise itself; 0 for none. */
static __thread volatile sig_atomic_t expected;

/* What a handler calls first: does not return if the fault is the host's. */
static inline void recover(int number)
{
    if (number == expected) {
        expected = 0;
        siglongjmp(recovery, 1);
    }
}

/* Whether a fault of the host's own reaches its handler. */
static inline int recovers(int number, void (*fault)(void))
{
    if (sigsetjmp(recovery, 1) != 0)
        return 1;
    expected = number;
    fault();
    expected = 0;
    return 0;
}

static inline void install(int number, void (*handler)(int, siginfo_t *, void *), int flags, struct sigaction *previous)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | flags;
    CHECK(sigaction(number, &action, previous) == 0);
}

/* The signals that this thread blocks, as bits. */
static inline unsigned long long blocked(void)
{
    unsigned long long bits = 0;
    sigset_t set;
    int number;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
    for (number = 1; number < 64; number++)
        bits |= (unsigned long long)(sigismember(&set, number) == 1) << number;
    return bits;
}

static inline void open_executor(const char *directory)
{
    char config[4200];
    sprintf(config, "{\"id\":\"h\",\"cache_dir\":null,\"runtimes_dir\":\"%.4000s\"}", directory);
    CHECK(says(arawn_executor_new(config), "\"status\":\"ok\""));
}

static inline void works(void)
{
    CHECK(says(arawn_execute_runtime("{\"executor\":\"h\",\"runtime\":\"passthrough\"}"),
               "{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":{}}}"));
}

/* Each kind of trap is a reply, and leaves the thread's signal mask as it was. */
static inline void traps(void)
{
    static const char *const guests[][2] = {
        {"bounds", "\"trap\":\"out of bounds memory access\""},
        {"unreachable", "\"trap\":\"wasm `unreachable` instruction executed\""},
        {"division", "\"trap\":\"integer divide by zero\""},
        {"recursion", "\"trap\":\"call stack exhausted\""},
    };
    unsigned long long before = blocked();
    char request[100];
    size_t i;
    for (i = 0; i < sizeof guests / sizeof *guests; i++) {
        sprintf(request, "{\"executor\":\"h\",\"runtime\":\"%s\"}", guests[i][0]);
        CHECK(says(arawn_execute_runtime(request), guests[i][1]));
        works();
    }
    CHECK(blocked() == before);
}

/* Runs a function on a thread of its own and waits for it; 0 means the usual stack. A stack has at least what the system asks. */
static inline void on_a_thread(void *(*function)(void *), size_t stack_bytes)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (stack_bytes != 0 && stack_bytes < (size_t)PTHREAD_STACK_MIN)
        stack_bytes = (size_t)PTHREAD_STACK_MIN;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(stack_bytes == 0 || pthread_attr_setstacksize(&attributes, stack_bytes) == 0);
    CHECK(pthread_create(&thread, &attributes, function, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
}

#endif
