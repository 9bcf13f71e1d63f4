/* A host that loads the library by dlopen, as the runtimes of other languages do, and faults on threads that never called
 * it. The fault may be within malloc: until it is with the host's handler, nobody asks for memory.
 *
 *     foreign_faults siginfo|plain|masked|default|once|sent|ignored SEGV|FPE|ILL LIBRARY DIRECTORY
 *
 * siginfo  the host's handler was installed with SA_SIGINFO
 * plain    and without it
 * masked   it blocks all signals, and is called with all of them blocked
 * default  it has none: the fault ends the process
 * once     it is for one fault, and returns: the fault that comes again ends the process
 * sent     the same as default, where the signal is sent
 * ignored  a signal that is sent is ignored, and guests still trap */
#define _GNU_SOURCE
#include "allocations.h"
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Not that of check.h, which calls a library that it is linked to. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

typedef char *(*function)(const char *);
typedef void (*release)(char *);

static __thread sigjmp_buf recovery;
static __thread unsigned long asked_before;
static int number, is_sent, is_ignored, is_masked, is_once;
static void *library, *unmapped;
static pthread_barrier_t loaded;

static void on_fault(int received)
{
    sigset_t blocked;
    CHECK(allocations == asked_before && received == number);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0);
    CHECK(sigismember(&blocked, number) == 1 && sigismember(&blocked, SIGUSR1) == is_masked);
    if (is_once)
        return;
    siglongjmp(recovery, 1);
}

static void on_fault_with_info(int received, siginfo_t *info, void *context)
{
    CHECK(info->si_signo == received && context != NULL);
    on_fault(received);
}

static void call(const char *name, const char *argument, const char *expected)
{
    void *found[2];
    function ask;
    release done;
    char *reply;
    found[0] = dlsym(library, name);
    found[1] = dlsym(library, "arawn_free");
    CHECK(found[0] != NULL && found[1] != NULL);
    /* POSIX has a pointer to an object stand for one to a function. */
    memcpy(&ask, &found[0], sizeof ask);
    memcpy(&done, &found[1], sizeof done);
    reply = ask(argument);
    CHECK(strstr(reply, expected) != NULL);
    done(reply);
}

static void traps(void)
{
    call("arawn_execute_runtime", "{\"executor\":\"d\",\"runtime\":\"bounds\"}", "out of bounds memory access");
    call("arawn_execute_runtime", "{\"executor\":\"d\",\"runtime\":\"division\"}", "integer divide by zero");
    call("arawn_execute_runtime", "{\"executor\":\"d\",\"runtime\":\"unreachable\"}", "`unreachable` instruction executed");
}

static void fault(void)
{
#if defined __x86_64__
    volatile int zero = 0;
    if (number == SIGFPE)
        zero = 77 / zero;
    if (number == SIGILL)
        __asm__ volatile("ud2");
#endif
    if (number == SIGSEGV)
        (void)*(volatile char *)unmapped;
    raise(number);
}

static void *faults(void *unused)
{
    int round;
    pthread_barrier_wait(&loaded);
    for (round = 0; round < 2; round++) {
        asked_before = allocations;
        if (is_sent) {
            CHECK(raise(number) == 0 && is_ignored);
        } else if (sigsetjmp(recovery, 1) == 0) {
            fault();
            CHECK(!"reached");
        }
        CHECK(allocations == asked_before);
        /* From here on the thread is one that has called. */
        traps();
    }
    return unused;
}

int main(int argc, char **argv)
{
    struct sigaction action;
    pthread_t before, after;
    char config[4200];
    CHECK(argc == 5);
    number = strcmp(argv[2], "SEGV") == 0 ? SIGSEGV : strcmp(argv[2], "FPE") == 0 ? SIGFPE : SIGILL;
    memset(&action, 0, sizeof action);
    if (strcmp(argv[1], "siginfo") == 0) {
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = on_fault_with_info;
    } else if (strcmp(argv[1], "plain") == 0 || strcmp(argv[1], "masked") == 0 || strcmp(argv[1], "once") == 0) {
        action.sa_handler = on_fault;
        is_masked = strcmp(argv[1], "masked") == 0;
        is_once = strcmp(argv[1], "once") == 0;
        action.sa_flags = is_once ? SA_RESETHAND : 0;
        if (is_masked)
            sigfillset(&action.sa_mask);
    } else {
        is_ignored = strcmp(argv[1], "ignored") == 0;
        action.sa_handler = is_ignored ? SIG_IGN : SIG_DFL;
        is_sent = strcmp(argv[1], "default") != 0;
    }
    CHECK(sigaction(number, &action, NULL) == 0);
    unmapped = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(unmapped != MAP_FAILED && pthread_barrier_init(&loaded, NULL, 3) == 0);
    CHECK(pthread_create(&before, NULL, faults, NULL) == 0);
    library = dlopen(argv[3], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    sprintf(config, "{\"id\":\"d\",\"cache_dir\":null,\"runtimes_dir\":\"%.4000s\"}", argv[4]);
    call("arawn_executor_new", config, "\"status\":\"ok\"");
    traps();
    CHECK(pthread_create(&after, NULL, faults, NULL) == 0);
    pthread_barrier_wait(&loaded);
    CHECK(pthread_join(before, NULL) == 0 && pthread_join(after, NULL) == 0);
    puts("done");
    return 0;
}
