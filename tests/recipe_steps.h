/* Included before everything else of a recipe (`-include`), when tests/recipes.py runs it step by step. It stands
 * between the recipe and the runtime: one poll a turn, and after some turns the action that the environment asks for:
 *
 *     ZYNTAX_RECIPE=spurious       each poll that has to wait is followed by a spurious poll
 *     ZYNTAX_RECIPE=destroy:N      after N turns the drive fails as if the program had been stopped
 *     ZYNTAX_RECIPE=cancel:N:K     after N turns the Kth task, in the order of spawning, is cancelled
 *
 * Further exit codes: 3, tasks were left that nothing can wake; 4, descriptors were left open; 5, the program ended
 * before turn N, so there are no further steps; its last line is the number of tasks. */
#ifndef TESTS_RECIPE_STEPS_H
#define TESTS_RECIPE_STEPS_H

#include "zyntax_async_runtime.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS_TASKS_MAX = 64, STEPS_STALLED = 3, STEPS_LEAKED = 4, STEPS_OVER = 5, STEPS_FDS = 64 };

static struct {
    int is_spurious, destroy_at, cancel_at, cancel_index; /* -1: not asked for */
    int turns, tasks, descriptors, has_acted;
    zyntax_task *spawned[STEPS_TASKS_MAX];
} steps = {.destroy_at = -1, .cancel_at = -1};

static int steps_count_descriptors(void) {
    int n = 0;
    for (int fd = 0; fd < STEPS_FDS; fd++) n += fcntl(fd, F_GETFD) != -1;
    return n;
}

__attribute__((constructor)) static void steps_begin(void) {
    const char *asked = getenv("ZYNTAX_RECIPE");
    steps.descriptors = steps_count_descriptors();
    if (asked == NULL) return;
    steps.is_spurious = strcmp(asked, "spurious") == 0;
    if (sscanf(asked, "destroy:%d", &steps.destroy_at) == 1) return;
    if (sscanf(asked, "cancel:%d:%d", &steps.cancel_at, &steps.cancel_index) == 2 || steps.is_spurious) return;
    fprintf(stderr, "ZYNTAX_RECIPE=%s is not understood\n", asked);
    _Exit(2);
}

__attribute__((destructor)) static void steps_end(void) {
    fflush(NULL);
    if (steps_count_descriptors() != steps.descriptors) {
        fprintf(stderr, "descriptors were left open\n");
        _Exit(STEPS_LEAKED);
    }
}

/* A task between the runtime and the recipe's: the same polls and the same end, and spurious polls. */
typedef struct StepsTask {
    FutureState state;
    PollFn poll;
    DropFn drop;
    zyntax_runtime *runtime;
    size_t owned;
    int was_spurious, *has_dropped;
} StepsTask;

static PollStatus steps_poll(FutureState state, Waker *waker) {
    StepsTask *s = (StepsTask *)state;
    PollStatus status = s->poll(s->state, waker);
    s->was_spurious = steps.is_spurious && !s->was_spurious;
    if (status == POLL_PENDING && s->was_spurious) waker->wake(waker->data);
    return status;
}

static void steps_drop(FutureState state, int32_t outcome) {
    StepsTask *s = (StepsTask *)state;
    if (s->drop != NULL) s->drop(s->state, outcome);
    if (s->owned != 0) zyntax_state_free(s->runtime, s->state, s->owned);
    if (s->has_dropped != NULL) *s->has_dropped = 1;
    free(s);
}

static zyntax_task *steps_spawn_with(zyntax_runtime *runtime, FutureState state, PollFn poll, DropFn drop,
                                     size_t owned) {
    int has_dropped = 0;
    StepsTask *s = (StepsTask *)malloc(sizeof *s);
    if (s == NULL || steps.tasks == STEPS_TASKS_MAX) abort();
    *s = (StepsTask){state, poll, drop, runtime, owned, 0, &has_dropped};
    zyntax_task *task = zyntax_runtime_spawn_with(runtime, s, steps_poll, steps_drop, 0);
    if (task != NULL) s->has_dropped = NULL;
    else if (!has_dropped) free(s);
    if (task != NULL) steps.spawned[steps.tasks++] = task;
    return task;
}

static zyntax_runtime *steps_create(void) {
    zyntax_runtime_config config;
    memset(&config, 0, sizeof config);
    config.size = sizeof config;
    config.poll_budget = 1;
    config.flags = ZYNTAX_DETECT_STALL;
    return zyntax_runtime_create_with(&config, NULL);
}

static int32_t steps_turn(zyntax_runtime *runtime, int64_t timeout_ns) {
    if (steps.turns == steps.destroy_at) {
        steps.has_acted = 1;
        return ZYNTAX_ECANCELED;
    }
    if (steps.turns++ == steps.cancel_at) {
        steps.has_acted = 1;
        if (steps.cancel_index < steps.tasks) zyntax_task_cancel(steps.spawned[steps.cancel_index]);
    }
    int32_t alive = zyntax_runtime_turn(runtime, timeout_ns);
    if (alive == ZYNTAX_EDEADLK) {
        fprintf(stderr, "tasks are left that nothing can wake\n");
        _Exit(STEPS_STALLED);
    }
    return alive;
}

static int32_t steps_block_on(zyntax_runtime *runtime, zyntax_task *task) {
    int32_t error = 0;
    while (error >= 0 && zyntax_task_alive(task)) error = steps_turn(runtime, -1);
    return error < 0 ? error : 0;
}

static int32_t steps_run(zyntax_runtime *runtime) {
    int32_t alive = 1;
    while (alive > 0) alive = steps_turn(runtime, -1);
    return alive;
}

/* The recipe's main. */
int steps_recipe(void);

int main(void) {
    int code = steps_recipe();
    if (!steps.has_acted && !steps.is_spurious && (steps.destroy_at >= 0 || steps.cancel_at >= 0)) {
        fflush(stdout);
        fprintf(stderr, "%d tasks\n", steps.tasks);
        code = STEPS_OVER;
    }
    return code;
}

/* A recipe need not call all of them. */
static inline void steps_all_used(void) {
    (void)steps_spawn_with, (void)steps_create, (void)steps_turn, (void)steps_block_on, (void)steps_run;
}

#define zyntax_runtime_create steps_create
#define zyntax_runtime_spawn_with steps_spawn_with
#define zyntax_runtime_turn steps_turn
#define zyntax_runtime_block_on steps_block_on
#define zyntax_runtime_run steps_run
#define main(void) steps_recipe(void)

#endif /* TESTS_RECIPE_STEPS_H */
