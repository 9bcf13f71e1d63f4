// Calls of the library on the thread of JavaScript.
//
// The guests of a pipeline may run on several threads at once, and ask functions of JavaScript from there. So where there
// are functions, another thread calls the library for a pipeline that blocks. The thread of JavaScript runs functions
// meanwhile.
#include "library.h"
#include "state.h"

struct pipeline {
    const char *text;
    _Atomic(char *) reply;
    // Posted for each request in the queue, and when there is a reply.
    uv_sem_t news;
};

static void run(void *data)
{
    struct pipeline *pipeline = data;
    pipeline->reply = arawn.functions[EXECUTE_PIPELINE](pipeline->text);
    uv_sem_post(&pipeline->news);
}

// NULL: there is no thread for it.
static char *execute_pipeline(struct state *state, const char *text)
{
    struct pipeline pipeline = {.text = text};
    uv_thread_t thread;
    if (state->functions == NULL)
        return arawn.functions[EXECUTE_PIPELINE](text);
    if (uv_sem_init(&pipeline.news, 0) != 0)
        return NULL;
    if (uv_thread_create(&thread, run, &pipeline) == 0) {
        uv_sem_t *around = host_wait(state, &pipeline.news);
        while (pipeline.reply == NULL) {
            uv_sem_wait(&pipeline.news);
            host_run_queued(state);
        }
        host_wait(state, around);
        uv_thread_join(&thread);
    }
    uv_sem_destroy(&pipeline.news);
    return pipeline.reply;
}

char *ask(napi_env env, enum function function, const char *text)
{
    struct state *state = state_of(env);
    enum way around = state->way;
    char *reply;
    if (function == EXECUTE_PIPELINE) {
        reply = execute_pipeline(state, text);
        if (reply == NULL)
            napi_throw_error(env, NULL, "no thread is left for a pipeline");
        return reply;
    }
    state->way = function == EXECUTE_RUNTIME ? IN_CALL : function == POLL ? IN_POLL : around;
    reply = arawn.functions[function](text);
    state->way = around;
    return reply;
}
