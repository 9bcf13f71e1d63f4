/*
 * Breaks `context.number` up into primes. Where there is none it reads it from the file `config.file`, takes the variable
 * `NUMBER`, or asks the host function `factors.number`: what there is first.
 */
#include "arawn_guest.h"
#include "json.h"

#include <stdio.h>

enum { END = 1 << 16, PRIMES = 6542 };

/* Made once, before the snapshot: the primes below END. */
static uint32_t primes[PRIMES];
/* How many calls this instance has answered. */
static unsigned calls;

void arawn_init(void)
{
    char *composite = calloc(END, 1);
    size_t found = 0;
    for (uint32_t n = 2; composite && n < END; n++) {
        if (composite[n])
            continue;
        primes[found++] = n;
        for (uint64_t multiple = (uint64_t)n * n; multiple < END; multiple += n)
            composite[multiple] = 1;
    }
    free(composite);
}

/* The whole number that JSON text begins with; 0 where it is none, or too large. */
static uint32_t number_at(const char *at)
{
    uint64_t number = 0;
    for (; at && *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > UINT32_MAX)
            return 0;
    }
    return !at || *at == '.' || *at == 'e' || *at == 'E' ? 0 : (uint32_t)number;
}

/* The first line of a file, whose path is a JSON string of ASCII; NULL where it cannot be read. */
static const char *first_line(const char *path)
{
    static char line[16];
    char name[256];
    uint32_t code;
    size_t size = 0;
    if (*path != '"')
        return NULL;
    for (path++; *path != '"' && size < sizeof name - 1; name[size++] = (char)code)
        path = json_char(path, &code);
    name[size] = '\0';
    FILE *file = fopen(name, "r");
    const char *read = file ? fgets(line, sizeof line, file) : NULL;
    if (file)
        fclose(file);
    return read;
}

void arawn_run(void)
{
    calls++;
    const char *input = arawn_read_input();
    if (!input || !(input = json_check(input))) {
        arawn_reply_error("the input is not JSON, or does not fit in memory");
        return;
    }
    const char *at = json_member(json_member(input, "context"), "number");
    const char *path = json_member(json_member(input, "config"), "file");
    const char *variable = getenv("NUMBER");
    if (!at)
        at = path ? first_line(path) : variable;
    if (!at && path) {
        arawn_reply_error("config.file cannot be read");
        return;
    }
    if (!at) {
        const char *reply = arawn_host_call("factors.number", "null");
        at = reply ? json_member(json_check(reply), "output") : NULL;
        if (!at) {
            arawn_reply_error("the host has answered no number");
            return;
        }
    }
    uint32_t number = number_at(at);
    if (number < 2) {
        arawn_reply_error("the number must be a whole number from 2 to 4294967295");
        return;
    }

    /* At most 31 factors. */
    char output[31 * 11 + 64] = "{\"factors\":[";
    size_t size = strlen(output);
    for (size_t i = 0; i < PRIMES && number > 1; i++) {
        for (; primes[i] > 0 && number % primes[i] == 0; number /= primes[i])
            size += (size_t)sprintf(output + size, "%lu,", (unsigned long)primes[i]);
    }
    if (number > 1)
        size += (size_t)sprintf(output + size, "%lu,", (unsigned long)number);
    sprintf(output + size - 1, "],\"calls\":%u}", calls);
    arawn_reply_ok(output);
}

int main(void)
{
    arawn_init();
    arawn_run();
    return 0;
}
