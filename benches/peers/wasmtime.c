/*
 * wasmtime's C interface, two ways. Each call has a store, its stdin from bytes, and its stdout into a buffer. There are no
 * limits and no deadline.
 *
 * The usual way follows wasmtime's examples: the engine as it comes, and a linker that makes the instance of each call.
 * Engine, module and linker are made once. The tuned way has a pool of instances and looks up the module's imports once.
 *
 * The package has no headers, so what is used of them is declared here.
 */
#include "peers.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct wasm_config wasm_config_t;
typedef struct wasm_engine wasm_engine_t;
typedef struct wasm_trap wasm_trap_t;
typedef struct wasi_config wasi_config_t;
typedef struct wasmtime_context wasmtime_context_t;
typedef struct wasmtime_error wasmtime_error_t;
typedef struct wasmtime_instance_pre wasmtime_instance_pre_t;
typedef struct wasmtime_linker wasmtime_linker_t;
typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_pool wasmtime_pool_t;
typedef struct wasmtime_store wasmtime_store_t;

typedef struct {
    size_t size;
    char *data;
} wasm_byte_vec_t;

typedef struct {
    uint64_t store;
    size_t index;
} wasmtime_instance_t;

typedef struct {
    uint64_t store;
    void *function;
} wasmtime_func_t;

typedef struct {
    uint8_t kind;
    union {
        wasmtime_func_t func;
        uint64_t room[8]; /* at least as large as the other kinds */
    } of;
} wasmtime_extern_t;

static void (*byte_vec_new)(wasm_byte_vec_t *vec, size_t size, const char *data);
static wasm_config_t *(*config_new)(void);
static wasm_engine_t *(*engine_new_with_config)(wasm_config_t *config);
static wasmtime_pool_t *(*pool_new)(void);
static void (*pool_keep_resident)(wasmtime_pool_t *pool, size_t bytes);
static void (*pool_set)(wasm_config_t *config, const wasmtime_pool_t *pool);
static void (*error_message)(const wasmtime_error_t *error, wasm_byte_vec_t *message);
static void (*trap_message)(const wasm_trap_t *trap, wasm_byte_vec_t *message);
static wasmtime_error_t *(*module_new)(wasm_engine_t *engine, const uint8_t *wasm, size_t size, wasmtime_module_t **module);
static wasmtime_linker_t *(*linker_new)(wasm_engine_t *engine);
static wasmtime_error_t *(*linker_define_wasi)(wasmtime_linker_t *linker);
static wasmtime_error_t *(*linker_instantiate)(const wasmtime_linker_t *linker, wasmtime_context_t *context,
                                               const wasmtime_module_t *module, wasmtime_instance_t *instance,
                                               wasm_trap_t **trap);
static wasmtime_error_t *(*linker_instantiate_pre)(const wasmtime_linker_t *linker, const wasmtime_module_t *module,
                                                   wasmtime_instance_pre_t **pre);
static wasmtime_error_t *(*pre_instantiate)(const wasmtime_instance_pre_t *pre, wasmtime_context_t *context,
                                            wasmtime_instance_t *instance, wasm_trap_t **trap);
static wasmtime_store_t *(*store_new)(wasm_engine_t *engine, void *data, void (*finalizer)(void *data));
static wasmtime_context_t *(*store_context)(wasmtime_store_t *store);
static void (*store_delete)(wasmtime_store_t *store);
static wasmtime_error_t *(*context_set_wasi)(wasmtime_context_t *context, wasi_config_t *wasi);
static wasi_config_t *(*wasi_new)(void);
static void (*wasi_stdin_bytes)(wasi_config_t *wasi, wasm_byte_vec_t *bytes);
static void (*wasi_stdout)(wasi_config_t *wasi, ptrdiff_t (*write)(void *data, const unsigned char *bytes, size_t size),
                           void *data, void (*finalizer)(void *data));
static bool (*export_get)(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name, size_t length,
                          wasmtime_extern_t *item);
static wasmtime_error_t *(*func_call)(wasmtime_context_t *context, const wasmtime_func_t *func, const void *args, size_t n_args,
                                      void *results, size_t n_results, wasm_trap_t **trap);

/* An engine with both guests. The tuned one has instances that are prepared. */
struct embedding {
    wasm_engine_t *engine;
    wasmtime_linker_t *linker;
    wasmtime_module_t *modules[2];
    wasmtime_instance_pre_t *prepared[2];
};

static struct embedding usual, tuned;

static void check(const wasmtime_error_t *error, const wasm_trap_t *trap)
{
    wasm_byte_vec_t message;
    if (!error && !trap)
        return;
    if (error)
        error_message(error, &message);
    else
        trap_message(trap, &message);
    fail("wasmtime: %.*s", (int)message.size, message.data);
}

static ptrdiff_t take(void *output, const unsigned char *bytes, size_t size)
{
    append(output, bytes, size);
    return (ptrdiff_t)size;
}

