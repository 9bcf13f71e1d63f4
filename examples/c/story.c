/*
 * A shop and an order: an executor, `transform` on a document, a runtime that asks a function of the host, a script that
 * asks it too, an edit of the script that does not parse, a call that does not block, one that is cancelled, an error,
 * and the end of it all.
 *
 *     make example-c
 *
 * It prints what matters of each reply:
 *
 *     transform: {"to":"Zoë Ångström","city":"Malmö","total":108.25,"tracking":9007199254740993}
 *     stock: {"order":"2026-004711","missing":[{"sku":"CUP-0113","pieces":1}]}
 *     levels: [7,1,3]
 *     edit: script_invalid, line 2, column 10
 *     later: {"order":"2026-004711","missing":[]}
 *     never: cancelled
 *     runtime_error: expression: context.customer has no key \"adress\" (it has: address, email, name)
 */
#include <arawn.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The registration of a script, which asks for the pieces of each article. The first word of its line 2 is left open. */
static const char levels_script[] =
    "{\"executor\":\"shop\",\"name\":\"levels\",\"language\":\"javascript\",\"replace\":true,\"script\":\""
    "export default ({ context }) => {\\n"
    "  %s context.items.map(({ sku }) => arawn.call('stock.level', { sku }));\\n"
    "}\\n\"}";

/* What the host has in stock, and how often it was asked. */
struct stock {
    const char *sku[3];
    int pieces[3];
    int asked;
};

static void *checked(void *memory)
{
    if (!memory) {
        fputs("no memory\n", stderr);
        exit(2);
    }
    return memory;
}

/* A request with what it is filled in with, from malloc. */
static char *format(const char *text, ...)
{
    va_list values;
    char *request;
    int length;
    va_start(values, text);
    length = vsnprintf(NULL, 0, text, values);
    va_end(values);
    request = checked(malloc((size_t)length + 1));
    va_start(values, text);
    vsnprintf(request, (size_t)length + 1, text, values);
    va_end(values);
    return request;
}

static char *file_text(const char *path)
{
    static const size_t most = 1 << 16;
    FILE *file = fopen(path, "rb");
    char *text = checked(malloc(most));
    size_t length = file ? fread(text, 1, most, file) : 0;
    if (!file || ferror(file) || length == most) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    fclose(file);
    text[length] = '\0';
    return text;
}

/* Prints what stands in a reply behind one text and before the last of another; all of it where it has not got them. A
 * larger program uses a JSON library. */
static void print_part(const char *reply, const char *before, const char *after)
{
    const char *begin = strstr(reply, before);
    const char *end = NULL;
    const char *next;
    if (begin) {
        begin += strlen(before);
        for (next = begin; (next = strstr(next, after)) != NULL; next++)
            end = next;
    }
    if (end)
        printf("%.*s", (int)(end - begin), begin);
    else
        printf("%s", reply);
}

/* Prints a line with a part of a reply, and releases the reply. */
static void show(const char *label, char *reply, const char *before, const char *after)
{
    printf("%s: ", label);
    print_part(reply, before, after);
    putchar('\n');
    arawn_free(reply);
}

/* Releases a reply that must not be an error. Each reply begins with its status. */
static void must(char *reply)
{
    if (strncmp(reply, "{\"status\":\"ok\"", 14) != 0) {
        puts(reply);
        exit(1);
    }
    arawn_free(reply);
}

/* What the runtime asks with {"sku":"…"}: the number of pieces. */
static char *stock_level(const char *request, void *user_data)
{
    struct stock *stock = user_data;
    char reply[100];
    int i;
    stock->asked++;
    for (i = 0; i < 3; i++) {
        if (strstr(request, stock->sku[i])) {
            sprintf(reply, "{\"status\":\"ok\",\"output\":%d}", stock->pieces[i]);
            return arawn_string_new(reply);
        }
    }
    return arawn_string_new("{\"status\":\"error\",\"error\":\"nobody sells that here\"}");
}

/* Begins a call that asks again and again, until nothing is missing. */
static void submit_waiting(const char *job, const char *order)
{
    char *request = format("{\"executor\":\"shop\",\"runtime\":\"stock\",\"job\":\"%s\","
                           "\"input\":{\"config\":{\"wait\":true},\"context\":%s}}", job, order);
    must(arawn_submit(request));
    free(request);
}

/* Polls until a job has ended, as a program does that has a frame to draw in between; the last poll's reply. */
static char *finished(const char *poll)
{
    for (;;) {
        char *reply = arawn_poll(poll);
        if (strstr(reply, "\"state\":\"finished\"") || strncmp(reply, "{\"status\":\"error\"", 17) == 0)
            return reply;
        arawn_free(reply);
    }
}

