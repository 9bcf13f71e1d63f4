#include "host.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#define IMPORT(name) __attribute__((import_module("arawn"), import_name(name)))
IMPORT("host_call")
size_t arawn_host_call(const char *name, size_t name_length, const char *request, size_t request_length);
IMPORT("host_reply")
size_t arawn_host_reply(char *buffer, size_t capacity);

struct arguments arguments;

/* The host judges a module that traps after it was refused memory: `memory_exceeded`. */
static void *allocate(void *old, size_t size)
{
    void *new = realloc(old, size);
    if (new == NULL)
        abort();
    return new;
}

void text_grow(struct text *text, size_t more)
{
    size_t capacity = text->capacity < 512 ? 512 : text->capacity;
    if (more >= SIZE_MAX / 4 || text->length >= SIZE_MAX / 4)
        abort();
    while (capacity - text->length <= more)
        capacity *= 2;
    text->bytes = allocate(text->bytes, capacity);
    text->capacity = capacity;
}

char *text_end(struct text *text)
{
    *text_room(text, 1) = 0;
    return text->bytes;
}

void text_add(struct text *text, const char *bytes, size_t length)
{
    if (length != 0)
        memcpy(text_room(text, length), bytes, length);
    text->length += length;
}

void text_puts(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_unsigned(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    text_add(text, digits + at, sizeof digits - at);
}

void read_arguments(void)
{
    size_t count, bytes;
    char **args = NULL, *buffer;
    if (__wasi_args_sizes_get(&count, &bytes) != 0)
        abort();
    args = allocate(NULL, (count + 1) * sizeof *args);
    buffer = allocate(NULL, bytes + 1);
    if (count != 0 && __wasi_args_get((uint8_t **)args, (uint8_t *)buffer) != 0)
        abort();
    arguments.name = count > 0 ? args[0] : "";
    if (count < 2) {
        arguments.mode = FROM_CONFIG;
        arguments.file = "script";
    } else if (count >= 4 && strcmp(args[1], "run") == 0) {
        arguments.mode = RUN;
    } else if (count >= 4 && strcmp(args[1], "check") == 0) {
        arguments.mode = CHECK;
    } else {
        arguments.mode = WRONG_USE;
    }
    if (count >= 4) {
        arguments.file = args[2];
        arguments.script = args[3];
        /* The arguments lie one behind the other. */
        arguments.script_length = (size_t)((count > 4 ? args[4] : buffer + bytes) - args[3]) - 1;
        arguments.args = args + 4;
        arguments.arg_count = count - 4;
    }
}

bool read_environment(void)
{
    static char *before;
    static size_t bytes_before;
    size_t count, bytes;
    char **env, *buffer;
    if (__wasi_environ_sizes_get(&count, &bytes) != 0)
        abort();
    if (count == 0 && arguments.env_count == 0)
        return false;
    env = allocate(NULL, (count + 1) * sizeof *env);
    buffer = allocate(NULL, bytes + 1);
    if (count != 0 && __wasi_environ_get((uint8_t **)env, (uint8_t *)buffer) != 0)
        abort();
    if (count == arguments.env_count && bytes == bytes_before && memcmp(buffer, before, bytes) == 0) {
        free(env);
        free(buffer);
        return false;
    }
    arguments.env = env;
    arguments.env_count = count;
    before = buffer;
    bytes_before = bytes;
    return true;
}

char *read_stdin(size_t *length)
{
    __wasi_filestat_t stat;
    struct text text = {0};
    size_t size = 0;
    if (__wasi_fd_filestat_get(0, &stat) == 0 && stat.size < SIZE_MAX / 4)
        size = (size_t)stat.size;
    /* One more, so that the read which tells the end has room, too. */
    text.capacity = size + 2;
    text.bytes = allocate(NULL, text.capacity);
    for (;;) {
        __wasi_iovec_t room;
        size_t read = 0;
        text_room(&text, 1);
        room = (__wasi_iovec_t){(uint8_t *)text.bytes + text.length, text.capacity - text.length - 1};
        if (__wasi_fd_read(0, &room, 1, &read) != 0 || read == 0)
            break;
        text.length += read;
    }
    *length = text.length;
    return text_end(&text);
}

static void write_all(__wasi_fd_t fd, const char *bytes, size_t length)
{
    while (length != 0) {
        __wasi_ciovec_t rest = {(const uint8_t *)bytes, length};
        size_t written = 0;
        if (__wasi_fd_write(fd, &rest, 1, &written) != 0 || written == 0)
            return;
        bytes += written;
        length -= written;
    }
}

void write_stderr(struct text *text)
{
    text_byte(text, '\n');
    write_all(2, text->bytes, text->length);
}

void reply_begin(struct text *text)
{
    text_puts(text, "{\"status\":\"ok\",\"output\":");
}

void reply_end(struct text *text)
{
    text_byte(text, '}');
    write_all(1, text->bytes, text->length);
}

void reply_error(const char *message, size_t length)
{
    struct text text = {0};
    text_puts(&text, "{\"status\":\"error\",\"error\":");
    json_write_string(&text, message, length);
    reply_end(&text);
}

void reply_problem(const char *message, size_t length, size_t line, size_t column)
{
    struct text text = {0};
    reply_begin(&text);
    if (message == NULL) {
        text_puts(&text, "null");
    } else {
        text_puts(&text, "{\"message\":");
        json_write_string(&text, message, length);
        if (line != 0) {
            text_puts(&text, ",\"line\":");
            text_unsigned(&text, line);
            text_puts(&text, ",\"column\":");
            text_unsigned(&text, column);
        }
        text_byte(&text, '}');
    }
    reply_end(&text);
}

char *call_host(const char *name, size_t name_length, const char *request, size_t request_length, size_t *length)
{
    char *reply;
    *length = arawn_host_call(name, name_length, request, request_length);
    reply = allocate(NULL, *length + 1);
    arawn_host_reply(reply, *length);
    reply[*length] = 0;
    return reply;
}

uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (__wasi_random_get((uint8_t *)&seed, sizeof seed) != 0)
        abort();
    return seed;
}

size_t column_of(const char *script, size_t length, size_t line, size_t byte)
{
    const char *at = script, *end = script + length;
    size_t column = byte;
    for (; line > 1 && at < end; at++)
        line -= *at == '\n';
    /* Each byte that goes on with a character is one column less. */
    for (; byte > 1 && at < end && *at != '\n'; byte--, at++)
        column -= ((unsigned char)*at & 0xc0) == 0x80;
    return column;
}