static void call(const struct embedding *embedding, enum guest guest, const struct input *input, struct bytes *reply)
{
    static struct bytes output;
    wasmtime_store_t *store = store_new(embedding->engine, NULL, NULL);
    wasmtime_context_t *context = store_context(store);
    wasi_config_t *wasi = wasi_new();
    wasmtime_instance_t instance;
    wasmtime_extern_t start;
    wasm_byte_vec_t bytes;
    wasm_trap_t *trap = NULL;

    output.length = 0;
    byte_vec_new(&bytes, input->length, input->json);
    wasi_stdin_bytes(wasi, &bytes);
    wasi_stdout(wasi, take, &output, NULL);
    check(context_set_wasi(context, wasi), NULL);
    if (embedding->prepared[guest])
        check(pre_instantiate(embedding->prepared[guest], context, &instance, &trap), trap);
    else
        check(linker_instantiate(embedding->linker, context, embedding->modules[guest], &instance, &trap), trap);
    if (!export_get(context, &instance, "_start", 6, &start))
        fail("wasmtime: the module has no _start");
    check(func_call(context, &start.of.func, NULL, 0, NULL, 0, &trap), trap);
    store_delete(store);

    if (output.length < input->length)
        fail("wasmtime: a reply of %lu bytes", (unsigned long)output.length);
    if (reply)
        append(reply, output.data, output.length);
}

static void call_passthrough(const struct input *input, struct bytes *reply)
{
    call(&usual, PASSTHROUGH, input, reply);
}

static void call_passthrough_tuned(const struct input *input, struct bytes *reply)
{
    call(&tuned, PASSTHROUGH, input, reply);
}

static void call_echo(const struct input *input, struct bytes *reply)
{
    call(&usual, ECHO, input, reply);
}

static void call_echo_tuned(const struct input *input, struct bytes *reply)
{
    call(&tuned, ECHO, input, reply);
}

static void embed(struct embedding *embedding, int pooled)
{
    wasm_config_t *config = config_new();
    if (pooled) {
        wasmtime_pool_t *pool = pool_new();
        pool_keep_resident(pool, 64 << 10);
        pool_set(config, pool);
    }
    embedding->engine = engine_new_with_config(config);
    embedding->linker = linker_new(embedding->engine);
    check(linker_define_wasi(embedding->linker), NULL);
}

static int add(struct embedding *embedding, enum guest guest, const char *file, int pooled)
{
    struct bytes wasm = contents(file);
    if (!wasm.data)
        return 0;
    check(module_new(embedding->engine, (const uint8_t *)wasm.data, wasm.length, &embedding->modules[guest]), NULL);
    if (pooled)
        check(linker_instantiate_pre(embedding->linker, embedding->modules[guest], &embedding->prepared[guest]), NULL);
    free(wasm.data);
    return 1;
}

static void find_all(void *library)
{
    find(library, "wasm_byte_vec_new", &byte_vec_new);
    find(library, "wasm_config_new", &config_new);
    find(library, "wasm_engine_new_with_config", &engine_new_with_config);
    find(library, "wasmtime_pooling_allocation_config_new", &pool_new);
    find(library, "wasmtime_pooling_allocation_config_linear_memory_keep_resident_set", &pool_keep_resident);
    find(library, "wasmtime_pooling_allocation_strategy_set", &pool_set);
    find(library, "wasmtime_error_message", &error_message);
    find(library, "wasm_trap_message", &trap_message);
    find(library, "wasmtime_module_new", &module_new);
    find(library, "wasmtime_linker_new", &linker_new);
    find(library, "wasmtime_linker_define_wasi", &linker_define_wasi);
    find(library, "wasmtime_linker_instantiate", &linker_instantiate);
    find(library, "wasmtime_linker_instantiate_pre", &linker_instantiate_pre);
    find(library, "wasmtime_instance_pre_instantiate", &pre_instantiate);
    find(library, "wasmtime_store_new", &store_new);
    find(library, "wasmtime_store_context", &store_context);
    find(library, "wasmtime_store_delete", &store_delete);
    find(library, "wasmtime_context_set_wasi", &context_set_wasi);
    find(library, "wasi_config_new", &wasi_new);
    find(library, "wasi_config_set_stdin_bytes", &wasi_stdin_bytes);
    find(library, "wasi_config_set_stdout_custom", &wasi_stdout);
    find(library, "wasmtime_instance_export_get", &export_get);
    find(library, "wasmtime_func_call", &func_call);
}

int wasmtime_ways(struct way *ways, const struct input *inputs)
{
    static const struct way passthrough[] = {
        {"wasmtime's C interface, the usual way", PASSTHROUGH, call_passthrough},
        {"wasmtime's C interface, tuned: a pool of instances, imports looked up once", PASSTHROUGH, call_passthrough_tuned},
    };
    static const struct way echo[] = {
        {"wasmtime's C interface, the usual way", ECHO, call_echo},
        {"wasmtime's C interface, tuned: a pool of instances, imports looked up once", ECHO, call_echo_tuned},
    };
    void *library = load("WASMTIME_LIBRARY");
    int count = 0;
    (void)inputs;
    if (!library)
        return 0;
    find_all(library);
    embed(&usual, 0);
    embed(&tuned, 1);
    if (add(&usual, PASSTHROUGH, "passthrough.wasm", 0) && add(&tuned, PASSTHROUGH, "passthrough.wasm", 1)) {
        ways[count++] = passthrough[0];
        ways[count++] = passthrough[1];
    }
    if (add(&usual, ECHO, "catalog/echo.wasm", 0) && add(&tuned, ECHO, "catalog/echo.wasm", 1)) {
        ways[count++] = echo[0];
        ways[count++] = echo[1];
    }
    return count;
}
