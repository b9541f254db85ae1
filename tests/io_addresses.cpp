// zyntax_io_local and zyntax_io_peer for TCP, datagrams, dual-stack sockets, Unix sockets and other descriptors.
#include "address_support.h"
#include "io_support.h"

using namespace support;

namespace {

zyntax_address local_of(zyntax_io *io) {
    zyntax_address address = {};
    CHECK(zyntax_io_local(io, &address) == 0);
    return address;
}
zyntax_address peer_of(zyntax_io *io) {
    zyntax_address address = {};
    CHECK(zyntax_io_peer(io, &address) == 0);
    return address;
}

// Both calls fail with that error and write nothing.
void have_no_address(zyntax_io *io, int32_t error) {
    zyntax_address before;
    std::memset(&before, 0xa5, sizeof before);
    zyntax_address address = before;
    CHECK(zyntax_io_local(io, &address) == error);
    CHECK(zyntax_io_peer(io, &address) == error);
    CHECK(address == before);
}

// A connection that the runtime has made to a listener of its own.
struct Acquainted {
    zyntax_io *listener = nullptr, *client = nullptr, *server = nullptr;
    uint16_t port = 0;

    Acquainted(Runtime &rt, const char *listen_on, const char *connect_to) {
        REQUIRE(zyntax_tcp_listen(rt, listen_on, 0, &listener) == 0);
        port = uint16_t(zyntax_tcp_port(listener));
        Await accept(rt, accepting(listener, &server));
        REQUIRE(await(rt, connecting(rt, connect_to, port, &client)) == 0);
        REQUIRE(rt.drain());
        REQUIRE(accept.result == 0);
    }
};

} // namespace

TEST_CASE("both_ends_of_a_tcp_connection_know_each_other") {
    for (int family : {4, 6}) {
        if (family == 6 && !has_ipv6()) continue;
        CAPTURE(family);
        Runtime rt;
        const char *host = family == 4 ? "127.0.0.1" : "::1";
        Acquainted c(rt, host, host);
        zyntax_address expected = family == 4 ? v4(127, 0, 0, 1, c.port) : v6({0, 0, 0, 0, 0, 0, 0, 1}, c.port);
        CHECK(local_of(c.listener) == expected);
        CHECK(local_of(c.server) == expected);
        CHECK(peer_of(c.client) == expected);
        CHECK(local_of(c.client) == peer_of(c.server));
        CHECK(local_of(c.client).port != 0);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("an_ipv4_peer_of_a_dual_stack_listener_reads_as_ipv4") {
    if (!has_ipv6()) return;
    Runtime rt;
    Acquainted c(rt, nullptr, "127.0.0.1");
    zyntax_address mapped = v6({0, 0, 0, 0, 0, 0, 0, 0}, c.port);
    if (local_of(c.listener).family == 6) CHECK(local_of(c.listener) == mapped);
    CHECK(local_of(c.server) == v4(127, 0, 0, 1, c.port));
    CHECK(peer_of(c.server) == local_of(c.client));
    CHECK(peer_of(c.server).family == 4);
}

TEST_CASE("without_a_peer_it_is_enotconn") {
    Runtime rt;
    zyntax_io *listener = nullptr;
    zyntax_address address = v4(9, 9, 9, 9), before = address;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    CHECK(zyntax_io_peer(listener, &address) == ZYNTAX_ENOTCONN);
    Fd udp(make_socket(AF_INET, SOCK_DGRAM));
    Address local = loopback(0);
    REQUIRE(bind(udp, local.raw(), local.length) == 0);
    uint16_t port = port_of(udp);
    zyntax_io *io = adopt(rt, udp);
    CHECK(zyntax_io_peer(io, &address) == ZYNTAX_ENOTCONN);
    CHECK(address == before);
    CHECK(local_of(io) == v4(127, 0, 0, 1, port));
}

TEST_CASE("a_connected_datagram_socket_has_a_peer") {
    Runtime rt;
    Fd far = Fd(make_socket(AF_INET, SOCK_DGRAM)), near = Fd(make_socket(AF_INET, SOCK_DGRAM));
    Address local = loopback(0);
    REQUIRE(bind(far, local.raw(), local.length) == 0);
    Address peer = loopback(port_of(far));
    REQUIRE(connect(near, peer.raw(), peer.length) == 0);
    zyntax_io *io = adopt(rt, near);
    CHECK(peer_of(io) == v4(127, 0, 0, 1, port_of(far)));
    CHECK(local_of(io).family == 4);
}

TEST_CASE("a_peer_that_reset_the_connection_has_no_address_or_its_old_one") {
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *io = adopt(rt, pair.near);
    set_option(pair.far, SOL_SOCKET, SO_LINGER, linger{1, 0});
    pair.far.reset();
    char byte;
    CHECK(await(rt, reading(io, &byte, 1)) == (on_wine() ? 0 : ZYNTAX_ECONNRESET)); // Wine takes the error
    zyntax_address address;
    int32_t code = zyntax_io_peer(io, &address);
    CHECK((code == ZYNTAX_ENOTCONN || code == 0));
    CHECK(zyntax_io_local(io, &address) == 0);
}

TEST_CASE("unix_sockets_have_family_0") {
    SKIP_WHEN(!has_local_sockets, "pairs of sockets are TCP here");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    const zyntax_address none = {};
    CHECK(local_of(io) == none);
    CHECK(peer_of(io) == none);
}

TEST_CASE("descriptors_that_are_no_sockets_have_no_address_and_no_option") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable here");
    Runtime rt;
    Pair pair = pipe_to_runtime();
    zyntax_io *io = adopt(rt, pair.near);
    have_no_address(io, ZYNTAX_EOPNOTSUPP);
    CHECK(zyntax_io_set(io, ZYNTAX_SEND_BUFFER, 4096) == ZYNTAX_EOPNOTSUPP);
}

TEST_CASE("a_dead_handle_has_no_address_and_no_option") {
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *io = adopt(rt, pair.near);
    CHECK(zyntax_io_local(io, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_io_peer(io, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_io_close(io) == 0);
    for (zyntax_io *dead : {io, static_cast<zyntax_io *>(nullptr)}) {
        have_no_address(dead, ZYNTAX_ESTALE);
        CHECK(zyntax_io_set(dead, ZYNTAX_NO_DELAY, 1) == ZYNTAX_ESTALE);
    }
}

TEST_CASE("errno_survives_questions_about_addresses") {
    Runtime rt;
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    zyntax_address address;
    errno = 4711;
    CHECK(zyntax_io_peer(listener, &address) == ZYNTAX_ENOTCONN);
    CHECK(zyntax_io_set(listener, ZYNTAX_BROADCAST, 1) == ZYNTAX_EOPNOTSUPP);
    CHECK(errno == 4711);
}
