// Ready tasks run first in, first out.
#include "support.h"

#include <vector>

using namespace support;

TEST_CASE("spawn_does_not_poll") {
    Runtime rt;
    Task task{[](Waker *) { return POLL_READY; }};
    REQUIRE(task.spawn(rt) != nullptr);
    CHECK(task.polls == 0);
    CHECK(task.alive());
    zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    CHECK(task.outcome == 0);
    CHECK_FALSE(task.alive());
}

TEST_CASE("tasks_are_polled_in_the_order_of_spawn") {
    Runtime rt;
    std::vector<int> order;
    std::vector<std::unique_ptr<Task>> tasks;
    for (int i = 0; i < 100; i++) {
        tasks.push_back(std::make_unique<Task>(Task{[&order, i](Waker *) {
            order.push_back(i);
            return POLL_READY;
        }}));
        REQUIRE(tasks.back()->spawn(rt) != nullptr);
    }
    REQUIRE(rt.drain());
    REQUIRE(order.size() == 100);
    for (int i = 0; i < 100; i++) CHECK(order[size_t(i)] == i);
}

TEST_CASE("tasks_are_polled_in_the_order_of_their_wakes") {
    Runtime rt;
    std::vector<int> order;
    std::vector<std::unique_ptr<Task>> tasks;
    std::vector<Waker> wakers(100);
    for (int i = 0; i < 100; i++) {
        auto task = std::make_unique<Task>();
        task->on_poll = [&, i, self = task.get()](Waker *waker) {
            wakers[size_t(i)] = *waker;
            if (self->polls == 1) return POLL_PENDING;
            order.push_back(i);
            return POLL_READY;
        };
        REQUIRE(task->spawn(rt) != nullptr);
        tasks.push_back(std::move(task));
    }
    zyntax_runtime_turn(rt, 0);
    for (size_t i = 0; i < 100; i++) {
        const Waker &waker = wakers[i * 37 % 100];
        waker.wake(waker.data);
    }
    REQUIRE(rt.drain());
    REQUIRE(order.size() == 100);
    for (size_t i = 0; i < 100; i++) CHECK(order[i] == int(i * 37 % 100));
}

TEST_CASE("a_task_that_is_already_queued_keeps_its_place_when_it_is_woken_again") {
    Runtime rt;
    std::vector<int> order;
    Waker wakers[2];
    Task tasks[2];
    for (int i = 0; i < 2; i++) {
        tasks[i].on_poll = [&, i](Waker *waker) {
            wakers[i] = *waker;
            order.push_back(i);
            return tasks[i].polls == 1 ? POLL_PENDING : POLL_READY;
        };
        tasks[i].spawn(rt);
    }
    zyntax_runtime_turn(rt, 0);
    for (int i : {1, 0, 1, 1}) wakers[i].wake(wakers[i].data);
    REQUIRE(rt.drain());
    CHECK(order == std::vector<int>{0, 1, 1, 0});
}

TEST_CASE("a_task_spawned_by_a_poll_runs_after_those_that_were_ready") {
    Runtime rt;
    std::vector<char> order;
    Task late{[&](Waker *) {
        order.push_back('l');
        return POLL_READY;
    }};
    Task first{[&](Waker *) {
        order.push_back('f');
        late.spawn(rt);
        CHECK(late.polls == 0);
        return POLL_READY;
    }};
    Task second{[&](Waker *) {
        order.push_back('s');
        return POLL_READY;
    }};
    first.spawn(rt);
    second.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(order == std::vector<char>{'f', 's', 'l'});
}

TEST_CASE("two_runtimes_do_not_see_each_others_tasks") {
    Runtime a, b;
    Task in_a{[](Waker *) { return POLL_READY; }};
    Task in_b{[](Waker *) { return POLL_READY; }};
    in_a.spawn(a);
    in_b.spawn(b);
    CHECK(zyntax_runtime_run(a) == 0);
    CHECK(in_a.polls == 1);
    CHECK(in_b.polls == 0);
    CHECK(zyntax_runtime_run(b) == 0);
    CHECK(in_b.polls == 1);
}
