#include "library.h"

#include <stdbool.h>
#include <stdio.h>
#include <uv.h>

struct library arawn;

static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t loading;
static bool loaded;

static void begin(void)
{
    uv_mutex_init(&loading);
}

static const struct {
    const char *name;
    void **place;
} SYMBOLS[] = {
    {"arawn_cancel", (void **)&arawn.functions[CANCEL]},
    {"arawn_catalog_inspect", (void **)&arawn.functions[CATALOG_INSPECT]},
    {"arawn_catalog_list", (void **)&arawn.functions[CATALOG_LIST]},
    {"arawn_catalog_register", (void **)&arawn.functions[CATALOG_REGISTER]},
    {"arawn_catalog_remove", (void **)&arawn.functions[CATALOG_REMOVE]},
    {"arawn_configure", (void **)&arawn.functions[CONFIGURE]},
    {"arawn_execute_pipeline", (void **)&arawn.functions[EXECUTE_PIPELINE]},
    {"arawn_execute_runtime", (void **)&arawn.functions[EXECUTE_RUNTIME]},
    {"arawn_executor_close", (void **)&arawn.functions[EXECUTOR_CLOSE]},
    {"arawn_executor_new", (void **)&arawn.functions[EXECUTOR_NEW]},
    {"arawn_host_reply", (void **)&arawn.functions[HOST_REPLY]},
    {"arawn_poll", (void **)&arawn.functions[POLL]},
    {"arawn_poll_descriptor", (void **)&arawn.functions[POLL_DESCRIPTOR]},
    {"arawn_stats", (void **)&arawn.functions[STATS]},
    {"arawn_submit", (void **)&arawn.functions[SUBMIT]},
    {"arawn_host_function_set", (void **)&arawn.host_function_set},
    {"arawn_string_new", (void **)&arawn.string_new},
    {"arawn_free", (void **)&arawn.free},
    {"arawn_version", (void **)&arawn.version},
};

void library_load(const char *path, char *problem, unsigned long size)
{
    uv_lib_t file;
    uv_once(&once, begin);
    uv_mutex_lock(&loading);
    problem[0] = '\0';
    if (!loaded) {
        bool failed = uv_dlopen(path, &file) != 0;
        for (size_t i = 0; !failed && i < sizeof SYMBOLS / sizeof *SYMBOLS; i++)
            failed = uv_dlsym(&file, SYMBOLS[i].name, SYMBOLS[i].place) != 0;
        if (failed) {
            snprintf(problem, size, "%s", uv_dlerror(&file));
            uv_dlclose(&file);
        }
        loaded = !failed;
    }
    uv_mutex_unlock(&loading);
}
