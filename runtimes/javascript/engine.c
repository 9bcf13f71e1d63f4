/*
 * QuickJS as one file with what has to see its insides.
 *
 * Nothing here or in QuickJS reads the clock or random numbers while a context is made: a snapshot of the memory is then the
 * same for each run, and what depends on either is asked for when a script asks.
 */
#include "engine.h"
#include "host.h"
#include "stack.h"
#include "values.h"

#include <stdlib.h>

static uint64_t *engine_random_state(uint64_t *state);
static int64_t engine_time_us(void);

#include "cutils.h"
#define js__gettimeofday_us engine_time_us
#include "quickjs.c"
#undef js__gettimeofday_us

bool engine_was_refused_memory;
static bool started, seeded;

static int64_t engine_time_us(void)
{
    return started ? js__gettimeofday_us() : 0;
}

static uint64_t *engine_random_state(uint64_t *state)
{
    if (started && !seeded) {
        seeded = true;
        *state = random_seed() | 1;
    }
    return state;
}

static void *kept(void *block)
{
    engine_was_refused_memory |= block == NULL;
    return block;
}

static void *engine_calloc(void *opaque, size_t count, size_t size)
{
    (void)opaque;
    return kept(calloc(count, size));
}

static void *engine_malloc(void *opaque, size_t size)
{
    (void)opaque;
    return kept(malloc(size));
}

static void engine_free(void *opaque, void *block)
{
    (void)opaque;
    free(block);
}

static void *engine_realloc(void *opaque, void *block, size_t size)
{
    (void)opaque;
    return kept(realloc(block, size));
}

JSContext *engine_new(void)
{
    static const JSMallocFunctions functions = {engine_calloc, engine_malloc, engine_free, engine_realloc,
                                                js__malloc_usable_size};
    JSRuntime *rt = JS_NewRuntime2(&functions, NULL);
    JSContext *ctx = rt == NULL ? NULL : JS_NewContextRaw(rt);
    if (ctx == NULL || JS_AddIntrinsicBaseObjects(ctx) || JS_AddIntrinsicDate(ctx) || JS_AddIntrinsicEval(ctx) ||
        JS_AddIntrinsicRegExp(ctx) || JS_AddIntrinsicJSON(ctx) || JS_AddIntrinsicProxy(ctx) ||
        JS_AddIntrinsicMapSet(ctx) || JS_AddIntrinsicTypedArrays(ctx) || JS_AddIntrinsicPromise(ctx) ||
        JS_AddIntrinsicWeakRef(ctx) || JS_AddIntrinsicAToB(ctx))
        abort();
    /* The stack begins at address 0, and grows down to it. */
    rt->stack_limit = STACK_RESERVED;
    /* Most scripts end before they have made so much. */
    JS_SetGCThreshold(rt, 4 << 20);
    started = true;
    return ctx;
}

JSValue engine_flat(JSContext *ctx, JSValue string)
{
    JSValue flat;
    if (JS_VALUE_GET_TAG(string) != JS_TAG_STRING_ROPE)
        return string;
    flat = js_linearize_string_rope(ctx, string);
    JS_FreeValue(ctx, string);
    return flat;
}

struct units engine_units(JSValueConst flat)
{
    JSString *p = JS_VALUE_GET_STRING(flat);
    struct units units = {.length = p->len};
    if (p->is_wide_char)
        units.wide = str16(p);
    else
        units.narrow = str8(p);
    return units;
}

JSValue engine_ascii(JSContext *ctx, const char *bytes, size_t length)
{
    return js_new_string8_len(ctx, bytes, (int)length);
}

JSValue engine_big_int(JSContext *ctx, const char *digits, size_t length)
{
    JSValue number = JS_StringToBigInt(ctx, JS_NewStringLen(ctx, digits, length));
    if (!JS_IsBigInt(number) && !JS_IsException(number))
        return JS_ThrowRangeError(ctx, "an integer of %zu digits is too long", length);
    return number;
}

double engine_number(const char *digits)
{
    JSATODTempMem memory;
    return js_atod(digits, NULL, 10, 0, &memory);
}

bool engine_exports_default(JSValueConst module)
{
    JSModuleDef *m = JS_VALUE_GET_PTR(module);
    for (int i = 0; i < m->export_entries_count; i++)
        if (m->export_entries[i].export_name == JS_ATOM_default)
            return true;
    return false;
}

