// The local word: each task has one, and its children begin with it.
#include "compiled_support.h"

#include <deque>
#include <vector>

using namespace support;

namespace {

int local_words[8];
void *local_word(int i) { return &local_words[i]; }

// A task that sets a word (unless null) and then calls `then` in its first poll. It goes on until it is told to end.
struct Worded : Task {
    void *seen = local_word(7); // at the beginning of its newest poll
    bool ends = false;
    Waker waker{};

    explicit Worded(void *sets = nullptr, std::function<void()> then = nullptr) : Task{} {
        on_poll = [this, sets, then](Waker *given) {
            waker = *given;
            seen = zyntax_task_local();
            if (polls == 1 && sets) zyntax_task_set_local(sets);
            if (polls == 1 && then) then();
            return ends ? POLL_READY : POLL_PENDING;
        };
    }
    void end() {
        ends = true;
        waker.wake(waker.data);
    }
};

// A child that looks at its word in its poll and in its drop, and ends.
struct Looker : Task {
    void *in_poll = local_word(7), *in_drop = local_word(7);

    Looker() : Task{} {
        on_poll = [this](Waker *) {
            in_poll = zyntax_task_local();
            return POLL_READY;
        };
        on_drop = [this](int32_t) { in_drop = zyntax_task_local(); };
    }
    bool saw(void *expected) const { return in_poll == expected && in_drop == expected; }
};

// Hooks without `enter` and `leave`.
struct WordHooks {
    static void *context(void *, const zyntax_promise *) { return zyntax_task_local(); }
    static void drop(void *ctx, int32_t) {
        drops++;
        if (ctx != nullptr) right = right && zyntax_task_local() == ctx;
    }
    static inline int drops;
    static inline bool right;
};

zyntax_scope *new_scope(zyntax_runtime *rt) {
    zyntax_scope *scope = nullptr;
    REQUIRE(zyntax_scope_create(rt, &scope) == 0);
    return scope;
}

} // namespace

