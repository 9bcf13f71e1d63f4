/*
 * A shop with an event loop: it waits for its clients, here a delivery by timer, and for libarawn in one epoll_wait. The
 * runtime asks what is in stock, and the shop answers once the delivery is there, without a thread that waits for it.
 *
 *     make example-events
 *
 * It prints what the loop has met, in this order:
 *
 *     asked: {"sku":"TEA-0042"}
 *     delivery: TEA-0042
 *     asked: {"sku":"POT-0007"}
 *     delivery: POT-0007
 *     asked: {"sku":"CUP-0113"}
 *     delivery: CUP-0113
 *     order: {"order":"2026-004711","missing":[]}
 */
#define _POSIX_C_SOURCE 200809L
#include <arawn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* A call that waits for its answer. The runtime asks one thing after the other, so that there is one at a time. */
struct waiting {
    char call[40];
    char sku[40];
    int timer;
};

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* Releases a reply that must not be an error. Each reply begins with its status. */
static void must(char *reply)
{
    if (strncmp(reply, "{\"status\":\"ok\"", 14) != 0)
        fail(reply);
    arawn_free(reply);
}

static int descriptor_of(const char *request)
{
    char *reply = arawn_poll_descriptor(request);
    int fd;
    if (sscanf(reply, "{\"status\":\"ok\",\"output\":{\"fd\":%d}}", &fd) != 1)
        fail(reply);
    arawn_free(reply);
    return fd;
}

/* Gets {"call":"c-17","request":{"sku":"…"}}. It orders the goods and returns NULL: the answer comes with the delivery. A
 * larger program uses a JSON library. */
static char *stock_level(const char *request, void *user_data)
{
    static const struct itimerspec soon = {{0, 0}, {0, 20000000}};
    struct waiting *waiting = user_data;
    if (sscanf(request, "{\"call\":\"%39[^\"]\",\"request\":{\"sku\":\"%39[^\"]\"}}", waiting->call, waiting->sku) != 2)
        return arawn_string_new("{\"status\":\"error\",\"error\":\"that is no question about the stock\"}");
    printf("asked: {\"sku\":\"%s\"}\n", waiting->sku);
    if (timerfd_settime(waiting->timer, 0, &soon, NULL) != 0)
        return arawn_string_new("{\"status\":\"error\",\"error\":\"nobody delivers\"}");
    return NULL;
}

/* The delivery is there: the guest gets its answer, and goes on. */
static void deliver(struct waiting *waiting)
{
    char request[200];
    char ticks[8];
    if (read(waiting->timer, ticks, sizeof ticks) != sizeof ticks)
        fail("the timer cannot be read");
    printf("delivery: %s\n", waiting->sku);
    sprintf(request, "{\"executor\":\"shop\",\"call\":\"%s\",\"reply\":{\"status\":\"ok\",\"output\":10}}", waiting->call);
    must(arawn_host_reply(request));
}

/* Runs what waits for this thread, and takes the replies of what has ended. Returns whether the order is done. */
static int poll_shop(void)
{
    static const char before[] = "{\"job\":\"order\",\"reply\":{\"status\":\"ok\",\"output\":";
    char *reply = arawn_poll("{\"executor\":\"shop\"}");
    const char *order = strstr(reply, before);
    const char *end = strstr(reply, "}}]}}");
    int is_done = order != NULL && end != NULL;
    if (is_done) {
        order += strlen(before);
        printf("order: %.*s\n", (int)(end - order), order);
    } else if (!strstr(reply, "\"finished\":[]")) {
        fail(reply);
    }
    arawn_free(reply);
    return is_done;
}

static void watch(int loop, int fd)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("the descriptor cannot be watched");
}

int main(void)
{
    struct waiting waiting;
    int loop = epoll_create1(EPOLL_CLOEXEC);
    int shop, is_done = 0;
    waiting.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (loop < 0 || waiting.timer < 0)
        fail("there is no descriptor left");

    must(arawn_executor_new("{\"id\":\"shop\",\"runtimes_dir\":\"target/example-c-runtimes\","
                            "\"limits\":{\"timeout_ms\":10000},"
                            "\"capabilities\":{\"host_functions\":[\"stock.level\"]}}"));
    must(arawn_catalog_register("{\"executor\":\"shop\",\"name\":\"stock\",\"path\":\"runtimes/prebuilt/stock.wasm\","
                                "\"replace\":true}"));

    /* The function runs within arawn_poll, on this thread, and answers later. */
    must(arawn_host_function_set("{\"executor\":\"shop\",\"name\":\"stock.level\",\"on\":\"poll\",\"deferred\":true}",
                                 stock_level, &waiting));

    /* One loop for both: what the shop waits for, and what libarawn has to tell. */
    shop = descriptor_of("{\"executor\":\"shop\"}");
    watch(loop, shop);
    watch(loop, waiting.timer);
    must(arawn_submit("{\"executor\":\"shop\",\"runtime\":\"stock\",\"job\":\"order\",\"input\":{\"context\":"
                      "{\"order\":\"2026-004711\",\"items\":[{\"sku\":\"TEA-0042\",\"quantity\":7},"
                      "{\"sku\":\"POT-0007\",\"quantity\":1},{\"sku\":\"CUP-0113\",\"quantity\":4}]}}}"));
    while (!is_done) {
        struct epoll_event event;
        if (epoll_wait(loop, &event, 1, 10000) != 1)
            fail("nothing happens any more");
        if (event.data.fd == waiting.timer)
            deliver(&waiting);
        else
            is_done = poll_shop();
    }

    /* The descriptor is the library's and goes with the executor: stop watching it before that. */
    epoll_ctl(loop, EPOLL_CTL_DEL, shop, NULL);
    must(arawn_executor_close("{\"executor\":\"shop\"}"));
    close(waiting.timer);
    close(loop);
    return 0;
}
