/* One of many processes that share a catalog and a cache:
 *
 *     worker mix DIRECTORY SECONDS SEED    calls, registers, replaces and removes names of its own, clears the cache
 *     worker write DIRECTORY 0 SEED        does so until it is killed, and prints each change before and after it
 *     worker read DIRECTORY 0 SEED         calls what there is until DIRECTORY/stop is there
 *     worker full DIRECTORY 0 SEED         has the whole of a small file system, and fills it up; then does as `whole`
 *     worker whole DIRECTORY 0 SEED        runs every module by each cache: what is there must be whole
 *
 * Each reply must be right. A worker keeps one module in memory, so that it reads another one from the disk cache each time,
 * and no file of the cache may be rejected. DIRECTORY has the catalog `runtimes` with the runtime `steady`, and modules in Base64: module k
 * answers "m<k>". */
#define _GNU_SOURCE
#include "../c/check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MODULES = 8, NAMES = 3, REQUEST = 20000 };

static const char *directory;
static char *modules[MODULES], request[REQUEST];
static uint64_t seed;
/* Which module each of its own names has; -1 for none. */
static int has[NAMES];

typedef char *(*function)(const char *);

static unsigned int below(unsigned int bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned int)(seed >> 33) % bound;
}

/* Whether the reply has one of the texts, which bars part. */
static int answers(function call, const char *texts)
{
    char text[200], *reply = call(request);
    int found = 0, length;
    for (; !found && sscanf(texts, "%199[^|]%n", text, &length) == 1; texts += length + (texts[length] == '|'))
        found = strstr(reply, text) != NULL;
    if (!found)
        fprintf(stderr, "%.200s\n  answered %.1000s\n  and not %s\n", request, reply, texts - 1);
    arawn_free(reply);
    return found;
}

static void executor(const char *cache)
{
    sprintf(request, "{\"id\":\"w\",\"runtimes_dir\":\"%s/runtimes\",\"cache_dir\":\"%s/%s\",\"limits\":{\"timeout_ms\":600000}}",
            directory, directory, cache);
    CHECK(answers(arawn_executor_new, "\"status\":\"ok\""));
}

static void run(const char *name, const char *right)
{
    sprintf(request, "{\"executor\":\"w\",\"runtime\":\"%s\"}", name);
    CHECK(answers(arawn_execute_runtime, right));
}

static int statistic(const char *before, const char *name)
{
    char *reply = arawn_stats("{}"), *at = strstr(reply, before);
    int value;
    at = at ? strstr(at, name) : NULL;
    CHECK(at && sscanf(at + strlen(name), "\":%d", &value) == 1);
    arawn_free(reply);
    return value;
}

/* How many modules were read from the disk cache. What was not whole there was rejected, and compiled instead. */
static int read_back(void)
{
    if (statistic("\"disk_cache\":{", "rejected") != 0) {
        fprintf(stderr, "%s\n", arawn_stats("{}"));
        exit(1);
    }
    return statistic("\"disk_cache\":{", "hits");
}

static void steady(void)
{
    run("steady", "{\"status\":\"ok\",\"output\":\"steady\"}");
}

/* What it says of itself is seen even if the process is killed in the next moment. */
static void say(const char *when, const char *name, int module)
{
    char line[100];
    int length = sprintf(line, "%s %s %d\n", when, name, module);
    CHECK(write(1, line, (size_t)length) == length);
}

/* Registers, replaces or removes one of its own names, and calls it. */
static void change(int says_so, unsigned int who)
{
    char name[30], right[60];
    unsigned int n = below(NAMES);
    int module = below(4) == 0 ? -1 : (int)below(MODULES);
    sprintf(name, "w%u-%u", who, n);
    if (says_so)
        say("begin", name, module);
    if (module < 0) {
        sprintf(request, "{\"executor\":\"w\",\"name\":\"%s\"}", name);
        CHECK(answers(arawn_catalog_remove, has[n] < 0 ? "\"code\":\"unknown_runtime\"" : "\"status\":\"ok\""));
        strcpy(right, "\"code\":\"unknown_runtime\"");
    } else {
        sprintf(request, "{\"executor\":\"w\",\"name\":\"%s\",\"wasm_base64\":\"%s\",\"replace\":%s}", name, modules[module],
                has[n] < 0 ? "false" : "true");
        CHECK(answers(arawn_catalog_register, "\"status\":\"ok\""));
        sprintf(right, "{\"status\":\"ok\",\"output\":\"m%d\"}", module);
    }
    has[n] = module;
    if (says_so)
        say("end", name, module);
    run(name, right);
}

