/* Prints whether the library has installed a handler for SIGSEGV, with `signal_handlers` as the argument says. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <signal.h>

int main(int argc, char **argv)
{
    struct sigaction action;
    char options[64];
    CHECK(argc == 2);
    sprintf(options, "{\"signal_handlers\":%.10s}", argv[1]);
    CHECK(says(arawn_configure(options), "\"status\":\"ok\""));
    CHECK(says(arawn_executor_new("{\"id\":\"h\",\"cache_dir\":null}"), "\"status\":\"ok\""));
    CHECK(says(arawn_execute_runtime("{\"executor\":\"h\",\"runtime\":\"passthrough\"}"), "\"status\":\"ok\""));
    CHECK(sigaction(SIGSEGV, NULL, &action) == 0);
    printf("%d\n", action.sa_handler != SIG_DFL);
    return 0;
}
