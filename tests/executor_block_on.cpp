// block_on drives all tasks until one task has ended. run drives until no task is left.
#include "support.h"

#include <vector>

using namespace support;

namespace {

struct Steps : Task {
    explicit Steps(int n) {
        on_poll = [this, n](Waker *waker) {
            waker->wake(waker->data);
            return polls < n ? POLL_PENDING : POLL_READY;
        };
    }
};

} // namespace

TEST_CASE("block_on_returns_when_its_task_has_ended_and_leaves_the_others_alive") {
    Runtime rt;
    Steps endless(1'000'000), awaited(10);
    endless.spawn(rt);
    awaited.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, awaited.handle) == 0);
    CHECK(awaited.drops == 1);
    CHECK(awaited.polls == 10);
    CHECK(endless.alive());
    CHECK(endless.polls >= 9);
}

TEST_CASE("block_on_a_task_that_has_ended_returns_0_at_once") {
    Runtime rt;
    Steps ended(1), other(2);
    ended.spawn(rt);
    REQUIRE(rt.drain());
    other.spawn(rt);
    CHECK(zyntax_runtime_block_on(rt, ended.handle) == 0);
    CHECK(other.polls == 0);
}

TEST_CASE("block_on_no_task_is_invalid_so_that_a_spawn_that_failed_shows") {
    Runtime rt;
    Steps other(2);
    other.spawn(rt);
    CHECK(zyntax_runtime_block_on(rt, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_block_on(rt, zyntax_runtime_spawn(rt, nullptr, nullptr)) == ZYNTAX_EINVAL);
    CHECK(other.polls == 0);
    Task inside{[&](Waker *) {
        CHECK(zyntax_runtime_block_on(rt, nullptr) < 0);
        return POLL_READY;
    }};
    inside.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(inside.polls == 1);
}

TEST_CASE("block_on_a_cancelled_task_returns_0_after_its_drop") {
    Runtime rt;
    Task task{[](Waker *) { return POLL_PENDING; }};
    task.spawn(rt);
    CHECK(zyntax_task_cancel(task.handle) == 0);
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, task.handle) == 0);
    CHECK(task.outcome == ZYNTAX_ECANCELED);
    CHECK(task.polls == 0);
}

TEST_CASE("block_on_a_live_task_of_another_runtime_is_stale") {
    Runtime a, b;
    Steps in_a(1), in_b(1);
    in_a.spawn(a);
    in_b.spawn(b);
    CHECK(zyntax_runtime_block_on(b, in_a.handle) == ZYNTAX_ESTALE);
    CHECK(in_b.polls == 0);
    Limit limit(a);
    CHECK(zyntax_runtime_block_on(a, in_a.handle) == 0);
    CHECK(zyntax_runtime_block_on(b, in_a.handle) == 0); // it has ended
}

TEST_CASE("run_returns_at_once_without_tasks") {
    Runtime rt;
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(rt.stats().polls == 0);
}

TEST_CASE("run_includes_tasks_that_are_spawned_on_the_way") {
    Runtime rt;
    std::vector<std::unique_ptr<Task>> tasks;
    std::function<void(int)> spawn = [&](int left) {
        tasks.push_back(std::make_unique<Task>(Task{[&spawn, left](Waker *) {
            if (left > 0) spawn(left - 1);
            return POLL_READY;
        }}));
        tasks.back()->spawn(rt);
    };
    spawn(99);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(tasks.size() == 100);
    CHECK(rt.stats().tasks_alive == 0);
    CHECK(rt.stats().tasks_spawned == 100);
}

TEST_CASE("driving_without_a_runtime_is_invalid") {
    CHECK(zyntax_runtime_run(nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_block_on(nullptr, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_turn(nullptr, 0) == ZYNTAX_EINVAL);
}

TEST_CASE("a_turn_returns_the_number_of_live_tasks") {
    Runtime rt;
    Steps one(1), two(1'000'000);
    CHECK(zyntax_runtime_turn(rt, 0) == 0);
    one.spawn(rt);
    two.spawn(rt);
    CHECK(zyntax_runtime_turn(rt, 0) == 1);
    zyntax_task_cancel(two.handle);
    CHECK(zyntax_runtime_turn(rt, 0) == 0);
}

TEST_CASE("a_runtime_can_be_driven_by_one_thread_after_another") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Steps task(10);
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    Thread([&] {
        Limit limit(rt);
        CHECK(zyntax_runtime_run(rt) == 0);
    }).join();
    CHECK(task.outcome == 0);
    Steps again(10);
    again.spawn(rt);
    CHECK(rt.drain());
}
