/* The table `arawn`: functions of the host, arguments, variables, and what marks values of JSON. */
#include "libraries.h"

#include "lauxlib.h"

#include "host.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>

static int error_text(lua_State *L)
{
    lua_getfield(L, 1, "message");
    return 1;
}

/* An error of a host function is a table with `message` and `code`, and as a string its message. */
static int raise_reply(lua_State *L, const char *name)
{
    if (!lua_istable(L, -1) || lua_getfield(L, -1, "error") != LUA_TSTRING)
        return luaL_error(L, "%s: the reply has neither an output nor an error", name);
    lua_createtable(L, 0, 2);
    lua_insert(L, -2);
    lua_setfield(L, -2, "message");
    lua_getfield(L, -2, "code");
    lua_setfield(L, -2, "code");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, error_text);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
    return lua_error(L);
}

static int call(lua_State *L)
{
    struct text request = {0};
    size_t name_length, length;
    const char *name = luaL_checklstring(L, 1, &name_length);
    char *reply;
    lua_settop(L, 2);
    value_write(L, &request, "request");
    reply = call_host(name, name_length, request.bytes, request.length, &length);
    free(request.bytes);
    value_read(L, reply, length, "the host's reply");
    free(reply);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "status");
        lua_pushliteral(L, "ok");
        if (lua_rawequal(L, -1, -2)) {
            lua_getfield(L, -3, "output");
            return 1;
        }
        lua_pop(L, 2);
    }
    return raise_reply(L, name);
}

/* Marks its argument, or a new table. */
static int array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    value_mark(L, true);
    return 1;
}

static int object(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    value_mark(L, false);
    return 1;
}

static const char env_key;

int update_environment(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key);
    for (size_t i = 0; i < arguments.env_count; i++) {
        const char *entry = arguments.env[i], *value = strchr(entry, '=');
        if (value == NULL)
            continue;
        lua_pushlstring(L, entry, (size_t)(value - entry));
        lua_pushstring(L, value + 1);
        lua_rawset(L, -3);
    }
    return 0;
}

int open_arawn(lua_State *L)
{
    static const luaL_Reg functions[] = {{"call", call}, {"array", array}, {"object", object}, {NULL, NULL}};
    values_open(L);
    luaL_newlib(L, functions);
    lua_pushstring(L, arguments.name);
    lua_setfield(L, -2, "name");
    lua_createtable(L, (int)arguments.arg_count, 0);
    value_mark(L, true);
    for (size_t i = 0; i < arguments.arg_count; i++) {
        lua_pushstring(L, arguments.args[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "args");
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &env_key);
    lua_setfield(L, -2, "env");
    value_push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
