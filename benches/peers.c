/*
 * libarawn beside other ways to run a guest, measured in turns.
 *
 *     make bench-peers
 *
 * prints a table of medians and ratios in Markdown. benches/peers.sh installs, compiles and starts it, with the libraries
 * and the directory of the guests in its environment. The first argument is the number of rounds, the second a text for
 * the line of versions.
 *
 * How it measures: each library is in a process of its own. Each round calls each way for about a millisecond, one way
 * after the other, and begins with another way than the round before. A time is the median over the rounds. A ratio is the
 * median of each round's own ratio, so that what else the machine does at that moment is in both of its parts.
 */
#define _GNU_SOURCE
#include "peers/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ROWS = 4 * MOST_WAYS };

static const size_t lengths[SIZES] = {42, 64 << 10, 1 << 20};
static const char *const headings[SIZES] = {"42 B", "64 KiB", "1 MiB"};

/* Records, as an API would answer them: the document of benches/ways/mod.rs. */
static struct input input(int size)
{
    static const char before[] = "{\"config\":{},\"context\":[", after[] = "]}";
    static const char record[] = "{\"id\":1234567,\"name\":\"Zo\xc3\xab \\\"Z\\\" \xc3\x85ngstr\xc3\xb6m\",\"tags\":[\"a\",\"b\"],"
                                 "\"price\":12.5,\"ok\":true},";
    struct bytes json = {NULL, 0, 0};
    struct input input;
    append(&json, before, sizeof before - 1);
    while (json.length + sizeof record - 1 + sizeof after - 1 + 2 < lengths[size])
        append(&json, record, sizeof record - 1);
    append(&json, "\"", 1);
    while (json.length + 1 + sizeof after - 1 < lengths[size])
        append(&json, "x", 1);
    append(&json, "\"", 1);
    append(&json, after, sizeof after); /* with its NUL */
    input.json = json.data;
    input.length = json.length - 1;
    input.size = size;
    return input;
}

static int by_size(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

struct row {
    const struct worker *worker;
    int way;
    const char *what;
    enum guest guest;
    double times[SIZES], ratios[SIZES]; /* the ratio is 0 where libarawn is missing */
};

static void measure(struct row *rows, int count, int size, int rounds)
{
    double *times = checked(calloc((size_t)(count * rounds), sizeof *times));
    double *ratios = checked(calloc((size_t)rounds, sizeof *ratios));
    int batches[MOST_ROWS], warm = rounds / 10, round, turn, row;
    for (row = 0; row < count; row++)
        batches[row] = (int)ask(rows[row].worker, rows[row].way, size, 0);
    for (round = -warm; round < rounds; round++)
        for (turn = 0; turn < count; turn++) {
            double time;
            row = (turn + round + warm) % count;
            time = ask(rows[row].worker, rows[row].way, size, batches[row]);
            if (round >= 0)
                times[row * rounds + round] = time;
        }
    /* Before the medians of the times, which sort them. */
    for (row = 0; row < count; row++) {
        /* libarawn comes first among those of a guest. */
        int base = 0;
        while (rows[base].guest != rows[row].guest)
            base++;
        if (strncmp(rows[base].what, "libarawn", 8) == 0) {
            for (round = 0; round < rounds; round++)
                ratios[round] = times[row * rounds + round] / times[base * rounds + round];
            rows[row].ratios[size] = median(ratios, rounds);
        }
    }
    for (row = 0; row < count; row++)
        rows[row].times[size] = median(&times[row * rounds], rounds);
    free(times);
    free(ratios);
}

static void print_time(double time)
{
    if (time < 10)
        printf(" %.2f µs |", time);
    else if (time < 1000)
        printf(" %.0f µs |", time);
    else
        printf(" %.1f ms |", time / 1000);
}

static void print_ratio(double ratio)
{
    if (ratio == 0)
        printf(" |");
    else
        printf(ratio < 10 ? " %.2f |" : " %.0f |", ratio);
}

static void print(const struct row *rows, int count)
{
    static const char *const guests[GUESTS] = {
        "**`passthrough`, which parses its JSON and writes it anew**",
        "**an echo, which looks at no byte of its input**",
    };
    int guest, row, size;
    printf("| what |");
    for (size = 0; size < SIZES; size++)
        printf(" %s |", headings[size]);
    for (size = 0; size < SIZES; size++)
        printf(" to libarawn, %s |", headings[size]);
    printf("\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (guest = 0; guest < GUESTS; guest++) {
        printf("| %s | | | | | | |\n", guests[guest]);
        for (row = 0; row < count; row++) {
            if ((int)rows[row].guest != guest)
                continue;
            printf("| %s |", rows[row].what);
            for (size = 0; size < SIZES; size++)
                print_time(rows[row].times[size]);
            for (size = 0; size < SIZES; size++)
                print_ratio(rows[row].ratios[size]);
            putchar('\n');
        }
    }
}

int main(int count, char **arguments)
{
    static int (*const libraries[])(struct way *ways, const struct input *inputs) = {
        arawn_ways,
        wasmtime_ways,
        extism_ways,
        process_ways,
    };
    enum { LIBRARIES = sizeof libraries / sizeof *libraries };
    static struct row rows[MOST_ROWS];
    struct worker workers[LIBRARIES];
    struct input inputs[SIZES];
    double busy = 0;
    int rounds, size, n, way, total = 0;
    if (count == 2 && strcmp(arguments[1], "--copy") == 0)
        return copy();
    rounds = count > 1 ? atoi(arguments[1]) : 300;
    if (rounds < 1)
        fail("usage: peers [rounds [versions]]");
    for (size = 0; size < SIZES; size++)
        inputs[size] = input(size);
    for (n = 0; n < LIBRARIES; n++)
        workers[n] = start(libraries[n], inputs);
    for (n = 0; n < LIBRARIES; n++)
        for (way = 0; way < workers[n].count; way++) {
            struct row *row = &rows[total++];
            row->worker = &workers[n];
            row->way = way;
            row->what = workers[n].ways[way].what;
            row->guest = workers[n].ways[way].guest;
        }
    for (size = 0; size < SIZES; size++)
        measure(rows, total, size, rounds);
    stop(workers, LIBRARIES);
    getloadavg(&busy, 1);
    printf("%d rounds, %s; load %.1f on %ld cores.\n\n", rounds, count > 2 ? arguments[2] : "versions not told", busy,
           sysconf(_SC_NPROCESSORS_ONLN));
    print(rows, total);
    return 0;
}
