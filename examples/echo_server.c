/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP echo server: one task accepts, one task per connection echoes, one task waits for SIGINT.
 *
 * The state of a connection comes from zyntax_state_alloc and is owned by its task: it goes back to the runtime's
 * memory after drop, which closes the connection however the task ended. The signal handler may only make calls that
 * are async-signal-safe; zyntax_wake_from_signal is, and the task that it wakes does the rest.
 *
 *     echo_server [port]       echoes until SIGINT; 7007 by default
 *     echo_server --self-test  connects to itself, checks the echoes and sends itself SIGINT
 *
 * Output of the self-test:
 *     client 0: 100 echoes
 *     client 1: 100 echoes
 *     client 2: 100 echoes
 *     interrupted after 3 connections
 */
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_SIZE = 4096, CLIENTS = 3, ROUNDS = 100 };

/* ---- a task per connection ---- */

typedef struct Connection {
    zyntax_io *io;
    zyntax_op op; /* one word for reading and writing: only one of them is active */
    size_t echoed, received;
    char buffer[BUFFER_SIZE];
} Connection;

static PollStatus connection_poll(FutureState state, Waker *waker) {
    Connection *s = state;
    int64_t result;
    for (;;) {
        while (s->echoed < s->received) {
            if (zyntax_io_write(s->io, &s->op, s->buffer + s->echoed, s->received - s->echoed, waker, &result) ==
                POLL_PENDING)
                return POLL_PENDING;
            if (result < 0) return POLL_READY;
            s->echoed += (size_t)result;
        }
        if (zyntax_io_read(s->io, &s->op, s->buffer, sizeof s->buffer, waker, &result) == POLL_PENDING)
            return POLL_PENDING;
        if (result <= 0) return POLL_READY; /* the end of the stream, or an error */
        s->echoed = 0;
        s->received = (size_t)result;
    }
}

static void connection_drop(FutureState state, int32_t outcome) {
    Connection *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
}

/* ---- the task that accepts ---- */

/* Names are for the dump and for traces. A task without memory for its name has none. */
static void name_task(zyntax_task *task, const char *what, int number) {
    char name[32];
    snprintf(name, sizeof name, "%s %d", what, number);
    zyntax_task_name(task, name);
}

typedef struct Server {
    zyntax_io *listener;
    zyntax_op op;
    int connections;
} Server;

/* Without memory for its task a connection is closed. */
static void serve(zyntax_runtime *runtime, zyntax_io *io, int number) {
    Connection *connection = zyntax_state_alloc(runtime, sizeof *connection);
    if (connection != NULL) {
        connection->io = io;
        zyntax_task *task =
            zyntax_runtime_spawn_with(runtime, connection, connection_poll, connection_drop, sizeof *connection);
        if (task != NULL) {
            name_task(task, "connection", number);
            return;
        }
        zyntax_state_free(runtime, connection, sizeof *connection);
    }
    zyntax_io_close(io);
}

static PollStatus server_poll(FutureState state, Waker *waker) {
    Server *s = state;
    zyntax_io *io;
    int64_t result;
    for (;;) {
        if (zyntax_tcp_accept(s->listener, &s->op, waker, &io, &result) == POLL_PENDING) return POLL_PENDING;
        if (result < 0) return POLL_READY;
        serve(zyntax_current_runtime(), io, s->connections++);
    }
}

static void server_drop(FutureState state, int32_t outcome) {
    Server *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->listener);
}

/* ---- the task that waits for SIGINT ---- */

static volatile sig_atomic_t interrupted;
static Waker interrupt_waker; /* complete before the handler is installed; valid for ever */

/* A second SIGINT ends the process the hard way. */
static void on_interrupt(int signal_number) {
    signal(signal_number, SIG_DFL);
    interrupted = 1;
    zyntax_wake_from_signal(&interrupt_waker);
}

static PollStatus interrupt_poll(FutureState state, Waker *waker) {
    (void)state;
    if (interrupt_waker.wake == NULL) {
        interrupt_waker = *waker;
        signal(SIGINT, on_interrupt);
    }
    return interrupted ? POLL_READY : POLL_PENDING;
}

/* ---- the self-test: clients, and a task that sends SIGINT after the last ---- */

typedef struct Client {
    uint32_t state_id;
    int number, rounds;
    uint16_t port;
    zyntax_io *io;
    zyntax_op op;
    size_t done; /* bytes of the line that were written, or read */
    char line[32], echo[32];
} Client;

