/* What the C tests share: checks that say where they failed, and calls whose replies are looked at and released. */
#ifndef CHECK_H
#define CHECK_H

#include "arawn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Whether a reply contains a text; the reply is released. */
static int says(char *reply, const char *text)
{
    int found;
    CHECK(reply != NULL);
    found = strstr(reply, text) != NULL;
    if (!found)
        fprintf(stderr, "%s\n  does not say %s\n", reply, text);
    arawn_free(reply);
    return found;
}

#endif