/* Removes what is in the cache, as people do. */
static void clear(const char *path)
{
    DIR *open = opendir(path);
    struct dirent *entry;
    char below_it[4096];
    while (open && (entry = readdir(open)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below_it, sizeof below_it, "%.3000s/%s", path, entry->d_name);
        if (unlink(below_it) != 0 && (errno == EISDIR || errno == EPERM))
            clear(below_it);
    }
    if (open)
        closedir(open);
}

static void mix(double seconds, unsigned int who)
{
    char path[4096];
    time_t end = time(NULL) + (time_t)seconds;
    int rounds = 0;
    sprintf(path, "%.3000s/cache", directory);
    executor("cache");
    for (; time(NULL) < end; rounds++) {
        steady();
        change(0, who);
        if (below(200) == 0)
            clear(path);
        if (below(8) == 0) {
            CHECK(says(arawn_executor_close("{\"executor\":\"w\"}"), "\"status\":\"ok\""));
            executor("cache");
        }
    }
    printf("%d rounds, %d modules read back\n", rounds, read_back());
    for (rounds = 0; rounds < NAMES; rounds++)
        printf("has w%u-%d %d\n", who, rounds, has[rounds]);
}

static void writes(unsigned int who)
{
    executor("cache");
    for (;;)
        change(1, who);
}

/* The name of a runtime that the catalog lists, if one of a writer's is there. */
static void choose(char *name)
{
    char *reply, *at;
    int count = 0, chosen;
    sprintf(request, "{\"executor\":\"w\"}");
    reply = arawn_catalog_list(request);
    CHECK(strstr(reply, "\"name\":\"steady\""));
    for (at = reply; (at = strstr(at, "\"name\":\"w")) != NULL; at++)
        count++;
    chosen = count ? (int)below((unsigned int)count) : -1;
    for (at = reply; chosen >= 0 && (at = strstr(at, "\"name\":\"w")) != NULL; at++)
        if (chosen-- == 0)
            CHECK(sscanf(at, "\"name\":\"%29[^\"]", name) == 1);
    arawn_free(reply);
}

static void reads(void)
{
    char stop[4096], name[30];
    int rounds = 0;
    sprintf(stop, "%.3000s/stop", directory);
    executor("cache");
    for (; access(stop, F_OK) != 0; rounds++) {
        steady();
        sprintf(name, "w%u-%u", below(400), below(NAMES));
        if (below(4) != 0)
            choose(name);
        run(name, "\"output\":\"m|\"code\":\"unknown_runtime\"");
    }
    printf("%d rounds, %d modules read back\n", rounds, read_back());
    CHECK(read_back() > 0);
}

/* Fills the file system up to so many bytes. */
static void fill(long left)
{
    static char zeroes[4096];
    char path[4096];
    int file;
    struct stat stat;
    sprintf(path, "%.3000s/filler", directory);
    file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(file >= 0);
    while (write(file, zeroes, sizeof zeroes) > 0)
        ;
    CHECK(fstat(file, &stat) == 0 && ftruncate(file, stat.st_size > left ? stat.st_size - left : 0) == 0);
    close(file);
}

