// Timers on the system's clock: never early, without spinning before the deadline, without sleeping past it.
#include "support.h"

#include <random>
#include <vector>

using namespace support;

namespace {

uint64_t steady_ns() {
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

} // namespace

TEST_CASE("sleeps_of_less_than_a_millisecond_neither_end_early_nor_spin") {
    constexpr int rounds = 300;
    Runtime rt;
    int done = 0, early = 0;
    uint64_t start = 0;
    Task task;
    task.on_poll = [&](Waker *waker) {
        while (done < rounds) {
            if (start == 0) start = steady_ns();
            if (zyntax_sleep(rt, &task.op, 900'000, waker) == POLL_PENDING) return POLL_PENDING;
            early += steady_ns() - start < 900'000;
            start = 0;
            done++;
        }
        return POLL_READY;
    };
    task.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(done == rounds);
    CHECK(early == 0);
    CHECK(rt.stats().kernel_waits <= 3 * rounds);
    CHECK(rt.idle_waits() <= 5);
}

TEST_CASE("random_sleeps_are_never_early_and_not_absurdly_late") {
    Runtime rt;
    std::mt19937 random(5);
    std::vector<std::unique_ptr<Task>> tasks;
    int early = 0, late = 0;
    for (int i = 0; i < 2000; i++) {
        uint64_t duration = random() % (50 * ms);
        auto task = std::make_unique<Task>();
        task->on_poll = [&, duration, start = uint64_t(0), self = task.get()](Waker *waker) mutable {
            if (start == 0) start = steady_ns();
            if (zyntax_sleep(rt, &self->op, duration, waker) == POLL_PENDING) return POLL_PENDING;
            early += steady_ns() - start < duration;
            late += steady_ns() - start > duration + 1000 * ms;
            return POLL_READY;
        };
        task->spawn(rt);
        tasks.push_back(std::move(task));
    }
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(early == 0);
    CHECK(late == 0);
}

TEST_CASE("a_runtime_that_waits_for_a_far_timer_is_idle") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    const uint64_t durations[] = {3'600'000 * ms, (1ull << 31) * ms, (1ull << 32) * ms,
                                  1ull << 62,     UINT64_MAX - 1,    UINT64_MAX};
    for (uint64_t duration : durations) {
        CAPTURE(duration);
        Runtime rt;
        Task task;
        task.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &task.op, duration, waker); };
        task.spawn(rt);
        Limit limit(rt, 20);
        CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED);
        CHECK(task.polls == 1);
        CHECK(rt.stats().kernel_waits <= 3);
    }
}

TEST_CASE("a_turn_waits_no_longer_than_it_was_told_to_nor_than_the_next_timer") {
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &task.op, 20 * ms, waker); };
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    uint64_t start = steady_ns();
    zyntax_runtime_turn(rt, int64_t(2 * ms));
    CHECK(task.alive());
    CHECK(rt.drive_until([&] {
        zyntax_runtime_turn(rt, -1); // returns for the timer
        return !task.alive();
    }));
    CHECK(steady_ns() - start < 5000 * ms);
}

TEST_CASE("an_earlier_timer_armed_while_the_loop_sleeps_is_noticed") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    std::atomic<bool> parked{false};
    Waker kept{};
    Task distant, soon;
    distant.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &distant.op, 3'600'000 * ms, waker); };
    soon.on_poll = [&](Waker *waker) {
        if (soon.polls == 1) {
            kept = *waker;
            parked = true;
            return POLL_PENDING;
        }
        return zyntax_sleep(rt, &soon.op, 20 * ms, waker);
    };
    distant.spawn(rt);
    soon.spawn(rt);
    Thread waking([&] {
        while (!parked) yield();
        kept.wake(kept.data);
    });
    {
        Limit limit(rt);
        CHECK(zyntax_runtime_block_on(rt, soon.handle) == 0);
    }
    waking.join();
    CHECK(distant.alive());
}

TEST_CASE("the_runtimes_clock_is_monotonic_and_readable_from_any_thread") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    int backwards = 0;
    auto read = [&](int *count) {
        uint64_t last = zyntax_now_ns(rt);
        for (int i = 0; i < 10'000; i++) {
            uint64_t now = zyntax_now_ns(rt);
            *count += now < last;
            last = now;
        }
    };
    int in_thread = 0;
    Thread reader(read, &in_thread);
    read(&backwards);
    reader.join();
    CHECK(backwards == 0);
    CHECK(in_thread == 0);
    CHECK(zyntax_now_ns(nullptr) == 0);
}
