/* SPDX-License-Identifier: Apache-2.0
 *
 * Measures libraries that have the document's five functions, in turns, so that a machine's moods meet all of them.
 * Prints the median for each library, and its ratio to the first one's.
 */
#include "swap.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9, LIBRARIES = 8 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- Spawning, and yielding: in nanoseconds a task, or a poll ---- */

static PollStatus count_down_poll(FutureState state, Waker *waker) {
    int *left = state;
    if (*left == 0) return POLL_READY;
    --*left;
    waker->wake(waker->data);
    return POLL_PENDING;
}

/* Spawns tasks that yield as often as is said, and runs them. Returns the seconds, without create and destroy. */
static double spawn_and_run(const Five *five, int tasks, int yields) {
    void *runtime = five->create();
    int *left = malloc((size_t)tasks * sizeof *left);
    for (int i = 0; i < tasks; i++) left[i] = yields;
    double start = seconds();
    for (int i = 0; i < tasks; i++) five->spawn(runtime, &left[i], count_down_poll);
    five->run(runtime);
    double taken = seconds() - start;
    five->destroy(runtime);
    free(left);
    return taken;
}

static double spawn_run(const Five *five) { return spawn_and_run(five, 100000, 0) / 100000 * 1e9; }
static double yield_1(const Five *five) { return spawn_and_run(five, 1, 1000000) / 1000000 * 1e9; }
static double yield_1000(const Five *five) { return spawn_and_run(five, 1000, 1000) / 1000000 * 1e9; }

/* ---- Waking a loop that sleeps, from another thread: in nanoseconds a round trip ---- */

typedef struct Asleep {
    int rounds;
    atomic_int told, seen;
    Waker waker;
} Asleep;

static PollStatus asleep_poll(FutureState state, Waker *waker) {
    Asleep *s = state;
    s->waker = *waker;
    int told = atomic_load(&s->told);
    atomic_store(&s->seen, told);
    return told == s->rounds ? POLL_READY : POLL_PENDING;
}

static void *wake_in_turns(void *argument) {
    Asleep *s = argument;
    for (int i = 1; i <= s->rounds; i++) {
        while (atomic_load(&s->seen) < i - 1) sched_yield();
        atomic_store(&s->told, i);
        s->waker.wake(s->waker.data);
    }
    return NULL;
}

static double wake_thread(const Five *five) {
    Asleep asleep = {.rounds = 10000, .seen = -1};
    void *runtime = five->create();
    void *task = five->spawn(runtime, &asleep, asleep_poll);
    pthread_t thread;
    pthread_create(&thread, NULL, wake_in_turns, &asleep);
    double start = seconds();
    five->block_on(runtime, task);
    double taken = seconds() - start;
    pthread_join(thread, NULL);
    five->destroy(runtime);
    return taken / asleep.rounds * 1e9;
}

/* ---- Memory: in bytes of a parked task, and threads, each in a process of its own ---- */

static double field(const char *path, const char *format) {
    double value = 0;
    char line[256];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, format, &value) == 1) break;
    if (file != NULL) fclose(file);
    return value;
}

static double in_child(double (*measure)(const Five *), const Five *five) {
    int ends[2];
    double value = 0;
    if (pipe(ends) != 0) return 0;
    pid_t child = fork();
    if (child == 0) {
        value = measure(five);
        _exit(write(ends[1], &value, sizeof value) != sizeof value);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], &value, sizeof value) != sizeof value) value = 0;
    close(ends[0]);
    waitpid(child, NULL, 0);
    return value;
}

static PollStatus park_poll(FutureState state, Waker *waker) {
    (void)state;
    (void)waker;
    return POLL_PENDING;
}

/* Drives until every task has been polled once. */
static void park(const Five *five, void *runtime, int count) {
    int left = count;
    for (int i = 0; i < count; i++) five->spawn(runtime, NULL, park_poll);
    five->block_on(runtime, five->spawn(runtime, &left, count_down_poll));
}

static double parked_bytes(const Five *five) {
    void *runtime = five->create();
    park(five, runtime, 1000);
    double before = field("/proc/self/status", "VmRSS: %lf");
    park(five, runtime, 1000000);
    return (field("/proc/self/status", "VmRSS: %lf") - before) * 1024 / 1000000;
}

static double threads(const Five *five) {
    park(five, five->create(), 1);
    usleep(100000); /* some start late */
    return field("/proc/self/status", "Threads: %lf");
}

/* ---- All of it ---- */

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static const struct {
    const char *name, *unit;
    double (*measure)(const Five *);
    bool alone; /* in a process of its own, and once */
} workloads[] = {
    {"spawn and run 100,000 tasks; per task", "ns", spawn_run, false},
    {"1,000,000 yields of one task; per poll", "ns", yield_1, false},
    {"1,000 yields each of 1,000 tasks; per poll", "ns", yield_1000, false},
    {"wakes from another thread; per wake, until polled", "ns", wake_thread, false},
    {"memory of a parked task, 1,000,000 of them", "bytes", parked_bytes, true},
    {"threads in the process", "", threads, true},
};

void run_benchmarks(const Five *fives, const char *const *names, int count) {
    double values[LIBRARIES][ROUNDS];
    /* Those that need a process of their own first, while no library has threads that a fork would lose. */
    for (int alone = 1; alone >= 0; alone--) {
        for (size_t w = 0; w < sizeof workloads / sizeof *workloads; w++) {
            if (workloads[w].alone != alone) continue;
            int rounds = alone ? 1 : ROUNDS;
            for (int round = 0; round < rounds; round++)
                for (int i = 0; i < count; i++)
                    values[i][round] =
                        alone ? in_child(workloads[w].measure, &fives[i]) : workloads[w].measure(&fives[i]);
            printf("%s\n", workloads[w].name);
            for (int i = 0; i < count; i++) {
                const char *slash = strrchr(names[i], '/');
                qsort(values[i], (size_t)rounds, sizeof values[i][0], compare);
                double median = values[i][rounds / 2];
                printf("    %-36s %10.1f %-5s %8.2f\n", slash != NULL ? slash + 1 : names[i], median, workloads[w].unit,
                       median / values[0][rounds / 2]);
            }
        }
    }
}
