// Scopes: tasks that are awaited and cancelled together.
#include "dump_support.h"
#include "host_support.h"
#include "promise_support.h"

#include <deque>
#include <vector>

using namespace support;

namespace {

struct Scope {
    zyntax_scope *handle = nullptr;

    explicit Scope(zyntax_runtime *rt) {
        REQUIRE(zyntax_scope_create(rt, &handle) == 0);
        REQUIRE(handle != nullptr);
    }
    operator zyntax_scope *() const { return handle; }
};

// A task of a scope, which ends on request.
struct Member {
    std::function<PollStatus(Waker *)> on_poll;
    std::function<void()> on_drop = nullptr;
    bool ends = false;
    int polls = 0, drops = 0;
    int32_t outcome = 1;
    Waker waker{};
    zyntax_op op = 0;
    zyntax_task *handle = nullptr;

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Member *>(state);
        self->polls++;
        self->waker = *waker;
        if (self->on_poll) return self->on_poll(waker);
        return self->ends ? POLL_READY : POLL_PENDING;
    }
    static void drop(FutureState state, int32_t outcome) {
        auto *self = static_cast<Member *>(state);
        self->drops++;
        self->outcome = outcome;
        zyntax_op_cancel(&self->op);
        if (self->on_drop) self->on_drop();
    }
    zyntax_task *spawn(zyntax_scope *scope) { return handle = zyntax_scope_spawn(scope, this, poll, drop, 0); }
    void end() {
        ends = true;
        waker.wake(waker.data);
    }
    bool alive() const { return zyntax_task_alive(handle) == 1; }
};

Operation next_of(zyntax_scope *scope, zyntax_task **ended) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_scope_next(scope, op, waker, ended, result);
    };
}
Operation join_of(zyntax_scope *scope) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_scope_join(scope, op, waker, result); };
}

// A task outside of the scope that asks for the next ended task once.
struct Asker {
    zyntax_task *ended = nullptr;
    Await await;

    Asker(zyntax_runtime *rt, zyntax_scope *scope) : await(rt, next_of(scope, &ended)) {}
};

zyntax_task *const nothing = reinterpret_cast<zyntax_task *>(uintptr_t(1));

} // namespace