JSValue engine_default_export(JSContext *ctx, JSValueConst module)
{
    JSValue names = JS_GetModuleNamespace(ctx, JS_VALUE_GET_PTR(module)), value;
    if (JS_IsException(names))
        return names;
    value = JS_GetProperty(ctx, names, JS_ATOM_default);
    JS_FreeValue(ctx, names);
    return value;
}

bool engine_is_generator(JSValueConst function)
{
    JSClassID class = JS_GetClassID(function);
    return class == JS_CLASS_GENERATOR_FUNCTION || class == JS_CLASS_ASYNC_GENERATOR_FUNCTION;
}

int engine_is_array(JSContext *ctx, JSValueConst value)
{
    return js_is_array(ctx, value);
}

enum kind engine_kind(JSContext *ctx, JSValueConst object, JSValue *inside)
{
    JSObject *p = JS_VALUE_GET_OBJ(object);
    switch (p->class_id) {
    case JS_CLASS_STRING:
        *inside = JS_ToString(ctx, object);
        return BOXED;
    case JS_CLASS_NUMBER:
        *inside = JS_ToNumber(ctx, object);
        return BOXED;
    case JS_CLASS_BOOLEAN:
    case JS_CLASS_BIG_INT:
        *inside = js_dup(p->u.object_data);
        return BOXED;
    case JS_CLASS_RAWJSON:
        *inside = JS_GetProperty(ctx, object, JS_ATOM_rawJSON);
        return RAW_JSON;
    default:
        return PLAIN;
    }
}

bool engine_is_deep(JSContext *ctx)
{
    if (!js_check_stack_overflow(ctx->rt, 0))
        return false;
    JS_ThrowStackOverflow(ctx);
    return true;
}

bool engine_elements(JSContext *ctx, JSValueConst array, JSValue **elements, uint32_t *count)
{
    return js_get_fast_array(ctx, array, elements, count);
}

bool engine_entries(JSContext *ctx, JSValueConst object, JSValue *entries)
{
    JSObject *p = JS_VALUE_GET_OBJ(object);
    struct list_head *link;
    uint32_t count = 0;
    if (p->class_id != JS_CLASS_MAP && p->class_id != JS_CLASS_SET)
        return false;
    *entries = JS_NewArray(ctx);
    list_for_each(link, &p->u.map_state->records) {
        JSMapRecord *record = list_entry(link, JSMapRecord, link);
        JSValue pair[2] = {js_dup(record->key), js_dup(record->value)}, entry = pair[0];
        if (record->empty)
            continue;
        if (p->class_id == JS_CLASS_MAP)
            entry = JS_NewArrayFrom(ctx, 2, pair);
        JS_DefinePropertyValueUint32(ctx, *entries, count++, entry, JS_PROP_C_W_E);
    }
    return true;
}

JSValue engine_to_json(JSContext *ctx, JSValueConst value)
{
    return JS_GetProperty(ctx, value, JS_ATOM_toJSON);
}

static JSValue run_jobs(JSContext *ctx)
{
    JSContext *of;
    int ran;
    while ((ran = JS_ExecutePendingJob(ctx->rt, &of)) > 0)
        continue;
    return ran < 0 ? JS_EXCEPTION : JS_UNDEFINED;
}

JSValue engine_await(JSContext *ctx, JSValue value)
{
    JSValue promise = value;
    if (JS_IsObject(value)) {
        JSValue then = JS_GetProperty(ctx, value, JS_ATOM_then);
        if (JS_IsFunction(ctx, then))
            promise = js_promise_resolve(ctx, ctx->promise_ctor, 1, vc(&value), 0);
        else if (JS_IsException(then))
            promise = then;
        JS_FreeValue(ctx, then);
    }
    if (JS_IsException(promise) || JS_IsException(run_jobs(ctx)))
        return JS_EXCEPTION;
    switch (JS_PromiseState(ctx, promise)) {
    case JS_PROMISE_FULFILLED:
        return JS_PromiseResult(ctx, promise);
    case JS_PROMISE_REJECTED:
        rejections_handled(ctx, promise);
        return JS_Throw(ctx, JS_PromiseResult(ctx, promise));
    case JS_PROMISE_PENDING:
        return JS_ThrowTypeError(ctx, "the promise never settles: nothing is left to run that could settle it");
    default:
        return promise;
    }
}
