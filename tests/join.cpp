// zyntax_task_join: ready for every caller once the task has ended.
#include "support.h"

#include <vector>

using namespace support;

namespace {

// Joins a task and notes the result.
struct Joiner : Task {
    int64_t result = unset;
    Joiner(zyntax_runtime *rt, zyntax_task *target) {
        on_poll = [this, target](Waker *waker) { return zyntax_task_join(target, &op, waker, &result); };
        spawn(rt);
    }
};

// Stays pending until told otherwise.
struct JoinGate : Task {
    bool open = false;
    Waker kept{};
    explicit JoinGate(zyntax_runtime *rt) {
        on_poll = [this](Waker *waker) {
            kept = *waker;
            return open ? POLL_READY : POLL_PENDING;
        };
        spawn(rt);
    }
    void pass() {
        open = true;
        kept.wake(kept.data);
    }
};

} // namespace

TEST_CASE("a_join_is_ready_once_the_task_has_ended_and_not_before") {
    Runtime rt;
    JoinGate gate(rt);
    Joiner joiner(rt, gate.handle);
    settle(rt);
    CHECK(joiner.polls == 1);
    CHECK(joiner.alive());
    CHECK(joiner.op != 0);
    CHECK(joiner.result == unset);
    gate.pass();
    settle(rt);
    CHECK(joiner.polls == 2);
    CHECK(joiner.result == 0);
    CHECK(joiner.op == 0);
    CHECK(joiner.outcome == 0);
}

TEST_CASE("a_join_sees_what_the_task_and_its_drop_wrote") {
    Runtime rt;
    int value = 0, dropped = 0;
    Task worker{[&](Waker *) {
                    value = 42;
                    return POLL_READY;
                },
                [&](int32_t) { dropped = value; }};
    Task joiner;
    int64_t result = unset;
    joiner.on_poll = [&](Waker *waker) {
        if (zyntax_task_join(worker.handle, &joiner.op, waker, &result) == POLL_PENDING) return POLL_PENDING;
        CHECK(value == 42);
        CHECK(dropped == 42);
        return POLL_READY;
    };
    joiner.spawn(rt);
    worker.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(result == 0);
}

TEST_CASE("any_number_of_tasks_may_join_one") {
    Runtime rt;
    JoinGate gate(rt);
    std::vector<std::unique_ptr<Joiner>> joiners;
    for (int i = 0; i < 1000; i++) joiners.push_back(std::make_unique<Joiner>(rt, gate.handle));
    REQUIRE(rt.drive_until([&] { return joiners.back()->polls == 1; }));
    CHECK(rt.stats().tasks_alive == 1001);
    gate.pass();
    REQUIRE(rt.drain());
    for (auto &joiner : joiners) {
        CHECK(joiner->polls == 2);
        CHECK(joiner->result == 0);
    }
}

TEST_CASE("one_task_may_join_many_with_an_op_each") {
    Runtime rt;
    JoinGate a(rt), b(rt);
    zyntax_op ops[2] = {0, 0};
    int64_t results[2] = {unset, unset};
    Task joiner;
    joiner.on_poll = [&](Waker *waker) {
        if (results[0] == unset) zyntax_task_join(a.handle, &ops[0], waker, &results[0]);
        if (results[1] == unset) zyntax_task_join(b.handle, &ops[1], waker, &results[1]);
        return results[0] == 0 && results[1] == 0 ? POLL_READY : POLL_PENDING;
    };
    joiner.spawn(rt);
    settle(rt);
    b.pass();
    settle(rt);
    CHECK(results[1] == 0);
    CHECK(results[0] == unset);
    a.pass();
    REQUIRE(rt.drain());
    CHECK(joiner.polls == 3);
}

TEST_CASE("joining_a_cancelled_task_is_ready_after_its_drop") {
    Runtime rt;
    JoinGate gate(rt);
    Joiner joiner(rt, gate.handle);
    settle(rt);
    zyntax_task_cancel(gate.handle);
    REQUIRE(rt.drain());
    CHECK(gate.outcome == ZYNTAX_ECANCELED);
    CHECK(joiner.result == 0);
}

