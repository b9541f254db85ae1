// The op word of an await point: cancelled, replaced, forgotten or invented, it does no harm.
#include "support.h"

#include <vector>

using namespace support;

TEST_CASE("a_cancelled_operation_wakes_nobody") {
    Clock clock;
    Runtime rt(clock.config());
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &task.op, 10 * ms, waker); };
    task.spawn(rt);
    settle(rt);
    CHECK(task.op != 0);
    CHECK(rt.stats().timers_pending == 1);
    zyntax_op_cancel(&task.op);
    CHECK(task.op == 0);
    CHECK(rt.stats().timers_pending == 0);
    clock.now += 20 * ms;
    settle(rt);
    CHECK(task.polls == 1);
    CHECK(rt.stats().timers_fired == 0);
}

TEST_CASE("a_cancelled_join_wakes_nobody_and_keeps_no_memory") {
    Runtime rt;
    Task target{[](Waker *) { return POLL_PENDING; }}, task;
    int64_t result;
    target.spawn(rt);
    task.on_poll = [&](Waker *waker) {
        zyntax_task_join(target.handle, &task.op, waker, &result);
        return POLL_PENDING;
    };
    zyntax_task *handle = task.spawn(rt);
    settle(rt);
    uint64_t waiting = rt.stats().bytes_in_use;
    zyntax_op_cancel(&task.op);
    CHECK(rt.stats().bytes_in_use < waiting);
    zyntax_task_cancel(target.handle);
    settle(rt);
    CHECK(task.polls == 1);
    CHECK(zyntax_task_alive(handle) == 1);
}

TEST_CASE("an_operation_whose_wake_is_under_way_can_still_be_cancelled") {
    Clock clock;
    Runtime rt(clock.config());
    Task other, task;
    task.on_poll = [&](Waker *waker) {
        if (task.polls == 1) return zyntax_sleep(rt, &task.op, 10 * ms, waker);
        CHECK(task.op == 0); // cancelled by the other, which was polled first
        return POLL_READY;
    };
    other.on_poll = [&](Waker *waker) {
        if (zyntax_sleep(rt, &other.op, 10 * ms, waker) == POLL_PENDING) return POLL_PENDING;
        zyntax_op_cancel(&task.op);
        return POLL_READY;
    };
    other.spawn(rt);
    task.spawn(rt);
    settle(rt);
    clock.now += 10 * ms;
    settle(rt);
    CHECK(other.outcome == 0);
    CHECK(task.polls == 2);
}

TEST_CASE("cancelling_nothing_is_fine") {
    Runtime rt;
    zyntax_op zero = 0;
    zyntax_op_cancel(nullptr);
    zyntax_op_cancel(&zero);
    CHECK(zero == 0);
}

TEST_CASE("cancelling_a_word_that_was_made_up_zeroes_it_and_touches_nothing") {
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &task.op, 3'600'000 * ms, waker); };
    task.spawn(rt);
    settle(rt);
    uint64_t bits = 0x9e3779b97f4a7c15;
    for (int i = 0; i < 100'000; i++) {
        bits = bits * 6364136223846793005 + 1442695040888963407;
        zyntax_op made_up = i % 2 == 0 ? bits : bits >> (i % 64);
        if (made_up == task.op) continue;
        zyntax_op_cancel(&made_up);
        REQUIRE(made_up == 0);
    }
    CHECK(rt.stats().timers_pending == 1);
    CHECK(task.alive());
}

TEST_CASE("cancelling_a_word_twice_does_not_reach_the_operation_that_took_its_place") {
    Runtime rt;
    zyntax_op first = 0, second = 0;
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (task.polls == 1) return zyntax_sleep(rt, &first, 3'600'000 * ms, waker);
        return zyntax_sleep(rt, &second, 3'600'000 * ms, waker);
    };
    Waker kept{};
    auto inner = task.on_poll;
    task.on_poll = [&](Waker *waker) {
        kept = *waker;
        return inner(waker);
    };
    task.spawn(rt);
    settle(rt);
    zyntax_op copy = first;
    zyntax_op_cancel(&first);
    kept.wake(kept.data);
    settle(rt);
    CHECK(rt.stats().timers_pending == 1);
    zyntax_op_cancel(&copy); // stale
    CHECK(rt.stats().timers_pending == 1);
    zyntax_op_cancel(&second);
    CHECK(rt.stats().timers_pending == 0);
}

TEST_CASE("a_forgotten_operation_fires_into_the_void") {
    Clock clock;
    Runtime rt(clock.config());
    for (int i = 0; i < 100; i++) {
        Task task;
        zyntax_op forgotten = 0;
        task.on_poll = [&](Waker *waker) {
            zyntax_sleep(rt, &forgotten, 10 * ms, waker);
            return POLL_READY;
        };
        task.spawn(rt);
        settle(rt);
        CHECK(task.drops == 1);
    }
    Task bystander{[](Waker *) { return POLL_PENDING; }}; // in the slot of one of them
    bystander.spawn(rt);
    settle(rt);
    clock.now += 20 * ms;
    settle(rt);
    CHECK(bystander.polls == 1);
    CHECK(rt.stats().timers_pending == 0);
    zyntax_task_cancel(bystander.handle);
    settle(rt);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("the_waker_of_the_last_call_is_the_one_that_is_woken") {
    Clock clock;
    Runtime rt(clock.config());
    zyntax_op op = 0;
    Task first, second;
    first.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &op, 10 * ms, waker); };
    second.on_poll = first.on_poll;
    first.spawn(rt);
    settle(rt);
    clock.now += 5 * ms;
    second.spawn(rt);
    settle(rt);
    CHECK(rt.stats().timers_pending == 1);
    clock.now += 5 * ms; // counted from the first call
    settle(rt);
    CHECK(first.polls == 1);
    CHECK(second.polls == 2);
    CHECK(second.outcome == 0);
    CHECK(op == 0);
}

TEST_CASE("one_word_serves_one_await_point_after_another") {
    Clock clock;
    Runtime rt(clock.config());
    Task target{[](Waker *) { return POLL_PENDING; }}, task;
    target.spawn(rt);
    int step = 0;
    int64_t result = 1;
    task.on_poll = [&](Waker *waker) {
        if (step == 0 && zyntax_sleep(rt, &task.op, 10 * ms, waker) == POLL_PENDING) return POLL_PENDING;
        if (step == 0) step = 1;
        if (zyntax_task_join(target.handle, &task.op, waker, &result) == POLL_PENDING) return POLL_PENDING;
        CHECK(task.op == 0);
        return POLL_READY;
    };
    task.spawn(rt);
    settle(rt);
    clock.now += 10 * ms;
    settle(rt);
    CHECK(step == 1);
    CHECK(task.op != 0);
    zyntax_task_cancel(target.handle);
    settle(rt);
    CHECK(task.outcome == 0);
    CHECK(result == 0);
}
