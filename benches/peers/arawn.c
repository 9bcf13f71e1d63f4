/* libarawn: `arawn_execute_runtime`, each call in a fresh sandbox with a deadline and limits. */
#include "peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *(*executor_new)(const char *config_json);
static char *(*execute_runtime)(const char *request_json);
static void (*release)(char *reply);

/* A host makes the text of its request once, whatever the library. */
static char *requests[2][SIZES];

static void call(enum guest guest, const struct input *input, struct bytes *reply)
{
    char *text = execute_runtime(requests[guest][input->size]);
    size_t length = strlen(text);
    if (strncmp(text, "{\"status\":\"ok\"", 14) != 0 || length < input->length)
        fail("libarawn: %s", text);
    if (reply)
        append(reply, text, length);
    release(text);
}

static void call_passthrough(const struct input *input, struct bytes *reply)
{
    call(PASSTHROUGH, input, reply);
}

static void call_echo(const struct input *input, struct bytes *reply)
{
    call(ECHO, input, reply);
}

static void prepare(enum guest guest, const char *runtime, const struct input *inputs)
{
    int size;
    for (size = 0; size < SIZES; size++) {
        struct bytes request = {NULL, 0, 0};
        char before[128];
        snprintf(before, sizeof before, "{\"executor\":\"peers\",\"runtime\":\"%s\",\"input\":", runtime);
        append(&request, before, strlen(before));
        append(&request, inputs[size].json, inputs[size].length);
        append(&request, "}", 2);
        requests[guest][size] = request.data;
    }
}

int arawn_ways(struct way *ways, const struct input *inputs)
{
    static const struct way passthrough = {"libarawn, a fresh sandbox for each call", PASSTHROUGH, call_passthrough};
    static const struct way echo = {"libarawn, a fresh sandbox for each call", ECHO, call_echo};
    void *library = load("ARAWN_LIBRARY");
    struct bytes module;
    char config[4096];
    char *reply;
    if (!library)
        return 0;
    find(library, "arawn_executor_new", &executor_new);
    find(library, "arawn_execute_runtime", &execute_runtime);
    find(library, "arawn_free", &release);
    snprintf(config, sizeof config, "{\"id\":\"peers\",\"cache_dir\":null,\"runtimes_dir\":\"%s/catalog\"}",
             directory());
    reply = executor_new(config);
    if (strncmp(reply, "{\"status\":\"ok\"", 14) != 0)
        fail("libarawn: %s", reply);
    release(reply);
    prepare(PASSTHROUGH, "passthrough", inputs);
    ways[0] = passthrough;
    module = contents("catalog/echo.wasm");
    if (!module.data)
        return 1;
    free(module.data);
    prepare(ECHO, "echo", inputs);
    ways[1] = echo;
    return 2;
}
