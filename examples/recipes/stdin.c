/* SPDX-License-Identifier: Apache-2.0
 *
 * Standard input of any kind: the task waits for a terminal, a pipe or a socket; a thread reads a regular file.
 *
 * Rules it relies on: zyntax_io_open says ZYNTAX_EPERM where a wait is not possible. Detaching gives the descriptor
 * back as it was, blocking again, as the shell shares it. A blocking job works on a copy of its argument, so a task
 * that is cancelled leaves no thread that writes into its state.
 *
 *     stdin            counts lines and bytes until the end of the input, for 10 seconds at most
 *
 * Output:
 *     read ...: 0 lines, 0 bytes
 */
#include "zyntax_async_runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- async fn read_some(input), with the bytes in the state ---- */

typedef struct Chunk {
    char bytes[4096];
} Chunk;

typedef struct Input {
    zyntax_io *io; /* NULL: read by jobs */
    zyntax_op op;
    Chunk chunk;
} Input;

/* Returns 0 or an error; closes nothing, ever. */
static int32_t input_open(Input *s, zyntax_runtime *runtime) {
    int32_t error = zyntax_io_open(runtime, STDIN_FILENO, &s->io);
    return error == ZYNTAX_EPERM ? 0 : error;
}

static void input_close(Input *s) {
    intptr_t fd;
    zyntax_op_cancel(&s->op);
    if (s->io != NULL) zyntax_io_detach(s->io, &fd);
}

static int64_t read_job(void *argument) {
    Chunk *chunk = argument;
    ssize_t n;
    do n = read(STDIN_FILENO, chunk->bytes, sizeof chunk->bytes);
    while (n < 0 && errno == EINTR);
    return n < 0 ? ZYNTAX_EIO : n;
}

/* *result: bytes in the chunk, 0 at the end, or an error. */
static PollStatus input_read(Input *s, Waker *waker, int64_t *result) {
    if (s->io != NULL) return zyntax_io_read(s->io, &s->op, s->chunk.bytes, sizeof s->chunk.bytes, waker, result);
    return zyntax_blocking(zyntax_current_runtime(), &s->op, read_job, &s->chunk, sizeof s->chunk, waker, result);
}

/* ---- the task: counts ---- */

typedef struct Count {
    Input input;
    long lines, bytes;
    int64_t result;
} Count;

static PollStatus count_poll(FutureState state, Waker *waker) {
    Count *s = state;
    for (;;) {
        if (input_read(&s->input, waker, &s->result) == POLL_PENDING) return POLL_PENDING;
        if (s->result <= 0) return POLL_READY;
        s->bytes += (long)s->result;
        for (int64_t i = 0; i < s->result; i++) s->lines += s->input.chunk.bytes[i] == '\n';
    }
}

static void count_drop(FutureState state, int32_t outcome) {
    Count *s = state;
    if (outcome < 0) s->result = outcome;
    input_close(&s->input);
}

/* ---- the time limit ---- */

typedef struct Limit {
    zyntax_task *task;
    uint64_t deadline_ns;
    zyntax_op op;
    int64_t result;
} Limit;

static PollStatus limit_poll(FutureState state, Waker *waker) {
    Limit *s = state;
    return zyntax_join_until(s->task, &s->op, s->deadline_ns, waker, &s->result);
}

static void limit_drop(FutureState state, int32_t outcome) {
    Limit *s = state;
    if (outcome < 0) s->result = outcome;
    zyntax_op_cancel(&s->op);
}

int main(void) {
    Count count = {0};
    Limit limit = {0};
    zyntax_runtime *runtime = zyntax_runtime_create();
    int64_t error = runtime != NULL ? input_open(&count.input, runtime) : ZYNTAX_ENOMEM;
    if (error == 0) {
        limit.deadline_ns = zyntax_now_ns(runtime) + UINT64_C(10000000000);
        limit.task = zyntax_runtime_spawn_with(runtime, &count, count_poll, count_drop, 0);
        zyntax_task *task = zyntax_runtime_spawn_with(runtime, &limit, limit_poll, limit_drop, 0);
        if (limit.task == NULL || task == NULL) error = ZYNTAX_ENOMEM;
        else error = zyntax_runtime_block_on(runtime, task);
    }
    if (error == 0) error = limit.result < 0 ? limit.result : count.result;
    if (error != 0) fprintf(stderr, "stdin: %s\n", zyntax_strerror(error));
    else
        printf("read %s: %ld lines, %ld bytes\n", count.input.io != NULL ? "as it came" : "in a thread", count.lines,
               count.bytes);
    zyntax_runtime_destroy(runtime); /* waits for a job that is reading */
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
