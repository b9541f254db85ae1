// A cancelled task is never polled again and is dropped once, on the runtime's thread, within the next turn.
#include "support.h"

#include <random>
#include <vector>

using namespace support;

namespace {

PollStatus pending(Waker *) { return POLL_PENDING; }

// Cancels `task`, which must be alive, and checks all promises of the contract.
void check_cancel(Runtime &rt, Task &task) {
    int polls = task.polls;
    CHECK(task.alive());
    CHECK(zyntax_task_cancel(task.handle) == 0);
    CHECK(task.drops == 0); // never inside cancel
    zyntax_runtime_turn(rt, 0);
    CHECK(task.drops == 1);
    CHECK(task.outcome == ZYNTAX_ECANCELED);
    CHECK(task.polls == polls);
    CHECK_FALSE(task.alive());
    CHECK(zyntax_task_cancel(task.handle) == ZYNTAX_ESTALE);
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.drops == 1);
    CHECK(task.polls == polls);
}

} // namespace

TEST_CASE("a_task_that_was_never_polled_can_be_cancelled") {
    Runtime rt;
    Task task{pending};
    task.spawn(rt);
    check_cancel(rt, task);
    CHECK(task.polls == 0);
}

TEST_CASE("a_queued_task_can_be_cancelled") {
    Runtime rt;
    WakerKeeper task;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    task.wake();
    check_cancel(rt, task);
}

TEST_CASE("a_task_that_waits_for_a_timer_can_be_cancelled") {
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &task.op, 3'600'000 * ms, waker); };
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(rt.stats().timers_pending == 1);
    check_cancel(rt, task);
    CHECK(rt.stats().timers_pending == 0);
    CHECK(task.op == 0);
}

TEST_CASE("a_task_that_waits_for_io_can_be_cancelled") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    int64_t result;
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_io_read(io, &task.op, &byte, 1, waker, &result); };
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    check_cancel(rt, task);
    deliver(pair.far, io, "x");
    zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    CHECK(rt.idle_waits() <= 5);
}

TEST_CASE("a_task_that_joins_another_can_be_cancelled_and_the_other_goes_on") {
    Runtime rt;
    Task other{pending}, task;
    int64_t result;
    other.spawn(rt);
    task.on_poll = [&](Waker *waker) { return zyntax_task_join(other.handle, &task.op, waker, &result); };
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    check_cancel(rt, task);
    CHECK(other.alive());
    check_cancel(rt, other);
}

TEST_CASE("a_poll_that_cancels_itself_and_stays_pending_is_cancelled") {
    Runtime rt;
    Task task;
    bool self_wake = false;
    task.on_poll = [&](Waker *waker) {
        if (self_wake) waker->wake(waker->data);
        CHECK(zyntax_task_cancel(task.handle) == 0);
        CHECK(task.drops == 0);
        if (self_wake) waker->wake(waker->data);
        return POLL_PENDING;
    };
    for (bool with_wakes : {false, true}) {
        self_wake = with_wakes;
        task.polls = task.drops = 0;
        task.spawn(rt);
        for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
        CHECK(task.polls == 1);
        CHECK(task.drops == 1);
        CHECK(task.outcome == ZYNTAX_ECANCELED);
    }
}

TEST_CASE("a_poll_that_cancels_itself_and_is_ready_has_finished") {
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *) {
        CHECK(zyntax_task_cancel(task.handle) == 0);
        return POLL_READY;
    };
    task.spawn(rt);
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    CHECK(task.drops == 1);
    CHECK(task.outcome == 0);
}

TEST_CASE("a_cancel_from_another_thread_during_the_poll_lets_the_poll_decide") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    for (PollStatus answer : {POLL_READY, POLL_PENDING}) {
        Runtime rt;
        Task task;
        task.on_poll = [&](Waker *) {
            Thread([&] { CHECK(zyntax_task_cancel(task.handle) == 0); }).join();
            return answer;
        };
        task.spawn(rt);
        for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
        CHECK(task.polls == 1);
        CHECK(task.drops == 1);
        CHECK(task.outcome == (answer == POLL_READY ? 0 : ZYNTAX_ECANCELED));
    }
}

