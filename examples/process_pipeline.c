/* SPDX-License-Identifier: Apache-2.0
 *
 * Three children joined by pipes, as `printf ... | sort | tr` in a shell, with a deadline and SIGINT.
 *
 * A task copies from each child to the next one, and a task waits for each child's end. zyntax_select waits for the
 * first of three: all of these tasks, the deadline, SIGINT. When the work is not the first, the children are told to
 * end, and their ends are awaited all the same: no process is left behind. Should the program leave earlier, the
 * runtime's end is theirs (ZYNTAX_PROCESS_KILL_WITH_RUNTIME).
 *
 *     process_pipeline  runs three pipelines: the first ends, the second is too slow, the third is interrupted
 *
 * Output:
 *     APPLE
 *     FIG
 *     PEAR
 *     done: the children ended with 0, 0 and 0
 *     too late: the children ended with 271, 271 and 271
 *     interrupted: the children ended with 271, 271 and 271
 */
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { STAGES = 3, BUFFER_SIZE = 4096 };
#define MILLISECONDS(n) (UINT64_C(1000000) * (n))

/* ---- async fn copy(from, to): to NULL is this program's own output ---- */

typedef struct Copy {
    zyntax_io *from, *to;
    zyntax_op op;
    size_t length, done; /* of the buffer: bytes that were read, and of these, written */
    char buffer[BUFFER_SIZE];
} Copy;

static PollStatus copy_poll(FutureState state, Waker *waker) {
    Copy *s = state;
    int64_t result;
    for (;;) {
        while (s->done < s->length) {
            if (zyntax_io_write(s->to, &s->op, s->buffer + s->done, s->length - s->done, waker, &result) ==
                POLL_PENDING)
                return POLL_PENDING;
            if (result < 0) return POLL_READY; /* the next child reads no more */
            s->done += (size_t)result;
        }
        if (zyntax_io_read(s->from, &s->op, s->buffer, sizeof s->buffer, waker, &result) == POLL_PENDING)
            return POLL_PENDING;
        if (result <= 0) return POLL_READY;
        s->length = (size_t)result;
        s->done = s->to != NULL ? 0 : fwrite(s->buffer, 1, s->length, stdout);
    }
}

/* Closing is how the next child reads the end. */
static void copy_drop(FutureState state, int32_t outcome) {
    Copy *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->from);
    if (s->to != NULL) zyntax_io_close(s->to);
}

/* ---- async fn end_of(child) ---- */

typedef struct Child {
    zyntax_process *process;
    zyntax_op op;
    int64_t status; /* 0 to 255, 256 + a signal's number, or an error */
} Child;

static PollStatus child_poll(FutureState state, Waker *waker) {
    Child *s = state;
    return zyntax_process_wait(s->process, &s->op, waker, &s->status);
}

static void child_drop(FutureState state, int32_t outcome) {
    Child *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
}

/* ---- the racers ---- */

typedef struct Pipeline {
    uint32_t state_id;
    zyntax_op op, work_op, deadline_op, interrupt_op;
    uint64_t duration_ns;
    zyntax_signal *interrupt;
    int64_t first; /* the winner: an index of `racers` */
    Child children[STAGES];
    Copy copies[STAGES];
    zyntax_task *tasks[2 * STAGES]; /* of the children and the copies */
    zyntax_task *racers[3];         /* work, deadline, interrupt */
} Pipeline;

static PollStatus work_poll(FutureState state, Waker *waker) {
    Pipeline *s = state;
    return zyntax_join_all(s->tasks, 2 * STAGES, &s->work_op, waker);
}

static PollStatus deadline_poll(FutureState state, Waker *waker) {
    Pipeline *s = state;
    return zyntax_sleep(zyntax_current_runtime(), &s->deadline_op, s->duration_ns, waker);
}

static PollStatus interrupt_poll(FutureState state, Waker *waker) {
    Pipeline *s = state;
    int64_t count;
    return zyntax_signal_wait(s->interrupt, &s->interrupt_op, waker, &count);
}

/* ---- async fn pipeline() ---- */

