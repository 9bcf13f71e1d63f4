/* The stacks of a host: one that it overflows itself, small ones, and those of its coroutines.
 *
 *     host_stacks overflow|small|coroutine DIRECTORY */
#define _GNU_SOURCE
#include "faults.h"
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static const char *directory;
static struct sigaction previous;

/* Go's way: on the alternate stack, the host's own faults first, everything else to who was there before. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    recover(number);
    CHECK(previous.sa_flags & SA_SIGINFO);
    previous.sa_sigaction(number, info, context);
}

static __thread volatile long depth;

static long dives(volatile char *above)
{
    volatile char frame[1024];
    frame[0] = above[0];
    depth++;
    return depth < 0 ? 0 : dives(frame) + frame[0];
}

static void overflows(void)
{
    char top = 1;
    CHECK(dives(&top) >= 0);
}

/* The library gives a thread an alternate stack of 256 KiB if that of the host is smaller; either must do. */
static void overflow_with(size_t bytes, int before)
{
    stack_t own, now;
    memset(&own, 0, sizeof own);
    own.ss_size = bytes;
    own.ss_sp = malloc(bytes);
    CHECK(own.ss_sp != NULL);
    if (!before)
        traps();
    CHECK(sigaltstack(&own, NULL) == 0);
    if (before)
        traps();
    CHECK(sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE) && now.ss_size >= bytes);
    CHECK(now.ss_sp == own.ss_sp || (before && bytes < 256 * 1024));
    CHECK(recovers(SIGSEGV, overflows));
    traps();
    CHECK(recovers(SIGSEGV, overflows));
    traps();
    own.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&own, NULL) == 0);
    free(own.ss_sp);
}

static void *overflow_on_the_librarys(void *unused)
{
    overflow_with(64 * 1024, 1);
    return unused;
}

static void *overflow_on_a_late_one(void *unused)
{
    overflow_with(64 * 1024, 0);
    return unused;
}

static void *overflow_on_a_large_one(void *unused)
{
    overflow_with(512 * 1024, 1);
    return unused;
}

static void *all_traps(void *unused)
{
    traps();
    return unused;
}

static void overflow(void)
{
    static void *(*const threads[])(void *) = {overflow_on_the_librarys, overflow_on_a_late_one, overflow_on_a_large_one};
    pthread_t thread[6];
    int i;
    open_executor(directory);
    install(SIGSEGV, on_fault, SA_ONSTACK, &previous);
    traps();
    for (i = 0; i < 6; i++)
        CHECK(pthread_create(&thread[i], NULL, threads[i % 3], NULL) == 0);
    traps();
    for (i = 0; i < 6; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    on_a_thread(all_traps, 0);
    traps();
}

static void *opens(void *unused)
{
    open_executor(directory);
    return unused;
}

/* Around the size from which a guest runs on the caller's own stack; and a large guard page must not count as stack. */
static void small(void)
{
    static const size_t kib[] = {64, 96, 256, 512, 1000, 1024, 1040, 1100, 1600, 8192, 65536};
    pthread_attr_t attributes;
    pthread_t thread;
    size_t i;
    on_a_thread(opens, 64 * 1024);
    traps();
    for (i = 0; i < sizeof kib / sizeof *kib; i++)
        on_a_thread(all_traps, kib[i] * 1024);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 1200 * 1024) == 0);
    CHECK(pthread_attr_setguardsize(&attributes, 900 * 1024) == 0);
    CHECK(pthread_create(&thread, &attributes, all_traps, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* musl has no makecontext. */
#ifdef __GLIBC__
enum { COROUTINES = 4, STACK = 128 * 1024 };
static __thread ucontext_t scheduler, coroutine[COROUTINES];

static void body(int own)
{
    works();
    CHECK(swapcontext(&coroutine[own], &scheduler) == 0);
    traps();
    CHECK(swapcontext(&coroutine[own], &scheduler) == 0);
    works();
}

/* Coroutines take turns: each is suspended between calls, and the scheduler traps as well. */
static void *coroutines(void *unused)
{
    char *stacks = mmap(NULL, COROUTINES * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int i, turn;
    CHECK(stacks != MAP_FAILED);
    for (i = 0; i < COROUTINES; i++) {
        CHECK(getcontext(&coroutine[i]) == 0);
        coroutine[i].uc_stack.ss_sp = stacks + i * STACK;
        coroutine[i].uc_stack.ss_size = STACK;
        coroutine[i].uc_link = &scheduler;
        makecontext(&coroutine[i], (void (*)(void))body, 1, i);
    }
    for (turn = 0; turn < 3; turn++) {
        for (i = 0; i < COROUTINES; i++)
            CHECK(swapcontext(&scheduler, &coroutine[i]) == 0);
        traps();
    }
    CHECK(munmap(stacks, COROUTINES * STACK) == 0);
    return unused;
}
#endif

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    directory = argv[2];
    if (strcmp(argv[1], "overflow") == 0) {
        overflow();
    } else if (strcmp(argv[1], "small") == 0) {
        small();
    } else {
#ifdef __GLIBC__
        CHECK(strcmp(argv[1], "coroutine") == 0);
        open_executor(directory);
        coroutines(NULL);
        on_a_thread(coroutines, 256 * 1024);
#else
        CHECK(!"a mode");
#endif
    }
    puts("done");
    return 0;
}
