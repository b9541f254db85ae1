// zyntax_wake_from_signal is async-signal-safe: wherever it interrupts, nothing is lost, locked or corrupted.
#include "support.h"

#include <cerrno>
#include <csignal>

using namespace support;

namespace {

Waker target;                     // set before the first signal, which any thread may get
std::atomic<uint64_t> signals{0}; // handled so far
std::atomic<uint64_t> spoiled{0}; // of these, with errno changed

void handler(int) {
    int before = errno;
    errno = 4242;
    signals++;
    zyntax_wake_from_signal(&target);
    if (errno != 4242) spoiled++;
    errno = before;
}

// Signals at 20 kHz, or as often as the system manages.
struct Storm : Interruptions {
    explicit Storm(int period_us = 50) : Interruptions(period_us, handler) {}
};

// Sees every signal, if no wake is lost.
struct Watcher : Task {
    uint64_t seen = 0;
    Watcher() {
        on_poll = [this](Waker *waker) {
            if (polls == 1) target = *waker;
            seen = signals;
            return POLL_PENDING;
        };
    }
};

bool over(std::chrono::steady_clock::time_point end) { return std::chrono::steady_clock::now() >= end; }

} // namespace

TEST_CASE("wakes_from_a_signal_handler_interrupt_spawning_allocating_and_sleeping_unharmed") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    Runtime rt;
    Watcher watcher;
    watcher.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
    int finished = 0, started = 0;
    struct Churn {
        zyntax_runtime *rt;
        int *finished;
        zyntax_op op;
    };
    PollFn poll = [](FutureState state, Waker *waker) {
        auto *self = static_cast<Churn *>(state);
        return zyntax_sleep(self->rt, &self->op, 20'000, waker);
    };
    DropFn drop = [](FutureState state, int32_t) { ++*static_cast<Churn *>(state)->finished; };
    {
        Storm storm;
        while ((started < 50'000 || signals < 5'000) && !over(end)) {
            for (int i = 0; i < 50; i++) {
                auto *state = static_cast<Churn *>(zyntax_state_alloc(rt, sizeof(Churn)));
                if (state == nullptr) break;
                *state = {rt, &finished, 0};
                started += zyntax_runtime_spawn_with(rt, state, poll, drop, sizeof(Churn)) != nullptr;
            }
            zyntax_runtime_turn(rt, int64_t(ms) / 10);
        }
    }
    CHECK(started > 1000);
    CHECK(rt.drive_until([&] { return finished == started; }));
    CHECK(rt.drive_until([&] { return watcher.seen == signals; }));
    CHECK(signals > 100);
    CHECK(spoiled == 0);
}

TEST_CASE("a_signal_wakes_a_runtime_that_sleeps_without_limit") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    Runtime rt;
    Watcher watcher;
    watcher.on_poll = [&](Waker *waker) {
        if (watcher.polls == 1) target = *waker;
        return watcher.polls > 200 ? POLL_READY : POLL_PENDING;
    };
    watcher.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    Storm storm(500);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
}

TEST_CASE("a_handler_that_runs_inside_a_poll_wakes_it_once_more") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    Runtime rt;
    Watcher watcher;
    watcher.on_poll = [&](Waker *waker) {
        target = *waker;
        if (watcher.polls == 1) raise(SIGTERM);
        return POLL_PENDING;
    };
    auto before = std::signal(SIGTERM, handler);
    watcher.spawn(rt);
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(watcher.polls == 2);
    std::signal(SIGTERM, before);
}

TEST_CASE("wakers_of_others_and_null_are_ignored") {
    static int called;
    called = 0;
    int data = 0;
    Waker foreign{&data, [](void *) { called++; }};
    Waker empty{};
    zyntax_wake_from_signal(&foreign);
    zyntax_wake_from_signal(&empty);
    zyntax_wake_from_signal(nullptr);
    CHECK(called == 0);
}

TEST_CASE("a_signal_storm_does_not_postpone_timers") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    Runtime rt;
    Watcher watcher;
    watcher.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    Task sleeper;
    uint64_t start = zyntax_now_ns(rt), woke = 0;
    sleeper.on_poll = [&](Waker *waker) {
        if (zyntax_sleep_until(rt, &sleeper.op, start + 300 * ms, waker) == POLL_PENDING) return POLL_PENDING;
        woke = zyntax_now_ns(rt);
        return POLL_READY;
    };
    sleeper.spawn(rt);
    Storm storm;
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, sleeper.handle) == 0); // else it was postponed until the limit
    CHECK(woke - start >= 300 * ms);
}
