/* Lua's values as JSON. */
#ifndef LUA_VALUES_H
#define LUA_VALUES_H

#include "json.h"
#include "lua.h"

/* Makes the metatables that mark lists, objects and integers of more than 64 bits, and the value null. */
void values_open(lua_State *L);

/* Pushes the value null. */
void value_push_null(lua_State *L);
/* Marks the table at the top as a list, or as an object. */
void value_mark(lua_State *L, bool is_list);

/* Pushes the value that JSON says. What is wrong is raised, and begins with `name`. */
void value_read(lua_State *L, const char *bytes, size_t length, const char *name);

/* Writes the value at the top, and pops it. The path to what cannot be written, which is raised, begins with `name`. */
void value_write(lua_State *L, struct text *text, const char *name);

#endif
