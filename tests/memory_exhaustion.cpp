// Every allocation fails, once and then always: the documented error, no change, no leak, and the runtime goes on.
#include "support.h"

#include <vector>

using namespace support;

namespace {

// The state that a failed call must not change.
struct Snapshot {
    uint64_t alive, spawned, timers, io, in_use;
    explicit Snapshot(const zyntax_runtime_stats &s)
        : alive(s.tasks_alive),
          spawned(s.tasks_spawned),
          timers(s.timers_pending),
          io(s.io_open),
          in_use(s.bytes_in_use) {}
    bool operator==(const Snapshot &) const = default;
};

// One action that allocates. Its objects live as long as the case.
struct Subject {
    Heap &heap;
    Clock &clock;
    Runtime &rt;
    std::vector<std::unique_ptr<Task>> tasks{};
    std::vector<void *> blocks{};
    std::vector<zyntax_task *> handles{};
    Waker waker{}; // of a parked task, to call await points with
    std::vector<zyntax_op> ops{};
    int posted = 0;

    Task &parked() {
        tasks.push_back(std::make_unique<Task>(Task{[](Waker *) { return POLL_PENDING; }}));
        tasks.back()->spawn(rt);
        return *tasks.back();
    }
};

enum class Did { it, nothing }; // a call either succeeded, or failed as documented

using Trial = Did (*)(Subject &);

// Calls `attempt` `times` times on a new runtime, with allocation number n failing. True if one did fail.
bool with_failure(uint64_t n, bool persistent, int times, Trial attempt) {
    Heap heap;
    Clock clock;
    bool failed = false;
    {
        Runtime rt(heap.config(clock.config()));
        Subject s{heap, clock, rt};
        Task &parked = s.parked();
        parked.on_poll = [&](Waker *waker) {
            s.waker = *waker;
            return POLL_PENDING;
        };
        for (int i = 0; i < 3; i++) s.handles.push_back(s.parked().handle);
        zyntax_runtime_turn(rt, 0);
        heap.fail_at = n;
        heap.persistent = persistent;
        for (int i = 0; i < times; i++) {
            uint64_t failures = heap.failures;
            Snapshot before(rt.stats());
            Did did = attempt(s);
            bool hit = heap.failures > failures;
            failed = failed || hit;
            if (did == Did::nothing) {
                CHECK(hit); // no other reason to fail
                CHECK(Snapshot(rt.stats()) == before);
            }
        }
        heap.fail_at = 0;
        for (int i = 0; i < times; i++) CHECK(attempt(s) == Did::it); // usable again
        for (auto &op : s.ops) zyntax_op_cancel(&op);
        for (auto &task : s.tasks) zyntax_task_cancel(task->handle);
        CHECK(rt.drain());
    }
    CHECK(heap.balanced());
    return failed;
}

// For n = 1, 2, ... until no allocation is left to fail. `at_least` guards against a test that tests nothing.
void exhaust(int times, uint64_t at_least, Trial attempt) {
    for (bool persistent : {false, true}) {
        uint64_t n = 1;
        CAPTURE(persistent);
        while (with_failure(n, persistent, times, attempt)) {
            n++;
            REQUIRE(n < 1000);
        }
        CHECK(n > at_least);
    }
}

// A call of an await point by hand, as often as the subject likes.
template <class Call> Did await(Subject &s, Call call) {
    s.ops.push_back(0);
    int64_t result = 1;
    PollStatus status = call(&s.ops.back(), &s.waker, &result);
    if (status == POLL_PENDING) return Did::it;
    CHECK(result == ZYNTAX_ENOMEM);
    CHECK(s.ops.back() == 0);
    s.ops.pop_back();
    return Did::nothing;
}

} // namespace

TEST_CASE("create_fails_cleanly_at_every_allocation") {
    for (bool persistent : {false, true}) {
        uint64_t n = 0;
        for (bool failed = true; failed;) {
            Heap heap;
            heap.fail_at = ++n;
            heap.persistent = persistent;
            int before = fd_count();
            int32_t error = 1;
            auto c = heap.config();
            zyntax_runtime *rt = zyntax_runtime_create_with(&c, &error);
            failed = heap.failures != 0;
            CAPTURE(n);
            CHECK((rt == nullptr) == failed);
            CHECK(error == (failed ? ZYNTAX_ENOMEM : 0));
            zyntax_runtime_destroy(rt);
            CHECK(fd_count() == before);
            CHECK(heap.balanced());
            REQUIRE(n < 100);
        }
        CHECK(n > 1);
    }
}

TEST_CASE("spawn_fails_cleanly_at_every_allocation") {
    exhaust(3000, 0, [](Subject &s) {
        auto task = std::make_unique<Task>(Task{[](Waker *) { return POLL_PENDING; }});
        if (task->spawn(s.rt) == nullptr) {
            CHECK(task->drops == 0); // nothing changed, drop is not called
            return Did::nothing;
        }
        s.tasks.push_back(std::move(task));
        return Did::it;
    });
}

TEST_CASE("state_alloc_fails_cleanly_at_every_allocation") {
    exhaust(300, 1, [](Subject &s) {
        size_t size = 1 + s.blocks.size() * 37 % 5000;
        void *block = zyntax_state_alloc(s.rt, size);
        if (block == nullptr) return Did::nothing;
        s.blocks.push_back(block);
        return Did::it;
    });
}

TEST_CASE("join_fails_cleanly_at_every_allocation") {
    exhaust(1000, 1, [](Subject &s) {
        return await(s, [&](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_task_join(s.handles[0], op, waker, result);
        });
    });
}

