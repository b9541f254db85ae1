// The stack does not grow with the length of a chain of tasks that wake each other.
#include "support.h"

#include <vector>

using namespace support;

namespace {

constexpr int links = scaled(most_tasks);
constexpr ptrdiff_t stack_limit = 4096;

struct WakeChain {
    std::vector<Waker> wakers;
    std::vector<zyntax_task *> tasks;
    std::vector<int> polls, drops; // of each link
    const char *low = nullptr, *high = nullptr;
    zyntax_runtime *rt = nullptr;

    // Notes how deep the stack is.
    void measure() {
        auto *here = static_cast<const char *>(__builtin_frame_address(0));
        if (low == nullptr || here < low) low = here;
        if (high == nullptr || here > high) high = here;
    }
    int finished() const {
        int n = 0;
        for (int d : drops) n += d == 1;
        return n;
    }
} chain;

// A state is the number of a link, so that a million of them need no memory.
size_t link_of(FutureState state) { return reinterpret_cast<uintptr_t>(state); }

void wake(size_t i) {
    if (i < size_t(links)) chain.wakers[i].wake(chain.wakers[i].data);
}

PollStatus park(size_t i, Waker *waker) {
    chain.measure();
    chain.wakers[i] = *waker;
    return chain.polls[i]++ == 0 ? POLL_PENDING : POLL_READY;
}

PollStatus wake_next_from_poll(FutureState state, Waker *waker) {
    if (park(link_of(state), waker) == POLL_PENDING) return POLL_PENDING;
    wake(link_of(state) + 1);
    return POLL_READY;
}

PollStatus only_park(FutureState state, Waker *waker) { return park(link_of(state), waker); }

PollStatus spawn_next(FutureState state, Waker *);

void count_drop(FutureState state, int32_t) {
    chain.measure();
    chain.drops[link_of(state)]++;
}

void wake_next_from_drop(FutureState state, int32_t outcome) {
    count_drop(state, outcome);
    wake(link_of(state) + 1);
}

void cancel_next_from_drop(FutureState state, int32_t outcome) {
    count_drop(state, outcome);
    size_t next = link_of(state) + 1;
    if (next < size_t(links)) zyntax_task_cancel(chain.tasks[next]);
}

void spawn_next_from_drop(FutureState state, int32_t outcome) {
    count_drop(state, outcome);
    uintptr_t next = link_of(state) + 1;
    if (next < uintptr_t(links))
        zyntax_runtime_spawn_with(chain.rt, reinterpret_cast<void *>(next), spawn_next, spawn_next_from_drop, 0);
}

PollStatus spawn_next(FutureState, Waker *) {
    chain.measure();
    return POLL_READY;
}

void reset(zyntax_runtime *rt) {
    chain = WakeChain{};
    chain.rt = rt;
    chain.wakers.resize(links);
    chain.tasks.resize(links);
    chain.polls.resize(links);
    chain.drops.resize(links);
}

void spawn_all(Runtime &rt, PollFn poll, DropFn drop) {
    reset(rt);
    for (uintptr_t i = 0; i < uintptr_t(links); i++) {
        chain.tasks[i] = zyntax_runtime_spawn_with(rt, reinterpret_cast<void *>(i), poll, drop, 0);
        REQUIRE(chain.tasks[i] != nullptr);
    }
    while (chain.polls[links - 1] == 0) zyntax_runtime_turn(rt, 0);
}

void run_to_the_end(Runtime &rt) {
    Limit limit(rt, 60'000);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(chain.finished() == links);
    CHECK(chain.high - chain.low < stack_limit);
}

} // namespace

TEST_CASE("a_million_tasks_that_wake_each_other_from_poll_need_no_stack") {
    Runtime rt;
    spawn_all(rt, wake_next_from_poll, count_drop);
    wake(0);
    run_to_the_end(rt);
}

TEST_CASE("a_million_tasks_that_wake_each_other_from_drop_need_no_stack") {
    Runtime rt;
    spawn_all(rt, only_park, wake_next_from_drop);
    wake(0);
    run_to_the_end(rt);
}

TEST_CASE("a_million_tasks_that_cancel_each_other_from_drop_need_no_stack") {
    Runtime rt;
    spawn_all(rt, only_park, cancel_next_from_drop);
    zyntax_task_cancel(chain.tasks[0]);
    run_to_the_end(rt);
}

TEST_CASE("a_million_tasks_that_spawn_each_other_from_drop_need_no_stack") {
    Runtime rt;
    reset(rt);
    zyntax_runtime_spawn_with(rt, nullptr, spawn_next, spawn_next_from_drop, 0);
    run_to_the_end(rt);
}
