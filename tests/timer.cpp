// Timers on a clock that only the test moves: never early, in order, and without arithmetic errors.
#include "support.h"

#include <algorithm>
#include <random>
#include <vector>

using namespace support;

namespace {

constexpr uint64_t year = 365ull * 24 * 3'600 * 1000 * ms;

struct TimerScene {
    Clock clock;
    Runtime rt;
    explicit TimerScene(uint64_t start = 1000 * ms) : rt((clock.now = start, clock.config())) {}
    void at(uint64_t now) {
        clock.now = now;
        settle(rt);
    }
};

// Sleeps once and remembers when it woke.
struct Sleeper : Task {
    uint64_t woke = 0;
    bool fired = false;
    Sleeper(TimerScene &s, uint64_t duration_ns) {
        on_poll = [this, &s, duration_ns](Waker *waker) {
            if (zyntax_sleep(s.rt, &op, duration_ns, waker) == POLL_PENDING) return POLL_PENDING;
            woke = s.clock.now;
            fired = true;
            return POLL_READY;
        };
        spawn(s.rt);
        settle(s.rt);
    }
};

} // namespace

TEST_CASE("a_sleep_ends_when_its_time_has_come_and_not_a_nanosecond_earlier") {
    TimerScene s;
    uint64_t start = s.clock.now;
    CHECK(zyntax_now_ns(s.rt) == start);
    Sleeper sleeper(s, 10 * ms);
    CHECK(sleeper.op != 0);
    CHECK(s.rt.stats().timers_pending == 1);
    CHECK(zyntax_runtime_next_timeout_ns(s.rt) == int64_t(10 * ms));
    s.at(start + 10 * ms - 1);
    CHECK(sleeper.polls == 1);
    CHECK(zyntax_runtime_next_timeout_ns(s.rt) == 1);
    s.at(start + 10 * ms);
    CHECK(sleeper.fired);
    CHECK(sleeper.polls == 2);
    CHECK(sleeper.op == 0);
    CHECK(s.rt.stats().timers_pending == 0);
    CHECK(s.rt.stats().timers_fired == 1);
    CHECK(zyntax_runtime_next_timeout_ns(s.rt) == -1);
}

TEST_CASE("a_sleep_of_zero_and_a_deadline_that_has_passed_are_ready_at_once") {
    TimerScene s;
    Sleeper zero(s, 0);
    CHECK(zero.fired);
    CHECK(zero.polls == 1);
    for (uint64_t deadline : {uint64_t(0), uint64_t(1), s.clock.now.load()}) {
        Task task;
        task.on_poll = [&](Waker *waker) { return zyntax_sleep_until(s.rt, &task.op, deadline, waker); };
        task.spawn(s.rt);
        settle(s.rt);
        CHECK(task.polls == 1);
        CHECK(task.outcome == 0);
    }
}

TEST_CASE("sleep_until_waits_for_the_clock_to_reach_its_deadline") {
    TimerScene s;
    uint64_t deadline = s.clock.now + 5;
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_sleep_until(s.rt, &task.op, deadline, waker); };
    task.spawn(s.rt);
    settle(s.rt);
    s.at(deadline - 1);
    CHECK(task.polls == 1);
    s.at(deadline);
    CHECK(task.outcome == 0);
}

TEST_CASE("a_duration_is_counted_from_the_first_call") {
    TimerScene s;
    uint64_t start = s.clock.now;
    Waker kept{};
    Task task;
    task.on_poll = [&](Waker *waker) {
        kept = *waker;
        return zyntax_sleep(s.rt, &task.op, 10 * ms, waker);
    };
    task.spawn(s.rt);
    settle(s.rt);
    for (uint64_t i = 1; i < 10; i++) { // a spurious poll
        kept.wake(kept.data);
        s.at(start + i * ms);
        CHECK(task.alive());
    }
    s.at(start + 10 * ms);
    CHECK(task.outcome == 0);
}

