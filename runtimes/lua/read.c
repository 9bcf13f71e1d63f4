#include "values.h"

#include "lauxlib.h"
#include "lualib.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    struct json json;
    lua_State *L;
    const char *name;
};

static void read_value(struct reader *reader, int depth);

static _Noreturn void problem(struct reader *reader, const char *what)
{
    lua_State *L = reader->L;
    if (what != NULL)
        luaL_error(L, "%s %s", reader->name, what);
    luaL_error(L, "%s is not JSON: %s at byte %I", reader->name, reader->json.problem,
               (lua_Integer)(reader->json.at - reader->json.begin));
    abort();
}

static void read_string(struct reader *reader)
{
    struct json_string string;
    if (!json_string(&reader->json, &string))
        problem(reader, NULL);
    lua_pushlstring(reader->L, string.bytes, string.length);
}

static void read_number(struct reader *reader)
{
    lua_State *L = reader->L;
    struct json_number number;
    if (!json_number(&reader->json, &number))
        problem(reader, NULL);
    if (number.is_exact && number.is_integer) {
        lua_pushinteger(L, number.integer);
    } else if (number.is_exact) {
        lua_pushnumber(L, number.value);
    } else if (!number.is_integer) {
        lua_pushnumber(L, strtod(number.bytes, NULL));
    } else {
        uint64_t digits = 0;
        bool negative = *number.bytes == '-', fits = true;
        for (size_t i = negative; i < number.length; i++)
            fits &= !__builtin_mul_overflow(digits, 10, &digits) &&
                    !__builtin_add_overflow(digits, (uint64_t)(number.bytes[i] - '0'), &digits);
        if (fits && digits == 0) {
            lua_pushnumber(L, -0.0);
        } else if (fits && digits <= (uint64_t)INT64_MAX + negative) {
            lua_pushinteger(L, (lua_Integer)(negative ? -digits : digits));
        } else {
            memcpy(lua_newuserdatauv(L, number.length, 0), number.bytes, number.length);
            luaL_setmetatable(L, "integer");
        }
    }
}

static void read_array(struct reader *reader, int depth)
{
    lua_State *L = reader->L;
    lua_Integer count = 0;
    reader->json.at++;
    lua_newtable(L);
    value_mark(L, true);
    if (json_take(&reader->json, ']'))
        return;
    luaL_checkstack(L, 8, reader->name);
    do {
        read_value(reader, depth + 1);
        lua_rawseti(L, -2, ++count);
    } while (json_take(&reader->json, ','));
    if (!json_take(&reader->json, ']')) {
        reader->json.problem = "no comma or bracket after an element";
        problem(reader, NULL);
    }
}

static void read_object(struct reader *reader, int depth)
{
    lua_State *L = reader->L;
    reader->json.at++;
    lua_newtable(L);
    if (json_take(&reader->json, '}'))
        return;
    luaL_checkstack(L, 8, reader->name);
    do {
        read_string(reader);
        if (!json_take(&reader->json, ':')) {
            reader->json.problem = "no colon after a key";
            problem(reader, NULL);
        }
        read_value(reader, depth + 1);
        lua_rawset(L, -3);
    } while (json_take(&reader->json, ','));
    if (json_take(&reader->json, '}'))
        return;
    reader->json.problem = "no comma or brace after a value";
    problem(reader, NULL);
}

static void read_value(struct reader *reader, int depth)
{
    struct json *json = &reader->json;
    char next = json_next(json);
    bool is_word = true;
    if (depth > JSON_DEPTH)
        problem(reader, JSON_TOO_DEEP);
    switch (next) {
    case '{':
        read_object(reader, depth);
        break;
    case '[':
        read_array(reader, depth);
        break;
    case '"':
        read_string(reader);
        break;
    case 't':
    case 'f':
        is_word = json_word(json, next == 't' ? "true" : "false");
        lua_pushboolean(reader->L, next == 't');
        break;
    case 'n':
        is_word = json_word(json, "null");
        value_push_null(reader->L);
        break;
    default:
        read_number(reader);
    }
    if (!is_word)
        problem(reader, NULL);
}

void value_read(lua_State *L, const char *bytes, size_t length, const char *name)
{
    struct reader reader = {.json = {.begin = bytes, .at = bytes, .end = bytes + length}, .L = L, .name = name};
    read_value(&reader, 0);
    json_next(&reader.json);
    if (reader.json.at != reader.json.end) {
        reader.json.problem = "more than one value";
        problem(&reader, NULL);
    }
    free(reader.json.scratch.bytes);
}
