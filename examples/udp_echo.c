/* SPDX-License-Identifier: Apache-2.0
 *
 * A UDP echo server: one task serves all clients, as each datagram comes with the address of its sender.
 *
 * A client's socket has a peer, so it receives datagrams of the server only. A datagram may be lost on its way there or
 * back: the client sets a deadline for each answer, and sends the datagram again when the time is over.
 *
 *     udp_echo [port]       echoes until it is interrupted; 7007 by default
 *     udp_echo --self-test  three clients, and a server that drops every tenth datagram
 *
 * Output of the self-test:
 *     client 0: 100 echoes
 *     client 1: 100 echoes
 *     client 2: 100 echoes
 *     what was lost was sent again
 */
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 65507, CLIENTS = 3, ROUNDS = 100 };
static const uint64_t time_limit_ns = 20 * 1000000;

/* ---- the server ---- */

typedef struct Server {
    uint32_t state_id;
    zyntax_io *io;
    zyntax_op op; /* one word for receiving and sending: only one of them is active */
    zyntax_address from;
    int64_t length;
    int datagrams, drops_each; /* drops one of so many; 0: none */
    char datagram[LONGEST];
} Server;

/* Takes every datagram that has arrived before it waits. An error of sending concerns one client only. */
static PollStatus server_poll(FutureState state, Waker *waker) {
    Server *s = state;
    int64_t result;
    if (s->state_id == 1) goto await_send;
await_receive:
    if (zyntax_udp_recv(s->io, &s->op, s->datagram, sizeof s->datagram, &s->from, waker, &s->length) == POLL_PENDING)
        return POLL_PENDING;
    if (s->length < 0) return POLL_READY;
    s->datagrams++;
    if (s->drops_each != 0 && s->datagrams % s->drops_each == 0) goto await_receive;
    s->state_id = 1;
await_send:
    if (zyntax_udp_send(s->io, &s->op, s->datagram, (size_t)s->length, &s->from, waker, &result) == POLL_PENDING)
        return POLL_PENDING;
    s->state_id = 0;
    goto await_receive;
}

static void server_drop(FutureState state, int32_t outcome) {
    Server *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
}

/* ---- the self-test: clients ---- */

typedef struct Client {
    uint32_t state_id;
    int number, rounds, lost;
    zyntax_io *io;
    zyntax_op op;
    char sent[ROUNDS], echo[ROUNDS];
} Client;

/* The lengths of the datagrams go up from 0, so an answer that comes too late is not taken for the next one. */
static PollStatus client_poll(FutureState state, Waker *waker) {
    Client *s = state;
    int64_t result;
    if (s->state_id == 1) goto await_echo;
await_send:
    s->state_id = 0;
    memset(s->sent, 'a' + s->number, sizeof s->sent);
    if (zyntax_udp_send(s->io, &s->op, s->sent, (size_t)s->rounds, NULL, waker, &result) == POLL_PENDING)
        return POLL_PENDING;
    if (result != s->rounds) return POLL_READY;
    zyntax_io_deadline(s->io, ZYNTAX_READABLE, zyntax_now_ns(zyntax_current_runtime()) + time_limit_ns);
    s->state_id = 1;
await_echo:
    if (zyntax_udp_recv(s->io, &s->op, s->echo, sizeof s->echo, NULL, waker, &result) == POLL_PENDING)
        return POLL_PENDING;
    if (result == ZYNTAX_ETIMEDOUT) {
        s->lost++;
        goto await_send;
    }
    if (result < 0) return POLL_READY;
    if (result != s->rounds || memcmp(s->echo, s->sent, (size_t)s->rounds) != 0) goto await_echo;
    if (++s->rounds < ROUNDS) goto await_send;
    return POLL_READY;
}

static void client_drop(FutureState state, int32_t outcome) {
    Client *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
}

static zyntax_task *client_start(zyntax_runtime *runtime, Client *client, const zyntax_address *server) {
    int32_t error = zyntax_udp_open(runtime, NULL, 0, &client->io);
    if (error == 0) error = zyntax_udp_connect(client->io, server);
    if (error != 0) fprintf(stderr, "udp_echo: %s\n", zyntax_strerror(error));
    return error == 0 ? zyntax_runtime_spawn_with(runtime, client, client_poll, client_drop, 0) : NULL;
}

static int self_test(zyntax_runtime *runtime, Server *server) {
    static Client clients[CLIENTS];
    int lost = 0;
    zyntax_task *tasks[CLIENTS];
    zyntax_address address, local;
    if (zyntax_address_parse("127.0.0.1", &address) != 0 || zyntax_io_local(server->io, &local) != 0) return 1;
    address.port = local.port;
    server->drops_each = 10;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].number = i;
        tasks[i] = client_start(runtime, &clients[i], &address);
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (zyntax_runtime_block_on(runtime, tasks[i]) != 0) return 1;
        printf("client %d: %d echoes\n", i, clients[i].rounds);
        lost += clients[i].lost;
    }
    if (lost > 0) printf("what was lost was sent again\n");
    return 0;
}

/* ---- main ---- */

int main(int argc, char **argv) {
    static Server server;
    int is_self_test = argc > 1 && strcmp(argv[1], "--self-test") == 0, failed = 1;
    zyntax_address any; /* IPv4 here. NULL in its place is every interface, IPv6 and IPv4, and a free port */
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    if (runtime == NULL || zyntax_address_parse("0.0.0.0", &any) != 0) return EXIT_FAILURE;
    any.port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 7007);
    int32_t error = zyntax_udp_open(runtime, is_self_test ? NULL : &any, 0, &server.io);
    if (error == 0) {
        zyntax_task *task = zyntax_runtime_spawn_with(runtime, &server, server_poll, server_drop, 0);
        failed = is_self_test ? self_test(runtime, &server) : zyntax_runtime_block_on(runtime, task) != 0;
    } else {
        fprintf(stderr, "udp_echo: %s\n", zyntax_strerror(error));
    }
    zyntax_runtime_destroy(runtime); /* drops the tasks, which close their sockets */
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
