/* Under a limit of address space (ulimit -v) the library leaves the program what it needs: at least seven eighths. The
 * program runs itself again under several limits, as what is reserved stays so for the life of a process. */
#include "zyntax_async_runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

static PollStatus poll(FutureState state, Waker *waker) {
    Task *task = state;
    return zyntax_blocking(task->runtime, &task->op, answer, NULL, 0, waker, &task->result);
}

/* What a program does that is not the library: it takes three fifths of the limit, in pieces as large as a 32-bit
 * process finds, and a thread starts. */
static int live(size_t limit) {
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

int main(int count, char **arguments) {
    static const uint64_t limits[] = {300, 400, 512, 700, 1024, 1500, 2047, 2048, 3000, 4095, 4096, 4200};
    int failed = 0;
    if (count > 1) return live((size_t)strtoull(arguments[1], NULL, 10));
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i] << 20 < SIZE_MAX) failed |= live_under(arguments[0], limits[i]);
    }
    return failed;
}

#endif
