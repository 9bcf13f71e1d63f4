/*
 * How deep recursion ends as an error of JavaScript, and not as a trap.
 *
 * WebAssembly has two stacks. Code can measure the one in its memory, which has locals whose address is taken; QuickJS's checks
 * look at it. The other one belongs to the engine that runs the module, has the rest, and traps where it is full: wasmtime gives
 * it 512 KiB. So the first one has to be full first.
 *
 * What was measured, for each kind of recursion, is how much of the memory's stack a script may use before the engine's is full,
 * on x86-64, without and with a limit of fuel, which makes frames larger:
 *
 *   calls of JavaScript                          260 KiB, 240 with fuel
 *   most calls of C functions                    240 KiB, 220 with fuel
 *   parsers, JSON, proxies, chains of iterators  80 KiB and more
 *
 * Functions of the last kind, in read.c, write.c and patch.py, get a larger frame in the memory here, so that 220 KiB hold for
 * them, too. A script may use 200 KiB.
 */
#ifndef JAVASCRIPT_STACK_H
#define JAVASCRIPT_STACK_H

#define STACK_BYTES 229376
/* Its lowest addresses, which a script cannot use: what runs between two checks fits into them. */
#define STACK_RESERVED 24576

#define STACK_FRAME(bytes) \
    char stack_frame[bytes]; \
    __asm__ volatile("" : : "r"(stack_frame))

#endif
