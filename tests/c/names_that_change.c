/* Preloaded: a name server of names that change, and a network that refuses whatever is not this machine.
 *
 * A name that begins with `first-public` stands for 93.184.216.34 when it is asked for the first time, and for 127.0.0.1
 * from then on; one that begins with `both` always for 127.0.0.1 and 93.184.216.34. Each lookup and each connection is a
 * line of the file that $RECORD names. */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PUBLIC "93.184.216.34"
#define OWN "127.0.0.1"

static void record(const char *what, const char *whom, int port)
{
    char line[300];
    int len = snprintf(line, sizeof line, port ? "%s %s:%d\n" : "%s %s\n", what, whom, port);
    int file = open(getenv("RECORD"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file < 0 || write(file, line, (size_t)len) != len || close(file) != 0)
        abort();
}

static struct addrinfo *address(const char *text, struct addrinfo *next)
{
    struct addrinfo *info = calloc(1, sizeof *info);
    struct sockaddr_in *address = calloc(1, sizeof *address);
    if (!info || !address || inet_pton(AF_INET, text, &address->sin_addr) != 1)
        abort();
    address->sin_family = AF_INET;
    info->ai_family = AF_INET;
    info->ai_socktype = SOCK_STREAM;
    info->ai_addrlen = sizeof *address;
    info->ai_addr = (struct sockaddr *)address;
    info->ai_next = next;
    return info;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    static int asked;
    (void)service;
    (void)hints;
    record("look up", name, 0);
    if (strncmp(name, "first-public", 12) == 0)
        *found = address(asked++ ? OWN : PUBLIC, NULL);
    else if (strncmp(name, "both", 4) == 0)
        *found = address(OWN, address(PUBLIC, NULL));
    else
        return EAI_NONAME;
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info) {
        struct addrinfo *next = info->ai_next;
        free(info->ai_addr);
        free(info);
        info = next;
    }
}

int connect(int socket, const struct sockaddr *to, socklen_t len)
{
    const struct sockaddr_in *address = (const struct sockaddr_in *)to;
    char text[INET_ADDRSTRLEN];
    if (to->sa_family != AF_INET)
        return (int)syscall(SYS_connect, socket, to, len);
    if (!inet_ntop(AF_INET, &address->sin_addr, text, sizeof text))
        abort();
    record("connect", text, ntohs(address->sin_port));
    if (strcmp(text, OWN) == 0)
        return (int)syscall(SYS_connect, socket, to, len);
    errno = ECONNREFUSED;
    return -1;
}