// First in this file, so that nothing in the process has used a word before.
TEST_CASE("the_first_word_of_a_process_may_be_set_in_a_drop_function") {
    Runtime rt;
    Looker child, later;
    void *seen = nullptr;
    Task parent{[](Waker *) { return POLL_READY; }};
    parent.on_drop = [&](int32_t) {
        CHECK(zyntax_task_local() == nullptr);
        zyntax_task_set_local(local_word(0));
        seen = zyntax_task_local();
        child.spawn(rt);
    };
    parent.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(seen == local_word(0));
    CHECK(child.saw(local_word(0)));
    later.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(later.saw(nullptr));
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("each_task_has_its_own_word_from_poll_to_poll") {
    Runtime rt;
    std::deque<Worded> tasks;
    for (int i = 0; i < 3; i++) tasks.emplace_back(local_word(i)).spawn(rt);
    settle(rt);
    for (Worded &task : tasks) CHECK(task.seen == nullptr);
    for (Worded &task : tasks) task.waker.wake(task.waker.data);
    settle(rt);
    for (size_t i = 0; i < 3; i++) CHECK(tasks[i].seen == local_word(int(i)));
}

TEST_CASE("the_newest_word_holds_and_null_is_a_word_like_others") {
    Runtime rt;
    Looker with, without;
    Task task{[&](Waker *) {
        zyntax_task_set_local(nullptr);
        CHECK(zyntax_task_local() == nullptr);
        zyntax_task_set_local(local_word(0));
        zyntax_task_set_local(local_word(1));
        CHECK(zyntax_task_local() == local_word(1));
        with.spawn(rt);
        zyntax_task_set_local(nullptr);
        CHECK(zyntax_task_local() == nullptr);
        without.spawn(rt);
        return POLL_READY;
    }};
    void *in_drop = local_word(7);
    task.on_drop = [&](int32_t) { in_drop = zyntax_task_local(); };
    task.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(with.saw(local_word(1)));
    CHECK(without.saw(nullptr));
    CHECK(in_drop == nullptr);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_spawned_task_begins_with_its_spawners_word_and_keeps_it") {
    Runtime rt;
    Worded child;
    Worded parent(local_word(1), [&] {
        child.spawn(rt);
        zyntax_task_set_local(local_word(2)); // afterwards: not for the child
    });
    parent.spawn(rt);
    settle(rt);
    CHECK(child.seen == local_word(1));
    parent.end();
    settle(rt);
    child.end();
    REQUIRE(rt.drain());
    CHECK(child.seen == local_word(1));
    CHECK(parent.seen == local_word(2));
}

TEST_CASE("a_childs_word_is_a_copy") {
    Runtime rt;
    Worded grandchild;
    Worded child(local_word(2), [&] { grandchild.spawn(rt); });
    Worded parent(local_word(1), [&] { child.spawn(rt); });
    parent.spawn(rt);
    settle(rt);
    CHECK(child.seen == local_word(1));
    CHECK(grandchild.seen == local_word(2));
    parent.waker.wake(parent.waker.data);
    settle(rt);
    CHECK(parent.seen == local_word(1));
}

TEST_CASE("a_task_that_the_host_or_a_posted_function_spawns_begins_with_null") {
    Runtime rt;
    Worded parent(local_word(1));
    Looker of_host, of_post;
    parent.spawn(rt);
    settle(rt);
    of_host.spawn(rt);
    struct Posted {
        Runtime &rt;
        Looker &child;
        void *seen;
    } posted{rt, of_post, local_word(7)};
    auto post = [](void *arg) {
        auto *self = static_cast<Posted *>(arg);
        zyntax_task_set_local(local_word(3)); // in no task: nothing
        self->seen = zyntax_task_local();
        self->child.spawn(self->rt);
    };
    REQUIRE(zyntax_runtime_post(rt, post, &posted) == 0);
    settle(rt);
    CHECK(of_host.saw(nullptr));
    CHECK(of_post.saw(nullptr));
    CHECK(posted.seen == nullptr);
}

TEST_CASE("outside_of_polls_and_drops_there_is_no_word") {
    zyntax_task_set_local(local_word(1));
    CHECK(zyntax_task_local() == nullptr);
    Runtime rt;
    Worded task(local_word(1));
    task.spawn(rt);
    settle(rt);
    CHECK(zyntax_task_local() == nullptr);
    zyntax_task_set_local(local_word(2));
    task.waker.wake(task.waker.data);
    settle(rt);
    CHECK(task.seen == local_word(1));
}

TEST_CASE("a_host_waker_has_no_word_also_after_a_drop_that_set_one") {
    Runtime rt;
    static void *seen;
    seen = local_word(7);
    Waker host{nullptr, [](void *) { seen = zyntax_task_local(); }};
    zyntax_op op = 0;
    int64_t result;
    Worded awaited;
    awaited.on_drop = [](int32_t) { zyntax_task_set_local(local_word(2)); };
    awaited.spawn(rt);
    settle(rt);
    REQUIRE(zyntax_task_join(awaited.handle, &op, &host, &result) == POLL_PENDING);
    awaited.end();
    settle(rt);
    CHECK(seen == nullptr);
    CHECK(zyntax_task_join(awaited.handle, &op, &host, &result) == POLL_READY);
}

TEST_CASE("a_drop_function_has_its_tasks_word_however_the_task_ends") {
    void *seen[3] = {};
    std::deque<Worded> tasks;
    {
        Runtime rt;
        for (int i = 0; i < 3; i++) {
            Worded &task = tasks.emplace_back(local_word(i));
            task.on_drop = [&seen, i](int32_t) { seen[i] = zyntax_task_local(); };
            task.spawn(rt);
        }
        settle(rt);
        tasks[0].end();
        zyntax_task_cancel(tasks[1].handle);
        settle(rt);
        CHECK(seen[0] == local_word(0));
        CHECK(seen[1] == local_word(1));
        CHECK(seen[2] == nullptr);
    }
    CHECK(seen[2] == local_word(2));
    CHECK(tasks[2].outcome == ZYNTAX_ECANCELED);
}

TEST_CASE("a_canceled_poll_and_a_wake_during_the_last_poll_keep_the_word_for_the_drop") {
    Runtime rt;
    void *of_canceled = nullptr, *of_woken = nullptr;
    Task canceled{[&](Waker *) {
        zyntax_task_set_local(local_word(1));
        zyntax_task_cancel(canceled.handle);
        return POLL_PENDING;
    }};
    Task woken{[&](Waker *waker) {
        zyntax_task_set_local(local_word(2));
        waker->wake(waker->data); // it ends while it is in the ready queue
        return POLL_READY;
    }};
    canceled.on_drop = [&](int32_t) { of_canceled = zyntax_task_local(); };
    woken.on_drop = [&](int32_t) { of_woken = zyntax_task_local(); };
    canceled.spawn(rt);
    woken.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(of_canceled == local_word(1));
    CHECK(of_woken == local_word(2));
    for (int i = 0; i < 3; i++) { // the places are used again
        Looker next;
        next.spawn(rt);
        REQUIRE(rt.drain());
        CHECK(next.saw(nullptr));
    }
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_drop_function_may_set_its_word_for_what_it_spawns") {
    Runtime rt;
    Looker before, after;
    Worded parent(local_word(1));
    parent.on_drop = [&](int32_t) {
        before.spawn(rt);
        zyntax_task_set_local(local_word(2));
        CHECK(zyntax_task_local() == local_word(2));
        after.spawn(rt);
    };
    parent.spawn(rt);
    settle(rt);
    parent.end();
    REQUIRE(rt.drain());
    CHECK(before.saw(local_word(1)));
    CHECK(after.saw(local_word(2)));
}

TEST_CASE("the_next_drop_does_not_see_the_word_of_the_one_before") {
    Runtime rt;
    std::deque<Looker> lookers(3);
    Looker &middle = lookers[1];
    middle.on_drop = [](int32_t) { zyntax_task_set_local(local_word(4)); };
    for (Looker &looker : lookers) looker.spawn(rt);
    for (Looker &looker : lookers) zyntax_task_cancel(looker.handle);
    REQUIRE(rt.drain());
    CHECK(lookers[2].in_drop == nullptr);
}

TEST_CASE("children_of_scopes_and_of_promise_makers_begin_with_the_word") {
    Runtime rt;
    zyntax_scope *scope = new_scope(rt);
    Looker in_scope;
    Worded parent(local_word(1), [&] {
        in_scope.runtime = rt;
        in_scope.handle = zyntax_scope_spawn(scope, static_cast<Task *>(&in_scope), Task::poll, Task::drop, 0);
        CHECK(in_scope.handle != nullptr);
    });
    parent.spawn(rt);
    settle(rt);
    CHECK(in_scope.saw(local_word(1)));
    void *of_child = nullptr;
    Compiled child({});
    child.returns = [&](Compiled &) {
        of_child = zyntax_task_local();
        return int64_t(1);
    };
    Compiled code({[&] {
        zyntax_task_set_local(local_word(2));
        return zyntax_promise_spawn_child(&child.entry);
    }});
    code.spawn(rt);
    settle(rt);
    CHECK(code.result == 1);
    CHECK(of_child == local_word(2));
}

TEST_CASE("a_task_of_another_runtime_is_a_spawner_too") {
    Runtime one, other;
    Looker child;
    Worded parent(local_word(1), [&] { child.spawn(other); });
    parent.spawn(one);
    settle(one);
    REQUIRE(other.drain());
    CHECK(child.saw(local_word(1)));
}

TEST_CASE("a_runtime_that_a_poll_drives_has_its_own_words") {
    Runtime outer, inner;
    Looker from_inside;
    Worded nested(local_word(2));
    void *in_post = local_word(7), *afterwards = nullptr;
    nested.on_drop = [&](int32_t) {
        CHECK(zyntax_task_local() == local_word(2));
        zyntax_task_set_local(local_word(3));
        from_inside.spawn(outer); // which is not the driven runtime
    };
    nested.spawn(inner);
    settle(inner);
    Worded task(local_word(1), [&] {
        nested.end();
        auto post = [](void *seen) { *static_cast<void **>(seen) = zyntax_task_local(); };
        CHECK(zyntax_runtime_post(inner, post, &in_post) == 0);
        CHECK(inner.drain());
        afterwards = zyntax_task_local();
    });
    task.spawn(outer);
    settle(outer);
    CHECK(nested.drops == 1);
    CHECK(in_post == nullptr);
    CHECK(afterwards == local_word(1));
    CHECK(from_inside.saw(local_word(3)));
}

TEST_CASE("the_drop_of_a_refused_spawn_has_its_callers_word_and_leaves_it") {
    Runtime rt;
    zyntax_scope *scope = new_scope(rt);
    REQUIRE(zyntax_scope_cancel(scope) == 0);
    void *first = nullptr, *second = nullptr, *afterwards = nullptr;
    Task refused{[](Waker *) { return POLL_READY; }};
    refused.on_drop = [&](int32_t) {
        first = zyntax_task_local();
        zyntax_task_set_local(local_word(2));
        second = zyntax_task_local();
    };
    auto spawn = [&] { CHECK(zyntax_scope_spawn(scope, &refused, Task::poll, Task::drop, 0) == nullptr); };
    Worded parent(local_word(1), [&] {
        spawn();
        afterwards = zyntax_task_local();
    });
    parent.spawn(rt);
    settle(rt);
    CHECK(refused.drops == 1);
    CHECK(first == local_word(1));
    CHECK(second == local_word(2));
    CHECK(afterwards == local_word(1));
    spawn(); // by the host
    CHECK(refused.drops == 2);
    CHECK(first == nullptr);
    CHECK(second == nullptr);
}

TEST_CASE("a_spawn_that_a_drop_makes_during_destroy_is_refused_with_its_word") {
    void *seen = nullptr, *afterwards = nullptr;
    Task refused{[](Waker *) { return POLL_READY; }};
    Worded parent(local_word(1));
    refused.on_drop = [&](int32_t) {
        seen = zyntax_task_local();
        zyntax_task_set_local(local_word(2));
    };
    {
        Runtime rt;
        parent.on_drop = [&](int32_t) {
            CHECK(refused.spawn(rt) == nullptr);
            afterwards = zyntax_task_local();
        };
        parent.spawn(rt);
        settle(rt);
    }
    CHECK(refused.drops == 1);
    CHECK(seen == local_word(1));
    CHECK(afterwards == local_word(1));
}

TEST_CASE("a_runtime_that_is_destroyed_inside_a_poll_drops_with_its_own_words") {
    Runtime outer;
    auto *inner = zyntax_runtime_create();
    void *of_worded = nullptr, *of_plain = local_word(7), *afterwards = nullptr;
    Worded worded(local_word(2)), plain;
    worded.on_drop = [&](int32_t) { of_worded = zyntax_task_local(); };
    plain.on_drop = [&](int32_t) { of_plain = zyntax_task_local(); };
    worded.spawn(inner);
    plain.spawn(inner);
    zyntax_runtime_turn(inner, 0);
    Worded task(local_word(1), [&] {
        zyntax_runtime_destroy(inner);
        afterwards = zyntax_task_local();
    });
    task.spawn(outer);
    settle(outer);
    CHECK(of_worded == local_word(2));
    CHECK(of_plain == nullptr);
    CHECK(afterwards == local_word(1));
}

TEST_CASE("hooks_may_use_the_word_instead_of_enter_and_leave") {
    Runtime rt;
    WordHooks::drops = 0;
    WordHooks::right = true;
    auto look = [](Compiled &) {
        WordHooks::right = WordHooks::right && zyntax_task_local() == local_word(1);
        return int64_t(1);
    };
    Compiled child({[] { return zyntax_promise_yield(); }}), code({});
    child.returns = look;
    code.awaits = {[] {
                       zyntax_task_set_local(local_word(1)); // once
                       return zyntax_promise_yield();
                   },
                   [&] { return zyntax_promise_spawn_child(&child.entry); }};
    code.returns = look;
    zyntax_promise_hooks hooks{sizeof hooks, nullptr, nullptr, WordHooks::drop, nullptr, WordHooks::context};
    code.task = zyntax_promise_spawn_with(rt, &code.entry, &code.result, &hooks);
    Compiled stranger({[] { return zyntax_promise_yield(); }});
    stranger.returns = [](Compiled &) {
        WordHooks::right = WordHooks::right && zyntax_task_local() == nullptr;
        return int64_t(1);
    };
    stranger.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(code.result == 1);
    CHECK(stranger.result == 1);
    CHECK(WordHooks::drops == 2);
    CHECK(WordHooks::right);
}

TEST_CASE("block_on_ends_with_the_round_of_a_task_that_has_a_word") {
    Runtime rt;
    Worded other;
    Worded task(local_word(1));
    task.ends = true;
    task.spawn(rt);
    other.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, task.handle) == 0);
    CHECK(other.polls == 0); // no poll after the awaited task
    CHECK(other.alive());
}

