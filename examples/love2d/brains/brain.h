/*
 * What the brains share. A brain is called up to once a frame, in a fresh sandbox, and decides where each enemy goes:
 *
 *     {"config":{"width":960,"height":540,"speed":90,"player_speed":150},
 *      "context":{"player":{"x":0,"y":0,"vx":0,"vy":0},"enemies":[{"x":0,"y":0,"vx":0,"vy":0,"memory":[0,0]},…]}}
 *     {"status":"ok","output":{"enemies":[{"go":[x,y],"memory":[a,b]},…]}}
 *
 * Places are in pixels, speeds in pixels a second, and `go` is a direction, of any length. What a brain wants to
 * remember of an enemy it gives to the game, which gives it back: two numbers of its own choice, at first 0.
 *
 * It does not know the walls, but can ask about any number of points and rays at once. Each question takes a frame.
 *
 *     world.visible {"points":[[x,y],…]}          [true,…]: whether the player is seen from there
 *     world.ray     {"rays":[[x,y,dx,dy],…]}      [120.5,…]: how far it is to a wall, in pixels
 */
#ifndef BRAIN_H
#define BRAIN_H

#include "json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_ENEMIES = 64, TEXT_BYTES = 65536 };

struct vector {
    double x, y;
};

struct enemy {
    struct vector at, velocity, memory, go;
    int sees_player;
    double free[8]; /* Pixels to a wall in each of `directions`. */
};

struct world {
    double speed, player_speed;
    struct vector player, player_velocity;
    struct enemy enemies[MOST_ENEMIES];
    int count;
};

static const struct vector directions[8] = {{1, 0}, {0.7071, 0.7071}, {0, 1}, {-0.7071, 0.7071},
                                            {-1, 0}, {-0.7071, -0.7071}, {0, -1}, {0.7071, -0.7071}};

static inline struct vector minus(struct vector a, struct vector b)
{
    return (struct vector){a.x - b.x, a.y - b.y};
}

static inline struct vector plus(struct vector a, double times, struct vector b)
{
    return (struct vector){a.x + times * b.x, a.y + times * b.y};
}

static inline double length(struct vector a)
{
    return sqrt(a.x * a.x + a.y * a.y);
}

static inline struct vector unit(struct vector a)
{
    double far = length(a);
    return far > 0 ? (struct vector){a.x / far, a.y / far} : a;
}

__attribute__((import_module("arawn"), import_name("host_call")))
int host_call(const char *name, int name_length, const char *request, int request_length);
__attribute__((import_module("arawn"), import_name("host_reply")))
int host_reply(char *buffer, int capacity);

/* The end of the call: an error is an answer as well. */
static inline _Noreturn void give_up(const char *text)
{
    printf("{\"status\":\"error\",\"error\":\"%s\"}", text);
    exit(0);
}

static char text[TEXT_BYTES];
static int text_length;

static inline void write_text(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    text_length += vsnprintf(text + text_length, (size_t)(TEXT_BYTES - text_length), format, values);
    va_end(values);
    if (text_length >= TEXT_BYTES)
        give_up("too many enemies");
}

/* Asks what stands in `text`; the reply's output, a list. */
static inline const char *ask(const char *name)
{
    static char reply[TEXT_BYTES + 1];
    int size = host_call(name, (int)strlen(name), text, text_length);
    if (size > TEXT_BYTES)
        give_up("the game's answer is too long");
    reply[host_reply(reply, TEXT_BYTES)] = '\0';
    const char *output = json_member(json_check(reply), "output");
    if (!output || *output != '[')
        give_up("the game does not answer");
    return output;
}

/* The first value of a list, or the one after `value`; NULL at the end. */
static inline const char *first(const char *list)
{
    const char *value = list && *list == '[' ? json_space(list + 1) : NULL;
    return value && *value != ']' ? value : NULL;
}

static inline const char *next(const char *value)
{
    value = json_space(json_value(value, JSON_DEPTH));
    return *value == ',' ? json_space(value + 1) : NULL;
}

