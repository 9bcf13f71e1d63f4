#include "libraries.h"

#include "lauxlib.h"
#include "lualib.h"

#include "host.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>

static int print(lua_State *L)
{
    struct text text = {0};
    int count = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        size_t length;
        const char *bytes = luaL_tolstring(L, i, &length);
        if (i != 1)
            text_byte(&text, '\t');
        text_add(&text, bytes, length);
        lua_pop(L, 1);
    }
    write_stderr(&text);
    free(text.bytes);
    return 0;
}

static void warn(void *opaque, const char *message, int is_continued)
{
    static struct text text;
    (void)opaque;
    if (text.length == 0 && !is_continued && *message == '@')
        return;
    text_puts(&text, message);
    if (!is_continued) {
        write_stderr(&text);
        text.length = 0;
    }
}

/* Lua's `load`, of text alone: what is compiled is not verified when it is loaded. */
static int load(lua_State *L)
{
    if (lua_gettop(L) < 3)
        lua_settop(L, 3);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int traceback(lua_State *L)
{
    lua_State *of = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    int first = of == L && !lua_isthread(L, 1) ? 1 : 2;
    const char *message = lua_tostring(L, first);
    if (message == NULL && !lua_isnoneornil(L, first))
        lua_pushvalue(L, first);
    else
        luaL_traceback(L, of, message, (int)luaL_optinteger(L, first + 1, of == L ? 1 : 0));
    return 1;
}

static void open(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    lua_call(L, 0, 1);
    lua_setglobal(L, name);
}

static void remove_field(lua_State *L, const char *library, const char *name)
{
    lua_getglobal(L, library);
    lua_pushnil(L);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void open_libraries(lua_State *L)
{
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 0);
    remove_field(L, "_G", "dofile");
    remove_field(L, "_G", "loadfile");
    lua_getglobal(L, "load");
    lua_pushcclosure(L, load, 1);
    lua_setglobal(L, "load");
    lua_pushcfunction(L, print);
    lua_setglobal(L, "print");
    lua_setwarnf(L, warn, NULL);
    open(L, "string", luaopen_string);
    remove_field(L, "string", "dump");
    open(L, "table", luaopen_table);
    open(L, "math", open_math);
    open(L, "utf8", luaopen_utf8);
    open(L, "coroutine", luaopen_coroutine);
    open(L, "os", open_os);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, traceback);
    lua_setfield(L, -2, "traceback");
    lua_setglobal(L, "debug");
    open(L, "arawn", open_arawn);
}
