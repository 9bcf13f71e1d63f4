/* What the threads of soak.c do, good and hostile. Each action checks what it is answered, and leaves nothing behind. */
#ifndef ACTIONS_H
#define ACTIONS_H

#include "../c/check.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>

enum { REQUEST = 8192, GUESTS = 200, MODULES = 16, LARGE = 1 << 20 };

/* A guest of the catalog, the deadline that it gets, and the code with which it may end besides `timeout`; "ok" for none. */
struct guest {
    char name[70], code[30];
    int timeout_ms;
};

/* What the driver has read before the threads begin. */
static struct {
    struct guest guests[GUESTS];
    int count;
    char *modules[MODULES]; /* Base64; module k answers "m<k>" */
    const char *directory;
} world;

struct worker {
    pthread_t thread;
    int number, round;
    uint64_t random;
    char request[REQUEST + 4096];
};

typedef char *(*function)(const char *);

/* Numbers by xorshift. */
static unsigned int below(struct worker *worker, unsigned int bound)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (unsigned int)(worker->random >> 33) % bound;
}

/* Whether a reply has this code; "ok" for a good one. */
static int has_code(const char *reply, const char *code)
{
    char text[60];
    if (strncmp(reply, "{\"status\":\"ok\"", 14) == 0)
        return strcmp(code, "ok") == 0;
    sprintf(text, "\"code\":\"%s\"", code);
    return strstr(reply, text) != NULL;
}

/* The reply to a request; it must have one of the codes, which blanks part. */
static char *ask(struct worker *worker, const char *codes, function function, const char *format, ...)
{
    char code[40], *reply;
    va_list arguments;
    int length;
    va_start(arguments, format);
    vsnprintf(worker->request, sizeof worker->request, format, arguments);
    va_end(arguments);
    reply = function(worker->request);
    CHECK(reply != NULL);
    for (; sscanf(codes, "%39s%n", code, &length) == 1; codes += length)
        if (has_code(reply, code))
            return reply;
    fprintf(stderr, "%.500s\n  answered %.2000s\n", worker->request, reply);
    exit(1);
}

static void tell(struct worker *worker, function function, const char *request)
{
    arawn_free(ask(worker, "ok", function, "%s", request));
}

/* The same number comes back. */
static void echo(struct worker *worker, const char *executor, const char *runtime)
{
    char expected[100];
    unsigned int n = below(worker, 1000000);
    sprintf(expected, "{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":[%d,%u]}}", worker->number, n);
    CHECK(says(ask(worker, "ok", arawn_execute_runtime,
                   "{\"executor\":\"%s\",\"runtime\":\"%s\",\"input\":{\"context\":[%d,%u]}}", executor, runtime,
                   worker->number, n),
               expected));
}

static void good(struct worker *worker)
{
    int i;
    for (i = 0; i < 20; i++)
        echo(worker, "hostile", "passthrough");
    echo(worker, "metered", "passthrough");
    echo(worker, "hostile", "component");
}

static void hostile(struct worker *worker)
{
    const struct guest *guest = &world.guests[below(worker, (unsigned int)world.count)];
    char codes[80];
    sprintf(codes, "timeout overloaded %s", guest->code);
    arawn_free(ask(worker, codes, arawn_execute_runtime,
                   "{\"executor\":\"hostile\",\"runtime\":\"%s\",\"limits\":{\"timeout_ms\":%d}}", guest->name,
                   guest->timeout_ms));
}

static void scripts(struct worker *worker)
{
    static const char *const names[] = {"greet", "hail", "initialised"};
    const char *name = names[below(worker, 3)];
    CHECK(says(ask(worker, "ok", arawn_execute_runtime,
                   "{\"executor\":\"hostile\",\"runtime\":\"%s\",\"input\":{\"context\":{\"name\":\"you\"}}}", name),
               strcmp(name, "initialised") == 0 ? "\"output\":[1]" : "\"output\":{\"hello\":\"you\"}"));
}