TEST_CASE("a_task_that_block_on_gave_up_does_not_end_a_later_round") {
    Runtime rt;
    Worded task, other;
    task.spawn(rt);
    other.spawn(rt);
    settle(rt);
    zyntax_runtime_stop(rt);
    CHECK(zyntax_runtime_block_on(rt, task.handle) == ZYNTAX_ECANCELED);
    task.end();
    other.waker.wake(other.waker.data); // after it
    zyntax_runtime_turn(rt, 0);
    CHECK(other.polls == 2);
    CHECK(!task.alive());
}

TEST_CASE("words_cost_no_memory_in_the_end_and_none_when_warm") {
    Heap heap;
    {
        Runtime rt(heap.config());
        auto round = [&] {
            std::deque<Looker> children(100);
            Worded parent(local_word(1), [&] {
                for (Looker &child : children) child.spawn(rt);
            });
            parent.ends = true;
            parent.spawn(rt);
            REQUIRE(rt.drain());
            for (Looker &child : children) CHECK(child.saw(local_word(1)));
        };
        round();
        CHECK(rt.stats().bytes_in_use == 0);
        uint64_t allocations = heap.allocations;
        for (int i = 0; i < 10; i++) round();
        CHECK(heap.allocations == allocations);
    }
    CHECK(heap.balanced());
}