TEST_CASE("timers_that_are_due_together_run_in_the_order_of_their_deadlines_and_equal_ones_of_their_arming") {
    TimerScene s;
    uint64_t start = s.clock.now;
    std::mt19937 random(1);
    std::vector<std::unique_ptr<Task>> tasks;
    std::vector<std::pair<uint64_t, int>> order;
    for (int i = 0; i < 1000; i++) {
        uint64_t deadline = start + 1 + random() % 50;
        auto task = std::make_unique<Task>();
        task->on_poll = [&, i, deadline, self = task.get()](Waker *waker) {
            if (zyntax_sleep_until(s.rt, &self->op, deadline, waker) == POLL_PENDING) return POLL_PENDING;
            order.emplace_back(deadline, i);
            return POLL_READY;
        };
        task->spawn(s.rt);
        tasks.push_back(std::move(task));
    }
    settle(s.rt);
    CHECK(s.rt.stats().timers_pending == 1000);
    s.at(start + year);
    CHECK(order.size() == 1000);
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("a_duration_is_counted_from_the_present_not_from_when_the_loop_last_looked") {
    TimerScene s;
    uint64_t armed = 0;
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (armed == 0) armed = s.clock.now += 100 * ms; // a long poll
        return zyntax_sleep(s.rt, &task.op, 50 * ms, waker);
    };
    task.spawn(s.rt);
    settle(s.rt);
    s.at(armed + 50 * ms - 1);
    CHECK(task.polls == 1);
    s.at(armed + 50 * ms);
    CHECK(task.outcome == 0);
}

TEST_CASE("huge_durations_saturate_and_never_fire_early") {
    const uint64_t durations[] = {(1ull << 31) - 1,
                                  1ull << 31,
                                  1ull << 32,
                                  1ull << 53,
                                  ((1ull << 31) - 1) * ms,
                                  (1ull << 31) * ms,
                                  (1ull << 32) * ms,
                                  INT64_MAX,
                                  uint64_t(INT64_MAX) + 1,
                                  UINT64_MAX - 2000 * ms,
                                  UINT64_MAX - 1,
                                  UINT64_MAX};
    for (uint64_t duration : durations) {
        CAPTURE(duration);
        TimerScene s;
        uint64_t start = s.clock.now;
        uint64_t deadline = duration > UINT64_MAX - start ? UINT64_MAX : start + duration;
        Sleeper sleeper(s, duration);
        CHECK_FALSE(sleeper.fired);
        CHECK(zyntax_runtime_next_timeout_ns(s.rt) != 0);
        s.at(start + (1ull << 30));
        CHECK_FALSE(sleeper.fired);
        s.at(deadline - 1);
        CHECK_FALSE(sleeper.fired);
        if (deadline == UINT64_MAX) continue; // never
        s.at(deadline);
        CHECK(sleeper.fired);
    }
}

TEST_CASE("the_deadline_never_does_not_come") {
    TimerScene s;
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_sleep_until(s.rt, &task.op, UINT64_MAX, waker); };
    task.spawn(s.rt);
    settle(s.rt);
    s.at(UINT64_MAX - 1);
    s.at(UINT64_MAX);
    CHECK(task.polls == 1);
    CHECK(task.alive());
    zyntax_op_cancel(&task.op);
    CHECK(task.op == 0);
}

TEST_CASE("a_clock_near_its_end_neither_wraps_nor_fires_early") {
    TimerScene s(UINT64_MAX - 1000);
    Sleeper in_time(s, 500), never(s, 1000), nor(s, 5000);
    s.at(UINT64_MAX - 501);
    CHECK_FALSE(in_time.fired);
    s.at(UINT64_MAX - 500);
    CHECK(in_time.fired);
    s.at(UINT64_MAX - 1);
    CHECK_FALSE(never.fired);
    CHECK_FALSE(nor.fired);
}

TEST_CASE("a_clock_that_starts_at_zero_works") {
    TimerScene s(0);
    Sleeper sleeper(s, 1);
    CHECK_FALSE(sleeper.fired);
    s.at(1);
    CHECK(sleeper.fired);
}

TEST_CASE("a_clock_that_runs_backwards_loses_no_timer_and_fires_none_early") {
    TimerScene s;
    uint64_t start = s.clock.now;
    Sleeper before(s, 100 * ms);
    for (uint64_t step : {uint64_t(1), ms, 500 * ms}) {
        s.at(start - step);
        CHECK_FALSE(before.fired);
        CHECK(zyntax_runtime_next_timeout_ns(s.rt) > 0);
    }
    Sleeper during(s, 100 * ms);
    CHECK_FALSE(during.fired);
    s.at(start + 100 * ms - 1);
    CHECK_FALSE(before.fired);
    s.at(start + 100 * ms);
    CHECK(before.fired);
    CHECK(during.fired);
}

