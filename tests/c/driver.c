/* Makes the calls that it reads from stdin, a line each: a function's name, a space, its argument. Prints a reply a line. */
#include "arawn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef char *(*function)(const char *);

static const struct {
    const char *name;
    function call;
} functions[] = {
    {"arawn_configure", arawn_configure},
    {"arawn_executor_new", arawn_executor_new},
    {"arawn_executor_close", arawn_executor_close},
    {"arawn_execute_runtime", arawn_execute_runtime},
    {"arawn_catalog_list", arawn_catalog_list},
    {"arawn_catalog_inspect", arawn_catalog_inspect},
    {"arawn_catalog_register", arawn_catalog_register},
    {"arawn_catalog_remove", arawn_catalog_remove},
    {"arawn_stats", arawn_stats},
    {"arawn_cancel", arawn_cancel},
};

int main(void)
{
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin)) {
        char *argument = strchr(line, ' ');
        size_t i;
        if (!argument)
            return 2;
        *argument++ = '\0';
        argument[strcspn(argument, "\n")] = '\0';
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
