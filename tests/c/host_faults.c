/* A host with handlers of its own for faults, and guests that trap before, between and after the host's own faults.
 *
 *     host_faults first|last|unchained|off DIRECTORY
 *
 * first      its handlers are there before the first executor
 * last       they come after it and pass on what is not the host's, as those of Go and of a JVM do
 * unchained  the same, and they pass nothing on: the first trap ends the process, with 3
 * off        as first, with "signal_handlers":false: no handler is ever replaced */
#define _GNU_SOURCE
#include "faults.h"
#include <sys/mman.h>
#include <unistd.h>

enum { SIGNALS = 4 };
static const int signals[SIGNALS] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction previous[SIGNALS];
static int chains;

static void on_fault(int number, siginfo_t *info, void *context)
{
    int i = 0;
    recover(number);
    if (!chains)
        _exit(3);
    while (signals[i] != number)
        i++;
    if (previous[i].sa_flags & SA_SIGINFO)
        previous[i].sa_sigaction(number, info, context);
    else if (previous[i].sa_handler == SIG_DFL || previous[i].sa_handler == SIG_IGN)
        sigaction(number, &previous[i], NULL);
    else
        previous[i].sa_handler(number);
}

static void *unmapped, *beyond;

static void reads_no_page(void)
{
    (void)*(volatile char *)unmapped;
}

static void reads_beyond_a_file(void)
{
    (void)*(volatile char *)beyond;
}

/* Where a processor gives zero, the signal comes without the fault. */
__attribute__((no_sanitize("undefined"))) static void divides_by_zero(void)
{
    volatile int zero = 0;
    volatile int quotient = 1 / zero;
    (void)quotient;
    raise(SIGFPE);
}

static void executes_nonsense(void)
{
#if defined __x86_64__
    __asm__ volatile("ud2");
#else
    raise(SIGILL);
#endif
}

static void *everything(void *unused)
{
    int round;
    works();
    traps();
    for (round = 0; round < 3; round++) {
        CHECK(recovers(SIGSEGV, reads_no_page));
        traps();
        CHECK(recovers(SIGBUS, reads_beyond_a_file));
        CHECK(recovers(SIGFPE, divides_by_zero));
        traps();
        CHECK(recovers(SIGILL, executes_nonsense));
        CHECK(recovers(SIGSEGV, reads_no_page));
        traps();
    }
    return unused;
}

static void install_all(void)
{
    int i;
    for (i = 0; i < SIGNALS; i++)
        install(signals[i], on_fault, SA_ONSTACK, &previous[i]);
}

static void nothing_was_replaced(void)
{
    struct sigaction action;
    int i;
    for (i = 0; i < SIGNALS; i++) {
        CHECK(sigaction(signals[i], NULL, &action) == 0);
        CHECK((action.sa_flags & SA_SIGINFO) && action.sa_sigaction == on_fault);
    }
}

int main(int argc, char **argv)
{
    FILE *empty = tmpfile();
    pthread_t thread[4];
    int i, first, off;
    CHECK(argc == 3 && empty != NULL);
    unmapped = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    beyond = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(empty), 0);
    CHECK(unmapped != MAP_FAILED && beyond != MAP_FAILED);
    off = strcmp(argv[1], "off") == 0;
    first = off || strcmp(argv[1], "first") == 0;
    chains = strcmp(argv[1], "last") == 0;
    if (first)
        install_all();
    if (off)
        CHECK(says(arawn_configure("{\"signal_handlers\":false}"), "\"signal_handlers\":false"));
    open_executor(argv[2]);
    if (!first)
        install_all();
    everything(NULL);
    for (i = 0; i < 4; i++)
        CHECK(pthread_create(&thread[i], NULL, everything, NULL) == 0);
    for (i = 0; i < 4; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    if (off)
        nothing_was_replaced();
    puts("done");
    return 0;
}
