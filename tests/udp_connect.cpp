// zyntax_udp_connect: a peer, another peer, no peer, and errors that the network reports.
#include "udp_support.h"

using namespace support;

namespace {

// A socket of the library with a peer that has gone, and the port of that peer.
struct Abandoned {
    zyntax_io *io;
    uint16_t port;

    explicit Abandoned(Runtime &rt, const zyntax_address *local = nullptr)
        : io(local ? open_udp(rt, local) : open_udp(rt)) {
        zyntax_io *gone = open_udp(rt);
        zyntax_address peer = udp_address(gone);
        port = peer.port;
        REQUIRE(zyntax_udp_connect(io, &peer) == 0);
        REQUIRE(zyntax_io_close(gone) == 0);
    }
};

#define SKIP_WITHOUT_REPORTS                                                    \
    SKIP_WHEN(on_windows, "Windows does not report that there is no receiver"); \
    SKIP_WHEN(on_libkqueue, "libkqueue takes the error of a socket that it reports")

} // namespace

TEST_CASE("a_connected_socket_sends_to_its_peer_and_hears_nobody_else") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt), *stranger = open_udp(rt);
    zyntax_address peer = udp_address(b), from{};
    REQUIRE(zyntax_udp_connect(a, &peer) == 0);
    std::memset(&peer, 0xff, sizeof peer); // it was copied
    CHECK(await(rt, sending(a, "hello", 5)) == 5);
    CHECK(receive_from(rt, b, &from) == "hello");
    CHECK(from == udp_address(a));
    send_to(rt, stranger, a, "let me in");
    CHECK(hears_nothing(rt, a));
    send_to(rt, b, a, "welcome");
    CHECK(receive_from(rt, a, &from) == "welcome");
    CHECK(from == udp_address(b));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_new_peer_replaces_the_old_one") {
    Runtime rt;
    zyntax_io *a = open_udp(rt, nullptr), *peers[] = {open_udp(rt), open_udp(rt)};
    uint16_t port = udp_port(a);
    for (int round = 0; round < 4; round++) {
        zyntax_io *now = peers[round % 2], *other = peers[1 - round % 2];
        zyntax_address peer = udp_address(now);
        REQUIRE(zyntax_udp_connect(a, &peer) == 0);
        if (!on_wine()) CHECK(udp_port(a) == port); // Wine has a port of Linux's choice, and loses it
        CHECK(await(rt, sending(a, "now you", 7)) == 7);
        CHECK(receive_from(rt, now) == "now you");
        send_to(rt, other, a, "no longer");
        send_to(rt, now, a, "yes");
        CHECK(receive_from(rt, a) == "yes");
        CHECK(hears_nothing(rt, a));
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

// Linux alone gives such a port back.
TEST_CASE("without_a_peer_again_a_socket_hears_everybody_on_the_port_that_it_had") {
    SKIP_WHEN(on_wine(), "Wine has a port of Linux's choice, and loses it");
    zyntax_address four = on_loopback(), six = on_loopback(0, 6);
    const zyntax_address *locals[] = {nullptr, &four, &six};
    for (const zyntax_address *local : locals) {
        if (local == &six && !has_ipv6()) continue;
        int family = local == &six ? 6 : 4;
        Runtime rt;
        zyntax_io *a = open_udp(rt, local), *b = open_udp(rt, family), *stranger = open_udp(rt, family);
        uint16_t port = udp_port(a);
        zyntax_address peer = udp_address(b, family), mine{}, before{};
        REQUIRE(zyntax_io_local(a, &before) == 0);
        for (int round = 0; round < 3; round++) {
            REQUIRE(zyntax_udp_connect(a, &peer) == 0);
            CHECK(zyntax_udp_connect(a, nullptr) == 0);
            CHECK(zyntax_udp_connect(a, nullptr) == 0); // there is no peer to leave
            CHECK(udp_port(a) == port);
            REQUIRE(zyntax_io_local(a, &mine) == 0);
            CHECK(mine == before);
            CHECK(await(rt, sending(a, "x", 1)) == ZYNTAX_ENOTCONN);
            send_to(rt, stranger, a, "hello", family);
            CHECK(receive_from(rt, a) == "hello");
            send_to(rt, a, stranger, "you too", family);
            CHECK(receive_from(rt, stranger) == "you too");
        }
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("datagrams_that_have_arrived_survive_a_new_peer") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt), *c = open_udp(rt);
    send_to(rt, b, a, "early");
    arrives(a);
    zyntax_address peer = udp_address(c);
    REQUIRE(zyntax_udp_connect(a, &peer) == 0);
    CHECK(receive_from(rt, a) == "early");
    CHECK(hears_nothing(rt, a));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_socket_of_both_families_takes_a_peer_of_either") {
    Runtime rt;
    zyntax_io *a = open_udp(rt, nullptr);
    for (int family : {4, 6, 4}) {
        if (family == 6 && !has_ipv6()) continue;
        zyntax_io *b = open_udp(rt, family);
        zyntax_address peer = udp_address(b, family), from{};
        REQUIRE(zyntax_udp_connect(a, &peer) == 0);
        CHECK(await(rt, sending(a, "hi", 2)) == 2);
        CHECK(receive_from(rt, b) == "hi");
        send_to(rt, b, a, "hi", family);
        CHECK(receive_from(rt, a, &from) == "hi");
        CHECK(from == peer);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_port_without_a_receiver_is_econnrefused_once_in_a_receive_and_the_socket_stays_usable") {
    SKIP_WITHOUT_REPORTS;
    Runtime rt;
    Abandoned left(rt);
    char byte;
    Await waits(rt, receiving(left.io, &byte, 1));
    settle(rt);
    CHECK(await(rt, sending(left.io, "x", 1)) == 1);
    CHECK(rt.drain());
    CHECK(waits.result == ZYNTAX_ECONNREFUSED);
    CHECK(hears_nothing(rt, left.io));
    CHECK(rt.idle_waits() <= idle_budget);
    zyntax_address local = on_loopback(left.port); // another socket takes the port
    zyntax_io *back = open_udp(rt, &local);
    CHECK(await(rt, sending(left.io, "here?", 5)) == 5);
    CHECK(receive_from(rt, back) == "here?");
    send_to(rt, back, left.io, "here");
    CHECK(receive_from(rt, left.io) == "here");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_port_without_a_receiver_is_econnrefused_once_in_a_send") {
    SKIP_WITHOUT_REPORTS;
    Runtime rt;
    Abandoned left(rt);
    CHECK(await(rt, sending(left.io, "x", 1)) == 1);
    CHECK(wait_for(Descriptor(zyntax_io_fd(left.io)), POLLIN)); // the report is there
    zyntax_address local = on_loopback(left.port);
    zyntax_io *back = open_udp(rt, &local);
    CHECK(await(rt, sending(left.io, "y", 1)) == ZYNTAX_ECONNREFUSED);
    CHECK(hears_nothing(rt, back)); // nothing was sent
    CHECK(await(rt, sending(left.io, "z", 1)) == 1);
    CHECK(receive_from(rt, back) == "z");
    CHECK(hears_nothing(rt, left.io));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("of_two_receivers_one_hears_of_the_refusal_and_the_other_goes_on") {
    SKIP_WITHOUT_REPORTS;
    Runtime rt;
    Abandoned left(rt);
    char bytes[2];
    Await one(rt, receiving(left.io, bytes, 1)), two(rt, receiving(left.io, bytes + 1, 1));
    settle(rt);
    CHECK(await(rt, sending(left.io, "x", 1)) == 1);
    CHECK(rt.drive_until([&] { return !one.alive() || !two.alive(); }));
    settle(rt);
    CHECK(one.alive() != two.alive());
    CHECK((one.alive() ? two : one).result == ZYNTAX_ECONNREFUSED);
    zyntax_address local = on_loopback(left.port);
    zyntax_io *back = open_udp(rt, &local);
    send_to(rt, back, left.io, "!");
    CHECK(rt.drain());
    CHECK((one.result == 1) != (two.result == 1));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("without_a_peer_nobody_hears_that_a_datagram_had_no_receiver") {
    Runtime rt;
    zyntax_io *gone = open_udp(rt), *io = open_udp(rt), *friendly = open_udp(rt);
    zyntax_address to = udp_address(gone);
    REQUIRE(zyntax_io_close(gone) == 0);
    char byte;
    Await waits(rt, receiving(io, &byte, 1));
    settle(rt);
    for (int i = 0; i < 5; i++) {
        CHECK(await(rt, sending(io, "x", 1, &to)) == 1);
        CHECK(rt.idle_waits() <= idle_budget);
        CHECK(waits.alive());
    }
    send_to(rt, friendly, io, "!");
    CHECK(rt.drain());
    CHECK(waits.result == 1);
}

TEST_CASE("a_report_about_the_former_peer_is_not_heard") {
    SKIP_WITHOUT_REPORTS;
    Runtime rt;
    Abandoned left(rt);
    zyntax_io *next = open_udp(rt);
    zyntax_address peer = udp_address(next);
    const zyntax_address *laters[] = {&peer, nullptr};
    for (const zyntax_address *later : laters) {
        zyntax_address before = on_loopback(left.port);
        REQUIRE(zyntax_udp_connect(left.io, &before) == 0);
        CHECK(await(rt, sending(left.io, "x", 1)) == 1);
        CHECK(wait_for(Descriptor(zyntax_io_fd(left.io)), POLLIN));
        REQUIRE(zyntax_udp_connect(left.io, later) == 0);
        CHECK(hears_nothing(rt, left.io));
        CHECK(await(rt, sending(left.io, "y", 1, later ? nullptr : &peer)) == 1);
        CHECK(receive_from(rt, next) == "y");
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_peer_that_cannot_be_one_is_an_error_and_the_old_one_stays") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt), *closed = open_udp(rt);
    zyntax_address peer = udp_address(b), bad = peer;
    REQUIRE(zyntax_udp_connect(a, &peer) == 0);
    bad.port = 0;
    CHECK(zyntax_udp_connect(a, &bad) == ZYNTAX_EINVAL);
    bad = peer;
    for (uint16_t family : {uint16_t(0), uint16_t(2), uint16_t(5), uint16_t(65535)}) {
        bad.family = family;
        CHECK(zyntax_udp_connect(a, &bad) == ZYNTAX_EINVAL);
    }
    bad = on_loopback(9, 6);
    CHECK(zyntax_udp_connect(a, &bad) == ZYNTAX_EAFNOSUPPORT);
    if (has_ipv6()) {
        zyntax_io *six = open_udp(rt, 6);
        CHECK(zyntax_udp_connect(six, &peer) == ZYNTAX_EAFNOSUPPORT);
    }
    REQUIRE(zyntax_io_close(closed) == 0);
    CHECK(zyntax_udp_connect(closed, &peer) == ZYNTAX_ESTALE);
    CHECK(zyntax_udp_connect(nullptr, &peer) == ZYNTAX_ESTALE);
    CHECK(zyntax_udp_connect(nullptr, nullptr) == ZYNTAX_ESTALE);
    CHECK(await(rt, sending(a, "still", 5)) == 5);
    CHECK(receive_from(rt, b) == "still");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_destination_beside_the_peer_is_reached_where_the_system_allows_it") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt), *c = open_udp(rt);
    zyntax_address peer = udp_address(b), to = udp_address(c);
    REQUIRE(zyntax_udp_connect(a, &peer) == 0);
    int64_t sent = await(rt, sending(a, "aside", 5, &to));
    CHECK((sent == 5 || sent == ZYNTAX_EINVAL));
    if (tells_datagram_lengths || on_windows) CHECK(sent == 5); // Linux and Windows do
    if (sent == 5) CHECK(receive_from(rt, c) == "aside");
    CHECK(await(rt, sending(a, "peer", 4)) == 4);
    CHECK(receive_from(rt, b) == "peer");
    CHECK(rt.idle_waits() <= idle_budget);
}
