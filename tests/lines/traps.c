/* A guest that ends where its first argument says. Compiled with DWARF 4, and parse.c with DWARF 5. */
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

WASI(args_get) int args_get(char **arguments, char *buffer);

int parse(const int *rows, int row);

static char *arguments[8];
static char buffer[256];
static const int rows[4] = {1, 2, 3, 4};
static volatile int sink;

/* Inlined into the next one, and that into `_start`. */
static inline __attribute__((always_inline)) int checked(int value) {
    if (value != 3) __builtin_trap(); /* line: checked */
    return value;
}

static inline __attribute__((always_inline)) int twice(int value) {
    return checked(value) * 2; /* line: twice */
}

static __attribute__((noinline)) void spin(void) {
    for (;;)
        sink++; /* line: spin */
}

__attribute__((export_name("_start"))) void _start(void) {
    args_get(arguments, buffer);
    switch (arguments[1][0]) {
    case 'i':
        sink = twice(sink); /* line: start */
        break;
    case 'p':
        sink = parse(rows, sink); /* line: parses */
        break;
    default:
        spin();
    }
}
