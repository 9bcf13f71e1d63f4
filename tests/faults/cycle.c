/* A host's whole day: makes an executor with a catalog and a cache, makes every kind of call, and closes it. It does so
 * twice, the first time with a fault:
 *
 *     cycle DIRECTORY                  lists the sites of system calls, and counts large allocations, of the first time
 *     cycle DIRECTORY CALL SITE ERRNO  the first CALL at SITE fails; -1 for ERRNO is half of the bytes; SITE 0 is no fault
 *
 * Each reply must be right. With the fault one call may be refused, by an error that names what was refused, and must be
 * right when it is made again. The second time everything must be right. Prints a line for each error that was accepted,
 * and what is open in the end. */
#define _GNU_SOURCE
#include "inject.h"
#include <dirent.h>

enum { MOST_BYTES = 1 << 22, INPUT = 3 << 20 };

typedef char *(*function)(const char *);

static char request[MOST_BYTES], *modules[2];
static const char *directory;
static int cycle, excused;

static char *format(const char *text, const char *id)
{
    char *at = request;
    for (; *text; text++)
        if (*text == '@')
            at += sprintf(at, "%s%d", id, cycle);
        else if (*text == '$')
            at += sprintf(at, "%s", directory);
        else
            *at++ = *text;
    *at = '\0';
    return request;
}

/* Whether an error is one that a refusal of the system may lead to, and names what it is about. */
static int names_the_refusal(const char *reply)
{
    static const char *const codes[] = {"no_resources", "catalog_unwritable", "runtime_unavailable", "catalog_invalid",
                                        "invalid_config", "runtime_error"};
    enum { RUNTIME_ERROR = sizeof codes / sizeof *codes - 1 }; /* a guest's own words */
    char code[60];
    size_t i;
    for (i = 0; i < sizeof codes / sizeof *codes; i++) {
        sprintf(code, "\"code\":\"%s\"", codes[i]);
        if (strstr(reply, code))
            return i == RUNTIME_ERROR || strstr(reply, "\"resource\":") || strstr(reply, "\"reason\":") || strstr(reply, "error ") != NULL;
    }
    return 0;
}

/* Whether a call may be made again, since the fault was in it. */
static int excuse(const char *reply)
{
    if (cycle != 0 || excused || !__atomic_load_n(&fired, __ATOMIC_ACQUIRE) || !strstr(reply, "\"status\":\"error\"") ||
        !names_the_refusal(reply))
        return 0;
    excused = 1;
    printf("refused: %.500s\n", reply);
    return 1;
}

/* The reply must contain a text. One refusal is excused in the cycle with the fault, once the fault has happened; the call
 * is then made again. */
static void expect(function call, const char *text, const char *right)
{
    char *reply = call(format(text, "e"));
    if (!strstr(reply, right) && excuse(reply)) {
        arawn_free(reply);
        reply = call(format(text, "e"));
    }
    if (!strstr(reply, right)) {
        fprintf(stderr, "%.120s in cycle %d, with%s fault%s\n  answered %.800s\n  and not %.200s\n", request, cycle,
                fired ? " the" : "out a", excused ? ", made again" : "", reply, right);
        exit(1);
    }
    arawn_free(reply);
}

static char *host(const char *asked, void *user)
{
    (void)asked, (void)user;
    return arawn_string_new("{\"status\":\"ok\",\"output\":7}");
}

/* A text with many letters between two others. */
static void fill(char *text, const char *before, const char *after)
{
    size_t length = strlen(before);
    memcpy(text, before, length);
    memset(text + length, 'x', INPUT);
    strcpy(text + length + INPUT, after);
}

/* Answers before it returns, by a large reply. */
static char *later(const char *asked, void *user)
{
    static char text[MOST_BYTES];
    char before[200], name[51], *reply;
    CHECK(sscanf(asked, "{\"call\":\"%50[^\"]\"", name) == 1);
    sprintf(before, "{\"executor\":\"e%d\",\"call\":\"%s\",\"reply\":{\"status\":\"ok\",\"output\":\"", cycle, name);
    fill(text, before, "\"}}");
    reply = arawn_host_reply(text);
    if (excuse(reply)) {
        arawn_free(reply);
        reply = arawn_host_reply(text);
    }
    CHECK(strstr(reply, "\"status\":\"ok\""));
    arawn_free(reply);
    (void)user;
    return NULL;
}

static char *set(const char *text)
{
    return arawn_host_function_set(text, strstr(text, "deferred") ? later : host, NULL);
}

/* Submits a call and polls for its reply. */
static char *submit(const char *text)
{
    char job[300], *reply = arawn_submit(text), *at;
    if (!strstr(reply, "\"status\":\"ok\""))
        return reply;
    at = strstr(reply, "\"job\":\"");
    CHECK(at && sscanf(at, "\"job\":\"%50[^\"]", job + 200) == 1);
    arawn_free(reply);
    sprintf(job, "{\"executor\":\"e%d\",\"job\":\"%s\",\"wait_ms\":60000}", cycle, job + 200);
    return arawn_poll(job);
}