TEST_CASE("timers_that_are_due_together_may_cancel_each_other") {
    TimerScene s;
    constexpr size_t count = 1000;
    std::mt19937 random(7);
    std::vector<Task> tasks(count);
    std::vector<int> fired(count), cancelled(count);
    for (size_t i = 0; i < count; i++) {
        tasks[i].on_poll = [&, i](Waker *waker) {
            if (zyntax_sleep(s.rt, &tasks[i].op, 10 * ms, waker) == POLL_PENDING) return POLL_PENDING;
            fired[i]++;
            for (int n = 0; n < 3; n++) {
                size_t other = random() % count;
                if (other == i || fired[other] != 0) continue;
                cancelled[other] += zyntax_task_cancel(tasks[other].handle) == 0;
            }
            return POLL_READY;
        };
        tasks[i].spawn(s.rt);
    }
    settle(s.rt);
    s.at(s.clock.now + 10 * ms);
    REQUIRE(s.rt.drain());
    for (size_t i = 0; i < count; i++) {
        CHECK(tasks[i].drops == 1);
        CHECK(fired[i] == (cancelled[i] == 0));
    }
    CHECK(s.rt.stats().timers_pending == 0);
}

TEST_CASE("arming_and_cancelling_for_ever_takes_no_more_memory") {
    Heap heap;
    Clock clock;
    Runtime rt(heap.config(clock.config()));
    zyntax_op op = 0;
    Task task;
    task.on_poll = [&](Waker *waker) {
        for (uint64_t i = 0; i < uint64_t(scaled(100'000)); i++) {
            zyntax_sleep(rt, &op, ms + i, waker);
            zyntax_op_cancel(&op);
        }
        return POLL_READY;
    };
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    uint64_t warm = heap.allocations;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 2);
    CHECK(heap.allocations == warm);
    CHECK(rt.stats().timers_pending == 0);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("after_a_suspend_every_overdue_timer_fires_once") {
    TimerScene s;
    int ticks = 0;
    Task interval;
    interval.on_poll = [&](Waker *waker) {
        while (zyntax_sleep(s.rt, &interval.op, 1000 * ms, waker) == POLL_READY) ticks++;
        return POLL_PENDING;
    };
    interval.spawn(s.rt);
    settle(s.rt);
    s.at(s.clock.now + 8 * 3'600'000 * ms);
    CHECK(ticks == 1);
    s.at(s.clock.now + 1000 * ms);
    CHECK(ticks == 2);
}

TEST_CASE("at_the_end_of_all_time_only_what_is_due_is_ready") {
    for (uint64_t before_the_end : {uint64_t(0), uint64_t(1), 100 * ms}) {
        CAPTURE(before_the_end);
        Heap heap;
        Clock clock;
        clock.now = UINT64_MAX - before_the_end;
        Runtime rt(heap.config(clock.config()));
        CHECK(zyntax_now_ns(rt) == UINT64_MAX - before_the_end);
        zyntax_op op = 0;
        int due = 0, later = 0;
        int64_t result = 0;
        Task parked{[](Waker *) { return POLL_PENDING; }};
        parked.spawn(rt);
        Task asking;
        asking.on_poll = [&](Waker *waker) {
            due += zyntax_sleep(rt, &op, 0, waker) == POLL_READY;
            due += zyntax_sleep_until(rt, &op, UINT64_MAX - before_the_end, waker) == POLL_READY || !before_the_end;
            zyntax_op_cancel(&op);
            for (uint64_t duration : {uint64_t(2), UINT64_MAX / 2, UINT64_MAX}) {
                later += zyntax_sleep(rt, &op, duration, waker) == POLL_PENDING;
                zyntax_op_cancel(&op);
            }
            later += zyntax_join_until(parked.handle, &op, UINT64_MAX, waker, &result) == POLL_PENDING;
            zyntax_op_cancel(&op);
            heap.persistent = true; // the timer that tries again has no time left either
            heap.fail_at = asking.polls == 1;
            zyntax_op filling[5'000] = {};
            for (zyntax_op &one : filling) zyntax_sleep(rt, &one, 1'000 * ms, waker);
            for (zyntax_op &one : filling) zyntax_op_cancel(&one);
            heap.fail_at = 0;
            return asking.polls < 3 ? POLL_PENDING : POLL_READY;
        };
        asking.spawn(rt);
        settle(rt);
        CHECK(due == 2 * asking.polls);
        if (before_the_end) CHECK(later == 4 * asking.polls); // at the end itself never has come, or not
        clock.now = UINT64_MAX;
        for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, int64_t(ms));
        CHECK(rt.stats().timers_pending == 0);
        CHECK(zyntax_runtime_next_timeout_ns(rt) >= -1);
        rt.destroy();
        CHECK(heap.balanced());
    }
}
