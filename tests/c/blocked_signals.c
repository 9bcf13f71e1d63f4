/* Calls of a thread that blocks the signals by which guests trap, as a server does that has a thread for signals: a trap is
 * a reply, and whatever runs of the host's own on that thread finds the mask that the host has set.
 *
 *     blocked_signals calls|first|submitted|callback|threads SIGNAL DIRECTORY
 *
 * calls      in an executor that another thread has made
 * first      the thread makes the executor, and what it needs
 * submitted  the thread starts the workers
 * callback   host functions look at the mask, make calls that trap themselves, and leave other masks behind
 * threads    the mask of each thread that the library has started by then
 *
 * SIGNAL is SEGV, ILL, FPE or all. DIRECTORY has runtimes ask-look, which answers what its host function does, and ask-trap,
 * which traps afterwards. */
#define _GNU_SOURCE
#include "faults.h"
#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *mode, *directory;
static sigset_t signals;
static unsigned long long mask;
static int looked;

static int is(const char *name)
{
    return strcmp(mode, name) == 0;
}

static void submitted(void)
{
    static const char *const guests[] = {"bounds", "unreachable", "division", "recursion"};
    char request[200];
    size_t i;
    for (i = 0; i < sizeof guests / sizeof *guests; i++) {
        sprintf(request, "{\"executor\":\"h\",\"runtime\":\"%s\",\"job\":\"%s\"}", guests[i], guests[i]);
        CHECK(says(arawn_submit(request), "\"status\":\"ok\""));
    }
    for (i = 0; i < sizeof guests / sizeof *guests; i++) {
        sprintf(request, "{\"executor\":\"h\",\"job\":\"%s\",\"wait_ms\":60000}", guests[i]);
        CHECK(says(arawn_poll(request), "\"code\":\"trap\""));
    }
}

/* The thread's mask is its own, before and after calls from within, and may be another one from now on. */
static char *look(const char *request, void *user_data)
{
    (void)request, (void)user_data;
    CHECK(blocked() == mask);
    traps();
    CHECK(blocked() == mask);
    if (++looked % 3 == 0) {
        CHECK(pthread_sigmask(looked % 2 ? SIG_UNBLOCK : SIG_BLOCK, &signals, NULL) == 0);
        mask = blocked();
    }
    return arawn_string_new("{\"status\":\"ok\",\"output\":[]}");
}

/* Leaves another mask behind, on whichever thread it runs. */
static char *spoil(const char *request, void *user_data)
{
    (void)request, (void)user_data;
    CHECK(pthread_sigmask(SIG_SETMASK, &signals, NULL) == 0);
    return arawn_string_new("{\"status\":\"ok\",\"output\":[]}");
}

static void set_look(const char *on, arawn_host_function function)
{
    char request[100];
    sprintf(request, "{\"executor\":\"c\",\"name\":\"look\",\"on\":\"%s\"}", on);
    CHECK(says(arawn_host_function_set(request, function, NULL), "\"running\":0"));
}

static void callback(void)
{
    char config[4200];
    int i;
    sprintf(config, "{\"id\":\"c\",\"cache_dir\":null,\"runtimes_dir\":\"%.4000s\",\"capabilities\":{\"host_functions\":[\"look\"]}}",
            directory);
    CHECK(says(arawn_executor_new(config), "\"status\":\"ok\""));
    set_look("call", look);
    for (i = 0; i < 12; i++) {
        CHECK(says(arawn_execute_runtime("{\"executor\":\"c\",\"runtime\":\"ask-look\"}"), "\"output\":{\"status\":\"ok\""));
        CHECK(says(arawn_execute_runtime("{\"executor\":\"c\",\"runtime\":\"ask-trap\"}"), "\"code\":\"trap\""));
        CHECK(blocked() == mask);
    }
    CHECK(looked == 24);
    set_look("poll", look);
    for (i = 0; i < 4; i++) {
        CHECK(says(arawn_submit("{\"executor\":\"c\",\"runtime\":\"ask-trap\",\"job\":\"j\"}"), "\"status\":\"ok\""));
        CHECK(says(arawn_poll("{\"executor\":\"c\",\"job\":\"j\",\"wait_ms\":60000}"), "\"code\":\"trap\""));
    }
    CHECK(looked == 28);
    set_look("call", spoil);
    for (i = 0; i < 8; i++) {
        CHECK(says(arawn_submit("{\"executor\":\"c\",\"runtime\":\"ask-trap\",\"job\":\"j\"}"), "\"status\":\"ok\""));
        CHECK(says(arawn_poll("{\"executor\":\"c\",\"job\":\"j\",\"wait_ms\":60000}"), "\"code\":\"trap\""));
    }
}

