// Parts of the library's replies as they are, with every digit: what JSON.parse would round. These texts are valid JSON.
#include "library.h"
#include "state.h"

#include <string.h>

static const char *skip_space(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')
        at++;
    return at;
}

// From the first quote to behind the last.
static const char *skip_string(const char *at)
{
    at++;
    for (;;) {
        at += strcspn(at, "\"\\");
        if (*at != '\\')
            return at + 1;
        at += 2;
    }
}

// To behind the value: a comma or a bracket that does not belong to it, or the end.
static const char *skip_value(const char *at)
{
    unsigned long depth = 0;
    for (;;) {
        at += strcspn(at, "\"{}[],");
        switch (*at) {
        case '"':
            at = skip_string(at);
            break;
        case '{':
        case '[':
            depth++;
            at++;
            break;
        case ',':
            if (depth == 0)
                return at;
            at++;
            break;
        case '\0':
            return at;
        default:
            if (depth == 0)
                return at;
            depth--;
            at++;
        }
    }
}

struct part {
    const char *begin, *end;
};

// A reply of a call. The parts that it does not have are NULL.
struct reply {
    struct part whole, output, meta;
};

// The key of an object's member, of which `at` is moved to the value; or false: there is none left.
static bool next_member(const char **at, struct part *key)
{
    const char *next = skip_space(*at);
    if (*next == ',')
        next = skip_space(next + 1);
    if (*next != '"')
        return false;
    key->begin = next + 1;
    next = skip_string(next);
    key->end = next - 1;
    *at = skip_space(skip_space(next) + 1);
    return true;
}

static bool is(struct part key, const char *name)
{
    size_t length = strlen(name);
    return (size_t)(key.end - key.begin) == length && memcmp(key.begin, name, length) == 0;
}

// To behind the object.
static const char *read_reply(const char *at, struct reply *reply)
{
    struct part key;
    memset(reply, 0, sizeof *reply);
    reply->whole.begin = at++;
    while (next_member(&at, &key)) {
        const char *value = at;
        at = skip_value(value);
        if (is(key, "output"))
            reply->output = (struct part){value, at};
        else if (is(key, "meta"))
            reply->meta = (struct part){value, at};
    }
    reply->whole.end = skip_space(at) + 1;
    return reply->whole.end;
}

static bool add(napi_env env, napi_value array, uint32_t *length, struct part part)
{
    napi_value text = NULL;
    if (part.begin == NULL)
        napi_get_null(env, &text);
    else
        text = string_of_part(env, part.begin, (size_t)(part.end - part.begin));
    return text != NULL && napi_set_element(env, array, (*length)++, text) == napi_ok;
}

// Two texts: the output, and the meta or null; or null, and the whole of a reply that is an error.
static bool add_reply(napi_env env, napi_value array, uint32_t *length, const struct reply *reply)
{
    return add(env, array, length, reply->output) &&
        add(env, array, length, reply->output.begin != NULL ? reply->meta : reply->whole);
}

// `at` is in the array of what has ended.
static void add_finished(napi_env env, napi_value array, const char *at)
{
    uint32_t length = 0;
    for (;;) {
        struct part key, job = {NULL, NULL};
        struct reply reply = {0};
        at = skip_space(at);
        if (*at == ',')
            at = skip_space(at + 1);
        if (*at++ != '{')
            return;
        while (next_member(&at, &key)) {
            const char *value = at;
            at = is(key, "reply") ? read_reply(value, &reply) : skip_value(value);
            if (is(key, "job"))
                job = (struct part){value, at};
        }
        at = skip_space(at) + 1;
        if (!add(env, array, &length, job) || !add_reply(env, array, &length, &reply))
            return;
    }
}

// The same as `ask`, with a request of JavaScript.
static char *ask_with(napi_env env, enum function function, napi_value request)
{
    char buffer[TEXT_BUFFER];
    char *text = text_of(env, request, buffer);
    if (text == NULL)
        return NULL;
    char *reply = ask(env, function, text);
    text_free(text, buffer);
    return reply;
}

// (number, request_json): runs a call or a pipeline, and gives the two texts of its reply.
napi_value execute_split(napi_env env, napi_callback_info info)
{
    napi_value arguments[2], array = NULL;
    size_t count = 2;
    uint32_t number = FUNCTIONS, length = 0;
    struct reply parts;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_value_uint32(env, arguments[0], &number);
    char *reply = number < FUNCTIONS ? ask_with(env, number, arguments[1]) : NULL;
    if (reply == NULL)
        return NULL;
    read_reply(reply, &parts);
    if (napi_create_array(env, &array) == napi_ok)
        add_reply(env, array, &length, &parts);
    arawn.free(reply);
    return array;
}

// (request_json): what a poll hands out, as three texts each: the job, and the two of its reply. Null: the poll failed.
napi_value poll_split(napi_env env, napi_callback_info info)
{
    static const char FINISHED[] = "{\"status\":\"ok\",\"output\":{\"finished\":[";
    napi_value request, array = NULL;
    size_t count = 1;
    napi_get_cb_info(env, info, &count, &request, NULL, NULL);
    char *reply = ask_with(env, POLL, request);
    if (reply == NULL)
        return NULL;
    if (strncmp(reply, FINISHED, sizeof FINISHED - 1) == 0) {
        if (napi_create_array(env, &array) == napi_ok)
            add_finished(env, array, reply + sizeof FINISHED - 1);
    } else {
        napi_get_null(env, &array);
    }
    arawn.free(reply);
    return array;
}

// (text): whether a text can only be one value, wherever it stands in a request that is valid JSON. Its end cannot pass
// for other keys of the request then.
napi_value is_whole(napi_env env, napi_callback_info info)
{
    napi_value argument, result = NULL;
    size_t count = 1;
    long depth = 0;
    bool inside = false;
    char buffer[TEXT_BUFFER];
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    char *text = text_of(env, argument, buffer);
    if (text == NULL)
        return NULL;
    bool whole = *skip_space(text) != '\0';
    for (const char *at = text; whole; at++) {
        at += strcspn(at, inside ? "\"\\" : "\"{}[],");
        if (*at == '\0')
            break;
        if (*at == '"')
            inside = !inside;
        else if (*at == '\\' && at[1] != '\0')
            at++;
        else if (*at == '{' || *at == '[')
            depth++;
        else if (depth == 0)
            whole = false;
        else if (*at != ',')
            depth--;
    }
    text_free(text, buffer);
    napi_get_boolean(env, whole && depth == 0 && !inside, &result);
    return result;
}
