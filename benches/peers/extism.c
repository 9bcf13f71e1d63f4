/* Extism: a plug-in that all calls share, and one for each call, of a module that is compiled once. There are no
 * limits and no deadline. */
#include "peers.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct ExtismPlugin ExtismPlugin;
typedef struct ExtismCompiledPlugin ExtismCompiledPlugin;

static ExtismCompiledPlugin *(*compiled_plugin_new)(const uint8_t *wasm, uint64_t wasm_size, const void **functions,
                                                    uint64_t n_functions, bool with_wasi, char **error);
static ExtismPlugin *(*plugin_new_from_compiled)(const ExtismCompiledPlugin *compiled, char **error);
static int32_t (*plugin_call)(ExtismPlugin *plugin, const char *function, const uint8_t *data, uint64_t length);
static const char *(*plugin_error)(ExtismPlugin *plugin);
static uint64_t (*plugin_output_length)(ExtismPlugin *plugin);
static const uint8_t *(*plugin_output_data)(ExtismPlugin *plugin);
static void (*plugin_free)(ExtismPlugin *plugin);

static ExtismCompiledPlugin *compiled;
static ExtismPlugin *shared;

static ExtismPlugin *fresh(void)
{
    char *error = NULL;
    ExtismPlugin *plugin = plugin_new_from_compiled(compiled, &error);
    if (!plugin)
        fail("Extism: %s", error);
    return plugin;
}

static void call(ExtismPlugin *plugin, const char *function, const struct input *input, struct bytes *reply)
{
    const uint8_t *output;
    uint64_t length;
    if (plugin_call(plugin, function, (const uint8_t *)input->json, input->length) != 0)
        fail("Extism: %s", plugin_error(plugin));
    length = plugin_output_length(plugin);
    output = plugin_output_data(plugin);
    if (length != input->length)
        fail("Extism: a reply of %lu bytes", (unsigned long)length);
    if (reply)
        append(reply, output, length);
}

static void call_shared(const struct input *input, struct bytes *reply)
{
    call(shared, "echo", input, reply);
}

static void call_unread(const struct input *input, struct bytes *reply)
{
    call(shared, "unread", input, reply);
}

static void call_fresh(const struct input *input, struct bytes *reply)
{
    ExtismPlugin *plugin = fresh();
    call(plugin, "echo", input, reply);
    plugin_free(plugin);
}

int extism_ways(struct way *ways, const struct input *inputs)
{
    static const struct way all[] = {
        {"Extism, a fresh plug-in for each call", ECHO, call_fresh},
        {"Extism, one plug-in for all calls", ECHO, call_shared},
        {"the same, with a plug-in that hands back its input unread", ECHO, call_unread},
    };
    void *library = load("EXTISM_LIBRARY");
    /* Extism takes the text of a module, too. */
    struct bytes module = contents("plugin.wat");
    char *error = NULL;
    (void)inputs;
    if (!library || !module.data)
        return 0;
    find(library, "extism_compiled_plugin_new", &compiled_plugin_new);
    find(library, "extism_plugin_new_from_compiled", &plugin_new_from_compiled);
    find(library, "extism_plugin_call", &plugin_call);
    find(library, "extism_plugin_error", &plugin_error);
    find(library, "extism_plugin_output_length", &plugin_output_length);
    find(library, "extism_plugin_output_data", &plugin_output_data);
    find(library, "extism_plugin_free", &plugin_free);
    compiled = compiled_plugin_new((const uint8_t *)module.data, module.length, NULL, 0, false, &error);
    if (!compiled)
        fail("Extism: %s", error);
    shared = fresh();
    memcpy(ways, all, sizeof all);
    return sizeof all / sizeof *all;
}
