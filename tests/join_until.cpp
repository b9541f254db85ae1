// zyntax_join_until: a join that gives up at a deadline. The task goes on.
#include "support.h"

using namespace support;

namespace {

struct JoinScene {
    Clock clock;
    Runtime rt{clock.config()};
    Waker gate_waker{};
    bool open = false;
    Task gate{[this](Waker *waker) {
        gate_waker = *waker;
        return open ? POLL_READY : POLL_PENDING;
    }};
    Task joiner;
    int64_t result = unset;

    explicit JoinScene(uint64_t deadline_ns) {
        gate.spawn(rt);
        joiner.on_poll = [this, deadline_ns](Waker *waker) {
            return zyntax_join_until(gate.handle, &joiner.op, deadline_ns, waker, &result);
        };
        joiner.spawn(rt);
        settle();
    }
    void settle() {
        for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    }
    void pass() {
        open = true;
        gate_waker.wake(gate_waker.data);
        settle();
    }
};

} // namespace

TEST_CASE("join_until_times_out_at_its_deadline_and_not_before") {
    JoinScene s(2000 * ms);
    s.clock.now = 2000 * ms - 1;
    s.settle();
    CHECK(s.joiner.polls == 1);
    s.clock.now = 2000 * ms;
    s.settle();
    CHECK(s.joiner.polls == 2);
    CHECK(s.result == ZYNTAX_ETIMEDOUT);
    CHECK(s.joiner.op == 0);
    CHECK(s.gate.alive()); // the task goes on
    s.pass();
    CHECK(s.gate.outcome == 0);
    CHECK(s.joiner.polls == 2);
}

TEST_CASE("join_until_is_ready_when_the_task_ends_first") {
    JoinScene s(2000 * ms);
    s.pass();
    CHECK(s.result == 0);
    CHECK(s.joiner.polls == 2);
    CHECK(s.rt.stats().timers_pending == 0);
    s.clock.now = 3000 * ms;
    s.settle();
    CHECK(s.joiner.polls == 2);
}

TEST_CASE("a_task_that_has_ended_wins_over_a_deadline_that_has_passed") {
    JoinScene s(2000 * ms);
    s.open = true;
    s.gate_waker.wake(s.gate_waker.data);
    s.clock.now = 2000 * ms;
    s.settle();
    CHECK((s.result == 0 || s.result == ZYNTAX_ETIMEDOUT)); // both are due: either may be seen first
    CHECK(s.gate.outcome == 0);
    CHECK(s.rt.stats().timers_pending == 0);

    Task late;
    int64_t result = unset;
    late.on_poll = [&](Waker *waker) { return zyntax_join_until(s.gate.handle, &late.op, 1, waker, &result); };
    late.spawn(s.rt);
    s.settle();
    CHECK(result == 0); // nothing to wait for
}

TEST_CASE("a_deadline_that_has_passed_times_out_at_once") {
    JoinScene s(1);
    CHECK(s.result == ZYNTAX_ETIMEDOUT);
    CHECK(s.joiner.polls == 1);
    CHECK(s.gate.alive());
}

TEST_CASE("the_deadline_never_is_a_plain_join") {
    JoinScene s(UINT64_MAX);
    s.clock.now = UINT64_MAX - 1;
    s.settle();
    CHECK(s.joiner.polls == 1);
    s.pass();
    CHECK(s.result == 0);
}

TEST_CASE("join_until_answers_as_join_does") {
    JoinScene s(UINT64_MAX);
    Runtime other;
    Task foreign{[](Waker *) { return POLL_PENDING; }};
    foreign.spawn(other);
    Task task;
    zyntax_task *target = nullptr;
    int64_t result = unset;
    task.on_poll = [&](Waker *waker) { return zyntax_join_until(target, &task.op, 5000 * ms, waker, &result); };
    auto ask = [&](bool oneself, zyntax_task *whom) {
        zyntax_task *self = task.spawn(s.rt);
        target = oneself ? self : whom;
        s.settle();
        CHECK_FALSE(task.alive());
        return result;
    };
    CHECK(ask(false, nullptr) == ZYNTAX_EINVAL);
    CHECK(ask(false, foreign.handle) == ZYNTAX_ESTALE);
    CHECK(ask(true, nullptr) == ZYNTAX_EDEADLK);
    s.pass();
    CHECK(ask(false, s.gate.handle) == 0);
}

TEST_CASE("a_cancelled_join_until_leaves_nothing_behind") {
    JoinScene s(2000 * ms);
    CHECK(s.rt.stats().timers_pending == 1);
    zyntax_task_cancel(s.joiner.handle);
    s.settle();
    CHECK(s.joiner.outcome == ZYNTAX_ECANCELED);
    CHECK(s.rt.stats().timers_pending == 0);
    s.pass();
    CHECK(s.joiner.polls == 1);
    CHECK(s.rt.stats().tasks_alive == 0);
    CHECK(s.rt.stats().bytes_in_use == 0);
}
