// ZYNTAX_DETECT_STALL: tasks that nothing can ever wake end run and block_on, and only those do.
#include "support.h"

using namespace support;

namespace {

zyntax_runtime_config detecting() {
    auto c = config();
    c.flags = ZYNTAX_DETECT_STALL;
    return c;
}

// Waits for a wake that somebody else has to find; tells when it does.
struct Parked : Task {
    std::atomic<bool> polled{false};
    Waker kept{};
    Parked() {
        on_poll = [this](Waker *waker) {
            kept = *waker;
            polled = true;
            return polls == 1 ? POLL_PENDING : POLL_READY;
        };
    }
    void await() const {
        while (!polled) yield();
    }
};

} // namespace

TEST_CASE("a_task_that_nothing_can_wake_is_a_stall") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
    CHECK(zyntax_runtime_block_on(rt, task.handle) == ZYNTAX_EDEADLK);
    CHECK(task.alive());
    CHECK(task.drops == 0);
    task.kept.wake(task.kept.data); // it was not given up
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.polls == 2);
}

TEST_CASE("two_tasks_that_join_each_other_are_a_stall") {
    Runtime rt(detecting());
    Task a, b;
    int64_t result = 1;
    a.on_poll = [&](Waker *waker) { return zyntax_task_join(b.handle, &a.op, waker, &result); };
    b.on_poll = [&](Waker *waker) { return zyntax_task_join(a.handle, &b.op, waker, &result); };
    a.spawn(rt);
    b.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
    CHECK(zyntax_task_cancel(a.handle) == 0);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(b.outcome == 0);
}

TEST_CASE("without_the_flag_a_runtime_sleeps_until_the_wake_comes") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Parked task;
    task.spawn(rt);
    Thread waking([&] {
        task.await();
        task.kept.wake(task.kept.data);
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    waking.join();
}

TEST_CASE("a_hold_says_that_a_wake_will_come") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_runtime_hold(rt);
    Thread waking([&] {
        task.await();
        task.kept.wake(task.kept.data);
        zyntax_runtime_release(rt);
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    waking.join();
}

TEST_CASE("the_last_release_from_another_thread_makes_it_a_stall_again") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_runtime_hold(rt);
    zyntax_runtime_hold(rt);
    zyntax_runtime_release(rt);
    Thread releasing([&] {
        task.await();
        zyntax_runtime_release(rt);
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
    releasing.join();
}

TEST_CASE("timers_count_as_work") {
    Runtime rt(detecting());
    Task sleeper;
    sleeper.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &sleeper.op, 5 * ms, waker); };
    Parked parked;
    sleeper.spawn(rt);
    parked.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, sleeper.handle) == 0);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK); // now it is alone
}

TEST_CASE("a_task_that_waits_for_io_is_no_stall") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(detecting());
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    std::atomic<bool> waiting{false};
    char byte = 0;
    int64_t result = 0;
    Task reader;
    reader.on_poll = [&](Waker *waker) {
        PollStatus status = zyntax_io_read(io, &reader.op, &byte, 1, waker, &result);
        waiting = true;
        return status;
    };
    reader.spawn(rt);
    Thread writer([&] {
        while (!waiting) yield();
        put(pair.far, "x");
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(result == 1);
    writer.join();
}

TEST_CASE("an_open_descriptor_that_nobody_waits_for_does_not_hide_a_stall") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(detecting());
    Pair pair = socket_pair();
    adopt(rt, pair.near);
    Parked parked;
    parked.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
}

TEST_CASE("a_blocking_job_counts_as_work") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(detecting());
    int64_t result = 0;
    Task task;
    auto job = [](void *) -> int64_t { return 42; };
    task.on_poll = [&](Waker *waker) { return zyntax_blocking(rt, &task.op, job, nullptr, 0, waker, &result); };
    task.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(result == 42);
}

TEST_CASE("a_posted_call_counts_as_work") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    auto wake = [](void *waker) { static_cast<Waker *>(waker)->wake(static_cast<Waker *>(waker)->data); };
    CHECK(zyntax_runtime_post(rt, wake, &task.kept) == 0);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
}

TEST_CASE("an_idle_turn_is_never_a_stall") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    for (int i = 0; i < 3; i++) CHECK(zyntax_runtime_turn(rt, 0) == 1);
}
