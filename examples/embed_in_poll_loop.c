/* SPDX-License-Identifier: Apache-2.0
 *
 * A runtime inside somebody else's loop. The host keeps its poll(2), and adds one descriptor
 * (zyntax_runtime_backend_fd) and one timeout (zyntax_runtime_next_timeout_ns) to it; zyntax_runtime_turn(runtime, 0)
 * then does what there is to do without waiting. A thread of the host's writes in turn to a pipe that the host watches
 * and to one that a task reads.
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
#define _POSIX_C_SOURCE 200809L
#include "zyntax_async_runtime.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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
    int host_fd, task_fd;
} Writer;

static void *write_letters(void *argument) {
    const Writer *writer = argument;
    for (int i = 0; i < 3; i++) {
        const struct timespec pause = {.tv_nsec = (long)MILLISECONDS(10)};
        nanosleep(&pause, NULL);
        if (write(writer->host_fd, &"abc"[i], 1) != 1) break;
        nanosleep(&pause, NULL);
        if (write(writer->task_fd, &"ABC"[i], 1) != 1) break;
    }
    close(writer->host_fd);
    close(writer->task_fd);
    return NULL;
}

/* ---- the host's loop ---- */

/* poll(2) counts in milliseconds. Rounding down would return before the deadline and spin until it has come. */
static int poll_timeout(int64_t timeout_ns) {
    if (timeout_ns < 0) return -1;
    int64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Reads one letter. At the end of the stream the pipe leaves the poll set: poll(2) ignores -1. */
static void on_host_input(struct pollfd *input) {
    char byte;
    ssize_t got = read(input->fd, &byte, 1);
    if (got == 1) printf("host: got %c\n", byte);
    else if (got == 0 || errno != EINTR) input->fd = -1;
}

/* Runs until the pipe has ended and no task is left. Returns how often poll(2) returned, or an error. */
static int32_t host_loop(zyntax_runtime *runtime, int input_fd) {
    struct pollfd fds[] = {{.fd = input_fd, .events = POLLIN},
                           {.fd = (int)zyntax_runtime_backend_fd(runtime), .events = POLLIN}};
    int32_t rounds = 0, tasks = 1;
    while (tasks > 0 || fds[0].fd >= 0) {
        int ready = poll(fds, 2, poll_timeout(zyntax_runtime_next_timeout_ns(runtime)));
        if (ready < 0 && errno != EINTR) return -errno;
        if (ready > 0 && fds[0].revents != 0) on_host_input(&fds[0]);
        tasks = zyntax_runtime_turn(runtime, 0);
        if (tasks < 0) return tasks;
        rounds++;
    }
    return rounds;
}

int main(void) {
    int host_pipe[2], task_pipe[2];
    pthread_t thread;
    Ticker ticker = {0};
    Reader reader = {0};
    zyntax_runtime *runtime = zyntax_runtime_create();
    if (runtime == NULL || pipe(host_pipe) != 0 || pipe(task_pipe) != 0) return EXIT_FAILURE;
    if (zyntax_io_open(runtime, task_pipe[0], &reader.io) < 0) return EXIT_FAILURE;
    if (zyntax_runtime_spawn(runtime, &ticker, ticker_poll) == NULL) return EXIT_FAILURE;
    if (zyntax_runtime_spawn_with(runtime, &reader, reader_poll, reader_drop, 0) == NULL) return EXIT_FAILURE;

    Writer writer = {.host_fd = host_pipe[1], .task_fd = task_pipe[1]};
    if (pthread_create(&thread, NULL, write_letters, &writer) != 0) return EXIT_FAILURE;
    int32_t rounds = host_loop(runtime, host_pipe[0]);
    pthread_join(thread, NULL);
    if (rounds < 0) fprintf(stderr, "embed_in_poll_loop: %s\n", zyntax_strerror(rounds));
    else printf("host: %s in between\n", rounds < 100 ? "slept" : "span");
    close(host_pipe[0]);
    zyntax_runtime_destroy(runtime);
    return rounds < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
