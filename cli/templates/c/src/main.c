#include "arawn_guest.h"
#include "greet.h"
#include "json.h"

/* What libarawn calls: reads the input from stdin, and writes the reply to stdout. Print messages of your own to stderr. */
void arawn_run(void)
{
    const char *error = "the input is not JSON, or does not fit in memory";
    char *text = arawn_read_input(), *output = NULL;
    const char *input = text ? json_check(text) : NULL;
    if (input)
        output = greet(input, &error);
    if (output)
        arawn_reply_ok(output);
    else
        arawn_reply_error(error);
    free(output);
    free(text);
}

int main(void)
{
    arawn_run();
    return 0;
}
