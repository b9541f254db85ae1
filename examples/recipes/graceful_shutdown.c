/* SPDX-License-Identifier: Apache-2.0
 *
 * A server that shuts down gracefully: it stops accepting, lets connections finish until a deadline, cancels the rest,
 * and waits until all of them have ended. Destroying the runtime then has nothing left to cancel.
 *
 * Rules it relies on: a cancelled task's drop runs once, and closes the task's open handles. The connections' drops
 * keep the list of connections and wake the task that waits for it to be empty. That task waits for a waker and for a
 * timer at once, and finds out which of them came.
 *
 * Output:
 *     2 connections, and no more are accepted
 *     1 connection has not finished in time
 *     all connections have ended
 *     the client that was served got its echo
 *     the client that said nothing read the end of the stream
 */
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

#define MILLISECONDS(n) (UINT64_C(1000000) * (n))
enum { CLIENTS = 2 };

/* ---- connections: a task each, which owns its state and is in the server's list ---- */

typedef struct Connection {
    struct Connection *next, **link; /* `link` is the pointer that points here */
    struct Server *server;
    zyntax_task *task;
    zyntax_io *io;
    zyntax_op op;
    char byte;
    int has_byte;
} Connection;

typedef struct Server {
    zyntax_io *listener;
    zyntax_task *accepting;
    zyntax_op accept_op, timer_op;
    Connection *connections;
    Waker changed; /* wakes the task that shuts down, unless its `wake` is NULL */
    uint32_t state_id;
    int accepted, cancelled;
    uint64_t deadline_ns;
    int64_t result;
} Server;

static void server_changed(Server *s) {
    if (s->changed.wake != NULL) s->changed.wake(s->changed.data);
}

static PollStatus connection_poll(FutureState state, Waker *waker) {
    Connection *s = state;
    int64_t n;
    for (;;) {
        if (!s->has_byte) {
            if (zyntax_io_read(s->io, &s->op, &s->byte, 1, waker, &n) == POLL_PENDING) return POLL_PENDING;
            if (n <= 0) return POLL_READY;
            s->has_byte = 1;
        }
        if (zyntax_io_write(s->io, &s->op, &s->byte, 1, waker, &n) == POLL_PENDING) return POLL_PENDING;
        if (n < 0) return POLL_READY;
        s->has_byte = 0;
    }
}

static void connection_drop(FutureState state, int32_t outcome) {
    Connection *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
    *s->link = s->next;
    if (s->next != NULL) s->next->link = s->link;
    server_changed(s->server);
}

/* ---- the task that accepts ---- */

/* Without memory for its task a connection is closed. */
static void serve(Server *server, zyntax_io *io) {
    zyntax_runtime *runtime = zyntax_current_runtime();
    Connection *s = zyntax_state_alloc(runtime, sizeof *s);
    if (s != NULL) {
        *s = (Connection){.next = server->connections, .link = &server->connections, .server = server, .io = io};
        s->task = zyntax_runtime_spawn_with(runtime, s, connection_poll, connection_drop, sizeof *s);
        if (s->task != NULL) {
            if (s->next != NULL) s->next->link = &s->next;
            server->connections = s;
            return;
        }
        zyntax_state_free(runtime, s, sizeof *s);
    }
    zyntax_io_close(io);
}

static PollStatus accept_poll(FutureState state, Waker *waker) {
    Server *s = state;
    zyntax_io *io;
    for (;;) {
        if (zyntax_tcp_accept(s->listener, &s->accept_op, waker, &io, &s->result) == POLL_PENDING) return POLL_PENDING;
        if (s->result < 0) return POLL_READY;
        s->accepted++;
        serve(s, io);
        server_changed(s);
    }
}

static void accept_drop(FutureState state, int32_t outcome) {
    Server *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->accept_op);
    zyntax_io_close(s->listener);
    server_changed(s);
}

/* ---- async fn shut_down(deadline) ---- */

