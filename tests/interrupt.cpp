// Interrupts: when an await point ends, and when the interrupt stays. The kinds of await points are in
// interrupt_waits.cpp.
#include "channel_support.h"

#include <deque>
#include <vector>

using namespace support;

namespace {

constexpr uint64_t one_hour_ns = 3'600'000 * ms;

// A task that awaits one operation after another, and notes how each ended.
struct AwaitSteps : ScopedTask {
    std::vector<Operation> steps;
    std::vector<int64_t> results;
    std::vector<int32_t> seen; // of zyntax_task_interrupted
    std::function<void(Waker *)> before = nullptr;

    AwaitSteps(zyntax_runtime *rt, std::vector<Operation> operations) : ScopedTask(rt), steps(std::move(operations)) {
        on_poll = [this](Waker *waker) {
            if (before) before(waker);
            while (results.size() < steps.size()) {
                int64_t result = unfinished;
                if (steps[results.size()](&op, waker, &result) == POLL_PENDING) return POLL_PENDING;
                CHECK(op == 0);
                results.push_back(result);
                seen.push_back(zyntax_task_interrupted());
            }
            return POLL_READY;
        };
        start();
    }
    int32_t interrupt() const { return zyntax_task_interrupt(handle); }
};

Operation sleeping_until(zyntax_runtime *rt, uint64_t deadline_ns) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        PollStatus status = zyntax_sleep_until(rt, op, deadline_ns, waker);
        if (status == POLL_READY) *result = 0;
        return status;
    };
}

} // namespace

TEST_CASE("an_interrupt_before_the_first_poll_ends_the_first_await_point_that_would_have_to_wait") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    AwaitSteps task(rt, {receiving(channel, &item), sleeping(rt, 0)});
    CHECK(task.interrupt() == 0);
    settle(rt);
    CHECK(task.results == std::vector<int64_t>{ZYNTAX_EINTR, 0});
    CHECK(task.seen == std::vector<int32_t>{1, 0});
    CHECK(task.polls == 1);
}

TEST_CASE("an_interrupt_between_two_polls_ends_the_await_point_where_the_task_waits") {
    Runtime rt;
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns), sleeping(rt, 1)});
    settle(rt);
    REQUIRE(task.alive());
    CHECK(rt.stats().timers_pending == 1);
    CHECK(task.interrupt() == 0);
    zyntax_runtime_turn(rt, 0);
    CHECK(task.seen == std::vector<int32_t>{1});
    REQUIRE(rt.drain());
    CHECK(task.seen == std::vector<int32_t>{1, 0});
}

TEST_CASE("an_interrupt_of_a_task_by_its_own_poll_ends_an_await_point_of_it") {
    Runtime rt;
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns)});
    task.before = [&](Waker *) {
        if (task.polls == 1) CHECK(task.interrupt() == 0);
    };
    REQUIRE(rt.drain());
    CHECK(task.seen == std::vector<int32_t>{1});
}

TEST_CASE("an_interrupt_in_the_poll_that_has_seen_one_is_a_new_one") {
    Runtime rt;
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns), sleeping(rt, one_hour_ns), sleeping(rt, 1)});
    task.steps[1] = [&](zyntax_op *op, Waker *waker, int64_t *result) {
        if (*op == 0) CHECK(task.interrupt() == 0);
        return sleeping(rt, one_hour_ns)(op, waker, result);
    };
    task.interrupt();
    REQUIRE(rt.drain());
    CHECK(task.seen == std::vector<int32_t>{1, 1, 0});
}

TEST_CASE("an_interrupt_by_the_poll_of_another_task_of_the_runtime_ends_an_await_point") {
    Runtime rt;
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns)});
    settle(rt);
    AwaitSteps other(rt, {[&](zyntax_op *, Waker *, int64_t *result) {
                         *result = task.interrupt();
                         return POLL_READY;
                     }});
    REQUIRE(rt.drain());
    CHECK(other.results == std::vector<int64_t>{0});
    CHECK(task.seen == std::vector<int32_t>{1});
}

TEST_CASE("an_interrupt_after_the_end_is_stale_and_reaches_no_later_task") {
    Runtime rt;
    CHECK(zyntax_task_interrupt(nullptr) == ZYNTAX_ESTALE);
    zyntax_task *ended;
    {
        AwaitSteps task(rt, {});
        REQUIRE(rt.drain());
        ended = task.handle;
    }
    CHECK(zyntax_task_interrupt(ended) == ZYNTAX_ESTALE);
    AwaitSteps next(rt, {sleeping(rt, 1)});
    CHECK(zyntax_task_interrupt(ended) == ZYNTAX_ESTALE);
    REQUIRE(rt.drain());
    CHECK(next.seen == std::vector<int32_t>{0});
}

