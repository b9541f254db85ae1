// Destroying a runtime always succeeds, and drops each task exactly once, in every state of the task.
#include "support.h"

#include <vector>

using namespace support;

namespace {

// A task for every kind of wait, and tasks without a wait.
struct Zoo {
    std::vector<std::unique_ptr<Task>> tasks;
    Pair pair;
    zyntax_io *io = nullptr;
    zyntax_channel *channel = nullptr;
    char byte = 0;
    int64_t result = 0;
    std::vector<Waker> wakers;

    Task &add(zyntax_runtime *rt, std::function<PollStatus(Task &, Waker *)> poll) {
        auto task = std::make_unique<Task>();
        task->on_poll = [this, poll, self = task.get()](Waker *waker) {
            wakers.push_back(*waker);
            return poll(*self, waker);
        };
        REQUIRE(task->spawn(rt) != nullptr);
        tasks.push_back(std::move(task));
        return *tasks.back();
    }
    void fill(zyntax_runtime *rt) {
        if constexpr (has_sockets) io = adopt(rt, (pair = socket_pair()).near);
        REQUIRE(zyntax_channel_create(rt, 1, 1, &channel) == 0);
        auto job = [](void *) -> int64_t { return 0; };
        Task &parked = add(rt, [](Task &, Waker *) { return POLL_PENDING; });
        add(rt, [&](Task &t, Waker *w) { return zyntax_task_join(parked.handle, &t.op, w, &result); });
        add(rt, [&](Task &t, Waker *w) { return zyntax_join_all(&parked.handle, 1, &t.op, w); });
        add(rt, [&](Task &t, Waker *w) { return zyntax_select(&parked.handle, 1, &t.op, w, &result); });
        add(rt, [&](Task &t, Waker *w) { return zyntax_join_until(parked.handle, &t.op, UINT64_MAX, w, &result); });
        add(rt, [=](Task &t, Waker *w) { return zyntax_sleep(rt, &t.op, 3'600'000 * ms, w); });
        add(rt, [&](Task &t, Waker *w) { return zyntax_io_read(io, &t.op, &byte, 1, w, &result); });
        add(rt, [&](Task &t, Waker *w) { return zyntax_channel_recv(channel, &t.op, &byte, w, &result); });
        add(rt, [=, this](Task &t, Waker *w) { return zyntax_blocking(rt, &t.op, job, nullptr, 0, w, &result); });
        add(rt, [](Task &, Waker *waker) { // queued
            waker->wake(waker->data);
            return POLL_PENDING;
        });
    }
};

// True if the process aborted with a message that names `word`.
bool aborts_naming(const char *word, void (*misuse)()) {
    Death death = death_of(misuse);
    INFO("message: " << death.message);
    CHECK(death.message.find(word) != std::string::npos);
    return death.aborted;
}

zyntax_runtime *doomed;

PollStatus destroy_from_poll(FutureState, Waker *) {
    zyntax_runtime_destroy(doomed);
    return POLL_READY;
}
void destroy_from_drop(FutureState, int32_t) { zyntax_runtime_destroy(doomed); }
void destroy_from_call(void *) { zyntax_runtime_destroy(doomed); }

} // namespace

TEST_CASE("tasks_in_every_state_are_dropped_exactly_once") {
    Runtime rt;
    Zoo zoo;
    zoo.fill(rt);
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    Task fresh{[](Waker *) { return POLL_PENDING; }};
    Task cancelled{[](Waker *) { return POLL_PENDING; }};
    fresh.spawn(rt);
    cancelled.spawn(rt);
    zyntax_task_cancel(cancelled.handle);
    rt.destroy();
    CHECK(fresh.polls == 0);
    CHECK(fresh.drops == 1);
    CHECK(fresh.outcome == ZYNTAX_ECANCELED);
    CHECK(cancelled.drops == 1);
    for (size_t i = 0; i < zoo.tasks.size(); i++) {
        CAPTURE(i);
        CHECK(zoo.tasks[i]->drops == 1);
        CHECK_FALSE(zoo.tasks[i]->alive());
    }
    for (auto &waker : zoo.wakers) waker.wake(waker.data);
}

TEST_CASE("tasks_that_forget_their_operations_leave_nothing_behind") {
    Heap heap;
    Runtime rt(heap.config());
    Zoo zoo;
    zoo.fill(rt);
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    for (auto &task : zoo.tasks) task->op = 0; // so that drop cancels nothing
    rt.destroy();
    CHECK(heap.balanced());
}

