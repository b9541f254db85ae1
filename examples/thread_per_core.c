/* SPDX-License-Identifier: Apache-2.0
 *
 * One runtime per core. Every core listens on one TCP port with a socket of its own, which ZYNTAX_LISTEN_SHARED allows,
 * and the kernel spreads the connections. Where TCP ports cannot be shared, as on Windows, each core takes a port of
 * its own. Clients on every core connect and are told which core answered. The cores share one queue between threads, a
 * zyntax_port: each client sends its report there, and a task of core 0 counts the reports. Only that task touches the
 * counts, so there is no lock. After the last report it stops all runtimes.
 *
 *     thread_per_core [cores]
 *
 * Output of thread_per_core 2 (... is any text):
 *     core 0 answered ...
 *     core 1 answered ...
 *     200 of 200 requests reported
 */
#include "system.h"
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_CORES = 64, CLIENTS_PER_CORE = 100 };

typedef struct Client {
    uint32_t state_id;
    unsigned char answered_by; /* the core, or NOBODY */
    uint16_t port;
    zyntax_io *io;
    zyntax_op op;
} Client;

typedef struct Core {
    zyntax_runtime *runtime;
    zyntax_io *listener;
    zyntax_op op;
    unsigned char number;
    system_thread thread;
    uint16_t port;
    Client clients[CLIENTS_PER_CORE];
} Core;

enum { NOBODY = 255 };

static Core cores[MAX_CORES];
static int core_count;

/* ---- core 0 counts ---- */

static zyntax_port *reports; /* of which core answered, a byte each */

typedef struct Counter {
    zyntax_op op;
    unsigned char answered_by;
    int count;
    int of_core[MAX_CORES];
} Counter;

static Counter counter;

static PollStatus counter_poll(FutureState state, Waker *waker) {
    Counter *s = state;
    int64_t result;
    while (s->count < core_count * CLIENTS_PER_CORE) {
        if (zyntax_port_recv(reports, &s->op, &s->answered_by, waker, &result) == POLL_PENDING) return POLL_PENDING;
        if (result <= 0) return POLL_READY;
        if (s->answered_by != NOBODY) s->of_core[s->answered_by]++;
        s->count++;
    }
    for (int i = 0; i < core_count; i++) zyntax_runtime_stop(cores[i].runtime);
    return POLL_READY;
}

/* ---- the client: connects, reads which core answered, reports ---- */

static PollStatus client_poll(FutureState state, Waker *waker) {
    Client *s = state;
    int64_t result;
    if (s->state_id == 1) goto await_read;
    if (s->state_id == 2) goto await_send;
    if (zyntax_tcp_connect(zyntax_current_runtime(), &s->op, "127.0.0.1", s->port, waker, &s->io, &result) ==
        POLL_PENDING)
        return POLL_PENDING;
    s->state_id = result < 0 ? 2 : 1;
    if (result < 0) goto await_send;
await_read:
    if (zyntax_io_read(s->io, &s->op, &s->answered_by, 1, waker, &result) == POLL_PENDING) return POLL_PENDING;
    if (result <= 0) s->answered_by = NOBODY;
    s->state_id = 2;
await_send: /* waits while core 0 has more reports than it has counted */
    if (zyntax_port_send(reports, &s->op, &s->answered_by, waker, &result) == POLL_PENDING) return POLL_PENDING;
    return POLL_READY;
}

static void client_drop(FutureState state, int32_t outcome) {
    Client *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    if (s->io != NULL) zyntax_io_close(s->io);
}

/* ---- the server: answers every connection with the number of its core ---- */

typedef struct Connection {
    zyntax_io *io;
    zyntax_op op;
    const Core *core;
} Connection;

static PollStatus connection_poll(FutureState state, Waker *waker) {
    Connection *s = state;
    int64_t result;
    return zyntax_io_write(s->io, &s->op, &s->core->number, 1, waker, &result);
}

static void connection_drop(FutureState state, int32_t outcome) {
    Connection *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
}