static inline double number(const char *value)
{
    return value ? strtod(value, NULL) : 0;
}

static inline struct vector vector_of(const char *object, const char *x, const char *y)
{
    return (struct vector){number(json_member(object, x)), number(json_member(object, y))};
}

static inline struct world *read_world(void)
{
    static struct world world;
    static char input[TEXT_BYTES + 1];
    input[fread(input, 1, TEXT_BYTES, stdin)] = '\0';
    const char *value = json_check(input);
    if (!value)
        give_up("the game's text is not JSON, or too long");
    const char *config = json_member(value, "config"), *context = json_member(value, "context");
    const char *player = json_member(context, "player");
    world.speed = number(json_member(config, "speed"));
    world.player_speed = number(json_member(config, "player_speed"));
    world.player = vector_of(player, "x", "y");
    world.player_velocity = vector_of(player, "vx", "vy");
    for (value = first(json_member(context, "enemies")); value; value = next(value)) {
        if (world.count == MOST_ENEMIES)
            give_up("too many enemies");
        struct enemy *enemy = &world.enemies[world.count++];
        const char *memory = first(json_member(value, "memory"));
        enemy->at = vector_of(value, "x", "y");
        enemy->velocity = vector_of(value, "vx", "vy");
        enemy->memory.x = number(memory);
        enemy->memory.y = memory ? number(next(memory)) : 0;
    }
    return &world;
}

static inline void look_for_player(struct world *world)
{
    text_length = 0;
    for (int i = 0; i < world->count; i++)
        write_text("%s[%.1f,%.1f]", i ? "," : "{\"points\":[", world->enemies[i].at.x, world->enemies[i].at.y);
    write_text(world->count ? "]}" : "{\"points\":[]}");
    const char *seen = ask("world.visible");
    int i = 0;
    for (seen = first(seen); seen && i < world->count; seen = next(seen))
        world->enemies[i++].sees_player = *seen == 't';
}

static inline void look_for_walls(struct world *world)
{
    text_length = 0;
    for (int i = 0; i < world->count * 8; i++) {
        struct vector at = world->enemies[i / 8].at, direction = directions[i % 8];
        write_text("%s[%.1f,%.1f,%.4f,%.4f]", i ? "," : "{\"rays\":[", at.x, at.y, direction.x, direction.y);
    }
    write_text(world->count ? "]}" : "{\"rays\":[]}");
    const char *distance = ask("world.ray");
    int i = 0;
    for (distance = first(distance); distance && i < world->count * 8; distance = next(distance), i++)
        world->enemies[i / 8].free[i % 8] = number(distance);
}

/* The direction nearest to the wanted one in which there is room to go. */
static inline struct vector around_walls(const struct enemy *enemy, struct vector wanted)
{
    struct vector best = wanted;
    double most = -2;
    wanted = unit(wanted);
    for (int i = 0; i < 8; i++) {
        double fits = wanted.x * directions[i].x + wanted.y * directions[i].y;
        /* What it does already weighs a little, so that it does not tremble before a wall. */
        struct vector heading = unit(enemy->velocity);
        fits += 0.4 * (heading.x * directions[i].x + heading.y * directions[i].y);
        if (enemy->free[i] > 30 && fits > most) {
            most = fits;
            best = directions[i];
        }
    }
    return best;
}

static inline int answer(const struct world *world)
{
    text_length = 0;
    for (int i = 0; i < world->count; i++) {
        const struct enemy *enemy = &world->enemies[i];
        write_text("%s{\"go\":[%.4f,%.4f],\"memory\":[%.2f,%.2f]}", i ? "," : "", enemy->go.x, enemy->go.y,
                   enemy->memory.x, enemy->memory.y);
    }
    printf("{\"status\":\"ok\",\"output\":{\"enemies\":[%.*s]}}", text_length, text);
    return 0;
}

#endif