TEST_CASE("join_until_fails_cleanly_at_every_allocation") {
    exhaust(1000, 1, [](Subject &s) {
        return await(s, [&](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_join_until(s.handles[0], op, 5000 * ms, waker, result);
        });
    });
}

TEST_CASE("select_fails_cleanly_at_every_allocation") {
    exhaust(1000, 1, [](Subject &s) {
        return await(s, [&](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_select(s.handles.data(), s.handles.size(), op, waker, result);
        });
    });
}

TEST_CASE("post_fails_cleanly_at_every_allocation") {
    exhaust(20, 1, [](Subject &s) {
        int32_t code = zyntax_runtime_post(
            s.rt, [](void *self) { static_cast<Subject *>(self)->posted++; }, &s);
        if (code == 0) return Did::it;
        CHECK(code == ZYNTAX_ENOMEM);
        return Did::nothing;
    });
}

TEST_CASE("posted_calls_run_in_order_though_some_could_not_be_posted") {
    Heap heap;
    Runtime rt(heap.config());
    std::vector<int> order, expected;
    struct Call {
        std::vector<int> *order;
        int number;
    };
    std::vector<Call> calls;
    for (int i = 0; i < 1000; i++) calls.push_back({&order, i});
    for (int i = 0; i < 1000; i++) {
        if (i % 3 == 0) heap.fail_at = 1;
        auto fn = [](void *arg) { static_cast<Call *>(arg)->order->push_back(static_cast<Call *>(arg)->number); };
        int32_t code = zyntax_runtime_post(rt, fn, &calls[size_t(i)]);
        if (code == 0) expected.push_back(i);
        heap.fail_at = 0;
    }
    REQUIRE(rt.drive_until([&] { return order.size() >= expected.size(); }));
    CHECK(order == expected);
}

TEST_CASE("a_sleep_without_memory_is_tried_again_until_there_is_some") {
    Heap heap;
    Clock clock;
    Runtime rt(heap.config(clock.config()));
    std::vector<zyntax_op> ops(5000);
    Task task;
    task.on_poll = [&](Waker *waker) {
        bool all = true;
        for (auto &op : ops) all = (zyntax_sleep(rt, &op, 10 * ms, waker) == POLL_READY) && all;
        return all ? POLL_READY : POLL_PENDING;
    };
    REQUIRE(task.spawn(rt) != nullptr);
    heap.fail_at = 1;
    heap.persistent = true;
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.alive());
    CHECK(heap.failures > 0);
    CHECK(task.polls > 2); // woken to try again
    CHECK(rt.stats().timers_pending < ops.size());
    heap.fail_at = 0;
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(rt.stats().timers_pending == ops.size());
    for (auto &op : ops) zyntax_op_cancel(&op);
    int polls = task.polls;
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == polls);
    CHECK(rt.stats().timers_pending == 0);
}

TEST_CASE("a_join_all_without_memory_goes_on_by_polling") {
    Heap heap;
    Runtime rt(heap.config());
    std::vector<std::unique_ptr<Task>> targets;
    std::vector<zyntax_task *> handles;
    for (int i = 0; i < 2000; i++) {
        targets.push_back(std::make_unique<Task>(Task{[](Waker *) { return POLL_PENDING; }}));
        handles.push_back(targets.back()->spawn(rt));
    }
    REQUIRE(rt.drive_until([&] { return targets.back()->polls == 1; }));
    Task task;
    task.on_poll = [&](Waker *waker) { return zyntax_join_all(handles.data(), handles.size(), &task.op, waker); };
    REQUIRE(task.spawn(rt) != nullptr);
    heap.fail_at = 1;
    heap.persistent = true;
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.alive());
    for (auto &target : targets) zyntax_task_cancel(target->handle);
    REQUIRE(rt.drive_until([&] { return !task.alive(); }));
    CHECK(task.outcome == 0);
    CHECK(task.op == 0);
    heap.fail_at = 0;
    rt.destroy();
    CHECK(heap.balanced());
}

TEST_CASE("waking_cancelling_ending_and_destroying_allocate_nothing") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Heap heap;
    Clock clock;
    Runtime rt(heap.config(clock.config()));
    std::vector<Task> tasks(2000);
    std::vector<Waker> wakers(tasks.size());
    for (size_t i = 0; i < tasks.size(); i++) {
        tasks[i].on_poll = [&, i](Waker *waker) {
            wakers[i] = *waker;
            zyntax_sleep(rt, &tasks[i].op, 10 * ms, waker);
            return i % 4 == 0 && tasks[i].polls > 1 ? POLL_READY : POLL_PENDING;
        };
        tasks[i].spawn(rt);
    }
    REQUIRE(rt.drive_until([&] { return tasks.back().polls == 1; }));
    uint64_t warm = heap.allocations;
    heap.fail_at = 1;
    heap.persistent = true;
    for (auto &waker : wakers) waker.wake(waker.data);
    Thread([&] {
        for (auto &waker : wakers) waker.wake(waker.data);
        for (size_t i = 1; i < tasks.size(); i += 4) zyntax_task_cancel(tasks[i].handle);
    }).join();
    for (size_t i = 2; i < tasks.size(); i += 4) zyntax_task_cancel(tasks[i].handle);
    for (int i = 0; i < 20; i++) zyntax_runtime_turn(rt, 0);
    CHECK(rt.stats().tasks_alive == tasks.size() / 4);
    rt.destroy();
    CHECK(heap.failures == 0);
    CHECK(heap.allocations == warm);
    CHECK(heap.balanced());
}