TEST_CASE("a_task_that_ends_with_an_interrupt_unseen_leaves_none_to_the_next_task_in_its_place") {
    Runtime rt;
    for (int i = 0; i < 600; i++) {
        AwaitSteps task(rt, {});
        task.interrupt();
        REQUIRE(rt.drain());
        AwaitSteps next(rt, {sleeping(rt, 1)});
        REQUIRE(rt.drain());
        REQUIRE(next.seen == std::vector<int32_t>{0});
    }
}

TEST_CASE("an_interrupt_of_a_cancelled_task_is_0_and_does_nothing") {
    Runtime rt;
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns)});
    settle(rt);
    int polls = task.polls;
    task.on_drop = [&](int32_t) { CHECK(task.interrupt() == ZYNTAX_ESTALE); };
    CHECK(zyntax_task_cancel(task.handle) == 0);
    CHECK(task.interrupt() == 0);
    settle(rt);
    CHECK(task.outcome == ZYNTAX_ECANCELED);
    CHECK(task.polls == polls);
    CHECK(task.results.empty());
    CHECK(task.drops == 1);
}

TEST_CASE("a_cancel_of_an_interrupted_task_ends_it_unpolled") {
    Runtime rt;
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns)});
    settle(rt);
    task.interrupt();
    zyntax_task_cancel(task.handle);
    settle(rt);
    CHECK(task.polls == 1);
    CHECK(task.outcome == ZYNTAX_ECANCELED);
}

TEST_CASE("two_interrupts_before_one_is_seen_are_one") {
    Runtime rt;
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns), sleeping(rt, 1)});
    task.interrupt();
    CHECK(task.interrupt() == 0);
    settle(rt);
    CHECK(task.seen.front() == 1);
    REQUIRE(rt.drain());
    CHECK(task.seen == std::vector<int32_t>{1, 0});
}

TEST_CASE("an_interrupt_stays_while_await_points_find_their_results") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    for (int i = 1; i < 4; i++) send_now(rt, channel, i);
    int items[4] = {};
    std::vector<Operation> receives;
    for (int &item : items) receives.push_back(receiving(channel, &item));
    AwaitSteps task(rt, receives);
    task.interrupt();
    settle(rt);
    CHECK(task.results == std::vector<int64_t>{1, 1, 1, ZYNTAX_EINTR});
    CHECK(items[2] == 3);
}

TEST_CASE("an_interrupt_that_meets_a_result_on_its_way_stays_for_the_next_await_point") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    AwaitSteps task(rt, {receiving(channel, &item), sleeping(rt, one_hour_ns)});
    settle(rt);
    send_now(rt, channel, 5);
    settle(rt);
    REQUIRE(task.results == std::vector<int64_t>{1});
    AwaitSteps second(rt, {receiving(channel, &item), sleeping(rt, one_hour_ns)});
    settle(rt);
    int sent = 7;
    AwaitSteps sender(rt, {[&](zyntax_op *op, Waker *waker, int64_t *result) {
                          PollStatus status = zyntax_channel_send(channel, op, &sent, waker, result);
                          second.interrupt(); // `second` has the turn already
                          return status;
                      }});
    REQUIRE(rt.drive_until([&] { return !second.alive(); }));
    CHECK(second.results == std::vector<int64_t>{1, 0});
    CHECK(second.seen == std::vector<int32_t>{0, 1});
    CHECK(item == 7);
}

TEST_CASE("a_task_that_waits_for_a_waker_of_its_own_is_polled_once_and_the_interrupt_stays") {
    Runtime rt;
    WakerKeeper task;
    zyntax_op op = 0;
    int32_t seen = -1;
    bool sleeps = false;
    task.on_poll = [&](Waker *waker) {
        task.kept = *waker;
        if (!sleeps) return POLL_PENDING;
        PollStatus status = zyntax_sleep(rt, &op, one_hour_ns, waker);
        seen = zyntax_task_interrupted();
        return status;
    };
    task.spawn(rt);
    settle(rt);
    REQUIRE(task.polls == 1);
    zyntax_task_interrupt(task.handle);
    settle(rt);
    CHECK(task.polls == 2);
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(task.polls == 2);
    sleeps = true;
    task.wake();
    REQUIRE(rt.drain());
    CHECK(seen == 1);
    CHECK(task.polls == 3);
}