static void calls_of_a_catalog(void)
{
    static char text[MOST_BYTES];
    int i;
    for (i = 0; i < 2; i++) {
        sprintf(text, "{\"executor\":\"@\",\"name\":\"r\",\"wasm_base64\":\"%s\",\"replace\":%s}", modules[i], i ? "true" : "false");
        expect(arawn_catalog_register, text, "\"name\":\"r\"");
        /* An executor that seldom looks sees at once what this process has registered. */
        expect(arawn_execute_runtime, "{\"executor\":\"w@\",\"runtime\":\"r\"}", i ? "\"output\":\"m1\"" : "\"output\":\"m0\"");
        expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"r\"}", i ? "\"output\":\"m1\"" : "\"output\":\"m0\"");
    }
    expect(arawn_catalog_list, "{\"executor\":\"@\"}", "{\"name\":\"r\",");
    expect(arawn_catalog_inspect, "{\"executor\":\"@\",\"name\":\"r\"}", cycle ? "\"problem\":null" : "\"name\":\"r\"");
    expect(arawn_catalog_register, "{\"executor\":\"@\",\"name\":\"s\",\"language\":\"lua\",\"script\":\"return function() return 5 end\"}",
           "\"name\":\"s\"");
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"s\"}", "\"output\":5");
    expect(arawn_catalog_inspect, "{\"executor\":\"@\",\"name\":\"s\"}", cycle ? "\"problem\":null" : "\"name\":\"s\"");
    expect(arawn_catalog_remove, "{\"executor\":\"@\",\"name\":\"s\"}", "\"name\":\"s\"");
    expect(arawn_catalog_remove, "{\"executor\":\"@\",\"name\":\"r\"}", "\"name\":\"r\"");
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"r\"}", "\"code\":\"unknown_runtime\"");
}

/* On the caller's stack and on a worker; into and out of components, files, pipelines and host functions. */
static void large_calls(void)
{
    static char text[MOST_BYTES], right[MOST_BYTES];
    fill(right, "{\"config\":{},\"context\":\"", "\"}}");
    fill(text, "{\"executor\":\"@\",\"runtime\":\"passthrough\",\"input\":{\"context\":\"", "\"}}");
    expect(arawn_execute_runtime, text, right);
    fill(text, "{\"executor\":\"@\",\"runtime\":\"own\",\"input\":{\"context\":\"", "\"}}");
    expect(submit, text, right);
    fill(text, "{\"executor\":\"@\",\"runtime\":\"echo\",\"input\":{\"context\":\"", "\"}}");
    expect(arawn_execute_runtime, text, right);
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"file_read\",\"input\":{\"config\":{\"path\":\"/data/big\"}}}",
           "\"bytes\":3000000");
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"asks-much\"}", "\"output\":{\"status\":\"ok\",\"output\":7}");
    fill(right, "\"output\":{\"status\":\"ok\",\"output\":\"", "\"}");
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"later\"}", right);
    fill(text, "{\"executor\":\"@\",\"context\":{\"list\":[0,\"",
         "\"]},\"pipeline\":{\"steps\":[{\"name\":\"each\",\"runtime\":\"passthrough\",\"for_each\":\"list\"},"
         "{\"name\":\"last\",\"runtime\":\"passthrough\"}]}}");
    fill(right, "\"context\":{\"item\":\"", "\",\"index\":1}}]");
    expect(submit, text, right);
}

