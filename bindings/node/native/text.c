#include "state.h"

#include "library.h"

#include <stdlib.h>
#include <string.h>

// The longest character of UTF-8: where less room than that is left, the text may have been cut.
#define LONGEST 4

char *text_of(napi_env env, napi_value string, char *buffer)
{
    size_t length;
    if (napi_get_value_string_utf8(env, string, buffer, TEXT_BUFFER, &length) != napi_ok) {
        napi_throw_type_error(env, NULL, "a text must be a string");
        return NULL;
    }
    if (length < TEXT_BUFFER - LONGEST)
        return buffer;
    char *text = NULL;
    if (napi_get_value_string_utf8(env, string, NULL, 0, &length) == napi_ok)
        text = malloc(length + 1);
    if (text == NULL)
        napi_throw_error(env, NULL, "no memory is left for a text");
    else
        napi_get_value_string_utf8(env, string, text, length + 1, &length);
    return text;
}

void text_free(char *text, const char *buffer)
{
    if (text != buffer)
        free(text);
}

// Whether all bytes are ASCII, eight at a time.
static bool is_ascii(const char *text, size_t length)
{
    uint64_t all = 0, word;
    for (; length >= sizeof word; text += sizeof word, length -= sizeof word) {
        memcpy(&word, text, sizeof word);
        all |= word;
    }
    for (; length > 0; text++, length--)
        all |= (unsigned char)*text;
    return (all & 0x8080808080808080u) == 0;
}

// V8 copies Latin-1 as it is, and looks at each character of UTF-8.
napi_value string_of_part(napi_env env, const char *text, size_t length)
{
    napi_value string = NULL;
    if (is_ascii(text, length))
        napi_create_string_latin1(env, text, length, &string);
    else
        napi_create_string_utf8(env, text, length, &string);
    return string;
}

napi_value string_of(napi_env env, const char *text)
{
    return string_of_part(env, text, strlen(text));
}

napi_value reply_of(napi_env env, char *reply)
{
    napi_value string = string_of(env, reply);
    arawn.free(reply);
    bool pending = false;
    if (string == NULL && napi_is_exception_pending(env, &pending) == napi_ok && !pending)
        napi_throw_range_error(env, NULL, "a reply is longer than a string of JavaScript can be");
    return string;
}
