/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGINT ends the program in order: the handler wakes a task, and the task does the rest. A second SIGINT ends the
 * process at once.
 *
 * Rules it relies on: zyntax_wake_from_signal is the only function that a signal handler may call. A task has the same
 * waker for its whole life, and a copy of it stays valid for ever, so it is stored once, before the handler exists.
 * The handler may run in any thread.
 *
 * The worker stands in for the user: it sends SIGINT after its third tick. Ctrl-C before that works as well.
 *
 * Output:
 *     tick 1
 *     tick 2
 *     tick 3
 *     interrupted
 *     the worker ended: ECANCELED
 */
#include "zyntax_async_runtime.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- async fn interrupt(), for one task of the process ---- */

static atomic_int interrupted;
static Waker interrupt_waker;

static void on_interrupt(int number) {
    signal(number, SIG_DFL);
    atomic_store(&interrupted, 1);
    zyntax_wake_from_signal(&interrupt_waker);
}

/* *result: 0, or ZYNTAX_EINVAL where there is no such signal. */
static PollStatus interrupt_poll(Waker *waker, int64_t *result) {
    *result = 0;
    if (interrupt_waker.wake == NULL) {
        interrupt_waker = *waker;
        if (signal(SIGINT, on_interrupt) == SIG_ERR) *result = ZYNTAX_EINVAL;
    }
    return atomic_load(&interrupted) || *result < 0 ? POLL_READY : POLL_PENDING;
}

/* ---- the work, and the task that ends it ---- */

typedef struct Worker {
    int ticks;
    zyntax_op op;
} Worker;

static PollStatus worker_poll(FutureState state, Waker *waker) {
    Worker *s = state;
    for (;;) {
        if (zyntax_sleep(zyntax_current_runtime(), &s->op, 10000000, waker) == POLL_PENDING) return POLL_PENDING;
        if (s->ticks < 3) printf("tick %d\n", ++s->ticks);
        else if (!atomic_load(&interrupted) && raise(SIGINT) != 0) return POLL_READY;
    }
}

static void worker_drop(FutureState state, int32_t outcome) {
    Worker *s = state;
    zyntax_op_cancel(&s->op);
    printf("the worker ended: %s\n", zyntax_error_name(outcome));
}

typedef struct Program {
    uint32_t state_id;
    Worker worker;
    zyntax_task *worker_task;
    zyntax_op op;
    int64_t result;
} Program;

static PollStatus program_poll(FutureState state, Waker *waker) {
    Program *s = state;
    if (s->state_id == 1) goto await_worker;
    if (interrupt_poll(waker, &s->result) == POLL_PENDING) return POLL_PENDING;
    if (s->result < 0) return POLL_READY;
    printf("interrupted\n");
    zyntax_task_cancel(s->worker_task); /* ZYNTAX_ESTALE: it has ended by itself */
    s->state_id = 1;
await_worker: /* its drop has run before this goes on */
    return zyntax_task_join(s->worker_task, &s->op, waker, &s->result);
}

static void program_drop(FutureState state, int32_t outcome) {
    Program *s = state;
    if (outcome < 0) s->result = outcome;
    zyntax_op_cancel(&s->op);
    signal(SIGINT, SIG_DFL);
}

int main(void) {
    Program program = {0};
    zyntax_runtime *runtime = zyntax_runtime_create();
    int64_t error = runtime != NULL ? 0 : ZYNTAX_ENOMEM;
    if (error == 0) {
        program.worker_task = zyntax_runtime_spawn_with(runtime, &program.worker, worker_poll, worker_drop, 0);
        zyntax_task *task = zyntax_runtime_spawn_with(runtime, &program, program_poll, program_drop, 0);
        if (program.worker_task == NULL || task == NULL) error = ZYNTAX_ENOMEM;
        else error = zyntax_runtime_block_on(runtime, task);
    }
    if (error == 0) error = program.result;
    zyntax_runtime_destroy(runtime);
    if (error != 0) fprintf(stderr, "sigint: %s\n", zyntax_strerror(error));
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
