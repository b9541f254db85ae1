// Fifty connections echo 64 bytes many times: all of TCP together, and its cost.
#include "io_support.h"

#include <deque>

using namespace support;

namespace {

constexpr int connections = 50;
constexpr size_t message = 64;

// Sends all read bytes back, until the end.
struct Server {
    zyntax_io *io = nullptr;
    char buf[message];
    size_t have = 0, sent = 0;
    ScopedTask task;

    explicit Server(zyntax_runtime *rt) : task(rt) {
        task.on_poll = [this](Waker *waker) { return run(waker); };
    }
    PollStatus run(Waker *waker) {
        for (int64_t n = 0;;) {
            if (sent < have) {
                if (zyntax_io_write(io, &task.op, buf + sent, have - sent, waker, &n) == POLL_PENDING)
                    return POLL_PENDING;
                if (n > 0) sent += size_t(n);
            } else {
                if (zyntax_io_read(io, &task.op, buf, sizeof buf, waker, &n) == POLL_PENDING) return POLL_PENDING;
                have = n > 0 ? size_t(n) : 0;
                sent = 0;
            }
            if (n <= 0) {
                zyntax_io_close(io);
                return POLL_READY;
            }
        }
    }
};

// Connects, sends a message and waits for it to come back, `rounds` times.
struct EchoClient {
    uint16_t port;
    int rounds;
    int right = 0; // messages that came back unchanged
    zyntax_io *io = nullptr;
    size_t sent = 0, got = 0;
    char out[message], in[message];
    ScopedTask task;

    EchoClient(zyntax_runtime *rt, uint16_t to, int times) : port(to), rounds(times), task(rt) {
        task.on_poll = [this](Waker *waker) { return run(waker); };
        task.start();
    }
    PollStatus run(Waker *waker) {
        int64_t n = 0;
        if (io == nullptr) {
            if (zyntax_tcp_connect(task.runtime, &task.op, "127.0.0.1", port, waker, &io, &n) == POLL_PENDING)
                return POLL_PENDING;
            if (n < 0) return POLL_READY;
        }
        while (right < rounds) {
            if (sent == 0) std::memset(out, right, sizeof out);
            while (sent < message) {
                if (zyntax_io_write(io, &task.op, out + sent, message - sent, waker, &n) == POLL_PENDING)
                    return POLL_PENDING;
                if (n <= 0) return POLL_READY;
                sent += size_t(n);
            }
            while (got < message) {
                if (zyntax_io_read(io, &task.op, in + got, message - got, waker, &n) == POLL_PENDING)
                    return POLL_PENDING;
                if (n <= 0) return POLL_READY;
                got += size_t(n);
            }
            if (std::memcmp(in, out, message) != 0) return POLL_READY;
            right++;
            sent = got = 0;
        }
        zyntax_io_close(io);
        return POLL_READY;
    }
};

// Accepts all clients and starts a server for each.
struct Acceptor {
    zyntax_io *listener = nullptr, *accepted = nullptr;
    std::deque<Server> servers;
    ScopedTask task;

    explicit Acceptor(zyntax_runtime *rt) : task(rt) {
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        task.on_poll = [this](Waker *waker) {
            int64_t n = 0;
            while (servers.size() < connections) {
                if (zyntax_tcp_accept(listener, &task.op, waker, &accepted, &n) == POLL_PENDING) return POLL_PENDING;
                if (n < 0) return POLL_READY;
                servers.emplace_back(task.runtime).io = accepted;
                servers.back().task.start();
            }
            return POLL_READY;
        };
        task.start();
    }
};

} // namespace

TEST_CASE("fifty_connections_echo_every_message_unchanged") {
    const int rounds = scaled(400);
    Runtime rt;
    Acceptor acceptor(rt);
    std::deque<EchoClient> clients;
    for (int i = 0; i < connections; i++)
        clients.emplace_back(rt, uint16_t(zyntax_tcp_port(acceptor.listener)), rounds);
    CHECK(rt.drain());
    for (const EchoClient &client : clients) CHECK(client.right == rounds);

    auto stats = rt.stats();
    uint64_t messages = uint64_t(connections) * uint64_t(rounds) * 2;
    CHECK(stats.kernel_events >= messages / 10); // each message is news to its reader, though several share an event
    CHECK(stats.kernel_events <= messages * 3);
    CHECK(stats.polls <= messages * 3);
    CHECK(stats.events_stale <= connections * 2);
    CHECK(stats.io_open == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("once_warm_an_echo_allocates_nothing") {
    Heap heap;
    Runtime rt(heap.config());
    Acceptor acceptor(rt);
    std::deque<EchoClient> clients;
    for (int i = 0; i < connections; i++) clients.emplace_back(rt, uint16_t(zyntax_tcp_port(acceptor.listener)), 50);
    auto all_have = [&](int rounds) {
        for (const EchoClient &client : clients) {
            if (client.right < rounds) return false;
        }
        return true;
    };
    CHECK(rt.drive_until([&] { return all_have(10); }));
    uint64_t before = heap.allocations;
    CHECK(rt.drain());
    CHECK(all_have(50));
    CHECK(heap.allocations == before);
    CHECK(rt.idle_waits() <= idle_budget);
}
