/* The library as a guest of its host: dlopen and dlclose, nothing on stdout or stderr, and the process as it was. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

typedef char *(*function)(const char *);
typedef void (*release)(char *);

/* POSIX has a pointer to an object stand for one to a function. */
static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    if (!found)
        exit(10);
    memcpy(function, &found, sizeof found);
}

static void call(void *library, const char *name, const char *argument, const char *expected)
{
    function ask;
    release done;
    char *reply;
    find(library, name, &ask);
    find(library, "arawn_free", &done);
    reply = ask(argument);
    if (!strstr(reply, expected))
        exit(11);
    done(reply);
}

/* The executor's descriptor is the same one in each round, and open. -1 where it is not. */
static int descriptor(const char *path, int before)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    function ask;
    release done;
    char *reply;
    int fd = -1;
    if (!library)
        exit(13);
    find(library, "arawn_poll_descriptor", &ask);
    find(library, "arawn_free", &done);
    reply = ask("{\"executor\":\"d\"}");
    if (sscanf(reply, "{\"status\":\"ok\",\"output\":{\"fd\":%d}}", &fd) != 1)
        exit(14);
    done(reply);
    if (dlclose(library) != 0 || fcntl(fd, F_GETFD) == -1 || (before >= 0 && fd != before))
        return -1;
    return fd;
}

static int variables(void)
{
    int count = 0;
    while (environ[count])
        count++;
    return count;
}

/* The environment as it is now: each variable copied, since one may also be changed in place. */
static char **copied_environ(void)
{
    int count = variables(), i;
    char **copy = calloc((size_t)count + 1, sizeof *copy);
    if (!copy)
        exit(12);
    for (i = 0; i < count; i++)
        if (!(copy[i] = strdup(environ[i])))
            exit(12);
    return copy;
}

static int is_environ(char **copy)
{
    int i;
    for (i = 0; copy[i] && environ[i]; i++)
        if (strcmp(copy[i], environ[i]) != 0)
            return 0;
    return !copy[i] && !environ[i];
}

static void free_copy(char **copy)
{
    int i;
    for (i = 0; copy[i]; i++)
        free(copy[i]);
    free(copy);
}

int main(int argc, char **argv)
{
    char before[4096], after[4096];
    char **environ_before = copied_environ(), **array_before = environ;
    sigset_t mask_before, mask_after;
    mode_t umask_before = umask(027);
    int round, fd = -1;
    umask(umask_before);
    /* What pthread_sigmask fills in is less than the whole. */
    memset(&mask_before, 0, sizeof mask_before);
    memset(&mask_after, 0, sizeof mask_after);
    if (argc != 2 || !getcwd(before, sizeof before) || pthread_sigmask(SIG_SETMASK, NULL, &mask_before) != 0)
        return 1;
    for (round = 0; round < 3; round++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library)
            return 2;
        call(library, "arawn_executor_new", "{\"id\":\"d\",\"cache_dir\":null}", round ? "executor_exists" : "\"status\":\"ok\"");
        call(library, "arawn_execute_runtime", "{\"executor\":\"d\",\"runtime\":\"passthrough\"}", "\"status\":\"ok\"");
        call(library, "arawn_execute_runtime", "not json", "invalid_json");
        call(library, "arawn_submit", "{\"executor\":\"d\",\"runtime\":\"passthrough\",\"job\":\"j\"}", "\"status\":\"ok\"");
        call(library, "arawn_poll", "{\"executor\":\"d\",\"job\":\"j\",\"wait_ms\":60000}", "\"state\":\"finished\"");
        /* The state is still there in the next round: the library was never unmapped. */
        if (dlclose(library) != 0)
            return 3;
        usleep(20000);
        fd = descriptor(argv[1], fd);
        if (fd < 0)
            return 8;
    }
    if (!getcwd(after, sizeof after) || strcmp(before, after) != 0)
        return 4;
    if (pthread_sigmask(SIG_SETMASK, NULL, &mask_after) != 0 || memcmp(&mask_before, &mask_after, sizeof mask_before) != 0)
        return 5;
    if (environ != array_before || !is_environ(environ_before))
        return 6;
    free_copy(environ_before);
    if (umask(umask_before) != umask_before)
        return 7;
    return 0;
}