static PollStatus pipeline_poll(FutureState state, Waker *waker) {
    Pipeline *s = state;
    static const char *const news[] = {"done", "too late", "interrupted"};
    if (s->state_id == 1) goto await_rest;
    if (zyntax_select(s->racers, 3, &s->op, waker, &s->first) == POLL_PENDING) return POLL_PENDING;
    for (int i = 0; i < STAGES && s->first != 0; i++) zyntax_process_signal(s->children[i].process, SIGTERM);
    s->state_id = 1;
await_rest:
    if (zyntax_join_all(s->racers, 1, &s->op, waker) == POLL_PENDING) return POLL_PENDING;
    printf("%s: the children ended with %d, %d and %d\n", s->first >= 0 ? news[s->first] : zyntax_strerror(s->first),
           (int)s->children[0].status, (int)s->children[1].status, (int)s->children[2].status);
    for (int i = 0; i < STAGES; i++) zyntax_process_close(s->children[i].process);
    for (int i = 1; i < 3; i++) zyntax_task_cancel(s->racers[i]);
    zyntax_signal_close(s->interrupt);
    return POLL_READY;
}

/* ---- main ---- */

/* Spawns one child and gives its output to a copy, and its input to the copy before it. */
static int32_t start_stage(zyntax_runtime *runtime, Pipeline *pipeline, int stage, const char *script) {
    const char *const args[] = {"sh", "-c", script, NULL};
    zyntax_process_options options = {
        .size = sizeof options,
        .file = "sh",
        .args = args,
        .stdio = {stage > 0 ? ZYNTAX_STDIO_PIPE : ZYNTAX_STDIO_NULL, ZYNTAX_STDIO_PIPE, ZYNTAX_STDIO_INHERIT},
        .flags = ZYNTAX_PROCESS_KILL_WITH_RUNTIME};
    zyntax_io *pipes[3];
    int32_t error = zyntax_process_spawn(runtime, &options, pipes, &pipeline->children[stage].process);
    if (error != 0) return error;
    pipeline->copies[stage].from = pipes[1];
    if (stage > 0) pipeline->copies[stage - 1].to = pipes[0];
    return 0;
}

static zyntax_task *start(zyntax_runtime *runtime, Pipeline *s, const char *const scripts[STAGES],
                          uint64_t duration_ns) {
    *s = (Pipeline){.duration_ns = duration_ns};
    if (zyntax_signal_open(runtime, SIGINT, &s->interrupt) != 0) return NULL;
    for (int i = 0; i < STAGES; i++) {
        if (start_stage(runtime, s, i, scripts[i]) != 0) return NULL;
    }
    for (int i = 0; i < STAGES; i++) {
        s->tasks[i] = zyntax_runtime_spawn_with(runtime, &s->children[i], child_poll, child_drop, 0);
        s->tasks[STAGES + i] = zyntax_runtime_spawn_with(runtime, &s->copies[i], copy_poll, copy_drop, 0);
    }
    s->racers[0] = zyntax_runtime_spawn(runtime, s, work_poll);
    s->racers[1] = zyntax_runtime_spawn(runtime, s, deadline_poll);
    s->racers[2] = zyntax_runtime_spawn(runtime, s, interrupt_poll);
    return zyntax_runtime_spawn(runtime, s, pipeline_poll);
}

int main(void) {
    static const char *const good[STAGES] = {"printf 'pear\\napple\\nfig\\n'", "exec sort", "exec tr a-z A-Z"};
    static const char *const slow[STAGES] = {"exec sleep 60", "exec cat", "exec cat"};
    static Pipeline pipelines[3];
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    int is_good = runtime != NULL;
    for (int i = 0; i < 3 && is_good; i++) {
        uint64_t duration_ns = i == 1 ? MILLISECONDS(50) : MILLISECONDS(10000);
        zyntax_task *task = start(runtime, &pipelines[i], i == 0 ? good : slow, duration_ns);
        if (task != NULL && i == 2) raise(SIGINT); /* as Ctrl-C does */
        is_good = task != NULL && zyntax_runtime_block_on(runtime, task) == 0;
    }
    zyntax_runtime_destroy(runtime);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
