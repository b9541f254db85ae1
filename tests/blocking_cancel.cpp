// A job whose waiting task has given up does not begin, or its result is discarded.
#include "blocking_support.h"

#include <deque>

using namespace support;

namespace {

int64_t count_run(void *arg) { return ++*static_cast<std::atomic<int> *>(arg); }

// Works slowly on memory that is its own copy.
struct Scribble {
    Held *held;
    char bytes[4096];
    static int64_t job(void *arg) {
        auto *self = static_cast<Scribble *>(arg);
        Held *held = self->held;
        held->begun++;
        held->gate.pass();
        std::memset(self->bytes, 's', sizeof self->bytes);
        held->ended++;
        return 1;
    }
};

} // namespace

TEST_CASE("a_queued_job_that_is_cancelled_never_runs") {
    Occupied rt;
    std::atomic<int> runs{0};
    Await queued(rt, blocking(rt, count_run, &runs, 0));
    settle(rt);
    CHECK(rt.stats().blocking_pending == 2);
    queued.cancel();
    settle(rt);
    CHECK_FALSE(queued.alive());
    rt.held.gate.open();
    CHECK(rt.drain());
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    CHECK(await(rt, blocking(
                        rt, [](void *) { return int64_t(1); }, nullptr, 0)) == 1); // the thread has passed it
    CHECK(runs == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("cancelling_one_queued_job_leaves_the_others") {
    Occupied rt;
    std::atomic<int> runs{0};
    std::deque<Await> queued;
    for (int i = 0; i < 10; i++) queued.emplace_back(rt, blocking(rt, count_run, &runs, 0));
    settle(rt);
    for (int i : {0, 4, 9}) queued[size_t(i)].cancel();
    settle(rt);
    rt.held.gate.open();
    CHECK(rt.drain());
    CHECK(runs == 7);
    CHECK(rt.stats().blocking_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_running_job_that_is_cancelled_ends_unheard_and_touches_none_of_the_callers_memory") {
    Runtime rt;
    Held held;
    auto argument = std::make_unique<Scribble>();
    argument->held = &held;
    {
        Await task(rt, blocking(rt, Scribble::job, argument.get(), sizeof(Scribble)));
        CHECK(rt.drive_until([&] { return held.begun == 1; }));
        task.cancel();
        settle(rt);
        CHECK_FALSE(task.alive());
        CHECK(task.result == unfinished);
    }
    argument.reset(); // a write to it is an error that the sanitizers see
    CHECK(rt.stats().blocking_pending == 1);
    held.gate.open();
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    CHECK(held.ended == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_job_whose_op_was_forgotten_gives_its_memory_back_when_it_has_run") {
    Runtime rt;
    std::atomic<int> runs{0};
    CHECK(await(rt, blocking(rt, count_run, &runs, 0)) == 1); // warm
    settle(rt);
    uint64_t in_use = rt.stats().bytes_in_use;
    zyntax_op forgotten = 0;
    char argument[1000] = {};
    Await task(rt, [&](zyntax_op *, Waker *waker, int64_t *result) {
        int64_t r = 0;
        Job job = [](void *) { return int64_t(1); };
        CHECK(zyntax_blocking(rt, &forgotten, job, argument, sizeof argument, waker, &r) == POLL_PENDING);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    CHECK(rt.drive_until([&] { return rt.stats().bytes_in_use == in_use; }));
    CHECK(rt.stats().bytes_in_use == in_use);
    zyntax_op_cancel(&forgotten); // late, but fine
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_job_that_ended_before_the_task_that_forgot_it_gives_its_memory_back_too") {
    Runtime rt;
    std::atomic<int> runs{0};
    CHECK(await(rt, blocking(rt, count_run, &runs, 0)) == 1); // warm
    settle(rt);
    uint64_t in_use = rt.stats().bytes_in_use;
    for (int round = 0; round < 10; round++) {
        zyntax_op forgotten = 0;
        char argument[1000] = {};
        bool end = false;
        Waker waker{};
        ScopedTask task(rt);
        task.on_poll = [&](Waker *w) {
            int64_t r = 0;
            Job job = [](void *) { return int64_t(1); };
            waker = *w;
            if (task.polls == 1) return zyntax_blocking(rt, &forgotten, job, argument, sizeof argument, w, &r);
            return end ? POLL_READY : POLL_PENDING; // it does not look at the job again
        };
        task.start();
        CHECK(rt.drive_until([&] { return task.polls == 2 && rt.stats().blocking_pending == 0; }));
        end = true;
        waker.wake(waker.data);
        CHECK(rt.drain());
    }
    CHECK(rt.drive_until([&] { return rt.stats().bytes_in_use == in_use; }));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("cancelling_at_any_moment_is_safe") {
    Runtime rt(with_threads(4));
    static std::atomic<int> begun;
    begun = 0;
    struct Argument {
        char bytes[64];
    };
    Job job = [](void *arg) {
        begun++;
        std::memset(arg, 'x', sizeof(Argument));
        return int64_t(1);
    };
    int ended = 0, cancelled = 0;
    for (int round = 0; round < scaled(5000); round++) {
        auto argument = std::make_unique<Argument>();
        Await task(rt, blocking(rt, job, argument.get(), sizeof(Argument)));
        for (int i = round % 7; i > 0; i--) zyntax_runtime_turn(rt, 0);
        task.cancel();
        CHECK(rt.drain());
        (task.result == 1 ? ended : cancelled)++;
        if (task.result == 1) CHECK(argument->bytes[63] == 'x');
    }
    CHECK(ended + cancelled == scaled(5000));
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    CHECK(begun >= ended);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("destroying_the_runtime_waits_for_jobs_that_run_and_discards_those_that_do_not") {
    Held held;
    std::atomic<int> runs{0};
    Runtime rt(with_threads(1));
    Await running(rt, blocking(rt, Held::job, &held, 0));
    CHECK(rt.drive_until([&] { return held.begun == 1; }));
    std::deque<Await> queued;
    for (int i = 0; i < 5; i++) queued.emplace_back(rt, blocking(rt, count_run, &runs, 0));
    settle(rt);
    Thread opener([&] {
        sleep_for(std::chrono::milliseconds(20)); // destroy is most likely waiting by now
        held.gate.open();
    });
    rt.destroy();
    CHECK(held.ended == 1);
    CHECK(runs == 0);
    opener.join();
    CHECK(running.result == unfinished);
    CHECK(running.task.outcome == ZYNTAX_ECANCELED);
}

TEST_CASE("everything_the_pool_took_goes_back_when_the_runtime_is_destroyed") {
    Heap heap;
    Held held;
    char argument[500] = {};
    {
        zyntax_runtime_config c = heap.config(with_threads(2));
        Runtime rt(c);
        Await running(rt, blocking(rt, Held::job, &held, 0));
        std::deque<Await> queued;
        for (int i = 0; i < 20; i++)
            queued.emplace_back(rt, blocking(
                                        rt, [](void *) { return int64_t(0); }, argument, sizeof argument));
        CHECK(rt.drive_until([&] { return held.begun == 1; }));
        held.gate.open();
        rt.destroy();
    }
    CHECK(heap.balanced());
}
