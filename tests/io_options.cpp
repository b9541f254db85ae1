// zyntax_io_set: the option's value in the system, the range of each option, and sockets without the option.
#include "io_support.h"

using namespace support;

namespace {

constexpr int32_t first_option = ZYNTAX_NO_DELAY, last_option = ZYNTAX_MULTICAST_LOOP;

// A handle and its descriptor.
struct OwnSocket {
    zyntax_io *io = nullptr;
    Descriptor fd = -1;
    OwnSocket(Runtime &rt, Fd &&socket) : fd(socket) { io = adopt(rt, socket); }
    int get(int level, int name) const { return get_option(fd, level, name); }
    int set(int32_t option, int64_t value) const { return zyntax_io_set(io, option, value); }
};

Fd bound_socket(int family, int type) {
    Fd fd(make_socket(family, type));
    Address local = loopback(0, family);
    REQUIRE(bind(fd, local.raw(), local.length) == 0);
    return fd;
}

} // namespace

TEST_CASE("no_delay_is_switched_on_and_off") {
    Runtime rt;
    OwnSocket tcp(rt, tcp_pair().near);
    for (int on : {1, 0, 1}) {
        CHECK(tcp.set(ZYNTAX_NO_DELAY, on) == 0);
        CHECK((tcp.get(IPPROTO_TCP, TCP_NODELAY) != 0) == (on != 0));
    }
}

TEST_CASE("keep_alive_is_switched_on_with_its_idle_time_and_off") {
    Runtime rt;
    OwnSocket tcp(rt, tcp_pair().near);
    for (int seconds : {1, 75, 32767}) {
        CHECK(tcp.set(ZYNTAX_KEEP_ALIVE, seconds) == 0);
        if (!on_windows) CHECK(tcp.get(SOL_SOCKET, SO_KEEPALIVE) != 0);
#if defined(TCP_KEEPIDLE)
        if (!on_windows) CHECK(tcp.get(IPPROTO_TCP, TCP_KEEPIDLE) == seconds);
#endif
    }
    CHECK(tcp.set(ZYNTAX_KEEP_ALIVE, 0) == 0);
    if (!on_windows) CHECK(tcp.get(SOL_SOCKET, SO_KEEPALIVE) == 0);
}

TEST_CASE("linger_is_set_in_seconds_and_0_resets_the_connection") {
    Runtime rt;
    Pair pair = tcp_pair();
    OwnSocket tcp(rt, std::move(pair.near));
    auto now = [&] {
        linger value{};
        socklen_t length = sizeof value;
        REQUIRE(getsockopt(tcp.fd, SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&value), &length) == 0);
        return value;
    };
    CHECK(tcp.set(ZYNTAX_LINGER, 7) == 0);
    CHECK(now().l_onoff != 0);
    CHECK(now().l_linger >= 7); // the unit is smaller than a second on macOS
    CHECK(tcp.set(ZYNTAX_LINGER, -1) == 0);
    CHECK(now().l_onoff == 0);
    CHECK(tcp.set(ZYNTAX_LINGER, 0) == 0);
    CHECK(zyntax_io_close(tcp.io) == 0);
    REQUIRE(wait_for(pair.far, POLLIN));
    char byte;
    CHECK((receive_some(pair.far, &byte, 1) < 0 || on_wine())); // Wine takes the error
}

TEST_CASE("buffers_get_larger_and_smaller") {
    Runtime rt;
    OwnSocket tcp(rt, tcp_pair().near), udp(rt, bound_socket(AF_INET, SOCK_DGRAM));
    for (const OwnSocket *socket : {&tcp, &udp}) {
        for (int bytes : {16384, 65536}) {
            CHECK(socket->set(ZYNTAX_SEND_BUFFER, bytes) == 0);
            CHECK(socket->set(ZYNTAX_RECEIVE_BUFFER, bytes) == 0);
            CHECK(socket->get(SOL_SOCKET, SO_SNDBUF) >= bytes);
            CHECK(socket->get(SOL_SOCKET, SO_RCVBUF) >= bytes);
        }
    }
    CHECK(tcp.set(ZYNTAX_SEND_BUFFER, 1) == 0); // the system's least
}

TEST_CASE("broadcast_is_for_datagrams") {
    Runtime rt;
    OwnSocket udp(rt, bound_socket(AF_INET, SOCK_DGRAM)), tcp(rt, tcp_pair().near);
    for (int on : {1, 0}) {
        CHECK(udp.set(ZYNTAX_BROADCAST, on) == 0);
        CHECK((udp.get(SOL_SOCKET, SO_BROADCAST) != 0) == (on != 0));
    }
    CHECK(tcp.set(ZYNTAX_BROADCAST, 1) == ZYNTAX_EOPNOTSUPP);
}

