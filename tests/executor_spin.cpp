// config.spin_us: a loop that spins before it sleeps misses neither wakes of threads nor timers.
#include "support.h"

#include <ctime>

using namespace support;

namespace {

zyntax_runtime_config spinning(uint32_t us) {
    auto c = config();
    c.spin_us = us;
    return c;
}

// Longer than a test may take.
constexpr uint32_t longer_us = 2 * deadline_ms * 1000;

int64_t elapsed_ms(std::chrono::steady_clock::time_point since) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - since).count();
}

} // namespace

TEST_CASE("a_spinning_loop_sees_the_wakes_of_other_threads") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    constexpr int rounds = scaled(20'000);
    Runtime rt(spinning(50));
    std::atomic<int> ping{0}, pong{0};
    std::atomic<bool> parked{false};
    Waker kept{};
    Task task{[&](Waker *waker) {
        if (!parked) kept = *waker;
        parked = true;
        pong = ping.load();
        return pong == rounds ? POLL_READY : POLL_PENDING;
    }};
    task.spawn(rt);
    std::atomic<bool> over{false};
    Thread player([&] {
        while (!parked) yield();
        for (int i = 1; i <= rounds && !over; i++) {
            ping = i;
            kept.wake(kept.data);
            while (pong != i && !over) yield();
        }
    });
    {
        Limit limit(rt);
        CHECK(zyntax_runtime_run(rt) == 0);
    }
    over = true;
    player.join();
    CHECK(pong == rounds);
}

TEST_CASE("a_spinning_loop_is_not_late_for_a_timer") {
    Runtime rt(spinning(longer_us));
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &task.op, 5 * ms, waker); };
    task.spawn(rt);
    auto start = std::chrono::steady_clock::now();
    {
        Limit limit(rt);
        CHECK(zyntax_runtime_run(rt) == 0);
    }
    CHECK(elapsed_ms(start) >= 5);
    CHECK(elapsed_ms(start) < deadline_ms);
}

TEST_CASE("a_spinning_turn_waits_no_longer_than_it_was_told_to") {
    Runtime rt(spinning(longer_us));
    Task parked{[](Waker *) { return POLL_PENDING; }};
    parked.spawn(rt);
    auto start = std::chrono::steady_clock::now();
    zyntax_runtime_turn(rt, 0);
    zyntax_runtime_turn(rt, 5 * int64_t(ms));
    CHECK(elapsed_ms(start) < deadline_ms);
}

TEST_CASE("a_loop_that_has_spun_in_vain_sleeps") {
    Runtime rt(spinning(100));
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &task.op, 300 * ms, waker); };
    task.spawn(rt);
    timespec before{}, after{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    int64_t used_ns = (after.tv_sec - before.tv_sec) * 1'000'000'000 + (after.tv_nsec - before.tv_nsec);
    CHECK(used_ns < int64_t(100 * ms));
}

TEST_CASE("a_loop_with_a_clock_that_stands_still_spins_no_longer_than_it_was_told_to") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    for (bool with_a_timer : {false, true}) {
        CAPTURE(with_a_timer);
        Clock clock;
        Runtime rt(clock.config(spinning(100)));
        Task task;
        task.on_poll = [&](Waker *waker) {
            return with_a_timer ? zyntax_sleep(rt, &task.op, 100 * ms, waker) : POLL_PENDING;
        };
        task.spawn(rt);
        timespec before{}, after{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        auto start = std::chrono::steady_clock::now();
        {
            Limit limit(rt, 200);
            CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED); // the limit's stop
        }
        CHECK(elapsed_ms(start) < deadline_ms);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        int64_t used_ns = (after.tv_sec - before.tv_sec) * 1'000'000'000 + (after.tv_nsec - before.tv_nsec);
        CHECK(used_ns < int64_t(100 * ms));
        CHECK(rt.stats().timers_fired == 0);
    }
}

TEST_CASE("a_turn_with_a_clock_that_stands_still_returns_when_its_limit_is_over") {
    Clock clock;
    Runtime rt(clock.config(spinning(100)));
    Task parked{[](Waker *) { return POLL_PENDING; }};
    parked.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    auto start = std::chrono::steady_clock::now();
    CHECK(zyntax_runtime_turn(rt, 20 * int64_t(ms)) == 1);
    CHECK(elapsed_ms(start) >= 15);
    CHECK(elapsed_ms(start) < deadline_ms);
}
