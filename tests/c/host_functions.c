/* Functions of the host under many threads: one that runs on the thread of the call and one that runs in the frame loop's
 * poll. What they use is freed as soon as the header says that it may be, while guests still ask.
 *
 *     host_functions DIRECTORY, which has runtimes ask-count and ask-frame */
#include "check.h"
#include <pthread.h>

enum { THREADS = 4, ROUNDS = 100 };

struct state {
    pthread_mutex_t lock;
    long calls;
    pthread_t frame_loop;
};

/* Under its lock, here and where it is freed: the thread sanitizer does not see the locks of the library. */
static struct state *state_new(void)
{
    struct state *state = malloc(sizeof *state);
    CHECK(state != NULL && pthread_mutex_init(&state->lock, NULL) == 0);
    CHECK(pthread_mutex_lock(&state->lock) == 0);
    state->calls = 0;
    state->frame_loop = pthread_self();
    CHECK(pthread_mutex_unlock(&state->lock) == 0);
    return state;
}

static void state_free(struct state *state)
{
    CHECK(pthread_mutex_lock(&state->lock) == 0);
    CHECK(pthread_mutex_unlock(&state->lock) == 0);
    CHECK(pthread_mutex_destroy(&state->lock) == 0);
    memset(state, 0xee, sizeof *state);
    free(state);
}

/* Uses the library from within, and returns one of its replies as its own every other time. */
static char *count(const char *request, void *user_data)
{
    struct state *state = user_data;
    char text[100];
    long calls;
    CHECK(strcmp(request, "[1,2,3]") == 0);
    CHECK(pthread_mutex_lock(&state->lock) == 0);
    calls = ++state->calls;
    CHECK(pthread_mutex_unlock(&state->lock) == 0);
    if (calls % 2)
        return arawn_execute_runtime("{\"executor\":\"h\",\"runtime\":\"passthrough\"}");
    sprintf(text, "{\"status\":\"ok\",\"output\":%ld}", calls);
    return arawn_string_new(text);
}

static char *frame(const char *request, void *user_data)
{
    struct state *state = user_data;
    CHECK(strcmp(request, "[1,2,3]") == 0);
    CHECK(pthread_equal(state->frame_loop, pthread_self()));
    state->calls++;
    return state->calls % 3 ? arawn_string_new("{\"status\":\"ok\"}") : NULL;
}

static void set(const char *name, const char *on, arawn_host_function callback, struct state *state)
{
    char request[200];
    sprintf(request, "{\"executor\":\"h\",\"name\":\"%s\",\"on\":\"%s\"}", name, on);
    CHECK(says(arawn_host_function_set(request, callback, state), "\"running\":0"));
}

static void *asks(void *unused)
{
    int i;
    for (i = 0; i < ROUNDS; i++)
        CHECK(says(arawn_execute_runtime("{\"executor\":\"h\",\"runtime\":\"ask-count\"}"), "{\"status\":\"ok\",\"output\":{"));
    return unused;
}

/* Replaces the function and frees what it used, while others are inside. */
static void replaced_while_it_runs(void)
{
    struct state *state = state_new();
    pthread_t thread[THREADS];
    int i;
    set("count", "call", count, state);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, asks, NULL) == 0);
    for (i = 0; i < 20; i++) {
        struct state *next = state_new();
        set("count", "call", count, next);
        state_free(state);
        state = next;
    }
    set("count", "call", NULL, NULL);
    state_free(state);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

/* A frame loop: what is finished is taken, and the function runs here and nowhere else. */
static void in_the_frame_loop(void)
{
    struct state *state = state_new();
    int asked = 0, ended = 0, i;
    set("frame", "poll", frame, state);
    while (ended < ROUNDS) {
        char *reply;
        for (i = 0; i < 5 && asked < ROUNDS; i++, asked++)
            CHECK(says(arawn_submit("{\"executor\":\"h\",\"runtime\":\"ask-frame\"}"), "\"job\":"));
        reply = arawn_poll("{\"executor\":\"h\",\"wait_ms\":2}");
        for (i = 0; reply[i] != '\0'; i++)
            ended += strncmp(reply + i, "\"reply\":{\"status\":\"ok\"", 22) == 0;
        arawn_free(reply);
    }
    CHECK(state->calls == ROUNDS);
    set("frame", "poll", NULL, NULL);
    state_free(state);
}

static void *asks_until_closed(void *unused)
{
    for (;;) {
        char *reply = arawn_execute_runtime("{\"executor\":\"h\",\"runtime\":\"ask-count\"}");
        int closed = strstr(reply, "\"code\":\"unknown_executor\"") != NULL;
        arawn_free(reply);
        if (closed)
            return unused;
    }
}

static void closed_while_it_runs(void)
{
    struct state *state = state_new();
    pthread_t thread[THREADS];
    long calls = 0;
    int i;
    set("count", "call", count, state);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, asks_until_closed, NULL) == 0);
    while (calls < 50) {
        CHECK(pthread_mutex_lock(&state->lock) == 0);
        calls = state->calls;
        CHECK(pthread_mutex_unlock(&state->lock) == 0);
    }
    CHECK(says(arawn_executor_close("{\"executor\":\"h\"}"), "\"status\":\"ok\""));
    state_free(state);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

int main(int argc, char **argv)
{
    char config[4200];
    CHECK(argc == 2);
    sprintf(config, "{\"id\":\"h\",\"cache_dir\":null,\"runtimes_dir\":\"%.4000s\","
                    "\"capabilities\":{\"host_functions\":[\"count\",\"frame\"]}}", argv[1]);
    CHECK(says(arawn_executor_new(config), "\"status\":\"ok\""));
    CHECK(says(arawn_execute_runtime("{\"executor\":\"h\",\"runtime\":\"ask-count\"}"), "has not set it"));
    replaced_while_it_runs();
    in_the_frame_loop();
    closed_while_it_runs();
    puts("done");
    return 0;
}
