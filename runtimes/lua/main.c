/*
 * The runtime `lua`: a script is a chunk that returns a function, which is called with {config, context}.
 *
 * script_init makes the state and, where the arguments have the script, runs the chunk. script_run reads stdin, calls and answers.
 * Nothing is freed at the end, since the memory is dropped as a whole.
 */
#include "lauxlib.h"
#include "libraries.h"
#include "lua.h"

#include "host.h"
#include "values.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static lua_State *L;
/* What the chunk raised. The run answers with it. */
static bool has_failed;
static bool was_refused_memory;
static struct text reply;
static const char function_key;

static void *allocate(void *opaque, void *old, size_t old_size, size_t size)
{
    void *new;
    (void)opaque;
    (void)old_size;
    if (size == 0) {
        free(old);
        return NULL;
    }
    new = realloc(old, size);
    was_refused_memory |= new == NULL;
    return new;
}

/*
 * Answers with the error at the top. Where it is that there is no more memory the module traps, so that the host tells the
 * limit that was hit.
 */
static void answer_error(int status)
{
    static const char no_memory[] = "not enough memory";
    size_t length;
    const char *message = lua_tolstring(L, -1, &length);
    struct text text = {0};
    if (message == NULL)
        message = "an error without a message", length = strlen(message);
    if (status == LUA_ERRMEM || (was_refused_memory && strncmp(message, no_memory, sizeof no_memory - 1) == 0))
        abort();
    /* Its bytes may be any. */
    for (size_t i = 0; i < length; i++) {
        size_t more = json_character(message + i, length - i);
        if (more == 0)
            text_puts(&text, "\xef\xbf\xbd");
        else
            text_add(&text, message + i, more);
        i += more == 0 ? 0 : more - 1;
    }
    reply_error(text.bytes, text.length);
}

static int raw_field(lua_State *L, int index, const char *key)
{
    lua_pushstring(L, key);
    return lua_rawget(L, index);
}

static int as_json(lua_State *L)
{
    struct text text = {0};
    value_write(L, &text, "");
    lua_pushlstring(L, text.bytes, text.length);
    free(text.bytes);
    return 1;
}

/* Leaves a text that tells a value that is neither a text nor an error with a message: its JSON, where it has that. */
static void tell_value(lua_State *L)
{
    lua_pushcfunction(L, as_json);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
        lua_pushfstring(L, "raised: %s", lua_tostring(L, -1));
    else
        lua_pushfstring(L, "raised: a %s", luaL_typename(L, 1));
}

/* Makes a text with a traceback of what was raised. */
static int on_error(lua_State *L)
{
    if (!lua_isstring(L, 1)) {
        if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
            lua_pop(L, 1);
            luaL_tolstring(L, 1, NULL);
        } else if (!lua_istable(L, 1) || raw_field(L, 1, "message") != LUA_TSTRING) {
            tell_value(L);
        }
        lua_replace(L, 1);
    }
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

/* A script that is read by single bytes, so that `fed` tells how far the lexer is: one byte behind what it has used. */
struct feed {
    const char *script;
    size_t length, fed;
};

static const char *feed_byte(lua_State *L, void *opaque, size_t *size)
{
    struct feed *feed = opaque;
    (void)L;
    /* One more is counted at the end, which the lexer then has behind what it has used. */
    *size = feed->fed++ < feed->length;
    return feed->script + feed->fed - 1;
}

static void chunk_name(struct text *name)
{
    text_byte(name, '@');
    text_puts(name, arguments.file);
    text_end(name);
}

/* Skips a byte order mark, and then a first line that begins with `#`, but for its end. */
static void skip_mark(const char **script, size_t *length)
{
    if (*length >= 3 && memcmp(*script, "\xef\xbb\xbf", 3) == 0)
        *script += 3, *length -= 3;
    if (*length != 0 && **script == '#')
        for (; *length != 0 && **script != '\n'; *length -= 1)
            *script += 1;
}

/* Calls what is below `count` arguments at the top. */
static int call(int count)
{
    int status, base = lua_gettop(L) - count;
    lua_pushcfunction(L, on_error);
    lua_insert(L, base);
    status = lua_pcall(L, count, 1, base);
    lua_remove(L, base);
    return status;
}

static int load(const char *script, size_t length)
{
    struct text name = {0};
    int status;
    skip_mark(&script, &length);
    chunk_name(&name);
    status = luaL_loadbufferx(L, script, length, name.bytes, "t");
    if (status == LUA_OK)
        status = call(0);
    if (status != LUA_OK)
        return status;
    if (!lua_isfunction(L, -1)) {
        lua_pushfstring(L, "%s must return the function that is called, and returned a %s", arguments.file,
                        luaL_typename(L, -1));
        return LUA_ERRRUN;
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &function_key);
    return LUA_OK;
}