static PollStatus shut_down_poll(FutureState state, Waker *waker) {
    Server *s = state;
    s->changed = *waker;
    if (s->state_id == 1) goto await_finished;
    if (s->state_id == 2) goto await_all;
    if (s->deadline_ns == 0) s->deadline_ns = zyntax_now_ns(zyntax_current_runtime()) + MILLISECONDS(3000);
    if (s->accepted < CLIENTS &&
        zyntax_task_alive(s->accepting)) { /* starts when all clients are there, or after 3 s */
        if (zyntax_sleep_until(zyntax_current_runtime(), &s->timer_op, s->deadline_ns, waker) == POLL_PENDING)
            return POLL_PENDING;
    }
    zyntax_op_cancel(&s->timer_op);
    zyntax_task_cancel(s->accepting); /* its drop closes the listener */
    printf("%d connections, and no more are accepted\n", s->accepted);
    s->deadline_ns = zyntax_now_ns(zyntax_current_runtime()) + MILLISECONDS(50);
    s->state_id = 1;
await_finished:
    if (s->connections != NULL || zyntax_task_alive(s->accepting)) {
        if (zyntax_sleep_until(zyntax_current_runtime(), &s->timer_op, s->deadline_ns, waker) == POLL_PENDING)
            return POLL_PENDING;
    }
    zyntax_op_cancel(&s->timer_op);
    for (Connection *c = s->connections; c != NULL; c = c->next) {
        zyntax_task_cancel(c->task);
        s->cancelled++;
    }
    printf("%d connection has not finished in time\n", s->cancelled);
    s->state_id = 2;
await_all:
    if (s->connections != NULL || zyntax_task_alive(s->accepting)) return POLL_PENDING;
    printf("all connections have ended\n");
    return POLL_READY;
}

/* If this is cancelled, the server ends at once. */
static void shut_down_drop(FutureState state, int32_t outcome) {
    Server *s = state;
    (void)outcome;
    s->changed = (Waker){0};
    zyntax_op_cancel(&s->timer_op);
    zyntax_task_cancel(s->accepting);
    for (Connection *c = s->connections; c != NULL; c = c->next) zyntax_task_cancel(c->task);
}

/* ---- the clients: one is served and leaves, the other says nothing and stays ---- */

typedef struct Client {
    uint32_t state_id;
    uint16_t port;
    int is_silent, got_echo, at_end;
    zyntax_io *io;
    zyntax_op op;
} Client;

static PollStatus client_poll(FutureState state, Waker *waker) {
    Client *s = state;
    char byte = '!';
    int64_t n;
    if (s->state_id == 1) goto await_write;
    if (s->state_id == 2) goto await_read;
    if (zyntax_tcp_connect(zyntax_current_runtime(), &s->op, "127.0.0.1", s->port, waker, &s->io, &n) == POLL_PENDING)
        return POLL_PENDING;
    if (n < 0) return POLL_READY;
    s->state_id = 1;
await_write:
    if (!s->is_silent) {
        if (zyntax_io_write(s->io, &s->op, &byte, 1, waker, &n) == POLL_PENDING) return POLL_PENDING;
        if (n < 0) return POLL_READY;
    }
    s->state_id = 2;
await_read:
    if (zyntax_io_read(s->io, &s->op, &byte, 1, waker, &n) == POLL_PENDING) return POLL_PENDING;
    s->got_echo = n == 1 && byte == '!';
    s->at_end = n == 0;
    return POLL_READY;
}

static void client_drop(FutureState state, int32_t outcome) {
    Client *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    if (s->io != NULL) zyntax_io_close(s->io);
}

static int32_t start(zyntax_runtime *runtime, Server *server, Client *clients) {
    int32_t error = zyntax_tcp_listen(runtime, "127.0.0.1", 0, &server->listener);
    int32_t port = error == 0 ? zyntax_tcp_port(server->listener) : error;
    if (port < 0) return port;
    server->accepting = zyntax_runtime_spawn_with(runtime, server, accept_poll, accept_drop, 0);
    if (server->accepting == NULL) return ZYNTAX_ENOMEM;
    if (zyntax_runtime_spawn_with(runtime, server, shut_down_poll, shut_down_drop, 0) == NULL) return ZYNTAX_ENOMEM;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (Client){.port = (uint16_t)port, .is_silent = i == 1};
        if (zyntax_runtime_spawn_with(runtime, &clients[i], client_poll, client_drop, 0) == NULL) return ZYNTAX_ENOMEM;
    }
    return 0;
}

int main(void) {
    Server server = {0};
    Client clients[CLIENTS];
    zyntax_runtime *runtime = zyntax_runtime_create();
    int32_t error = runtime != NULL ? start(runtime, &server, clients) : ZYNTAX_ENOMEM;
    if (error == 0) error = zyntax_runtime_run(runtime);
    zyntax_runtime_destroy(runtime);
    if (error != 0) fprintf(stderr, "graceful_shutdown: %s\n", zyntax_strerror(error));
    if (error == 0 && clients[0].got_echo) printf("the client that was served got its echo\n");
    if (error == 0 && clients[1].at_end) printf("the client that said nothing read the end of the stream\n");
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
