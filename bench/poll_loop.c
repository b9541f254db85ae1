/* Sleeps of zero length, wakes or spawns in a loop. budgets.py counts the instructions of each.
 *
 *     poll_loop sleep|wake|spawn N    1000 tasks together do about N operations
 */
#include "zyntax_async_runtime.h"

#include <stdlib.h>
#include <string.h>

enum { TASKS = 1000 };

typedef struct State {
    zyntax_runtime *runtime;
    zyntax_op op;
    long left;
} State;

static PollStatus sleep_poll(FutureState state, Waker *waker) {
    State *s = state;
    for (;;) {
        if (zyntax_sleep(s->runtime, &s->op, 0, waker) == POLL_PENDING) return POLL_PENDING;
        if (--s->left <= 0) return POLL_READY;
    }
}

static PollStatus wake_poll(FutureState state, Waker *waker) {
    State *s = state;
    if (s->left-- <= 0) return POLL_READY;
    waker->wake(waker->data);
    return POLL_PENDING;
}

static PollStatus spawn_poll(FutureState state, Waker *waker) {
    (void)state;
    (void)waker;
    return POLL_READY;
}

int main(int argc, char **argv) {
    static State states[TASKS];
    if (argc < 3) return 2;
    long each = atol(argv[2]) / TASKS;
    int spawns = strcmp(argv[1], "spawn") == 0;
    PollFn poll = spawns ? spawn_poll : strcmp(argv[1], "sleep") == 0 ? sleep_poll : wake_poll;
    zyntax_runtime *runtime = zyntax_runtime_create();
    for (long round = 0; round < (spawns ? each : 1); round++) {
        for (int i = 0; i < TASKS; i++) {
            states[i].runtime = runtime;
            states[i].left = each;
            if (zyntax_runtime_spawn(runtime, &states[i], poll) == NULL) return 1;
        }
        if (zyntax_runtime_run(runtime) != 0) return 1;
    }
    zyntax_runtime_destroy(runtime);
    return 0;
}
