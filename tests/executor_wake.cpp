// A wake causes exactly one poll. The poll never runs inside the wake, and never after the task's end.
#include "support.h"

using namespace support;

TEST_CASE("a_wake_during_poll_causes_exactly_one_more_poll") {
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (task.polls == 1) waker->wake(waker->data);
        return POLL_PENDING;
    };
    task.spawn(rt);
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 2);
}

TEST_CASE("many_wakes_during_poll_cause_exactly_one_more_poll") {
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (task.polls == 1)
            for (int i = 0; i < 1000; i++) waker->wake(waker->data);
        return POLL_PENDING;
    };
    task.spawn(rt);
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 2);
}

TEST_CASE("a_wake_from_another_thread_during_poll_causes_exactly_one_more_poll") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (task.polls == 1) Thread([waker = *waker] { waker.wake(waker.data); }).join();
        return POLL_PENDING;
    };
    task.spawn(rt);
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 2);
}

TEST_CASE("wakes_between_two_polls_coalesce") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    WakerKeeper task;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    for (int i = 0; i < 1000; i++) task.wake();
    Thread([&] {
        for (int i = 0; i < 1000; i++) task.wake();
    }).join();
    CHECK(task.polls == 1); // a wake never polls inline
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 2);
}

TEST_CASE("without_a_wake_a_pending_task_is_left_alone") {
    Runtime rt;
    Task task{[](Waker *) { return POLL_PENDING; }};
    task.spawn(rt);
    for (int i = 0; i < 10; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    CHECK(task.alive());
    CHECK(rt.idle_waits() <= 5);
}

TEST_CASE("a_task_that_woke_itself_and_was_ready_is_not_polled_again") {
    Runtime rt;
    Task task{[&](Waker *waker) {
        waker->wake(waker->data);
        return POLL_READY;
    }};
    task.spawn(rt);
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    CHECK(task.drops == 1);
    CHECK(task.outcome == 0);
}

TEST_CASE("a_remote_wake_during_the_last_poll_changes_nothing") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Task task{[&](Waker *waker) {
        Thread([waker = *waker] { waker.wake(waker.data); }).join();
        return POLL_READY;
    }};
    task.spawn(rt);
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    CHECK(task.drops == 1);
}

TEST_CASE("a_wake_after_the_end_changes_nothing") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    WakerKeeper task{POLL_READY};
    task.spawn(rt);
    REQUIRE(rt.drain());
    for (int i = 0; i < 1000; i++) task.wake();
    Thread([&] { task.wake(); }).join();
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    CHECK(task.drops == 1);
}

TEST_CASE("a_poll_that_wakes_another_task_does_not_poll_it_inline") {
    Runtime rt;
    Waker kept{};
    Task sleeper;
    sleeper.on_poll = [&](Waker *waker) {
        kept = *waker;
        return sleeper.polls == 1 ? POLL_PENDING : POLL_READY;
    };
    Task waking{[&](Waker *) {
        kept.wake(kept.data);
        CHECK(sleeper.polls == 1);
        return POLL_READY;
    }};
    sleeper.spawn(rt);
    waking.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(sleeper.polls == 2);
}

TEST_CASE("the_waker_of_a_task_is_the_same_in_every_poll") {
    Runtime rt;
    Waker kept{};
    Task task;
    task.on_poll = [&](Waker *waker) {
        Waker current{};
        CHECK(zyntax_current_waker(&current) == 0);
        CHECK(current.data == waker->data);
        CHECK((current.wake == waker->wake));
        CHECK(zyntax_current_runtime() == rt.rt);
        if (task.polls > 1) CHECK(kept.data == waker->data);
        kept = *waker;
        waker->wake(waker->data);
        return task.polls < 5 ? POLL_PENDING : POLL_READY;
    };
    task.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(zyntax_current_runtime() == nullptr);
    Waker outside{};
    CHECK(zyntax_current_waker(&outside) == ZYNTAX_EINVAL);
    CHECK(zyntax_current_waker(nullptr) == ZYNTAX_EINVAL);
}

TEST_CASE("wakes_of_live_tasks_are_counted_even_if_they_coalesce") {
    Runtime rt;
    WakerKeeper sleeper;
    Task waking{[&](Waker *) {
        for (int i = 0; i < 10; i++) sleeper.wake();
        return POLL_READY;
    }};
    sleeper.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    auto before = rt.stats();
    waking.spawn(rt);
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(rt.stats().wakes == before.wakes + 10);
    CHECK(rt.stats().polls == before.polls + 2);
    CHECK(rt.stats().wakes_remote == before.wakes_remote);
}
