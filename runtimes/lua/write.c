#include "values.h"

#include "lauxlib.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A table that is being written, and in which place of the one around it. */
struct level {
    const struct level *around;
    const void *table;
    const char *key; /* NULL in a list */
    lua_Integer index;
    int depth;
};

struct writer {
    lua_State *L;
    struct text *text;
    const char *name;
};

static const char null_name[] = "null";
/* Keys of the registry. */
static const char list_key, object_key, null_key;

static int null_text(lua_State *L)
{
    lua_pushstring(L, null_name);
    return 1;
}

static int integer_text(lua_State *L)
{
    lua_pushlstring(L, luaL_checkudata(L, 1, "integer"), lua_rawlen(L, 1));
    return 1;
}

static int integer_equals(lua_State *L)
{
    size_t length = lua_rawlen(L, 1);
    lua_pushboolean(L, length == lua_rawlen(L, 2) &&
                           memcmp(luaL_checkudata(L, 1, "integer"), luaL_checkudata(L, 2, "integer"), length) == 0);
    return 1;
}

void values_open(lua_State *L)
{
    luaL_newmetatable(L, "integer");
    lua_pushcfunction(L, integer_text);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, integer_equals);
    lua_setfield(L, -2, "__eq");
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, null_name);
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, null_text);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "list");
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "object");
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &object_key);
    lua_pop(L, 1);
}

void value_push_null(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
}

void value_mark(lua_State *L, bool is_list)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, is_list ? &list_key : &object_key);
    lua_setmetatable(L, -2);
}

static bool has_mark(lua_State *L, const char *key)
{
    bool has = false;
    if (lua_getmetatable(L, -1)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, key);
        has = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    return has;
}

static void add_path(struct writer *writer, luaL_Buffer *path, const struct level *level)
{
    if (level->around == NULL) {
        luaL_addstring(path, writer->name);
        return;
    }
    add_path(writer, path, level->around);
    if (level->key == NULL) {
        char index[32];
        snprintf(index, sizeof index, "[%lld]", (long long)level->index);
        luaL_addstring(path, index);
    } else {
        luaL_addchar(path, '.');
        luaL_addlstring(path, level->key, strnlen(level->key, 60));
    }
}

/* A long path is cut. */
static _Noreturn void problem(struct writer *writer, const struct level *level, const char *what)
{
    lua_State *L = writer->L;
    luaL_Buffer path;
    bool is_cut = level->depth > 20;
    while (level->depth > 20)
        level = level->around;
    luaL_checkstack(L, 20, NULL);
    luaL_buffinit(L, &path);
    add_path(writer, &path, level);
    luaL_addstring(&path, is_cut ? "… " : " ");
    luaL_addstring(&path, what);
    luaL_pushresult(&path);
    lua_error(L);
    __builtin_unreachable();
}

static void write_value(struct writer *writer, struct level *level);

static void write_string(struct writer *writer, const struct level *place, int index)
{
    size_t length;
    const char *bytes = lua_tolstring(writer->L, index, &length);
    if (!json_is_text(bytes, length))
        problem(writer, place, "is not UTF-8, and strings in JSON are");
    json_write_string(writer->text, bytes, length);
}

/* The shortest of two forms that reads back as the same number. */
static void write_float(struct writer *writer, const struct level *place, double number)
{
    char digits[40];
    int length;
    if (!isfinite(number))
        problem(writer, place, isnan(number) ? "is NaN" JSON_NO_NUMBER : "is infinite" JSON_NO_NUMBER);
    if (number == (double)(int64_t)number && fabs(number) < 1e15) {
        if (signbit(number))
            text_byte(writer->text, '-');
        text_unsigned(writer->text, (uint64_t)fabs(number));
        text_puts(writer->text, ".0");
        return;
    }
    length = snprintf(digits, sizeof digits, "%.15g", number);
    if (strtod(digits, NULL) != number)
        length = snprintf(digits, sizeof digits, "%.17g", number);
    text_add(writer->text, digits, (size_t)length);
}

