// Wakers and handles of ended tasks do nothing to the tasks that reuse their memory.
#include "support.h"

#include <vector>

using namespace support;

namespace {

constexpr int stale_count = scaled(10'000);
constexpr bool wide = sizeof(void *) == 8;
constexpr int narrow_generations = 2048; // of a task's slot that a 32-bit handle tells apart

struct Departed {
    Waker kept{};
    int polls = 0;
    zyntax_task *task = nullptr;
};

PollStatus keep_and_end(FutureState state, Waker *waker) {
    auto *self = static_cast<Departed *>(state);
    self->kept = *waker;
    self->polls++;
    return POLL_READY;
}

PollStatus keep_and_park(FutureState state, Waker *waker) {
    keep_and_end(state, waker);
    return POLL_PENDING;
}

std::vector<Departed> spawn_all(Runtime &rt, PollFn poll) {
    std::vector<Departed> keepers(stale_count);
    for (auto &keeper : keepers) {
        keeper.task = zyntax_runtime_spawn(rt, &keeper, poll);
        REQUIRE(keeper.task != nullptr);
    }
    REQUIRE(rt.drive_until([&] { return keepers.back().polls == 1; }));
    return keepers;
}

// Every waker once from each of four threads.
void fire_from_threads(const std::vector<Departed> &keepers) {
    std::vector<Thread> threads;
    for (size_t t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            for (size_t i = 0; i < keepers.size(); i++) {
                const Waker &waker = keepers[(i + t * 997) % keepers.size()].kept;
                waker.wake(waker.data);
            }
        });
    for (auto &thread : threads) thread.join();
}

void settle_all(Runtime &rt) {
    for (int i = 0; i < 3 * stale_count / 256 + 3; i++) zyntax_runtime_turn(rt, 0);
}

} // namespace

TEST_CASE("stale_wakers_fired_from_four_threads_poll_none_of_the_tasks_in_the_reused_slots") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    auto dead = spawn_all(rt, keep_and_end);
    REQUIRE(rt.drain());
    uint64_t reserved = rt.stats().bytes_reserved;
    std::vector<Departed> live = spawn_all(rt, keep_and_park);
    CHECK(rt.stats().bytes_reserved == reserved); // the slots really are the same
    uint64_t polls = rt.stats().polls;
    fire_from_threads(dead);
    for (auto &keeper : dead) keeper.kept.wake(keeper.kept.data);
    settle_all(rt);
    CHECK(rt.stats().polls == polls);
    CHECK(rt.stats().tasks_alive == uint64_t(stale_count));
}

TEST_CASE("stale_wakers_fired_while_the_new_tasks_run_poll_none_of_them") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    auto dead = spawn_all(rt, keep_and_end);
    REQUIRE(rt.drain());
    std::atomic<bool> stop{false};
    std::vector<Thread> threads;
    for (size_t t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            for (size_t i = t; !stop; i = (i + 1) % dead.size()) dead[i].kept.wake(dead[i].kept.data);
        });
    uint64_t polls = rt.stats().polls;
    for (int round = 0; round < 5; round++) {
        spawn_all(rt, keep_and_end);
        CHECK(rt.drain());
    }
    stop = true;
    for (auto &thread : threads) thread.join();
    settle_all(rt);
    CHECK(rt.stats().polls == polls + 5 * uint64_t(stale_count));
}

TEST_CASE("stale_handles_do_not_reach_the_tasks_in_the_reused_slots") {
    Runtime rt;
    auto dead = spawn_all(rt, keep_and_end);
    REQUIRE(rt.drain());
    auto live = spawn_all(rt, keep_and_park);
    int wrong = 0;
    for (auto &keeper : dead) {
        wrong += zyntax_task_alive(keeper.task) != 0;
        wrong += zyntax_task_cancel(keeper.task) != ZYNTAX_ESTALE;
    }
    CHECK(wrong == 0);
    settle_all(rt);
    for (auto &keeper : live) wrong += zyntax_task_alive(keeper.task) != 1;
    CHECK(wrong == 0);
}

TEST_CASE("wakers_and_handles_of_many_generations_of_one_slot_are_all_different") {
    Runtime rt;
    std::vector<Departed> dead(wide ? scaled(100'000) : narrow_generations - 1);
    for (auto &keeper : dead) {
        keeper.task = zyntax_runtime_spawn(rt, &keeper, keep_and_end);
        zyntax_runtime_turn(rt, 0);
    }
    Departed live;
    live.task = zyntax_runtime_spawn(rt, &live, keep_and_park);
    zyntax_runtime_turn(rt, 0);
    int wrong = 0;
    for (auto &keeper : dead) {
        keeper.kept.wake(keeper.kept.data);
        wrong += zyntax_task_alive(keeper.task) != 0;
    }
    zyntax_runtime_turn(rt, 0);
    CHECK(wrong == 0);
    CHECK(live.polls == 1);
}

// The header's table: narrower numbers on 32-bit targets are still safe.
TEST_CASE("on_32_bits_a_waker_kept_for_2048_tasks_of_one_slot_only_polls_the_newest_spuriously") {
    if (wide) {
        MESSAGE("skipped: handles are 64 bits wide here");
        return;
    }
    Runtime rt;
    std::vector<Departed> dead(narrow_generations);
    for (auto &keeper : dead) {
        keeper.task = zyntax_runtime_spawn(rt, &keeper, keep_and_end);
        zyntax_runtime_turn(rt, 0);
    }
    Departed live;
    live.task = zyntax_runtime_spawn(rt, &live, keep_and_park);
    zyntax_runtime_turn(rt, 0);
    CHECK(live.task == dead[0].task);
    dead[0].kept.wake(dead[0].kept.data);
    zyntax_runtime_turn(rt, 0);
    CHECK(live.polls == 2);
    CHECK(dead[0].polls == 1);
}

TEST_CASE("wakers_kept_by_others_pin_no_memory") {
    Runtime rt;
    auto warm = spawn_all(rt, keep_and_end);
    REQUIRE(rt.drain());
    auto before = rt.stats();
    auto dead = spawn_all(rt, keep_and_end);
    REQUIRE(rt.drain());
    CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
    CHECK(rt.stats().bytes_reserved == before.bytes_reserved);
}
