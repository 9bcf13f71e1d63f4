/* Preloaded: a disk that does not answer. Whoever reads a file whose name begins with `hangs` waits for ever, after a byte
 * more in the file that $HANGING names. So does whoever writes a file below a directory `hanging`, without that byte. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *path_of(int fd)
{
    static __thread char path[4096];
    char link[40];
    ssize_t len;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    return path;
}

static int hangs(int fd)
{
    const char *name = strrchr(path_of(fd), '/');
    return name && strncmp(name, "/hangs", 6) == 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (strstr(path_of(fd), "/hanging/"))
        for (;;)
            pause();
    return syscall(SYS_write, fd, bytes, count);
}

ssize_t read(int fd, void *buffer, size_t count)
{
    if (hangs(fd)) {
        int file = open(getenv("HANGING"), O_WRONLY | O_APPEND | O_CREAT, 0600);
        if (file < 0 || write(file, "x", 1) != 1 || close(file) != 0)
            abort();
        for (;;)
            pause();
    }
    return syscall(SYS_read, fd, buffer, count);
}
