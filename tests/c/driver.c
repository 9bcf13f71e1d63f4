/* Makes the calls that it reads from stdin, a line each: a function's name, a space, its argument. Prints a reply a line;
 * for `bytes_read`, what the process has read so far: by system calls, and from storage. `exit` prints null and ends the
 * process at once, whatever its other threads do. */
#include "arawn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef char *(*function)(const char *);

static char *unset(const char *request)
{
    return arawn_host_function_set(request, NULL, NULL);
}

static const struct {
    const char *name;
    function call;
} functions[] = {
    {"arawn_configure", arawn_configure},
    {"arawn_executor_new", arawn_executor_new},
    {"arawn_executor_close", arawn_executor_close},
    {"arawn_execute_runtime", arawn_execute_runtime},
    {"arawn_execute_pipeline", arawn_execute_pipeline},
    {"arawn_catalog_list", arawn_catalog_list},
    {"arawn_catalog_inspect", arawn_catalog_inspect},
    {"arawn_catalog_register", arawn_catalog_register},
    {"arawn_catalog_remove", arawn_catalog_remove},
    {"arawn_stats", arawn_stats},
    {"arawn_cancel", arawn_cancel},
    {"arawn_submit", arawn_submit},
    {"arawn_poll", arawn_poll},
    {"arawn_poll_descriptor", arawn_poll_descriptor},
    {"arawn_host_function_set", unset},
    {"arawn_host_reply", arawn_host_reply},
};

/* Mapped files are not read by system calls. Without Linux's figures, null. */
static void bytes_read(void)
{
    FILE *file = fopen("/proc/self/io", "r");
    unsigned long long calls, storage;
    int found = 0;
    char line[100];
    while (file && fgets(line, sizeof line, file))
        found += sscanf(line, "rchar: %llu", &calls) + sscanf(line, "read_bytes: %llu", &storage) > 0;
    if (file)
        fclose(file);
    if (found == 2)
        printf("{\"calls\":%llu,\"storage\":%llu}\n", calls, storage);
    else
        puts("null");
}

int main(void)
{
    static char line[1 << 24];
    while (fgets(line, sizeof line, stdin)) {
        char *argument = strchr(line, ' ');
        size_t i;
        if (!argument)
            return 2;
        *argument++ = '\0';
        argument[strcspn(argument, "\n")] = '\0';
        if (strcmp(line, "bytes_read") == 0) {
            bytes_read();
            continue;
        }
        if (strcmp(line, "exit") == 0) {
            puts("null");
            fflush(stdout);
            _exit(0);
        }
        for (i = 0; i < sizeof functions / sizeof *functions; i++) {
            if (strcmp(line, functions[i].name) == 0) {
                char *reply = functions[i].call(argument);
                puts(reply);
                arawn_free(reply);
                break;
            }
        }
        if (i == sizeof functions / sizeof *functions)
            return 3;
    }
    return 0;
}
