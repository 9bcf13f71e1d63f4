/* What benches/peers.c and the ways of running a guest share. Each library has a file here. */
#ifndef PEERS_H
#define PEERS_H

#include <stddef.h>

/* The sizes of the input, in bytes, are those of benches/ways/mod.rs. */
enum { SIZES = 3, MOST_WAYS = 16 };

struct input {
    char *json;
    size_t length;
    int size; /* its place among the sizes */
};

struct bytes {
    char *data;
    size_t length, capacity;
};

/* Ends the program where there is no memory. */
void *checked(void *memory);

void append(struct bytes *to, const void *data, size_t length);

/* What the guest does with its input. Times are compared among the ways of one guest. */
enum guest { PASSTHROUGH, ECHO, GUESTS };

struct way {
    const char *what;
    enum guest guest;
    /* Makes one call and appends its reply to `reply`, which is NULL where time is taken. Ends the program where the call
     * fails. */
    void (*call)(const struct input *input, struct bytes *reply);
};

/* Each puts its ways into `ways` and returns how many there are. Where something is missing, it says so on stderr and
 * there are fewer. */
int arawn_ways(struct way *ways, const struct input *inputs);
int extism_ways(struct way *ways, const struct input *inputs);
int wasmtime_ways(struct way *ways, const struct input *inputs);
int process_ways(struct way *ways, const struct input *inputs);

/* A process that has loaded one library. */
struct worker {
    int count; /* of ways */
    struct way ways[MOST_WAYS];
    int process, to, from;
};

struct worker start(int (*library_ways)(struct way *ways, const struct input *inputs), const struct input *inputs);

/* Makes so many calls and returns microseconds a call. With 0 it looks at a reply, and returns how many calls make a batch. */
double ask(const struct worker *worker, int way, int size, int calls);

void stop(struct worker *workers, int count);

/* Copies stdin to stdout and does nothing else; returns the exit code. */
int copy(void);

/* The library that an environment variable names, or NULL and a message. */
void *load(const char *variable);

/* Puts the address of a library's function into `pointer`, the address of a pointer to functions. */
void find(void *library, const char *name, void *pointer);

/* Where benches/peers.sh has put the guests. */
const char *directory(void);

/* A file of that directory; no data and a message where it is not there. */
struct bytes contents(const char *file);

/* Prints a message as printf does and ends the program. */
void fail(const char *format, ...);

#endif
