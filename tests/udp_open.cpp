// zyntax_udp_open: addresses, ports, refused arguments, and the state after a failure.
#include "udp_support.h"

using namespace support;

namespace {

int32_t error_of_opening(zyntax_runtime *rt, const zyntax_address &local, uint32_t flags = 0) {
    zyntax_io *io = nullptr;
    int32_t error = zyntax_udp_open(rt, &local, flags, &io);
    CHECK((error == 0) == (io != nullptr));
    if (io) zyntax_io_close(io);
    return error;
}

} // namespace

TEST_CASE("a_datagram_socket_is_nonblocking_and_not_inherited") {
    Runtime rt;
    for (zyntax_io *io : {open_udp(rt), open_udp(rt, nullptr)}) {
        Descriptor fd = Descriptor(zyntax_io_fd(io));
        CHECK_FALSE(is_inheritable(fd));
        if (!on_windows) CHECK_FALSE(is_blocking(fd));
        CHECK(get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("port_zero_and_no_address_take_a_free_port") {
    Runtime rt;
    zyntax_io *sockets[] = {open_udp(rt), open_udp(rt), open_udp(rt, nullptr), open_udp(rt, nullptr)};
    for (zyntax_io *a : sockets) {
        CHECK(udp_port(a) > 0);
        for (zyntax_io *b : sockets) CHECK((a == b || udp_port(a) != udp_port(b)));
    }
}

TEST_CASE("a_port_in_use_is_eaddrinuse") {
    Runtime rt, other;
    int before = fd_count();
    zyntax_io *own = open_udp(rt);
    Fd host(make_socket(AF_INET, SOCK_DGRAM));
    Address address = loopback(0);
    REQUIRE(bind(host, address.raw(), address.length) == 0);
    for (uint16_t port : {udp_port(own), port_of(host)})
        for (zyntax_runtime *runtime : {rt.rt, other.rt}) {
            CHECK(error_of_opening(runtime, v4(127, 0, 0, 1, port)) == ZYNTAX_EADDRINUSE);
            if (!on_windows) CHECK(error_of_opening(runtime, v4(0, 0, 0, 0, port)) == ZYNTAX_EADDRINUSE);
        }
    // A later socket cannot take a port over by its own choice.
    if (!on_wine()) {
        Fd thief(make_socket(AF_INET, SOCK_DGRAM));
        set_option(thief, SOL_SOCKET, SO_REUSEADDR, 1);
        address = loopback(udp_port(own));
        CHECK(bind(thief, address.raw(), address.length) != 0);
    }
    zyntax_io_close(own);
    host.reset();
    CHECK(fd_count() == before);
}

TEST_CASE("a_port_is_free_again_at_once_after_close") {
    Runtime rt;
    zyntax_io *first = open_udp(rt), *sender = open_udp(rt);
    zyntax_address local = udp_address(first);
    send_to(rt, sender, first, "lost");
    CHECK(zyntax_io_close(first) == 0);
    zyntax_io *second = open_udp(rt, &local);
    send_to(rt, sender, second, "arrives");
    CHECK(receive_from(rt, second) == "arrives");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_port_is_shared_when_all_say_so") {
    SKIP_WHEN(on_windows, "Windows cannot share ports");
    Runtime a, b;
    zyntax_address local = on_loopback();
    zyntax_io *first = open_udp(a, &local, ZYNTAX_LISTEN_SHARED);
    local = udp_address(first);
    zyntax_io *second = open_udp(b, &local, ZYNTAX_LISTEN_SHARED);
    CHECK(error_of_opening(a, local) == ZYNTAX_EADDRINUSE);
    zyntax_io *sender = open_udp(a);
    send_to(a, sender, first, "to one of them");
    CHECK(poll_one(Descriptor(zyntax_io_fd(first)), POLLIN, 1000) +
              poll_one(Descriptor(zyntax_io_fd(second)), POLLIN, 0) ==
          1);
    CHECK(zyntax_io_close(second) == 0);
    zyntax_io *alone = open_udp(a);
    CHECK(error_of_opening(a, udp_address(alone), ZYNTAX_LISTEN_SHARED) == ZYNTAX_EADDRINUSE);
}

TEST_CASE("an_ipv6_socket_has_no_ipv4_and_a_mapped_address_has_nothing_else") {
    if (!has_ipv6()) return;
    Runtime rt;
    zyntax_address any = v6({0, 0, 0, 0, 0, 0, 0, 0}), mapped = parsed("::ffff:127.0.0.1");
    zyntax_io *six = open_udp(rt, &any), *four = open_udp(rt, &mapped), *client = open_udp(rt);
    zyntax_address same_port = v4(127, 0, 0, 1, udp_port(six)), from{};
    zyntax_io *beside = open_udp(rt, &same_port); // not in use: IPv4 has ports of its own then
    send_to(rt, client, beside, "v4");
    CHECK(receive_from(rt, beside) == "v4");
    send_to(rt, client, four, "mapped");
    CHECK(receive_from(rt, four, &from) == "mapped");
    CHECK(from == udp_address(client));
    CHECK(hears_nothing(rt, six));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("bad_arguments_of_opening_are_einval_and_leave_nothing") {
    Runtime rt;
    int before = fd_count();
    zyntax_io *io = nullptr;
    zyntax_address local = on_loopback();
    CHECK(zyntax_udp_open(nullptr, &local, 0, &io) == ZYNTAX_EINVAL);
    CHECK(zyntax_udp_open(rt, &local, 0, nullptr) == ZYNTAX_EINVAL);
    for (uint32_t flags : {2u, 3u, 0x80000000u, UINT32_MAX}) CHECK(error_of_opening(rt, local, flags) == ZYNTAX_EINVAL);
    for (uint16_t family : {uint16_t(0), uint16_t(1), uint16_t(2), uint16_t(10), uint16_t(65535)}) {
        local.family = family;
        CHECK(error_of_opening(rt, local) == ZYNTAX_EINVAL);
    }
    if (!on_wine()) CHECK(error_of_opening(rt, v4(192, 0, 2, 1)) == ZYNTAX_EADDRNOTAVAIL); // for documentation only
    int32_t shared = error_of_opening(rt, on_loopback(), ZYNTAX_LISTEN_SHARED);
    CHECK(shared == (on_windows ? int32_t{ZYNTAX_ENOSYS} : 0));
    if (has_ipv6()) CHECK(error_of_opening(rt, parsed("fe80::1")) < 0); // without a scope
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("opening_without_a_free_descriptor_is_emfile_and_leaves_nothing") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    Runtime rt;
    zyntax_io *io = nullptr;
    {
        FewDescriptors none;
        CHECK(error_of_opening(rt, on_loopback()) == ZYNTAX_EMFILE);
        CHECK(zyntax_udp_open(rt, nullptr, 0, &io) == ZYNTAX_EMFILE);
    }
    CHECK(rt.stats().io_open == 0);
    CHECK(error_of_opening(rt, on_loopback()) == 0);
}

TEST_CASE("a_runtime_that_ends_opens_no_datagram_socket") {
    int before = fd_count();
    int32_t error = 1;
    {
        Runtime rt;
        Task task{[](Waker *) { return POLL_PENDING; }};
        task.on_drop = [&](int32_t) { error = error_of_opening(rt, on_loopback()); };
        task.spawn(rt);
        rt.destroy();
    }
    CHECK(error == ZYNTAX_ECANCELED);
    CHECK(fd_count() == before);
}
