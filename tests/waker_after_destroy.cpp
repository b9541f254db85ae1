// Wakers and task handles that outlive their runtime do nothing, in every thread, for ever.
#include "support.h"

#include <vector>

using namespace support;

namespace {

struct Keeper {
    Waker kept{};
    int polls = 0;
    zyntax_task *task = nullptr;
    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Keeper *>(state);
        self->kept = *waker;
        self->polls++;
        return POLL_PENDING;
    }
};

std::vector<Keeper> park(zyntax_runtime *rt, size_t n) {
    std::vector<Keeper> keepers(n);
    for (auto &keeper : keepers) keeper.task = zyntax_runtime_spawn(rt, &keeper, Keeper::poll);
    for (size_t i = 0; i < n / 256 + 1; i++) zyntax_runtime_turn(rt, 0);
    return keepers;
}

} // namespace

TEST_CASE("wakes_after_destroy_do_nothing") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    auto dead = park(rt, 100);
    rt.destroy();
    for (auto &keeper : dead) {
        keeper.kept.wake(keeper.kept.data);
        zyntax_wake_from_signal(&keeper.kept);
    }
    Thread([&] {
        for (auto &keeper : dead) keeper.kept.wake(keeper.kept.data);
    }).join();
    for (auto &keeper : dead) CHECK(keeper.polls == 1);
}

TEST_CASE("task_handles_after_destroy_are_stale") {
    Runtime rt, other;
    auto dead = park(rt, 100);
    rt.destroy();
    for (auto &keeper : dead) {
        CHECK(zyntax_task_alive(keeper.task) == 0);
        CHECK(zyntax_task_cancel(keeper.task) == ZYNTAX_ESTALE);
        CHECK(zyntax_runtime_block_on(other, keeper.task) == 0); // it has ended
    }
}

TEST_CASE("wakers_of_a_destroyed_runtime_do_not_reach_the_runtime_that_took_its_place") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    std::vector<Keeper> dead;
    {
        Runtime rt;
        dead = park(rt, 1000);
    }
    Runtime next;
    auto live = park(next, 1000);
    auto before = next.stats();
    for (auto &keeper : dead) keeper.kept.wake(keeper.kept.data);
    Thread([&] {
        for (auto &keeper : dead) keeper.kept.wake(keeper.kept.data);
    }).join();
    for (int i = 0; i < 10; i++) zyntax_runtime_turn(next, 0);
    CHECK(next.stats().polls == before.polls);
    for (auto &keeper : dead) CHECK(zyntax_task_cancel(keeper.task) == ZYNTAX_ESTALE);
    zyntax_runtime_turn(next, 0);
    CHECK(next.stats().tasks_alive == 1000);
}

TEST_CASE("wakes_that_were_under_way_at_destroy_do_not_reach_the_next_runtime") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    for (int round = 0; round < scaled(1000); round++) {
        Runtime rt;
        auto dead = park(rt, 4);
        Thread([&] { // queued at the runtime, and never looked at
            for (auto &keeper : dead) keeper.kept.wake(keeper.kept.data);
        })
            .join();
        for (auto &keeper : dead) zyntax_task_cancel(keeper.task);
        rt.destroy();
        Runtime next;
        auto live = park(next, 4);
        zyntax_runtime_turn(next, 0);
        for (auto &keeper : live) REQUIRE(keeper.polls == 1);
        for (auto &keeper : live) keeper.kept.wake(keeper.kept.data);
        zyntax_runtime_turn(next, 0);
        for (auto &keeper : live) REQUIRE(keeper.polls == 2);
        for (auto &keeper : dead) REQUIRE(keeper.polls == 1);
    }
}
