// zyntax_udp_send and zyntax_udp_recv: each datagram arrives whole, with its length and its sender.
#include "udp_support.h"

using namespace support;

TEST_CASE("datagrams_keep_their_boundaries_and_their_order") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    for (const char *text : {"one", "three", "sixteen bytes .."}) send_to(rt, a, b, text);
    for (const char *text : {"one", "three", "sixteen bytes .."}) CHECK(receive_from(rt, b) == text);
    CHECK(hears_nothing(rt, b));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_receiver_learns_the_sender_and_can_answer") {
    for (int family : {4, 6}) {
        if (family == 6 && !has_ipv6()) continue;
        Runtime rt;
        zyntax_io *server = open_udp(rt, family), *client = open_udp(rt, family);
        zyntax_address from{}, back{};
        Await waits(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
            char buf[8];
            return zyntax_udp_recv(server, op, buf, sizeof buf, &from, waker, result);
        });
        settle(rt);
        CHECK(waits.alive());
        send_to(rt, client, server, "ping", family);
        CHECK(rt.drain());
        CHECK(waits.result == 4);
        CHECK(from == udp_address(client, family));
        REQUIRE(await(rt, sending(server, "pong!", 5, &from)) == 5);
        CHECK(receive_from(rt, client, &back) == "pong!");
        CHECK(back == udp_address(server, family));
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("a_truncated_datagram_reports_its_length") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    std::string text(1000, 'x'), buf(20, '.');
    zyntax_address from{};
    for (size_t room : {size_t(0), size_t(1), size_t(10), size_t(999), size_t(1000)}) {
        CAPTURE(room);
        send_to(rt, a, b, text);
        std::string got(1001, '.');
        from = {};
        int64_t n = await(rt, receiving(b, room ? got.data() : nullptr, room, &from));
        CHECK(n == (tells_datagram_lengths || room == 1000 ? 1000 : int64_t(room) + 1));
        CHECK(got == std::string(room, 'x') + std::string(1001 - room, '.'));
        CHECK(from == udp_address(a));
    }
    send_to(rt, a, b, "whole"); // the rest is lost, and the next one is not
    CHECK(receive_from(rt, b) == "whole");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_empty_datagram_is_sent_and_received_as_zero") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    zyntax_address to = udp_address(b), from{};
    char byte = '.';
    CHECK(await(rt, sending(a, nullptr, 0, &to)) == 0);
    CHECK(await(rt, sending(a, "", 0, &to)) == 0);
    CHECK(await(rt, sending(a, nullptr, 0, &to)) == 0);
    send_to(rt, a, b, "!");
    CHECK(await(rt, receiving(b, &byte, 1, &from)) == 0);
    CHECK(from == udp_address(a));
    CHECK(await(rt, receiving(b, nullptr, 0)) == 0);
    CHECK(await(rt, receiving(b, &byte, 0)) == 0);
    CHECK(byte == '.');
    CHECK(await(rt, receiving(b, &byte, 1)) == 1);
    CHECK(byte == '!');
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_receive_without_room_waits_for_a_datagram_and_takes_it") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    Await waits(rt, receiving(b, nullptr, 0));
    settle(rt);
    CHECK(waits.alive());
    send_to(rt, a, b, "abc");
    CHECK(rt.drain());
    CHECK(waits.result == (tells_datagram_lengths ? 3 : 1));
    CHECK(hears_nothing(rt, b));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_longest_datagram_arrives_and_a_longer_one_is_emsgsize") {
    for (int family : {4, 6}) {
        if (family == 6 && !has_ipv6()) continue;
        CAPTURE(family);
        Runtime rt;
        zyntax_io *a = open_udp(rt, family), *b = open_udp(rt, family);
        zyntax_address to = udp_address(b, family);
        size_t longest = family == 4 ? 65'507 : 65'527;
        std::string text(200'000, 0), got(longest + 1, 0);
        for (size_t i = 0; i < text.size(); i++) text[i] = char(i * 7 + i / 251);
        for (size_t len : {longest, longest - 1, size_t(10'000)}) {
            CHECK(await(rt, sending(a, text.data(), len, &to)) == int64_t(len));
            CHECK(await(rt, receiving(b, got.data(), got.size())) == int64_t(len));
            CHECK(got.compare(0, len, text, 0, len) == 0);
        }
        for (size_t len : {longest + 1, size_t(65'535), size_t(65'536), text.size()})
            CHECK(await(rt, sending(a, text.data(), len, &to)) == ZYNTAX_EMSGSIZE);
        send_to(rt, a, b, "short", family);
        CHECK(receive_from(rt, b) == "short");
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("a_destination_that_is_none_is_einval_and_nothing_is_sent") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    zyntax_address to = udp_address(b);
    for (uint16_t family : {uint16_t(0), uint16_t(2), uint16_t(5), uint16_t(7), uint16_t(10), uint16_t(65535)}) {
        to.family = family;
        CHECK(await(rt, sending(a, "x", 1, &to)) == ZYNTAX_EINVAL);
    }
    to = udp_address(b);
    CHECK(await(rt, sending(a, nullptr, 1, &to)) == ZYNTAX_EINVAL);
    CHECK(await(rt, receiving(b, nullptr, 1)) == ZYNTAX_EINVAL);
    to.port = 0;
    CHECK(await(rt, sending(a, "x", 1, &to)) < 0);
    CHECK(hears_nothing(rt, b));
    send_to(rt, a, b, "usable");
    CHECK(receive_from(rt, b) == "usable");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_destination_of_another_family_is_eafnosupport") {
    Runtime rt;
    zyntax_io *four = open_udp(rt);
    zyntax_address to = on_loopback(9, 6);
    CHECK(await(rt, sending(four, "x", 1, &to)) == ZYNTAX_EAFNOSUPPORT);
    CHECK(hears_nothing(rt, four));
    if (!has_ipv6()) return;
    zyntax_io *six = open_udp(rt, 6);
    to = on_loopback(9, 4);
    CHECK(await(rt, sending(six, "x", 1, &to)) == ZYNTAX_EAFNOSUPPORT);
    to = parsed("[::ffff:127.0.0.1]:9");
    CHECK(await(rt, sending(six, "x", 1, &to)) == ZYNTAX_EAFNOSUPPORT);
    CHECK(hears_nothing(rt, six));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_ipv4_mapped_destination_is_the_ipv4_address") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    zyntax_address to = parsed("[::ffff:127.0.0.1]:1"), from{};
    to.port = udp_port(b);
    CHECK(await(rt, sending(a, "hi", 2, &to)) == 2);
    CHECK(receive_from(rt, b, &from) == "hi");
    CHECK(from == udp_address(a));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_send_without_a_destination_and_without_a_peer_is_enotconn") {
    Runtime rt;
    for (zyntax_io *io : {open_udp(rt, nullptr), open_udp(rt), has_ipv6() ? open_udp(rt, 6) : open_udp(rt)}) {
        CHECK(await(rt, sending(io, "x", 1)) == ZYNTAX_ENOTCONN);
        CHECK(await(rt, sending(io, nullptr, 0)) == ZYNTAX_ENOTCONN);
        CHECK(hears_nothing(rt, io));
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("no_local_address_is_every_interface_with_ipv6_and_ipv4") {
    Runtime rt;
    zyntax_io *server = open_udp(rt, nullptr);
    for (int family : {4, 6}) {
        if (family == 6 && !has_ipv6()) continue;
        CAPTURE(family);
        zyntax_io *client = open_udp(rt, family);
        zyntax_address from{}, to = udp_address(client, family);
        send_to(rt, client, server, "ping", family);
        CHECK(receive_from(rt, server, &from) == "ping");
        CHECK(from == to); // of family 4 for IPv4
        CHECK(await(rt, sending(server, "pong", 4, &from)) == 4);
        CHECK(receive_from(rt, client, &from) == "pong");
        CHECK(from == udp_address(server, family));
        if (family == 6) continue;
        to = parsed("[::ffff:127.0.0.1]:1"); // written as IPv6
        to.port = udp_port(client);
        CHECK(await(rt, sending(server, "more", 4, &to)) == 4);
        CHECK(receive_from(rt, client) == "more");
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

// The count of a burst: one receive a datagram, and one more that finds none.
TEST_CASE("a_receive_loop_takes_every_queued_datagram_before_it_waits") {
    zyntax_runtime_config c = config();
    c.await_budget = UINT32_MAX;
    Runtime rt(c);
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    constexpr int burst = 50;
    int received = 0, pending = 0;
    ScopedTask loop(rt);
    loop.on_poll = [&](Waker *waker) {
        char buf[8];
        int64_t n;
        while (zyntax_udp_recv(b, &loop.op, buf, sizeof buf, nullptr, waker, &n) == POLL_READY) {
            REQUIRE(n == 1);
            received++;
        }
        pending++;
        return POLL_PENDING;
    };
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < burst; i++) send_to(rt, a, b, "x");
        if (round == 1) loop.start(); // after that, it waits when the burst comes
        CHECK(rt.drive_until([&] { return received == round * burst; }));
    }
    CHECK(pending <= 3 * burst);
    settle(rt);
    int before = pending;
    Descriptor raw = make_socket(AF_INET, SOCK_DGRAM);
    Fd sender(raw);
    Address to = loopback(udp_port(b));
    for (int i = 0; i < burst; i++) REQUIRE(::sendto(sender, "x", 1, 0, to.raw(), to.length) == 1);
    arrives(b);
    if (on_windows) sleep_for(std::chrono::milliseconds(50));
    CHECK(rt.drive_until([&] { return received == 4 * burst; }));
    if (!on_windows) CHECK(pending == before + 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

// With epoll, room for the next datagram would be an event after each send.
TEST_CASE("a_send_is_no_event_of_its_own") {
    SKIP_WHEN(std::string(zyntax_runtime_backend()) != "epoll", "the other pollers ask for what is waited for");
    Runtime rt;
    Fd sink(make_socket(AF_INET, SOCK_DGRAM)), host(make_socket(AF_INET, SOCK_DGRAM));
    Address local = loopback(0);
    REQUIRE(bind(sink, local.raw(), local.length) == 0);
    zyntax_address to = on_loopback(port_of(sink));
    Address peer = loopback(to.port);
    REQUIRE(connect(host, peer.raw(), peer.length) == 0);
    zyntax_io *a = open_udp(rt), *adopted = adopt(rt, host);
    char byte;
    Await waits(rt, receiving(a, &byte, 1));
    settle(rt);
    uint64_t events = rt.stats().kernel_events;
    for (int i = 0; i < 10; i++) {
        REQUIRE(await(rt, sending(a, "x", 1, &to)) == 1);
        REQUIRE(await(rt, writing(adopted, "x", 1)) == 1);
        settle(rt);
    }
    CHECK(rt.stats().kernel_events == events);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_udp_socket_of_the_host_sends_and_receives") {
    for (int family : {AF_INET, AF_INET6}) {
        if (family == AF_INET6 && !has_ipv6()) continue;
        int number = family == AF_INET ? 4 : 6;
        Runtime rt;
        Fd fd(make_socket(family, SOCK_DGRAM));
        Address local = loopback(0, family);
        REQUIRE(bind(fd, local.raw(), local.length) == 0);
        zyntax_io *io = adopt(rt, fd), *other = open_udp(rt, number);
        zyntax_address from{};
        send_to(rt, other, io, "abc", number);
        char buf[2];
        CHECK(await(rt, receiving(io, buf, 2, &from)) == 3);
        CHECK(from == udp_address(other, number));
        send_to(rt, io, other, "back", number);
        CHECK(receive_from(rt, other, &from) == "back");
        CHECK(from == udp_address(io, number));
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("a_unix_datagram_socket_sends_to_its_peer_only") {
    SKIP_WHEN(!has_local_sockets, "only AF_UNIX has such sockets");
    Runtime rt;
    Pair pair = socket_pair(SOCK_DGRAM);
    zyntax_io *a = adopt(rt, pair.near), *b = adopt(rt, pair.far);
    zyntax_address to = on_loopback(1), from = to;
    char buf[2];
    CHECK(await(rt, sending(a, "abc", 3)) == 3);
    CHECK(await(rt, receiving(b, buf, 2, &from)) == 3);
    CHECK(from == zyntax_address{});
    CHECK(await(rt, sending(b, nullptr, 0)) == 0);
    CHECK(await(rt, receiving(a, buf, 2)) == 0);
    CHECK(await(rt, sending(a, "abc", 3, &to)) == ZYNTAX_EAFNOSUPPORT);
    CHECK(zyntax_udp_connect(a, &to) == ZYNTAX_EAFNOSUPPORT);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_descriptor_that_is_no_datagram_socket_is_eopnotsupp") {
    Runtime rt;
    std::vector<zyntax_io *> others;
    Pair tcp = tcp_pair(), local = socket_pair();
    others.push_back(adopt(rt, tcp.near));
    others.push_back(adopt(rt, local.near));
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    others.push_back(listener);
    Pair pipe, packets;
    if (has_pipes) others.push_back(adopt(rt, (pipe = pipe_to_runtime()).near));
    if (has_sequenced_packets) others.push_back(adopt(rt, (packets = socket_pair(SOCK_SEQPACKET)).near));
    zyntax_address to = on_loopback(9), group = v4(224, 0, 0, 251);
    char byte;
    for (zyntax_io *io : others) {
        CHECK(await(rt, sending(io, "x", 1, &to)) == ZYNTAX_EOPNOTSUPP);
        CHECK(await(rt, sending(io, "x", 1)) == ZYNTAX_EOPNOTSUPP);
        CHECK(await(rt, receiving(io, &byte, 1)) == ZYNTAX_EOPNOTSUPP);
        CHECK(zyntax_udp_connect(io, &to) == ZYNTAX_EOPNOTSUPP);
        CHECK(zyntax_udp_connect(io, nullptr) == ZYNTAX_EOPNOTSUPP);
        CHECK(zyntax_udp_member(io, &group, 0, 1) == ZYNTAX_EOPNOTSUPP);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_read_and_a_write_work_on_a_udp_socket_of_the_library") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    zyntax_address peer = udp_address(b);
    REQUIRE(zyntax_udp_connect(a, &peer) == 0);
    char buf[2];
    CHECK(await(rt, writing(a, "abc", 3)) == 3);
    CHECK(await(rt, readiness(b, ZYNTAX_READABLE)) == ZYNTAX_READABLE);
    CHECK(await(rt, reading(b, buf, 2)) == 2);
    CHECK(await(rt, readiness(b, ZYNTAX_READABLE | ZYNTAX_WRITABLE)) == ZYNTAX_WRITABLE);
    CHECK(rt.idle_waits() <= idle_budget);
}
