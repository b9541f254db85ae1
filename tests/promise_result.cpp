// Zyntax promises: 0 is pending, a positive number a value, a negative one a failure.
#include "support.h"

using namespace support;

namespace {

// A promise written as a lambda.
struct OwnPromise {
    std::function<int64_t()> on_poll;
    int polls = 0;

    static int64_t poll(void *state) {
        auto *self = static_cast<OwnPromise *>(state);
        self->polls++;
        return self->on_poll();
    }
    zyntax_promise handle() { return {this, poll}; }
};

} // namespace

TEST_CASE("a_value_is_stored_in_the_result") {
    Runtime rt;
    for (int64_t value : {int64_t(1), int64_t(42), INT64_MAX}) {
        OwnPromise promise{[&] { return value; }};
        zyntax_promise handle = promise.handle();
        int64_t result = 0;
        zyntax_task *task = zyntax_promise_spawn(rt, &handle, &result);
        REQUIRE(task != nullptr);
        CHECK(promise.polls == 0);
        CHECK(zyntax_runtime_block_on(rt, task) == 0);
        CHECK(result == value);
        CHECK(promise.polls == 1);
    }
}

TEST_CASE("a_failure_is_stored_in_the_result") {
    Runtime rt;
    for (int64_t code : {int64_t(-1), int64_t(ZYNTAX_ETIMEDOUT), INT64_MIN}) {
        OwnPromise promise{[&] { return code; }};
        zyntax_promise handle = promise.handle();
        int64_t result = 0;
        zyntax_task *task = zyntax_promise_spawn(rt, &handle, &result);
        REQUIRE(task != nullptr);
        CHECK(zyntax_runtime_block_on(rt, task) == 0);
        CHECK(result == code);
    }
}

TEST_CASE("the_result_is_optional_and_the_promise_is_copied") {
    Runtime rt;
    OwnPromise promise{[] { return int64_t(1); }};
    zyntax_promise handle = promise.handle();
    REQUIRE(zyntax_promise_spawn(rt, &handle, nullptr) != nullptr);
    handle = {nullptr, nullptr};
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(promise.polls == 1);
}

TEST_CASE("the_result_is_not_touched_before_the_end") {
    Runtime rt;
    Waker waker{};
    int64_t value = 0, result = 77;
    OwnPromise promise{[&] {
        zyntax_current_waker(&waker);
        return value;
    }};
    zyntax_promise handle = promise.handle();
    zyntax_task *task = zyntax_promise_spawn(rt, &handle, &result);
    zyntax_runtime_turn(rt, 0);
    CHECK(result == 77);
    value = 5;
    waker.wake(waker.data);
    CHECK(zyntax_runtime_block_on(rt, task) == 0);
    CHECK(result == 5);
}

TEST_CASE("cancelling_a_promise_makes_its_result_ecanceled") {
    Runtime rt;
    Waker waker{};
    int64_t result = 77;
    OwnPromise promise{[&] {
        zyntax_current_waker(&waker);
        return int64_t(0);
    }};
    zyntax_promise handle = promise.handle();
    zyntax_task *task = zyntax_promise_spawn(rt, &handle, &result);
    zyntax_runtime_turn(rt, 0);
    CHECK(zyntax_task_cancel(task) == 0);
    CHECK(rt.drain());
    CHECK(result == ZYNTAX_ECANCELED);
    CHECK(promise.polls == 1);
}

TEST_CASE("a_promise_that_is_alive_when_its_runtime_is_destroyed_becomes_ecanceled") {
    Runtime rt;
    int64_t polled = 77, fresh = 77;
    Waker waker{};
    OwnPromise promise{[&] {
        zyntax_current_waker(&waker);
        return int64_t(0);
    }};
    zyntax_promise handle = promise.handle();
    zyntax_promise_spawn(rt, &handle, &polled);
    zyntax_runtime_turn(rt, 0);
    zyntax_promise_spawn(rt, &handle, &fresh);
    rt.destroy();
    CHECK(polled == ZYNTAX_ECANCELED);
    CHECK(fresh == ZYNTAX_ECANCELED);
}

