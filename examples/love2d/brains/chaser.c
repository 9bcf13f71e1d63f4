/* Goes for the player where it sees them, then for where it saw them last. What has never seen them wanders. */
#include "brain.h"

int main(void)
{
    struct world *world = read_world();
    look_for_player(world);
    look_for_walls(world);
    for (int i = 0; i < world->count; i++) {
        struct enemy *enemy = &world->enemies[i];
        if (enemy->sees_player)
            enemy->memory = world->player;
        struct vector wanted = minus(enemy->memory, enemy->at);
        if (enemy->memory.x == 0 || length(wanted) < 20) {
            enemy->memory = (struct vector){0, 0};
            wanted = length(enemy->velocity) > 1 ? enemy->velocity : directions[i % 8];
        }
        enemy->go = enemy->sees_player ? wanted : around_walls(enemy, wanted);
    }
    return answer(world);
}