// Fills the arena up to its chunk's end, so that the next block needs the allocator.
TEST_CASE("without_memory_a_task_keeps_null_and_a_spawn_by_a_task_with_a_word_returns_null") {
    constexpr size_t record_bytes = 4 * sizeof(void *);
    Heap heap;
    {
        Runtime rt(heap.config());
        std::vector<void *> blocks{zyntax_state_alloc(rt, record_bytes)};
        Looker child;
        Worded fails(nullptr, [&] {
            heap.fail_at = 1;
            heap.persistent = true;
            while (void *block = zyntax_state_alloc(rt, record_bytes)) blocks.push_back(block);
            zyntax_task_set_local(local_word(1));
            CHECK(zyntax_task_local() == nullptr);
            zyntax_state_free(rt, blocks.back(), record_bytes);
            blocks.pop_back();
            zyntax_task_set_local(local_word(1)); // takes the freed block
            CHECK(zyntax_task_local() == local_word(1));
            zyntax_task_set_local(local_word(2)); // needs none
            CHECK(zyntax_task_local() == local_word(2));
            uint64_t alive = rt.stats().tasks_alive;
            CHECK(child.spawn(rt) == nullptr);
            CHECK(rt.stats().tasks_alive == alive);
            CHECK(child.drops == 0);
            heap.fail_at = 0;
            heap.persistent = false;
            CHECK(child.spawn(rt) != nullptr);
        });
        fails.ends = true;
        fails.spawn(rt);
        REQUIRE(rt.drain());
        CHECK(child.saw(local_word(2)));
        for (void *block : blocks) zyntax_state_free(rt, block, record_bytes);
        CHECK(rt.stats().bytes_in_use == 0);
    }
    CHECK(heap.balanced());
}