/* Without memory for its task a connection is closed: the client reports no core. */
static void serve(const Core *core, zyntax_io *io) {
    Connection *connection = zyntax_state_alloc(core->runtime, sizeof *connection);
    if (connection != NULL) {
        *connection = (Connection){.io = io, .core = core};
        if (zyntax_runtime_spawn_with(core->runtime, connection, connection_poll, connection_drop, sizeof *connection))
            return;
        zyntax_state_free(core->runtime, connection, sizeof *connection);
    }
    zyntax_io_close(io);
}

static PollStatus server_poll(FutureState state, Waker *waker) {
    Core *s = state;
    zyntax_io *io;
    int64_t result;
    for (;;) {
        if (zyntax_tcp_accept(s->listener, &s->op, waker, &io, &result) == POLL_PENDING) return POLL_PENDING;
        if (result < 0) return POLL_READY;
        serve(s, io);
    }
}

static void server_drop(FutureState state, int32_t outcome) {
    Core *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->listener);
}

/* ---- main ---- */

static void check(int64_t error, const char *what) {
    if (error >= 0) return;
    fprintf(stderr, "thread_per_core: %s: %s\n", what, zyntax_strerror(error));
    exit(EXIT_FAILURE);
}

/* Prepared by the main thread: a runtime belongs to no thread until one drives it. All listen before any connects. */
static void core_prepare(int number) {
    Core *core = &cores[number];
    core->number = (unsigned char)number;
    core->runtime = zyntax_runtime_create();
    trace_start(core->runtime);
    check(core->runtime != NULL ? 0 : ZYNTAX_ENOMEM, "runtime");
    /* Core 0 takes a free port, the others the same if they can. */
    zyntax_io **listener = &core->listener;
    int32_t error = zyntax_tcp_listen_with(core->runtime, "127.0.0.1", cores[0].port, ZYNTAX_LISTEN_SHARED, listener);
    if (error == ZYNTAX_ENOSYS) error = zyntax_tcp_listen(core->runtime, "127.0.0.1", 0, listener);
    check(error, "listen");
    core->port = (uint16_t)zyntax_tcp_port(core->listener);
    zyntax_task *task = zyntax_runtime_spawn_with(core->runtime, core, server_poll, server_drop, 0);
    check(task != NULL ? 0 : ZYNTAX_ENOMEM, "server");
    for (int i = 0; i < CLIENTS_PER_CORE; i++) {
        core->clients[i].answered_by = NOBODY;
        core->clients[i].port = core->port;
        task = zyntax_runtime_spawn_with(core->runtime, &core->clients[i], client_poll, client_drop, 0);
        check(task != NULL ? 0 : ZYNTAX_ENOMEM, "client");
    }
}

SYSTEM_THREAD(core_run, argument) {
    Core *core = argument;
    int32_t result = zyntax_runtime_run(core->runtime); /* the server never ends, so until it is stopped */
    check(result == ZYNTAX_ECANCELED ? 0 : result, "run");
    return 0;
}

int main(int argc, char **argv) {
    core_count = argc > 1 ? atoi(argv[1]) : system_cores();
    if (core_count < 1) core_count = 1;
    if (core_count > MAX_CORES) core_count = MAX_CORES;
    check(zyntax_port_create(16, 1, &reports), "port");
    for (int i = 0; i < core_count; i++) core_prepare(i);
    zyntax_task *task = zyntax_runtime_spawn(cores[0].runtime, &counter, counter_poll);
    check(task != NULL ? 0 : ZYNTAX_ENOMEM, "counter");
    for (int i = 0; i < core_count; i++)
        if (system_thread_start(&cores[i].thread, core_run, &cores[i]) != 0) check(ZYNTAX_EAGAIN, "thread");
    for (int i = 0; i < core_count; i++) system_thread_join(cores[i].thread);
    int total = 0;
    for (int i = 0; i < core_count; total += counter.of_core[i++])
        printf("core %d answered %d\n", i, counter.of_core[i]);
    printf("%d of %d requests reported\n", total, core_count * CLIENTS_PER_CORE);
    for (int i = 0; i < core_count; i++) zyntax_runtime_destroy(cores[i].runtime);
    zyntax_port_destroy(reports);
    return total == core_count * CLIENTS_PER_CORE ? EXIT_SUCCESS : EXIT_FAILURE;
}
