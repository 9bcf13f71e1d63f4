/* No thread before the first executor, and none that runs while no call does. Linux: /proc. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <dirent.h>
#include <time.h>

static void pause_ms(long ms)
{
    struct timespec time;
    time.tv_sec = ms / 1000;
    time.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&time, NULL);
}

/* Counts the threads and adds up how often each but the first has run. */
static int threads(long *switches)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int count = 0;
    CHECK(tasks != NULL);
    *switches = 0;
    while ((task = readdir(tasks)) != NULL) {
        char path[300], line[200];
        long switched;
        FILE *status;
        if (task->d_name[0] == '.')
            continue;
        count++;
        sprintf(path, "/proc/self/task/%s/status", task->d_name);
        status = fopen(path, "r");
        while (status && fgets(line, sizeof line, status))
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &switched) == 1 && count > 1)
                *switches += switched;
        if (status)
            fclose(status);
    }
    closedir(tasks);
    return count;
}

int main(void)
{
    long before, after;
    CHECK(says(arawn_stats("{}"), "\"status\":\"ok\""));
    printf("threads before the first executor: %d\n", threads(&before));
    CHECK(says(arawn_executor_new("{\"id\":\"i\",\"cache_dir\":null}"), "\"status\":\"ok\""));
    CHECK(says(arawn_execute_runtime("{\"executor\":\"i\",\"runtime\":\"passthrough\"}"), "\"status\":\"ok\""));
    pause_ms(1000);
    threads(&before);
    pause_ms(500);
    threads(&after);
    printf("wakeups of all threads while idle: %ld\n", after - before);
    /* Asleep, it is still there for the next deadline. */
    CHECK(says(arawn_execute_runtime("{\"executor\":\"i\",\"runtime\":\"passthrough\"}"), "\"status\":\"ok\""));
    return 0;
}
