#include "stack.h"
#include "values.h"

#include <math.h>
#include <stdlib.h>

/* An object that is being written, and in which place of the one around it. */
struct level {
    const struct level *around;
    JSValueConst object;
    JSAtom key; /* JS_ATOM_NULL in an array */
    uint32_t index;
    int depth;
};

struct writer {
    JSContext *ctx;
    struct text *text;
    const char *name;
};

static bool write_value(struct writer *writer, struct level *level, JSValue value);

static void write_path(struct writer *writer, struct text *text, const struct level *level)
{
    if (level->around == NULL) {
        text_puts(text, writer->name);
        return;
    }
    write_path(writer, text, level->around);
    if (level->key == JS_ATOM_NULL) {
        text_byte(text, '[');
        text_unsigned(text, level->index);
        text_byte(text, ']');
    } else {
        const char *key = JS_AtomToCString(writer->ctx, level->key);
        text_byte(text, '.');
        text_puts(text, key != NULL ? key : "?");
        JS_FreeCString(writer->ctx, key);
    }
}

/* A long path is cut. */
static bool problem(struct writer *writer, const struct level *level, const char *what)
{
    struct text path = {0};
    bool is_cut = level->depth > 20;
    while (level->depth > 20)
        level = level->around;
    write_path(writer, &path, level);
    JS_ThrowTypeError(writer->ctx, "%.200s%s %s", text_end(&path), is_cut || path.length > 200 ? "…" : "", what);
    free(path.bytes);
    return false;
}

static void write_wide(struct text *text, const uint16_t *units, uint32_t length, bool as_json)
{
    for (uint32_t i = 0; i < length; i++) {
        uint32_t c = units[i];
        bool is_pair = c >= 0xd800 && c < 0xdc00 && i + 1 < length && units[i + 1] >= 0xdc00 && units[i + 1] < 0xe000;
        char *to = text_room(text, 4);
        if (c < 0x80 && !(as_json && (c < 0x20 || c == '"' || c == '\\'))) {
            *to = (char)c;
            text->length++;
        } else if (c < 0x80) {
            json_write_escape(text, c);
        } else if (c < 0x800) {
            to[0] = (char)(0xc0 | c >> 6);
            to[1] = (char)(0x80 | (c & 63));
            text->length += 2;
        } else if (is_pair) {
            c = 0x10000 + ((c - 0xd800) << 10) + (units[++i] - 0xdc00u);
            to[0] = (char)(0xf0 | c >> 18);
            to[1] = (char)(0x80 | (c >> 12 & 63));
            to[2] = (char)(0x80 | (c >> 6 & 63));
            to[3] = (char)(0x80 | (c & 63));
            text->length += 4;
        } else if (as_json && c >= 0xd800 && c < 0xe000) {
            json_write_escape(text, c);
        } else {
            c = !as_json && c >= 0xd800 && c < 0xe000 ? 0xfffd : c;
            to[0] = (char)(0xe0 | c >> 12);
            to[1] = (char)(0x80 | (c >> 6 & 63));
            to[2] = (char)(0x80 | (c & 63));
            text->length += 3;
        }
    }
}

static void write_narrow(struct text *text, const uint8_t *units, uint32_t length, bool as_json)
{
    uint32_t i = 0;
    while (i < length) {
        uint32_t start = i;
        while (i < length && units[i] < 0x80 && (!as_json || (units[i] >= 0x20 && units[i] != '"' && units[i] != '\\')))
            i++;
        text_add(text, (const char *)units + start, i - start);
        if (i == length)
            break;
        if (units[i] >= 0x80) {
            text_byte(text, (char)(0xc0 | units[i] >> 6));
            text_byte(text, (char)(0x80 | (units[i] & 63)));
        } else {
            json_write_escape(text, units[i]);
        }
        i++;
    }
}

