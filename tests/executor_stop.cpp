// zyntax_runtime_stop ends the call that drives, or the next one, and no other.
#include "support.h"

using namespace support;

TEST_CASE("a_stop_from_a_poll_ends_run_and_the_tasks_stay_alive") {
    Runtime rt;
    bool resumed = false;
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (resumed) return POLL_READY;
        if (task.polls == 1) zyntax_runtime_stop(rt);
        waker->wake(waker->data);
        return POLL_PENDING;
    };
    task.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED);
    CHECK(task.alive());
    CHECK(task.drops == 0);
    CHECK(task.polls <= 256); // "soon" is the budget at most
    resumed = true;
    CHECK(zyntax_runtime_run(rt) == 0); // driving again goes on
    CHECK(task.outcome == 0);
}

TEST_CASE("a_stop_from_another_thread_wakes_a_sleeping_run") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    std::atomic<bool> polled{false};
    Task task{[&](Waker *) {
        polled = true;
        return POLL_PENDING;
    }};
    task.spawn(rt);
    Thread stopper([&] {
        while (!polled) yield();
        zyntax_runtime_stop(rt);
    });
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED);
    stopper.join();
    CHECK(task.alive());
}

TEST_CASE("a_stop_ends_the_next_run_if_nobody_drives_but_only_that") {
    Runtime rt;
    Task task{[](Waker *) { return POLL_READY; }};
    task.spawn(rt);
    zyntax_runtime_stop(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.polls == 1);
}

TEST_CASE("a_stop_ends_the_next_block_on_too") {
    Runtime rt;
    Task task{[](Waker *waker) {
        waker->wake(waker->data);
        return POLL_PENDING;
    }};
    task.spawn(rt);
    zyntax_runtime_stop(rt);
    CHECK(zyntax_runtime_block_on(rt, task.handle) == ZYNTAX_ECANCELED);
    CHECK(task.alive());
}

TEST_CASE("a_stop_ends_a_turn_that_waits") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Task task{[](Waker *) { return POLL_PENDING; }};
    task.spawn(rt);
    CHECK(zyntax_runtime_turn(rt, 0) == 1);
    Thread stopper([&] { zyntax_runtime_stop(rt); });
    CHECK(zyntax_runtime_turn(rt, -1) == ZYNTAX_ECANCELED);
    stopper.join();
    CHECK(zyntax_runtime_turn(rt, 0) == 1);
}

TEST_CASE("a_stop_of_one_runtime_leaves_another_alone") {
    Runtime a, b;
    Task task{[](Waker *) { return POLL_READY; }};
    task.spawn(b);
    zyntax_runtime_stop(a);
    CHECK(zyntax_runtime_run(b) == 0);
    CHECK(zyntax_runtime_turn(a, 0) == ZYNTAX_ECANCELED);
}

TEST_CASE("a_stopped_runtime_can_be_destroyed") {
    Runtime rt;
    Task task{[](Waker *) { return POLL_PENDING; }};
    task.spawn(rt);
    zyntax_runtime_stop(rt);
    rt.destroy();
    CHECK(task.drops == 1);
    CHECK(task.outcome == ZYNTAX_ECANCELED);
}
