/* A process for each call: this program again, which then only copies its stdin to its stdout. */
#define _GNU_SOURCE
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void check(int error, const char *what)
{
    if (error)
        fail("a process: %s: %s", what, strerror(error));
}

static pid_t spawn(int in, int out)
{
    static char self[] = "/proc/self/exe", copy[] = "--copy";
    char *arguments[] = {self, copy, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    check(posix_spawn_file_actions_init(&actions), "actions");
    check(posix_spawn_file_actions_adddup2(&actions, in, 0), "stdin");
    check(posix_spawn_file_actions_adddup2(&actions, out, 1), "stdout");
    check(posix_spawn(&child, self, &actions, NULL, arguments, environ), "posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    return child;
}

/* Writes and reads as the pipes take and give, since neither holds all of a large input. */
static void exchange(int to, int from, const struct input *input, struct bytes *output)
{
    static char piece[64 << 10];
    size_t written = 0;
    ssize_t count;
    check(fcntl(to, F_SETFL, O_NONBLOCK) < 0 ? errno : 0, "fcntl");
    for (;;) {
        struct pollfd both[2] = {{from, POLLIN, 0}, {to, POLLOUT, 0}};
        check(poll(both, written < input->length ? 2 : 1, -1) < 0 ? errno : 0, "poll");
        if (written < input->length && both[1].revents) {
            count = write(to, input->json + written, input->length - written);
            check(count < 0 && errno != EAGAIN ? errno : 0, "write");
            written += count > 0 ? (size_t)count : 0;
            if (written == input->length)
                close(to);
        }
        if (both[0].revents) {
            count = read(from, piece, sizeof piece);
            check(count < 0 ? errno : 0, "read");
            if (count == 0)
                return;
            append(output, piece, (size_t)count);
        }
    }
}

static void call(const struct input *input, struct bytes *reply)
{
    static struct bytes output;
    int to[2], from[2], status;
    pid_t child;
    output.length = 0;
    check(pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC) ? errno : 0, "pipe");
    child = spawn(to[0], from[1]);
    close(to[0]);
    close(from[1]);
    exchange(to[1], from[0], input, &output);
    close(from[0]);
    check(waitpid(child, &status, 0) < 0 ? errno : 0, "waitpid");
    if (status != 0 || output.length != input->length)
        fail("a process: status %d, a reply of %lu bytes", status, (unsigned long)output.length);
    if (reply)
        append(reply, output.data, output.length);
}

/* The child's part. */
int copy(void)
{
    static char piece[64 << 10];
    ssize_t count, written, at;
    while ((count = read(0, piece, sizeof piece)) > 0)
        for (at = 0; at < count; at += written)
            if ((written = write(1, piece + at, (size_t)(count - at))) < 0)
                return 1;
    return count < 0;
}

int process_ways(struct way *ways, const struct input *inputs)
{
    static const struct way process = {"a process for each call, `posix_spawn` and pipes", ECHO, call};
    (void)inputs;
    ways[0] = process;
    return 1;
}
