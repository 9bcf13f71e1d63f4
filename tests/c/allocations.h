/* Counts what a program and the libraries it loads ask the allocator for: a program's symbols come before those of its
 * libraries. glibc. */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <malloc.h>
#include <stddef.h>

/* How often this thread asked, and what all threads together have not given back yet. */
static __thread unsigned long allocations;
static long live_blocks, live_bytes;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static void note(void *memory, long blocks)
{
    if (memory == NULL)
        return;
    __atomic_add_fetch(&live_blocks, blocks, __ATOMIC_RELAXED);
    __atomic_add_fetch(&live_bytes, blocks * (long)malloc_usable_size(memory), __ATOMIC_RELAXED);
}

static void *counted(void *memory)
{
    allocations++;
    note(memory, 1);
    return memory;
}

void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *calloc(size_t members, size_t size)
{
    return counted(__libc_calloc(members, size));
}

/* Nothing here runs out of memory, which would leave the old block as it is. */
void *realloc(void *memory, size_t size)
{
    note(memory, -1);
    return counted(__libc_realloc(memory, size));
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = counted(__libc_memalign(alignment, size));
    return *memory ? 0 : 12; /* ENOMEM */
}

void free(void *memory)
{
    note(memory, -1);
    __libc_free(memory);
}

#endif
