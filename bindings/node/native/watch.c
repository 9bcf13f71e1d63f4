// Descriptors of the library that the event loop watches. A watcher keeps the event loop alive while it is held.
#include "state.h"

#include <stdlib.h>

struct watcher {
    uv_poll_t poll;
    struct state *state;
    napi_ref readable;
    struct watcher *next;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct watcher *watcher = poll->data;
    struct state *state = watcher->state;
    napi_handle_scope scope;
    napi_value global, readable, result;
    (void)status, (void)events;
    if (napi_open_handle_scope(state->env, &scope) != napi_ok)
        return;
    napi_get_global(state->env, &global);
    napi_get_reference_value(state->env, watcher->readable, &readable);
    // It throws nothing, except where the thread is being terminated.
    napi_make_callback(state->env, state->context, global, readable, 0, NULL, &result);
    napi_close_handle_scope(state->env, scope);
}

// (fd, readable): a watcher that is not held.
napi_value watch(napi_env env, napi_callback_info info)
{
    struct state *state = state_of(env);
    size_t count = 2;
    napi_value arguments[2], external;
    int32_t fd;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL || napi_get_value_int32(env, arguments[0], &fd) != napi_ok ||
        uv_poll_init(state->loop, &watcher->poll, fd) != 0) {
        free(watcher);
        napi_throw_error(env, NULL, "the descriptor cannot be watched");
        return NULL;
    }
    watcher->state = state;
    watcher->poll.data = watcher;
    watcher->next = state->watchers;
    state->watchers = watcher;
    state->handles++;
    napi_create_reference(env, arguments[1], 1, &watcher->readable);
    uv_poll_start(&watcher->poll, UV_READABLE, on_readable);
    uv_unref((uv_handle_t *)&watcher->poll);
    napi_create_external(env, watcher, NULL, NULL, &external);
    return external;
}

// (watcher, held): whether the event loop goes on for it.
napi_value watch_hold(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2];
    void *watcher;
    bool held;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_value_external(env, arguments[0], &watcher);
    napi_get_value_bool(env, arguments[1], &held);
    (held ? uv_ref : uv_unref)((uv_handle_t *)&((struct watcher *)watcher)->poll);
    return NULL;
}

static void on_closed(uv_handle_t *poll)
{
    struct watcher *watcher = poll->data;
    struct state *state = watcher->state;
    free(watcher);
    state_handle_closed(state);
}

static void stop(struct watcher *watcher)
{
    struct state *state = watcher->state;
    struct watcher **at = &state->watchers;
    while (*at != watcher)
        at = &(*at)->next;
    *at = watcher->next;
    napi_delete_reference(state->env, watcher->readable);
    uv_close((uv_handle_t *)&watcher->poll, on_closed);
}

// (watcher): it must not be used again. The descriptor is not watched any more when the function returns.
napi_value watch_stop(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value external;
    void *watcher;
    napi_get_cb_info(env, info, &count, &external, NULL, NULL);
    napi_get_value_external(env, external, &watcher);
    stop(watcher);
    return NULL;
}

void watch_end(struct state *state)
{
    while (state->watchers != NULL)
        stop(state->watchers);
}
