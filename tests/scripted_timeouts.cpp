// The loop's timeouts: none while there is work, else exactly to the next deadline, else infinite. The poller records
// them.
#include "scripted_world.h"

#include <algorithm>
#include <random>

using namespace support;
using scripted::second;
using scripted::Sim;

namespace {

using Timeouts = std::vector<int64_t>;

constexpr uint64_t year = 31'557'600 * second;

// A task that sleeps once, and when it went on.
struct Sleeper {
    Sim &sim;
    uint64_t duration_ns, begun_ns, woken_ns = 0;
    Await await;

    Sleeper(Sim &s, uint64_t duration)
        : sim(s),
          duration_ns(duration),
          begun_ns(s.world.now_ns),
          await(s.rt, [this](zyntax_op *op, Waker *waker, int64_t *result) {
              PollStatus status = zyntax_sleep(sim.rt, op, duration_ns, waker);
              if (status == POLL_READY) *result = 0;
              woken_ns = sim.world.now_ns;
              return status;
          }) {}
    bool on_time() const { return await.result == 0 && woken_ns == begun_ns + duration_ns; }
};

// A task that yields `count` times.
struct Yielder : Task {
    explicit Yielder(int count) {
        on_poll = [this, count](Waker *waker) {
            if (polls > count) return POLL_READY;
            waker->wake(waker->data);
            return POLL_PENDING;
        };
    }
};

bool all_zero(const Timeouts &timeouts) {
    return std::all_of(timeouts.begin(), timeouts.end(), [](int64_t t) { return t == 0; });
}

} // namespace

TEST_CASE("the_loop_does_not_sleep_while_a_task_is_ready") {
    zyntax_runtime_config config = support::config();
    config.poll_budget = 1;
    Sim sim(config);
    char byte;
    Await reader(sim.rt, reading(sim.adopt({.room = 0}), &byte, 1));
    Await sleeper(sim.rt, sleeping(sim.rt, second));
    sim.settle();
    Yielder yielder(100);
    yielder.spawn(sim.rt);
    CHECK(zyntax_runtime_block_on(sim.rt, yielder.handle) == 0);
    CHECK(sim.world.timeouts.size() >= 100);
    CHECK(all_zero(sim.world.timeouts));
}

TEST_CASE("the_loop_does_not_sleep_when_another_thread_has_woken_a_task") {
    Sim sim;
    Task task;
    Waker copy{};
    task.on_poll = [&](Waker *waker) {
        copy = *waker;
        return task.polls < 3 ? POLL_PENDING : POLL_READY;
    };
    task.spawn(sim.rt);
    sim.settle();
    for (int i = 0; i < 2; i++) {
        zyntax_wake_from_signal(&copy);
        zyntax_runtime_turn(sim.rt, -1);
    }
    CHECK(task.polls == 3);
    CHECK(all_zero(sim.world.timeouts));
}

TEST_CASE("the_loop_sleeps_exactly_to_the_next_deadline") {
    for (uint64_t duration : {uint64_t(1), uint64_t(999), ms - 1, ms, ms + 1, second, year}) {
        CAPTURE(duration);
        Sim sim;
        Sleeper sleeper(sim, duration), longer(sim, duration + 1);
        CHECK(zyntax_runtime_run(sim.rt) == 0);
        CHECK(sim.world.timeouts == Timeouts{int64_t(duration), 1});
        CHECK(sleeper.on_time());
        CHECK(longer.on_time());
    }
}

TEST_CASE("the_loop_sleeps_without_limit_when_nothing_is_timed") {
    Sim sim;
    zyntax_io *io = sim.adopt();
    char byte;
    Await reader(sim.rt, reading(io, &byte, 1));
    sim.world.after(10 * year, [&] { sim.of(io).in = "x"; });
    CHECK(zyntax_runtime_block_on(sim.rt, reader.task.handle) == 0);
    CHECK(reader.result == 1);
    CHECK(sim.world.timeouts == Timeouts{0, -1}); // before the first poll, and after it
}

TEST_CASE("a_turn_sleeps_for_the_shorter_of_its_timeout_and_the_next_deadline") {
    Sim sim;
    Sleeper sleeper(sim, 5 * ms);
    CHECK(sim.turn_and_sleep(int64_t(ms)) == 0); // there is a task to poll
    CHECK(sim.turn_and_sleep(int64_t(ms)) == int64_t(ms));
    CHECK(sim.turn_and_sleep(int64_t(10 * ms)) == int64_t(4 * ms));
    CHECK(sleeper.on_time());
}