TEST_CASE("a_failed_spawn_in_a_new_block_of_tasks_gives_its_memory_back") {
    for (uint64_t n = 1; n < 8; n++) {
        Heap heap;
        {
            Runtime rt(heap.config());
            std::deque<Looker> children(600);
            size_t spawned = 0;
            Worded parent(local_word(1), [&] {
                heap.fail_at = n;
                heap.persistent = true;
                for (Looker &child : children) spawned += child.spawn(rt) != nullptr;
                heap.fail_at = 0;
                heap.persistent = false;
            });
            parent.ends = true;
            parent.spawn(rt);
            REQUIRE(rt.drain());
            size_t right = 0;
            for (Looker &child : children) right += child.saw(local_word(1));
            CHECK(right == spawned);
            CHECK(rt.stats().bytes_in_use == 0);
        }
        CHECK(heap.balanced());
    }
}

TEST_CASE("threads_have_their_own_words_at_the_same_time") {
    SKIP_WHEN(!has_threads, "no threads");
    std::vector<Thread> threads;
    std::atomic<int> wrong{0};
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([i, &wrong] {
            for (int round = 0; round < 20; round++) {
                zyntax_runtime *rt = zyntax_runtime_create();
                struct State {
                    zyntax_runtime *rt;
                    void *word;
                    std::atomic<int> *wrong;
                } state{rt, local_word(i), &wrong};
                auto child = [](FutureState given, Waker *) {
                    auto *self = static_cast<State *>(given);
                    if (zyntax_task_local() != self->word) self->wrong->fetch_add(1);
                    return POLL_READY;
                };
                static auto child_poll = +child;
                auto parent = [](FutureState given, Waker *) {
                    auto *self = static_cast<State *>(given);
                    zyntax_task_set_local(self->word);
                    for (int k = 0; k < 50; k++) zyntax_runtime_spawn(self->rt, self, child_poll);
                    return POLL_READY;
                };
                zyntax_runtime_spawn(rt, &state, parent);
                zyntax_runtime_run(rt);
                zyntax_runtime_destroy(rt);
            }
        });
    }
    for (Thread &thread : threads) thread.join();
    CHECK(wrong == 0);
}