static void run_cycle(void)
{
    static const char *const echoes[] = {"own", "own", "passthrough"};
    char text[300];
    size_t i;
    expect(arawn_executor_new,
           "{\"id\":\"@\",\"runtimes_dir\":\"$/runtimes\",\"cache_dir\":\"$/cache\",\"capabilities\":{\"host_functions\":[\"f\",\"g\"],"
           "\"dirs\":[{\"host\":\"$/data\",\"guest\":\"/data\",\"write\":true,\"bytes\":100000}]}}",
           "\"status\":\"ok\"");
    expect(arawn_executor_new,
           "{\"id\":\"w@\",\"runtimes_dir\":\"$/runtimes\",\"cache_dir\":\"$/cache\",\"reload\":{\"within_ms\":3600000}}",
           "\"status\":\"ok\"");
    expect(set, "{\"executor\":\"@\",\"name\":\"f\"}", "\"status\":\"ok\"");
    expect(set, "{\"executor\":\"@\",\"name\":\"g\",\"deferred\":true}", "\"status\":\"ok\"");
    for (i = 0; i < sizeof echoes / sizeof *echoes; i++) {
        sprintf(text, "{\"executor\":\"@\",\"runtime\":\"%s\",\"input\":{\"context\":%zu}}", echoes[i], i);
        sprintf(text + 200, "{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":%zu}}", i);
        expect(arawn_execute_runtime, text, text + 200);
    }
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"large\"}", "\"output\":\"large\"");
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"component\"}", "\"output\":\"component\"");
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"asks\"}", "\"output\":{\"status\":\"ok\",\"output\":7}");
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"traps\"}", "\"code\":\"trap\"");
    for (i = 0; i < 2; i++) {
        expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"snapshot\"}", "\"output\":[1]");
        expect(arawn_execute_runtime,
               "{\"executor\":\"@\",\"runtime\":\"greet\",\"input\":{\"context\":{\"name\":\"you\"}}}",
               "\"output\":{\"hello\":\"you\"}");
    }
    calls_of_a_catalog();
    /* The threads for files are started by a step on this thread and by one on a worker. */
    expect(arawn_execute_pipeline,
           "{\"executor\":\"@\",\"pipeline\":{\"steps\":["
           "{\"name\":\"a\",\"runtime\":\"file_write\",\"config\":{\"path\":\"/data/a\",\"content\":\"a\"},\"needs\":[]},"
           "{\"name\":\"b\",\"runtime\":\"file_write\",\"config\":{\"path\":\"/data/b\",\"content\":\"bb\"},\"needs\":[]}]}}",
           "\"bytes_written\":2");
    expect(arawn_execute_runtime,
           "{\"executor\":\"@\",\"runtime\":\"file_write\",\"input\":{\"config\":{\"path\":\"/data/f\",\"content\":\"all of it\"}}}",
           "\"bytes_written\":9");
    expect(arawn_execute_runtime, "{\"executor\":\"@\",\"runtime\":\"file_read\",\"input\":{\"config\":{\"path\":\"/data/f\"}}}",
           "\"content\":\"all of it\"");
    expect(submit, "{\"executor\":\"@\",\"runtime\":\"component\"}",
           "\"reply\":{\"status\":\"ok\",\"output\":\"component\"}");
    expect(arawn_poll_descriptor, "{\"executor\":\"@\"}", "\"fd\":");
    expect(arawn_execute_pipeline,
           "{\"executor\":\"@\",\"context\":{\"list\":[1,2,3]},\"pipeline\":{\"steps\":["
           "{\"name\":\"each\",\"runtime\":\"greet\",\"needs\":[],\"for_each\":\"list\"},"
           "{\"name\":\"beside\",\"runtime\":\"component\",\"needs\":[]},"
           "{\"name\":\"last\",\"runtime\":\"passthrough\",\"needs\":[\"each\",\"beside\"]}]}}",
           "\"beside\":\"component\"");
    large_calls();
    expect(arawn_stats, "{\"executor\":\"@\"}", "\"slots_in_use\":");
    expect(arawn_executor_close, "{\"executor\":\"w@\"}", "\"status\":\"ok\"");
    expect(arawn_executor_close, "{\"executor\":\"@\"}", "\"status\":\"ok\"");
}

static char *read_file(const char *name)
{
    char path[5000], *text = calloc(1, 10000);
    FILE *file;
    sprintf(path, "%.4000s/%s", directory, name);
    file = fopen(path, "r");
    CHECK(text && file && fread(text, 1, 9999, file) < 9999);
    fclose(file);
    return text;
}

/* Prints what is open, or only tells whether a directory of the executor is among it. */
static int descriptors(int prints)
{
    DIR *open = opendir("/proc/self/fd");
    struct dirent *entry;
    char target[1000];
    int found = 0;
    CHECK(open);
    while ((entry = readdir(open)) != NULL) {
        ssize_t length = readlinkat(dirfd(open), entry->d_name, target, sizeof target - 1);
        if (length <= 0 || atoi(entry->d_name) == dirfd(open))
            continue;
        target[length] = '\0';
        found |= strcmp(strrchr(target, '/') ? strrchr(target, '/') : "", "/data") == 0;
        if (prints)
            printf("open %s\n", target);
    }
    closedir(open);
    return found;
}

int main(int argc, char **argv)
{
    int i;
    CHECK(argc == 2 || argc == 5);
    directory = argv[1];
    modules[0] = read_file("m0.base64");
    modules[1] = read_file("m1.base64");
    if (argc == 2)
        inject(NULL, 0, 0);
    else if (strcmp(argv[3], "0") != 0)
        inject(argv[2], strtoull(argv[3], NULL, 10), atoi(argv[4]));
    for (cycle = 0; cycle < 2; cycle++) {
        __atomic_store_n(&armed, cycle == 0, __ATOMIC_RELEASE);
        run_cycle();
    }
    CHECK(says(arawn_stats("{}"), "{\"executors\":0,"));
    for (i = 0; i < SITES && argc == 2; i++)
        if (sites[i].count)
            printf("site %s %llu %d\n", calls[sites[i].call].name, (unsigned long long)sites[i].hash, sites[i].count);
    for (i = 1; i <= (int)allocations && argc == 2; i++)
        printf("site allocation %d 1\n", i);
    printf("fired %d\n", fired);
    /* What works beside the calls may hold an executor for a moment after its end. */
    for (i = 0; i < 100 && descriptors(0); i++)
        usleep(20000);
    descriptors(1);
    return 0;
}
