// The functions of libarawn, as the loader has found them. A process has one library for all its threads.
#ifndef ARAWN_NODE_LIBRARY_H
#define ARAWN_NODE_LIBRARY_H

typedef char *(*json_function)(const char *request_json);
typedef char *(*host_callback)(const char *request_json, void *user_data);

// By number, as lib/native.js has them.
enum function {
    CANCEL,
    CATALOG_INSPECT,
    CATALOG_LIST,
    CATALOG_REGISTER,
    CATALOG_REMOVE,
    CONFIGURE,
    EXECUTE_PIPELINE,
    EXECUTE_RUNTIME,
    EXECUTOR_CLOSE,
    EXECUTOR_NEW,
    HOST_REPLY,
    POLL,
    POLL_DESCRIPTOR,
    STATS,
    SUBMIT,
    FUNCTIONS
};

struct library {
    json_function functions[FUNCTIONS];
    char *(*host_function_set)(const char *request_json, host_callback callback, void *user_data);
    char *(*string_new)(const char *text);
    void (*free)(char *json);
    const char *(*version)(void);
};

extern struct library arawn;

// Loads the file, unless a thread has loaded one already. Fills in what is wrong, or leaves it empty.
void library_load(const char *path, char *problem, unsigned long size);

#endif
