// TCP echo. The measured server runs in this thread. A child process makes the load, the same for both servers.
#include "executors.h"
#include "linux.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace bench {

namespace {

constexpr size_t message_bytes = 64;
constexpr size_t buffer_bytes = 256; // longer than a message: a short read means an empty buffer

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void set_nodelay(const Fd &fd) {
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

template <class T> void write_value(const Fd &fd, T value) {
    expect(write(fd.get(), &value, sizeof value) == ssize_t(sizeof value), "write to the other process");
}

template <class T> T read_value(const Fd &fd) {
    T value{};
    expect(read(fd.get(), &value, sizeof value) == ssize_t(sizeof value), "read from the other process");
    return value;
}

// ------------------------------------------------------------------------------------------------------------------
// The client: every connection has one request under way, until `requests` were answered
// ------------------------------------------------------------------------------------------------------------------

class Client {
public:
    Client(size_t connections, uint64_t requests) {
        int ends[2];
        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "make a socket pair");
        Fd near(ends[0]);
        Fd far(ends[1]);
        child = fork();
        expect(child >= 0, "fork");
        if (child == 0) {
            near = Fd();
            pin(Place::counterpart);
            load(far, connections, requests);
            _exit(0);
        }
        control = std::move(near);
    }

    void connect_to(uint16_t port) { write_value(control, port); }
    void go() { write_value(control, char{1}); }

    // Waits for the end; how long the requests took.
    uint64_t finish() {
        auto elapsed_ns = read_value<uint64_t>(control);
        int status = 0;
        expect(waitpid(child, &status, 0) == child && status == 0, "end the client");
        return elapsed_ns;
    }

private:
    struct Connection {
        Fd fd;
        size_t received = 0; // of the answer under way
    };

    static void send_request(const Connection &connection) {
        char message[message_bytes] = {};
        expect(send(connection.fd.get(), message, sizeof message, MSG_NOSIGNAL) == ssize_t(sizeof message),
               "send a request");
    }

    // True when the answer is complete.
    static bool receive(Connection &connection) {
        char buffer[buffer_bytes];
        ssize_t got = recv(connection.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return false;
        expect(got > 0, "receive an answer");
        connection.received += static_cast<size_t>(got);
        if (connection.received < message_bytes) return false;
        connection.received = 0;
        return true;
    }

    static void open_all(std::vector<Connection> &connections, const Fd &epoll, uint16_t port) {
        sockaddr_in address = loopback(port);
        for (Connection &connection : connections) {
            connection.fd = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            expect(connect(connection.fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0,
                   "connect to the server");
            set_nodelay(connection.fd);
            watch(epoll, connection.fd, EPOLLIN | EPOLLET, &connection);
        }
    }

    static void load(const Fd &control, size_t count, uint64_t requests) {
        Fd epoll(epoll_create1(EPOLL_CLOEXEC));
        std::vector<Connection> connections(count);
        open_all(connections, epoll, read_value<uint16_t>(control));
        read_value<char>(control);
        uint64_t start = wall_ns();
        uint64_t sent = 0;
        for (; sent < requests && sent < count; sent++) send_request(connections[sent]);
        for (uint64_t answered = 0; answered < requests;) {
            epoll_event ready[512];
            int events = epoll_wait(epoll.get(), ready, 512, -1);
            for (int i = 0; i < events; i++) {
                auto *connection = static_cast<Connection *>(ready[i].data.ptr);
                if (!receive(*connection)) continue;
                answered++;
                if (sent == requests) continue;
                sent++;
                send_request(*connection);
            }
        }
        write_value(control, wall_ns() - start);
    }

    pid_t child = -1;
    Fd control;
};

// The measurements of a server, from the moment that every connection is open until the first connection ends.
struct Window {
    uint64_t cpu = 0;
    uint64_t waits = 0;
    bool ended = false;

    void begin(uint64_t waits_now) {
        waits = waits_now;
        cpu = cpu_ns();
    }
    void end(uint64_t waits_now) {
        if (ended) return;
        cpu = cpu_ns() - cpu;
        waits = waits_now - waits;
        ended = true;
    }
};

// ------------------------------------------------------------------------------------------------------------------
// The servers
// ------------------------------------------------------------------------------------------------------------------

class EchoOnRuntime {
public:
    explicit EchoOnRuntime(size_t count) : connections(count) {
        expect(zyntax_tcp_listen(executor.rt, "127.0.0.1", 0, &listener) == 0, "listen");
    }

    uint16_t port() const { return static_cast<uint16_t>(zyntax_tcp_port(listener)); }

    Window serve(Client &with) {
        client = &with;
        executor.spawn(this, accept_all);
        executor.run();
        return window;
    }

private:
    struct Connection {
        EchoOnRuntime *server;
        zyntax_io *io;
        zyntax_op op;
        int64_t received;
        int64_t sent;
        char buffer[buffer_bytes];
    };

    static PollStatus accept_all(FutureState state, Waker *waker) {
        auto *self = static_cast<EchoOnRuntime *>(state);
        if (self->accepted == self->connections.size()) { // and all were polled, as tasks run first in, first out
            self->window.begin(self->executor.stats().kernel_waits);
            self->client->go();
            return POLL_READY;
        }
        while (self->accepted < self->connections.size()) {
            Connection &connection = self->connections[self->accepted];
            int64_t result = 0;
            if (zyntax_tcp_accept(self->listener, &self->op, waker, &connection.io, &result) == POLL_PENDING) {
                return POLL_PENDING;
            }
            expect(result == 0, "accept a connection");
            connection.server = self;
            self->executor.spawn(&connection, echo);
            self->accepted++;
        }
        expect(zyntax_io_close(self->listener) == 0, "close the listener");
        waker->wake(waker->data);
        return POLL_PENDING;
    }

    static PollStatus echo(FutureState state, Waker *waker) {
        auto *self = static_cast<Connection *>(state);
        int64_t result = 0;
        for (;;) {
            while (self->sent < self->received) {
                size_t left = static_cast<size_t>(self->received - self->sent);
                if (zyntax_io_write(self->io, &self->op, self->buffer + self->sent, left, waker, &result) ==
                    POLL_PENDING) {
                    return POLL_PENDING;
                }
                expect(result > 0, "send an answer");
                self->sent += result;
            }
            if (zyntax_io_read(self->io, &self->op, self->buffer, buffer_bytes, waker, &result) == POLL_PENDING) {
                return POLL_PENDING;
            }
            if (result <= 0) break;
            self->received = result;
            self->sent = 0;
        }
        expect(result == 0, "receive a request");
        self->server->window.end(self->server->executor.stats().kernel_waits);
        zyntax_io_close(self->io);
        return POLL_READY;
    }

    OnRuntime executor;
    zyntax_io *listener = nullptr;
    zyntax_op op = 0;
    std::vector<Connection> connections;
    size_t accepted = 0;
    Client *client = nullptr;
    Window window;
};

class EchoOnEpoll {
public:
    explicit EchoOnEpoll(size_t count) : connections(count) {
        sockaddr_in address = loopback(0);
        expect(bind(listener.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0, "bind");
        expect(listen(listener.get(), SOMAXCONN) == 0, "listen");
        watch(epoll, listener, EPOLLIN | EPOLLET, nullptr);
    }

    uint16_t port() const {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        getsockname(listener.get(), reinterpret_cast<sockaddr *>(&address), &size);
        return ntohs(address.sin_port);
    }

    Window serve(Client &client) {
        size_t live = connections.size();
        uint64_t waits = 0;
        while (live > 0) {
            epoll_event ready[512];
            int count = epoll_wait(epoll.get(), ready, 512, -1);
            waits++;
            for (int i = 0; i < count; i++) {
                auto *connection = static_cast<Connection *>(ready[i].data.ptr);
                if (connection == nullptr) {
                    accept_ready();
                    if (accepted < connections.size()) continue;
                    window.begin(waits);
                    client.go();
                } else if (!echo(*connection)) {
                    window.end(waits);
                    connection->fd = Fd();
                    live--;
                }
            }
        }
        return window;
    }

private:
    struct Connection {
        Fd fd;
        char buffer[buffer_bytes];
    };

    void accept_ready() {
        while (accepted < connections.size()) {
            int fd = accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0 && errno == EAGAIN) return;
            Connection &connection = connections[accepted++];
            connection.fd = Fd(fd);
            set_nodelay(connection.fd);
            watch(epoll, connection.fd, EPOLLIN | EPOLLRDHUP | EPOLLET, &connection);
        }
    }

    // False at the end of the stream. A read that fills the buffer is followed by another.
    static bool echo(Connection &connection) {
        for (;;) {
            ssize_t got = recv(connection.fd.get(), connection.buffer, buffer_bytes, 0);
            if (got < 0 && errno == EAGAIN) return true;
            if (got <= 0) return false;
            ssize_t sent = send(connection.fd.get(), connection.buffer, static_cast<size_t>(got), MSG_NOSIGNAL);
            expect(sent == got, "send an answer");
            if (static_cast<size_t>(got) < buffer_bytes) return true;
        }
    }

    Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
    Fd listener{socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    std::vector<Connection> connections;
    size_t accepted = 0;
    Window window;
};

// The value is the server's CPU time, user and system, for a request.
template <class Server> class Echo : public Side {
public:
    explicit Echo(size_t count) : connections(count) {}

    Measurement run(uint64_t ops) override {
        Client client(connections, ops); // before the server, whose descriptors it would inherit
        Server server(connections);
        client.connect_to(server.port());
        Window window = server.serve(client);
        uint64_t elapsed_ns = client.finish();
        expect(window.ended, "serve the requests");
        auto requests = static_cast<double>(ops);
        return {static_cast<double>(window.cpu) / requests,
                {requests * 1e9 / static_cast<double>(elapsed_ns), static_cast<double>(window.waits) / requests}};
    }

private:
    size_t connections;
};

} // namespace

void add_echo(std::vector<Workload> &all) {
    all.push_back({"echo_1",
                   "64-byte TCP echo, 1 connection; server CPU per request",
                   10'000,
                   500,
                   make<Echo<EchoOnRuntime>, 1>,
                   make<Echo<EchoOnEpoll>, 1>,
                   "ns",
                   {"requests/s", "waits/request"}});
    all.push_back({"echo_50",
                   "64-byte TCP echo, 50 connections; server CPU per request",
                   60'000,
                   6'000,
                   make<Echo<EchoOnRuntime>, 50>,
                   make<Echo<EchoOnEpoll>, 50>,
                   "ns",
                   {"requests/s", "waits/request"}});
    if (std::strcmp(zyntax_runtime_backend(), "kqueue") == 0) {
        std::puts("skipped: echo_500 (libkqueue loses events that do not fit into one wait)");
        return;
    }
    all.push_back({"echo_500",
                   "64-byte TCP echo, 500 connections; server CPU per request",
                   60'000,
                   6'000,
                   make<Echo<EchoOnRuntime>, 500>,
                   make<Echo<EchoOnEpoll>, 500>,
                   "ns",
                   {"requests/s", "waits/request"}});
}

} // namespace bench