TEST_CASE("a_deadline_that_is_armed_by_a_wake_during_the_sleep_counts") {
    Sim sim;
    Sleeper late(sim, 10 * second);
    Task task;
    Waker copy{};
    task.on_poll = [&](Waker *waker) {
        copy = *waker;
        if (task.polls == 1) return POLL_PENDING;
        return zyntax_sleep(sim.rt, &task.op, 20 * ms, waker);
    };
    task.spawn(sim.rt);
    sim.world.after(second, [&] { zyntax_wake_from_signal(&copy); });
    CHECK(zyntax_runtime_block_on(sim.rt, task.handle) == 0);
    CHECK(sim.world.now_ns == late.begun_ns + second + 20 * ms);
    CHECK(sim.world.wakes == 1);
    CHECK(sim.world.timeouts == Timeouts{int64_t(10 * second), int64_t(20 * ms)});
}

TEST_CASE("a_deadline_that_is_cancelled_during_the_sleep_does_not_count") {
    Sim sim;
    Sleeper early(sim, second), late(sim, 3 * second);
    sim.settle();
    early.await.cancel();
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(late.on_time());
    CHECK(sim.world.timeouts.back() == int64_t(3 * second));
}

TEST_CASE("a_wait_that_ends_early_is_gone_on_with") {
    Sim sim;
    sim.world.early_waits = 3;
    Sleeper sleeper(sim, second);
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(sleeper.on_time());
    CHECK(sim.world.timeouts == Timeouts{int64_t(second), int64_t(500 * ms), int64_t(250 * ms), int64_t(125 * ms)});
}

TEST_CASE("a_wait_that_ends_late_fires_everything_that_is_due") {
    Sim sim;
    sim.world.late_ns = ms;
    Sleeper first(sim, second), second_one(sim, second + ms), third(sim, second + ms + 1);
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(first.woken_ns == first.begun_ns + second + ms);
    CHECK(second_one.on_time());
    CHECK(sim.world.timeouts == Timeouts{int64_t(second), 1});
}

TEST_CASE("huge_durations_give_the_poller_a_timeout_it_can_take") {
    for (uint64_t duration : {(uint64_t(1) << 31) - 1, uint64_t(1) << 31, uint64_t(1) << 32, uint64_t(1) << 53,
                              uint64_t(INT64_MAX) - 1, uint64_t(INT64_MAX), uint64_t(INT64_MAX) + 1, UINT64_MAX - 1}) {
        CAPTURE(duration);
        Sim sim(uint64_t(0));
        Sleeper sleeper(sim, duration);
        CHECK(zyntax_runtime_run(sim.rt) == 0);
        CHECK(sleeper.on_time());
        for (int64_t timeout : sim.world.timeouts) CHECK(timeout > 0);
        CHECK(sim.world.timeouts.size() <= 3);
    }
}

TEST_CASE("never_is_no_deadline") {
    Sim sim;
    Sleeper never(sim, UINT64_MAX), saturated(sim, UINT64_MAX - 1);
    CHECK(zyntax_runtime_run(sim.rt) == ZYNTAX_EDEADLK); // of the poller: it would sleep for ever
    CHECK(sim.world.timeouts == Timeouts{-1});
    CHECK(never.await.alive());
    CHECK(saturated.await.alive());
}

TEST_CASE("deadlines_are_exact_at_any_uptime") {
    for (uint64_t uptime : {uint64_t(1) << 32, (uint64_t(1) << 36) * ms, (uint64_t(1) << 42) * ms, (uint64_t(1) << 63),
                            uint64_t(INT64_MAX) - 1, UINT64_MAX - 40 * year}) {
        for (uint64_t offset : {uint64_t(0), uint64_t(1), 5 * ms}) {
            Sim sim(uptime - offset);
            Sleeper always(sim, 30 * year);
            for (int i = 0; i < 10; i++) {
                Sleeper interval(sim, 333 * ms);
                CHECK(zyntax_runtime_block_on(sim.rt, interval.await.task.handle) == 0);
                CHECK(interval.on_time());
            }
            CHECK(zyntax_runtime_run(sim.rt) == 0);
            CHECK(always.on_time());
        }
    }
}

