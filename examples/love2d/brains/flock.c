/*
 * Hunts together: what one sees all know. Each keeps its distance to the others, and goes where the player will be when
 * it arrives, the odd ones ahead of that, to cut off the way. With nobody in sight they gather and roam.
 */
#include "brain.h"

static struct vector away_from_others(const struct world *world, int self)
{
    struct vector away = {0, 0};
    for (int i = 0; i < world->count; i++) {
        struct vector from = minus(world->enemies[self].at, world->enemies[i].at);
        double far = length(from);
        if (i != self && far > 0 && far < 60)
            away = plus(away, 40 / (far * far), from);
    }
    return away;
}

int main(void)
{
    struct world *world = read_world();
    struct vector centre = {0, 0}, heading = {0, 0};
    int seen = 0;
    look_for_player(world);
    look_for_walls(world);
    for (int i = 0; i < world->count; i++) {
        seen |= world->enemies[i].sees_player;
        centre = plus(centre, 1.0 / world->count, world->enemies[i].at);
        heading = plus(heading, 1.0 / world->count, world->enemies[i].velocity);
    }
    for (int i = 0; i < world->count; i++) {
        struct enemy *enemy = &world->enemies[i];
        struct vector wanted;
        if (seen) {
            double seconds = length(minus(world->player, enemy->at)) / (world->speed + 1);
            struct vector meet = plus(world->player, fmin(seconds, 1.5) * (i % 2 ? 1.3 : 0.8), world->player_velocity);
            wanted = unit(minus(meet, enemy->at));
        } else {
            struct vector roam = length(heading) > 10 ? heading : directions[i % 8];
            wanted = plus(unit(roam), 0.7, unit(minus(centre, enemy->at)));
        }
        wanted = plus(wanted, 1, away_from_others(world, i));
        enemy->go = enemy->sees_player ? wanted : around_walls(enemy, wanted);
    }
    return answer(world);
}
