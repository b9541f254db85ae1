/* SPDX-License-Identifier: Apache-2.0
 *
 * The server that fetch_user.c asks: GET /users/N is answered in JSON, one request a connection. The state of a
 * connection is the runtime's memory (zyntax_state_alloc, owned) and goes back to it after drop, which runs whether
 * the connection ended by itself or with the runtime.
 */
#include "http.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct Connection {
    uint32_t state_id;
    zyntax_io *io;
    char answer[512];
    union {
        ReadMessage read;
        WriteAll write;
    } awaited;
} Connection;

static void answer_request(const char *request, char *answer, size_t size) {
    static const struct {
        uint64_t id;
        const char *json;
    } users[] = {
        {123, "{\"id\":123,\"name\":\"Ada Lovelace\",\"email\":\"ada@example.org\"}"},
        {124, "{\"id\":124,\"name\":\"Alan Turing\",\"email\":\"alan@example.org\"}"},
    };
    const char *status = "404 Not Found", *body = "{}";
    uint64_t id;
    if (sscanf(request, "GET /users/%" SCNu64 " HTTP/1.1", &id) != 1) id = 0;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        if (users[i].id != id) continue;
        status = "200 OK";
        body = users[i].json;
    }
    snprintf(answer, size, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
}

static PollStatus connection_poll(FutureState state, Waker *waker) {
    Connection *s = state;
    if (s->state_id == 1) goto await_read;
    if (s->state_id == 2) goto await_write;
    s->awaited.read = (ReadMessage){.io = s->io};
    s->state_id = 1;
await_read:
    if (read_message_poll(&s->awaited.read, waker) == POLL_PENDING) return POLL_PENDING;
    if (s->awaited.read.result < 0) return POLL_READY; /* drop closes the connection */
    answer_request(s->awaited.read.text, s->answer, sizeof s->answer);
    s->awaited.write = (WriteAll){.io = s->io, .text = s->answer, .left = strlen(s->answer)};
    s->state_id = 2;
await_write:
    return write_all_poll(&s->awaited.write, waker);
}

static void connection_drop(FutureState state, int32_t outcome) {
    Connection *s = state;
    (void)outcome;
    if (s->state_id == 1) zyntax_op_cancel(&s->awaited.read.op);
    if (s->state_id == 2) zyntax_op_cancel(&s->awaited.write.op);
    zyntax_io_close(s->io);
}

/* Without memory for its task a connection is closed unanswered. */
static void serve(zyntax_runtime *runtime, zyntax_io *io) {
    Connection *connection = zyntax_state_alloc(runtime, sizeof *connection);
    if (connection != NULL) {
        connection->io = io;
        if (zyntax_runtime_spawn_with(runtime, connection, connection_poll, connection_drop, sizeof *connection))
            return;
        zyntax_state_free(runtime, connection, sizeof *connection);
    }
    zyntax_io_close(io);
}

static PollStatus accept_poll(FutureState state, Waker *waker) {
    HttpServer *s = state;
    zyntax_io *io;
    int64_t result;
    for (;;) {
        if (zyntax_tcp_accept(s->listener, &s->op, waker, &io, &result) == POLL_PENDING) return POLL_PENDING;
        if (result < 0) return POLL_READY;
        serve(zyntax_current_runtime(), io);
    }
}

static void accept_drop(FutureState state, int32_t outcome) {
    HttpServer *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->listener);
}

int32_t http_server_start(zyntax_runtime *runtime, HttpServer *server) {
    *server = (HttpServer){.listener = NULL};
    int32_t error = zyntax_tcp_listen(runtime, "127.0.0.1", 0, &server->listener);
    if (error < 0) return error;
    server->port = (uint16_t)zyntax_tcp_port(server->listener);
    if (zyntax_runtime_spawn_with(runtime, server, accept_poll, accept_drop, 0) != NULL) return 0;
    zyntax_io_close(server->listener);
    return ZYNTAX_ENOMEM;
}
