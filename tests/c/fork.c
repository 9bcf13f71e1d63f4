/* A forked child gets `forked` from every function, at once; the parent goes on. A child of a process that has made no
 * executor is as good as any other process. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

static int child_succeeds(void (*child)(void))
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
        child();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void make_and_run(void)
{
    CHECK(says(arawn_executor_new("{\"id\":\"f\",\"cache_dir\":null}"), "\"status\":\"ok\""));
    CHECK(says(arawn_execute_runtime("{\"executor\":\"f\",\"runtime\":\"passthrough\"}"), "\"status\":\"ok\""));
    CHECK(says(arawn_submit("{\"executor\":\"f\",\"runtime\":\"passthrough\",\"job\":\"j\"}"), "\"job\":\"j\""));
    CHECK(says(arawn_poll("{\"executor\":\"f\",\"job\":\"j\",\"wait_ms\":60000}"), "\"state\":\"finished\""));
}

static void is_refused(void)
{
    static const char forked[] = "\"code\":\"forked\"";
    CHECK(says(arawn_execute_runtime("{\"executor\":\"f\",\"runtime\":\"passthrough\"}"), forked));
    CHECK(says(arawn_executor_new("{}"), forked));
    CHECK(says(arawn_executor_new("{}"), "spawn"));
    CHECK(says(arawn_executor_close("{\"executor\":\"f\"}"), forked));
    CHECK(says(arawn_configure("{}"), forked));
    CHECK(says(arawn_catalog_list("{\"executor\":\"f\"}"), forked));
    CHECK(says(arawn_catalog_inspect("{\"executor\":\"f\",\"name\":\"passthrough\"}"), forked));
    CHECK(says(arawn_catalog_register("{\"executor\":\"f\",\"name\":\"n\",\"path\":\"p\"}"), forked));
    CHECK(says(arawn_catalog_remove("{\"executor\":\"f\",\"name\":\"n\"}"), forked));
    CHECK(says(arawn_cancel("{\"executor\":\"f\",\"job\":\"j\"}"), forked));
    CHECK(says(arawn_submit("{\"executor\":\"f\",\"runtime\":\"passthrough\"}"), forked));
    CHECK(says(arawn_poll("{\"executor\":\"f\",\"wait_ms\":60000}"), forked));
    CHECK(says(arawn_poll_descriptor("{\"executor\":\"f\"}"), forked));
    CHECK(says(arawn_host_reply("{\"executor\":\"f\",\"call\":\"c-1\",\"reply\":{\"status\":\"ok\"}}"), forked));
    CHECK(says(arawn_host_function_set("{\"executor\":\"f\",\"name\":\"n\"}", NULL, NULL), forked));
    CHECK(says(arawn_stats("{}"), forked));
    CHECK(says(arawn_stats(NULL), forked));
    CHECK(arawn_version()[0] != '\0');
}

static int descriptor;

static int is_readable(int wait_ms)
{
    struct pollfd watched;
    watched.fd = descriptor;
    watched.events = POLLIN;
    watched.revents = 0;
    return poll(&watched, 1, wait_ms) == 1;
}

static void watch(void)
{
    char *reply = arawn_poll_descriptor("{\"executor\":\"f\"}");
    CHECK(sscanf(reply, "{\"status\":\"ok\",\"output\":{\"fd\":%d}}", &descriptor) == 1);
    arawn_free(reply);
}

/* What a child does with the descriptor that it inherits changes nothing for the parent. */
static void closes(void)
{
    CHECK(is_readable(0) && close(descriptor) == 0);
}

int main(void)
{
    CHECK(child_succeeds(make_and_run));
    make_and_run();
    watch();
    CHECK(!is_readable(0));
    CHECK(child_succeeds(is_refused));
    CHECK(!is_readable(0));
    CHECK(says(arawn_submit("{\"executor\":\"f\",\"runtime\":\"passthrough\",\"job\":\"j\"}"), "\"job\":\"j\""));
    CHECK(is_readable(60000));
    CHECK(child_succeeds(closes));
    CHECK(is_readable(0));
    CHECK(says(arawn_poll("{\"executor\":\"f\"}"), "\"job\":\"j\""));
    CHECK(!is_readable(0));
    CHECK(says(arawn_execute_runtime("{\"executor\":\"f\",\"runtime\":\"passthrough\"}"), "\"status\":\"ok\""));
    puts("done");
    return 0;
}