/* With each number of pages left over: calls go on, a registration is refused or done, and nothing else is lost. */
static void full(void)
{
    char path[4096], cache[30], name[30], kept[60];
    int pages, refused = 0, done = 0;
    sprintf(path, "%.3000s/filler", directory);
    for (pages = 0; pages < 64; pages++) {
        char *reply;
        int is_done;
        sprintf(cache, "cache%d", pages % 2);
        executor(cache);
        sprintf(name, "n%d", pages);
        fill(4096L * pages);
        steady();
        run("passthrough", "{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":{}}}");
        sprintf(request, "{\"executor\":\"w\",\"name\":\"%s\",\"wasm_base64\":\"%s\"}", name, modules[pages % MODULES]);
        reply = arawn_catalog_register(request);
        is_done = strstr(reply, "\"status\":\"ok\"") != NULL;
        if (!is_done && (!strstr(reply, "\"code\":\"catalog_unwritable\"") || !strstr(reply, "No space left"))) {
            fprintf(stderr, "with %d pages left: %s\n", pages, reply);
            exit(1);
        }
        arawn_free(reply);
        sprintf(kept, "{\"status\":\"ok\",\"output\":\"m%d\"}", pages % MODULES);
        run(name, is_done ? kept : "\"code\":\"unknown_runtime\"");
        steady();
        CHECK(unlink(path) == 0);
        if (!is_done) {
            sprintf(request, "{\"executor\":\"w\",\"name\":\"%s\",\"wasm_base64\":\"%s\"}", name, modules[pages % MODULES]);
            CHECK(answers(arawn_catalog_register, "\"status\":\"ok\""));
        }
        run(name, kept);
        /* A removal writes catalog.toml too. */
        fill(pages % 3 == 0 ? 0 : 4096L * pages);
        sprintf(request, "{\"executor\":\"w\",\"name\":\"%s\"}", name);
        reply = arawn_catalog_remove(request);
        CHECK(strstr(reply, "\"status\":\"ok\"") || (strstr(reply, "\"code\":\"catalog_unwritable\"") && strstr(reply, "No space left")));
        run(name, strstr(reply, "\"status\":\"ok\"") ? "\"code\":\"unknown_runtime\"" : kept);
        arawn_free(reply);
        CHECK(unlink(path) == 0);
        refused += !is_done;
        done += is_done;
        CHECK(says(arawn_executor_close("{\"executor\":\"w\"}"), "\"status\":\"ok\""));
    }
    printf("%d refused, %d done, %d modules read back\n", refused, done, read_back());
    CHECK(refused > 0 && done > 0);
}

/* By each cache that is there: its files are looked at by a process that has written none of them. */
static void whole(void)
{
    static const char *const caches[] = {"cache", "cache0", "cache1"};
    char path[4096], right[60];
    size_t cache;
    int module, found;
    for (cache = 0; cache < sizeof caches / sizeof *caches; cache++) {
        sprintf(path, "%.3000s/%s", directory, caches[cache]);
        if (access(path, F_OK) != 0)
            continue;
        found = read_back();
        executor(caches[cache]);
        steady();
        run("passthrough", "{\"status\":\"ok\",\"output\":{\"config\":{},\"context\":{}}}");
        for (module = 0; module < MODULES; module++) {
            sprintf(request, "{\"executor\":\"w\",\"name\":\"whole\",\"wasm_base64\":\"%s\"}", modules[module]);
            CHECK(answers(arawn_catalog_register, "\"status\":\"ok\""));
            sprintf(right, "{\"status\":\"ok\",\"output\":\"m%d\"}", module);
            run("whole", right);
            sprintf(request, "{\"executor\":\"w\",\"name\":\"whole\"}");
            CHECK(answers(arawn_catalog_remove, "\"status\":\"ok\""));
        }
        CHECK(says(arawn_executor_close("{\"executor\":\"w\"}"), "\"status\":\"ok\""));
        printf("%s is whole: %d of %d modules read back\n", caches[cache], read_back() - found, MODULES + 2);
        CHECK(read_back() > found);
    }
}

static char *read_file(const char *name)
{
    char path[4096], *text = calloc(1, 10000);
    FILE *file;
    sprintf(path, "%.3000s/%s", directory, name);
    file = fopen(path, "r");
    CHECK(text && file && fread(text, 1, 9999, file) < 9999);
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    char name[30];
    int i;
    CHECK(argc == 5);
    directory = argv[2];
    seed = 0x9e3779b97f4a7c15u * (strtoull(argv[4], NULL, 10) + 1);
    for (i = 0; i < MODULES; i++) {
        sprintf(name, "m%d.base64", i);
        modules[i] = read_file(name);
    }
    for (i = 0; i < NAMES; i++)
        has[i] = -1;
    CHECK(says(arawn_configure("{\"module_cache_bytes\":1}"), "\"status\":\"ok\""));
    if (strcmp(argv[1], "mix") == 0)
        mix(atof(argv[3]), (unsigned int)atoi(argv[4]));
    else if (strcmp(argv[1], "write") == 0)
        writes((unsigned int)atoi(argv[4]));
    else if (strcmp(argv[1], "read") == 0)
        reads();
    else if (strcmp(argv[1], "full") == 0) {
        full();
        fflush(stdout);
        execl("/proc/self/exe", argv[0], "whole", argv[2], "0", argv[4], (char *)NULL);
        CHECK(!"the worker was started again");
    } else
        whole();
    return 0;
}
