/* A brain with a fault in it, as players write them too: it thinks forever. */
#include "brain.h"

int main(void)
{
    struct world *world = read_world();
    volatile int thinking = 1;
    while (thinking)
        ;
    return answer(world);
}
