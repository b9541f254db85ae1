/* The header is C11, and everything in it can be used from C: state, poll and drop as a compiler would emit them. */
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(PollStatus) == 4, "an enum of the API is 32 bits");
_Static_assert(sizeof(zyntax_wait) == 4, "an enum of the API is 32 bits");
_Static_assert(sizeof(Waker) == 2 * sizeof(void *), "a waker is two words");
_Static_assert(sizeof(zyntax_op) == 8, "an op is one word of 64 bits");
_Static_assert(ZYNTAX_ECANCELED == -125 && ZYNTAX_OK == 0, "errors are Linux's, negative");

static int failures;

static void expect(int condition, const char *what) {
    if (condition) return;
    failures++;
    fprintf(stderr, "failed: %s\n", what);
}

struct sleeper {
    zyntax_runtime *runtime;
    zyntax_op op;
    uint64_t woke_ns;
};

static int drops;
static int32_t last_outcome = 1;

static PollStatus sleeper_poll(FutureState state, Waker *waker) {
    struct sleeper *self = state;
    if (zyntax_sleep(self->runtime, &self->op, 1000000, waker) == POLL_PENDING) return POLL_PENDING;
    self->woke_ns = zyntax_now_ns(self->runtime);
    return POLL_READY;
}

static void sleeper_drop(FutureState state, int32_t outcome) {
    struct sleeper *self = state;
    zyntax_op_cancel(&self->op);
    drops++;
    last_outcome = outcome;
}

static void tasks(zyntax_runtime *runtime) {
    struct sleeper *state = zyntax_state_alloc(runtime, sizeof *state);
    struct sleeper mine = {0};
    uint64_t before = zyntax_now_ns(runtime);
    zyntax_task *owned, *borrowed;

    expect(state != NULL, "state_alloc");
    state->runtime = mine.runtime = runtime;
    owned = zyntax_runtime_spawn_with(runtime, state, sleeper_poll, sleeper_drop, sizeof *state);
    expect(zyntax_task_alive(owned) == 1, "a new task is alive");
    expect(zyntax_task_cancel(owned) == 0, "a live task can be cancelled");
    expect(zyntax_runtime_run(runtime) == 0, "run");
    expect(drops == 1 && last_outcome == ZYNTAX_ECANCELED, "a cancelled task is dropped once");
    expect(zyntax_task_alive(owned) == 0 && zyntax_task_cancel(owned) == ZYNTAX_ESTALE, "its handle is stale");

    borrowed = zyntax_runtime_spawn(runtime, &mine, sleeper_poll);
    expect(zyntax_runtime_block_on(runtime, borrowed) == 0, "block_on");
    expect(mine.woke_ns >= before + 1000000 && mine.op == 0, "the sleep took its time and is over");
}

static void symbols(void) {
    size_t count = 0, i;
    const zyntax_symbol *table = zyntax_runtime_symbols(&count);
    expect(count > 40 && table[count].name == NULL, "the table is counted and ended");
    for (i = 0; i < count; i++) {
        expect(table[i].address != NULL, "every symbol has an address");
        if (i != 0) expect(strcmp(table[i - 1].name, table[i].name) < 0, "the table is sorted");
    }
}

int main(void) {
    int32_t error = 1;
    zyntax_runtime_config config = {0};
    zyntax_runtime_stats stats = {0};
    zyntax_runtime *runtime;

    config.size = sizeof config;
    stats.size = sizeof stats;
    runtime = zyntax_runtime_create_with(&config, &error);
    expect(runtime != NULL && error == 0, "create_with");
    tasks(runtime);
    expect(zyntax_runtime_get_stats(runtime, &stats) == 0, "stats");
    expect(stats.tasks_spawned == 2 && stats.tasks_alive == 0, "two tasks came and went");
    zyntax_runtime_destroy(runtime);

    symbols();
    expect(zyntax_runtime_version() == ZYNTAX_ASYNC_RUNTIME_VERSION, "header and library are of one version");
    expect(strcmp(zyntax_error_name(ZYNTAX_ETIMEDOUT), "ETIMEDOUT") == 0, "error names");
    return failures != 0;
}
