/* Under a limit of address space (ulimit -v), or of locked memory when all of it is locked, the library leaves the
 * program what it needs: at least seven eighths. Each limit has a process of its own, as what is reserved stays so for
 * the life of a process. */
#include "zyntax_async_runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(SANITIZED) || !defined(RLIMIT_AS)

int main(void) { return 77; } /* sanitizers reserve terabytes; not every system has the limit */

#else

typedef struct Task {
    zyntax_runtime *runtime;
    zyntax_op op;
    int64_t result;
} Task;

static int64_t answer(void *unused) {
    (void)unused;
    return 42;
}

static PollStatus poll_job(FutureState state, Waker *waker) {
    Task *task = state;
    return zyntax_blocking(task->runtime, &task->op, answer, NULL, 0, waker, &task->result);
}

/* A thread's stack may be more than all that may be locked. */
static PollStatus poll_sleep(FutureState state, Waker *waker) {
    Task *task = state;
    task->result = 42;
    return zyntax_sleep(task->runtime, &task->op, 1000, waker);
}

/* What a program does that is not the library: it takes three fifths of the limit, in pieces as large as a 32-bit
 * process finds, and a thread starts. */
static int live(size_t limit, PollFn poll) {
    Task task = {zyntax_runtime_create(), 0, 0};
    zyntax_task *handle = zyntax_runtime_spawn(task.runtime, &task, poll);
    void *memory[20];
    size_t pieces = sizeof memory / sizeof memory[0];
    for (size_t i = 0; i < pieces; i++) {
        memory[i] = malloc(limit / 5 * 3 / pieces);
        if (memory[i] == NULL) return 1;
    }
    if (handle == NULL) return 1;
    if (zyntax_runtime_block_on(task.runtime, handle) != 0 || task.result != 42) return 2;
    zyntax_runtime_destroy(task.runtime);
    for (size_t i = 0; i < pieces; i++) free(memory[i]);
    return 0;
}

static int live_under(const char *program, uint64_t megabytes) {
    struct rlimit limit = {(rlim_t)(megabytes << 20), (rlim_t)(megabytes << 20)};
    char text[24];
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        unsetenv("MALLOC_PERTURB_"); /* Meson's, which makes malloc touch every page */
        snprintf(text, sizeof text, "%llu", (unsigned long long)limit.rlim_cur);
        if (setrlimit(RLIMIT_AS, &limit) == 0) execl(program, program, text, (char *)NULL);
        _exit(3);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        printf("%llu MB: status %#x\n", (unsigned long long)megabytes, (unsigned)status);
        return 1;
    }
    return 0;
}

/* Locks what the process will have, as real-time programs do. 77: this user may not lock so much, or anything. */
static int live_locked(uint64_t megabytes) {
    struct rlimit limit = {(rlim_t)(megabytes << 20), (rlim_t)(megabytes << 20)};
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) _exit(77);
        if (geteuid() == 0 && setuid(65534) != 0) _exit(77); /* for root there is no limit */
        if (mlockall(MCL_FUTURE) != 0) _exit(77);
        void *too_much = mmap(NULL, (size_t)limit.rlim_cur + 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (too_much != MAP_FAILED) _exit(77); /* nor for this user */
        _exit(live((size_t)limit.rlim_cur, poll_sleep));
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("%llu MB locked: skipped\n", (unsigned long long)megabytes);
        return 0;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    printf("%llu MB locked: status %#x\n", (unsigned long long)megabytes, (unsigned)status);
    return 1;
}

int main(int count, char **arguments) {
    static const uint64_t limits[] = {300, 400, 512, 700, 1024, 1500, 2047, 2048, 3000, 4095, 4096, 4200};
    int failed = 0;
    if (count > 1) return live((size_t)strtoull(arguments[1], NULL, 10), poll_job);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i] << 20 < SIZE_MAX) failed |= live_under(arguments[0], limits[i]);
    }
    for (uint64_t megabytes = 8; megabytes <= 256; megabytes *= 2) failed |= live_locked(megabytes);
    return failed;
}

#endif
