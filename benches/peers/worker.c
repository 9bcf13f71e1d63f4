/*
 * A process for each library, so that none bears with the threads and mappings of the others. A worker does what it is told
 * and otherwise waits, so that only one of them works at a time.
 *
 * Workers are forks of this program, in which functions and texts have the addresses that they have here. So a way can be
 * handed over as it is.
 */
#define _GNU_SOURCE
#include "peers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A batch takes about so long. */
static const double batch_us = 1000;

/* Calls of one way, or with none the question how many make a batch. */
struct order {
    int way, size, calls;
};

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double time_us(const struct way *way, const struct input *input, int calls)
{
    double begun = now_us();
    int call;
    for (call = 0; call < calls; call++)
        way->call(input, NULL);
    return (now_us() - begun) / calls;
}

/* Looks at a reply, and finds out how many calls make a batch. */
static double batch(const struct way *way, const struct input *input)
{
    struct bytes reply = {NULL, 0, 0};
    double least = 1e9;
    int turn;
    way->call(input, &reply);
    append(&reply, "", 1);
    if (!strstr(reply.data, input->json))
        fail("%s: the reply does not hold the input", way->what);
    free(reply.data);
    for (turn = 0; turn < 20; turn++) {
        double time = time_us(way, input, 1);
        least = time < least ? time : least;
    }
    return least < batch_us ? (double)(int)(batch_us / least) : 1;
}

static int get(int from, void *data, size_t length)
{
    char *at = data;
    ssize_t count = 1;
    for (; length > 0 && (count = read(from, at, length)) > 0; at += count)
        length -= (size_t)count;
    return count > 0;
}

static void put(int to, const void *data, size_t length)
{
    if (write(to, data, length) != (ssize_t)length)
        fail("a worker has ended");
}

/* A tenth of the calls warms up what others have used since. */
static void work(int from, int to, const struct way *ways, const struct input *inputs)
{
    struct order order;
    while (get(from, &order, sizeof order)) {
        const struct way *way = &ways[order.way];
        const struct input *input = &inputs[order.size];
        double answer;
        if (order.calls == 0) {
            answer = batch(way, input);
        } else {
            time_us(way, input, 1 + order.calls / 10);
            answer = time_us(way, input, order.calls);
        }
        put(to, &answer, sizeof answer);
    }
}

struct worker start(int (*library_ways)(struct way *ways, const struct input *inputs), const struct input *inputs)
{
    int orders[2], answers[2];
    struct worker worker;
    memset(&worker, 0, sizeof worker);
    if (pipe2(orders, O_CLOEXEC) || pipe2(answers, O_CLOEXEC) || (worker.process = fork()) < 0)
        fail("no worker can be started");
    if (worker.process == 0) {
        /* Where the way in is closed, the worker ends. */
        close(orders[1]);
        close(answers[0]);
        worker.count = library_ways(worker.ways, inputs);
        put(answers[1], &worker, sizeof worker);
        work(orders[0], answers[1], worker.ways, inputs);
        _exit(0);
    } else {
        pid_t process = worker.process;
        close(orders[0]);
        close(answers[1]);
        if (!get(answers[0], &worker, sizeof worker))
            fail("a worker has failed");
        worker.process = process;
        worker.to = orders[1];
        worker.from = answers[0];
    }
    return worker;
}

double ask(const struct worker *worker, int way, int size, int calls)
{
    struct order order = {way, size, calls};
    double answer;
    put(worker->to, &order, sizeof order);
    if (!get(worker->from, &answer, sizeof answer))
        fail("%s: failed", worker->ways[way].what);
    return answer;
}

/* Later workers hold the ways into earlier ones, so they end from the last to the first. */
void stop(struct worker *workers, int count)
{
    int n;
    for (n = 0; n < count; n++)
        close(workers[n].to);
    for (n = 0; n < count; n++)
        waitpid((pid_t)workers[n].process, NULL, 0);
}
