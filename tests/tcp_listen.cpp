// zyntax_tcp_listen and zyntax_tcp_port: numeric addresses and their errors.
#include "io_support.h"

using namespace support;

namespace {

zyntax_io *listen_on(Runtime &rt, const char *address, uint16_t port = 0) {
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, address, port, &listener) == 0);
    REQUIRE(listener != nullptr);
    return listener;
}

// A client of this family gets through.
bool reaches(Runtime &rt, zyntax_io *listener, int family) {
    Fd client = plain_client(uint16_t(zyntax_tcp_port(listener)), family);
    zyntax_io *accepted = nullptr;
    if (await(rt, accepting(listener, &accepted)) != 0) return false;
    put(client, "hi");
    char buf[2];
    return await(rt, reading(accepted, buf, 2)) == 2 && zyntax_io_close(accepted) == 0;
}

} // namespace

TEST_CASE("an_ipv4_address_listens") {
    Runtime rt;
    CHECK(reaches(rt, listen_on(rt, "127.0.0.1"), AF_INET));
    CHECK(reaches(rt, listen_on(rt, "0.0.0.0"), AF_INET));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_ipv6_address_listens") {
    if (!has_ipv6()) return;
    Runtime rt;
    CHECK(reaches(rt, listen_on(rt, "::1"), AF_INET6));
    CHECK(reaches(rt, listen_on(rt, "0:0:0:0:0:0:0:1"), AF_INET6));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_ipv4_address_that_is_written_as_ipv6_listens_for_ipv4") {
    Runtime rt;
    for (const char *address : {"::ffff:127.0.0.1", "::FFFF:7f00:1", "::ffff:0.0.0.0", "0:0:0:0:0:ffff:127.0.0.1"}) {
        CAPTURE(std::string(address));
        zyntax_io *listener = listen_on(rt, address), *client = nullptr;
        CHECK(reaches(rt, listener, AF_INET));
        auto port = uint16_t(zyntax_tcp_port(listener));
        CHECK(await(rt, connecting(rt, "::ffff:127.0.0.1", port, &client)) == 0);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_ipv6_address_may_name_its_interface_or_give_its_number") {
    if (!has_ipv6()) return;
    SKIP_WHEN(loopback_name() == nullptr, "the name of the loopback device is unknown");
    Runtime rt;
    std::string name = std::string("::1%") + loopback_name(), number = "::1%" + std::to_string(loopback_index());
    for (const std::string &address : {name, number}) {
        CAPTURE(address);
        zyntax_io *listener = listen_on(rt, address.c_str()), *client = nullptr;
        CHECK(reaches(rt, listener, AF_INET6));
        auto port = uint16_t(zyntax_tcp_port(listener));
        CHECK(await(rt, connecting(rt, address.c_str(), port, &client)) == 0);
    }
    zyntax_io *listener = nullptr;
    for (const char *address : {"::1%", "::1%no-such-interface", "127.0.0.1%lo", "fe80::1%no-such-interface", "%lo"})
        CHECK(zyntax_tcp_listen(rt, address, 0, &listener) == ZYNTAX_EINVAL);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("no_address_listens_on_every_interface_with_ipv6_and_ipv4") {
    Runtime rt;
    zyntax_io *listener = listen_on(rt, nullptr);
    CHECK(reaches(rt, listener, AF_INET));
    if (has_ipv6()) CHECK(reaches(rt, listener, AF_INET6));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("port_zero_takes_a_free_port_and_tcp_port_tells_which") {
    Runtime rt;
    zyntax_io *a = listen_on(rt, "127.0.0.1"), *b = listen_on(rt, "127.0.0.1");
    CHECK(zyntax_tcp_port(a) > 0);
    CHECK(zyntax_tcp_port(a) <= 65535);
    CHECK(zyntax_tcp_port(b) > 0);
    CHECK(zyntax_tcp_port(a) != zyntax_tcp_port(b));
    CHECK(zyntax_tcp_port(a) == port_of(Descriptor(zyntax_io_fd(a))));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("tcp_port_of_something_else_is_einval") {
    SKIP_WHEN(!has_local_sockets, "every pollable handle on Windows has a port");
    Runtime rt;
    Pair pipe = pipe_to_runtime(), unix_socket = socket_pair();
    CHECK(zyntax_tcp_port(adopt(rt, pipe.near)) == ZYNTAX_EINVAL);
    CHECK(zyntax_tcp_port(adopt(rt, unix_socket.near)) == ZYNTAX_EINVAL);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("tcp_port_of_nothing_is_estale") {
    Runtime rt;
    CHECK(zyntax_tcp_port(nullptr) == ZYNTAX_ESTALE);
    zyntax_io *listener = listen_on(rt, "127.0.0.1");
    CHECK(zyntax_io_close(listener) == 0);
    CHECK(zyntax_tcp_port(listener) == ZYNTAX_ESTALE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_text_that_is_no_numeric_address_is_einval") {
    Runtime rt;
    int before = fd_count();
    std::string endless(5000, '1');
    for (const char *address : {"", " ", "localhost", "300.1.1.1", "1.2.3", "127.0.0.1 ", "127.0.0.1:80", "::g",
                                "[::1]", "1:2:3:4:5:6:7:8:9", endless.c_str()}) {
        CAPTURE(std::string(address).substr(0, 40));
        zyntax_io *listener = nullptr;
        CHECK(zyntax_tcp_listen(rt, address, 0, &listener) == ZYNTAX_EINVAL);
    }
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("null_arguments_are_einval") {
    Runtime rt;
    int before = fd_count();
    zyntax_io *listener = nullptr;
    CHECK(zyntax_tcp_listen(nullptr, "127.0.0.1", 0, &listener) == ZYNTAX_EINVAL);
    CHECK(zyntax_tcp_listen(rt, "127.0.0.1", 0, nullptr) == ZYNTAX_EINVAL);
    CHECK(fd_count() == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_port_that_another_program_uses_is_eaddrinuse") {
    Runtime rt;
    Fd other = plain_listener(1); // does not share its port
    int before = fd_count();
    zyntax_io *listener = nullptr;
    CHECK(zyntax_tcp_listen(rt, "127.0.0.1", port_of(other), &listener) == ZYNTAX_EADDRINUSE);
    CHECK(fd_count() == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_address_of_another_machine_is_eaddrnotavail") {
    Runtime rt;
    int before = fd_count();
    zyntax_io *listener = nullptr;
    CHECK(zyntax_tcp_listen(rt, "192.0.2.1", 0, &listener) == ZYNTAX_EADDRNOTAVAIL); // reserved for documentation
    CHECK(fd_count() == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_port_is_its_listeners_alone") {
    Runtime a, b;
    int before = fd_count();
    for (const char *address : {"127.0.0.1", "0.0.0.0", static_cast<const char *>(nullptr)}) {
        zyntax_io *first = listen_on(a, address), *second = nullptr;
        auto port = uint16_t(zyntax_tcp_port(first));
        for (zyntax_runtime *rt : {a.rt, b.rt}) {
            CHECK(zyntax_tcp_listen(rt, address, port, &second) == ZYNTAX_EADDRINUSE);
            CHECK(zyntax_tcp_listen_with(rt, address, port, 0, &second) == ZYNTAX_EADDRINUSE);
        }
        CHECK(reaches(a, first, AF_INET));
        CHECK(zyntax_io_close(first) == 0);
    }
    CHECK(fd_count() == before);
    CHECK(a.idle_waits() <= idle_budget);
}

// Both sides have to agree, or a stranger could take half of a server's connections.
TEST_CASE("a_port_is_shared_only_when_both_listeners_say_so") {
    SKIP_WHEN(on_windows, "Windows cannot share ports");
    Runtime rt;
    zyntax_io *listener = listen_on(rt, "127.0.0.1"), *second = nullptr;
    auto port = uint16_t(zyntax_tcp_port(listener));
    CHECK(zyntax_tcp_listen_with(rt, "127.0.0.1", port, ZYNTAX_LISTEN_SHARED, &second) == ZYNTAX_EADDRINUSE);
    CHECK(zyntax_io_close(listener) == 0);
    REQUIRE(zyntax_tcp_listen_with(rt, "127.0.0.1", 0, ZYNTAX_LISTEN_SHARED, &listener) == 0);
    port = uint16_t(zyntax_tcp_port(listener));
    CHECK(zyntax_tcp_listen(rt, "127.0.0.1", port, &second) == ZYNTAX_EADDRINUSE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_flag_of_listening_that_is_unknown_is_einval_and_one_that_the_system_lacks_enosys") {
    Runtime rt;
    int before = fd_count();
    zyntax_io *listener = nullptr;
    for (uint32_t flags : {2u, 3u, 0x80000000u, UINT32_MAX})
        CHECK(zyntax_tcp_listen_with(rt, "127.0.0.1", 0, flags, &listener) == ZYNTAX_EINVAL);
    CHECK(zyntax_tcp_listen_with(nullptr, "127.0.0.1", 0, 0, &listener) == ZYNTAX_EINVAL);
    CHECK(zyntax_tcp_listen_with(rt, "127.0.0.1", 0, 0, nullptr) == ZYNTAX_EINVAL);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    int32_t error = zyntax_tcp_listen_with(rt, "127.0.0.1", 0, ZYNTAX_LISTEN_SHARED, &listener);
    CHECK(error == (on_windows ? int32_t{ZYNTAX_ENOSYS} : 0));
}

TEST_CASE("two_runtimes_share_a_port") {
    SKIP_WHEN(on_windows, "Windows cannot share ports");
    Runtime a, b;
    zyntax_io *first = nullptr, *second = nullptr;
    REQUIRE(zyntax_tcp_listen_with(a, "127.0.0.1", 0, ZYNTAX_LISTEN_SHARED, &first) == 0);
    auto port = uint16_t(zyntax_tcp_port(first));
    REQUIRE(zyntax_tcp_listen_with(b, "127.0.0.1", port, ZYNTAX_LISTEN_SHARED, &second) == 0);
    CHECK(zyntax_tcp_port(second) == port);
    CHECK(zyntax_io_close(second) == 0);
    CHECK(reaches(a, first, AF_INET));
    CHECK(a.idle_waits() <= idle_budget);
}

TEST_CASE("a_port_can_be_taken_again_at_once_after_close") {
    Runtime rt;
    zyntax_io *first = listen_on(rt, "127.0.0.1");
    uint16_t port = uint16_t(zyntax_tcp_port(first));
    Fd client = plain_client(port);
    zyntax_io *accepted = nullptr;
    CHECK(await(rt, accepting(first, &accepted)) == 0);
    CHECK(zyntax_io_close(accepted) == 0); // stays in TIME_WAIT
    client.reset();
    CHECK(zyntax_io_close(first) == 0);
    CHECK(reaches(rt, listen_on(rt, "127.0.0.1", port), AF_INET));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("listening_without_a_free_descriptor_is_emfile_and_leaves_nothing") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    Runtime rt;
    zyntax_io *listener = nullptr;
    {
        FewDescriptors none;
        CHECK(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == ZYNTAX_EMFILE);
        CHECK(zyntax_tcp_listen(rt, nullptr, 0, &listener) == ZYNTAX_EMFILE);
    }
    CHECK(rt.stats().io_open == 0);
    CHECK(reaches(rt, listen_on(rt, "127.0.0.1"), AF_INET));
    CHECK(rt.idle_waits() <= idle_budget);
}
