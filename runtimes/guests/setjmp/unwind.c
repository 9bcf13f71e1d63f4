/*
 * What LLVM has setjmp and longjmp call in WebAssembly, for a libc that does not come with it (wasi-libc's libsetjmp does).
 * A longjmp throws; each function that has called setjmp catches, and asks whether the throw is for one of its own.
 */
#include <stdint.h>

struct buffer {
    void *call;     /* which call of the function has called setjmp */
    uint32_t label; /* and where */
    struct {
        void *buffer;
        int value;
    } thrown;
};

void __wasm_setjmp(struct buffer *buffer, uint32_t label, void *call)
{
    buffer->call = call;
    buffer->label = label;
}

uint32_t __wasm_setjmp_test(struct buffer *buffer, void *call)
{
    return buffer->call == call ? buffer->label : 0;
}

void __wasm_longjmp(struct buffer *buffer, int value)
{
    buffer->thrown.buffer = buffer;
    buffer->thrown.value = value ? value : 1;
    __builtin_wasm_throw(1, &buffer->thrown); /* 1: the tag of C */
}
