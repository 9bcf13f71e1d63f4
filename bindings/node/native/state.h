// What this add-on keeps for one thread of JavaScript: the main thread or a worker thread.
#ifndef ARAWN_NODE_STATE_H
#define ARAWN_NODE_STATE_H

#include "library.h"

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

// How a host function was called, by number as lib/host.js has them.
enum way {
    QUEUED,   // by a thread of the library, which does not wait
    IN_POLL,  // within arawn_poll
    IN_CALL   // within arawn_execute_runtime, where the thread of JavaScript waits for the reply
};

struct host_function;
struct watcher;
struct request;
struct executor;

struct state {
    napi_env env;
    uv_loop_t *loop;
    uv_thread_t thread;
    napi_ref dispatch;
    napi_async_context context;
    // What the thread of JavaScript is inside of now. QUEUED means: in nothing that runs host functions.
    enum way way;

    // Wakes the event loop for `first`. Any thread may add a request.
    uv_async_t woken;
    // Posted for it as well, while the thread of JavaScript waits for a pipeline; else NULL.
    uv_sem_t *news;
    uv_mutex_t adding;
    struct request *first, **end;
    // Threads of libuv's pool that close executors: until then the library may call functions of them.
    unsigned closing;
    uv_cond_t all_closed;

    struct host_function *functions;
    struct watcher *watchers;
    struct executor *executors;

    // The end of the environment waits until each handle of libuv is closed.
    napi_async_cleanup_hook_handle cleanup;
    unsigned handles;
};

// host.c
void host_begin(struct state *state);
void host_end(struct state *state);
// Runs the functions that guests on other threads have asked.
void host_run_queued(struct state *state);
// Posts `news` for each of them from now on. Returns what was posted before.
uv_sem_t *host_wait(struct state *state, uv_sem_t *news);
napi_value host_function_set(napi_env env, napi_callback_info info);
napi_value host_function_free(napi_env env, napi_callback_info info);

// watch.c
napi_value watch(napi_env env, napi_callback_info info);
napi_value watch_hold(napi_env env, napi_callback_info info);
napi_value watch_stop(napi_env env, napi_callback_info info);
void watch_end(struct state *state);

// state.c
struct state *state_of(napi_env env);
struct state *state_new(napi_env env, napi_value dispatch);
void state_handle_closed(struct state *state);
napi_value executor_opened(napi_env env, napi_callback_info info);
// What closes an executor begins, and has ended. The second may be called on any thread.
void executor_closing(struct state *state, const char *close_json);
void executor_closed(struct state *state);

// ask.c
// The reply of the library, which is the caller's. NULL: an exception is pending.
char *ask(napi_env env, enum function function, const char *text);

// split.c
napi_value execute_split(napi_env env, napi_callback_info info);
napi_value is_whole(napi_env env, napi_callback_info info);
napi_value poll_split(napi_env env, napi_callback_info info);

// text.c
// The text of a string, in `buffer` if it has room, else on the heap. Release it with `text_free`. NULL: an exception
// is pending.
#define TEXT_BUFFER 4096
char *text_of(napi_env env, napi_value string, char *buffer);
void text_free(char *text, const char *buffer);
napi_value string_of(napi_env env, const char *text);
napi_value string_of_part(napi_env env, const char *text, size_t length);
// The same, of a reply of the library, which is released.
napi_value reply_of(napi_env env, char *reply);

#endif