TEST_CASE("next_tells_ended_tasks_in_the_order_of_their_ends_after_their_drops") {
    Runtime rt;
    Scope scope(rt);
    std::deque<Member> children(4);
    for (Member &child : children) REQUIRE(child.spawn(scope) != nullptr);
    settle(rt);
    for (int i : {2, 0, 3, 1}) {
        children[size_t(i)].end();
        settle(rt);
    }
    for (int i : {2, 0, 3, 1}) {
        zyntax_task *ended = nullptr;
        CHECK(await(rt, next_of(scope, &ended)) == 1);
        CHECK(ended == children[size_t(i)].handle);
        CHECK(children[size_t(i)].drops == 1);
        CHECK(children[size_t(i)].outcome == 0);
    }
    zyntax_task *ended = nothing;
    CHECK(await(rt, next_of(scope, &ended)) == 0);
    CHECK(ended == nullptr);
    CHECK(zyntax_scope_destroy(scope) == 0);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("next_waits_until_a_task_ends") {
    Runtime rt;
    Scope scope(rt);
    Member child;
    child.spawn(scope);
    Asker asker(rt, scope);
    settle(rt);
    CHECK(asker.await.alive());
    child.end();
    REQUIRE(rt.drain());
    CHECK(asker.await.result == 1);
    CHECK(asker.ended == child.handle);
}

TEST_CASE("each_ended_task_is_told_to_one_caller_first_come_first_served_and_the_end_to_all") {
    Runtime rt;
    Scope scope(rt);
    std::deque<Member> children(2);
    for (Member &child : children) child.spawn(scope);
    std::deque<Asker> askers;
    for (int i = 0; i < 4; i++) askers.emplace_back(rt, scope);
    settle(rt);
    children[1].end();
    settle(rt);
    CHECK(askers[0].ended == children[1].handle);
    for (size_t i = 1; i < 4; i++) CHECK(askers[i].await.alive());
    children[0].end();
    REQUIRE(rt.drain());
    CHECK(askers[1].ended == children[0].handle);
    for (size_t i = 2; i < 4; i++) {
        CHECK(askers[i].await.result == 0);
        CHECK(askers[i].ended == nullptr);
    }
}

TEST_CASE("join_ends_when_every_task_has_ended_and_next_still_tells_them") {
    Runtime rt;
    Scope scope(rt);
    std::deque<Member> children(3);
    for (Member &child : children) child.spawn(scope);
    zyntax_task *ended = nullptr;
    settle(rt);
    children[0].end();
    settle(rt);
    CHECK(await(rt, next_of(scope, &ended)) == 1);
    Await join(rt, join_of(scope));
    settle(rt);
    children[1].end();
    settle(rt);
    CHECK(join.alive());
    children[2].end();
    settle(rt);
    CHECK(join.result == 0);
    CHECK(children[2].drops == 1);
    CHECK(await(rt, next_of(scope, &ended)) == 1);
    CHECK(ended == children[1].handle);
    CHECK(await(rt, next_of(scope, &ended)) == 1);
    CHECK(ended == children[2].handle);
    CHECK(await(rt, join_of(scope)) == 0);
}

TEST_CASE("join_alone_frees_the_memory_of_ended_tasks") {
    Runtime rt;
    Scope scope(rt);
    for (int round = 0; round < 3; round++) {
        std::deque<Member> children(10);
        for (Member &child : children) {
            child.ends = true;
            child.spawn(scope);
        }
        CHECK(await(rt, join_of(scope)) == 0);
        CHECK(rt.stats().bytes_in_use == 0);
    }
    CHECK(await(rt, join_of(scope)) == 0); // of no task
}

TEST_CASE("the_states_of_tasks_may_be_owned") {
    Runtime rt;
    Scope scope(rt);
    void *state = zyntax_state_alloc(rt, 100);
    REQUIRE(zyntax_scope_spawn(scope, state, ends_at_once, nullptr, 100) != nullptr);
    CHECK(await(rt, join_of(scope)) == 0);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_hundred_thousand_tasks_that_end_in_one_round_are_all_told") {
    const int count = scaled(100'000);
    Runtime rt;
    Scope scope(rt);
    int drops = 0;
    auto drop = [](FutureState state, int32_t) { ++*static_cast<int *>(state); };
    for (int i = 0; i < count; i++) REQUIRE(zyntax_scope_spawn(scope, &drops, ends_at_once, drop, 0) != nullptr);
    int told = 0;
    Task parent{[&](Waker *waker) {
        for (;;) {
            zyntax_task *ended = nullptr;
            int64_t result = unset;
            if (zyntax_scope_next(scope, &parent.op, waker, &ended, &result) == POLL_PENDING) return POLL_PENDING;
            if (result != 1) return POLL_READY;
            told++;
        }
    }};
    parent.spawn(rt);
    REQUIRE(rt.drain(60'000));
    CHECK(drops == count);
    CHECK(told == count);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("cancel_ends_every_task_and_no_later_spawn_succeeds") {
    Runtime rt;
    Scope scope(rt);
    std::deque<Member> children(5);
    for (Member &child : children) child.spawn(scope);
    settle(rt);
    CHECK(zyntax_scope_cancel(scope) == 0);
    CHECK(zyntax_scope_cancel(scope) == 0);
    Member late;
    CHECK(late.spawn(scope) == nullptr);
    CHECK(late.drops == 1); // before the spawn has returned
    CHECK(late.outcome == ZYNTAX_ECANCELED);
    void *owned = zyntax_state_alloc(rt, 64);
    CHECK(zyntax_scope_spawn(scope, owned, ends_at_once, nullptr, 64) == nullptr);
    CHECK(await(rt, join_of(scope)) == 0);
    for (Member &child : children) {
        CHECK(child.drops == 1);
        CHECK(child.outcome == ZYNTAX_ECANCELED);
        CHECK(child.polls == 1);
    }
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("spawn_without_a_scope_or_poll_function_calls_no_drop") {
    Runtime rt;
    Scope scope(rt);
    Member child;
    CHECK(zyntax_scope_spawn(scope, &child, nullptr, Member::drop, 0) == nullptr);
    CHECK(zyntax_scope_spawn(nullptr, &child, Member::poll, Member::drop, 0) == nullptr);
    CHECK(zyntax_scope_spawn(scope, nullptr, Member::poll, Member::drop, 16) == nullptr);
    CHECK(zyntax_scope_destroy(scope) == 0);
    CHECK(child.spawn(scope) == nullptr);
    CHECK(child.drops == 0);
    zyntax_scope *none = nullptr;
    CHECK(zyntax_scope_create(nullptr, &none) == ZYNTAX_EINVAL);
    CHECK(zyntax_scope_create(rt, nullptr) == ZYNTAX_EINVAL);
}

TEST_CASE("a_stale_scope_is_estale_everywhere") {
    zyntax_scope *stale = nullptr;
    zyntax_task *ended = nullptr;
    Runtime rt;
    {
        Runtime gone;
        stale = Scope(gone);
    }
    Scope next(rt); // may have the same place
    zyntax_scope *const none[] = {nullptr, stale, reinterpret_cast<zyntax_scope *>(uintptr_t(0x12345678)),
                                  reinterpret_cast<zyntax_scope *>(UINTPTR_MAX)};
    for (zyntax_scope *scope : none) {
        CAPTURE(scope);
        CHECK(zyntax_scope_cancel(scope) == ZYNTAX_ESTALE);
        CHECK(zyntax_scope_destroy(scope) == ZYNTAX_ESTALE);
        CHECK(await(rt, next_of(scope, &ended)) == ZYNTAX_ESTALE);
        CHECK(await(rt, join_of(scope)) == ZYNTAX_ESTALE);
    }
    CHECK(await(rt, next_of(next, nullptr)) == ZYNTAX_EINVAL);
    CHECK(zyntax_scope_destroy(next) == 0);
    CHECK(zyntax_scope_destroy(next) == ZYNTAX_ESTALE);
}

TEST_CASE("destroy_cancels_the_tasks_and_ends_the_callers_that_wait") {
    Runtime rt;
    Scope scope(rt);
    std::deque<Member> children(3);
    for (Member &child : children) child.spawn(scope);
    Asker asker(rt, scope);
    Await join(rt, join_of(scope));
    settle(rt);
    children[0].end();
    CHECK(zyntax_scope_destroy(scope) == 0);
    REQUIRE(rt.drain());
    CHECK(asker.await.result == ZYNTAX_ECANCELED);
    CHECK(join.result == ZYNTAX_ECANCELED);
    for (Member &child : children) CHECK(child.drops == 1);
    CHECK(children[1].outcome == ZYNTAX_ECANCELED);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_caller_with_a_turn_survives_the_end_of_its_scope") {
    Runtime rt;
    auto scope = std::make_unique<Scope>(rt);
    std::deque<Member> children(2);
    for (Member &child : children) child.spawn(*scope);
    Asker asker(rt, *scope);
    settle(rt);
    Task destroyer{[&](Waker *) {
        zyntax_scope_destroy(*scope);
        return POLL_READY;
    }};
    children[0].on_drop = [&] { destroyer.spawn(rt); }; // polled before the caller with the turn
    children[0].end();
    REQUIRE(rt.drain());
    bool told = asker.await.result == 1;
    CHECK((told || asker.await.result == ZYNTAX_ECANCELED));
    Scope next(rt); // may have the same place
    Member child;
    child.ends = true;
    child.spawn(next);
    CHECK(await(rt, join_of(next)) == 0);
}

TEST_CASE("a_scope_may_be_destroyed_by_one_of_its_tasks") {
    for (PollStatus status : {POLL_READY, POLL_PENDING}) {
        CAPTURE(int(status));
        Runtime rt;
        Scope scope(rt);
        Member own, other;
        own.on_poll = [&](Waker *) {
            CHECK(zyntax_scope_destroy(scope) == 0);
            return status; // the poll decides about itself
        };
        own.spawn(scope);
        other.spawn(scope);
        REQUIRE(rt.drain());
        CHECK(own.outcome == (status == POLL_READY ? 0 : ZYNTAX_ECANCELED));
        CHECK(other.outcome == ZYNTAX_ECANCELED);
        CHECK(own.drops + other.drops == 2);
        CHECK(rt.stats().bytes_in_use == 0);
    }
}

TEST_CASE("a_scope_may_be_destroyed_by_the_drop_of_one_of_its_tasks") {
    Runtime rt;
    Scope scope(rt);
    Member own, other;
    own.ends = true;
    own.on_drop = [&] { CHECK(zyntax_scope_destroy(scope) == 0); };
    own.spawn(scope);
    other.spawn(scope);
    REQUIRE(rt.drain());
    CHECK(other.outcome == ZYNTAX_ECANCELED);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_task_may_end_another_one_in_its_drop") {
    Runtime rt;
    Scope scope(rt);
    Member first, second;
    first.on_drop = [&] { zyntax_task_cancel(second.handle); };
    first.spawn(scope);
    second.spawn(scope);
    settle(rt);
    first.end();
    CHECK(await(rt, join_of(scope)) == 0);
    CHECK(second.outcome == ZYNTAX_ECANCELED);
    zyntax_task *ended = nullptr;
    CHECK(await(rt, next_of(scope, &ended)) == 0); // join has freed them
}

TEST_CASE("nested_scopes_end_with_the_tasks_that_destroy_them") {
    Runtime rt;
    Scope outer(rt);
    zyntax_scope *inner = nullptr;
    Member parent, child;
    parent.on_poll = [&](Waker *waker) {
        if (!inner) {
            REQUIRE(zyntax_scope_create(rt, &inner) == 0);
            child.spawn(inner);
        }
        int64_t result = unset;
        return zyntax_scope_join(inner, &parent.op, waker, &result);
    };
    parent.on_drop = [&] { zyntax_scope_destroy(inner); };
    parent.spawn(outer);
    settle(rt);
    CHECK(child.alive());
    CHECK(zyntax_scope_cancel(outer) == 0);
    REQUIRE(rt.drain());
    CHECK(parent.outcome == ZYNTAX_ECANCELED);
    CHECK(child.outcome == ZYNTAX_ECANCELED);
    CHECK(zyntax_scope_destroy(inner) == ZYNTAX_ESTALE);
}

TEST_CASE("the_only_task_left_that_waits_for_its_own_scope_is_a_deadlock") {
    for (bool joins : {false, true}) {
        CAPTURE(joins);
        Runtime rt;
        Scope scope(rt);
        int64_t result = unset;
        zyntax_task *ended = nullptr;
        Member waits, other;
        waits.on_poll = [&](Waker *waker) {
            PollStatus status = joins ? zyntax_scope_join(scope, &waits.op, waker, &result)
                                      : zyntax_scope_next(scope, &waits.op, waker, &ended, &result);
            if (status == POLL_READY && result == 1) { // of the other task
                result = unset;
                return zyntax_scope_next(scope, &waits.op, waker, &ended, &result);
            }
            return status;
        };
        waits.spawn(scope);
        other.spawn(scope);
        settle(rt);
        CHECK(waits.alive()); // the other task may still end
        other.end();
        REQUIRE(rt.drain());
        CHECK(result == ZYNTAX_EDEADLK);
        CHECK(waits.outcome == 0);
    }
    Runtime rt;
    Scope scope(rt);
    int64_t result = unset;
    zyntax_task *ended = nullptr;
    Member alone;
    alone.on_poll = [&](Waker *waker) { return zyntax_scope_next(scope, &alone.op, waker, &ended, &result); };
    alone.spawn(scope);
    REQUIRE(rt.drain());
    CHECK(result == ZYNTAX_EDEADLK);
}

TEST_CASE("a_task_that_is_cancelled_while_it_waits_in_next_passes_its_turn_on") {
    Runtime rt;
    Scope scope(rt);
    std::deque<Member> children(2);
    for (Member &child : children) child.spawn(scope);
    auto first = std::make_unique<Asker>(rt, scope);
    Asker second(rt, scope);
    settle(rt);
    children[0].on_drop = [&] { first->await.cancel(); };
    children[0].end();
    settle(rt);
    CHECK(second.ended == children[0].handle);
    CHECK(first->await.result == unfinished);
    first.reset();
    children[1].end();
    settle(rt);
    CHECK(rt.drain());
}

TEST_CASE("a_task_that_is_spawned_after_the_end_was_told_is_waited_for") {
    Runtime rt;
    Scope scope(rt);
    Member first, second;
    first.spawn(scope);
    Asker one(rt, scope), two(rt, scope);
    settle(rt);
    bool spawned = false;
    Task spawner{[&](Waker *) {
        second.spawn(scope);
        spawned = true;
        return POLL_READY;
    }};
    first.on_drop = [&] { spawner.spawn(rt); };
    first.end();
    settle(rt);
    CHECK(spawned);
    CHECK(one.ended == first.handle);
    if (two.await.alive()) {
        second.end();
        REQUIRE(rt.drain());
        CHECK(two.ended == second.handle);
    } else {
        CHECK(two.await.result == 0);
        second.end();
    }
    REQUIRE(rt.drain());
}

TEST_CASE("the_runtime_ends_the_scopes_that_are_left") {
    zyntax_scope *scope = nullptr;
    std::deque<Member> children(3);
    {
        Runtime rt;
        scope = Scope(rt);
        for (Member &child : children) child.spawn(scope);
        settle(rt);
        children[0].end();
        settle(rt);
        int32_t created = 1;
        children[1].on_drop = [&] {
            zyntax_scope *late = nullptr;
            created = zyntax_scope_create(rt, &late);
        };
        rt.destroy();
        CHECK(created == ZYNTAX_ECANCELED);
    }
    for (Member &child : children) CHECK(child.drops == 1);
    CHECK(zyntax_scope_cancel(scope) == ZYNTAX_ESTALE);
}

TEST_CASE("a_scope_without_memory_changes_nothing") {
    for (uint64_t at = 1; at < 6; at++) {
        CAPTURE(at);
        Heap heap;
        {
            Runtime rt(heap.config());
            heap.fail_at = at;
            heap.persistent = true;
            zyntax_scope *scope = nullptr;
            int32_t error = zyntax_scope_create(rt, &scope);
            CHECK((error == 0 || error == ZYNTAX_ENOMEM));
            std::deque<Member> children(600);
            int spawned = 0;
            if (error == 0) {
                for (Member &child : children) {
                    if (child.spawn(scope)) spawned++;
                    else CHECK(child.drops == 0);
                }
                CHECK(spawned < 600);
            }
            heap.fail_at = 0;
            heap.persistent = false;
            if (error == 0) CHECK(zyntax_scope_destroy(scope) == 0);
            REQUIRE(rt.drain());
            CHECK(rt.stats().bytes_in_use == 0);
        }
        CHECK(heap.balanced());
    }
}

TEST_CASE("after_a_cancel_of_another_thread_nothing_is_polled_and_no_spawn_succeeds") {
    SKIP_WHEN(!has_threads, "no threads");
    for (int round = 0; round < scaled(200); round++) {
        Runtime rt;
        Scope scope(rt);
        std::atomic<bool> canceled{false};
        std::atomic<int> late{0};
        int wrong = 0;
        struct State {
            std::atomic<bool> *canceled;
            std::atomic<int> *late;
        } state{&canceled, &late};
        auto poll = [](FutureState s, Waker *waker) {
            auto *self = static_cast<State *>(s);
            if (self->canceled->load()) (*self->late)++;
            waker->wake(waker->data);
            return POLL_PENDING;
        };
        Thread thread([&] {
            sleep_for(std::chrono::microseconds(round * 3));
            CHECK(zyntax_scope_cancel(scope) == 0);
            canceled = true;
        });
        int spawned = 0;
        for (bool refused = false; !refused && spawned < 100'000;) {
            bool was_canceled = canceled;
            refused = !zyntax_scope_spawn(scope, &state, poll, nullptr, 0);
            if (!refused && was_canceled) wrong++;
            spawned++;
            zyntax_runtime_turn(rt, 0);
        }
        thread.join();
        CHECK(await(rt, join_of(scope)) == 0);
        CHECK(wrong == 0);
        CHECK(late <= 1); // the poll that was in progress
    }
}

TEST_CASE("scopes_are_cancelled_while_their_runtimes_end") {
    SKIP_WHEN(!has_threads, "no threads");
    for (int round = 0; round < scaled(300); round++) {
        std::atomic<zyntax_scope *> shared{nullptr};
        Thread thread([&] {
            zyntax_scope *scope;
            while (!(scope = shared.load())) yield();
            while (zyntax_scope_cancel(scope) != ZYNTAX_ESTALE) {
            }
        });
        Runtime rt;
        Scope scope(rt);
        std::deque<Member> children(3);
        for (Member &child : children) child.spawn(scope);
        shared = scope.handle;
        settle(rt);
        if (round % 2) zyntax_scope_destroy(scope);
        rt.destroy();
        thread.join();
        for (Member &child : children) CHECK(child.drops == 1);
    }
}

TEST_CASE("promises_await_scopes") {
    Runtime rt;
    Scope scope(rt);
    std::deque<Member> children(2);
    for (Member &child : children) {
        child.ends = true;
        child.spawn(scope);
    }
    std::vector<int64_t> values;
    Promise promise{[&, leaf = static_cast<zyntax_promise *>(nullptr)](Promise &) mutable -> int64_t {
        for (;;) {
            if (!leaf) leaf = values.size() < 3 ? zyntax_promise_scope_next(scope) : zyntax_promise_scope_join(scope);
            int64_t value = leaf->poll(leaf->state);
            if (!value) return 0;
            leaf = nullptr;
            values.push_back(value);
            if (values.size() == 4) return 1;
        }
    }};
    promise.spawn(rt);
    REQUIRE(rt.drain());
    REQUIRE(values.size() == 4);
    CHECK(values[0] == int64_t(reinterpret_cast<uintptr_t>(children[0].handle)));
    CHECK(values[1] == int64_t(reinterpret_cast<uintptr_t>(children[1].handle)));
    CHECK(values[2] == ZYNTAX_EOF);
    CHECK(values[3] == 1);
}

TEST_CASE("a_forked_child_may_destroy_its_copy_of_a_runtime_with_scopes") {
    SKIP_WHEN(!has_fork, "this system has no fork");
    Runtime rt;
    Scope scope(rt);
    Member task;
    task.spawn(scope);
    settle(rt);
    sys::Child child([&] {
        zyntax_runtime_destroy(rt);
        return zyntax_scope_cancel(scope) == ZYNTAX_ESTALE && task.drops == 0 ? 0 : 1;
    });
    CHECK(child.end() == 0);
    task.end();
    CHECK(await(rt, join_of(scope)) == 0);
}

TEST_CASE("the_dump_shows_a_task_of_a_scope_as_it_was_spawned") {
    Runtime rt;
    Scope scope(rt);
    Member child, canceled;
    child.spawn(scope);
    canceled.spawn(scope);
    settle(rt);
    std::map<zyntax_task *, zyntax_task_info> shown;
    Task canceler{[&](Waker *) {
        zyntax_task_cancel(canceled.handle);
        shown = dump(rt);
        return POLL_READY;
    }};
    canceler.spawn(rt);
    settle(rt);
    CHECK(shown[child.handle].state == &child);
    CHECK((shown[child.handle].poll == Member::poll));
    CHECK(shown[child.handle].polls == 1);
    CHECK(shown[canceled.handle].state == &canceled);
    CHECK((shown[canceled.handle].poll == nullptr));
    CHECK(shown[canceled.handle].waits == ZYNTAX_WAIT_QUEUED);
}

TEST_CASE("the_dump_shows_what_waits_for_a_scope") {
    Runtime rt;
    Scope scope(rt);
    Member child, asker;
    zyntax_task *ended = nullptr;
    asker.on_poll = [&](Waker *waker) { // from inside of the scope
        int64_t result;
        return zyntax_scope_next(scope, &asker.op, waker, &ended, &result);
    };
    child.spawn(scope);
    asker.spawn(scope);
    CHECK(waits_for(rt, next_of(scope, &ended)) == ZYNTAX_WAIT_JOIN);
    CHECK(waits_for(rt, join_of(scope)) == ZYNTAX_WAIT_JOIN);
    auto shown = dump(rt);
    CHECK(shown[asker.handle].waits == ZYNTAX_WAIT_JOIN);
    CHECK(shown[asker.handle].state == &asker);
    CHECK(shown[child.handle].waits == ZYNTAX_WAIT_UNKNOWN);
}

// A host's waker runs while its runtime is destroyed. The memory of that runtime's scopes is used again by then.
TEST_CASE("a_turn_of_a_host_at_a_destroyed_runtime_takes_none_from_another_scope") {
    Runtime rt, later;
    Scope scope(rt);
    Member member, second;
    REQUIRE(member.spawn(scope));
    zyntax_task *ended = nullptr;
    HostOp with_turn(next_of(scope, &ended)), waiting(next_of(scope, &ended));
    CHECK(with_turn.call() == POLL_PENDING);
    CHECK(waiting.call() == POLL_PENDING);
    REQUIRE(second.spawn(scope));
    zyntax_runtime_turn(rt, 0);
    member.end();
    CHECK(rt.drive_until([&] { return with_turn.host.wakes == 1; })); // and does not call again
    CHECK(waiting.host.wakes == 0);
    zyntax_scope *fresh = nullptr;
    waiting.host.action = [&] { CHECK(zyntax_scope_create(later, &fresh) == 0); };
    rt.destroy();
    CHECK(waiting.host.wakes == 1);
    REQUIRE(fresh != nullptr);
    Member third;
    REQUIRE((third.handle = zyntax_scope_spawn(fresh, &third, Member::poll, Member::drop, 0)) != nullptr);
    HostOp next(next_of(fresh, &ended));
    CHECK(next.call() == POLL_PENDING);
    zyntax_runtime_turn(later, 0);
    third.end();
    CHECK(later.drive_until([&] { return next.host.wakes == 1; }));
    CHECK(next.call() == POLL_READY);
    CHECK(next.result == 1);
    CHECK(ended == third.handle);
    CHECK(zyntax_scope_destroy(fresh) == 0);
}