TEST_CASE("destroying_a_runtime_without_tasks_or_without_a_runtime_is_fine") {
    zyntax_runtime_destroy(nullptr);
    for (int i = 0; i < 100; i++) {
        zyntax_runtime *rt = zyntax_runtime_create();
        REQUIRE(rt != nullptr);
        zyntax_runtime_destroy(rt);
    }
}

TEST_CASE("a_spawn_from_a_drop_during_destroy_returns_NULL_and_drops_at_once_three_levels_deep") {
    Runtime rt;
    zyntax_runtime *raw = rt;
    std::vector<Task> levels(4);
    for (size_t i = 0; i < levels.size(); i++) {
        levels[i].on_poll = [](Waker *) { return POLL_PENDING; };
        levels[i].on_drop = [&, raw, i](int32_t outcome) {
            CHECK(outcome == ZYNTAX_ECANCELED);
            if (i + 1 == levels.size()) return;
            CHECK(levels[i + 1].spawn(raw) == nullptr);
            CHECK(levels[i + 1].drops == 1);
        };
    }
    levels[0].spawn(rt);
    zyntax_runtime_turn(rt, 0);
    rt.destroy();
    for (size_t i = 0; i < levels.size(); i++) {
        CHECK(levels[i].drops == 1);
        CHECK(levels[i].polls == (i == 0));
    }
}

TEST_CASE("a_plain_spawn_from_a_drop_during_destroy_returns_NULL") {
    Runtime rt;
    zyntax_runtime *raw = rt;
    bool tried = false;
    Task task{[](Waker *) { return POLL_PENDING; },
              [&](int32_t) {
                  tried = true;
                  CHECK(zyntax_runtime_spawn(raw, nullptr, ends_at_once) == nullptr);
              }};
    task.spawn(rt);
    rt.destroy();
    CHECK(tried);
}

TEST_CASE("drops_during_destroy_may_wake_and_cancel_the_others") {
    Runtime rt;
    std::vector<Task> tasks(100);
    std::vector<Waker> wakers(tasks.size());
    for (size_t i = 0; i < tasks.size(); i++) {
        tasks[i].on_poll = [&, i](Waker *waker) {
            wakers[i] = *waker;
            return POLL_PENDING;
        };
        tasks[i].on_drop = [&](int32_t) {
            for (auto &waker : wakers) waker.wake(waker.data);
            for (auto &task : tasks) zyntax_task_cancel(task.handle);
        };
        tasks[i].spawn(rt);
    }
    zyntax_runtime_turn(rt, 0);
    rt.destroy();
    for (auto &task : tasks) {
        CHECK(task.drops == 1);
        CHECK(task.polls == 1);
        CHECK(task.outcome == ZYNTAX_ECANCELED);
    }
}

TEST_CASE("owned_states_are_freed_by_destroy") {
    Heap heap;
    Runtime rt(heap.config());
    for (int i = 0; i < 100; i++) {
        void *state = zyntax_state_alloc(rt, 200);
        REQUIRE(zyntax_runtime_spawn_with(rt, state, ends_at_once, nullptr, 200) != nullptr);
    }
    REQUIRE(zyntax_state_alloc(rt, 300) != nullptr); // and a state without an owner
    rt.destroy();
    CHECK(heap.balanced());
}

TEST_CASE("destroying_a_runtime_from_inside_itself_aborts_with_a_message") {
    SKIP_WHEN(!has_processes, "a WASI program can start no other");
    CHECK(aborts_naming("destroy", [] {
        doomed = zyntax_runtime_create();
        zyntax_runtime_spawn(doomed, nullptr, destroy_from_poll);
        zyntax_runtime_run(doomed);
    }));
    CHECK(aborts_naming("destroy", [] {
        doomed = zyntax_runtime_create();
        zyntax_runtime_spawn_with(doomed, nullptr, ends_at_once, destroy_from_drop, 0);
        zyntax_runtime_run(doomed);
    }));
    CHECK(aborts_naming("destroy", [] {
        doomed = zyntax_runtime_create();
        zyntax_runtime_post(doomed, destroy_from_call, nullptr);
        zyntax_runtime_turn(doomed, 0);
    }));
}
