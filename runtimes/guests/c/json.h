/*
 * Reads JSON text in place. `json_check` says once whether a text is JSON (RFC 8259); the other functions take what has
 * passed it. They need no memory, so that a value is looked up where it stands, and its text read character by character.
 *
 * It looks at no more of the text than it passes: some C libraries' strspn and strncmp look for the end of all of it.
 *
 * Not checked: that the bytes within strings are UTF-8, which a runtime's host has done. Nesting is bounded by JSON_DEPTH.
 */
#ifndef JSON_H
#define JSON_H

#include <stdint.h>
#include <string.h>

enum { JSON_DEPTH = 256 };

static inline const char *json_space(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
        at++;
    return at;
}

static inline const char *json_digits(const char *at)
{
    const char *begin = at;
    while (*at >= '0' && *at <= '9')
        at++;
    return at > begin ? at : NULL;
}

static inline int json_is_hex(char digit)
{
    return (digit >= '0' && digit <= '9') || ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f');
}

static inline const char *json_number(const char *at)
{
    if (*at == '-')
        at++;
    if (*at == '0')
        at++;
    else if (!(at = json_digits(at)))
        return NULL;
    if (*at == '.' && !(at = json_digits(at + 1)))
        return NULL;
    if (*at == 'e' || *at == 'E') {
        at++;
        if (*at == '+' || *at == '-')
            at++;
        at = json_digits(at);
    }
    return at;
}

static inline const char *json_string(const char *at)
{
    for (at++; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at != '\\')
            continue;
        at++;
        if (*at == 'u') {
            for (int i = 0; i < 4; i++) {
                if (!json_is_hex(*++at))
                    return NULL;
            }
        } else if (*at == '\0' || !strchr("\"\\/bfnrt", *at)) {
            return NULL;
        }
    }
    return at + 1;
}

static inline const char *json_word(const char *at, const char *word)
{
    while (*word != '\0') {
        if (*at++ != *word++)
            return NULL;
    }
    return at;
}

/* Where the value that begins at `at` ends; NULL where there is no value, or one nested deeper than `depth`. */
static inline const char *json_value(const char *at, int depth)
{
    switch (*at) {
    case '"':
        return json_string(at);
    case 't':
        return json_word(at, "true");
    case 'f':
        return json_word(at, "false");
    case 'n':
        return json_word(at, "null");
    case '{':
    case '[':
        break;
    default:
        return json_number(at);
    }

    const char close = *at == '{' ? '}' : ']';
    at = json_space(at + 1);
    if (*at == close)
        return at + 1;
    while (depth > 0) {
        if (close == '}') {
            if (*at != '"' || !(at = json_string(at)) || *(at = json_space(at)) != ':')
                return NULL;
            at = json_space(at + 1);
        }
        if (!(at = json_value(at, depth - 1)))
            return NULL;
        at = json_space(at);
        if (*at == close)
            return at + 1;
        if (*at != ',')
            return NULL;
        at = json_space(at + 1);
    }
    return NULL;
}

/* The one value of a text that ends with a NUL; NULL where it is not JSON. */
static inline const char *json_check(const char *text)
{
    const char *value = json_space(text);
    const char *end = json_value(value, JSON_DEPTH);
    return end && *json_space(end) == '\0' ? value : NULL;
}

static inline uint32_t json_hex(const char *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)(at[i] <= '9' ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
    return value;
}

/*
 * Reads what stands at `at` within a string: one byte of UTF-8 as it is, or an escape as its whole code point, half a
 * surrogate pair as U+FFFD. Tells where the next one begins. A string has ended where `*at` is its quote.
 */
static inline const char *json_char(const char *at, uint32_t *code)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    if (*at != '\\') {
        *code = (unsigned char)*at;
        return at + 1;
    }
    if (at[1] != 'u') {
        const char *name = strchr(names, at[1]);
        *code = (unsigned char)(name ? values[name - names] : at[1]);
        return at + 2;
    }
    *code = json_hex(at + 2);
    at += 6;
    if (*code >= 0xD800 && *code < 0xE000) {
        uint32_t low = *code < 0xDC00 && at[0] == '\\' && at[1] == 'u' ? json_hex(at + 2) : 0;
        if (low < 0xDC00 || low >= 0xE000) {
            *code = 0xFFFD;
            return at;
        }
        *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    }
    return at;
}

/* The value of an object's member, the last of that name, which is ASCII; NULL where there is none, or no object. */
static inline const char *json_member(const char *object, const char *name)
{
    const char *found = NULL;
    if (!object || *object != '{')
        return NULL;
    const char *at = json_space(object + 1);
    while (*at == '"') {
        const char *key = at + 1, *wanted = name;
        uint32_t code;
        while (*key != '"') {
            key = json_char(key, &code);
            if (wanted)
                wanted = *wanted != '\0' && code == (unsigned char)*wanted ? wanted + 1 : NULL;
        }
        at = json_space(json_space(key + 1) + 1);
        if (wanted && *wanted == '\0')
            found = at;
        at = json_space(json_value(at, JSON_DEPTH));
        if (*at == ',')
            at = json_space(at + 1);
    }
    return found;
}

#endif
