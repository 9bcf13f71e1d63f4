#include "values.h"

#include <string.h>

/* How much of a value is shown. */
#define MOST_LEVELS 4
#define MOST_ITEMS 100
#define MOST_BYTES (16 << 10)

struct level {
    const struct level *around;
    JSValueConst object;
    int depth;
};

static void inspect(JSContext *ctx, struct text *text, const struct level *around, JSValueConst value);

static void write_atom(JSContext *ctx, struct text *text, JSAtom atom)
{
    const char *name = JS_AtomToCString(ctx, atom);
    size_t length = name != NULL ? strlen(name) : 0;
    bool is_name = length != 0 && (name[0] < '0' || name[0] > '9');
    for (size_t i = 0; i < length && is_name; i++)
        is_name = (unsigned char)name[i] >= 0x80 || name[i] == '_' || name[i] == '$' ||
                  ((name[i] | 32) >= 'a' && (name[i] | 32) <= 'z') || (name[i] >= '0' && name[i] <= '9');
    if (is_name)
        text_add(text, name, length);
    else
        json_write_string(text, name != NULL ? name : "", length);
    JS_FreeCString(ctx, name);
}

/* A property that a getter makes is named, and not asked for. */
static void inspect_property(JSContext *ctx, struct text *text, const struct level *level, JSAtom key)
{
    JSPropertyDescriptor property;
    int found = JS_GetOwnProperty(ctx, &property, level->object, key);
    if (found <= 0) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        text_puts(text, "undefined");
        return;
    }
    if (property.flags & JS_PROP_GETSET)
        text_puts(text, "[getter]");
    else
        inspect(ctx, text, level, property.value);
    JS_FreeValue(ctx, property.value);
    JS_FreeValue(ctx, property.getter);
    JS_FreeValue(ctx, property.setter);
}

static bool is_separated(struct text *text, uint32_t index, uint32_t count)
{
    if (index != 0)
        text_puts(text, ", ");
    if (index < MOST_ITEMS && text->length < MOST_BYTES)
        return true;
    text_puts(text, "… ");
    text_unsigned(text, count - index);
    text_puts(text, " more");
    return false;
}

static void inspect_array(JSContext *ctx, struct text *text, const struct level *level)
{
    JSValue *elements;
    uint32_t count;
    text_byte(text, '[');
    if (engine_elements(ctx, level->object, &elements, &count)) {
        for (uint32_t i = 0; i < count && is_separated(text, i, count); i++)
            inspect(ctx, text, level, elements[i]);
    } else {
        int64_t length = 0;
        JS_GetLength(ctx, level->object, &length);
        for (uint32_t i = 0; i < (uint32_t)length && is_separated(text, i, (uint32_t)length); i++) {
            JSAtom index = JS_NewAtomUInt32(ctx, i);
            inspect_property(ctx, text, level, index);
            JS_FreeAtom(ctx, index);
        }
    }
    text_byte(text, ']');
}

static void inspect_object(JSContext *ctx, struct text *text, const struct level *level)
{
    JSPropertyEnum *keys;
    uint32_t count;
    if (JS_GetOwnPropertyNames(ctx, &keys, &count, level->object, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) < 0) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        text_puts(text, "{}");
        return;
    }
    text_byte(text, '{');
    for (uint32_t i = 0; i < count && is_separated(text, i, count); i++) {
        write_atom(ctx, text, keys[i].atom);
        text_puts(text, ": ");
        inspect_property(ctx, text, level, keys[i].atom);
    }
    text_byte(text, '}');
    JS_FreePropertyEnum(ctx, keys, count);
}

/* A property that holds a string, anywhere up the prototypes, of an error. */
static bool write_property(JSContext *ctx, struct text *text, JSValueConst object, const char *key)
{
    JSValue value = JS_GetPropertyStr(ctx, object, key);
    bool is_string = JS_IsString(value);
    if (JS_IsException(value))
        JS_FreeValue(ctx, JS_GetException(ctx));
    if (is_string)
        value_write_text(ctx, text, value);
    JS_FreeValue(ctx, value);
    return is_string;
}