/* Reads a line of a file of /proc for a thread of this process; 0 where the thread has ended. */
static int line_of(const char *thread, const char *file, const char *begin, char *line, int size)
{
    char path[100];
    int found;
    FILE *lines;
    sprintf(path, "/proc/self/task/%.20s/%s", thread, file);
    lines = fopen(path, "r");
    if (lines == NULL)
        return 0;
    do
        found = fgets(line, size, lines) != NULL;
    while (found && strncmp(line, begin, strlen(begin)) != 0);
    fclose(lines);
    return found;
}

/* Whether a mask is that of the library's threads. */
static int is_theirs(unsigned long long bits)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGKILL, SIGSTOP};
    unsigned long long expected;
    int number;
    size_t i;
    /* The C library keeps those between for itself. */
    for (number = 1; number <= SIGRTMAX; number += number == 31 ? SIGRTMIN - 31 : 1) {
        expected = 1;
        for (i = 0; i < sizeof faults / sizeof *faults; i++)
            expected &= number != faults[i];
        if ((bits >> (number - 1) & 1) != expected)
            return 0;
    }
    return 1;
}

/* Looks at the threads that are there: which kinds there are, as bits, and how many have another mask. A thread has one while
 * it begins or ends. */
static int others(int *kinds)
{
    static const char *const names[] = {"arawn-ticker", "arawn-worker", "arawn-io", "arawn-compile"};
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    char line[200];
    int count = 0;
    size_t i;
    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        long id = atol(entry->d_name);
        if (id == 0 || id == (long)getpid() || id == syscall(SYS_gettid))
            continue;
        for (i = 0; i < sizeof names / sizeof *names; i++)
            if (line_of(entry->d_name, "comm", names[i], line, sizeof line))
                *kinds |= 1 << i;
        if (line_of(entry->d_name, "status", "SigBlk:", line, sizeof line))
            count += !is_theirs(strtoull(line + strlen("SigBlk:"), NULL, 16));
    }
    closedir(tasks);
    return count;
}

static void threads(void)
{
    char config[200], granted[] = "/tmp/arawn-blocked-XXXXXX";
    int tries, kinds = 0;
    /* One with files, for the threads that they take. */
    CHECK(mkdtemp(granted) != NULL);
    sprintf(config, "{\"id\":\"f\",\"cache_dir\":null,\"capabilities\":{\"dirs\":[{\"host\":\"%s\",\"guest\":\"/d\"}]}}", granted);
    CHECK(says(arawn_executor_new(config), "\"status\":\"ok\""));
    CHECK(says(arawn_execute_runtime("{\"executor\":\"f\",\"runtime\":\"file_read\",\"input\":{\"config\":{\"path\":\"/d/none\"}}}"),
               "\"code\":\"runtime_error\""));
    CHECK(rmdir(granted) == 0);
    traps();
    submitted();
    for (tries = 0; others(&kinds) > 0; tries++) {
        CHECK(tries < 1000);
        usleep(10000);
    }
    CHECK(kinds == 15);
}

static void *blocking(void *unused)
{
    CHECK(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    mask = blocked();
    if (!is("calls"))
        open_executor(directory);
    if (is("submitted"))
        submitted();
    else if (is("callback"))
        callback();
    else if (is("threads"))
        threads();
    else
        traps();
    CHECK(blocked() == mask);
    return unused;
}

int main(int argc, char **argv)
{
    CHECK(argc == 4);
    mode = argv[1];
    directory = argv[3];
    sigemptyset(&signals);
    if (strcmp(argv[2], "all") == 0)
        sigfillset(&signals);
    else
        sigaddset(&signals, strcmp(argv[2], "SEGV") == 0 ? SIGSEGV : strcmp(argv[2], "ILL") == 0 ? SIGILL : SIGFPE);
    if (is("calls"))
        open_executor(directory);
    on_a_thread(blocking, 0);
    puts("done");
    return 0;
}