/* Where the token that is wrong begins: what was used ends with it. */
static size_t token_start(const struct feed *feed, const char *message)
{
    size_t used = feed->fed > 0 ? feed->fed - 1 : 0, length = 0;
    const char *near = NULL, *next = message;
    while ((next = strstr(next, " near ")) != NULL)
        near = next += strlen(" near ");
    if (used > feed->length)
        used = feed->length;
    if (near == NULL || strcmp(near, "<eof>") == 0)
        return used;
    if (*near == '\'') {
        near++;
        length = strlen(near) - 1;
    }
    /* What the lexer has looked at further is not part of the token. */
    for (size_t back = 0; back < 64 && used >= length + back; back++) {
        size_t start = used - back - length;
        if (length != 0 && memcmp(feed->script + start, near, length) == 0)
            return start;
        if (back == 0 && start + length < feed->length && memcmp(feed->script + start + 1, near, length) == 0)
            return start + 1;
    }
    return used > 0 ? used - 1 : 0;
}

static void check(void)
{
    struct feed feed = {arguments.script, arguments.script_length, 0};
    struct text name = {0};
    const char *message, *start;
    size_t line = 1, line_start = 0, at;
    int status;
    skip_mark(&feed.script, &feed.length);
    chunk_name(&name);
    status = lua_load(L, feed_byte, &feed, name.bytes, "t");
    if (status == LUA_ERRMEM)
        abort();
    if (status == LUA_OK) {
        reply_problem(NULL, 0, 0, 0);
        return;
    }
    message = lua_tostring(L, -1);
    /* The message begins with the file's name and the line. */
    start = strncmp(message, arguments.file, strlen(arguments.file)) == 0 ? message + strlen(arguments.file) : message;
    while ((start = strchr(start, ':')) != NULL) {
        const char *digits = ++start;
        while (isdigit((unsigned char)*start))
            start++;
        if (start != digits && start[0] == ':' && start[1] == ' ') {
            message = start + 2;
            break;
        }
    }
    at = token_start(&feed, message);
    for (size_t i = 0; i < at; i++)
        if (feed.script[i] == '\n')
            line++, line_start = i + 1;
    reply_problem(message, strlen(message), line, column_of(feed.script, feed.length, line, at - line_start + 1));
}

static void update(void)
{
    if (!read_environment())
        return;
    lua_pushcfunction(L, update_environment);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK)
        abort();
}

void script_init(void)
{
    read_arguments();
    L = lua_newstate(allocate, NULL);
    if (L == NULL)
        abort();
    /* Most scripts end before there is enough to collect. */
    lua_gc(L, LUA_GCSTOP);
    open_libraries(L);
    lua_gc(L, LUA_GCRESTART);
    update();
    if (arguments.mode == RUN)
        has_failed = load(arguments.script, arguments.script_length) != LUA_OK;
}

/* Reads stdin, and leaves the input's table. */
static int read_input(lua_State *L)
{
    size_t length;
    char *bytes = read_stdin(&length);
    value_read(L, bytes, length, "input");
    free(bytes);
    if (!lua_istable(L, -1))
        return luaL_error(L, "input must be an object with config and context");
    for (int i = 0; i < 2; i++) {
        const char *key = i == 0 ? "config" : "context";
        if (lua_getfield(L, -1, key) == LUA_TNIL) {
            lua_newtable(L);
            lua_setfield(L, -3, key);
        }
        lua_pop(L, 1);
    }
    return 1;
}

static int write_output(lua_State *L)
{
    value_write(L, &reply, "output");
    return 0;
}

/* The input's script, if the arguments have none. */
static int load_from_input(void)
{
    size_t length;
    const char *script;
    lua_getfield(L, -1, "config");
    if (!lua_istable(L, -1) || lua_getfield(L, -1, "script") == LUA_TNIL) {
        lua_pushliteral(L, "config.script is missing: it is the script's text");
        return LUA_ERRRUN;
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pushliteral(L, "config.script must be a string, the script's text");
        return LUA_ERRRUN;
    }
    script = lua_tolstring(L, -1, &length);
    int status = load(script, length);
    if (status == LUA_OK)
        lua_pop(L, 2);
    return status;
}

static void answer(void)
{
    int status = LUA_ERRRUN;
    if (!has_failed) {
        lua_pushcfunction(L, read_input);
        status = lua_pcall(L, 0, 1, 0);
    }
    if (status == LUA_OK && arguments.mode == FROM_CONFIG)
        status = load_from_input();
    if (status == LUA_OK) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &function_key);
        lua_insert(L, -2);
        status = call(1);
    }
    if (status == LUA_OK) {
        reply_begin(&reply);
        lua_pushcfunction(L, write_output);
        lua_insert(L, -2);
        status = lua_pcall(L, 1, 0, 0);
    }
    if (status == LUA_OK)
        reply_end(&reply);
    else
        answer_error(status);
}

void script_run(void)
{
    static const char usage[] = "the arguments of this runtime are none, or `run` or `check` with a file's name and a script";
    update();
    if (arguments.mode == CHECK)
        check();
    else if (arguments.mode == WRONG_USE)
        reply_error(usage, sizeof usage - 1);
    else
        answer();
}
