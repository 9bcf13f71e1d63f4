/* What both interpreters share: their arguments, stdin, stdout, stderr, random numbers and host functions. */
#ifndef SCRIPTS_HOST_H
#define SCRIPTS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text that grows. It has room for a NUL behind its `length` bytes, which `text_end` writes. */
struct text {
    char *bytes;
    size_t length, capacity;
};

void text_grow(struct text *text, size_t more);
char *text_end(struct text *text);

static inline char *text_room(struct text *text, size_t more)
{
    if (text->capacity - text->length <= more)
        text_grow(text, more);
    return text->bytes + text->length;
}

static inline void text_byte(struct text *text, char byte)
{
    *text_room(text, 1) = byte;
    text->length++;
}

void text_add(struct text *text, const char *bytes, size_t length);
void text_puts(struct text *text, const char *string);
void text_unsigned(struct text *text, uint64_t number);

/* How the runtime was started, from the arguments of the module. */
enum mode {
    FROM_CONFIG, /* [name]: the script is config.script */
    RUN,         /* [name, "run", file, script, args...] */
    CHECK,       /* [name, "check", file, script] */
    WRONG_USE,
};

struct arguments {
    enum mode mode;
    const char *name, *file, *script;
    size_t script_length;
    char **args; /* the script's own */
    size_t arg_count;
    char **env; /* NAME=value */
    size_t env_count;
};

extern struct arguments arguments;

void read_arguments(void);
/* Reads the variables into `arguments.env`. Tells whether they are others than before: the host adds some before the run. */
bool read_environment(void);

/* An interpreter's two steps: what does not depend on the input, and the rest, which answers. */
void script_init(void);
void script_run(void);

/* All of stdin, with a NUL behind it. */
char *read_stdin(size_t *length);

/* Writes a line to stderr. Takes the text's place for the line's end. */
void write_stderr(struct text *text);

/* The reply: `reply_begin`, the JSON of the output, `reply_end`. Nothing is written before `reply_end`. */
void reply_begin(struct text *text);
void reply_end(struct text *text);
void reply_error(const char *message, size_t length);
/*
 * {"message":…,"line":…,"column":…} as the output, or null where `message` is NULL. A `line` of 0 says that the place is not
 * known, and is left out with the column.
 */
void reply_problem(const char *message, size_t length, size_t line, size_t column);

/* Calls a function of the host. The reply has a NUL behind it, and is the caller's to free. */
char *call_host(const char *name, size_t name_length, const char *request, size_t request_length, size_t *length);

/* From the host's random numbers. No run reads them before a script asks. */
uint64_t random_seed(void);

/* The column, in characters from 1, of a byte of a line; both are counted from 1. */
size_t column_of(const char *script, size_t length, size_t line, size_t byte);

#endif