static bool write_string(struct writer *writer, JSValue string, bool as_json)
{
    struct units units;
    JSValue flat = engine_flat(writer->ctx, string);
    if (JS_IsException(flat))
        return false;
    units = engine_units(flat);
    if (as_json)
        text_byte(writer->text, '"');
    if (units.wide != NULL)
        write_wide(writer->text, units.wide, units.length, as_json);
    else
        write_narrow(writer->text, units.narrow, units.length, as_json);
    if (as_json)
        text_byte(writer->text, '"');
    JS_FreeValue(writer->ctx, flat);
    return true;
}

static bool write_as_text(struct writer *writer, JSValue value)
{
    JSValue string = JS_ToString(writer->ctx, value);
    JS_FreeValue(writer->ctx, value);
    return !JS_IsException(string) && write_string(writer, string, false);
}

static bool write_key(struct writer *writer, JSAtom key)
{
    JSValue string = JS_AtomToString(writer->ctx, key);
    return !JS_IsException(string) && write_string(writer, string, true);
}

/* What `toJSON` makes of a value, in its place. */
static JSValue prepared(struct writer *writer, const struct level *place, JSValue value)
{
    JSContext *ctx = writer->ctx;
    JSValue function, key, made;
    if (!JS_IsObject(value) && !JS_IsBigInt(value))
        return value;
    function = engine_to_json(ctx, value);
    if (!JS_IsFunction(ctx, function)) {
        if (JS_IsException(function))
            return function;
        JS_FreeValue(ctx, function);
        return value;
    }
    if (place->around == NULL)
        key = engine_ascii(ctx, "", 0);
    else if (place->key != JS_ATOM_NULL)
        key = JS_AtomToString(ctx, place->key);
    else
        key = JS_ToString(ctx, JS_NewUint32(ctx, place->index));
    made = JS_Call(ctx, function, value, 1, &key);
    JS_FreeValue(ctx, key);
    JS_FreeValue(ctx, function);
    JS_FreeValue(ctx, value);
    return made;
}

static bool is_written(struct writer *writer, JSValueConst value)
{
    return !JS_IsUndefined(value) && !JS_IsSymbol(value) && !JS_IsFunction(writer->ctx, value);
}

static bool write_array(struct writer *writer, const struct level *around)
{
    JSContext *ctx = writer->ctx;
    struct level place = {around, JS_UNDEFINED, JS_ATOM_NULL, 0, around->depth + 1};
    int64_t length;
    if (JS_GetLength(ctx, around->object, &length) < 0)
        return false;
    text_byte(writer->text, '[');
    for (int64_t i = 0; i < length; i++) {
        JSValue *elements, value;
        uint32_t count;
        if (i != 0)
            text_byte(writer->text, ',');
        /* Anew each time, since a getter or a toJSON may change the array. */
        if (engine_elements(ctx, around->object, &elements, &count) && i < count)
            value = JS_DupValue(ctx, elements[i]);
        else
            value = JS_GetPropertyInt64(ctx, around->object, i);
        place.index = (uint32_t)i;
        value = prepared(writer, &place, value);
        if (JS_IsException(value))
            return false;
        if (!is_written(writer, value)) {
            JS_FreeValue(ctx, value);
            value = JS_NULL;
        }
        if (!write_value(writer, &place, value))
            return false;
    }
    text_byte(writer->text, ']');
    return true;
}

static bool write_object(struct writer *writer, const struct level *around)
{
    JSContext *ctx = writer->ctx;
    struct level place = {around, JS_UNDEFINED, JS_ATOM_NULL, 0, around->depth + 1};
    JSPropertyEnum *keys;
    uint32_t count;
    bool is_first = true;
    if (JS_GetOwnPropertyNames(ctx, &keys, &count, around->object, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) < 0)
        return false;
    text_byte(writer->text, '{');
    for (uint32_t i = 0; i < count; i++) {
        JSValue value;
        place.key = keys[i].atom;
        value = prepared(writer, &place, JS_GetProperty(ctx, around->object, place.key));
        if (JS_IsException(value))
            return false;
        if (!is_written(writer, value)) {
            JS_FreeValue(ctx, value);
            continue;
        }
        if (!is_first)
            text_byte(writer->text, ',');
        is_first = false;
        if (!write_key(writer, place.key))
            return false;
        text_byte(writer->text, ':');
        if (!write_value(writer, &place, value))
            return false;
    }
    JS_FreePropertyEnum(ctx, keys, count);
    text_byte(writer->text, '}');
    return true;
}

