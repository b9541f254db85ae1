// A loop without work sleeps, even when descriptors without a waiter become ready.
#include "io_support.h"

#include <cstdlib>
#include <deque>

using namespace support;

TEST_CASE("a_reset_while_nobody_waits_costs_nothing_and_is_reported_later") {
    SKIP_WHEN(on_wine(), "Wine takes the error of a socket that was reset");
    SKIP_WHEN(on_libkqueue, "libkqueue takes the error of a socket that it reports");
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *io = adopt(rt, pair.near);
    settle(rt);
    reset_connection(pair.far);
    CHECK(rt.idle_waits() <= idle_budget);
    char byte;
    CHECK(await(rt, reading(io, &byte, 1)) == ZYNTAX_ECONNRESET);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_reset_between_two_reads_costs_nothing_and_is_reported_by_the_second") {
    SKIP_WHEN(on_wine(), "Wine takes the error of a socket that was reset");
    SKIP_WHEN(on_libkqueue, "libkqueue takes the error of a socket that it reports");
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    put(pair.far, "x");
    CHECK(await(rt, reading(io, &byte, 1)) == 1);
    reset_connection(pair.far);
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(await(rt, reading(io, &byte, 1)) == ZYNTAX_ECONNRESET);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("connected_sockets_that_nobody_uses_cost_nothing") {
    Runtime rt;
    std::deque<Pair> pairs;
    std::deque<Await> readers;
    char byte;
    for (int i = 0; i < 100; i++) {
        pairs.push_back(tcp_pair());
        zyntax_io *io = adopt(rt, pairs.back().near);
        CHECK(await(rt, writing(io, "x", 1)) == 1);
        if (i % 2 == 0) readers.emplace_back(rt, reading(io, &byte, 1));
    }
    settle(rt);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("data_that_nobody_reads_costs_nothing") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    put(pair.far, "nobody");
    CHECK(rt.idle_waits() <= idle_budget);
    put(pair.far, " cares");
    CHECK(rt.idle_waits() <= idle_budget);
    char buf[12];
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 12);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_hang_up_that_nobody_waits_for_costs_nothing") {
    Runtime rt;
    std::deque<Pair> pairs;
    for (auto make : pairs_to_runtime()) pairs.push_back(make());
    for (auto make : pairs_from_runtime()) pairs.push_back(make());
    for (Pair &pair : pairs) {
        adopt(rt, pair.near);
        settle(rt);
        pair.far.reset();
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_hang_up_costs_nothing_while_only_the_other_direction_is_waited_for") {
    Runtime rt;
    Pair pair = tcp_pair();
    make_nonblocking(pair.near);
    fill(pair.near);
    zyntax_io *io = adopt(rt, pair.near);
    Await writer(rt, writing(io, "x", 1));
    settle(rt);
    end_writing(pair.far);
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(writer.alive());
}

TEST_CASE("a_terminal_whose_other_side_is_gone_costs_nothing") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    Runtime rt;
    Pair pair = terminal();
    zyntax_io *io = adopt(rt, pair.far);
    settle(rt);
    pair.near.reset();
    CHECK(rt.idle_waits() <= idle_budget);
    char byte;
    CHECK(await(rt, reading(io, &byte, 1)) == ZYNTAX_EIO);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_socket_that_was_never_connected_costs_nothing") {
    Runtime rt;
    Fd fd(make_socket(AF_INET, SOCK_STREAM)); // hung up by definition
    zyntax_io *io = adopt(rt, fd);
    CHECK(rt.idle_waits() <= idle_budget);
    char byte = 0;
    CHECK(await(rt, reading(io, &byte, 1)) == ZYNTAX_ENOTCONN);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_closed_descriptor_whose_duplicate_lives_on_costs_nothing") {
    Runtime rt;
    Pair pair = socket_pair();
    Fd twin(duplicate(pair.near));
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await reader(rt, reading(io, &byte, 1));
    settle(rt);
    CHECK(zyntax_io_close(io) == 0);
    CHECK(rt.drain());
    uint64_t before = rt.stats().kernel_events;
    put(pair.far, "x");
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(rt.stats().kernel_events == before);
}

TEST_CASE("a_duplicate_that_is_closed_elsewhere_changes_nothing") {
    Runtime rt;
    Pair pair = socket_pair();
    Fd twin(duplicate(pair.near));
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await reader(rt, reading(io, &byte, 1));
    settle(rt);
    twin.reset();
    CHECK(rt.idle_waits() <= idle_budget);
    put(pair.far, "x");
    CHECK(rt.drain());
    CHECK(reader.result == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_listener_with_a_connection_that_nobody_accepts_costs_nothing") {
    Runtime rt;
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    Fd client = plain_client(uint16_t(zyntax_tcp_port(listener)));
    REQUIRE(wait_for(client, POLLOUT));
    CHECK(rt.idle_waits() <= idle_budget);
    zyntax_io *accepted = nullptr;
    CHECK(await(rt, accepting(listener, &accepted)) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}