TEST_CASE("interrupted_is_1_once_after_an_interrupt_and_0_outside_of_polls") {
    Runtime rt;
    CHECK(zyntax_task_interrupted() == 0);
    int polled = 0;
    Task task;
    task.on_poll = [&](Waker *waker) {
        CHECK(zyntax_task_interrupted() == 0);
        if (zyntax_sleep(rt, &task.op, one_hour_ns, waker) == POLL_PENDING) return POLL_PENDING;
        CHECK(zyntax_task_interrupted() == 1);
        CHECK(zyntax_task_interrupted() == 0);
        polled++;
        return POLL_READY;
    };
    task.on_drop = [](int32_t) { CHECK(zyntax_task_interrupted() == 0); };
    task.spawn(rt);
    settle(rt);
    zyntax_task_interrupt(task.handle);
    REQUIRE(rt.drain());
    CHECK(polled == 1);
    CHECK(zyntax_task_interrupted() == 0);
}

TEST_CASE("interrupted_is_0_once_another_await_point_has_ended") {
    Runtime rt;
    Task task;
    int32_t after_wait = -1, after_end = -1;
    task.on_poll = [&](Waker *waker) {
        zyntax_op other = 0;
        CHECK(zyntax_sleep(rt, &task.op, one_hour_ns, waker) == POLL_READY);
        CHECK(zyntax_sleep(rt, &other, one_hour_ns, waker) == POLL_PENDING);
        zyntax_op_cancel(&other);
        CHECK(zyntax_sleep(rt, &other, 0, waker) == POLL_READY);
        after_end = zyntax_task_interrupted();
        return POLL_READY;
    };
    task.spawn(rt);
    zyntax_task_interrupt(task.handle);
    REQUIRE(rt.drain());
    CHECK(after_end == 0);
    Task second;
    second.on_poll = [&](Waker *waker) {
        zyntax_op other = 0;
        CHECK(zyntax_sleep(rt, &second.op, one_hour_ns, waker) == POLL_READY);
        CHECK(zyntax_sleep(rt, &other, one_hour_ns, waker) == POLL_PENDING); // it has not ended
        after_wait = zyntax_task_interrupted();
        zyntax_op_cancel(&other);
        return POLL_READY;
    };
    second.spawn(rt);
    zyntax_task_interrupt(second.handle);
    REQUIRE(rt.drain());
    CHECK(after_wait == 1);
}

TEST_CASE("interrupted_is_0_in_the_next_poll_however_many_await_points_it_ends") {
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (task.polls == 1) {
            CHECK(zyntax_sleep(rt, &task.op, one_hour_ns, waker) == POLL_READY);
            waker->wake(waker->data);
            return POLL_PENDING;
        }
        for (int i = 0; i < 100; i++) {
            CHECK(zyntax_task_interrupted() == 0);
            CHECK(zyntax_sleep(rt, &task.op, 0, waker) == POLL_READY);
        }
        return POLL_READY;
    };
    task.spawn(rt);
    zyntax_task_interrupt(task.handle);
    REQUIRE(rt.drain());
    CHECK(task.polls == 2);
}

TEST_CASE("another_task_in_the_same_round_is_not_interrupted") {
    Runtime rt;
    AwaitSteps first(rt, {sleeping(rt, 1)});
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns)});
    AwaitSteps last(rt, {sleeping(rt, 1)});
    task.interrupt();
    REQUIRE(rt.drain());
    CHECK(first.seen == std::vector<int32_t>{0});
    CHECK(task.seen == std::vector<int32_t>{1});
    CHECK(last.seen == std::vector<int32_t>{0});
}

TEST_CASE("an_interrupted_poll_has_the_budget_of_any_other_poll") {
    zyntax_runtime_config limited = config();
    limited.await_budget = 10;
    Runtime rt(limited);
    std::vector<Operation> steps(25, sleeping(rt, 0));
    steps.push_back(sleeping(rt, one_hour_ns));
    AwaitSteps task(rt, steps);
    task.interrupt();
    REQUIRE(rt.drain());
    CHECK(task.polls == 3);
    CHECK(task.seen.back() == 1);
}

TEST_CASE("the_budget_counts_on_after_an_interrupt") {
    zyntax_runtime_config limited = config();
    limited.await_budget = 10;
    Runtime rt(limited);
    std::vector<Operation> steps(15, sleeping(rt, 0));
    steps[4] = sleeping(rt, one_hour_ns);
    AwaitSteps task(rt, steps);
    std::vector<size_t> done;
    task.before = [&](Waker *) { done.push_back(task.results.size()); };
    task.interrupt();
    REQUIRE(rt.drain());
    CHECK(done == std::vector<size_t>{0, 10});
}

TEST_CASE("a_poll_without_a_budget_can_be_interrupted") {
    zyntax_runtime_config unlimited = config();
    unlimited.await_budget = UINT32_MAX;
    Runtime rt(unlimited);
    std::vector<Operation> steps(1000, sleeping(rt, 0));
    steps.push_back(sleeping(rt, one_hour_ns));
    AwaitSteps task(rt, steps);
    task.interrupt();
    REQUIRE(rt.drain());
    CHECK(task.polls == 1);
    CHECK(task.seen.back() == 1);
}

