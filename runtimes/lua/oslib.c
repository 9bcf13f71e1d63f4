/* The functions of Lua's os library that tell the time and read variables. */
#include "loslib.c"

#include "libraries.h"

/* The processor's time is the time that passes: a guest does not know more. */
static int os_seconds(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

int open_os(lua_State *L)
{
    static const luaL_Reg functions[] = {{"clock", os_seconds},  {"date", os_date}, {"difftime", os_difftime},
                                         {"getenv", os_getenv}, {"time", os_time}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
