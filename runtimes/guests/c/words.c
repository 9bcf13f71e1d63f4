/*
 * Counts the lines, words, characters and bytes of `context.text`.
 *
 * A character is a Unicode code point; words are set apart by ASCII white space, and lines counted as in wc, by their ends.
 */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(const char *text)
{
    printf("{\"status\":\"error\",\"error\":\"%s\"}", text);
    return 1;
}

/* All of stdin and a NUL, by which a reader sees the end; NULL where memory does not suffice or there is a NUL within. */
static char *read_all(void)
{
    size_t size = 0, capacity = 65536;
    char *text = malloc(capacity + 1);
    while (text) {
        size += fread(text + size, 1, capacity - size, stdin);
        if (size < capacity) {
            text[size] = '\0';
            return strlen(text) == size ? text : NULL;
        }
        capacity *= 2;
        char *larger = realloc(text, capacity + 1);
        if (!larger)
            free(text);
        text = larger;
    }
    return NULL;
}

static size_t utf8_length(uint32_t code)
{
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

int main(void)
{
    const char *input = read_all();
    if (!input)
        return fail("the input does not fit in memory, or has a NUL");
    if (!(input = json_check(input)))
        return fail("the input is not JSON, or is nested too deeply");
    const char *at = json_member(json_member(input, "context"), "text");
    if (!at || *at != '"')
        return fail("context.text must be a string");

    unsigned long lines = 0, words = 0, characters = 0, bytes = 0;
    int in_word = 0;
    for (at++; *at != '"';) {
        uint32_t code;
        int escaped = *at == '\\';
        at = json_char(at, &code);
        int space = code == ' ' || (code >= '\t' && code <= '\r');
        lines += code == '\n';
        words += !space && !in_word;
        in_word = !space;
        characters += escaped || (code & 0xC0) != 0x80;
        bytes += escaped ? utf8_length(code) : 1;
    }
    printf("{\"status\":\"ok\",\"output\":{\"lines\":%lu,\"words\":%lu,\"characters\":%lu,\"bytes\":%lu}}", lines, words,
           characters, bytes);
    return 0;
}
