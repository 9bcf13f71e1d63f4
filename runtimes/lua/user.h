/* Included at the end of lua.h, as LUA_USER_H. */

/*
 * The slots of a stack, of 16 bytes. While a stack grows it lies in memory twice, beside what describes each call: the limit of
 * Lua's own, a million, is more than a guest's memory holds, and recursion without end would not end as an error of Lua.
 */
#undef LUAI_MAXSTACK
#define LUAI_MAXSTACK 200000
