// zyntax_runtime_next_timeout_ns: the longest time that a host may sleep.
#include "await_support.h"

using namespace support;

TEST_CASE("without_tasks_nothing_is_timed") {
    Runtime rt;
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
}

TEST_CASE("a_task_that_is_ready_is_work_now") {
    Runtime rt;
    REQUIRE(zyntax_runtime_spawn(rt, nullptr, ends_at_once) != nullptr);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
}

TEST_CASE("a_wake_of_this_thread_is_work_now") {
    Runtime rt;
    Waker waker{};
    ScopedTask task(rt);
    task.on_poll = [&](Waker *w) {
        waker = *w;
        return POLL_PENDING;
    };
    task.start();
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
    waker.wake(waker.data);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
}

TEST_CASE("a_cancelled_task_is_work_now") {
    Runtime rt;
    ScopedTask task(rt);
    task.on_poll = [](Waker *) { return POLL_PENDING; };
    task.start();
    settle(rt);
    CHECK(zyntax_task_cancel(task.handle) == 0);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
    settle(rt);
    CHECK(task.drops == 1);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
}

TEST_CASE("the_earliest_timer_counts_and_its_distance_shrinks_with_time") {
    Clock clock;
    Runtime rt(clock.config());
    Await late(rt, sleeping(rt, 500 * ms)), early(rt, sleeping(rt, 200 * ms));
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == int64_t(200 * ms));
    clock.now += 50 * ms;
    CHECK(zyntax_runtime_next_timeout_ns(rt) == int64_t(150 * ms));
    clock.now += 150 * ms - 1;
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 1);
    clock.now += 1;
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
    clock.now += 7 * ms;
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
    settle(rt);
    CHECK_FALSE(early.alive());
    CHECK(late.alive());
    CHECK(zyntax_runtime_next_timeout_ns(rt) == int64_t(293 * ms));
    late.cancel();
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
}

TEST_CASE("a_sleep_that_never_ends_is_not_timed") {
    Runtime rt;
    Await forever(rt, sleeping(rt, UINT64_MAX));
    settle(rt);
    CHECK(forever.alive());
    int64_t timeout = zyntax_runtime_next_timeout_ns(rt);
    CHECK((timeout == -1 || timeout > int64_t(1) << 60));
}

TEST_CASE("a_timer_further_away_than_an_int64_can_say_is_positive") {
    Clock clock;
    clock.now = 0;
    Runtime rt(clock.config());
    Await far_away(rt, sleeping(rt, UINT64_MAX - 1));
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) > int64_t(1) << 60);
}

TEST_CASE("a_ready_task_counts_before_a_timer") {
    Runtime rt;
    Await timer(rt, sleeping(rt, 3'600'000 * ms));
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) > 0);
    REQUIRE(zyntax_runtime_spawn(rt, nullptr, ends_at_once) != nullptr);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
}

TEST_CASE("tasks_that_wait_for_io_are_not_timed") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await reader(rt, reading(io, &byte, 1));
    settle(rt);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
    CHECK(rt.idle_waits() <= idle_budget);
}