TEST_CASE("block_on_returns_the_value_or_the_failure") {
    Runtime rt;
    for (int64_t value : {int64_t(9), int64_t(-9), INT64_MAX, INT64_MIN}) {
        OwnPromise promise{[&] { return value; }};
        zyntax_promise handle = promise.handle();
        CHECK(zyntax_promise_block_on(rt, &handle) == value);
        CHECK(promise.polls == 1);
    }
    CHECK(rt.stats().tasks_alive == 0);
}

TEST_CASE("block_on_drives_the_other_tasks_too") {
    Runtime rt;
    Waker waker{};
    bool woken = false;
    OwnPromise promise{[&] {
        zyntax_current_waker(&waker);
        return int64_t(woken ? 3 : 0);
    }};
    Task other{[&](Waker *self) {
        if (waker.wake == nullptr) {
            self->wake(self->data);
            return POLL_PENDING;
        }
        woken = true;
        waker.wake(waker.data);
        return POLL_READY;
    }};
    other.spawn(rt);
    zyntax_promise handle = promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 3);
    CHECK_FALSE(other.alive());
}

TEST_CASE("block_on_that_is_stopped_returns_ecanceled_and_cancels_the_promise") {
    Runtime rt;
    Waker waker{};
    OwnPromise promise{[&] {
        zyntax_current_waker(&waker);
        zyntax_runtime_stop(rt);
        return int64_t(0);
    }};
    zyntax_promise handle = promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == ZYNTAX_ECANCELED);
    waker.wake(waker.data);
    CHECK(rt.drain());
    CHECK(promise.polls == 1);
}

TEST_CASE("block_on_from_inside_a_poll_is_ebusy_and_the_promise_is_cancelled") {
    Runtime rt;
    OwnPromise promise{[] { return int64_t(1); }};
    zyntax_promise handle = promise.handle();
    int64_t result = 0;
    Task task{[&](Waker *) {
        result = zyntax_promise_block_on(rt, &handle);
        return POLL_READY;
    }};
    task.spawn(rt);
    CHECK(rt.drain());
    CHECK(result == ZYNTAX_EBUSY);
    CHECK(promise.polls == 0);
}

TEST_CASE("block_on_of_a_promise_that_nothing_can_wake_is_edeadlk_with_stall_detection") {
    zyntax_runtime_config c = config();
    c.flags = ZYNTAX_DETECT_STALL;
    Runtime rt(c);
    Waker waker{};
    OwnPromise promise{[&] {
        zyntax_current_waker(&waker);
        return int64_t(0);
    }};
    zyntax_promise handle = promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == ZYNTAX_EDEADLK);
    CHECK(rt.drain());
    CHECK(promise.polls == 1);
}

TEST_CASE("null_arguments_are_refused") {
    Runtime rt;
    OwnPromise promise{[] { return int64_t(1); }};
    zyntax_promise handle = promise.handle(), empty{&promise, nullptr};
    int64_t result = 77;
    CHECK(zyntax_promise_spawn(nullptr, &handle, &result) == nullptr);
    CHECK(zyntax_promise_spawn(rt, nullptr, &result) == nullptr);
    CHECK(zyntax_promise_spawn(rt, &empty, &result) == nullptr);
    CHECK(zyntax_promise_block_on(nullptr, &handle) == ZYNTAX_EINVAL);
    CHECK(zyntax_promise_block_on(rt, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_promise_block_on(rt, &empty) == ZYNTAX_EINVAL);
    CHECK(result == 77);
    CHECK(rt.stats().tasks_spawned == 0);
}

TEST_CASE("a_promise_without_state_is_fine") {
    Runtime rt;
    zyntax_promise handle{nullptr, [](void *state) { return int64_t(state == nullptr ? 4 : -4); }};
    CHECK(zyntax_promise_block_on(rt, &handle) == 4);
}
