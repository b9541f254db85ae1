// A signal ends a wait with 0, and its handler may wake.
#include "poller_support.h"

#include <csignal>
#include <sys/time.h>

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

// SIGALRM every few milliseconds, until it goes.
struct Alarm {
    struct sigaction before;

    Alarm(zyntax::Poller *poller, int flags) {
        woken_by_signal = poller;
        handled = 0;
        struct sigaction action {};
        action.sa_handler = on_alarm;
        action.sa_flags = flags;
        REQUIRE(sigaction(SIGALRM, &action, &before) == 0);
        set(5000);
    }
    ~Alarm() {
        set(0);
        sigaction(SIGALRM, &before, nullptr);
    }
    Alarm(const Alarm &) = delete;
    Alarm &operator=(const Alarm &) = delete;
    static void set(int us) {
        itimerval timer{{0, us}, {0, us}};
        setitimer(ITIMER_REAL, &timer, nullptr);
    }
};

} // namespace

TEST_CASE("an_interrupted_wait_returns_nothing") {
    Watched watched;
    Alarm alarm(nullptr, 0);
    Stopwatch watch;
    CHECK(watched.wait(deadline_ms * int64_t(ms)) == 0);
    CHECK(watch.ns() < deadline_ms * int64_t(ms) / 2);
    CHECK(handled > 0);
}

TEST_CASE("a_signal_handler_wakes") {
    Watched watched;
    Alarm alarm(&watched.poller, SA_RESTART);
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
    watched.add(pair.near, 1, 1);
    Alarm alarm(&watched.poller, 0);
    for (int round = 0; round < 200; round++) {
        take(pair.near);
        watched.forget();
        watched.poller.want(pair.near, 1, readable);
        put(pair.far, "x");
        REQUIRE(watched.reported(1, 1, readable));
    }
    watched.poller.remove(pair.near, 1);
}
