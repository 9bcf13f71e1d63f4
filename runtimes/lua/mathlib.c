/* Lua's math library, whose random numbers are seeded when a script first asks for one. */
#include <time.h>
#define time(where) ((time_t)0)
#include "lmathlib.c"
#undef time

#include "host.h"
#include "libraries.h"

#include <stdbool.h>

static bool is_seeded;

/* The state is the upvalue of both functions. */
static int seed_at_random(lua_State *L)
{
    RanState *state = lua_touserdata(L, lua_upvalueindex(1));
    is_seeded = true;
    setseed(L, state->s, random_seed(), random_seed());
    return 2;
}

static int seeded_random(lua_State *L)
{
    if (!is_seeded)
        lua_pop(L, seed_at_random(L));
    return math_random(L);
}

static int seeded_randomseed(lua_State *L)
{
    is_seeded = true;
    return lua_isnone(L, 1) ? seed_at_random(L) : math_randomseed(L);
}

int open_math(lua_State *L)
{
    static const luaL_Reg functions[] = {{"random", seeded_random}, {"randomseed", seeded_randomseed}, {NULL, NULL}};
    luaopen_math(L);
    lua_getfield(L, -1, "random");
    lua_getupvalue(L, -1, 1);
    lua_remove(L, -2);
    luaL_setfuncs(L, functions, 1);
    return 1;
}
