/* QuickJS, and what its own interface does not tell. */
#ifndef JAVASCRIPT_ENGINE_H
#define JAVASCRIPT_ENGINE_H

#include "quickjs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A context with everything that a script may use. Aborts where there is no memory for it. */
JSContext *engine_new(void);

/* Whether the host has refused memory. */
extern bool engine_was_refused_memory;

/* The units of a string, of one byte (Latin-1) or of two (UTF-16). */
struct units {
    const uint8_t *narrow;
    const uint16_t *wide;
    uint32_t length;
};

/* A string whose parts are joined, in the place of `string`. */
JSValue engine_flat(JSContext *ctx, JSValue string);
/* The units of a flat string, good while it lives. */
struct units engine_units(JSValueConst flat);

JSValue engine_ascii(JSContext *ctx, const char *bytes, size_t length);
/* The integer that decimal digits say, as a BigInt. */
JSValue engine_big_int(JSContext *ctx, const char *digits, size_t length);
double engine_number(const char *digits);

bool engine_exports_default(JSValueConst module);
JSValue engine_default_export(JSContext *ctx, JSValueConst module);

bool engine_is_generator(JSValueConst function);
/* As Array.isArray: also of a proxy of an array. -1 where it throws. */
int engine_is_array(JSContext *ctx, JSValueConst value);

enum kind { PLAIN, BOXED, RAW_JSON };
/* What JSON makes of an object. `inside` is the value of a boxed one, and JSON's text of a raw one. */
enum kind engine_kind(JSContext *ctx, JSValueConst object, JSValue *inside);

/* Whether so much of the stack is used that nothing may recurse further, which then is thrown. */
bool engine_is_deep(JSContext *ctx);

/* The elements of an array whose elements lie one behind the other. They move when the array changes. */
bool engine_elements(JSContext *ctx, JSValueConst array, JSValue **elements, uint32_t *count);

/* What a Map (as pairs) or a Set has in it, as an array. False for other objects. */
bool engine_entries(JSContext *ctx, JSValueConst object, JSValue *entries);

JSValue engine_to_json(JSContext *ctx, JSValueConst value);

/* What a promise, or an object with `then`, comes to once nothing is left to run; another value as it is. */
JSValue engine_await(JSContext *ctx, JSValue value);

#endif