TEST_CASE("a_cancel_from_another_thread_drops_on_the_runtimes_thread") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    ThreadId dropped_on{};
    Task task{pending, [&](int32_t) { dropped_on = this_thread_id(); }};
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    Thread([&] { CHECK(zyntax_task_cancel(task.handle) == 0); }).join();
    CHECK(task.drops == 0);
    zyntax_runtime_turn(rt, 0);
    CHECK(task.drops == 1);
    CHECK(dropped_on == this_thread_id());
}

TEST_CASE("a_cancel_from_another_thread_wakes_a_sleeping_run") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    std::atomic<bool> polled{false};
    Task task{[&](Waker *) {
        polled = true;
        return POLL_PENDING;
    }};
    task.spawn(rt);
    Thread cancelling([&] {
        while (!polled) yield();
        CHECK(zyntax_task_cancel(task.handle) == 0);
    });
    {
        Limit limit(rt);
        CHECK(zyntax_runtime_run(rt) == 0);
    }
    cancelling.join();
    CHECK(task.outcome == ZYNTAX_ECANCELED);
}

TEST_CASE("once_a_cancel_from_another_thread_has_returned_no_poll_follows") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Task next{pending}, first{[&](Waker *) {
        Thread([&] { CHECK(zyntax_task_cancel(next.handle) == 0); }).join();
        return POLL_READY;
    }};
    first.spawn(rt);
    next.spawn(rt); // runs right after
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(next.polls == 0);
    CHECK(next.drops == 1);

    Task own;
    own.on_poll = [&](Waker *waker) {
        waker->wake(waker->data);
        Thread([&] { CHECK(zyntax_task_cancel(own.handle) == 0); }).join();
        return POLL_PENDING;
    };
    own.spawn(rt);
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(own.polls == 1);
    CHECK(own.outcome == ZYNTAX_ECANCELED);
}

TEST_CASE("a_poll_may_cancel_a_task_of_the_runtime_that_drives_this_one") {
    Runtime outer, inner;
    Task next{pending}, nested{[&](Waker *) {
        CHECK(zyntax_task_cancel(next.handle) == 0);
        return POLL_READY;
    }};
    Task driving{[&](Waker *) {
        nested.spawn(inner);
        CHECK(zyntax_runtime_turn(inner, 0) == 0);
        return POLL_READY;
    }};
    driving.spawn(outer);
    next.spawn(outer);
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(outer, 0);
    CHECK(next.polls == 0);
    CHECK(next.drops == 1);
}

TEST_CASE("cancelling_twice_drops_once") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Task task{pending};
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(zyntax_task_cancel(task.handle) == 0);
    CHECK(task.alive()); // it has only been asked to end
    CHECK(zyntax_task_cancel(task.handle) == 0);
    Thread([&] { CHECK(zyntax_task_cancel(task.handle) == 0); }).join();
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.drops == 1);
}

TEST_CASE("a_wake_after_a_cancel_does_not_poll") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    WakerKeeper task;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(zyntax_task_cancel(task.handle) == 0);
    task.wake();
    Thread([&] { task.wake(); }).join();
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    CHECK(task.drops == 1);
}

TEST_CASE("a_cancelled_task_is_dropped_within_the_next_turn_however_long_the_queue") {
    auto c = config();
    c.poll_budget = 4;
    for (bool remote : {false, true}) {
        if (remote) SKIP_WHEN(!has_threads, "WASI has no threads");
        Runtime rt(c);
        std::vector<Task> busy(1000);
        for (auto &task : busy) {
            task.on_poll = [](Waker *waker) {
                waker->wake(waker->data);
                return POLL_PENDING;
            };
            task.spawn(rt);
        }
        Task &last = busy.back();
        auto cancel = [&] { CHECK(zyntax_task_cancel(last.handle) == 0); };
        if (remote) Thread(cancel).join();
        else cancel();
        zyntax_runtime_turn(rt, 0);
        CHECK(last.drops == 1);
        CHECK(last.polls == 0);
    }
}

