/*
 * Fills in a text in a sandbox of its own.
 *
 *     make example-hello
 *
 * It prints:
 *
 *     {"status":"ok","output":"Hello, Ada!"}
 */
#include <arawn.h>
#include <stdio.h>

int main(void)
{
    char *reply;
    arawn_free(arawn_executor_new("{\"id\":\"main\"}"));
    reply = arawn_execute_runtime("{\"executor\":\"main\",\"runtime\":\"transform\",\"input\":{"
                                  "\"config\":{\"template\":\"Hello, {{name}}!\"},\"context\":{\"name\":\"Ada\"}}}");
    puts(reply);
    arawn_free(reply);
    return 0;
}
