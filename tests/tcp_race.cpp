// Races of real connects: an address that never answers, an address that refuses, deadlines, and look-ups of real
// names.
#include "address_support.h"
#include "compiled_support.h"
#include "io_support.h"

using namespace support;

namespace {

constexpr uint64_t never = UINT64_MAX;

struct Racer : Runtime {
    zyntax_io *out = nullptr;
    uint64_t took_ns = 0;

    int64_t connect(const std::vector<zyntax_address> &addresses, uint64_t limit_ns = never) {
        uint64_t began = zyntax_now_ns(rt), deadline = limit_ns == never ? never : began + limit_ns;
        int64_t result = await(*this, connecting_to(rt, addresses.data(), addresses.size(), deadline, &out));
        took_ns = zyntax_now_ns(rt) - began;
        return result;
    }
};

zyntax_address at(const Fd &listener) { return v4(127, 0, 0, 1, port_of(listener)); }

} // namespace

TEST_CASE("a_full_backlog_as_first_address_costs_a_quarter_of_a_second") {
    Racer rt;
    SilentListener silent;
    Fd listener = plain_listener(1);
    int before = fd_count();
    REQUIRE(rt.connect({at(silent.fd), at(listener)}) == 0);
    CHECK(rt.took_ns >= 250 * ms);
    CHECK(rt.took_ns < 5000 * ms);
    if (!on_libkqueue) CHECK(fd_count() == before + 1);
    CHECK(rt.stats().io_open == 1);
    CHECK(rt.stats().timers_pending == 0);
    zyntax_address peer = {};
    CHECK(zyntax_io_peer(rt.out, &peer) == 0);
    CHECK(peer == at(listener));
    CHECK(get_option(Descriptor(zyntax_io_fd(rt.out)), IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK(await(rt, writing(rt.out, "ping", 4)) == 4);
    Fd far(accept_from(listener));
    make_nonblocking(far);
    CHECK(wait_for(far, POLLIN));
    CHECK(take(far) == "ping");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_silent_address_costs_no_kernel_waits_while_it_is_silent") {
    Racer rt;
    SilentListener silent;
    uint64_t before = rt.stats().kernel_waits;
    std::vector<zyntax_address> addresses(3, at(silent.fd));
    uint64_t deadline = zyntax_now_ns(rt) + 900 * ms;
    Await task(rt, connecting_to(rt, addresses.data(), addresses.size(), deadline, &rt.out));
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.result == ZYNTAX_ETIMEDOUT);
    CHECK(zyntax_now_ns(rt) >= deadline);
    CHECK(rt.stats().kernel_waits - before <= 12); // three attempts, the deadline, and little more
}

TEST_CASE("an_address_that_refuses_costs_nothing_and_all_that_refuse_give_the_first_error") {
    Racer rt;
    Fd closed = plain_listener(-1), listener = plain_listener(1);
    int before = fd_count();
    CHECK(rt.connect({at(closed), at(closed), at(closed)}) == ZYNTAX_ECONNREFUSED);
    if (!on_libkqueue) CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.connect({at(closed), at(listener)}) == 0);
    if (!on_windows) CHECK(rt.took_ns < 200 * ms); // Windows tries again for a second or two
    CHECK(rt.stats().io_open == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_deadline_ends_a_connect_that_nobody_answers_in_time") {
    Racer rt;
    SilentListener silent;
    int before = fd_count();
    for (size_t n : {1u, 2u, 5u}) {
        CHECK(rt.connect(std::vector<zyntax_address>(n, at(silent.fd)), 300 * ms) == ZYNTAX_ETIMEDOUT);
        CHECK(rt.took_ns >= 300 * ms);
        CHECK(rt.took_ns < 5000 * ms);
        CHECK(rt.stats().io_open == 0);
        CHECK(rt.stats().timers_pending == 0);
    }
    if (!on_libkqueue) CHECK(fd_count() == before);
    CHECK(rt.out == nullptr);
    CHECK(rt.connect({at(silent.fd)}, 0) == ZYNTAX_ETIMEDOUT);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_cancelled_race_closes_all_its_sockets") {
    Racer rt;
    SilentListener silent;
    int before = fd_count();
    std::vector<zyntax_address> addresses(4, at(silent.fd));
    {
        Await task(rt, connecting_to(rt, addresses.data(), addresses.size(), never, &rt.out));
        CHECK(rt.drive_until([&] { return rt.stats().io_open == 2; }));
        CHECK(task.alive());
    }
    if (!on_libkqueue) CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.stats().timers_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_silent_ipv6_address_costs_an_ipv4_address_as_much") {
    if (!has_ipv6()) return;
    Racer rt;
    Fd listener = plain_listener(1), six = plain_listener(-1, AF_INET6);
    zyntax_address refusing = v6({0, 0, 0, 0, 0, 0, 0, 1}, port_of(six));
    CHECK(rt.connect({refusing, refusing, at(listener)}) == 0);
    zyntax_address peer = {};
    CHECK(zyntax_io_peer(rt.out, &peer) == 0);
    CHECK(peer == at(listener));
}

TEST_CASE("an_ipv4_mapped_address_connects_as_ipv4") {
    Racer rt;
    Fd listener = plain_listener(1);
    zyntax_address mapped = v6({0, 0, 0, 0, 0, 0xffff, 0x7f00, 1}, port_of(listener));
    CHECK(rt.connect({mapped}) == 0);
    zyntax_address peer = {};
    CHECK(zyntax_io_peer(rt.out, &peer) == 0);
    CHECK(peer == at(listener));
}

TEST_CASE("a_race_without_a_free_descriptor_is_emfile") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    Racer rt;
    Fd listener = plain_listener(1);
    {
        FewDescriptors none;
        CHECK(rt.connect({at(listener), at(listener)}) == ZYNTAX_EMFILE);
    }
    CHECK(rt.connect({at(listener)}) == 0);
}

