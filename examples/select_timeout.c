/* SPDX-License-Identifier: Apache-2.0
 *
 * Racing and time limits. zyntax_select waits for the first of several tasks and leaves the others running: cancelling
 * the losers is one call each, after which their drop runs with ZYNTAX_ECANCELED. zyntax_join_until waits for a task
 * until a deadline; it, too, leaves the task running.
 *
 * Output:
 *     the hare ended: OK
 *     the hare wins
 *     the tortoise ended: ECANCELED
 *     the oracle has said nothing for 30 ms: ETIMEDOUT
 *     the oracle ended: ECANCELED
 */
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

#define MILLISECONDS(n) (UINT64_C(1000000) * (n))

/* ---- async fn rest(duration) ---- */

typedef struct Rest {
    const char *name;
    uint64_t duration_ns;
    zyntax_op op;
} Rest;

static PollStatus rest_poll(FutureState state, Waker *waker) {
    Rest *s = state;
    return zyntax_sleep(zyntax_current_runtime(), &s->op, s->duration_ns, waker);
}

static void rest_drop(FutureState state, int32_t outcome) {
    Rest *s = state;
    zyntax_op_cancel(&s->op);
    printf("the %s ended: %s\n", s->name, zyntax_error_name(outcome));
}

/* ---- async fn race() ---- */

enum { HARE, TORTOISE, RACERS };

typedef struct Race {
    uint32_t state_id;
    zyntax_op op;   /* one word for select, join and join_until */
    int64_t result; /* 0 or an error */
    Rest racers[RACERS], oracle;
    zyntax_task *tasks[RACERS], *oracle_task;
    uint64_t deadline_ns;
} Race;

static PollStatus race_return(Race *s, int64_t result) {
    s->result = result;
    return POLL_READY;
}

static PollStatus race_poll(FutureState state, Waker *waker) {
    Race *s = state;
    zyntax_runtime *runtime = zyntax_current_runtime();
    if (s->state_id == 1) goto await_select;
    if (s->state_id == 2) goto await_losers;
    if (s->state_id == 3) goto await_oracle;
    if (s->state_id == 4) goto await_end;

    s->racers[HARE] = (Rest){.name = "hare", .duration_ns = MILLISECONDS(10)};
    s->racers[TORTOISE] = (Rest){.name = "tortoise", .duration_ns = MILLISECONDS(10000)};
    for (int i = 0; i < RACERS; i++) {
        s->tasks[i] = zyntax_runtime_spawn_with(runtime, &s->racers[i], rest_poll, rest_drop, 0);
        if (s->tasks[i] == NULL) return race_return(s, ZYNTAX_ENOMEM);
    }
    s->state_id = 1;
await_select:
    if (zyntax_select(s->tasks, RACERS, &s->op, waker, &s->result) == POLL_PENDING) return POLL_PENDING;
    if (s->result < 0) return POLL_READY;
    printf("the %s wins\n", s->racers[s->result].name);
    for (int i = 0; i < RACERS; i++) zyntax_task_cancel(s->tasks[i]); /* does nothing to the winner, which has ended */
    s->state_id = 2;
await_losers: /* their drops have run before this goes on */
    if (zyntax_join_all(s->tasks, RACERS, &s->op, waker) == POLL_PENDING) return POLL_PENDING;

    s->oracle = (Rest){.name = "oracle", .duration_ns = UINT64_MAX}; /* never */
    s->oracle_task = zyntax_runtime_spawn_with(runtime, &s->oracle, rest_poll, rest_drop, 0);
    if (s->oracle_task == NULL) return race_return(s, ZYNTAX_ENOMEM);
    s->deadline_ns = zyntax_now_ns(runtime) + MILLISECONDS(30);
    s->state_id = 3;
await_oracle:
    if (zyntax_join_until(s->oracle_task, &s->op, s->deadline_ns, waker, &s->result) == POLL_PENDING)
        return POLL_PENDING;
    if (s->result != ZYNTAX_ETIMEDOUT) return race_return(s, ZYNTAX_EPROTO);
    printf("the oracle has said nothing for 30 ms: %s\n", zyntax_error_name(s->result));
    zyntax_task_cancel(s->oracle_task);
    s->state_id = 4;
await_end:
    return zyntax_task_join(s->oracle_task, &s->op, waker, &s->result);
}

static void race_drop(FutureState state, int32_t outcome) {
    Race *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
}

int main(void) {
    Race race = {0};
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    zyntax_task *task = runtime != NULL ? zyntax_runtime_spawn_with(runtime, &race, race_poll, race_drop, 0) : NULL;
    int64_t error = task != NULL ? zyntax_runtime_block_on(runtime, task) : ZYNTAX_ENOMEM;
    if (error == 0) error = race.result;
    if (error < 0) fprintf(stderr, "select_timeout: %s\n", zyntax_strerror(error));
    zyntax_runtime_destroy(runtime);
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