/* Whether the keys are 1 to some count and no others. Where they are not, `is_list` tells what is wrong. */
static bool is_sequence(lua_State *L, lua_Integer *count)
{
    lua_Integer keys = 0, length = (lua_Integer)lua_rawlen(L, -1);
    *count = length;
    for (lua_pushnil(L); lua_next(L, -2); keys++) {
        lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
        lua_pop(L, 1);
        if (key < 1 || key > length) {
            lua_pop(L, 1);
            return false;
        }
    }
    return keys == length;
}

static void write_list(struct writer *writer, const struct level *around, lua_Integer count)
{
    lua_State *L = writer->L;
    struct level place = {around, NULL, NULL, 0, around->depth + 1};
    text_byte(writer->text, '[');
    for (lua_Integer i = 1; i <= count; i++) {
        if (i != 1)
            text_byte(writer->text, ',');
        lua_rawgeti(L, -1, i);
        place.index = i;
        write_value(writer, &place);
    }
    text_byte(writer->text, ']');
}

static void write_object(struct writer *writer, const struct level *around)
{
    lua_State *L = writer->L;
    struct level place = {around, NULL, NULL, 0, around->depth + 1};
    bool is_first = true;
    text_byte(writer->text, '{');
    for (lua_pushnil(L); lua_next(L, -2);) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            if (lua_type(L, -2) == LUA_TNUMBER)
                problem(writer, around,
                        "has keys that are numbers, but is not a list from 1 on without gaps: make the keys strings, or fill "
                        "the gaps with arawn.null");
            problem(writer, around, "has a key that is neither a string nor a number");
        }
        if (!is_first)
            text_byte(writer->text, ',');
        is_first = false;
        place.key = lua_tostring(L, -2);
        write_string(writer, &place, -2);
        text_byte(writer->text, ':');
        write_value(writer, &place);
    }
    text_byte(writer->text, '}');
}

static void write_table(struct writer *writer, struct level *place)
{
    lua_State *L = writer->L;
    lua_Integer count;
    place->table = lua_topointer(L, -1);
    if (place->depth >= JSON_DEPTH)
        problem(writer, place, JSON_TOO_DEEP);
    for (const struct level *level = place->around; level != NULL; level = level->around)
        if (level->table == place->table)
            problem(writer, place, "is a table that contains it: " JSON_NO_CYCLES);
    luaL_checkstack(L, 8, NULL);
    if (is_sequence(L, &count)) {
        bool is_list = has_mark(L, &list_key);
        if (is_list || (count != 0 && !has_mark(L, &object_key)))
            write_list(writer, place, count);
        else if (count == 0)
            text_puts(writer->text, "{}");
        else
            problem(writer, place, "is marked as an object, and has keys that are numbers");
    } else if (has_mark(L, &list_key)) {
        problem(writer, place, "is marked as a list, and has a gap or keys that are not indices: fill gaps with arawn.null");
    } else {
        write_object(writer, place);
    }
}

static void write_value(struct writer *writer, struct level *place)
{
    lua_State *L = writer->L;
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        text_puts(writer->text, null_name);
        break;
    case LUA_TBOOLEAN:
        text_puts(writer->text, lua_toboolean(L, -1) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1)) {
            lua_Integer number = lua_tointeger(L, -1);
            if (number < 0)
                text_byte(writer->text, '-');
            text_unsigned(writer->text, number < 0 ? -(uint64_t)number : (uint64_t)number);
        } else {
            write_float(writer, place, lua_tonumber(L, -1));
        }
        break;
    case LUA_TSTRING:
        write_string(writer, place, -1);
        break;
    case LUA_TTABLE:
        write_table(writer, place);
        break;
    case LUA_TUSERDATA: {
        const char *digits = luaL_testudata(L, -1, "integer");
        if (digits != NULL) {
            text_add(writer->text, digits, lua_rawlen(L, -1));
            break;
        }
        value_push_null(L);
        if (lua_rawequal(L, -1, -2)) {
            lua_pop(L, 1);
            text_puts(writer->text, null_name);
            break;
        }
    } /* fall through */
    default:
        problem(writer, place, lua_pushfstring(L, "is a %s, and JSON has nothing like it", luaL_typename(L, -1)));
    }
    lua_pop(L, 1);
}

void value_write(lua_State *L, struct text *text, const char *name)
{
    struct writer writer = {L, text, name};
    struct level place = {NULL, NULL, NULL, 0, 0};
    write_value(&writer, &place);
}
