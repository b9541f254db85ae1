// Each direction of a connection ends on its own.
#include "io_support.h"

using namespace support;

namespace {

// A peer in a thread of its own, with blocking calls that give up after deadline_ms.
struct Peer {
    Fd fd;
    std::string received;
    Thread thread;

    explicit Peer(Fd socket) : fd(std::move(socket)) {
        make_blocking(fd);
        limit_blocking_calls(fd, int(deadline_ms));
    }
    // Sends everything, ends its direction, and reads until ours ends.
    void send_then_receive(std::string text) {
        thread = Thread([this, text] {
            size_t sent = 0;
            while (sent < text.size()) {
                auto n = send_some(fd, text.data() + sent, text.size() - sent);
                if (n <= 0) return;
                sent += size_t(n);
            }
            end_writing(fd);
            std::string block(64 * kib, 0);
            for (ptrdiff_t n; (n = receive_some(fd, block.data(), block.size())) > 0;)
                received.append(block.data(), size_t(n));
        });
    }
    ~Peer() {
        if (thread.joinable()) thread.join();
    }
};

std::string numbered(size_t size, char first) {
    std::string text(size, 0);
    for (size_t i = 0; i < size; i++) text[i] = char(first + i % 23);
    return text;
}

} // namespace

TEST_CASE("after_the_peer_has_ended_its_stream_all_of_it_is_read_and_we_can_still_write") {
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *io = adopt(rt, pair.near);
    Peer peer(std::move(pair.far));
    peer.send_then_receive(numbered(mib, 'a'));

    Reader reader(rt, io);
    CHECK(rt.drain());
    CHECK(reader.data == numbered(mib, 'a'));
    CHECK(reader.last == 0);
    CHECK(rt.idle_waits() <= idle_budget);

    Writer writer(rt, io, numbered(mib, 'A'));
    CHECK(rt.drain());
    CHECK(writer.written == mib);
    CHECK(zyntax_tcp_shutdown(io) == 0);
    peer.thread.join();
    CHECK(peer.received == numbered(mib, 'A'));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("after_shutdown_the_peer_reads_the_end_and_we_can_still_read") {
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char buf[8];
    Await reader(rt, reading(io, buf, sizeof buf));
    settle(rt);
    CHECK(zyntax_tcp_shutdown(io) == 0);
    CHECK(wait_for(pair.far, POLLIN));
    CHECK(receive_some(pair.far, buf, sizeof buf) == 0);
    settle(rt);
    CHECK(reader.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    put(pair.far, "late");
    CHECK(rt.drain());
    CHECK(reader.result == 4);
    CHECK(await(rt, writing(io, "x", 1)) == ZYNTAX_EPIPE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("both_ends_may_shut_down_at_once") {
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *a = adopt(rt, pair.near), *b = adopt(rt, pair.far);
    CHECK(zyntax_tcp_shutdown(a) == 0);
    CHECK(zyntax_tcp_shutdown(b) == 0);
    Reader from_b(rt, a), from_a(rt, b);
    CHECK(rt.drain());
    CHECK(from_a.last == 0);
    CHECK(from_b.last == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_pipe_cannot_be_shut_down") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    Runtime rt;
    Pair pipe = pipe_from_runtime();
    CHECK(zyntax_tcp_shutdown(adopt(rt, pipe.near)) == ZYNTAX_EOPNOTSUPP);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_shutdown_that_fails_says_why") {
    Runtime rt;
    Pair tcp = tcp_pair();
    Fd alone(make_socket(AF_INET, SOCK_STREAM));
    CHECK(zyntax_tcp_shutdown(adopt(rt, alone)) == ZYNTAX_ENOTCONN);
    zyntax_io *closed = adopt(rt, tcp.near);
    CHECK(zyntax_io_close(closed) == 0);
    CHECK(zyntax_tcp_shutdown(closed) == ZYNTAX_ESTALE);
    CHECK(zyntax_tcp_shutdown(nullptr) == ZYNTAX_ESTALE);
    CHECK(rt.idle_waits() <= idle_budget);
}
