// Host functions: how guests reach functions of JavaScript.
//
// 1. JavaScript runs on its own thread alone. A guest that runs on that thread, within arawn_execute_runtime, calls
//    the function at once; so does arawn_poll for a function that is set with "on": "poll".
// 2. A guest on a thread of the library leaves its request in the queue of the thread of JavaScript, wakes the event
//    loop and returns NULL: the function is deferred, and JavaScript answers by arawn_host_reply. Where the thread of
//    JavaScript waits for a pipeline, it takes requests out of the queue meanwhile. See ask.c.
//
// So a callback never waits, and an executor can always be closed.
#include "state.h"

#include "library.h"

#include <stdlib.h>
#include <string.h>

struct host_function {
    struct state *state;
    uint32_t id;
    struct host_function *next;
};

struct request {
    struct request *next;
    uint32_t id;
    char json[];
};

// The reply of JavaScript for the library, or NULL: it answers later.
static char *dispatch(struct state *state, uint32_t id, const char *json, enum way way)
{
    napi_env env = state->env;
    napi_handle_scope scope;
    napi_value global, function, arguments[3], result = NULL;
    char *reply = NULL;
    if (napi_open_handle_scope(env, &scope) != napi_ok)
        return NULL;
    napi_get_global(env, &global);
    napi_get_reference_value(env, state->dispatch, &function);
    napi_create_uint32(env, id, &arguments[0]);
    arguments[1] = string_of(env, json);
    napi_create_uint32(env, way, &arguments[2]);
    if (arguments[1] != NULL) {
        // It throws nothing, except where the thread is being terminated.
        if (way == QUEUED)
            napi_make_callback(env, state->context, global, function, 3, arguments, &result);
        else if (napi_call_function(env, global, function, 3, arguments, &result) != napi_ok)
            result = NULL;
    }
    napi_valuetype type;
    if (result != NULL && napi_typeof(env, result, &type) == napi_ok && type == napi_string) {
        char buffer[TEXT_BUFFER];
        char *text = text_of(env, result, buffer);
        if (text != NULL) {
            reply = arawn.string_new(text);
            text_free(text, buffer);
        }
    }
    napi_close_handle_scope(env, scope);
    return reply;
}

static char *callback(const char *json, void *user_data)
{
    struct host_function *function = user_data;
    struct state *state = function->state;
    uv_thread_t self = uv_thread_self();
    if (uv_thread_equal(&self, &state->thread))
        return dispatch(state, function->id, json, state->way);
    size_t size = strlen(json) + 1;
    struct request *request = malloc(sizeof *request + size);
    if (request == NULL)
        return arawn.string_new("{\"status\":\"error\",\"error\":\"no memory is left for a host function\"}");
    request->next = NULL;
    request->id = function->id;
    memcpy(request->json, json, size);
    uv_mutex_lock(&state->adding);
    *state->end = request;
    state->end = &request->next;
    if (state->news != NULL)
        uv_sem_post(state->news);
    uv_mutex_unlock(&state->adding);
    uv_async_send(&state->woken);
    return NULL;
}

static struct request *take(struct state *state)
{
    uv_mutex_lock(&state->adding);
    struct request *requests = state->first;
    state->first = NULL;
    state->end = &state->first;
    uv_mutex_unlock(&state->adding);
    return requests;
}

void host_run_queued(struct state *state)
{
    struct request *next;
    for (struct request *request = take(state); request != NULL; request = next) {
        next = request->next;
        dispatch(state, request->id, request->json, QUEUED);
        free(request);
    }
}

uv_sem_t *host_wait(struct state *state, uv_sem_t *news)
{
    uv_mutex_lock(&state->adding);
    uv_sem_t *before = state->news;
    state->news = news;
    if (news != NULL && state->first != NULL)
        uv_sem_post(news);
    uv_mutex_unlock(&state->adding);
    return before;
}

static void on_woken(uv_async_t *woken)
{
    host_run_queued(woken->data);
}

void host_begin(struct state *state)
{
    state->way = QUEUED;
    state->end = &state->first;
    uv_mutex_init(&state->adding);
    uv_cond_init(&state->all_closed);
    uv_async_init(state->loop, &state->woken, on_woken);
    uv_unref((uv_handle_t *)&state->woken);
    state->woken.data = state;
    state->handles++;
}

static void on_closed(uv_handle_t *woken)
{
    state_handle_closed(woken->data);
}

// No executor is left that could call a function.
void host_end(struct state *state)
{
    struct request *next;
    for (struct request *request = take(state); request != NULL; request = next) {
        next = request->next;
        free(request);
    }
    while (state->functions != NULL) {
        struct host_function *function = state->functions;
        state->functions = function->next;
        free(function);
    }
    uv_mutex_destroy(&state->adding);
    uv_cond_destroy(&state->all_closed);
    uv_close((uv_handle_t *)&state->woken, on_closed);
}

// (request_json, id): the reply of the library, as a text. `id` tells lib/host.js which function is meant.
napi_value host_function_set(napi_env env, napi_callback_info info)
{
    struct state *state = state_of(env);
    size_t count = 2;
    napi_value arguments[2], reply = NULL;
    char buffer[TEXT_BUFFER];
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    struct host_function *function = calloc(1, sizeof *function);
    char *text = text_of(env, arguments[0], buffer);
    if (function == NULL || text == NULL || napi_get_value_uint32(env, arguments[1], &function->id) != napi_ok) {
        free(function);
        return NULL;
    }
    function->state = state;
    function->next = state->functions;
    state->functions = function;
    reply = reply_of(env, arawn.host_function_set(text, callback, function));
    text_free(text, buffer);
    return reply;
}

// (id): the executor of the function is closed. Where it was closed within one of its functions, the callback goes on
// for a moment, and the function is kept.
napi_value host_function_free(napi_env env, napi_callback_info info)
{
    struct state *state = state_of(env);
    size_t count = 1;
    napi_value argument;
    uint32_t id;
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    napi_get_value_uint32(env, argument, &id);
    if (state->way != QUEUED)
        return NULL;
    for (struct host_function **at = &state->functions; *at != NULL; at = &(*at)->next) {
        if ((*at)->id == id) {
            struct host_function *function = *at;
            *at = function->next;
            free(function);
            break;
        }
    }
    return NULL;
}
