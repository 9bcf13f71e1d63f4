/* Buffers, files, libraries and messages. */
#include "peers.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

void *checked(void *memory)
{
    if (!memory)
        fail("no memory");
    return memory;
}

void append(struct bytes *to, const void *data, size_t length)
{
    if (to->length + length > to->capacity) {
        to->capacity = 2 * (to->length + length);
        to->data = checked(realloc(to->data, to->capacity));
    }
    memcpy(to->data + to->length, data, length);
    to->length += length;
}

const char *directory(void)
{
    const char *directory = getenv("PEERS");
    return directory ? directory : ".";
}

struct bytes contents(const char *file)
{
    struct bytes all = {NULL, 0, 0};
    char path[4096], piece[4096];
    size_t count;
    FILE *stream;
    snprintf(path, sizeof path, "%s/%s", directory(), file);
    stream = fopen(path, "rb");
    if (!stream) {
        fprintf(stderr, "left out: what needs %s\n", path);
        return all;
    }
    while ((count = fread(piece, 1, sizeof piece, stream)) > 0)
        append(&all, piece, count);
    fclose(stream);
    return all;
}

void *load(const char *variable)
{
    const char *path = getenv(variable);
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        fprintf(stderr, "left out: %s: %s\n", variable, path ? dlerror() : "is not set");
    return library;
}

void find(void *library, const char *name, void *pointer)
{
    void *function = dlsym(library, name);
    if (!function)
        fail("a library has no %s", name);
    memcpy(pointer, &function, sizeof function);
}
