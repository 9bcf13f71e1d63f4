/* Makes one system call of this process fail, or one large allocation.
 *
 * System calls: a seccomp filter hands each call of one name to a thread of the supervisor (SECCOMP_RET_USER_NOTIF), which
 * lets all of them go on but one. It sees what libraries call without libc, on whatever thread. The supervisor's thread is
 * started before the filter is there, and has none. Since it lies in the same process, it can do half of a read or a write
 * in place of the caller, and can look at the caller's stack: the site of a call is a hash of the first return addresses
 * into the library that lie there, so the same line of code called for the same reason is one site.
 *
 * Allocations: the program's own malloc and the like stand before those of glibc. The n-th large one is refused. */
#ifndef INJECT_H
#define INJECT_H

#include "../c/check.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In place of an errno: only half of the bytes. */
enum { HALF = -1, LARGE_BYTES = 1 << 20 };

static const struct {
    const char *name;
    int number;
} calls[] = {
#define CALL(name) {#name, __NR_##name}
    CALL(mmap),     CALL(mprotect), CALL(munmap),   CALL(madvise),       CALL(mremap),      CALL(read),
    CALL(pread64),  CALL(write),    CALL(pwrite64), CALL(fsync),         CALL(fdatasync),   CALL(ftruncate),
    CALL(openat),   CALL(openat2),  CALL(close),    CALL(fstat),         CALL(newfstatat),  CALL(statx),
    CALL(lseek),    CALL(fcntl),    CALL(ioctl),    CALL(flock),         CALL(getdents64),  CALL(mkdirat),
    CALL(unlinkat), CALL(renameat), CALL(renameat2), CALL(readlinkat),   CALL(utimensat),   CALL(fchmod),
    CALL(fchown),   CALL(memfd_create), CALL(clone), CALL(clone3),       CALL(eventfd2),    CALL(epoll_create1),
    CALL(epoll_ctl), CALL(getrandom), CALL(socketpair), CALL(prlimit64), CALL(sched_getaffinity),
#ifdef __NR_open
    CALL(open),     CALL(stat),     CALL(lstat),    CALL(mkdir),         CALL(unlink),      CALL(rename),
    CALL(readlink),
#endif
#undef CALL
};
enum { CALLS = sizeof calls / sizeof *calls };

/* The fault: the first call of this number at this site, or the allocation of this number if there is none. */
static int fault_number = -1, fault_errno;
static uint64_t fault_at;
/* Set while the library works, and once the fault has happened. */
static int armed, fired;
static uint64_t allocations;
/* The sites that were seen, and how often; in an open hash table. */
enum { SITES = 1 << 14, ADDRESSES = 8, WORDS = 4096 };
static struct site {
    uint64_t hash;
    int call, count;
} sites[SITES];
static uintptr_t text_begin, text_end;
static int listener;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* Whether this is a thread of the compiler, which has to end the process if it is refused memory. */
static int is_compiler(void)
{
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    return strncmp(name, "arawn-code", 10) == 0;
}

