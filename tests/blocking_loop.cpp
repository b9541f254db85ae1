// A job in the blocking pool delays no other work, and waiting for a job costs no CPU.
#include "blocking_support.h"

using namespace support;

TEST_CASE("tasks_timers_and_io_go_on_while_a_job_runs") {
    Runtime rt;
    Held held;
    Await slow(rt, blocking(rt, Held::job, &held, 0));
    CHECK(rt.drive_until([&] { return held.begun == 1; }));

    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    put(pair.far, "x");
    CHECK(await(rt, reading(io, &byte, 1)) == 1);
    CHECK(await(rt, sleeping(rt, ms)) == 0);
    CHECK(await(rt, blocking(
                        rt, [](void *) { return int64_t(5); }, nullptr, 0)) == 5);
    CHECK(slow.alive());
    CHECK(rt.stats().blocking_pending == 1);

    held.gate.open();
    CHECK(rt.drain());
    CHECK(slow.result == 1);
    CHECK(rt.stats().blocking_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("waiting_for_a_job_of_300_ms_takes_three_kernel_waits_at_most") {
    Runtime rt;
    Job nap = [](void *) {
        sleep_for(std::chrono::milliseconds(300)); // the work
        return int64_t(1);
    };
    Await task(rt, blocking(rt, nap, nullptr, 0));
    uint64_t before = rt.stats().kernel_waits;
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, task.task.handle) == 0);
    CHECK(task.result == 1);
    CHECK(rt.stats().kernel_waits - before <= 3);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_job_that_ends_while_the_runtime_sleeps_without_limit_wakes_it") {
    Runtime rt;
    Held held;
    Await task(rt, blocking(rt, Held::job, &held, 0));
    Thread opener([&] {
        eventually([&] { return held.begun == 1; });
        held.gate.open();
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.result == 1);
    opener.join();
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_job_counts_as_work_for_stall_detection") {
    zyntax_runtime_config c = config();
    c.flags = ZYNTAX_DETECT_STALL;
    Runtime rt(c);
    Job nap = [](void *) {
        sleep_for(std::chrono::milliseconds(20)); // the work
        return int64_t(1);
    };
    Await task(rt, blocking(rt, nap, nullptr, 0));
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.result == 1);
}

TEST_CASE("a_thousand_short_jobs_one_after_the_other_all_end") {
    Runtime rt(with_threads(2));
    int done = 0;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        for (; done < 1000; done++) {
            if (zyntax_blocking(
                    rt, &task.op, [](void *) { return int64_t(3); }, nullptr, 0, waker, &result) == POLL_PENDING)
                return POLL_PENDING;
            CHECK(result == 3);
        }
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    CHECK(done == 1000);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_job_may_wake_tasks_and_post_to_the_runtime") {
    Runtime rt;
    struct Shared {
        zyntax_runtime *rt;
        Waker waker{};
        int posted = 0;
    } shared{rt, {}, 0};
    ScopedTask sleeper(rt);
    sleeper.on_poll = [&](Waker *waker) {
        shared.waker = *waker;
        return sleeper.polls == 1 ? POLL_PENDING : POLL_READY;
    };
    sleeper.start();
    settle(rt);
    Job job = [](void *arg) {
        auto *s = static_cast<Shared *>(arg);
        s->waker.wake(s->waker.data);
        return int64_t(zyntax_runtime_post(
            s->rt, [](void *a) { static_cast<Shared *>(a)->posted++; }, s));
    };
    CHECK(await(rt, blocking(rt, job, &shared, 0)) == 0);
    CHECK(rt.drain());
    settle(rt);
    CHECK(sleeper.polls == 2);
    CHECK(shared.posted == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}