TEST_CASE("cancelling_thousands_of_tasks_at_once_drops_them_within_the_next_turn") {
    constexpr int count = 5000;
    Runtime rt;
    std::vector<Task> tasks(count);
    for (auto &task : tasks) {
        task.on_poll = pending;
        task.spawn(rt);
    }
    REQUIRE(rt.drive_until([&] { return tasks.back().polls == 1; }));
    for (auto &task : tasks) zyntax_task_cancel(task.handle);
    CHECK(zyntax_runtime_turn(rt, 0) == 0);
    int wrong = 0;
    for (auto &task : tasks) wrong += task.drops != 1;
    CHECK(wrong == 0);
}

TEST_CASE("a_poll_can_cancel_the_task_that_runs_next") {
    Runtime rt;
    Task next{pending}, first{[&](Waker *) {
        CHECK(zyntax_task_cancel(next.handle) == 0);
        CHECK(next.drops == 0);
        return POLL_READY;
    }};
    first.spawn(rt);
    next.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(next.polls == 0);
    CHECK(next.drops == 1);
}

TEST_CASE("a_slot_that_is_reused_in_the_same_turn_is_not_hit_by_the_old_cancel") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Task dying{pending}, reborn;
    reborn.on_poll = pending;
    dying.on_drop = [&](int32_t) { reborn.spawn(rt); };
    dying.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    zyntax_task *old = dying.handle;
    for (int i = 0; i < 3; i++) zyntax_task_cancel(old);
    Thread([&] { zyntax_task_cancel(old); }).join();
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(zyntax_task_cancel(old) == ZYNTAX_ESTALE);
    CHECK(reborn.polls == 1);
    CHECK(reborn.alive());
}

TEST_CASE("tasks_that_cancel_and_wake_each_other_at_random_are_all_dropped_exactly_once") {
    for (unsigned seed = 1; seed <= unsigned(scaled(200)); seed++) {
        CAPTURE(seed);
        Runtime rt;
        std::mt19937 random(seed);
        std::vector<Task> tasks(100);
        std::vector<Waker> wakers(tasks.size());
        int after_end = 0;
        for (size_t i = 0; i < tasks.size(); i++) {
            tasks[i].on_poll = [&, i](Waker *waker) {
                after_end += tasks[i].drops;
                wakers[i] = *waker;
                for (int n = 0; n < 3; n++) {
                    size_t other = random() % tasks.size();
                    if (random() % 8 == 0) zyntax_task_cancel(tasks[other].handle);
                    else if (wakers[other].wake != nullptr) wakers[other].wake(wakers[other].data);
                }
                return random() % 50 == 0 ? POLL_READY : POLL_PENDING;
            };
            tasks[i].on_drop = [&](int32_t) { zyntax_task_cancel(tasks[random() % tasks.size()].handle); };
            tasks[i].spawn(rt);
        }
        for (int turn = 0; turn < 50; turn++) zyntax_runtime_turn(rt, 0);
        rt.destroy();
        for (auto &task : tasks) REQUIRE(task.drops == 1);
        REQUIRE(after_end == 0);
    }
}

TEST_CASE("cancels_from_threads_that_race_with_the_end_of_tasks_drop_each_once") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    constexpr size_t count = scaled(20'000);
    Runtime rt;
    std::vector<std::atomic<zyntax_task *>> handles(count);
    std::atomic<size_t> published{0};
    Thread cancelling([&] {
        for (size_t i = 0; i < count; i++) {
            while (published.load() <= i) yield();
            zyntax_task_cancel(handles[i]);
        }
    });
    std::vector<int> drops(count);
    PollFn poll = [](FutureState, Waker *waker) {
        static unsigned polls;
        waker->wake(waker->data);
        return ++polls % 3 == 0 ? POLL_READY : POLL_PENDING;
    };
    DropFn drop = [](FutureState state, int32_t) { ++*static_cast<int *>(state); };
    for (size_t i = 0; i < count; i++) {
        handles[i] = zyntax_runtime_spawn_with(rt, &drops[i], poll, drop, 0);
        published = i + 1;
        if (i % 16 == 0) zyntax_runtime_turn(rt, 0);
    }
    CHECK(rt.drain());
    cancelling.join();
    int wrong = 0;
    for (int d : drops) wrong += d != 1;
    CHECK(wrong == 0);
}
