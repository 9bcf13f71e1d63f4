/* Preloaded, hides /proc and /dev/fd from whoever opens files by libc, as if neither were there. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int is_hidden(const char *path)
{
    return strncmp(path, "/proc", 5) == 0 || strncmp(path, "/dev/fd", 7) == 0;
}

static int opened(int at, const char *path, int flags, mode_t mode)
{
    if (is_hidden(path)) {
        errno = ENOENT;
        return -1;
    }
    return (int)syscall(SYS_openat, at, path, flags, mode);
}

#define MODE(flags, mode)                                                                                                      \
    mode_t mode = 0;                                                                                                           \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                                     \
        va_list list;                                                                                                          \
        va_start(list, flags);                                                                                                 \
        mode = va_arg(list, mode_t);                                                                                           \
        va_end(list);                                                                                                          \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

ssize_t readlink(const char *path, char *buffer, size_t length)
{
    if (is_hidden(path)) {
        errno = ENOENT;
        return -1;
    }
    return (ssize_t)syscall(SYS_readlinkat, AT_FDCWD, path, buffer, length);
}
