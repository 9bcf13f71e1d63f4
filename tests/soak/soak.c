/* Makes every kind of call from all threads, for so long, and prints samples of what the process takes, as CSV:
 *
 *     soak SECONDS SAMPLES ACTIONS DIRECTORY [LEAK...]
 *
 * For a sample all threads stop between two actions, the cache drops its modules, and the allocator gives back what is free,
 * so that only what stays is seen. A sample is due when its share of the time has passed and so many actions were done since the one before it. Where
 * that takes longer than the share there are fewer samples, but never less than 40. DIRECTORY is what scene.rs has made.
 * A leak is put in for the test that it is found: memory, executor, thread, slot or latency after each sample, or descriptor
 * after each sixth one. */
#define _GNU_SOURCE
#include "actions.h"
#include <dirent.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, TIMED = 200, WAITING = 64, LEAST = 40, LOST = 4 << 20 };

static pthread_barrier_t barrier;
static int pausing, ending;

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* The host functions. What is answered later waits in a ring. */
static char later[WAITING][40];
static unsigned int asked, answered;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

static char *answers_now(const char *request, void *user)
{
    (void)request, (void)user;
    return arawn_string_new("{\"status\":\"ok\",\"output\":7}");
}

static char *answers_never(const char *request, void *user)
{
    (void)request, (void)user;
    return NULL;
}