/* Sends lines, one at a time, and compares the answers. */
static PollStatus client_poll(FutureState state, Waker *waker) {
    Client *s = state;
    int64_t result;
    if (s->state_id == 1) goto await_write;
    if (s->state_id == 2) goto await_read;
    if (zyntax_tcp_connect(zyntax_current_runtime(), &s->op, "127.0.0.1", s->port, waker, &s->io, &result) ==
        POLL_PENDING)
        return POLL_PENDING;
    if (result < 0) return POLL_READY;
next_round:
    snprintf(s->line, sizeof s->line, "client %d, line %d\n", s->number, s->rounds);
    s->done = 0;
    s->state_id = 1;
await_write:
    while (s->done < strlen(s->line)) {
        if (zyntax_io_write(s->io, &s->op, s->line + s->done, strlen(s->line + s->done), waker, &result) ==
            POLL_PENDING)
            return POLL_PENDING;
        if (result < 0) return POLL_READY;
        s->done += (size_t)result;
    }
    s->done = 0;
    s->state_id = 2;
await_read:
    while (s->done < strlen(s->line)) {
        if (zyntax_io_read(s->io, &s->op, s->echo + s->done, strlen(s->line + s->done), waker, &result) == POLL_PENDING)
            return POLL_PENDING;
        if (result <= 0) return POLL_READY;
        s->done += (size_t)result;
    }
    if (memcmp(s->line, s->echo, s->done) != 0) return POLL_READY;
    if (++s->rounds < ROUNDS) goto next_round;
    return POLL_READY;
}

static void client_drop(FutureState state, int32_t outcome) {
    Client *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    if (s->io != NULL) zyntax_io_close(s->io);
}

typedef struct SelfTest {
    zyntax_op op;
    Client clients[CLIENTS];
    zyntax_task *tasks[CLIENTS];
} SelfTest;

static PollStatus self_test_poll(FutureState state, Waker *waker) {
    SelfTest *s = state;
    if (zyntax_join_all(s->tasks, CLIENTS, &s->op, waker) == POLL_PENDING) return POLL_PENDING;
    for (int i = 0; i < CLIENTS; i++) printf("client %d: %d echoes\n", i, s->clients[i].rounds);
    raise(SIGINT);
    return POLL_READY;
}

static zyntax_task *self_test_start(zyntax_runtime *runtime, SelfTest *test, uint16_t port) {
    for (int i = 0; i < CLIENTS; i++) {
        test->clients[i] = (Client){.number = i, .port = port};
        test->tasks[i] = zyntax_runtime_spawn_with(runtime, &test->clients[i], client_poll, client_drop, 0);
        name_task(test->tasks[i], "client", i);
    }
    zyntax_task *task = zyntax_runtime_spawn(runtime, test, self_test_poll);
    zyntax_task_name(task, "self-test");
    return task;
}

/* ---- main ---- */

int main(int argc, char **argv) {
    int is_self_test = argc > 1 && strcmp(argv[1], "--self-test") == 0;
    uint16_t port = is_self_test ? 0 : (uint16_t)(argc > 1 ? atoi(argv[1]) : 7007);
    Server server = {0};
    SelfTest test = {0};
    zyntax_task *interrupt = NULL;
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    int32_t error = runtime != NULL ? zyntax_tcp_listen(runtime, NULL, port, &server.listener) : ZYNTAX_ENOMEM;
    if (error == 0) {
        port = (uint16_t)zyntax_tcp_port(server.listener);
        zyntax_task *accepting = zyntax_runtime_spawn_with(runtime, &server, server_poll, server_drop, 0);
        interrupt = zyntax_runtime_spawn(runtime, NULL, interrupt_poll);
        if (accepting == NULL || interrupt == NULL) error = ZYNTAX_ENOMEM;
        zyntax_task_name(accepting, "accept");
        zyntax_task_name(interrupt, "interrupt");
    }
    if (error == 0 && is_self_test && self_test_start(runtime, &test, port) == NULL) error = ZYNTAX_ENOMEM;
    if (error == 0 && !is_self_test) printf("listening on port %d\n", port), fflush(stdout);
    if (error == 0) error = zyntax_runtime_block_on(runtime, interrupt);
    if (error == 0) printf("interrupted after %d connections\n", server.connections);
    else fprintf(stderr, "echo_server: %s\n", zyntax_strerror(error));
    zyntax_runtime_destroy(runtime); /* drops the tasks: no more connections, and open ones are closed */
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
