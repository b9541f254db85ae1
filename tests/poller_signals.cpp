// A signal ends a wait with 0, and its handler may call wake.
#include "poller_support.h"

using namespace support;

namespace {

zyntax::Poller *woken_by_signal;
std::atomic<int> handled{0};
std::atomic<int> errno_changes{0};

void on_alarm(int) {
    int interrupted = std::exchange(errno, 4711);
    if (woken_by_signal) woken_by_signal->wake();
    errno_changes += errno != 4711;
    handled++;
    errno = interrupted;
}

// Calls it every few milliseconds, until it goes.
struct Alarm : Interruptions {
    explicit Alarm(zyntax::Poller *poller, int flags = 0) : Interruptions(prepare(poller), on_alarm, flags) {}
    static int prepare(zyntax::Poller *poller) {
        woken_by_signal = poller;
        handled = 0;
        return 5000;
    }
};

} // namespace

TEST_CASE("an_interrupted_wait_returns_nothing") {
    SKIP_WHEN(!has_signals, "no signal interrupts a call on Windows");
    Watched watched;
    Alarm alarm(nullptr);
    Stopwatch watch;
    CHECK(watched.wait(deadline_ms * int64_t(ms)) == 0);
    CHECK(watch.ns() < deadline_ms * int64_t(ms) / 2);
    CHECK(handled > 0);
}

TEST_CASE("a_signal_handler_wakes") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    Watched watched;
    Alarm alarm(&watched.poller, restarting);
    for (int round = 0; round < 20; round++) {
        Stopwatch watch;
        CHECK(watched.wait(deadline_ms * int64_t(ms)) == 0);
        CHECK(watch.ns() < deadline_ms * int64_t(ms) / 2);
    }
    CHECK(handled > 0);
    CHECK(errno_changes == 0);
}

TEST_CASE("signals_lose_no_event") {
    Watched watched;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    watched.add(pair.near, 1);
    Alarm alarm(&watched.poller);
    for (int round = 0; round < 200; round++) {
        take(pair.near);
        watched.forget();
        watched.want(pair.near, 1, readable);
        put(pair.far, "x");
        REQUIRE(watched.reported(1, readable));
    }
    watched.remove(pair.near, 1);
}
