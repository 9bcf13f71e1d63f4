/*
 * What the host calls. A command makes the engine and runs in one go. A reactor (build.sh --reactor) has them apart, so that an
 * image of its memory can be taken in between.
 */
#include "host.h"

#ifdef SCRIPTS_REACTOR
#define EXPORT(name) __attribute__((export_name(name)))
EXPORT("arawn_init") void arawn_init(void);
EXPORT("arawn_run") void arawn_run(void);

void arawn_init(void)
{
    script_init();
}

void arawn_run(void)
{
    script_run();
}
#else
int main(void)
{
    script_init();
    script_run();
    return 0;
}
#endif