TEST_CASE("a_hundred_years_of_sleeps_are_exact") {
    Sim sim;
    std::mt19937_64 random(1);
    uint64_t end = sim.world.now_ns + 100 * year;
    uint64_t sleeps = 0;
    while (sim.world.now_ns < end) {
        Sleeper a(sim, 1 + random() % year), b(sim, 1 + random() % second), c(sim, 1 + random() % ms);
        REQUIRE(zyntax_runtime_run(sim.rt) == 0);
        REQUIRE((a.on_time() && b.on_time() && c.on_time()));
        sleeps += 3;
    }
    CHECK(sim.world.timeouts.size() <= sleeps);
}

TEST_CASE("a_blocking_job_is_no_reason_to_look_again_and_again") {
    Sim sim;
    Await job(sim.rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_blocking(
            sim.rt, op, [](void *) { return int64_t(42); }, nullptr, 0, waker, result);
    });
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(job.result == 42);
    CHECK(sim.world.timeouts == Timeouts{-1});
}

TEST_CASE("the_time_of_spinning_is_taken_off_the_sleep") {
    zyntax_runtime_config config = support::config();
    config.spin_us = 50;
    Sim sim(config);
    Sleeper sleeper(sim, ms);
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(sleeper.await.result == 0);
    CHECK(sim.world.now_ns >= sleeper.begun_ns + ms);
    CHECK(sim.world.now_ns <= sleeper.begun_ns + ms + 2000);
    CHECK(std::count(sim.world.timeouts.begin(), sim.world.timeouts.end(), 0) >= 40);
    CHECK(std::count_if(sim.world.timeouts.begin(), sim.world.timeouts.end(), [](int64_t t) { return t > 0; }) == 1);
}

TEST_CASE("a_wake_at_any_moment_between_the_last_poll_and_the_sleep_is_seen") {
    for (uint64_t moment = 0; moment <= 3000; moment += 10) {
        CAPTURE(moment);
        zyntax_runtime_config config = support::config();
        config.spin_us = 2;
        Sim sim(config);
        Task task;
        Waker copy{};
        task.on_poll = [&](Waker *waker) {
            copy = *waker;
            return task.polls == 1 ? POLL_PENDING : POLL_READY;
        };
        task.spawn(sim.rt);
        sim.world.after(moment, [&] { zyntax_wake_from_signal(&copy); });
        CHECK(zyntax_runtime_block_on(sim.rt, task.handle) == 0);
    }
}

TEST_CASE("the_host_is_told_the_time_that_the_loop_would_sleep") {
    Sim sim;
    CHECK(zyntax_runtime_next_timeout_ns(sim.rt) == -1);
    Sleeper sleeper(sim, 7 * ms);
    CHECK(zyntax_runtime_next_timeout_ns(sim.rt) == 0);
    zyntax_runtime_turn(sim.rt, 0);
    CHECK(zyntax_runtime_next_timeout_ns(sim.rt) == int64_t(7 * ms));
    sim.world.now_ns += 7 * ms;
    CHECK(zyntax_runtime_next_timeout_ns(sim.rt) == 0);
}

TEST_CASE("a_clock_that_goes_back_takes_no_time_back") {
    Sim sim;
    Sleeper sleeper(sim, second);
    sim.settle();
    sim.world.now_ns += second / 2;
    uint64_t seen = zyntax_now_ns(sim.rt), seen_inside = 0;
    Task task;
    task.on_poll = [&](Waker *) {
        seen_inside = zyntax_now_ns(sim.rt);
        return POLL_READY;
    };
    zyntax_runtime_turn(sim.rt, 0);
    sim.world.now_ns -= second / 4;
    task.spawn(sim.rt);
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(seen_inside >= seen);
    CHECK(sleeper.await.result == 0);
    CHECK(sim.world.now_ns >= sleeper.begun_ns + second);
}

TEST_CASE("a_hold_that_is_released_just_before_the_loop_sleeps_is_a_stall_and_no_sleep") {
    zyntax_runtime_config config = support::config();
    config.flags = ZYNTAX_DETECT_STALL;
    config.spin_us = 10;
    Sim sim(config);
    Task parked;
    parked.on_poll = [](Waker *) { return POLL_PENDING; };
    parked.spawn(sim.rt);
    zyntax_runtime_hold(sim.rt);
    sim.world.before_wait = [&](int64_t timeout_ns) { // while it spins: it has asked whether there is a hold already
        sim.world.now_ns += second;
        if (timeout_ns == 0 && parked.polls == 1) zyntax_runtime_release(sim.rt);
    };
    CHECK(zyntax_runtime_run(sim.rt) == ZYNTAX_EDEADLK);
    CHECK(parked.polls == 1);
    CHECK(all_zero(sim.world.timeouts));
    sim.world.before_wait = nullptr;
}
