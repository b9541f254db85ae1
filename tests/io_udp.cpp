// Datagrams: each read returns one, and a network error does not end the socket.
#include "io_support.h"

using namespace support;

namespace {

// A UDP socket on the loopback, connected to a port unless that is 0.
Fd udp(uint16_t to) {
    Fd fd(make_socket(AF_INET, SOCK_DGRAM));
    make_nonblocking(fd);
    Address local = loopback(0);
    REQUIRE(bind(fd, local.raw(), local.length) == 0);
    if (to == 0) return fd;
    Address peer = loopback(to);
    REQUIRE(connect(fd, peer.raw(), peer.length) == 0);
    return fd;
}

void connect_to(Fd &fd, uint16_t port) {
    Address peer = loopback(port);
    REQUIRE(connect(fd, peer.raw(), peer.length) == 0);
}

} // namespace

TEST_CASE("datagrams_arrive_one_per_read") {
    Runtime rt;
    Fd a = udp(0), b = udp(port_of(a));
    connect_to(a, port_of(b));
    zyntax_io *io = adopt(rt, a);
    char buf[64];
    Await reader(rt, reading(io, buf, sizeof buf));
    settle(rt);
    put(b, "one");
    put(b, "three");
    put(b, "sixteen bytes ..");
    CHECK(rt.drain());
    CHECK(reader.result == 3);
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 5);
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 16);
    CHECK(await(rt, writing(io, "back", 4)) == 4);
    REQUIRE(wait_for(b, POLLIN));
    CHECK(take(b) == "back");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_empty_datagram_is_a_read_of_zero_bytes_and_not_the_end") {
    Runtime rt;
    Fd a = udp(0), b = udp(port_of(a));
    zyntax_io *io = adopt(rt, a);
    char buf[8];
    REQUIRE(send(b, nullptr, 0, 0) == 0);
    put(b, "next");
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 0);
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_empty_write_sends_an_empty_datagram") {
    Runtime rt;
    Fd a = udp(0), b = udp(port_of(a));
    connect_to(a, port_of(b));
    zyntax_io *from = adopt(rt, a), *to = adopt(rt, b);
    char buf[8];
    Await reader(rt, reading(to, buf, sizeof buf));
    settle(rt);
    CHECK(reader.alive());
    CHECK(await(rt, writing(from, nullptr, 0)) == 0);
    CHECK(rt.drain());
    CHECK(reader.result == 0);
    CHECK(await(rt, writing(from, "next", 4)) == 4);
    CHECK(await(rt, reading(to, buf, sizeof buf)) == 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_empty_read_takes_no_datagram") {
    Runtime rt;
    Fd a = udp(0), b = udp(port_of(a));
    zyntax_io *io = adopt(rt, a);
    char buf[8];
    CHECK(await(rt, reading(io, nullptr, 0)) == 0); // nor waits for one
    put(b, "whole");
    REQUIRE(wait_for(Descriptor(zyntax_io_fd(io)), POLLIN));
    CHECK(await(rt, reading(io, nullptr, 0)) == 0);
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 5);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_port_where_nobody_listens_is_an_error_once_and_then_the_socket_goes_on") {
    SKIP_WHEN(on_windows, "the runtime turns Windows' report of undelivered datagrams off");
    SKIP_WHEN(on_libkqueue, "libkqueue takes the error of a socket that it reports");
    Runtime rt;
    Fd gone = udp(0);
    uint16_t port = port_of(gone);
    Fd a = udp(port);
    gone.reset();
    uint16_t mine = port_of(a);
    zyntax_io *io = adopt(rt, a);
    char buf[8];
    Await reader(rt, reading(io, buf, sizeof buf));
    settle(rt);
    CHECK(await(rt, writing(io, "x", 1)) == 1);
    CHECK(rt.drain());
    CHECK(reader.result == ZYNTAX_ECONNREFUSED);
    CHECK(rt.idle_waits() <= idle_budget);

    Await again(rt, reading(io, buf, sizeof buf));
    settle(rt);
    CHECK(again.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    Fd back(make_socket(AF_INET, SOCK_DGRAM)); // another socket takes the port
    Address address = loopback(port), peer = loopback(mine);
    REQUIRE(bind(back, address.raw(), address.length) == 0);
    REQUIRE(sendto(back, "here", 4, 0, peer.raw(), peer.length) == 4);
    CHECK(rt.drain());
    CHECK(again.result == 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_datagram_that_is_too_long_is_emsgsize") {
    Runtime rt;
    Fd a = udp(0), b = udp(port_of(a));
    zyntax_io *io = adopt(rt, b);
    std::string text(100'000, 'x');
    CHECK(await(rt, writing(io, text.data(), text.size())) == ZYNTAX_EMSGSIZE);
    CHECK(await(rt, writing(io, "short", 5)) == 5);
    CHECK(rt.idle_waits() <= idle_budget);
}
