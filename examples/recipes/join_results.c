/* SPDX-License-Identifier: Apache-2.0
 *
 * Results of tasks that are joined. zyntax_task_join says that a task has ended, not with which value. The value lives
 * in the state of the spawner, or the task's drop delivers it there.
 *
 * Rules it relies on: a task's drop has run before the tasks that joined it are polled, so both values are there then.
 * The outcome that drop gets tells a task that finished from a task that was cancelled. A state that the task owns is
 * freed after its drop, so no task may read a value there.
 *
 * Output:
 *     in the spawner's state: 49
 *     delivered by drop: 64, OK
 *     of a task that was cancelled: ECANCELED
 */
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- 1. The spawner owns the state, and reads the result there. The state has to live until the task has ended ----
 */

typedef struct Square {
    int64_t number, result;
    zyntax_op op;
} Square;

static PollStatus square_poll(FutureState state, Waker *waker) {
    Square *s = state;
    if (zyntax_sleep(zyntax_current_runtime(), &s->op, 1000000, waker) == POLL_PENDING) return POLL_PENDING;
    s->result = s->number * s->number;
    return POLL_READY;
}

static void square_drop(FutureState state, int32_t outcome) {
    Square *s = state;
    if (outcome < 0) s->result = outcome;
    zyntax_op_cancel(&s->op);
}

/* ---- 2. The task owns the state, and its drop delivers the result. Either side may end first ---- */

typedef struct Reply {
    struct Job *job; /* NULL: has ended, or none was begun */
    int64_t value;
    int32_t outcome;
} Reply;

typedef struct Job {
    Square square;
    Reply *reply; /* NULL: the value is not wanted any more */
} Job;

static PollStatus job_poll(FutureState state, Waker *waker) {
    Job *s = state;
    return square_poll(&s->square, waker);
}

static void job_drop(FutureState state, int32_t outcome) {
    Job *s = state;
    square_drop(&s->square, outcome);
    if (s->reply != NULL) *s->reply = (Reply){.value = s->square.result, .outcome = outcome};
}

/* NULL when memory is short. `reply` must live until the task has ended or reply_forget was called. */
static zyntax_task *job_spawn(zyntax_runtime *runtime, int64_t number, Reply *reply) {
    Job *job = zyntax_state_alloc(runtime, sizeof *job);
    if (job == NULL) return NULL;
    job->square.number = number;
    job->reply = reply;
    reply->job = job;
    zyntax_task *task = zyntax_runtime_spawn_with(runtime, job, job_poll, job_drop, sizeof *job);
    if (task == NULL &&
        reply->job != NULL) { /* unless spawn has dropped and freed it, as the runtime is being destroyed */
        zyntax_state_free(runtime, job, sizeof *job);
        reply->job = NULL;
    }
    return task;
}

static void reply_forget(Reply *reply) {
    if (reply->job != NULL) reply->job->reply = NULL;
}

/* ---- the spawner ---- */

enum { TASKS = 3 };

typedef struct Spawner {
    int spawned;
    Square square;
    Reply reply, cancelled;
    zyntax_task *tasks[TASKS];
    zyntax_op op;
    int64_t result;
} Spawner;

static PollStatus spawner_poll(FutureState state, Waker *waker) {
    Spawner *s = state;
    zyntax_runtime *runtime = zyntax_current_runtime();
    if (!s->spawned) {
        s->spawned = 1;
        s->square.number = 7;
        s->tasks[0] = zyntax_runtime_spawn_with(runtime, &s->square, square_poll, square_drop, 0);
        s->tasks[1] = job_spawn(runtime, 8, &s->reply);
        s->tasks[2] = job_spawn(runtime, 9, &s->cancelled);
        s->result = s->tasks[0] != NULL && s->tasks[1] != NULL ? zyntax_task_cancel(s->tasks[2]) : ZYNTAX_ENOMEM;
        if (s->result < 0) return POLL_READY;
    }
    return zyntax_join_all(s->tasks, TASKS, &s->op, waker);
}

/* The square's state is in here: cancelling its task is not enough, the memory has to outlive it. Main sees to that. */
static void spawner_drop(FutureState state, int32_t outcome) {
    Spawner *s = state;
    if (outcome < 0) s->result = outcome;
    zyntax_op_cancel(&s->op);
    for (int i = 0; i < TASKS; i++) zyntax_task_cancel(s->tasks[i]);
    reply_forget(&s->reply);
    reply_forget(&s->cancelled);
}

int main(void) {
    Spawner spawner = {0};
    zyntax_runtime *runtime = zyntax_runtime_create();
    zyntax_task *task =
        runtime != NULL ? zyntax_runtime_spawn_with(runtime, &spawner, spawner_poll, spawner_drop, 0) : NULL;
    int64_t error = task != NULL ? zyntax_runtime_block_on(runtime, task) : ZYNTAX_ENOMEM;
    if (error == 0) error = spawner.result;
    if (error == 0) {
        printf("in the spawner's state: %lld\n", (long long)spawner.square.result);
        printf("delivered by drop: %lld, %s\n", (long long)spawner.reply.value,
               zyntax_error_name(spawner.reply.outcome));
        printf("of a task that was cancelled: %s\n", zyntax_error_name(spawner.cancelled.outcome));
    }
    zyntax_runtime_destroy(runtime);
    if (error != 0) fprintf(stderr, "join_results: %s\n", zyntax_strerror(error));
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
