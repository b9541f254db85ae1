// Zyntax's exact shapes as hand-made state machines: deeply nested awaits, loops, negative values, void as 1, tasks of
// the language, and a host's scheduler that is driven as a promise.
#include "channel_support.h"
#include "compiled_support.h"

using namespace support;

namespace {

uint64_t polls_again(zyntax_runtime *rt, zyntax_task *task) {
    struct Wanted {
        zyntax_task *task;
        uint64_t polls_again;
    } wanted{task, 0};
    zyntax_runtime_dump(
        rt,
        [](void *user, const zyntax_task_info *info) {
            auto *w = static_cast<Wanted *>(user);
            if (info->task == w->task) w->polls_again = info->polls_again;
        },
        &wanted);
    return wanted.polls_again;
}

} // namespace

namespace {

// async fn naps(n) { while n > 0 { sleep(1 ms).await; n = n - 1; } return -4; }, slot by slot: [0] state id, [1] n,
// [2] the promise that is awaited, [3] its value. Every slot has 8 bytes and is written as a whole.
int64_t poll_naps(void *state) {
    auto *slots = static_cast<int64_t *>(state);
    switch (slots[0]) {
    case 0:
        if (slots[1] == 0) return -4;
        if (slots[2] == 0) slots[2] = int64_t(reinterpret_cast<uintptr_t>(zyntax_promise_sleep(ms)));
        {
            auto *promise = reinterpret_cast<zyntax_promise *>(uintptr_t(slots[2]));
            int64_t value = promise->poll(promise->state);
            if (value == 0) return 0;
            slots[3] = value;
            slots[2] = 0;
            slots[0] = 1;
        }
        return 0;
    case 1:
        slots[1] -= slots[3];
        slots[0] = 0;
        return 0;
    }
    return ZYNTAX_EPROTO;
}

} // namespace

TEST_CASE("a_state_machine_of_eight_byte_slots_behind_a_pair") {
    static_assert(sizeof(zyntax_promise) == 2 * sizeof(void *));
    Clock clock;
    Runtime rt(clock.config());
    auto *slots = static_cast<int64_t *>(std::calloc(4, sizeof(int64_t)));
    slots[1] = 5;
    zyntax_promise entry{slots, poll_naps};
    int64_t result = unset;
    struct Freed {
        int64_t *slots;
        int times;
    } freed{slots, 0};
    zyntax_promise_hooks hooks{};
    hooks.size = sizeof hooks;
    hooks.ctx = &freed;
    hooks.drop = [](void *ctx, int32_t) { // the only place that frees the state machine
        auto *f = static_cast<Freed *>(ctx);
        std::free(f->slots);
        f->times++;
    };
    REQUIRE(zyntax_promise_spawn_with(rt, &entry, &result, &hooks) != nullptr);
    for (int i = 0; i < 4; i++) {
        settle(rt);
        CHECK(result == unset);
        clock.now += ms;
    }
    CHECK(rt.drive_until([&] {
        clock.now += ms;
        return result != unset;
    }));
    CHECK(result == -4);
    CHECK(freed.times == 1);
}

TEST_CASE("awaits_nested_eight_deep_cost_a_poll_a_level_and_no_waiting") {
    Clock clock;
    Runtime rt(clock.config());
    std::vector<std::unique_ptr<Compiled>> levels;
    levels.push_back(std::make_unique<Compiled>(std::vector<Maker>{sleeping_for(10 * ms)}));
    for (int depth = 1; depth < 8; depth++) {
        auto level = std::make_unique<Compiled>(std::vector<Maker>{levels.back()->call()});
        level->returns = [](Compiled &self) { return self.awaited_value + 1; };
        levels.push_back(std::move(level));
    }
    Compiled &outer = *levels.back();
    outer.spawn(rt);
    settle(rt);
    CHECK(outer.polls == 1);
    clock.now += 10 * ms;
    CHECK(rt.drain());
    CHECK(outer.result == 8);
    CHECK(outer.polls == 1 + 9); // the timer's, and one for each level that advances
}

TEST_CASE("loops_of_awaits_and_negative_values") {
    Clock clock;
    Runtime rt(clock.config());
    // while i < 1000 { i = i - f().await }, where f gives -1 without awaiting anything
    Compiled f({});
    f.returns = [](Compiled &) { return int64_t(-1); };
    Compiled code(std::vector<Maker>(1000, f.call()));
    code.returns = [](Compiled &self) {
        int64_t i = 0;
        for (int64_t value : self.values) i -= value;
        return i;
    };
    code.spawn(rt);
    CHECK(rt.drain());
    CHECK(code.result == 1000);
    Compiled void_function({[] { return zyntax_promise_yield(); }});
    void_function.returns = [](Compiled &) { return int64_t(1); };
    CHECK(run(rt, void_function) == 1);
}

TEST_CASE("a_value_of_zero_never_completes_and_the_dump_tells") {
    Runtime rt;
    Compiled zero({}), waits({sleeping_for(UINT64_MAX - 1)});
    zero.returns = [](Compiled &) { return int64_t(0); };
    zero.spawn(rt);
    waits.spawn(rt);
    for (int i = 0; i < 100; i++) zyntax_runtime_turn(rt, 0);
    CHECK(polls_again(rt, zero.task) == uint64_t(zero.polls));
    CHECK(zero.polls >= 100);
    CHECK(polls_again(rt, waits.task) == 0);
    CHECK(waits.polls == 1);
    zyntax_task_cancel(zero.task);
    zyntax_task_cancel(waits.task);
    CHECK(rt.drain());
}

