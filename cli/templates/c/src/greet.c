#include "greet.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>

/* How many bytes a JSON string has between its quotes. */
static int size_of(const char *string)
{
    return (int)(json_string(string) - string) - 2;
}

char *greet(const char *input, const char **error)
{
    const char *greeting = json_member(json_member(input, "config"), "greeting");
    const char *name = json_member(json_member(input, "context"), "name");
    if (!greeting)
        greeting = "\"Hello\"";
    if (*greeting != '"') {
        *error = "config.greeting must be a string";
        return NULL;
    }
    if (!name || *name != '"') {
        *error = "context.name must be a string";
        return NULL;
    }
    if (size_of(name) == 0) {
        *error = "context.name is empty";
        return NULL;
    }

    /* What is between the quotes goes on as it is, with its escapes. */
    size_t size = (size_t)size_of(greeting) + (size_t)size_of(name) + sizeof "\", !\"";
    char *output = malloc(size);
    if (output)
        snprintf(output, size, "\"%.*s, %.*s!\"", size_of(greeting), greeting + 1, size_of(name), name + 1);
    else
        *error = "the output does not fit in memory";
    return output;
}