/* Whether an allocation of this size is the one that fails. */
static int is_refused(size_t size)
{
    uint64_t n;
    if (size < LARGE_BYTES || !__atomic_load_n(&armed, __ATOMIC_ACQUIRE) || is_compiler())
        return 0;
    n = __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    if (fault_number != -1 || n != fault_at)
        return 0;
    __atomic_store_n(&fired, 1, __ATOMIC_RELEASE);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return is_refused(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_refused(count * size) ? NULL : __libc_calloc(count, size);
}

/* What gets smaller stays where it is: glibc refuses that to nobody. */
void *realloc(void *memory, size_t size)
{
    int shrinks = memory && size <= malloc_usable_size(memory);
    return !shrinks && is_refused(size) ? NULL : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (is_refused(size))
        return ENOMEM;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return is_refused(size) ? NULL : __libc_memalign(alignment, size);
}

/* What the call answers in place of the kernel's answer. */
static void refuse(const struct seccomp_data *call, struct seccomp_notif_resp *answer)
{
    ssize_t done;
    size_t half = (size_t)call->args[2] / 2;
    void *bytes = (void *)(uintptr_t)call->args[1];
    int file = (int)call->args[0];
    answer->flags = 0;
    if (fault_errno != HALF) {
        answer->error = -fault_errno;
        return;
    }
    if (call->nr == __NR_read)
        done = read(file, bytes, half);
    else if (call->nr == __NR_write)
        done = write(file, bytes, half);
    else if (call->nr == __NR_pread64)
        done = pread(file, bytes, half, (off_t)call->args[3]);
    else
        done = pwrite(file, bytes, half, (off_t)call->args[3]);
    if (done < 0)
        answer->error = -errno;
    else
        answer->val = done;
}

/* The hash of the first return addresses into the library on the stack of a thread that waits in a call. */
static uint64_t site_of(int thread)
{
    char path[100], text[400], *at;
    uint64_t hash = 14695981039346656037u;
    static uintptr_t words[WORDS];
    static int memory = -1;
    ssize_t size;
    int file, length, found = 0, i;
    sprintf(path, "/proc/self/task/%d/syscall", thread);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    length = (int)read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    at = strrchr(text, ' '); /* the program counter; the stack pointer is before it */
    if (!at)
        return 0;
    *at = '\0';
    at = strrchr(text, ' ');
    if (!at)
        return 0;
    /* By a file, which reads as far as the stack goes. */
    memory = memory < 0 ? open("/proc/self/mem", O_RDONLY | O_CLOEXEC) : memory;
    size = pread(memory, words, sizeof words, (off_t)strtoull(at, NULL, 16));
    for (i = 0; i < size / (ssize_t)sizeof *words && found < ADDRESSES; i++) {
        if (words[i] < text_begin || words[i] >= text_end)
            continue;
        hash = (hash ^ (words[i] - text_begin)) * 1099511628211u;
        found++;
    }
    return hash;
}

static struct site *site_at(uint64_t hash, int call)
{
    uint64_t i = hash % SITES;
    while (sites[i].count != 0 && (sites[i].hash != hash || sites[i].call != call))
        i = (i + 1) % SITES;
    sites[i].hash = hash;
    sites[i].call = call;
    return &sites[i];
}

static void *supervises(void *unused)
{
    struct seccomp_notif notice;
    struct seccomp_notif_resp answer;
    uint64_t hash;
    int file, i;
    while ((file = __atomic_load_n(&listener, __ATOMIC_ACQUIRE)) == 0)
        usleep(100);
    for (;;) {
        memset(&notice, 0, sizeof notice);
        memset(&answer, 0, sizeof answer);
        if (ioctl(file, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0)
            continue;
        answer.id = notice.id;
        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        if (__atomic_load_n(&armed, __ATOMIC_ACQUIRE) && !fired) {
            hash = site_of((int)notice.pid);
            for (i = 0; i < CALLS; i++)
                if (calls[i].number == notice.data.nr)
                    site_at(hash, i)->count++;
            if (hash == fault_at && fault_number == notice.data.nr) {
                __atomic_store_n(&fired, 1, __ATOMIC_RELEASE);
                refuse(&notice.data, &answer);
            }
        }
        ioctl(file, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    return unused;
}

/* Finds where the library's code lies. */
static void find_text(void)
{
    char line[1000];
    unsigned long begin, end;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "/libarawn.so") && strstr(line, " r-xp ") && sscanf(line, "%lx-%lx", &begin, &end) == 2)
            text_begin = begin, text_end = end;
    fclose(maps);
    CHECK(text_begin != 0);
}

/* Puts the fault in: a call's name and its site, or "allocation" and n, and the errno. Without a name all calls are
 * counted. */
static void inject(const char *name, uint64_t at, int with)
{
    struct sock_filter filter[2 * CALLS + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    struct sock_fprog program = {1, filter};
    pthread_t thread;
    int i, file;
    find_text();
    fault_at = at;
    fault_errno = with;
    for (i = 0; i < CALLS; i++) {
        if (name && strcmp(name, calls[i].name) != 0)
            continue;
        if (name)
            fault_number = calls[i].number;
        filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number, 0, 1);
        filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (name && strcmp(name, "allocation") == 0)
        return;
    CHECK(!name || fault_number != -1);
    CHECK(pthread_create(&thread, NULL, supervises, NULL) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    file = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    CHECK(file >= 0);
    __atomic_store_n(&listener, file, __ATOMIC_RELEASE);
}

#endif
