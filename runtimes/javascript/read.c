#include "stack.h"
#include "values.h"

#include <stdlib.h>

struct reader {
    struct json json;
    JSContext *ctx;
    const char *name;
    JSValue *values; /* the elements of the arrays that are being read */
    size_t count, capacity;
};

static JSValue read_value(struct reader *reader, int depth);

static JSValue problem(struct reader *reader, const char *what)
{
    if (what != NULL)
        return JS_ThrowSyntaxError(reader->ctx, "%s %s", reader->name, what);
    return JS_ThrowSyntaxError(reader->ctx, "%s is not JSON: %s at byte %zu", reader->name, reader->json.problem,
                               (size_t)(reader->json.at - reader->json.begin));
}

static JSValue read_string(struct reader *reader)
{
    struct json_string string;
    if (!json_string(&reader->json, &string))
        return problem(reader, NULL);
    if (string.is_ascii)
        return engine_ascii(reader->ctx, string.bytes, string.length);
    return JS_NewStringLen(reader->ctx, string.bytes, string.length);
}

/* Numbers up to here are exact, each by itself. */
#define MOST_EXACT (INT64_C(1) << 53)

static JSValue read_number(struct reader *reader)
{
    struct json_number number;
    double value;
    if (!json_number(&reader->json, &number))
        return problem(reader, NULL);
    if (number.is_exact && !number.is_integer)
        return JS_NewFloat64(reader->ctx, number.value);
    if (number.is_exact && number.integer >= -MOST_EXACT && number.integer <= MOST_EXACT)
        return JS_NewInt64(reader->ctx, number.integer);
    value = engine_number(number.bytes);
    if (number.is_integer && value != 0)
        return engine_big_int(reader->ctx, number.bytes, number.length);
    return JS_NewFloat64(reader->ctx, value);
}

static void keep(struct reader *reader, JSValue value)
{
    if (reader->count == reader->capacity) {
        reader->capacity = reader->capacity == 0 ? 64 : reader->capacity * 2;
        reader->values = realloc(reader->values, reader->capacity * sizeof *reader->values);
        if (reader->values == NULL)
            abort();
    }
    reader->values[reader->count++] = value;
}

static JSValue read_array(struct reader *reader, int depth)
{
    size_t first = reader->count;
    JSValue array;
    reader->json.at++;
    if (json_take(&reader->json, ']'))
        return JS_NewArray(reader->ctx);
    do {
        JSValue value = read_value(reader, depth + 1);
        if (JS_IsException(value))
            return value;
        keep(reader, value);
    } while (json_take(&reader->json, ','));
    if (!json_take(&reader->json, ']')) {
        reader->json.problem = "no comma or bracket after an element";
        return problem(reader, NULL);
    }
    array = JS_NewArrayFrom(reader->ctx, (int)(reader->count - first), reader->values + first);
    reader->count = first;
    return array;
}

static JSValue read_object(struct reader *reader, int depth)
{
    JSContext *ctx = reader->ctx;
    JSValue object = JS_NewObject(ctx);
    reader->json.at++;
    if (JS_IsException(object) || json_take(&reader->json, '}'))
        return object;
    do {
        struct json_string key;
        JSAtom atom;
        JSValue value;
        if (!json_string(&reader->json, &key))
            return problem(reader, NULL);
        atom = JS_NewAtomLen(ctx, key.bytes, key.length);
        if (atom == JS_ATOM_NULL)
            return JS_EXCEPTION;
        if (!json_take(&reader->json, ':')) {
            reader->json.problem = "no colon after a key";
            return problem(reader, NULL);
        }
        value = read_value(reader, depth + 1);
        if (JS_IsException(value) || JS_DefinePropertyValue(ctx, object, atom, value, JS_PROP_C_W_E) < 0)
            return JS_EXCEPTION;
        JS_FreeAtom(ctx, atom);
    } while (json_take(&reader->json, ','));
    if (json_take(&reader->json, '}'))
        return object;
    reader->json.problem = "no comma or brace after a value";
    return problem(reader, NULL);
}

static JSValue read_value(struct reader *reader, int depth)
{
    STACK_FRAME(32);
    struct json *json = &reader->json;
    char next = json_next(json);
    if (depth > JSON_DEPTH)
        return problem(reader, JSON_TOO_DEEP);
    if ((next == '{' || next == '[') && engine_is_deep(reader->ctx))
        return JS_EXCEPTION;
    switch (next) {
    case '{':
        return read_object(reader, depth);
    case '[':
        return read_array(reader, depth);
    case '"':
        return read_string(reader);
    case 't':
        return json_word(json, "true") ? JS_TRUE : problem(reader, NULL);
    case 'f':
        return json_word(json, "false") ? JS_FALSE : problem(reader, NULL);
    case 'n':
        return json_word(json, "null") ? JS_NULL : problem(reader, NULL);
    default:
        return read_number(reader);
    }
}

/* What was read before something was wrong is not freed: the call ends soon. */
JSValue value_read(JSContext *ctx, const char *bytes, size_t length, const char *name)
{
    struct reader reader = {.json = {.begin = bytes, .at = bytes, .end = bytes + length}, .ctx = ctx, .name = name};
    JSValue value = read_value(&reader, 0);
    json_next(&reader.json);
    if (!JS_IsException(value) && reader.json.at != reader.json.end) {
        reader.json.problem = "more than one value";
        value = problem(&reader, NULL);
    }
    free(reader.values);
    free(reader.json.scratch.bytes);
    return value;
}