/* Writes an object, and takes it. */
static bool write_inside(struct writer *writer, struct level *place, JSValue object)
{
    STACK_FRAME(64);
    JSValue inside;
    int is_array;
    bool written;
    if (engine_is_deep(writer->ctx))
        return false;
    switch (engine_kind(writer->ctx, object, &inside)) {
    case BOXED:
        JS_FreeValue(writer->ctx, object);
        return !JS_IsException(inside) && write_value(writer, place, inside);
    case RAW_JSON:
        JS_FreeValue(writer->ctx, object);
        return !JS_IsException(inside) && write_string(writer, inside, false);
    case PLAIN:
        break;
    }
    if (place->depth >= JSON_DEPTH)
        return problem(writer, place, JSON_TOO_DEEP);
    for (const struct level *level = place->around; level != NULL; level = level->around)
        if (JS_VALUE_GET_PTR(level->object) == JS_VALUE_GET_PTR(object))
            return problem(writer, place, "is an object that contains it: " JSON_NO_CYCLES);
    if (JS_IsPromise(object))
        return problem(writer, place, "is a promise: await it");
    is_array = engine_is_array(writer->ctx, object);
    if (is_array < 0)
        return false;
    place->object = object;
    written = is_array ? write_array(writer, place) : write_object(writer, place);
    JS_FreeValue(writer->ctx, object);
    return written;
}

/* Takes the value. */
static bool write_value(struct writer *writer, struct level *place, JSValue value)
{
    switch (JS_VALUE_GET_NORM_TAG(value)) {
    case JS_TAG_OBJECT:
        return write_inside(writer, place, value);
    case JS_TAG_STRING:
    case JS_TAG_STRING_ROPE:
        return write_string(writer, value, true);
    case JS_TAG_INT: {
        int32_t number = JS_VALUE_GET_INT(value);
        if (number < 0)
            text_byte(writer->text, '-');
        text_unsigned(writer->text, number < 0 ? -(uint64_t)number : (uint64_t)number);
        return true;
    }
    case JS_TAG_BOOL:
        text_puts(writer->text, JS_VALUE_GET_BOOL(value) ? "true" : "false");
        return true;
    case JS_TAG_FLOAT64:
        if (isfinite(JS_VALUE_GET_FLOAT64(value)))
            return write_as_text(writer, value);
        return problem(writer, place, isnan(JS_VALUE_GET_FLOAT64(value)) ? "is NaN" JSON_NO_NUMBER : "is infinite" JSON_NO_NUMBER);
    case JS_TAG_SHORT_BIG_INT:
    case JS_TAG_BIG_INT:
        return write_as_text(writer, value);
    }
    text_puts(writer->text, "null");
    return true;
}

bool value_write(JSContext *ctx, struct text *text, JSValue value, const char *name)
{
    struct writer writer = {ctx, text, name};
    struct level place = {NULL, JS_UNDEFINED, JS_ATOM_NULL, 0, 0};
    value = prepared(&writer, &place, value);
    if (JS_IsException(value))
        return false;
    return write_value(&writer, &place, is_written(&writer, value) ? value : JS_NULL);
}

bool value_write_text(JSContext *ctx, struct text *text, JSValueConst value)
{
    struct writer writer = {ctx, text, ""};
    JSValue string = JS_IsSymbol(value) ? JS_EXCEPTION : JS_ToString(ctx, value);
    if (!JS_IsException(string) && write_string(&writer, string, false))
        return true;
    JS_FreeValue(ctx, JS_GetException(ctx));
    return false;
}
