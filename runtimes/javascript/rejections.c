#include "values.h"

#include <stdlib.h>

struct rejection {
    JSValue promise, reason;
};

static struct rejection *rejections;
static size_t count, capacity;

/* How many are told. */
#define MOST 10

static void add(JSContext *ctx, JSValueConst promise, JSValueConst reason)
{
    if (count == capacity) {
        capacity = capacity == 0 ? 8 : capacity * 2;
        rejections = realloc(rejections, capacity * sizeof *rejections);
        if (rejections == NULL)
            abort();
    }
    rejections[count++] = (struct rejection){JS_DupValue(ctx, promise), JS_DupValue(ctx, reason)};
}

/* The last one first: most are handled soon after they were rejected. */
void rejections_handled(JSContext *ctx, JSValueConst promise)
{
    for (size_t i = count; i-- > 0;) {
        if (JS_VALUE_GET_PTR(rejections[i].promise) != JS_VALUE_GET_PTR(promise))
            continue;
        JS_FreeValue(ctx, rejections[i].promise);
        JS_FreeValue(ctx, rejections[i].reason);
        rejections[i] = rejections[--count];
        return;
    }
}

static void track(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool is_handled, void *opaque)
{
    (void)opaque;
    if (is_handled)
        rejections_handled(ctx, promise);
    else
        add(ctx, promise, reason);
}

void rejections_watch(JSContext *ctx)
{
    JS_SetHostPromiseRejectionTracker(JS_GetRuntime(ctx), track, NULL);
}

void rejections_report(JSContext *ctx)
{
    for (size_t i = 0; i < count && i < MOST; i++) {
        struct text text = {0};
        text_puts(&text, "a promise was rejected, and nothing waits for it: ");
        value_inspect(ctx, &text, rejections[i].reason);
        write_stderr(&text);
        free(text.bytes);
    }
}
