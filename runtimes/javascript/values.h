/* JavaScript's values as JSON, and as text for people. */
#ifndef JAVASCRIPT_VALUES_H
#define JAVASCRIPT_VALUES_H

#include "engine.h"
#include "json.h"

/* Reads JSON. What is wrong is thrown, and begins with `name`. An integer beyond 2^53 is a BigInt. */
JSValue value_read(JSContext *ctx, const char *bytes, size_t length, const char *name);

/*
 * Writes a value as JSON.stringify does, with these differences: a BigInt is its digits, `undefined` in the outermost place is
 * null, and numbers that are not finite and promises, which it would write as null and {}, are errors.
 * False with an exception, in which the path to what cannot be written begins with `name`.
 */
bool value_write(JSContext *ctx, struct text *text, JSValue value, const char *name);

/* Writes a value's string as UTF-8, without quotes. False where it has none, and nothing is written then. */
bool value_write_text(JSContext *ctx, struct text *text, JSValueConst value);

/*
 * Promises that are rejected, and that nothing waits for: most often an `await` is missing. The run does not fail because of
 * them. They are told on stderr.
 */
void rejections_watch(JSContext *ctx);
void rejections_handled(JSContext *ctx, JSValueConst promise);
void rejections_report(JSContext *ctx);

/* Writes a value for people. Calls nothing of the script, and ends for values without end. */
void value_inspect(JSContext *ctx, struct text *text, JSValueConst value);

#endif