TEST_CASE("code_that_advances_is_polled_again_while_another_of_its_promises_is_pending") {
    Clock clock;
    Runtime rt(clock.config());
    zyntax_promise *forgotten = nullptr;
    Compiled at_once({});
    at_once.returns = [](Compiled &) { return int64_t(5); };
    // The loser of a select stays pending while the code behind it advances without polling any promise of the library.
    Compiled code({[&] {
                       forgotten = zyntax_promise_sleep(1000 * ms);
                       zyntax_promise *two[] = {forgotten, zyntax_promise_yield()};
                       return zyntax_promise_select(two, 2);
                   },
                   at_once.call(), at_once.call(), at_once.call()});
    code.spawn(rt);
    for (int i = 0; i < 10; i++) settle(rt);
    CHECK(code.result == 5);
    CHECK(rt.stats().timers_pending == 0);
}

TEST_CASE("the_language_spawns_and_joins_through_children") {
    Clock clock;
    Runtime rt(clock.config());
    constexpr size_t count = 50;
    std::vector<std::unique_ptr<Compiled>> children;
    std::vector<zyntax_promise *> joins(count);
    std::vector<Maker> body;
    for (size_t i = 0; i < count; i++) {
        children.push_back(std::make_unique<Compiled>(std::vector<Maker>{sleeping_for((count - i) * ms)}));
        children.back()->returns = [i](Compiled &) { return int64_t(i) + 1; };
        body.push_back([&, i] {
            joins[i] = zyntax_promise_spawn_child(&children[i]->entry);
            return zyntax_promise_yield();
        });
    }
    for (size_t i = 0; i < count; i++) body.push_back([&, i] { return joins[i]; });
    Compiled code(body);
    code.returns = [](Compiled &self) {
        int64_t sum = 0;
        for (size_t i = count; i < 2 * count; i++) sum += self.values[i];
        return sum;
    };
    code.spawn(rt);
    for (size_t i = 0; i < 2 * count + 10; i++) {
        settle(rt);
        clock.now += ms;
    }
    CHECK(rt.drain());
    CHECK(code.result == int64_t(count * (count + 1) / 2));
}

namespace {

// A host's own scheduler of compiled roots, as its HostTask::step is: it polls those that are ready, and answers ready,
// timer, parked or yield. It is a promise itself, with the runtime below.
struct HostTask {
    enum Answer { ready, timer, parked, yield };
    std::vector<Compiled *> roots;
    size_t done = 0;
    int steps = 0;
    zyntax_promise *sleep = nullptr;

    Answer step() {
        steps++;
        bool advanced = false;
        for (Compiled *root : roots) {
            if (root->result != unfinished) continue;
            int64_t before = root->state_id;
            int64_t value = Compiled::poll(root);
            advanced = advanced || root->state_id != before || value != 0;
            if (value == 0) continue;
            root->result = value;
            done++;
        }
        if (done == roots.size()) return ready;
        return advanced ? yield : parked;
    }
    static int64_t poll(void *state) {
        auto *self = static_cast<HostTask *>(state);
        switch (self->step()) {
        case ready:
            return 1;
        case timer:
        case parked:
        case yield:
            break;
        }
        return 0;
    }
    zyntax_promise promise() { return {this, poll}; }
};

} // namespace

TEST_CASE("a_hosts_scheduler_is_driven_as_a_promise_and_costs_nothing_while_parked") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    Compiled sleeper({sleeping_for(30 * ms), [] { return zyntax_promise_yield(); }});
    Compiled receiver({[&] { return zyntax_promise_recv(channel, &item); }});
    Compiled sender({sleeping_for(10 * ms), [&] {
                         int value = 9;
                         return zyntax_promise_send(channel, &value);
                     }});
    HostTask host{{&sleeper, &receiver, &sender}};
    zyntax_promise promise = host.promise();
    uint64_t waits = rt.stats().kernel_waits;
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &promise) == 1);
    CHECK(item == 9);
    CHECK(sleeper.result == 1);
    CHECK(host.steps < 20);
    CHECK(rt.stats().kernel_waits - waits < 20);
    zyntax_channel_destroy(channel);
}

TEST_CASE("two_hosts_on_two_runtimes_of_one_thread_do_not_disturb_each_other") {
    Clock clock;
    Runtime outer(clock.config()), inner(clock.config());
    Compiled in_inner({sleeping_for(5 * ms)});
    in_inner.spawn(inner);
    settle(inner);
    int64_t nested = unset;
    Compiled code({sleeping_for(ms), [&] {
                       clock.now += 10 * ms;
                       for (int i = 0; i < 5; i++) zyntax_runtime_turn(inner, 0); // from inside a poll of the other
                       nested = in_inner.result;
                       return zyntax_promise_sleep(ms);
                   }});
    code.spawn(outer);
    for (int i = 0; i < 10; i++) {
        settle(outer);
        clock.now += ms;
    }
    CHECK(nested == 1);
    CHECK(code.result == 1);
}

TEST_CASE("path_c_parks_outside_this_runtime_and_returns_at_once") {
    // A symbol __zyntax_async_set_timeout registers a timer with its host and returns; no party has this task's waker.
    // The next poll of its state machine, as of code that has advanced, would continue before the timer. docs/zyntax.md
    // says to alias `sleep`.
    Runtime rt;
    Compiled bridge({}), aliased({sleeping_for(20 * ms)});
    bridge.returns = [](Compiled &self) { return int64_t(self.polls == 1 ? 0 : 1); };
    uint64_t begin = zyntax_now_ns(rt);
    CHECK(zyntax_promise_block_on(rt, &bridge.entry) == 1);
    CHECK(zyntax_now_ns(rt) - begin < 10'000 * ms); // at once, in spite of the duration
    CHECK(bridge.polls == 2);
    begin = zyntax_now_ns(rt);
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &aliased.entry) == 1);
    CHECK(zyntax_now_ns(rt) - begin >= 20 * ms);
}
