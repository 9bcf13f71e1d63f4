/*
 * Goes wrong in the way that `config.do` names. docs/runtimes/debugging.md shows the reply of each.
 */
#include "../c/json.h"

#include <stdio.h>
#include <stdlib.h>

static char input[65536];
static volatile int always = 1;

static void write_at(volatile char *address)
{
    *address = 1;
}

static int count_up(int n)
{
    volatile int kept = n;
    return always ? count_up(n + 1) + kept : kept;
}

static void wait_for_ever(void)
{
    while (always) {
    }
}

static void fill_memory(void)
{
    for (;;) {
        char *block = malloc(1 << 20);
        if (!block) {
            fputs("malloc gave NULL\n", stderr);
            abort();
        }
        write_at(block);
    }
}

int main(void)
{
    fread(input, 1, sizeof input - 1, stdin);
    fputs("read the input\n", stderr);
    const char *json = json_check(input);
    const char *task = json ? json_member(json_member(json, "config"), "do") : NULL;
    if (!task || *task != '"') {
        puts("{\"status\":\"error\",\"error\":\"config.do must be a string\"}");
        return 1;
    }
    switch (task[1]) {
    case 'b': /* bounds */
        write_at((char *)-16);
        break;
    case 'e': /* exit */
        exit(3);
    case 'l': /* loop */
        wait_for_ever();
        break;
    case 'm': /* memory */
        fill_memory();
        break;
    case 'p': /* print */
        puts("starting");
        break;
    case 'r': /* recursion */
        return count_up(1);
    case 's': /* silence */
        return 0;
    }
    puts("{\"status\":\"ok\",\"output\":null}");
    return 0;
}