static void large(struct worker *worker)
{
    static const char head[] = "{\"executor\":\"large\",\"runtime\":\"passthrough\",\"input\":{\"context\":\"";
    char *request = malloc(LARGE + 200), *reply;
    CHECK(request);
    strcpy(request, head);
    memset(request + sizeof head - 1, 'a' + worker->number, LARGE);
    strcpy(request + sizeof head - 1 + LARGE, "\"}}");
    reply = arawn_execute_runtime(request);
    CHECK(has_code(reply, "ok") && strlen(reply) > LARGE && reply[LARGE] == 'a' + worker->number);
    arawn_free(reply);
    strcpy(request + sizeof head - 1 + LARGE, "\"},\"limits\":{\"output_bytes\":1000}}");
    CHECK(says(arawn_execute_runtime(request), "\"code\":\"output_too_large\""));
    free(request);
}

static void submitted(struct worker *worker)
{
    char job[60];
    int cancels = below(worker, 2) == 0;
    sprintf(job, "\"job\":\"j-%d-%d\"", worker->number, worker->round);
    arawn_free(ask(worker, "ok", arawn_submit, "{\"executor\":\"hostile\",\"runtime\":\"%s\",%s}",
                   cancels ? "endless-loop" : "passthrough", job));
    if (cancels)
        arawn_free(ask(worker, "ok", arawn_cancel, "{\"executor\":\"hostile\",%s}", job));
    CHECK(says(ask(worker, "ok", arawn_poll, "{\"executor\":\"hostile\",%s,\"wait_ms\":60000}", job),
               cancels ? "\"code\":\"cancelled\"" : "\"reply\":{\"status\":\"ok\""));
}

static void pipelines(struct worker *worker)
{
    CHECK(says(ask(worker, "ok", arawn_execute_pipeline,
                   "{\"executor\":\"hostile\",\"context\":{\"list\":[1,2,3]},\"pipeline\":{\"steps\":["
                   "{\"name\":\"each\",\"runtime\":\"greet\",\"needs\":[],\"for_each\":\"list\"},"
                   "{\"name\":\"beside\",\"runtime\":\"component\",\"needs\":[]},"
                   "{\"name\":\"last\",\"runtime\":\"passthrough\",\"config\":%d,\"needs\":[\"each\",\"beside\"]}]}}",
                   worker->round),
               "\"each\":[{},{},{}]"));
    CHECK(says(ask(worker, "trap", arawn_execute_pipeline,
                   "{\"executor\":\"hostile\",\"pipeline\":{\"steps\":[{\"name\":\"a\",\"runtime\":\"passthrough\"},"
                   "{\"name\":\"b\",\"runtime\":\"unreachable\",\"retry\":{\"attempts\":2}}]}}"),
               "\"step\":\"b\""));
}

/* Its own name in a catalog that all threads change: a module, another one, a script. */
static void registered(struct worker *worker)
{
    char answer[60], name[20];
    int i, module = 0;
    sprintf(name, "r%d", worker->number);
    for (i = 0; i < 2; i++) {
        module = (int)below(worker, MODULES);
        arawn_free(ask(worker, "ok", arawn_catalog_register,
                       "{\"executor\":\"registry\",\"name\":\"%s\",\"wasm_base64\":\"%s\",\"replace\":true}", name,
                       world.modules[module]));
        sprintf(answer, "{\"status\":\"ok\",\"output\":\"m%d\"}", module);
        CHECK(says(ask(worker, "ok", arawn_execute_runtime, "{\"executor\":\"registry\",\"runtime\":\"%s\"}", name), answer));
    }
    arawn_free(ask(worker, "ok", arawn_catalog_register,
                   "{\"executor\":\"registry\",\"name\":\"%s\",\"language\":\"%s\",\"script\":\"%s\",\"replace\":true}",
                   name, module % 2 ? "lua" : "javascript",
                   module % 2 ? "return function() return 7 end" : "export default () => 7"));
    CHECK(says(ask(worker, "ok", arawn_execute_runtime, "{\"executor\":\"registry\",\"runtime\":\"%s\"}", name),
               "\"output\":7"));
    arawn_free(ask(worker, "ok", arawn_catalog_remove, "{\"executor\":\"registry\",\"name\":\"%s\"}", name));
    arawn_free(ask(worker, "unknown_runtime", arawn_execute_runtime, "{\"executor\":\"registry\",\"runtime\":\"%s\"}", name));
}

