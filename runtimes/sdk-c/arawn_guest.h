/*
 * What a libarawn runtime in C takes: its input and its reply, functions of the host, and the exports of a runtime that
 * begins from snapshots. It is all of the SDK, in C99, without a library.
 *
 *     #include "arawn_guest.h"
 *
 *     void arawn_run(void)
 *     {
 *         char *input = arawn_read_input();
 *         arawn_reply_ok("\"Hello\"");
 *     }
 *
 *     int main(void)
 *     {
 *         arawn_run();
 *         return 0;
 *     }
 *
 * The same source is a command and a reactor:
 *
 *     zig cc -target wasm32-wasi -Os -s -o hello.wasm hello.c
 *     zig cc -target wasm32-wasi -Os -s -mexec-model=reactor -o hello.wasm hello.c
 *
 * The input and the reply go past stdio. A FILE keeps that it has seen the end of stdin, and a snapshot that was taken
 * after a warm-up would keep it too: every call would read nothing. No reactor flushes stdout either.
 */
#ifndef ARAWN_GUEST_H
#define ARAWN_GUEST_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __wasm__
#define ARAWN_EXPORT(name) __attribute__((export_name(name)))
#define ARAWN_IMPORT(name) __attribute__((import_module("arawn"), import_name(name)))
#else
#define ARAWN_EXPORT(name)
#endif

/* The runtime's own: what is called for each call, in place of main. */
ARAWN_EXPORT("arawn_run") void arawn_run(void);

/* The runtime's own too: what prepares what all calls have in common, before the snapshot. It may be missing. */
ARAWN_EXPORT("arawn_init") void arawn_init(void);

#ifdef __wasi__
/* Of wasi/libc-environ.h; there if the program reads variables. */
__attribute__((weak)) void __wasilibc_deinitialize_environ(void);
#endif

/*
 * All of stdin and a NUL, in memory of malloc. It lets getenv read the variables of this call, since the C library keeps
 * those that it has read before a snapshot: what getenv has returned before is no longer there. NULL if memory does not suffice, if stdin cannot be read, or if there is a
 * NUL in it, which JSON text has not.
 */
static inline char *arawn_read_input(void)
{
#ifdef __wasi__
    if (__wasilibc_deinitialize_environ)
        __wasilibc_deinitialize_environ();
#endif
    size_t size = 0, capacity = 4096;
    char *text = malloc(capacity);
    while (text) {
        ssize_t got = read(0, text + size, capacity - 1 - size);
        if (got <= 0) {
            text[size] = '\0';
            if (got == 0 && strlen(text) == size)
                return text;
            free(text);
            return NULL;
        }
        size += (size_t)got;
        if (size < capacity - 1)
            continue;
        capacity *= 2;
        char *larger = realloc(text, capacity);
        if (!larger)
            free(text);
        text = larger;
    }
    return NULL;
}

static inline void arawn_write(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(1, text, size);
        if (written <= 0)
            _Exit(1);
        text += written;
        size -= (size_t)written;
    }
}

/* Replies with an output, which is JSON text. One reply per call, and nothing else on stdout. */
static inline void arawn_reply_ok(const char *output)
{
    static const char begin[] = "{\"status\":\"ok\",\"output\":";
    arawn_write(begin, sizeof begin - 1);
    arawn_write(output, strlen(output));
    arawn_write("}", 1);
}

/* Replies with an error: a text for a person, in UTF-8. */
static inline void arawn_reply_error(const char *text)
{
    static const char begin[] = "{\"status\":\"error\",\"error\":\"", digits[] = "0123456789abcdef";
    arawn_write(begin, sizeof begin - 1);
    while (*text != '\0') {
        size_t plain = 0;
        while ((unsigned char)text[plain] >= ' ' && text[plain] != '"' && text[plain] != '\\')
            plain++;
        arawn_write(text, plain);
        text += plain;
        if (*text != '\0') {
            const char escape[] = {'\\', 'u', '0', '0', digits[*text >> 4 & 15], digits[*text & 15]};
            arawn_write(escape, sizeof escape);
            text++;
        }
    }
    arawn_write("\"}", 2);
}

#ifdef __wasm__
ARAWN_IMPORT("host_call") int arawn_import_call(const char *name, size_t name_size, const char *request, size_t size);
ARAWN_IMPORT("host_reply") int arawn_import_reply(char *buffer, size_t capacity);
#else
/* A program on the machine that builds it has no host. */
static const char arawn_no_host[] = "{\"status\":\"error\",\"error\":\"there is no libarawn around this process\"}";

static inline int arawn_import_call(const char *name, size_t name_size, const char *request, size_t size)
{
    (void)name, (void)name_size, (void)request, (void)size;
    return sizeof arawn_no_host - 1;
}

static inline int arawn_import_reply(char *buffer, size_t capacity)
{
    memcpy(buffer, arawn_no_host, capacity);
    return (int)capacity;
}
#endif

/*
 * Calls a function of the host with a request, which is JSON text, and waits for its answer: {"status":"ok","output":...}
 * or {"status":"error","error":"text"}, also where the name is not granted or not set. With a NUL, in memory of malloc;
 * NULL if memory does not suffice.
 */
static inline char *arawn_host_call(const char *name, const char *request)
{
    int size = arawn_import_call(name, strlen(name), request, strlen(request));
    char *reply = malloc((size_t)size + 1);
    if (reply) {
        arawn_import_reply(reply, (size_t)size);
        reply[size] = '\0';
    }
    return reply;
}

#endif
