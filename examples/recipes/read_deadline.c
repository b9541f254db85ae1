/* SPDX-License-Identifier: Apache-2.0
 *
 * A deadline on a read. The task waits for data and for a timer at the same time.
 *
 * Rules it relies on: operations that wait at the same time have an op word each. The runtime touches the buffer only
 * inside a call, so a timeout loses no byte: the bytes read so far stay in the state, and a later call goes on.
 *
 * Output:
 *     ETIMEDOUT with 7 of 12 bytes: "hello, "
 *     OK with 12 of 12 bytes: "hello, world"
 *     EPIPE with 0 of 12 bytes: ""
 */
#include "../system.h"
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

#define MILLISECONDS(n) (UINT64_C(1000000) * (n))

/* ---- async fn read_exactly(io, buffer, length, deadline) ---- */

typedef struct ReadExactly {
    zyntax_io *io;
    char *buffer;
    size_t length, got; /* `got` survives a timeout */
    uint64_t deadline_ns;
    zyntax_op read_op, timer_op;
    int64_t result; /* 0; ZYNTAX_ETIMEDOUT; ZYNTAX_EPIPE: the stream ended early; another error */
} ReadExactly;

/* Gives both operations up. Also the drop of the state: an op word that is zero is fine. */
static void read_exactly_drop(ReadExactly *s) {
    zyntax_op_cancel(&s->read_op);
    zyntax_op_cancel(&s->timer_op);
}

static PollStatus read_exactly_poll(ReadExactly *s, Waker *waker) {
    int64_t n = 0;
    s->result = 0;
    while (s->got < s->length && s->result == 0) {
        if (zyntax_io_read(s->io, &s->read_op, s->buffer + s->got, s->length - s->got, waker, &n) == POLL_PENDING) {
            zyntax_runtime *runtime = zyntax_current_runtime();
            if (zyntax_sleep_until(runtime, &s->timer_op, s->deadline_ns, waker) == POLL_PENDING) return POLL_PENDING;
            n = ZYNTAX_ETIMEDOUT;
        }
        if (n > 0) s->got += (size_t)n;
        else s->result = n == 0 ? ZYNTAX_EPIPE : n;
    }
    read_exactly_drop(s);
    return POLL_READY;
}

/* ---- the demonstration: the other end sends half of a message, and the rest after the timeout ---- */

typedef struct Demo {
    uint32_t state_id;
    intptr_t far_end;
    char message[12];
    ReadExactly read;
} Demo;

static void report(const Demo *s) {
    printf("%s with %zu of %zu bytes: \"%.*s\"\n", zyntax_error_name(s->read.result), s->read.got, s->read.length,
           (int)s->read.got, s->message);
}

static PollStatus demo_poll(FutureState state, Waker *waker) {
    Demo *s = state;
    if (s->state_id == 1) goto await_read;
    s->read.buffer = s->message;
    s->read.length = sizeof s->message;
    if (system_write(s->far_end, "hello, ", 7) != 7) return POLL_READY;
next_read: /* the first time out of three, the timeout is the expected result */
    s->read.deadline_ns = zyntax_now_ns(zyntax_current_runtime()) + MILLISECONDS(s->read.got == 0 ? 50 : 10000);
    s->state_id = 1;
await_read:
    if (read_exactly_poll(&s->read, waker) == POLL_PENDING) return POLL_PENDING;
    report(s);
    if (s->read.result == ZYNTAX_ETIMEDOUT && system_write(s->far_end, "world", 5) == 5) goto next_read;
    if (s->read.result != 0) return POLL_READY;
    system_close(s->far_end);
    s->far_end = -1;
    s->read.got = 0;
    goto next_read;
}

static void demo_drop(FutureState state, int32_t outcome) {
    Demo *s = state;
    (void)outcome;
    read_exactly_drop(&s->read);
    zyntax_io_close(s->read.io);
}

int main(void) {
    Demo demo = {0};
    intptr_t ends[2] = {-1, -1};
    zyntax_runtime *runtime = zyntax_runtime_create();
    int32_t error = runtime != NULL ? 0 : ZYNTAX_ENOMEM;
    if (error == 0 && system_stream_pair(ends) != 0) error = ZYNTAX_EIO;
    if (error == 0) error = zyntax_io_open(runtime, ends[0], &demo.read.io);
    demo.far_end = ends[1];
    if (error == 0) {
        zyntax_task *task = zyntax_runtime_spawn_with(runtime, &demo, demo_poll, demo_drop, 0);
        error = task != NULL ? zyntax_runtime_block_on(runtime, task) : ZYNTAX_ENOMEM;
    } else if (ends[0] >= 0) {
        system_close(ends[0]);
    }
    zyntax_runtime_destroy(runtime);
    if (demo.far_end >= 0) system_close(demo.far_end);
    if (error == 0 && demo.read.result != ZYNTAX_EPIPE)
        error = demo.read.result < 0 ? (int32_t)demo.read.result : ZYNTAX_EIO;
    if (error != 0) fprintf(stderr, "read_deadline: %s\n", zyntax_strerror(error));
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