TEST_CASE("joining_oneself_is_a_deadlock") {
    Runtime rt;
    Task task;
    int64_t result = unset;
    task.on_poll = [&](Waker *waker) { return zyntax_task_join(task.handle, &task.op, waker, &result); };
    task.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(result == ZYNTAX_EDEADLK);
    CHECK(task.op == 0);
}

TEST_CASE("joining_a_stale_or_random_handle_is_ready_at_once") {
    Runtime rt;
    Task ended{[](Waker *) { return POLL_READY; }};
    ended.spawn(rt);
    REQUIRE(rt.drain());
    auto random = reinterpret_cast<zyntax_task *>(uintptr_t(0xdeadbeefcafe));
    for (zyntax_task *target : {ended.handle, random}) {
        Joiner joiner(rt, target);
        REQUIRE(rt.drain());
        CHECK(joiner.polls == 1);
        CHECK(joiner.result == 0);
    }
}

TEST_CASE("joining_no_task_is_invalid") {
    Runtime rt;
    Joiner joiner(rt, nullptr);
    REQUIRE(rt.drain());
    CHECK(joiner.polls == 1);
    CHECK(joiner.result == ZYNTAX_EINVAL);
    CHECK(joiner.op == 0);
}

TEST_CASE("joining_no_task_with_a_live_op_gives_that_up") {
    Runtime rt;
    JoinGate gate(rt);
    int64_t result = unset;
    Task joiner;
    joiner.on_poll = [&](Waker *waker) {
        CHECK(zyntax_task_join(gate.handle, &joiner.op, waker, &result) == POLL_PENDING);
        return zyntax_task_join(nullptr, &joiner.op, waker, &result);
    };
    joiner.spawn(rt);
    settle(rt);
    CHECK(result == ZYNTAX_EINVAL);
    CHECK(joiner.op == 0);
    CHECK(joiner.polls == 1);
    gate.pass();
    CHECK(rt.drain());
}

TEST_CASE("joining_a_live_task_of_another_runtime_is_stale") {
    Runtime rt, other;
    JoinGate gate(other);
    Joiner joiner(rt, gate.handle);
    REQUIRE(rt.drain());
    CHECK(joiner.result == ZYNTAX_ESTALE);
    CHECK(joiner.op == 0);
    CHECK(gate.alive());
}

TEST_CASE("a_join_stays_pending_after_spurious_polls_and_is_woken_once") {
    Runtime rt;
    JoinGate gate(rt);
    Joiner joiner(rt, gate.handle);
    Waker kept{};
    auto inner = joiner.on_poll;
    joiner.on_poll = [&](Waker *waker) {
        kept = *waker;
        return inner(waker);
    };
    settle(rt);
    for (int i = 0; i < 5; i++) {
        kept.wake(kept.data);
        settle(rt);
    }
    CHECK(joiner.polls == 6);
    CHECK(joiner.alive());
    gate.pass();
    REQUIRE(rt.drain());
    CHECK(joiner.polls == 7);
}

TEST_CASE("a_chain_of_tasks_that_join_each_other_ends_from_its_head") {
    constexpr int links = scaled(50'000);
    Runtime rt;
    JoinGate gate(rt);
    std::vector<std::unique_ptr<Joiner>> chain;
    zyntax_task *last = gate.handle;
    for (int i = 0; i < links; i++) {
        chain.push_back(std::make_unique<Joiner>(rt, last));
        last = chain.back()->handle;
    }
    REQUIRE(rt.drive_until([&] { return chain.back()->polls == 1; }));
    gate.pass();
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, last) == 0);
    CHECK(rt.stats().tasks_alive == 0);
    CHECK(chain.back()->result == 0);
}

TEST_CASE("a_joiner_that_ends_first_leaves_nothing_behind") {
    Runtime rt;
    JoinGate gate(rt);
    settle(rt);
    auto before = rt.stats();
    for (int i = 0; i < 100; i++) {
        Joiner joiner(rt, gate.handle);
        settle(rt);
        zyntax_task_cancel(joiner.handle);
        settle(rt);
        CHECK(joiner.drops == 1);
    }
    CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
    gate.pass();
    CHECK(rt.drain());
}
