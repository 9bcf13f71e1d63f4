/* What a script finds: parts of Lua's libraries, and `arawn`. */
#ifndef LUA_LIBRARIES_H
#define LUA_LIBRARIES_H

#include "lua.h"

int open_math(lua_State *L);
int open_os(lua_State *L);
int open_arawn(lua_State *L);
/* Sets the variables of `arawn.env` that there are now. */
int update_environment(lua_State *L);

/* base, string, table, utf8 and coroutine without what reaches files or runs compiled chunks; print, and debug.traceback. */
void open_libraries(lua_State *L);

#endif
