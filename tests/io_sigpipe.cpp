// Writing to a peer that is gone is an error code, never a signal, on every kind of descriptor.
#include "io_support.h"

#include <csignal>

using namespace support;

namespace {

volatile sig_atomic_t signals_seen = 0;

// Sets what SIGPIPE does, and sets it back.
struct SigpipeAction {
    struct sigaction before {};
    explicit SigpipeAction(void (*handler)(int)) {
        struct sigaction now {};
        now.sa_handler = handler;
        REQUIRE(sigaction(SIGPIPE, &now, &before) == 0);
    }
    ~SigpipeAction() { sigaction(SIGPIPE, &before, nullptr); }
};

bool sigpipe_is_pending() {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

bool sigpipe_is_blocked() {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, SIGPIPE) == 1;
}

// Blocks or lets through SIGPIPE in this thread.
void mask_sigpipe(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(how, &set, nullptr);
}

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
    CHECK_FALSE(sigpipe_is_pending());
    CHECK(rt.idle_waits() <= idle_budget);
}

} // namespace

TEST_CASE("the_process_survives_a_closed_peer_with_sigpipe_at_its_default") {
    SigpipeAction deadly(SIG_DFL);
    writing_fails_without_a_signal(socket_pair());
    writing_fails_without_a_signal(tcp_pair());
    writing_fails_without_a_signal(pipe_from_runtime());
    CHECK_FALSE(sigpipe_is_blocked());
}

TEST_CASE("the_process_survives_writing_to_what_was_never_connected") {
    SigpipeAction deadly(SIG_DFL);
    Runtime rt;
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    Fd fresh(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), plain = plain_listener(1);
    for (zyntax_io *io : {listener, adopt(rt, fresh), adopt(rt, plain)}) {
        int64_t error = await(rt, writing(io, "x", 1));
        CHECK(error < 0);
        CHECK(error != unfinished);
    }
    CHECK_FALSE(sigpipe_is_pending());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_hosts_handler_of_sigpipe_is_not_called") {
    signals_seen = 0;
    SigpipeAction counting([](int) { signals_seen = signals_seen + 1; });
    writing_fails_without_a_signal(socket_pair());
    writing_fails_without_a_signal(tcp_pair());
    writing_fails_without_a_signal(pipe_from_runtime());
    CHECK(signals_seen == 0);
}

TEST_CASE("a_writer_that_waits_when_the_peer_goes_gets_the_error") {
    SigpipeAction deadly(SIG_DFL);
    Runtime rt;
    for (Pair (*make)() : {+[] { return socket_pair(); }, tcp_pair, pipe_from_runtime}) {
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
    SigpipeAction deadly(SIG_DFL);
    mask_sigpipe(SIG_BLOCK);
    Runtime rt;
    Pair pair = pipe_from_runtime();
    zyntax_io *io = adopt(rt, pair.near);
    pair.far.reset();

    CHECK(await(rt, writing(io, "x", 1)) == ZYNTAX_EPIPE);
    CHECK_FALSE(sigpipe_is_pending()); // ours is taken away
    raise(SIGPIPE);
    CHECK(await(rt, writing(io, "x", 1)) == ZYNTAX_EPIPE);
    CHECK(sigpipe_is_pending()); // the host's is not
    CHECK(sigpipe_is_blocked());

    SigpipeAction ignored(SIG_IGN); // drops the pending one
    mask_sigpipe(SIG_UNBLOCK);
    CHECK(rt.idle_waits() <= idle_budget);
}
