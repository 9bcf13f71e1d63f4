/*
 * Runs a sandboxed runtime on a JSON file and prints its reply, then shows what an error looks like.
 *
 *     make run
 *
 * or, with a document of your own, `target/example-c FILE.json`. It prints a line of JSON for each call.
 */
#include <arawn.h>

#include <stdio.h>
#include <stdlib.h>

/* Prints a reply and releases it; tells whether it was an answer. Each reply begins with its status. */
static int show(char *reply)
{
    static const char ok[] = "{\"status\":\"ok\"";
    size_t i = 0;
    while (ok[i] != '\0' && reply[i] == ok[i])
        i++;
    puts(reply);
    arawn_free(reply);
    return ok[i] == '\0';
}

/* Makes `{"executor":"example","runtime":"passthrough","input":{"context":DOCUMENT}}`; NULL where it cannot. */
static char *request_with(const char *path)
{
    static const char before[] = "{\"executor\":\"example\",\"runtime\":\"passthrough\",\"input\":{\"context\":";
    static const char after[] = "}}";
    FILE *file = fopen(path, "rb");
    char *request = NULL;
    long size;
    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        request = malloc(sizeof before + (size_t)size + sizeof after);
        if (request) {
            size_t used = (size_t)sprintf(request, "%s", before);
            used += fread(request + used, 1, (size_t)size, file);
            sprintf(request + used, "%s", after);
        }
    }
    fclose(file);
    return request;
}

int main(int argc, char **argv)
{
    char *request;
    int answered;
    if (argc != 2 || !(request = request_with(argv[1]))) {
        fprintf(stderr, "usage: %s FILE.json\n", argv[0]);
        return 2;
    }

    /* An executor is a policy: here a short deadline and little memory, and no capabilities at all. */
    answered = show(arawn_executor_new("{\"id\":\"example\",\"limits\":{\"timeout_ms\":1000,\"memory_bytes\":16777216}}"));

    /* One call: a fresh sandbox that reads the document and writes the answer. */
    answered &= show(arawn_execute_runtime(request));
    free(request);

    /* What is wrong comes back as a reply too, with a text for people and a code for programs. */
    show(arawn_execute_runtime("{\"executor\":\"example\",\"runtime\":\"pasthrough\"}"));

    answered &= show(arawn_executor_close("{\"executor\":\"example\"}"));
    return answered ? 0 : 1;
}
