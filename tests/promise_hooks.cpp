// What a host does around a promise's polls: its context is there at every poll and for nobody else, and what it gave
// is dropped once.
#include "compiled_support.h"

using namespace support;

namespace {

struct Context {
    static inline Context *here = nullptr; // as a host's thread-local would be
    int entered = 0, left = 0, dropped = 0;
    int32_t outcome = 1;

    static void enter(void *self) {
        CHECK(here == nullptr);
        here = static_cast<Context *>(self);
        here->entered++;
    }
    static void leave(void *self) {
        CHECK(here == self);
        here->left++;
        here = nullptr;
    }
    static void drop(void *self, int32_t outcome) {
        auto *context = static_cast<Context *>(self);
        CHECK(here == nullptr);
        context->dropped++;
        context->outcome = outcome;
    }
    zyntax_promise_hooks hooks() { return {sizeof(zyntax_promise_hooks), enter, leave, drop, this}; }
};

} // namespace

TEST_CASE("two_tasks_see_their_own_context_at_every_poll") {
    Clock clock;
    Runtime rt(clock.config());
    Context contexts[2];
    bool right = true;
    std::vector<std::unique_ptr<Compiled>> codes;
    for (Context &context : contexts) {
        Maker look = [&] {
            right = right && Context::here == &context;
            return zyntax_promise_sleep(ms);
        };
        codes.push_back(std::make_unique<Compiled>(std::vector<Maker>(5, look)));
        codes.back()->returns = [&](Compiled &self) {
            right = right && Context::here == &context;
            return self.awaited_value;
        };
        zyntax_promise_hooks hooks = context.hooks();
        codes.back()->task = zyntax_promise_spawn_with(rt, &codes.back()->entry, &codes.back()->result, &hooks);
        REQUIRE(codes.back()->task != nullptr);
    }
    for (int i = 0; i < 10; i++) {
        settle(rt);
        clock.now += ms;
    }
    CHECK(rt.drain());
    CHECK(right);
    for (int i = 0; i < 2; i++) {
        CHECK(codes[size_t(i)]->result == 1);
        CHECK(contexts[i].entered == codes[size_t(i)]->polls);
        CHECK(contexts[i].left == contexts[i].entered);
        CHECK(contexts[i].dropped == 1);
        CHECK(contexts[i].outcome == 0);
    }
}

TEST_CASE("drop_comes_once_however_the_task_ends") {
    Context canceled, destroyed, failed;
    Compiled first({sleeping_for(UINT64_MAX - 1)}), second({sleeping_for(UINT64_MAX - 1)}), third({});
    third.returns = [](Compiled &) { return int64_t(-7); };
    {
        Runtime rt;
        zyntax_promise_hooks hooks = canceled.hooks();
        first.task = zyntax_promise_spawn_with(rt, &first.entry, &first.result, &hooks);
        hooks = destroyed.hooks();
        second.task = zyntax_promise_spawn_with(rt, &second.entry, &second.result, &hooks);
        hooks = failed.hooks();
        third.task = zyntax_promise_spawn_with(rt, &third.entry, &third.result, &hooks);
        settle(rt);
        zyntax_task_cancel(first.task);
        settle(rt);
        CHECK(canceled.dropped == 1);
        CHECK(destroyed.dropped == 0);
    }
    CHECK(canceled.outcome == ZYNTAX_ECANCELED);
    CHECK(destroyed.dropped == 1);
    CHECK(destroyed.outcome == ZYNTAX_ECANCELED);
    CHECK(second.result == ZYNTAX_ECANCELED);
    CHECK(failed.dropped == 1);
    CHECK(failed.outcome == 0);
    CHECK(third.result == -7);
}

TEST_CASE("hooks_that_are_not_given_are_not_called") {
    Runtime rt;
    Compiled none({[] { return zyntax_promise_yield(); }}), some({[] { return zyntax_promise_yield(); }});
    zyntax_promise_hooks hooks{};
    hooks.size = sizeof hooks;
    CHECK(zyntax_promise_spawn_with(rt, &none.entry, &none.result, nullptr) != nullptr);
    CHECK(zyntax_promise_spawn_with(rt, &some.entry, &some.result, &hooks) != nullptr);
    CHECK(rt.drain());
    CHECK(none.result == 1);
    CHECK(some.result == 1);
}

TEST_CASE("hooks_of_another_size_are_taken_only_where_they_say_nothing_more") {
    Runtime rt;
    Compiled code({});
    code.returns = [](Compiled &) { return int64_t(1); };
    struct Longer {
        zyntax_promise_hooks known{};
        void *unknown = nullptr;
    } longer;
    longer.known.size = sizeof longer;
    CHECK(zyntax_promise_spawn_with(rt, &code.entry, nullptr, &longer.known) != nullptr);
    longer.unknown = &longer;
    CHECK(zyntax_promise_spawn_with(rt, &code.entry, nullptr, &longer.known) == nullptr);
    longer.known.size = sizeof(zyntax_promise_hooks) - 1;
    CHECK(zyntax_promise_spawn_with(rt, &code.entry, nullptr, &longer.known) == nullptr);
    longer.known.size = 0;
    CHECK(zyntax_promise_spawn_with(rt, &code.entry, nullptr, &longer.known) == nullptr);
    CHECK(zyntax_promise_spawn_with(nullptr, &code.entry, nullptr, nullptr) == nullptr);
    CHECK(zyntax_promise_spawn_with(rt, nullptr, nullptr, nullptr) == nullptr);
    CHECK(rt.drain());
}

TEST_CASE("a_spawn_during_destroy_drops_at_once") {
    Context late;
    Compiled code({});
    zyntax_task *task = nullptr;
    int64_t result = unset;
    Task spawner{[](Waker *) { return POLL_PENDING; }};
    Runtime rt;
    spawner.on_drop = [&](int32_t) {
        zyntax_promise_hooks hooks = late.hooks();
        task = zyntax_promise_spawn_with(rt, &code.entry, &result, &hooks);
    };
    spawner.spawn(rt);
    settle(rt);
    rt.destroy();
    CHECK(task == nullptr);
    CHECK(late.dropped == 1);
    CHECK(result == ZYNTAX_ECANCELED);
}
