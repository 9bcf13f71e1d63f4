#include "state.h"

#include "library.h"

#include <stdlib.h>
#include <string.h>

// An executor that the thread has open, by the request that closes it.
struct executor {
    struct executor *next;
    char close_json[];
};

struct state *state_of(napi_env env)
{
    void *state = NULL;
    napi_get_instance_data(env, &state);
    return state;
}

void state_handle_closed(struct state *state)
{
    if (--state->handles > 0)
        return;
    napi_remove_async_cleanup_hook(state->cleanup);
    free(state);
}

// The environment ends: by process.exit, by the end of a worker thread, or by itself. The library must call nothing of it
// any more, and libuv keeps no handle of it. Closing an executor waits for callbacks that run, and those never wait.
static void end(napi_async_cleanup_hook_handle handle, void *data)
{
    struct state *state = data;
    (void)handle;
    watch_end(state);
    while (state->executors != NULL) {
        struct executor *executor = state->executors;
        state->executors = executor->next;
        arawn.free(arawn.functions[EXECUTOR_CLOSE](executor->close_json));
        free(executor);
    }
    uv_mutex_lock(&state->adding);
    while (state->closing > 0)
        uv_cond_wait(&state->all_closed, &state->adding);
    uv_mutex_unlock(&state->adding);
    host_end(state);
}

struct state *state_new(napi_env env, napi_value dispatch)
{
    struct state *state = calloc(1, sizeof *state);
    napi_value name;
    if (state == NULL)
        return NULL;
    state->env = env;
    state->thread = uv_thread_self();
    napi_get_uv_event_loop(env, &state->loop);
    napi_create_reference(env, dispatch, 1, &state->dispatch);
    napi_create_string_utf8(env, "arawn", NAPI_AUTO_LENGTH, &name);
    napi_async_init(env, NULL, name, &state->context);
    host_begin(state);
    napi_set_instance_data(env, state, NULL, NULL);
    napi_add_async_cleanup_hook(env, end, state, &state->cleanup);
    return state;
}

napi_value executor_opened(napi_env env, napi_callback_info info)
{
    struct state *state = state_of(env);
    size_t count = 1;
    napi_value close_json;
    char buffer[TEXT_BUFFER];
    napi_get_cb_info(env, info, &count, &close_json, NULL, NULL);
    char *text = text_of(env, close_json, buffer);
    if (text == NULL)
        return NULL;
    size_t size = strlen(text) + 1;
    struct executor *executor = malloc(sizeof *executor + size);
    if (executor != NULL) {
        memcpy(executor->close_json, text, size);
        executor->next = state->executors;
        state->executors = executor;
    }
    text_free(text, buffer);
    return NULL;
}

void executor_closing(struct state *state, const char *close_json)
{
    for (struct executor **at = &state->executors; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->close_json, close_json) == 0) {
            struct executor *executor = *at;
            *at = executor->next;
            free(executor);
            break;
        }
    }
    uv_mutex_lock(&state->adding);
    state->closing++;
    uv_mutex_unlock(&state->adding);
}

void executor_closed(struct state *state)
{
    uv_mutex_lock(&state->adding);
    if (--state->closing == 0)
        uv_cond_signal(&state->all_closed);
    uv_mutex_unlock(&state->adding);
}
