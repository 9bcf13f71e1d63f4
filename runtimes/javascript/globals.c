/* What a script finds beside the language: `console` and `arawn`. */
#include "values.h"

#include <stdlib.h>
#include <string.h>

void javascript_globals(JSContext *ctx);
void javascript_environment(JSContext *ctx);

static JSValue console_log(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    struct text text = {0};
    (void)this;
    for (int i = 0; i < argc; i++) {
        if (i != 0)
            text_byte(&text, ' ');
        value_inspect(ctx, &text, argv[i]);
    }
    write_stderr(&text);
    free(text.bytes);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry console[] = {
    JS_CFUNC_DEF("log", 0, console_log),   JS_CFUNC_DEF("info", 0, console_log),  JS_CFUNC_DEF("debug", 0, console_log),
    JS_CFUNC_DEF("warn", 0, console_log),  JS_CFUNC_DEF("error", 0, console_log),
};

/* The error that a host function answered with: its text, and its code as a property. */
static JSValue throw_reply(JSContext *ctx, const char *name, JSValueConst reply)
{
    JSValue text = JS_GetPropertyStr(ctx, reply, "error"), code = JS_GetPropertyStr(ctx, reply, "code");
    JSValue error = JS_NewError(ctx);
    if (!JS_IsString(text)) {
        JS_FreeValue(ctx, text);
        return JS_ThrowTypeError(ctx, "%s: the reply has neither an output nor an error", name);
    }
    JS_DefinePropertyValueStr(ctx, error, "message", text, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    if (!JS_IsUndefined(code))
        JS_DefinePropertyValueStr(ctx, error, "code", code, JS_PROP_C_W_E);
    return JS_Throw(ctx, error);
}

static JSValue arawn_call(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    struct text request = {0};
    size_t name_length, length;
    const char *name;
    char *bytes;
    JSValue reply, status, output = JS_UNDEFINED;
    const char *word;
    bool is_ok;
    (void)this;
    if (argc < 1 || !JS_IsString(argv[0]))
        return JS_ThrowTypeError(ctx, "arawn.call takes the name of a host function and a request");
    if (!value_write(ctx, &request, argc > 1 ? JS_DupValue(ctx, argv[1]) : JS_NULL, "request"))
        return JS_EXCEPTION;
    name = JS_ToCStringLen(ctx, &name_length, argv[0]);
    if (name == NULL)
        return JS_EXCEPTION;
    bytes = call_host(name, name_length, request.bytes, request.length, &length);
    free(request.bytes);
    reply = value_read(ctx, bytes, length, "the host's reply");
    free(bytes);
    if (JS_IsException(reply))
        return reply;
    status = JS_GetPropertyStr(ctx, reply, "status");
    word = JS_ToCString(ctx, status);
    is_ok = word != NULL && strcmp(word, "ok") == 0;
    JS_FreeCString(ctx, word);
    JS_FreeValue(ctx, status);
    output = is_ok ? JS_GetPropertyStr(ctx, reply, "output") : throw_reply(ctx, name, reply);
    JS_FreeCString(ctx, name);
    JS_FreeValue(ctx, reply);
    return output;
}

static JSValue args_array(JSContext *ctx)
{
    JSValue array = JS_NewArray(ctx);
    for (size_t i = 0; i < arguments.arg_count; i++)
        JS_DefinePropertyValueUint32(ctx, array, (uint32_t)i, JS_NewString(ctx, arguments.args[i]), JS_PROP_C_W_E);
    return array;
}

static JSValue env_object = JS_UNDEFINED;

void javascript_environment(JSContext *ctx)
{
    for (size_t i = 0; i < arguments.env_count; i++) {
        const char *entry = arguments.env[i], *value = strchr(entry, '=');
        JSAtom name;
        if (value == NULL)
            continue;
        name = JS_NewAtomLen(ctx, entry, (size_t)(value - entry));
        /* A script may have frozen the object. */
        if (JS_DefinePropertyValue(ctx, env_object, name, JS_NewString(ctx, value + 1), JS_PROP_C_W_E) < 0)
            JS_FreeValue(ctx, JS_GetException(ctx));
        JS_FreeAtom(ctx, name);
    }
}

void javascript_globals(JSContext *ctx)
{
    /* Each is made when a script first asks for it. */
    static const JSCFunctionListEntry globals[] = {
        JS_OBJECT_DEF("console", console, sizeof console / sizeof console[0], JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE),
    };
    JSValue global = JS_GetGlobalObject(ctx), arawn = JS_NewObject(ctx);
    JS_SetPropertyFunctionList(ctx, global, globals, sizeof globals / sizeof globals[0]);
    JS_DefinePropertyValueStr(ctx, arawn, "name", JS_NewString(ctx, arguments.name), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, arawn, "args", args_array(ctx), JS_PROP_C_W_E);
    env_object = JS_NewObject(ctx);
    JS_DefinePropertyValueStr(ctx, arawn, "env", JS_DupValue(ctx, env_object), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, arawn, "call", JS_NewCFunction(ctx, arawn_call, "call", 2), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, global, "arawn", arawn, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    JS_FreeValue(ctx, global);
}
