/* The rules of arawn.h, from C and under the address sanitizer: bad arguments, ownership, threads. */
#include "check.h"
#include <pthread.h>

#ifndef __SANITIZE_ADDRESS__
#error "this test is for the address sanitizer"
#endif

typedef char *(*function)(const char *);

static char *unset(const char *request)
{
    return arawn_host_function_set(request, NULL, NULL);
}

static const function functions[] = {
    arawn_configure,    arawn_executor_new,    arawn_executor_close,   arawn_execute_runtime, arawn_stats,
    arawn_catalog_list, arawn_catalog_inspect, arawn_catalog_register, arawn_catalog_remove,  arawn_cancel,
    arawn_submit,       arawn_poll,            arawn_poll_descriptor,  arawn_host_reply,      unset,
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* The argument is on the heap and as long as it must be, so that the sanitizer sees one byte too many. */
static char *call(function f, const char *text)
{
    char *argument = malloc(strlen(text) + 1), *reply;
    strcpy(argument, text);
    reply = f(argument);
    free(argument);
    return reply;
}

static void bad_arguments(void)
{
    static char deep[20001];
    int i;
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    for (i = 0; i < FUNCTIONS; i++) {
        const char *argument = functions[i] == arawn_configure      ? "\"argument\":\"options_json\""
                               : functions[i] == arawn_executor_new ? "\"argument\":\"config_json\""
                                                                    : "\"argument\":\"request_json\"";
        CHECK(says(functions[i](NULL), argument));
        CHECK(says(functions[i](NULL), "\"code\":\"invalid_argument\""));
        CHECK(says(call(functions[i], "{\"executor\":\"\xff\"}"), "\"byte\":13"));
        CHECK(says(call(functions[i], ""), "\"code\":\"invalid_json\""));
        CHECK(says(call(functions[i], "{\"executor\":\n \"a\""), "\"details\":{\"line\":2,\"column\":4}"));
        CHECK(says(call(functions[i], "{} {}"), "\"code\":\"invalid_json\""));
        CHECK(says(call(functions[i], "nul"), "\"code\":\"invalid_json\""));
        CHECK(says(call(functions[i], deep), "\"code\":\"invalid_"));
        CHECK(says(call(functions[i], "[\"a\",\"b\"]"), "must be an object"));
        CHECK(says(call(functions[i], "{\"timeoutms\":1}"), "`timeoutms` is an unknown key; known keys: `"));
    }
}

static void *one_thread(void *unused)
{
    int i;
    for (i = 0; i < 200; i++)
        CHECK(says(call(arawn_execute_runtime, "{\"executor\":\"c\",\"runtime\":\"passthrough\",\"input\":{\"context\":[1]}}"),
                   "{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":[1]}}"));
    return unused;
}

static void threads(void)
{
    pthread_t thread[8];
    int i;
    for (i = 0; i < 8; i++)
        CHECK(pthread_create(&thread[i], NULL, one_thread, NULL) == 0);
    for (i = 0; i < 8; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

/* A stack that is small for C, and far too small for a guest's recursion. */
static void *on_a_small_stack(void *unused)
{
    CHECK(says(call(arawn_execute_runtime, "{\"executor\":\"c\",\"runtime\":\"passthrough\"}"), "\"status\":\"ok\""));
    return unused;
}

static void small_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 64 * 1024) == 0);
    CHECK(pthread_create(&thread, &attributes, on_a_small_stack, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv)
{
    char version[32];
    char *reply;
    (void)argv;
    sprintf(version, "%d.%d.%d", ARAWN_VERSION_MAJOR, ARAWN_VERSION_MINOR, ARAWN_VERSION_PATCH);
    CHECK(strcmp(arawn_version(), version) == 0);
    arawn_free(NULL);
    CHECK(arawn_string_new(NULL) == NULL);
    reply = arawn_string_new("text");
    CHECK(strcmp(reply, "text") == 0);
    arawn_free(reply);
    bad_arguments();
    CHECK(says(call(arawn_stats, "{}"), "\"engine\":null"));
    CHECK(says(call(arawn_configure, "{\"pool_slots\":16}"), "\"pool_slots\":16"));
    CHECK(says(call(arawn_configure, "{\"pool_slots\":0}"), "\"path\":\"pool_slots\""));
    CHECK(says(call(arawn_executor_new, "{\"id\":\"c\",\"cache_dir\":null}"), "\"executor\":\"c\""));
    CHECK(says(call(arawn_configure, "{}"), "\"code\":\"invalid_config\""));
    threads();
    small_stack();
    bad_arguments();
    reply = call(arawn_executor_close, "{\"executor\":\"c\"}");
    if (argc > 1) {
        /* Asked to: a reply that is read after its release. The sanitizer must not let this pass. */
        arawn_free(reply);
        return reply[0] == '{' ? 0 : 1;
    }
    CHECK(says(reply, "{\"status\":\"ok\",\"output\":{\"executor\":\"c\"}}"));
    puts("done");
    return 0;
}
