#include "json.h"

#include <string.h>

bool json_word(struct json *json, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0) {
        json->problem = "no value that JSON knows";
        return false;
    }
    json->at += length;
    return true;
}

static int hex_digits(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = at[i];
        if (digit >= '0' && digit <= '9')
            digit -= '0';
        else if ((digit | 32) >= 'a' && (digit | 32) <= 'f')
            digit = (digit | 32) - 'a' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void add_character(struct text *text, unsigned c)
{
    char *to = text_room(text, 4);
    if (c < 0x80) {
        to[0] = (char)c;
        text->length += 1;
    } else if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 63));
        text->length += 2;
    } else if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 63));
        to[2] = (char)(0x80 | (c & 63));
        text->length += 3;
    } else {
        to[0] = (char)(0xf0 | c >> 18);
        to[1] = (char)(0x80 | (c >> 12 & 63));
        to[2] = (char)(0x80 | (c >> 6 & 63));
        to[3] = (char)(0x80 | (c & 63));
        text->length += 4;
    }
}

static bool add_escape(struct json *json)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    char name = json->at[1];
    const char *found = name != 0 ? strchr(names, name) : NULL;
    int c, low;
    if (found != NULL) {
        text_byte(&json->scratch, bytes[found - names]);
        json->at += 2;
        return true;
    }
    if (name != 'u' || (c = hex_digits(json->at + 2)) < 0) {
        json->problem = "an escape that JSON does not know";
        return false;
    }
    json->at += 6;
    if (c >= 0xd800 && c < 0xdc00 && json->at[0] == '\\' && json->at[1] == 'u') {
        low = hex_digits(json->at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            json->at += 6;
        }
    }
    add_character(&json->scratch, (unsigned)c);
    return true;
}

bool json_string(struct json *json, struct json_string *string)
{
    const char *start, *at;
    unsigned char all = 0;
    if (!json_take(json, '"')) {
        json->problem = "no string where one must be";
        return false;
    }
    start = at = json->at;
    while ((unsigned char)*at >= 0x20 && *at != '"' && *at != '\\')
        all |= (unsigned char)*at++;
    if (*at == '"') {
        *string = (struct json_string){start, (size_t)(at - start), all < 0x80};
        json->at = at + 1;
        return true;
    }
    json->scratch.length = 0;
    for (;;) {
        text_add(&json->scratch, json->at, (size_t)(at - json->at));
        json->at = at;
        if (*at == '"')
            break;
        if (*at != '\\') {
            json->problem = at == json->end ? "the end of a text within a string" : "a control character within a string";
            return false;
        }
        if (!add_escape(json))
            return false;
        for (at = json->at; (unsigned char)*at >= 0x20 && *at != '"' && *at != '\\';)
            at++;
    }
    json->at++;
    /* Escapes are rare, and this tells ASCII from the rest without a count of them. */
    all = 0;
    for (size_t i = 0; i < json->scratch.length; i++)
        all |= (unsigned char)json->scratch.bytes[i];
    *string = (struct json_string){text_end(&json->scratch), json->scratch.length, all < 0x80};
    return true;
}

bool json_number(struct json *json, struct json_number *number)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *at = json->at;
    bool negative = *at == '-';
    uint64_t digits = 0;
    int count = 0, scale = 0;
    *number = (struct json_number){.bytes = at, .is_integer = true};
    at += negative;
    if (*at < '0' || *at > '9' || (*at == '0' && at[1] >= '0' && at[1] <= '9')) {
        json->problem = "no value that JSON knows";
        return false;
    }
    for (; *at >= '0' && *at <= '9'; at++, count += digits != 0)
        digits = count < 19 ? digits * 10 + (uint64_t)(*at - '0') : digits;
    if (*at == '.' && at[1] >= '0' && at[1] <= '9') {
        number->is_integer = false;
        for (at++; *at >= '0' && *at <= '9'; at++, count += digits != 0, scale--)
            digits = count < 19 ? digits * 10 + (uint64_t)(*at - '0') : digits;
    }
    if ((*at | 32) == 'e') {
        const char *exponent = at + 1;
        bool down = *exponent == '-';
        int power = 0;
        exponent += *exponent == '-' || *exponent == '+';
        if (*exponent >= '0' && *exponent <= '9') {
            number->is_integer = false;
            for (; *exponent >= '0' && *exponent <= '9'; exponent++)
                power = power < 10000 ? power * 10 + (*exponent - '0') : power;
            scale += down ? -power : power;
            at = exponent;
        }
    }
    number->length = (size_t)(at - json->at);
    json->at = at;
    if (number->is_integer) {
        /* 18 digits always fit. */
        number->is_exact = count <= 18 && !(negative && digits == 0);
        number->integer = negative ? -(int64_t)digits : (int64_t)digits;
    } else if (count <= 15 && scale >= -22 && scale <= 22) {
        /* Both are doubles without a rounding, so that one operation rounds once: Clinger's fast path. */
        number->is_exact = true;
        number->value = scale < 0 ? (double)digits / tens[-scale] : (double)digits * tens[scale];
        number->value = negative ? -number->value : number->value;
    }
    return true;
}

void json_write_escape(struct text *text, unsigned unit)
{
    static const char hex[] = "0123456789abcdef";
    char *to = text_room(text, 6);
    const char *names = "\bb\tt\nn\ff\rr\"\"\\\\";
    to[0] = '\\';
    for (; *names != 0; names += 2) {
        if ((unsigned)*names == unit) {
            to[1] = names[1];
            text->length += 2;
            return;
        }
    }
    to[1] = 'u';
    to[2] = hex[unit >> 12 & 15];
    to[3] = hex[unit >> 8 & 15];
    to[4] = hex[unit >> 4 & 15];
    to[5] = hex[unit & 15];
    text->length += 6;
}

void json_write_string(struct text *text, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    text_byte(text, '"');
    while (bytes < end) {
        const char *start = bytes;
        unsigned char byte = 0;
        for (; bytes < end; bytes++) {
            byte = (unsigned char)*bytes;
            if (byte < 0x20 || byte == '"' || byte == '\\' || (byte == 0xed && end - bytes > 2 && (bytes[1] & 0x20)))
                break;
        }
        text_add(text, start, (size_t)(bytes - start));
        if (bytes == end)
            break;
        if (byte == 0xed) {
            json_write_escape(text, 0xd000u | (unsigned)(bytes[1] & 63) << 6 | (unsigned)(bytes[2] & 63));
            bytes += 3;
        } else {
            json_write_escape(text, byte);
            bytes++;
        }
    }
    text_byte(text, '"');
}

size_t json_character(const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    unsigned char first = *at;
    size_t more = first < 0x80 ? 0 : first < 0xc2 ? SIZE_MAX : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : SIZE_MAX;
    if (more >= length)
        return 0;
    if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f))
        return 0;
    for (size_t i = 1; i <= more; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return more + 1;
}

bool json_is_text(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t more = (unsigned char)bytes[at] < 0x80 ? 1 : json_character(bytes + at, length - at);
        if (more == 0)
            return false;
        at += more;
    }
    return true;
}
