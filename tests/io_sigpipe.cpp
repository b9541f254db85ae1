// Writing to a peer that is gone is an error code, never a signal, on every kind of descriptor.
#include "io_support.h"

using namespace support;

namespace {

// Writes until the kernel has noticed that the peer is gone.
int64_t write_until_error(Runtime &rt, zyntax_io *io) {
    for (int tries = 0; tries < 100; tries++) {
        int64_t n = await(rt, writing(io, "x", 1));
        if (n < 0) return n;
    }
    return 0;
}

void writing_fails_without_a_signal(Pair pair) {
    Runtime rt;
    zyntax_io *io = adopt(rt, pair.near);
    pair.far.reset();
    for (int again = 0; again < 3; again++) {
        int64_t error = write_until_error(rt, io);
        CHECK((error == ZYNTAX_EPIPE || error == ZYNTAX_ECONNRESET));
    }
    CHECK_FALSE(SigpipeAction::is_pending());
    CHECK(rt.idle_waits() <= idle_budget);
}

} // namespace

TEST_CASE("the_process_survives_a_closed_peer_with_sigpipe_at_its_default") {
    auto action = SigpipeAction::deadly();
    for (auto make : pairs_from_runtime()) writing_fails_without_a_signal(make());
    CHECK_FALSE(SigpipeAction::is_blocked());
}

TEST_CASE("the_process_survives_writing_to_what_was_never_connected") {
    auto action = SigpipeAction::deadly();
    Runtime rt;
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    Fd fresh(make_socket(AF_INET, SOCK_STREAM)), plain = plain_listener(1);
    for (zyntax_io *io : {listener, adopt(rt, fresh), adopt(rt, plain)}) {
        int64_t error = await(rt, writing(io, "x", 1));
        CHECK(error < 0);
        CHECK(error != unfinished);
    }
    CHECK_FALSE(SigpipeAction::is_pending());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_hosts_handler_of_sigpipe_is_not_called") {
    auto action = SigpipeAction::counted();
    for (auto make : pairs_from_runtime()) writing_fails_without_a_signal(make());
    CHECK(SigpipeAction::seen == 0);
}

TEST_CASE("a_writer_that_waits_when_the_peer_goes_gets_the_error") {
    auto action = SigpipeAction::deadly();
    Runtime rt;
    for (auto make : pairs_from_runtime()) {
        Pair pair = make();
        make_nonblocking(pair.near);
        fill(pair.near);
        zyntax_io *io = adopt(rt, pair.near);
        Await writer(rt, writing(io, "x", 1));
        settle(rt);
        CHECK(writer.alive());
        pair.far.reset();
        CHECK(rt.drain());
        CHECK((writer.result == ZYNTAX_EPIPE || writer.result == ZYNTAX_ECONNRESET));
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_sigpipe_that_the_host_has_blocked_and_pending_stays_pending") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows, and there is no SIGPIPE");
    auto action = SigpipeAction::deadly();
    SigpipeAction::block(true);
    Runtime rt;
    Pair pair = pipe_from_runtime();
    zyntax_io *io = adopt(rt, pair.near);
    pair.far.reset();

    CHECK(await(rt, writing(io, "x", 1)) == ZYNTAX_EPIPE);
    CHECK_FALSE(SigpipeAction::is_pending()); // ours is taken away
    SigpipeAction::send();
    CHECK(await(rt, writing(io, "x", 1)) == ZYNTAX_EPIPE);
    CHECK(SigpipeAction::is_pending()); // the host's is not
    CHECK(SigpipeAction::is_blocked());

    auto dropped = SigpipeAction::ignored(); // the pending one
    SigpipeAction::block(false);
    CHECK(rt.idle_waits() <= idle_budget);
}
