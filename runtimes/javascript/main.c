/*
 * The runtime `javascript`: a script is one ES module, whose default export is called with {config, context}.
 *
 * script_init makes the engine and, where the arguments have the script, evaluates it. script_run reads stdin, calls and answers.
 * Nothing is freed at the end, since the memory is dropped as a whole.
 */
#include "values.h"

#include <stdlib.h>
#include <string.h>

static JSContext *ctx;
static JSValue function = JS_UNDEFINED;
/* What was thrown while the script was evaluated. The run answers with it. */
static JSValue thrown = JS_UNDEFINED;
static bool has_thrown;

void javascript_globals(JSContext *ctx);
/* Sets the variables of `arawn.env` that there are now. */
void javascript_environment(JSContext *ctx);

/*
 * Answers with what was thrown: an error's text and stack. Where it is that there is no more memory the module traps, so that
 * the host tells the limit that was hit.
 */
static void answer_exception(JSValueConst exception)
{
    static const char out_of_memory[] = "InternalError: out of memory";
    struct text text = {0};
    if (!JS_IsError(exception))
        text_puts(&text, "thrown: ");
    value_inspect(ctx, &text, exception);
    if (engine_was_refused_memory && strncmp(text_end(&text), out_of_memory, sizeof out_of_memory - 1) == 0)
        abort();
    reply_error(text.bytes, text.length);
}

static JSValue compile(const char *script, size_t length)
{
    JSValue module = JS_Eval(ctx, script, length, arguments.file, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (!JS_IsException(module) && !engine_exports_default(module))
        return JS_ThrowSyntaxError(ctx, "%s has no `export default`: a script exports the function that is called",
                                   arguments.file);
    return module;
}

static bool load(const char *script, size_t length)
{
    JSValue module = compile(script, length), evaluated;
    if (JS_IsException(module))
        return false;
    evaluated = engine_await(ctx, JS_EvalFunction(ctx, JS_DupValue(ctx, module)));
    if (JS_IsException(evaluated))
        return false;
    function = engine_default_export(ctx, module);
    if (JS_IsException(function))
        return false;
    if (!JS_IsFunction(ctx, function))
        JS_ThrowTypeError(ctx, "%s: `export default` must be a function", arguments.file);
    else if (engine_is_generator(function))
        JS_ThrowTypeError(ctx, "%s: `export default` must be a function, and is a generator", arguments.file);
    else
        return true;
    return false;
}

static void keep_exception(void)
{
    thrown = JS_GetException(ctx);
    has_thrown = true;
}

/* The line and the column of a syntax error are in its stack, if QuickJS knows them. */
static void check(void)
{
    JSValue module = compile(arguments.script, arguments.script_length), exception;
    struct text message = {0};
    size_t line = 0, column = 0;
    char *stack;
    if (!JS_IsException(module)) {
        reply_problem(NULL, 0, 0, 0);
        return;
    }
    exception = JS_GetException(ctx);
    value_inspect(ctx, &message, exception);
    stack = strstr(text_end(&message), "\n    at ");
    if (stack != NULL) {
        char *end = strchr(stack + 1, '\n');
        char *second = memrchr(stack, ':', (size_t)((end != NULL ? end : message.bytes + message.length) - stack));
        char *first = second != NULL ? memrchr(stack, ':', (size_t)(second - stack)) : NULL;
        if (first != NULL) {
            line = strtoul(first + 1, NULL, 10);
            column = column_of(arguments.script, arguments.script_length, line, strtoul(second + 1, NULL, 10));
        }
        message.length = (size_t)(stack - message.bytes);
    }
    reply_problem(message.bytes, message.length, line, column);
}

static JSModuleDef *refuse_import(JSContext *ctx, const char *name, void *opaque)
{
    (void)opaque;
    JS_ThrowReferenceError(ctx, "`%s` cannot be imported: a script is one module by itself", name);
    return NULL;
}

void script_init(void)
{
    read_arguments();
    ctx = engine_new();
    rejections_watch(ctx);
    JS_SetModuleLoaderFunc(JS_GetRuntime(ctx), NULL, refuse_import, NULL);
    javascript_globals(ctx);
    if (read_environment())
        javascript_environment(ctx);
    if (arguments.mode == RUN && !load(arguments.script, arguments.script_length))
        keep_exception();
}

/* The input's script, if the arguments have none. */
static bool load_from(JSValueConst input)
{
    JSValue config = JS_GetPropertyStr(ctx, input, "config"), script = JS_UNDEFINED;
    const char *bytes;
    size_t length;
    if (JS_IsObject(config))
        script = JS_GetPropertyStr(ctx, config, "script");
    if (!JS_IsString(script)) {
        static const char missing[] = "config.script is missing: it is the script's text",
                          wrong[] = "config.script must be a string, the script's text";
        bytes = JS_IsUndefined(script) ? missing : wrong;
        reply_error(bytes, strlen(bytes));
        return false;
    }
    bytes = JS_ToCStringLen(ctx, &length, script);
    if (bytes != NULL && load(bytes, length))
        return true;
    answer_exception(JS_GetException(ctx));
    return false;
}

static bool add_missing(JSValueConst input, const char *key)
{
    JSValue value = JS_GetPropertyStr(ctx, input, key);
    bool is_missing = JS_IsUndefined(value);
    JS_FreeValue(ctx, value);
    return !is_missing || JS_SetPropertyStr(ctx, input, key, JS_NewObject(ctx)) >= 0;
}

static bool call(JSValueConst input, struct text *reply)
{
    JSValue output = engine_await(ctx, JS_Call(ctx, function, JS_UNDEFINED, 1, &input));
    reply_begin(reply);
    return !JS_IsException(output) && value_write(ctx, reply, output, "output");
}

static void answer(void)
{
    struct text reply = {0};
    size_t length;
    char *bytes;
    JSValue input;
    if (has_thrown) {
        answer_exception(thrown);
        return;
    }
    bytes = read_stdin(&length);
    input = value_read(ctx, bytes, length, "input");
    free(bytes);
    if (JS_IsObject(input) && add_missing(input, "config") && add_missing(input, "context")) {
        if (arguments.mode == FROM_CONFIG && !load_from(input))
            return;
        if (call(input, &reply)) {
            rejections_report(ctx);
            reply_end(&reply);
            return;
        }
    } else if (!JS_IsException(input)) {
        JS_ThrowTypeError(ctx, "input must be an object with config and context");
    }
    answer_exception(JS_GetException(ctx));
}

void script_run(void)
{
    static const char usage[] = "the arguments of this runtime are none, or `run` or `check` with a file's name and a script";
    if (read_environment())
        javascript_environment(ctx);
    if (arguments.mode == CHECK)
        check();
    else if (arguments.mode == WRONG_USE)
        reply_error(usage, sizeof usage - 1);
    else
        answer();
}