TEST_CASE("errno_survives_a_race") {
    Racer rt;
    Fd closed = plain_listener(-1);
    std::vector<zyntax_address> addresses = {at(closed), at(closed)};
    int in_poll = 0;
    Task task;
    int64_t result = unfinished;
    task.on_poll = [&](Waker *waker) {
        errno = 4711;
        PollStatus status =
            zyntax_tcp_connect_to(rt, &task.op, addresses.data(), addresses.size(), never, waker, &rt.out, &result);
        in_poll += errno == 4711;
        return status;
    };
    task.spawn(rt);
    CHECK(rt.drain());
    CHECK(result == ZYNTAX_ECONNREFUSED);
    CHECK(in_poll == task.polls);
}

TEST_CASE("localhost_is_looked_up_as_its_addresses") {
    Runtime rt;
    zyntax_address found[16] = {};
    int64_t count = await(rt, resolving(rt, "localhost", found, 16));
    REQUIRE(count >= 1);
    REQUIRE(count <= 16);
    bool has_loopback = false;
    for (int64_t i = 0; i < count; i++) {
        has_loopback |= found[i] == v4(127, 0, 0, 1) || found[i] == v6({0, 0, 0, 0, 0, 0, 0, 1});
        for (int64_t j = 0; j < i; j++) CHECK_FALSE(found[i] == found[j]);
        CHECK(found[i].port == 0);
    }
    CHECK(has_loopback);
    CHECK(await(rt, resolving(rt, "localhost", nullptr, 0)) == count);
    CHECK(rt.stats().blocking_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("numeric_hosts_are_resolved_without_the_pool") {
    Runtime rt;
    zyntax_address found = {};
    CHECK(await(rt, resolving(rt, "192.0.2.1", &found, 1)) == 1);
    CHECK(found == v4(192, 0, 2, 1));
    CHECK(await(rt, resolving(rt, "2001:db8::1", &found, 1)) == 1);
    CHECK(found == v6({0x2001, 0xdb8, 0, 0, 0, 0, 0, 1}));
    CHECK(await(rt, resolving(rt, "::ffff:192.0.2.1", &found, 1)) == 1);
    CHECK(found == v4(192, 0, 2, 1));
    if (loopback_name()) {
        CHECK(await(rt, resolving(rt, (std::string("fe80::1%") + loopback_name()).c_str(), &found, 1)) == 1);
        CHECK(found == v6({0xfe80, 0, 0, 0, 0, 0, 0, 1}, 0, loopback_index()));
    }
    CHECK(await(rt, resolving(rt, "256.1.1.1", &found, 1)) < 0);
    CHECK(await(rt, resolving(rt, "[::1]", &found, 1)) == ZYNTAX_ENOENT);
}

TEST_CASE("the_host_of_resolve_is_copied_by_the_first_call") {
    Runtime rt;
    char host[] = "localhost";
    zyntax_address found = {};
    Await task(rt, resolving(rt, host, &found, 1));
    zyntax_runtime_turn(rt, 0);
    std::memset(host, '?', sizeof host - 1);
    CHECK(rt.drain());
    CHECK(task.result >= 1);
}

TEST_CASE("addresses_from_resolve_can_be_connected_to") {
    Racer rt;
    Fd listener = plain_listener(1);
    std::vector<zyntax_address> found(16);
    int64_t count = await(rt, resolving(rt, "localhost", found.data(), found.size()));
    REQUIRE(count >= 1);
    found.resize(size_t(std::min<int64_t>(count, 16)));
    for (zyntax_address &address : found) address.port = port_of(listener);
    CHECK(rt.connect(found) == 0);
}

TEST_CASE("promises_of_connect_to_and_resolve_give_a_handle_and_one_more_than_the_count") {
    Racer rt;
    Fd closed = plain_listener(-1), listener = plain_listener(1);
    zyntax_address found[4] = {};
    Compiled code({[&] {
                       std::string host = "127.0.0.1"; // gone before the value comes
                       return zyntax_promise_resolve(host.c_str(), found, 4);
                   },
                   [] { return zyntax_promise_resolve("localhost", nullptr, 0); },
                   [&] {
                       std::vector<zyntax_address> addresses = {at(closed), at(listener)}; // gone as well
                       return zyntax_promise_connect_to(addresses.data(), addresses.size(), never);
                   },
                   [&] {
                       zyntax_address address = at(closed);
                       return zyntax_promise_connect_to(&address, 1, never);
                   },
                   [] { return zyntax_promise_resolve("[", nullptr, 0); }});
    run(rt, code);
    REQUIRE(code.values.size() == 5);
    CHECK(code.values[0] == 2);
    CHECK(found[0] == v4(127, 0, 0, 1));
    CHECK(code.values[1] >= 2);
    CHECK(code.values[2] > 0);
    CHECK(zyntax_io_close(reinterpret_cast<zyntax_io *>(uintptr_t(code.values[2]))) == 0);
    CHECK(code.values[3] == ZYNTAX_ECONNREFUSED);
    CHECK(code.values[4] == ZYNTAX_ENOENT);
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("a_connection_of_a_promise_that_nobody_takes_is_closed") {
    Racer rt;
    Fd listener = plain_listener(1);
    zyntax_address address = at(listener);
    Compiled code({[&] {
        zyntax_promise_connect_to(&address, 1, never);
        zyntax_promise_connect_to(&address, 1, never);
        return zyntax_promise_yield();
    }});
    CHECK(run(rt, code) == 1);
    settle(rt);
    CHECK(rt.stats().io_open == 0);
}
