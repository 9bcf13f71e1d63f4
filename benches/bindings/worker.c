/* For each line on stdin: the median of so many calls in microseconds, as JSON. */
#include <arawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(void)
{
    char line[32];
    arawn_free(arawn_executor_new("{\"id\":\"bench\"}"));
    while (fgets(line, sizeof line, stdin)) {
        int calls = atoi(line), i;
        double *times = malloc(sizeof *times * (size_t)calls);
        if (!times)
            return 1;
        for (i = 0; i < calls; i++) {
            double begun = now();
            arawn_free(arawn_execute_runtime("{\"executor\":\"bench\",\"runtime\":\"passthrough\",\"input\":"
                                             "{\"config\":{},\"context\":{\"name\":\"Ada\",\"count\":3}}}"));
            times[i] = now() - begun;
        }
        qsort(times, (size_t)calls, sizeof *times, compare);
        printf("{\"execute\": %.3f}\n", times[calls / 2]);
        fflush(stdout);
        free(times);
    }
    return 0;
}
