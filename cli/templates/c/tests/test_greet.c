#include "greet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

/* What greet gives for an input: its output, or else its error. */
static void expect(const char *input, const char *expected)
{
    const char *error = "neither output nor error";
    char *output = greet(input, &error);
    const char *given = output ? output : error;
    if (strcmp(given, expected) != 0) {
        fprintf(stderr, "%s\ngave     %s\nnot      %s\n", input, given, expected);
        failures++;
    }
    free(output);
}

int main(void)
{
    expect("{\"context\": {\"name\": \"Ada\"}}", "\"Hello, Ada!\"");
    expect("{\"config\": {\"greeting\": \"Hallo\"}, \"context\": {\"name\": \"A\\\"B\"}}", "\"Hallo, A\\\"B!\"");
    expect("{\"context\": {\"name\": \"\"}}", "context.name is empty");
    expect("{\"context\": {}}", "context.name must be a string");
    expect("{\"config\": {\"greeting\": 1}, \"context\": {\"name\": \"Ada\"}}", "config.greeting must be a string");
    puts(failures ? "failed" : "all tests passed");
    return failures != 0;
}
