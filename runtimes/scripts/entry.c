/*
 * What the host calls. Making the engine and evaluating the script come apart from running it, so that the host can keep a
 * snapshot of the memory in between.
 */
#include "host.h"

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
