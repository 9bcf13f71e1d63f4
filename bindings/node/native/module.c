// The add-on: the functions of libarawn for one thread of JavaScript. It hands texts over, and leaves all that they mean
// to lib/. It uses Node-API and libuv alone, whose interfaces stay the same from version to version of Node.js.
#include "library.h"
#include "state.h"

#include <stdlib.h>

static napi_value fail(napi_env env, const char *text)
{
    napi_throw_error(env, NULL, text);
    return NULL;
}

// (path, dispatch): loads the library. `dispatch` is called for host functions.
static napi_value load(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2];
    char buffer[TEXT_BUFFER], problem[1024];
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    char *path = text_of(env, arguments[0], buffer);
    if (path == NULL)
        return NULL;
    library_load(path, problem, sizeof problem);
    text_free(path, buffer);
    if (problem[0] != '\0')
        return fail(env, problem);
    if (state_of(env) == NULL && state_new(env, arguments[1]) == NULL)
        return fail(env, "no memory is left for arawn");
    return NULL;
}

// Whether an argument numbers a function of the library.
static bool is_function(napi_env env, napi_value number, uint32_t *index)
{
    return state_of(env) != NULL && napi_get_value_uint32(env, number, index) == napi_ok && *index < FUNCTIONS;
}

// (number, request_json): the reply.
static napi_value call(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    uint32_t index;
    napi_value arguments[2];
    char buffer[TEXT_BUFFER];
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    if (!is_function(env, arguments[0], &index))
        return fail(env, "there is no such function");
    char *text = text_of(env, arguments[1], buffer);
    if (text == NULL)
        return NULL;
    struct state *state = state_of(env);
    if (index == EXECUTOR_CLOSE)
        executor_closing(state, text);
    char *reply = ask(env, index, text);
    if (index == EXECUTOR_CLOSE)
        executor_closed(state);
    text_free(text, buffer);
    return reply != NULL ? reply_of(env, reply) : NULL;
}

// A call on a thread of libuv's pool.
struct work {
    napi_async_work work;
    napi_deferred deferred;
    struct state *state;
    uint32_t index;
    char *text, *reply;
    char buffer[TEXT_BUFFER];
};

static void run(napi_env env, void *data)
{
    struct work *work = data;
    (void)env;
    work->reply = arawn.functions[work->index](work->text);
    if (work->index == EXECUTOR_CLOSE)
        executor_closed(work->state);
}

static void complete(napi_env env, napi_status status, void *data)
{
    struct work *work = data;
    napi_value reply = status == napi_ok ? reply_of(env, work->reply) : NULL;
    if (reply != NULL) {
        napi_resolve_deferred(env, work->deferred, reply);
    } else {
        napi_value problem;
        napi_get_and_clear_last_exception(env, &problem);
        napi_reject_deferred(env, work->deferred, problem);
    }
    napi_delete_async_work(env, work->work);
    text_free(work->text, work->buffer);
    free(work);
}

// (number, request_json): a promise of the reply.
static napi_value later(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2], promise, name;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    struct work *work = calloc(1, sizeof *work);
    if (work == NULL || !is_function(env, arguments[0], &work->index)) {
        free(work);
        return fail(env, "there is no such function");
    }
    work->text = text_of(env, arguments[1], work->buffer);
    if (work->text == NULL) {
        free(work);
        return NULL;
    }
    work->state = state_of(env);
    if (work->index == EXECUTOR_CLOSE)
        executor_closing(work->state, work->text);
    napi_create_promise(env, &work->deferred, &promise);
    napi_create_string_utf8(env, "arawn", NAPI_AUTO_LENGTH, &name);
    napi_create_async_work(env, NULL, name, run, complete, work, &work->work);
    napi_queue_async_work(env, work->work);
    return promise;
}

static napi_value version(napi_env env, napi_callback_info info)
{
    (void)info;
    return string_of(env, arawn.version());
}

NAPI_MODULE_INIT()
{
    static const struct {
        const char *name;
        napi_callback function;
    } FUNCTIONS_OF_JS[] = {
        {"load", load},
        {"call", call},
        {"later", later},
        {"version", version},
        {"executorOpened", executor_opened},
        {"hostFunctionSet", host_function_set},
        {"hostFunctionFree", host_function_free},
        {"executeSplit", execute_split},
        {"isWhole", is_whole},
        {"pollSplit", poll_split},
        {"watch", watch},
        {"watchHold", watch_hold},
        {"watchStop", watch_stop},
    };
    for (size_t i = 0; i < sizeof FUNCTIONS_OF_JS / sizeof *FUNCTIONS_OF_JS; i++) {
        napi_value function;
        if (napi_create_function(env, FUNCTIONS_OF_JS[i].name, NAPI_AUTO_LENGTH, FUNCTIONS_OF_JS[i].function, NULL,
                                 &function) != napi_ok ||
            napi_set_named_property(env, exports, FUNCTIONS_OF_JS[i].name, function) != napi_ok)
            return NULL;
    }
    return exports;
}