/* As many languages show it: what it is, and where. */
static void inspect_error(JSContext *ctx, struct text *text, JSValueConst error)
{
    size_t before;
    if (!value_write_text(ctx, text, error))
        text_puts(text, "an error whose text cannot be had");
    text_byte(text, '\n');
    before = text->length;
    if (!write_property(ctx, text, error, "stack") || text->length == before)
        text->length--;
    while (text->length != 0 && text->bytes[text->length - 1] == '\n')
        text->length--;
}

static void inspect_function(JSContext *ctx, struct text *text, JSValueConst function)
{
    size_t before;
    text_puts(text, "[function ");
    before = text->length;
    if (!write_property(ctx, text, function, "name") || text->length == before)
        text->length--;
    text_byte(text, ']');
}

/* Of an object with a prototype that is neither Object's nor Array's, such as a Map. */
static void write_class(JSContext *ctx, struct text *text, JSValueConst object)
{
    JSAtom name = JS_GetClassName(JS_GetRuntime(ctx), JS_GetClassID(object));
    const char *class = name != JS_ATOM_NULL ? JS_AtomToCString(ctx, name) : NULL;
    if (class != NULL && strcmp(class, "Object") != 0 && strcmp(class, "Array") != 0) {
        text_puts(text, class);
        text_byte(text, ' ');
    }
    JS_FreeCString(ctx, class);
    JS_FreeAtom(ctx, name);
}

static void inspect_inside(JSContext *ctx, struct text *text, const struct level *around, JSValueConst object)
{
    struct level level = {around, object, around != NULL ? around->depth + 1 : 1};
    JSValue inside;
    for (const struct level *outer = around; outer != NULL; outer = outer->around) {
        if (JS_VALUE_GET_PTR(outer->object) == JS_VALUE_GET_PTR(object)) {
            text_puts(text, "[circular]");
            return;
        }
    }
    if (JS_IsFunction(ctx, object)) {
        inspect_function(ctx, text, object);
    } else if (JS_IsError(object)) {
        inspect_error(ctx, text, object);
    } else if (JS_IsProxy(object)) {
        text_puts(text, "[proxy]");
    } else if (JS_IsDate(object) || JS_IsRegExp(object)) {
        value_write_text(ctx, text, object);
    } else if (level.depth > MOST_LEVELS) {
        text_puts(text, JS_IsArray(object) ? "[array]" : "[object]");
    } else if (JS_IsArray(object)) {
        inspect_array(ctx, text, &level);
    } else if (engine_entries(ctx, object, &inside)) {
        struct level entries = {&level, inside, level.depth};
        write_class(ctx, text, object);
        inspect_array(ctx, text, &entries);
        JS_FreeValue(ctx, inside);
    } else {
        write_class(ctx, text, object);
        inspect_object(ctx, text, &level);
    }
}

static void inspect(JSContext *ctx, struct text *text, const struct level *around, JSValueConst value)
{
    if (JS_IsObject(value)) {
        inspect_inside(ctx, text, around, value);
    } else if (JS_IsString(value) && around != NULL) {
        size_t length;
        const char *bytes = JS_ToCStringLen(ctx, &length, value);
        json_write_string(text, bytes != NULL ? bytes : "", bytes != NULL ? length : 0);
        JS_FreeCString(ctx, bytes);
    } else if (JS_IsSymbol(value)) {
        JSAtom atom = JS_ValueToAtom(ctx, value);
        const char *name = JS_AtomToCString(ctx, atom);
        text_puts(text, "Symbol(");
        text_puts(text, name != NULL ? name : "");
        text_byte(text, ')');
        JS_FreeCString(ctx, name);
        JS_FreeAtom(ctx, atom);
    } else {
        value_write_text(ctx, text, value);
        if (JS_IsBigInt(value))
            text_byte(text, 'n');
    }
}

void value_inspect(JSContext *ctx, struct text *text, JSValueConst value)
{
    inspect(ctx, text, NULL, value);
}
