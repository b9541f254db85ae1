// zyntax_tcp_connect: numeric addresses and names, the peer's errors, and a cancel half-way.
#include "io_support.h"

using namespace support;

namespace {

// A runtime that has used its blocking pool, so that counts of descriptors can be compared.
struct Client : Runtime {
    zyntax_io *out = nullptr;
    int64_t connect(const char *host, uint16_t port) { return await(*this, connecting(*this, host, port, &out)); }
};

void talks(Runtime &rt, zyntax_io *io, Fd &listener) {
    Fd peer(accept_from(listener));
    make_nonblocking(peer);
    CHECK(await(rt, writing(io, "ping", 4)) == 4);
    CHECK(wait_for(peer, POLLIN));
    CHECK(take(peer) == "ping");
    put(peer, "pong");
    char buf[8];
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 4);
}

} // namespace

TEST_CASE("a_numeric_ipv4_address_connects") {
    Client rt;
    Fd listener = plain_listener(1);
    REQUIRE(rt.connect("127.0.0.1", port_of(listener)) == 0);
    talks(rt, rt.out, listener);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_numeric_ipv6_address_connects") {
    if (!has_ipv6()) return;
    Client rt;
    Fd listener = plain_listener(1, AF_INET6);
    REQUIRE(rt.connect("::1", port_of(listener)) == 0);
    talks(rt, rt.out, listener);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_name_connects_to_the_first_address_that_answers") {
    Client rt;
    Fd listener = plain_listener(1); // IPv4 only, though localhost may be IPv6 first
    REQUIRE(rt.connect("localhost", port_of(listener)) == 0);
    talks(rt, rt.out, listener);
    CHECK(rt.stats().blocking_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_connected_socket_does_not_delay_block_or_outlive_exec") {
    Client rt;
    Fd listener = plain_listener(1);
    REQUIRE(rt.connect("127.0.0.1", port_of(listener)) == 0);
    Descriptor fd = Descriptor(zyntax_io_fd(rt.out));
    CHECK(get_option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK_FALSE(is_blocking(fd));
    CHECK_FALSE(is_inheritable(fd));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_port_where_nobody_listens_is_econnrefused_and_leaves_no_descriptor") {
    Client rt;
    Fd bound = plain_listener(-1);
    int before = fd_count();
    CHECK(rt.connect("127.0.0.1", port_of(bound)) == ZYNTAX_ECONNREFUSED);
    CHECK(rt.connect("localhost", port_of(bound)) == ZYNTAX_ECONNREFUSED);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_name_that_does_not_exist_is_enoent") {
    Client rt;
    int before = fd_count();
    int64_t result = await(rt, connecting(rt, "no-such-host.invalid", 80, &rt.out), 60'000);
    CHECK(result < 0);
    CHECK(result != unfinished);
    // Where no name server can be reached the system may report another error.
    WARN(result == ZYNTAX_ENOENT);
    CHECK(fd_count() == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_name_that_cannot_be_one_is_an_error") {
    Client rt;
    std::string endless(3000, 'a');
    for (const char *host : {"", "a b", "::g", "256.256.256.256.256", endless.c_str()}) {
        CAPTURE(std::string(host).substr(0, 40));
        int64_t result = rt.connect(host, 80);
        CHECK(result < 0);
        CHECK(result != unfinished);
    }
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_host_is_copied_by_the_first_call") {
    Client rt;
    Fd listener = plain_listener(1);
    char host[] = "localhost";
    Await task(rt, connecting(rt, host, port_of(listener), &rt.out));
    zyntax_runtime_turn(rt, 0);
    std::memset(host, '?', sizeof host - 1);
    CHECK(rt.drain());
    CHECK(task.result == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("null_arguments_are_einval") {
    Client rt;
    zyntax_io *out = nullptr;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r[5] = {1, 1, 1, 1, 1};
        CHECK(zyntax_tcp_connect(rt, op, nullptr, 1, waker, &out, &r[0]) == POLL_READY);
        CHECK(zyntax_tcp_connect(rt, op, "127.0.0.1", 1, waker, nullptr, &r[1]) == POLL_READY);
        CHECK(zyntax_tcp_connect(rt, op, "127.0.0.1", 1, nullptr, &out, &r[2]) == POLL_READY);
        CHECK(zyntax_tcp_connect(rt, nullptr, "127.0.0.1", 1, waker, &out, &r[3]) == POLL_READY);
        CHECK(zyntax_tcp_connect(nullptr, op, "127.0.0.1", 1, waker, &out, &r[4]) == POLL_READY);
        for (int64_t code : r) CHECK(code == ZYNTAX_EINVAL);
        CHECK(zyntax_tcp_connect(rt, op, "127.0.0.1", 1, waker, &out, nullptr) == POLL_READY);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_connect_that_is_cancelled_before_the_peer_answers_closes_its_socket") {
    Client rt;
    SilentListener listener;
    int before = fd_count();
    Await task(rt, connecting(rt, "127.0.0.1", port_of(listener.fd), &rt.out));
    settle(rt);
    CHECK(task.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    task.cancel();
    CHECK(rt.drain());
    CHECK(task.result == unfinished);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_connect_whose_op_is_forgotten_closes_its_socket_with_the_runtime_at_the_latest") {
    int before = fd_count();
    {
        Client rt;
        SilentListener listener;
        zyntax_op op = 0;
        int64_t result = 0;
        ScopedTask task(rt);
        task.on_poll = [&](Waker *waker) {
            CHECK(zyntax_tcp_connect(rt, &op, "127.0.0.1", port_of(listener.fd), waker, &rt.out, &result) ==
                  POLL_PENDING);
            return POLL_READY;
        };
        task.start();
        CHECK(rt.drain());
        CHECK(rt.idle_waits() <= idle_budget);
    }
    CHECK(fd_count() == before);
}

TEST_CASE("a_connect_that_is_cancelled_while_its_name_is_looked_up_leaves_nothing") {
    Client rt;
    Fd listener = plain_listener(64);
    CHECK(rt.connect("localhost", port_of(listener)) == 0); // the pool is warm
    int before = fd_count();
    for (int i = 0; i < 20; i++) {
        Await task(rt, connecting(rt, "localhost", port_of(listener), &rt.out));
        zyntax_runtime_turn(rt, 0);
        task.cancel();
        CHECK(rt.drain());
    }
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("connecting_without_a_free_descriptor_is_emfile") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    Client rt;
    Fd listener = plain_listener(1);
    {
        FewDescriptors none;
        CHECK(rt.connect("127.0.0.1", port_of(listener)) == ZYNTAX_EMFILE);
    }
    CHECK(rt.connect("127.0.0.1", port_of(listener)) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_deadline_for_connecting_is_join_until") {
    Client rt;
    SilentListener listener;
    Await connect(rt, connecting(rt, "127.0.0.1", port_of(listener.fd), &rt.out));
    uint64_t deadline = zyntax_now_ns(rt) + 20 * ms;
    CHECK(await(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
              return zyntax_join_until(connect.task.handle, op, deadline, waker, result);
          }) == ZYNTAX_ETIMEDOUT);
    connect.cancel();
    CHECK(rt.drain());
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

// Linux may give the connecting socket the port that it connects to: the socket then meets itself.
TEST_CASE("a_connect_that_would_meet_itself_is_econnrefused") {
    SKIP_WHEN(!has_private_networks, "only Linux has networks of a process");
    for (const char *host : {"127.0.0.1", "::ffff:127.0.0.1", "::1"}) {
        CAPTURE(std::string(host));
        Child child([&] {
            constexpr uint16_t only = 20'000;
            if (!enter_private_network(only)) return 99;
            if (host[1] != '2' && !has_ipv6()) return 99;
            Client rt;
            int before = fd_count();
            for (int i = 0; i < 3; i++)
                if (rt.connect(host, only) != ZYNTAX_ECONNREFUSED) return 1;
            return fd_count() == before && rt.stats().io_open == 0 ? 0 : 2;
        });
        int end = child.end();
        SKIP_WHEN(end == 99, "this process cannot create a network of its own");
        CHECK(end == 0);
    }
}
