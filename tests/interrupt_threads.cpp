// Interrupts from other threads: one wakes a loop that sleeps, and races with everything that a task can do.
#include "channel_support.h"
#include "host_support.h"

#include <vector>

using namespace support;

namespace {

constexpr uint64_t hour_ns = 3'600'000 * ms;

// A task that sleeps until it is interrupted, again and again, until it has seen `ends_after` interrupts.
struct InterruptedSleeper : ScopedTask {
    int interrupts = 0, ends_after;
    std::atomic<int> seen{0};

    InterruptedSleeper(zyntax_runtime *rt, int count) : ScopedTask(rt), ends_after(count) {
        on_poll = [this](Waker *waker) {
            while (interrupts < ends_after) {
                if (zyntax_sleep(runtime, &op, hour_ns, waker) == POLL_PENDING) return POLL_PENDING;
                if (!zyntax_task_interrupted()) return POLL_READY;
                seen.store(++interrupts);
            }
            return POLL_READY;
        };
        start();
    }
};

} // namespace

TEST_CASE("an_interrupt_from_another_thread_ends_the_await_point_of_a_sleeping_loop") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    Runtime rt;
    InterruptedSleeper task(rt, 3);
    Limit limit(rt);
    Thread other([&] {
        for (int i = 0; i < 3; i++) {
            eventually([&] { return task.seen == i; });
            CHECK(zyntax_task_interrupt(task.handle) == 0);
        }
    });
    CHECK(zyntax_runtime_run(rt) == 0);
    other.join();
    CHECK(task.interrupts == 3);
    CHECK(zyntax_task_interrupt(task.handle) == ZYNTAX_ESTALE);
}

TEST_CASE("an_interrupt_of_a_runtime_that_nobody_drives_counts_in_the_next_drive") {
    Runtime rt;
    InterruptedSleeper task(rt, 1);
    settle(rt);
    CHECK(zyntax_task_interrupt(task.handle) == 0);
    CHECK(zyntax_task_interrupt(task.handle) == 0);
    CHECK(task.interrupts == 0);
    REQUIRE(rt.drain());
    CHECK(task.interrupts == 1);
}

TEST_CASE("a_cancel_wins_over_an_interrupt_before_it_and_after_it") {
    Runtime rt;
    for (bool interrupt_first : {false, true}) {
        InterruptedSleeper task(rt, 1);
        settle(rt);
        if (interrupt_first) CHECK(zyntax_task_interrupt(task.handle) == 0);
        CHECK(zyntax_task_cancel(task.handle) == 0);
        CHECK(zyntax_task_interrupt(task.handle) == 0);
        settle(rt);
        CHECK(task.interrupts == 0);
        CHECK(task.outcome == ZYNTAX_ECANCELED);
        CHECK(task.polls == 1);
    }
}

TEST_CASE("an_interrupt_that_was_asked_for_once_is_seen_once_in_each_life_of_a_tasks_place") {
    Runtime rt;
    for (int life = 0; life < 50; life++) {
        InterruptedSleeper task(rt, 2);
        if (life % 3) settle(rt);
        CHECK(zyntax_task_interrupt(task.handle) == 0);
        settle(rt);
        REQUIRE(task.interrupts == 1);
        REQUIRE(task.alive());
        if (life % 2) CHECK(zyntax_task_interrupt(task.handle) == 0);
        if (life % 4 < 2) zyntax_task_cancel(task.handle);
        else if (life % 2 == 0) CHECK(zyntax_task_interrupt(task.handle) == 0);
        REQUIRE(rt.drain());
        REQUIRE(task.interrupts == (life % 4 < 2 ? 1 : 2));
    }
}

TEST_CASE("interrupts_of_many_threads_race_with_wakes_cancels_and_ends_and_each_task_ends_once") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    Runtime rt;
    constexpr int threads = 4;
    std::atomic<uintptr_t> target{0};
    std::atomic<bool> over{false};
    std::vector<Thread> others;
    for (int i = 0; i < threads; i++) {
        others.emplace_back([&, i] {
            while (!over) {
                auto *task = reinterpret_cast<zyntax_task *>(target.load());
                int32_t error = i == 0 && task ? zyntax_task_cancel(task) : zyntax_task_interrupt(task);
                if (error != 0 && error != ZYNTAX_ESTALE) over = true;
                yield();
            }
        });
    }
    int canceled = 0, interrupted = 0;
    for (int round = 0; round < scaled(2'000) && !over; round++) {
        InterruptedSleeper task(rt, round % 3 + 1);
        target = reinterpret_cast<uintptr_t>(task.handle);
        REQUIRE(rt.drive_until([&] { return !task.alive(); }));
        CHECK(task.drops == 1);
        canceled += task.outcome == ZYNTAX_ECANCELED;
        interrupted += task.interrupts;
        if (task.outcome == 0) CHECK(task.interrupts == round % 3 + 1);
    }
    over = true;
    for (Thread &other : others) other.join();
    CHECK(canceled + interrupted > 0);
}

TEST_CASE("an_interrupt_that_returns_0_is_never_lost") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    Runtime rt;
    int rounds = scaled(5'000);
    InterruptedSleeper task(rt, rounds);
    Limit limit(rt);
    Thread other([&] {
        for (int i = 0; i < rounds; i++) {
            if (zyntax_task_interrupt(task.handle) != 0) return;
            if (!eventually([&] { return task.seen > i; })) return;
        }
    });
    CHECK(zyntax_runtime_run(rt) == 0);
    other.join();
    CHECK(task.interrupts == rounds);
}

TEST_CASE("an_interrupt_may_race_with_destroy") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    for (int round = 0; round < scaled(200); round++) {
        Runtime rt;
        Task task{[&](Waker *waker) { return zyntax_sleep(rt, &task.op, hour_ns, waker); }};
        task.spawn(rt);
        settle(rt);
        std::atomic<int> begun{0};
        Thread other([&, handle = task.handle] {
            begun = 1;
            while (zyntax_task_interrupt(handle) == 0) begun = 2;
        });
        eventually([&] { return begun > 0; });
        rt.destroy();
        other.join();
        CHECK(task.drops == 1);
    }
}
