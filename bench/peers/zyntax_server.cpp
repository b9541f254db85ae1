// Echo and HTTP on this runtime. One task accepts, and one task serves each connection.
#include "peer.h"
#include "zyntax_async_runtime.h"

namespace {

bool is_http = false;

struct Connection {
    uint32_t state_id;
    unsigned matched; // see http_requests
    zyntax_op op;
    zyntax_io *io;
    Reply reply;
    size_t sent;
    char buffer[BUFFER_SIZE];
};

PollStatus connection_poll(FutureState state, Waker *waker) {
    auto *s = static_cast<Connection *>(state);
    int64_t n = 0;
    for (;;) {
        switch (s->state_id) {
        case 0:
            if (zyntax_io_read(s->io, &s->op, s->buffer, sizeof s->buffer, waker, &n) == POLL_PENDING) {
                return POLL_PENDING;
            }
            if (n <= 0) return POLL_READY; // the end of the stream, or an error
            s->reply = reply_to(s->buffer, static_cast<size_t>(n), is_http, &s->matched);
            if (s->reply.size == 0) continue;
            s->sent = 0;
            s->state_id = 1;
            [[fallthrough]];
        case 1:
            if (zyntax_io_write_all(s->io, &s->op, s->reply.bytes, s->reply.size, &s->sent, waker, &n) ==
                POLL_PENDING) {
                return POLL_PENDING;
            }
            if (n < 0) return POLL_READY;
            s->state_id = 0;
        }
    }
}

void connection_drop(FutureState state, int32_t) {
    auto *s = static_cast<Connection *>(state);
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
}

struct Server {
    zyntax_runtime *runtime;
    zyntax_io *listener;
    zyntax_op op;
};

// Closes the connection if there is no memory for its task.
void spawn_connection(zyntax_runtime *runtime, zyntax_io *io) {
    auto *connection = static_cast<Connection *>(zyntax_state_alloc(runtime, sizeof(Connection)));
    if (connection != nullptr) {
        connection->io = io;
        if (zyntax_runtime_spawn_with(runtime, connection, connection_poll, connection_drop, sizeof *connection))
            return;
        zyntax_state_free(runtime, connection, sizeof *connection);
    }
    zyntax_io_close(io);
}

PollStatus server_poll(FutureState state, Waker *waker) {
    auto *s = static_cast<Server *>(state);
    zyntax_io *io = nullptr;
    int64_t result = 0;
    for (;;) {
        if (zyntax_tcp_accept(s->listener, &s->op, waker, &io, &result) == POLL_PENDING) return POLL_PENDING;
        expect(result == 0, "accept a connection");
        spawn_connection(s->runtime, io);
    }
}

void serve(bool http) {
    is_http = http;
    Server server{zyntax_runtime_create(), nullptr, 0};
    expect(server.runtime != nullptr, "create a runtime");
    expect(zyntax_tcp_listen(server.runtime, "127.0.0.1", 0, &server.listener) == 0, "listen");
    print_port(static_cast<uint16_t>(zyntax_tcp_port(server.listener)));
    zyntax_task *task = zyntax_runtime_spawn(server.runtime, &server, server_poll);
    zyntax_runtime_block_on(server.runtime, task);
}

} // namespace

int main(int argc, char **argv) {
    uint32_t number = zyntax_runtime_version();
    char version[64];
    snprintf(version, sizeof version, "zyntax %u.%u.%u (%s)", number / 10'000, number / 100 % 100, number % 100,
             zyntax_runtime_backend());
    return peer_main(argc, argv, version, nullptr, 0, serve);
}