TEST_CASE("ttl_is_set_in_both_families") {
    Runtime rt;
    OwnSocket tcp(rt, tcp_pair().near), udp(rt, bound_socket(AF_INET, SOCK_DGRAM));
    for (int ttl : {1, 64, 255}) {
        CHECK(tcp.set(ZYNTAX_TTL, ttl) == 0);
        CHECK(udp.set(ZYNTAX_TTL, ttl) == 0);
        CHECK(tcp.get(IPPROTO_IP, IP_TTL) == ttl);
        CHECK(udp.get(IPPROTO_IP, IP_TTL) == ttl);
    }
    if (!has_ipv6()) return;
    OwnSocket six(rt, bound_socket(AF_INET6, SOCK_DGRAM));
    CHECK(six.set(ZYNTAX_TTL, 7) == 0);
    CHECK(six.get(IPPROTO_IPV6, IPV6_UNICAST_HOPS) == 7);
}

TEST_CASE("multicast_options_are_set_in_both_families") {
    Runtime rt;
    OwnSocket udp(rt, bound_socket(AF_INET, SOCK_DGRAM));
    auto byte_of = [&](int name) { // a byte on some systems, and a number in little order on the others
        unsigned char value[4] = {};
        socklen_t length = sizeof value;
        REQUIRE(getsockopt(udp.fd, IPPROTO_IP, name, reinterpret_cast<char *>(value), &length) == 0);
        return value[0] | value[3];
    };
    for (int ttl : {0, 1, 255}) {
        CHECK(udp.set(ZYNTAX_MULTICAST_TTL, ttl) == 0);
        CHECK(byte_of(IP_MULTICAST_TTL) == ttl);
    }
    for (int on : {0, 1}) {
        CHECK(udp.set(ZYNTAX_MULTICAST_LOOP, on) == 0);
        CHECK(byte_of(IP_MULTICAST_LOOP) == on);
    }
    if (!has_ipv6()) return;
    OwnSocket six(rt, bound_socket(AF_INET6, SOCK_DGRAM));
    CHECK(six.set(ZYNTAX_MULTICAST_TTL, 7) == 0);
    CHECK(six.set(ZYNTAX_MULTICAST_LOOP, 0) == 0);
    CHECK(six.get(IPPROTO_IPV6, IPV6_MULTICAST_HOPS) == 7);
    CHECK(six.get(IPPROTO_IPV6, IPV6_MULTICAST_LOOP) == 0);
}

TEST_CASE("an_unknown_option_or_value_is_einval") {
    Runtime rt;
    OwnSocket tcp(rt, tcp_pair().near);
    for (int32_t option : {INT32_MIN, -1, 0, last_option + 1, 1000, INT32_MAX}) {
        CAPTURE(option);
        for (int64_t value : {0, 1, -1}) CHECK(tcp.set(option, value) == ZYNTAX_EINVAL);
    }
    for (int32_t option = first_option; option <= last_option; option++) {
        CAPTURE(option);
        for (int64_t value : {INT64_MIN, int64_t{-2}, int64_t{1} << 32, (int64_t{1} << 32) + 1, INT64_MAX})
            CHECK(tcp.set(option, value) == ZYNTAX_EINVAL);
        if (option != ZYNTAX_LINGER) CHECK(tcp.set(option, -1) == ZYNTAX_EINVAL);
    }
    struct {
        int32_t option;
        int64_t value;
    } const bad[] = {{ZYNTAX_NO_DELAY, 2},      {ZYNTAX_KEEP_ALIVE, 32768}, {ZYNTAX_LINGER, 32768},
                     {ZYNTAX_SEND_BUFFER, 0},   {ZYNTAX_RECEIVE_BUFFER, 0}, {ZYNTAX_BROADCAST, 2},
                     {ZYNTAX_TTL, 0},           {ZYNTAX_TTL, 256},          {ZYNTAX_MULTICAST_TTL, 256},
                     {ZYNTAX_MULTICAST_LOOP, 2}};
    for (const auto &each : bad) {
        CAPTURE(each.option);
        CHECK(tcp.set(each.option, each.value) == ZYNTAX_EINVAL);
    }
}

TEST_CASE("an_option_that_the_socket_does_not_have_is_eopnotsupp") {
    Runtime rt;
    OwnSocket tcp(rt, tcp_pair().near), udp(rt, bound_socket(AF_INET, SOCK_DGRAM));
    for (int32_t option : {ZYNTAX_BROADCAST, ZYNTAX_MULTICAST_TTL, ZYNTAX_MULTICAST_LOOP})
        CHECK(tcp.set(option, 1) == ZYNTAX_EOPNOTSUPP);
    for (int32_t option : {ZYNTAX_NO_DELAY, ZYNTAX_KEEP_ALIVE, ZYNTAX_LINGER})
        CHECK(udp.set(option, 1) == ZYNTAX_EOPNOTSUPP);
    if (!has_local_sockets) return;
    OwnSocket local(rt, socket_pair().near);
    for (int32_t option = first_option; option <= last_option; option++) {
        CAPTURE(option);
        bool is_buffer = option == ZYNTAX_SEND_BUFFER || option == ZYNTAX_RECEIVE_BUFFER;
        CHECK(local.set(option, 1) == (is_buffer ? 0 : ZYNTAX_EOPNOTSUPP));
    }
}
