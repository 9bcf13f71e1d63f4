/* JSON as both interpreters read and write it. Values are theirs; here are the words. */
#ifndef SCRIPTS_JSON_H
#define SCRIPTS_JSON_H

#include "host.h"

/* The deepest nesting that is read or written. A reader or writer takes a frame of the stack for each level. */
#define JSON_DEPTH 1000
#define JSON_NO_NUMBER ", and JSON has no such number"
#define JSON_NO_CYCLES "JSON has no cycles"
#define JSON_TOO_DEEP "is nested more than 1000 levels deep"

struct json {
    const char *begin, *at, *end; /* a NUL is at the end */
    const char *problem;          /* what is wrong at `at` */
    struct text scratch;          /* the text of a string with escapes */
};

static inline char json_next(struct json *json)
{
    while (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t')
        json->at++;
    return *json->at;
}

/* Takes `byte` if it is next. */
static inline bool json_take(struct json *json, char byte)
{
    if (json_next(json) != byte)
        return false;
    json->at++;
    return true;
}

bool json_word(struct json *json, const char *word);

struct json_string {
    const char *bytes; /* UTF-8; half of a surrogate pair is three bytes, as UTF-8 would write it */
    size_t length;
    bool is_ascii;
};

/* Reads the string whose opening quote is next. The bytes are good until the next string is read. */
bool json_string(struct json *json, struct json_string *string);

struct json_number {
    const char *bytes;
    size_t length;
    bool is_integer; /* neither fraction nor exponent */
    bool is_exact;   /* `value` or `integer` is the number that the digits say */
    int64_t integer; /* if is_integer and is_exact */
    double value;    /* if not is_integer and is_exact */
};

/* Reads the number that is next. What is not exact is left to the interpreter. */
bool json_number(struct json *json, struct json_number *number);

/* Writes a string. Half of a surrogate pair, as three bytes, is written as an escape. */
void json_write_string(struct text *text, const char *bytes, size_t length);
/* Writes one UTF-16 unit that needs an escape. */
void json_write_escape(struct text *text, unsigned unit);
/* The length of the character that the bytes begin with, or 0 where they are no UTF-8. A surrogate counts as a character. */
size_t json_character(const char *bytes, size_t length);
/* Whether the bytes are UTF-8, where surrogates count as characters. */
bool json_is_text(const char *bytes, size_t length);

#endif
