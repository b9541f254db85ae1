/* SPDX-License-Identifier: Apache-2.0
 *
 * A mutex between tasks of one runtime, made from wakers. It allocates nothing and is fair: first come, first served.
 *
 * Rules it relies on: a copied waker stays valid for ever, so a queue may hold it; a wake never polls inside the call,
 * so unlock may wake. Each task's drop calls mutex_leave: a task that is cancelled while it waits leaves the queue, and
 * a task that is cancelled while it holds the mutex passes it on.
 *
 * Output:
 *     entered: 0 1 3 0 1 3
 *     6 increments, counted 6
 */
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the mutex: a queue whose first waiter is the holder ---- */

typedef struct Waiter {
    struct Waiter *before, *behind;
    Waker waker;
    int queued;
} Waiter;

typedef struct Mutex {
    Waiter *first, *last;
} Mutex;

/* Waits until the mutex is `waiter`'s. Both must be zero at first, and live until mutex_leave has returned. */
static PollStatus mutex_lock(Mutex *mutex, Waiter *waiter, Waker *waker) {
    if (!waiter->queued) {
        *waiter = (Waiter){.before = mutex->last, .queued = 1};
        if (mutex->last != NULL) mutex->last->behind = waiter;
        else mutex->first = waiter;
        mutex->last = waiter;
    }
    waiter->waker = *waker; /* the latest one: another task may poll this state later */
    return mutex->first == waiter ? POLL_READY : POLL_PENDING;
}

/* Unlocks, or stops waiting, or does nothing for a waiter outside of the queue. */
static void mutex_leave(Mutex *mutex, Waiter *waiter) {
    if (!waiter->queued) return;
    int held = mutex->first == waiter;
    if (waiter->before != NULL) waiter->before->behind = waiter->behind;
    else mutex->first = waiter->behind;
    if (waiter->behind != NULL) waiter->behind->before = waiter->before;
    else mutex->last = waiter->before;
    *waiter = (Waiter){0};
    if (held && mutex->first != NULL) mutex->first->waker.wake(mutex->first->waker.data);
}

/* ---- the demonstration: workers that read a counter, yield, and write it ---- */

enum { WORKERS = 4, ROUNDS = 2 };

typedef struct Shared {
    Mutex mutex;
    int counter, increments, entries;
    char order[2 * WORKERS * ROUNDS + 1];
} Shared;

typedef struct Worker {
    uint32_t state_id;
    int number, rounds, seen;
    Shared *shared;
    Waiter waiter;
    zyntax_op op;
} Worker;

static PollStatus worker_poll(FutureState state, Waker *waker) {
    Worker *s = state;
    if (s->state_id == 1) goto await_sleep;
    while (s->rounds < ROUNDS) {
        if (mutex_lock(&s->shared->mutex, &s->waiter, waker) == POLL_PENDING) return POLL_PENDING;
        s->shared->order[2 * s->shared->entries] = ' ';
        s->shared->order[2 * s->shared->entries++ + 1] = (char)('0' + s->number);
        s->seen = s->shared->counter;
        s->state_id = 1;
    await_sleep: /* the others run, and none of them may enter */
        if (zyntax_sleep(zyntax_current_runtime(), &s->op, 1000000, waker) == POLL_PENDING) return POLL_PENDING;
        s->shared->counter = s->seen + 1;
        s->shared->increments++;
        mutex_leave(&s->shared->mutex, &s->waiter);
        s->rounds++;
        s->state_id = 0;
    }
    return POLL_READY;
}

static void worker_drop(FutureState state, int32_t outcome) {
    Worker *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    mutex_leave(&s->shared->mutex, &s->waiter);
}

int main(void) {
    Shared shared = {0};
    Worker workers[WORKERS];
    zyntax_task *tasks[WORKERS];
    zyntax_runtime *runtime = zyntax_runtime_create();
    int32_t error = runtime != NULL ? 0 : ZYNTAX_ENOMEM;
    for (int i = 0; i < WORKERS && error == 0; i++) {
        workers[i] = (Worker){.number = i, .shared = &shared};
        tasks[i] = zyntax_runtime_spawn_with(runtime, &workers[i], worker_poll, worker_drop, 0);
        if (tasks[i] == NULL) error = ZYNTAX_ENOMEM;
    }
    if (error == 0 && (error = zyntax_runtime_turn(runtime, 0)) >= 0) error = zyntax_task_cancel(tasks[2]);
    if (error == 0) error = zyntax_runtime_run(runtime);
    if (error == 0) printf("entered:%s\n", shared.order);
    if (error == 0) printf("%d increments, counted %d\n", shared.increments, shared.counter);
    zyntax_runtime_destroy(runtime);
    if (error != 0) fprintf(stderr, "mutex: %s\n", zyntax_strerror(error));
    return error == 0 && shared.mutex.first == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}
