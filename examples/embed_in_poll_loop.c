/* SPDX-License-Identifier: Apache-2.0
 *
 * A runtime inside a host's loop. The host keeps its poll(2) (WSAPoll on Windows), and adds one descriptor
 * (zyntax_runtime_backend_fd) and one timeout (zyntax_runtime_next_timeout_ns) to it; zyntax_runtime_turn(runtime, 0)
 * then does the pending work without waiting. Some pollers have no descriptor: the host then looks at the runtime every
 * few milliseconds, or, where that is too late, gives it a separate thread. A thread of the host writes in turn to a
 * stream that the host watches and to a stream that a task reads.
 *
 * Output, in any order:
 *     host: got a
 *     host: got b
 *     host: got c
 *     task: got A
 *     task: got B
 *     task: got C
 *     task: tick 1
 *     task: tick 2
 *     task: tick 3
 *     host: slept in between
 */
#include "system.h"
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define MILLISECONDS(n) (UINT64_C(1000000) * (n))

/* ---- the runtime's tasks ---- */

typedef struct Ticker {
    zyntax_op op;
    int ticks;
} Ticker;

static PollStatus ticker_poll(FutureState state, Waker *waker) {
    Ticker *s = state;
    while (s->ticks < 3) {
        if (zyntax_sleep(zyntax_current_runtime(), &s->op, MILLISECONDS(20), waker) == POLL_PENDING)
            return POLL_PENDING;
        printf("task: tick %d\n", ++s->ticks);
    }
    return POLL_READY;
}

typedef struct Reader {
    zyntax_io *io;
    zyntax_op op;
} Reader;

static PollStatus reader_poll(FutureState state, Waker *waker) {
    Reader *s = state;
    int64_t result;
    char byte;
    for (;;) {
        if (zyntax_io_read(s->io, &s->op, &byte, 1, waker, &result) == POLL_PENDING) return POLL_PENDING;
        if (result <= 0) return POLL_READY; /* the end of the stream, or an error */
        printf("task: got %c\n", byte);
    }
}

static void reader_drop(FutureState state, int32_t outcome) {
    Reader *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
}

/* ---- the host's thread ---- */

typedef struct Writer {
    intptr_t to_host, to_task;
} Writer;

SYSTEM_THREAD(write_letters, argument) {
    const Writer *writer = argument;
    for (int i = 0; i < 3; i++) {
        system_pause_ms(10);
        if (system_write(writer->to_host, &"abc"[i], 1) != 1) break;
        system_pause_ms(10);
        if (system_write(writer->to_task, &"ABC"[i], 1) != 1) break;
    }
    system_close(writer->to_host);
    system_close(writer->to_task);
    return 0;
}

/* ---- the host's loop ---- */

enum { LOOK_EVERY_MS = 5 }; /* at a runtime that has no descriptor */

/* poll(2) counts in milliseconds. Rounding down would return before the deadline and spin until it has come. */
static int poll_timeout(int64_t timeout_ns, int has_descriptor) {
    int64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    if (!has_descriptor && (timeout_ns < 0 || ms > LOOK_EVERY_MS)) return LOOK_EVERY_MS;
    if (timeout_ns < 0) return -1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Reads one letter; false at the end of the stream. */
static int on_host_input(intptr_t input) {
    char byte;
    int64_t got = system_read(input, &byte, 1);
    if (got == 1) printf("host: got %c\n", byte);
    return got == 1 || (got < 0 && errno == EINTR);
}

/* Runs until the stream has ended and no task is left. Returns how often poll(2) returned, or an error. */
static int32_t host_loop(zyntax_runtime *runtime, intptr_t input) {
    intptr_t backend = zyntax_runtime_backend_fd(runtime);
    int has_input = 1;
    int32_t rounds = 0, tasks = 1;
    while (tasks > 0 || has_input) {
        system_pollfd fds[2] = {0};
        unsigned n = 0;
        if (has_input) fds[n++] = (system_pollfd){.fd = input, .events = POLLIN};
        if (backend >= 0) fds[n++] = (system_pollfd){.fd = backend, .events = POLLIN};
        int timeout_ms = poll_timeout(zyntax_runtime_next_timeout_ns(runtime), backend >= 0);
        int ready = system_wait(fds, n, timeout_ms);
        if (ready < 0 && errno != EINTR) return ZYNTAX_EIO;
        if (has_input && ready > 0 && fds[0].revents != 0) has_input = on_host_input(input);
        tasks = zyntax_runtime_turn(runtime, 0);
        if (tasks < 0) return tasks;
        rounds++;
    }
    return rounds;
}

int main(void) {
    intptr_t to_host[2], to_task[2];
    system_thread thread;
    Ticker ticker = {0};
    Reader reader = {0};
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    if (runtime == NULL || system_stream_pair(to_host) != 0 || system_stream_pair(to_task) != 0) return EXIT_FAILURE;
    if (zyntax_io_open(runtime, to_task[0], &reader.io) < 0) return EXIT_FAILURE;
    if (zyntax_runtime_spawn(runtime, &ticker, ticker_poll) == NULL) return EXIT_FAILURE;
    if (zyntax_runtime_spawn_with(runtime, &reader, reader_poll, reader_drop, 0) == NULL) return EXIT_FAILURE;

    Writer writer = {.to_host = to_host[1], .to_task = to_task[1]};
    if (system_thread_start(&thread, write_letters, &writer) != 0) return EXIT_FAILURE;
    int32_t rounds = host_loop(runtime, to_host[0]);
    system_thread_join(thread);
    if (rounds < 0) fprintf(stderr, "embed_in_poll_loop: %s\n", zyntax_strerror(rounds));
    else printf("host: %s in between\n", rounds < 100 ? "slept" : "span");
    system_close(to_host[0]);
    zyntax_runtime_destroy(runtime);
    return rounds < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