TEST_CASE("a_host_waker_in_an_interrupted_poll_is_the_tasks_await_point_too") {
    Runtime rt;
    Waker host{nullptr, [](void *) {}};
    Task task;
    task.on_poll = [&](Waker *) { return zyntax_sleep(rt, &task.op, one_hour_ns, &host); };
    task.spawn(rt);
    settle(rt);
    REQUIRE(task.alive());
    zyntax_task_interrupt(task.handle);
    REQUIRE(rt.drain());
    CHECK(task.polls == 2);
}

TEST_CASE("a_hosts_own_await_points_are_not_interrupted") {
    Runtime rt;
    Waker host{nullptr, [](void *) {}};
    zyntax_op op = 0;
    AwaitSteps task(rt, {sleeping(rt, one_hour_ns)});
    task.interrupt();
    CHECK(zyntax_sleep(rt, &op, one_hour_ns, &host) == POLL_PENDING);
    REQUIRE(rt.drain());
    CHECK(zyntax_sleep(rt, &op, one_hour_ns, &host) == POLL_PENDING);
    CHECK(rt.stats().timers_pending == 1);
    zyntax_op_cancel(&op);
}

TEST_CASE("an_operation_of_another_runtime_is_interrupted_with_the_task_that_awaits_it") {
    Runtime rt, other;
    AwaitSteps task(rt, {sleeping(other, one_hour_ns), sleeping(other, one_hour_ns)});
    task.interrupt(); // before the operation begins
    settle(rt);
    CHECK(task.seen == std::vector<int32_t>{1});
    task.interrupt(); // while it is pending
    settle(rt);
    CHECK(task.seen == std::vector<int32_t>{1, 1});
    CHECK(other.stats().timers_pending == 0);
}

TEST_CASE("a_drop_of_an_interrupted_task_may_await_as_a_host_does") {
    Runtime rt;
    Waker host{nullptr, [](void *) {}};
    zyntax_op op = 0;
    Task task;
    task.on_poll = [](Waker *) { return POLL_READY; };
    task.on_drop = [&](int32_t) { CHECK(zyntax_sleep(rt, &op, one_hour_ns, &host) == POLL_PENDING); };
    task.spawn(rt);
    zyntax_task_interrupt(task.handle);
    REQUIRE(rt.drain());
    CHECK(task.drops == 1);
    CHECK(op != 0);
    zyntax_op_cancel(&op);
}

TEST_CASE("a_runtime_that_is_destroyed_forgets_its_interrupts") {
    Runtime rt;
    std::deque<AwaitSteps> tasks;
    for (int i = 0; i < 3; i++) tasks.emplace_back(rt, std::vector<Operation>{sleeping(rt, one_hour_ns)});
    settle(rt);
    for (AwaitSteps &task : tasks) task.interrupt();
    for (AwaitSteps &task : tasks) {
        task.on_drop = [&](int32_t outcome) {
            CHECK(outcome == ZYNTAX_ECANCELED);
            for (AwaitSteps &each : tasks) each.interrupt();
        };
    }
    rt.destroy();
    for (AwaitSteps &task : tasks) CHECK(task.drops == 1);
    for (AwaitSteps &task : tasks) CHECK(task.interrupt() == ZYNTAX_ESTALE);
}

TEST_CASE("an_interrupt_wakes_a_loop_that_would_sleep_and_a_host_between_turns") {
    Runtime rt;
    AwaitSteps task(rt, {sleeping_until(rt, UINT64_MAX)});
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
    task.interrupt();
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.seen == std::vector<int32_t>{1});
}

TEST_CASE("a_task_of_a_scope_is_interrupted_like_any_other") {
    Runtime rt;
    zyntax_scope *scope = nullptr;
    REQUIRE(zyntax_scope_create(rt, &scope) == 0);
    Task child;
    int32_t seen = -1;
    child.on_poll = [&](Waker *waker) {
        if (zyntax_sleep(rt, &child.op, one_hour_ns, waker) == POLL_PENDING) return POLL_PENDING;
        seen = zyntax_task_interrupted();
        return POLL_READY;
    };
    child.runtime = rt;
    child.handle = zyntax_scope_spawn(scope, &child, Task::poll, Task::drop, 0);
    settle(rt);
    CHECK(zyntax_task_interrupt(child.handle) == 0);
    REQUIRE(rt.drain());
    CHECK(seen == 1);
    CHECK(child.outcome == 0);
}