int main(void)
{
    static const char poll_later[] = "{\"executor\":\"shop\",\"job\":\"later\",\"wait_ms\":5}";
    static const char poll_never[] = "{\"executor\":\"shop\",\"job\":\"never\",\"wait_ms\":5}";
    struct stock stock = {{"TEA-0042", "POT-0007", "CUP-0113"}, {7, 1, 3}, 0};
    char *order = file_text("examples/c/document.json");
    char *request;
    char *reply;

    /* An executor is a policy: where its runtimes are, what a call may take, and which functions guests may call. */
    must(arawn_executor_new("{\"id\":\"shop\",\"runtimes_dir\":\"target/example-c-runtimes\","
                            "\"limits\":{\"timeout_ms\":10000},"
                            "\"capabilities\":{\"host_functions\":[\"stock.level\"]}}"));

    /* `transform` comes with the library. Here it picks from the order, which reaches it byte for byte. */
    request = format("{\"executor\":\"shop\",\"runtime\":\"transform\",\"input\":{\"config\":{\"mappings\":{"
                     "\"to\":\"customer.name\",\"city\":\"customer.address.city\",\"total\":\"total\","
                     "\"tracking\":\"tracking_number\"}},\"context\":%s}}", order);
    show("transform", arawn_execute_runtime(request), "\"output\":", "}");
    free(request);

    /* `stock` is put into the catalog. It asks the host, on the thread that runs the call. */
    must(arawn_catalog_register("{\"executor\":\"shop\",\"name\":\"stock\",\"path\":\"runtimes/prebuilt/stock.wasm\","
                                "\"replace\":true}"));
    must(arawn_host_function_set("{\"executor\":\"shop\",\"name\":\"stock.level\"}", stock_level, &stock));
    request = format("{\"executor\":\"shop\",\"runtime\":\"stock\",\"input\":{\"context\":%s}}", order);
    show("stock", arawn_execute_runtime(request), "\"output\":", "}");
    free(request);

    /* A script is registered as its text: there is nothing to build. */
    request = format(levels_script, "return");
    must(arawn_catalog_register(request));
    free(request);
    request = format("{\"executor\":\"shop\",\"runtime\":\"levels\",\"input\":{\"context\":%s}}", order);
    show("levels", arawn_execute_runtime(request), "\"output\":", "}");
    free(request);

    /* An edit that does not parse is refused with its place, and the version before it stays. */
    request = format(levels_script, "retrun");
    reply = arawn_catalog_register(request);
    free(request);
    printf("edit: ");
    print_part(reply, "\"code\":\"", "\",\"details\"");
    printf(", line ");
    print_part(reply, "\"line\":", ",\"column\"");
    printf(", column ");
    print_part(reply, "\"column\":", "}}");
    putchar('\n');
    arawn_free(reply);

    /* Without blocking: from now on it asks within arawn_poll, on this thread, so that the stock needs no lock. */
    must(arawn_host_function_set("{\"executor\":\"shop\",\"name\":\"stock.level\",\"on\":\"poll\"}",
                                 stock_level, &stock));
    submit_waiting("later", order);
    for (stock.asked = 0; stock.asked < 3;)
        must(arawn_poll(poll_later));
    stock.pieces[2] = 4; /* A delivery of cups. */
    show("later", finished(poll_later), "\"reply\":{\"status\":\"ok\",\"output\":", "}}}");

    /* Nobody brings more tea: this one would wait until its deadline, and is cancelled. */
    stock.pieces[0] = 0;
    submit_waiting("never", order);
    for (stock.asked = 0; stock.asked < 3;)
        must(arawn_poll(poll_never));
    must(arawn_cancel("{\"executor\":\"shop\",\"job\":\"never\"}"));
    show("never", finished(poll_never), "\"code\":\"", "\",\"details\"");

    /* What is wrong is a reply as well: a text for people, a code for programs. */
    request = format("{\"executor\":\"shop\",\"runtime\":\"transform\","
                     "\"input\":{\"config\":{\"expression\":\"customer.adress\"},\"context\":%s}}", order);
    reply = arawn_execute_runtime(request);
    free(request);
    print_part(reply, "\"code\":\"", "\",\"details\"");
    show("", reply, "\"error\":\"", "\",\"code\"");

    /* When this returns the library uses `stock` no more. */
    must(arawn_executor_close("{\"executor\":\"shop\"}"));
    free(order);
    return 0;
}