static char *answers_later(const char *request, void *user)
{
    (void)user;
    pthread_mutex_lock(&lock);
    CHECK(asked - answered < WAITING && sscanf(request, "{\"call\":\"%39[^\"]", later[asked % WAITING]) == 1);
    asked++;
    pthread_cond_signal(&news);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Takes each call that waits, and answers it; a call that has ended meanwhile is unknown. */
static void *answers(void *unused)
{
    static struct worker worker;
    char call[40];
    for (;;) {
        pthread_mutex_lock(&lock);
        while (asked == answered)
            pthread_cond_wait(&news, &lock);
        strcpy(call, later[answered++ % WAITING]);
        pthread_mutex_unlock(&lock);
        arawn_free(ask(&worker, "ok unknown_call", arawn_host_reply,
                       "{\"executor\":\"host\",\"call\":\"%s\",\"reply\":{\"status\":\"ok\",\"output\":8}}", call));
    }
    return unused;
}

static void *works(void *argument)
{
    struct worker *worker = argument;
    size_t kind;
    for (kind = 0; kind < sizeof actions / sizeof *actions; kind++) /* all of them, whatever the numbers say */
        actions[kind].act(worker), worker->round++;
    while (!__atomic_load_n(&ending, __ATOMIC_ACQUIRE)) {
        act(worker);
        if (__atomic_load_n(&pausing, __ATOMIC_ACQUIRE)) {
            pthread_barrier_wait(&barrier);
            pthread_barrier_wait(&barrier);
        }
    }
    return NULL;
}

static int entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = -3; /* `.`, `..`, and of descriptors this one */
    CHECK(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* Has the cache drop all modules but one, `passthrough`: how many descriptors the others hold depends on what was called last.
 * The cache drops them for a module that is larger than the cache, and drops this one for the next. A load whose call has
 * ended may bring another one. The close waits until the disk cache has written what it writes. */
static void empty_cache(void)
{
    static struct worker worker;
    int tries, modules = 0;
    arawn_free(ask(&worker, "ok", arawn_executor_new,
                   "{\"id\":\"emptier\",\"cache_dir\":\"%s/cache\",\"runtimes_dir\":\"%s/runtimes\"}", world.directory,
                   world.directory));
    for (tries = 0; modules != 1 && tries < 40; tries++) {
        char *reply, *at;
        tell(&worker, arawn_execute_runtime, "{\"executor\":\"emptier\",\"runtime\":\"larger-than-the-cache\"}");
        echo(&worker, "emptier", "passthrough");
        reply = arawn_stats("{}");
        at = strstr(reply, "\"memory_cache\":{\"modules\":");
        CHECK(at && sscanf(at, "\"memory_cache\":{\"modules\":%d", &modules) == 1);
        arawn_free(reply);
    }
    CHECK(modules == 1);
    tell(&worker, arawn_executor_close, "{\"executor\":\"emptier\"}");
}

static long resident_kib(void)
{
    long size, resident;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Calls that have ended may hold their slots for a moment. */
static int slots(void)
{
    char *reply, *at;
    int count = 0, tries;
    for (tries = 0; tries < 40; tries++) {
        reply = arawn_stats("{}");
        at = strstr(reply, "\"slots_in_use\":");
        CHECK(at && sscanf(at, "\"slots_in_use\":%d", &count) == 1);
        arawn_free(reply);
        if (count == 0)
            break;
        usleep(5000);
    }
    return count;
}

static int by_size(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* The lower quartile and the least of a fixed call's times: what else the machine does makes calls slower, never faster. */
static void time_calls(int64_t *quartile, int64_t *least, int64_t slower_ns)
{
    static struct worker worker;
    static int64_t times[TIMED];
    int i;
    for (i = 0; i < TIMED; i++) {
        int64_t begun = now_ns();
        echo(&worker, "hostile", "passthrough");
        while (now_ns() - begun < slower_ns)
            ;
        times[i] = now_ns() - begun;
    }
    qsort(times, TIMED, sizeof *times, by_size);
    *quartile = times[TIMED / 4];
    *least = times[0];
}

static void *sleeps(void *unused)
{
    pause();
    return unused;
}

/* What is kept after sample n, if it is asked for. */
static void leak(const char *what, int n)
{
    static struct worker worker;
    static char *chain;
    pthread_t thread;
    char *lost;
    if (strcmp(what, "memory") == 0) {
        lost = malloc(LOST);
        CHECK(lost);
        memset(lost, 1, LOST);
        *(char **)(void *)lost = chain;
        chain = lost;
    } else if (strcmp(what, "executor") == 0) {
        arawn_free(ask(&worker, "ok", arawn_executor_new, "{\"id\":\"lost-%d\",\"cache_dir\":\"%s/cache\","
                       "\"runtimes_dir\":\"%s/registry\"}", n, world.directory, world.directory));
        arawn_free(ask(&worker, "ok", arawn_poll_descriptor, "{\"executor\":\"lost-%d\"}", n));
    } else if (strcmp(what, "thread") == 0) {
        CHECK(pthread_create(&thread, NULL, sleeps, NULL) == 0);
    } else if (strcmp(what, "slot") == 0) {
        arawn_free(ask(&worker, "ok", arawn_submit, "{\"executor\":\"host\",\"runtime\":\"never\"}"));
    } else if (strcmp(what, "descriptor") == 0) {
        CHECK(n % 6 != 0 || dup(1) >= 0);
    } else {
        CHECK(strcmp(what, "latency") == 0);
    }
}

static char *read_file(const char *directory, const char *name)
{
    char path[5000], *text = calloc(1, REQUEST);
    FILE *file;
    sprintf(path, "%.4000s/%s", directory, name);
    file = fopen(path, "r");
    CHECK(text && file && fread(text, 1, REQUEST - 1, file) < REQUEST - 1);
    fclose(file);
    return text;
}

static void prepare(const char *directory)
{
    static struct worker worker;
    static const struct {
        const char *name, *options;
        arawn_host_function function;
    } functions[] = {{"now", "\"on\":\"call\"", answers_now}, {"later", "\"deferred\":true", answers_later},
                     {"never", "\"deferred\":true", answers_never}, {"polled", "\"on\":\"poll\"", answers_now}};
    char name[40], *text = read_file(directory, "guests.txt"), *line;
    int i, length;
    world.directory = directory;
    for (line = text; world.count < GUESTS; world.count++, line += length) {
        struct guest *guest = &world.guests[world.count];
        if (sscanf(line, "%69s %d %29s%n", guest->name, &guest->timeout_ms, guest->code, &length) != 3)
            break;
    }
    for (i = 0; i < MODULES; i++) {
        sprintf(name, "m%d.base64", i);
        world.modules[i] = read_file(directory, name);
    }
    free(text);
    CHECK(world.count > 50 && world.count < GUESTS);
    text = read_file(directory, "options.txt");
    tell(&worker, arawn_configure, text);
    free(text);
    for (text = read_file(directory, "executors.txt"); (line = strsep(&text, "\n")) && *line;)
        tell(&worker, arawn_executor_new, line);
    for (i = 0; i < 4; i++) {
        char request[200];
        sprintf(request, "{\"executor\":\"host\",\"name\":\"%s\",%s}", functions[i].name, functions[i].options);
        CHECK(says(arawn_host_function_set(request, functions[i].function, NULL), "\"status\":\"ok\""));
    }
}

static struct worker workers[THREADS];

static long actions_done(void)
{
    long done = 0;
    int i;
    for (i = 0; i < THREADS; i++)
        done += __atomic_load_n(&workers[i].round, __ATOMIC_RELAXED);
    return done;
}

int main(int argc, char **argv)
{
    pthread_t answering;
    int64_t begun, next, quartile, least, slower = 0;
    int64_t length, step;
    long due = 0, each;
    int n, i;
    CHECK(argc >= 5 && (length = (int64_t)(atof(argv[1]) * 1e9)) > 0 && (step = length / atoi(argv[2])) > 0);
    each = atol(argv[3]);
    prepare(argv[4]);
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
    CHECK(pthread_create(&answering, NULL, answers, NULL) == 0);
    for (i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].random = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
        CHECK(pthread_create(&workers[i].thread, NULL, works, &workers[i]) == 0);
    }
    puts("seconds,resident_kib,descriptors,threads,slots,quartile_ns,least_ns,actions");
    begun = next = now_ns();
    for (n = 0; now_ns() - begun < length || n < LEAST; n++) {
        next += step;
        due += each;
        while (now_ns() < next || actions_done() < due)
            usleep(2000);
        __atomic_store_n(&pausing, 1, __ATOMIC_RELEASE);
        pthread_barrier_wait(&barrier);
        __atomic_store_n(&pausing, 0, __ATOMIC_RELEASE);
        i = slots();
        time_calls(&quartile, &least, slower);
        empty_cache();
        printf("%.3f,%ld,%d,%d,%d,%lld,%lld,", (double)(now_ns() - begun) / 1e9, resident_kib(), entries("/proc/self/fd"),
               entries("/proc/self/task") + 1, i, (long long)quartile, (long long)least);
        due = actions_done();
        printf("%ld\n", due);
        fflush(stdout);
        for (i = 5; i < argc; i++) {
            leak(argv[i], n);
            if (strcmp(argv[i], "latency") == 0)
                slower = quartile + quartile / 25;
        }
        pthread_barrier_wait(&barrier);
        if (next < now_ns())
            next = now_ns();
    }
    __atomic_store_n(&ending, 1, __ATOMIC_RELEASE);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    puts(arawn_stats("{}"));
    return 0;
}
