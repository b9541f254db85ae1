/* Prints the memory that a runtime, a task and an idle connection use, for budgets.py. A connection is idle while a
 * task waits in zyntax_io_read for its first byte. Its memory is the handle, the op and the task, without the task's
 * state.
 */
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <sys/socket.h>

enum { FEW = 100, MANY = 300 };

typedef struct Reader {
    zyntax_io *io;
    zyntax_op op;
    char byte;
} Reader;

static PollStatus park(FutureState state, Waker *waker) {
    (void)state;
    (void)waker;
    return POLL_PENDING;
}

static PollStatus read_one(FutureState state, Waker *waker) {
    Reader *reader = state;
    int64_t result;
    return zyntax_io_read(reader->io, &reader->op, &reader->byte, 1, waker, &result);
}

static double in_use(zyntax_runtime *runtime) {
    zyntax_runtime_stats stats = {0};
    stats.size = sizeof stats;
    return zyntax_runtime_get_stats(runtime, &stats) == 0 ? (double)stats.bytes_in_use : 0.0;
}

static int add_tasks(zyntax_runtime *runtime, int first, int end) {
    for (int i = first; i < end; i++) {
        if (zyntax_runtime_spawn(runtime, NULL, park) == NULL) return 0;
    }
    return zyntax_runtime_turn(runtime, 0) >= 0;
}

static int add_connections(zyntax_runtime *runtime, int first, int end) {
    static Reader readers[MANY];
    for (int i = first; i < end; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 0;
        if (zyntax_io_open(runtime, pair[0], &readers[i].io) != 0) return 0;
        if (zyntax_runtime_spawn(runtime, &readers[i], read_one) == NULL) return 0;
    }
    while (zyntax_runtime_next_timeout_ns(runtime) == 0) {
        if (zyntax_runtime_turn(runtime, 0) < 0) return 0;
    }
    return 1;
}

static int print_each(const char *name, int (*add)(zyntax_runtime *, int, int)) {
    zyntax_runtime *runtime = zyntax_runtime_create();
    if (runtime == NULL || !add(runtime, 0, FEW)) return 0;
    double before = in_use(runtime);
    if (!add(runtime, FEW, MANY)) return 0;
    printf("%s %.1f\n", name, (in_use(runtime) - before) / (MANY - FEW));
    zyntax_runtime_destroy(runtime);
    return 1;
}

int main(void) {
    zyntax_runtime *runtime = zyntax_runtime_create();
    if (runtime == NULL) return 1;
    printf("runtime %.0f\n", in_use(runtime));
    zyntax_runtime_destroy(runtime);
    return print_each("task", add_tasks) && print_each("idle_connection", add_connections) ? 0 : 1;
}