static void executors(struct worker *worker)
{
    char id[20], close[60];
    sprintf(id, "own-%d", worker->number);
    arawn_free(ask(worker, "ok", arawn_executor_new,
                   "{\"id\":\"%s\",\"cache_dir\":\"%s/cache\",\"runtimes_dir\":\"%s/runtimes\",\"reload\":{\"within_ms\":5}}", id,
                   world.directory, world.directory));
    echo(worker, id, "passthrough");
    echo(worker, id, "component");
    sprintf(close, "{\"executor\":\"%s\"}", id);
    tell(worker, arawn_executor_close, close);
    arawn_free(ask(worker, "unknown_executor", arawn_stats, "%s", close));
}

static void files(struct worker *worker)
{
    char text[40];
    sprintf(text, "%d of %d", worker->round, worker->number);
    arawn_free(ask(worker, "ok", arawn_execute_runtime,
                   "{\"executor\":\"files\",\"runtime\":\"file_write\",\"input\":{\"config\":{\"path\":\"/data/%d\","
                   "\"content\":\"%s\"}}}",
                   worker->number, text));
    CHECK(says(ask(worker, "ok", arawn_execute_runtime,
                   "{\"executor\":\"files\",\"runtime\":\"file_read\",\"input\":{\"config\":{\"path\":\"/data/%d\"}}}",
                   worker->number),
               text));
    arawn_free(ask(worker, "runtime_error", arawn_execute_runtime,
                   "{\"executor\":\"files\",\"runtime\":\"http\",\"input\":{\"config\":{\"url\":\"http://127.0.0.1:9/\"}}}"));
}

/* At once, later by another thread, in a poll, and never. */
static void host_functions(struct worker *worker)
{
    char job[40];
    CHECK(says(ask(worker, "ok", arawn_execute_runtime, "{\"executor\":\"host\",\"runtime\":\"now\"}"), "\"output\":7"));
    CHECK(says(ask(worker, "ok", arawn_execute_runtime, "{\"executor\":\"host\",\"runtime\":\"later\"}"), "\"output\":8"));
    arawn_free(ask(worker, "timeout overloaded", arawn_execute_runtime,
                   "{\"executor\":\"host\",\"runtime\":\"never\",\"limits\":{\"timeout_ms\":5}}"));
    sprintf(job, "\"job\":\"h-%d-%d\"", worker->number, worker->round);
    arawn_free(ask(worker, "ok", arawn_submit, "{\"executor\":\"host\",\"runtime\":\"polled\",%s}", job));
    CHECK(says(ask(worker, "ok", arawn_poll, "{\"executor\":\"host\",%s,\"wait_ms\":60000}", job), "\"output\":7"));
}

static void questions(struct worker *worker)
{
    tell(worker, arawn_stats, "{\"executor\":\"hostile\"}");
    tell(worker, arawn_catalog_list, "{\"executor\":\"hostile\"}");
    tell(worker, arawn_catalog_inspect, "{\"executor\":\"hostile\",\"name\":\"component\"}");
    arawn_free(ask(worker, "invalid_json", arawn_execute_runtime, "{\"executor\":"));
    arawn_free(ask(worker, "invalid_request", arawn_submit, "{\"executor\":\"hostile\",\"runtime\":\"a\",\"limit\":1}"));
    arawn_free(ask(worker, "unknown_job", arawn_poll, "{\"executor\":\"hostile\",\"job\":\"none\"}"));
    CHECK(says(arawn_executor_new(NULL), "\"code\":\"invalid_argument\""));
}

/* How many of a hundred actions are of each kind. What waits for the disk is rare, so that the others are many. */
static const struct {
    void (*act)(struct worker *);
    int share;
} actions[] = {
    {good, 20}, {hostile, 30}, {scripts, 12}, {large, 4}, {submitted, 8}, {pipelines, 6}, {registered, 1},
    {executors, 4}, {files, 4}, {host_functions, 6}, {questions, 5},
};

static void act(struct worker *worker)
{
    int left = (int)below(worker, 100);
    size_t i = 0;
    for (; left >= actions[i].share; i++)
        left -= actions[i].share;
    actions[i].act(worker);
    worker->round++;
}

#endif
