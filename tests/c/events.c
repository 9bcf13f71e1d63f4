/* An event loop of the host: it waits on the executor's descriptor beside one of its own, and polls when that is readable.
 * A second thread answers the guests' deferred calls meanwhile.
 *
 *     events DIRECTORY, which has a runtime ask */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

enum { JOBS = 100 };

/* Calls travel to the second thread through a pipe. */
static int calls[2];
static pthread_t main_thread;

static int descriptor(const char *request)
{
    char *reply = arawn_poll_descriptor(request);
    int fd = -1;
    CHECK(sscanf(reply, "{\"status\":\"ok\",\"output\":{\"fd\":%d}}", &fd) == 1 && fd >= 0);
    arawn_free(reply);
    return fd;
}

static int is_readable(int fd, int wait_ms)
{
    struct pollfd watched;
    watched.fd = fd;
    watched.events = POLLIN;
    watched.revents = 0;
    return poll(&watched, 1, wait_ms) == 1 && (watched.revents & POLLIN);
}

/* {"call":"c-17","request":…}: writes 17. */
static char *defers(const char *request, void *user_data)
{
    long call;
    CHECK(pthread_equal(main_thread, pthread_self()));
    CHECK(sscanf(request, "{\"call\":\"c-%ld\",", &call) == 1);
    CHECK(strstr(request, ",\"request\":[1,2,3]}") != NULL);
    CHECK(write(*(int *)user_data, &call, sizeof call) == sizeof call);
    return NULL;
}

static void *answers(void *unused)
{
    long call;
    while (read(calls[0], &call, sizeof call) == sizeof call) {
        char request[200];
        sprintf(request, "{\"executor\":\"e\",\"call\":\"c-%ld\",\"reply\":{\"status\":\"ok\",\"output\":%ld}}", call, call);
        CHECK(says(arawn_host_reply(request), "\"call\":\"c-"));
        CHECK(says(arawn_host_reply(request), "\"code\":\"unknown_call\""));
    }
    return unused;
}

static int count(const char *text, const char *part)
{
    int found = 0;
    while ((text = strstr(text, part)) != NULL) {
        found++;
        text += strlen(part);
    }
    return found;
}

static void event_loop(int fd)
{
    pthread_t thread;
    int ended = 0, i;
    CHECK(pipe(calls) == 0);
    main_thread = pthread_self();
    CHECK(says(arawn_host_function_set("{\"executor\":\"e\",\"name\":\"f\",\"on\":\"poll\",\"deferred\":true}", defers, &calls[1]),
               "\"running\":0"));
    CHECK(pthread_create(&thread, NULL, answers, NULL) == 0);
    for (i = 0; i < JOBS; i++)
        CHECK(says(arawn_submit("{\"executor\":\"e\",\"runtime\":\"ask\"}"), "\"job\":"));
    while (ended < JOBS) {
        char *reply;
        CHECK(is_readable(fd, 60000));
        reply = arawn_poll("{\"executor\":\"e\"}");
        CHECK(count(reply, "\"job\":") == count(reply, "\"output\":{\"status\":\"ok\",\"output\":"));
        ended += count(reply, "\"job\":");
        arawn_free(reply);
    }
    CHECK(ended == JOBS && !is_readable(fd, 0));
    CHECK(close(calls[1]) == 0 && pthread_join(thread, NULL) == 0 && close(calls[0]) == 0);
}

/* Where there is no descriptor left, the executor goes on without. */
static void without_descriptors(void)
{
    struct rlimit limit, none;
    CHECK(says(arawn_executor_new("{\"id\":\"n\",\"cache_dir\":null}"), "\"status\":\"ok\""));
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(says(arawn_poll_descriptor("{\"executor\":\"n\"}"), "\"details\":{\"resource\":\"descriptor\"}"));
    CHECK(says(arawn_poll_descriptor("{\"executor\":\"n\"}"), "\"code\":\"no_resources\""));
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(says(arawn_submit("{\"executor\":\"n\",\"runtime\":\"passthrough\",\"job\":\"j\"}"), "\"job\":\"j\""));
    CHECK(is_readable(descriptor("{\"executor\":\"n\"}"), 60000));
    CHECK(says(arawn_executor_close("{\"executor\":\"n\"}"), "\"status\":\"ok\""));
}

/* A guest that waits as its executor is closed keeps no descriptor open. */
static void closed(int fd)
{
    CHECK(says(arawn_submit("{\"executor\":\"e\",\"runtime\":\"ask\"}"), "\"job\":"));
    CHECK(is_readable(fd, 60000));
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK(says(arawn_executor_close("{\"executor\":\"e\"}"), "\"status\":\"ok\""));
    CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
    CHECK(says(arawn_poll_descriptor("{\"executor\":\"e\"}"), "\"code\":\"unknown_executor\""));
    CHECK(says(arawn_host_reply("{\"executor\":\"e\",\"call\":\"c-1\",\"reply\":{\"status\":\"ok\"}}"),
               "\"code\":\"unknown_executor\""));
    /* The sanitizer for leaks does not look at the stacks of guests: the guest must have ended before the program does. */
    while (!says(arawn_stats("{}"), "\"slots_in_use\":0"))
        CHECK(poll(NULL, 0, 1) == 0);
}

int main(int argc, char **argv)
{
    char config[4200];
    int fd;
    CHECK(argc == 2);
    sprintf(config, "{\"id\":\"e\",\"cache_dir\":null,\"runtimes_dir\":\"%.4000s\",\"limits\":{\"timeout_ms\":600000},"
                    "\"capabilities\":{\"host_functions\":[\"f\"]}}", argv[1]);
    CHECK(says(arawn_executor_new(config), "\"status\":\"ok\""));
    fd = descriptor("{\"executor\":\"e\"}");
    CHECK(!is_readable(fd, 0) && descriptor("{\"executor\":\"e\"}") == fd);
    event_loop(fd);
    without_descriptors();
    closed(fd);
    puts("done");
    return 0;
}
