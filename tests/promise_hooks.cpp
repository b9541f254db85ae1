// The hooks of a host around a promise's polls: the context is there in every poll of its promise and in no other, and
// it is dropped once.
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
    zyntax_promise_hooks hooks() { return {sizeof(zyntax_promise_hooks), enter, leave, drop, this, nullptr}; }
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
    for (size_t size : {sizeof(zyntax_promise_hooks) - 1, offsetof(zyntax_promise_hooks, child) + 1,
                        offsetof(zyntax_promise_hooks, child) - 1, offsetof(zyntax_promise_hooks, ctx), size_t(0)}) {
        CAPTURE(size);
        longer.known.size = size;
        CHECK(zyntax_promise_spawn_with(rt, &code.entry, nullptr, &longer.known) == nullptr);
    }
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

namespace {

// A host that gives each child a context, and frees a child's pair and state at the end.
struct Family {
    struct Member {
        Family *family;
        const zyntax_promise *pair;
        int entered = 0, left = 0;
    };
    static inline Member *here = nullptr;
    int children = 0, freed = 0;
    std::vector<int32_t> outcomes{};

    static void enter(void *ctx) {
        CHECK(here == nullptr);
        here = static_cast<Member *>(ctx);
        here->entered++;
    }
    static void leave(void *ctx) {
        CHECK(here == ctx);
        here->left++;
        here = nullptr;
    }
    static void drop(void *ctx, int32_t outcome) {
        auto *member = static_cast<Member *>(ctx);
        CHECK(member->entered == member->left + (here == member));
        member->family->freed++;
        member->family->outcomes.push_back(outcome);
        delete static_cast<Compiled *>(member->pair->state);
        delete member;
    }
    static void *child(void *ctx, const zyntax_promise *pair) {
        CHECK(here == ctx); // within the parent's poll
        Family *family = static_cast<Member *>(ctx)->family;
        family->children++;
        return new Member{family, pair};
    }
    zyntax_task *spawn(zyntax_runtime *rt, Compiled *code, int64_t *result) {
        zyntax_promise_hooks hooks = {sizeof hooks, enter, leave, drop, new Member{this, &code->entry}, child};
        return zyntax_promise_spawn_with(rt, &code->entry, result, &hooks);
    }
};

} // namespace

TEST_CASE("a_child_has_its_parents_hooks_with_a_context_of_its_own_and_so_have_its_children") {
    Clock clock;
    Runtime rt(clock.config());
    Family family;
    bool own_context = true;
    std::function<Compiled *(int)> make = [&](int generations) {
        auto *code = new Compiled({});
        code->awaits = {[&, code] {
                            own_context = own_context && Family::here->pair == &code->entry;
                            return zyntax_promise_sleep(ms);
                        },
                        [&, code, generations] {
                            own_context = own_context && Family::here->pair == &code->entry;
                            if (generations == 0) return zyntax_promise_yield();
                            return zyntax_promise_spawn_child(&make(generations - 1)->entry);
                        }};
        return code;
    };
    int64_t result = unset;
    REQUIRE(family.spawn(rt, make(3), &result) != nullptr);
    for (int i = 0; i < 6; i++) {
        settle(rt);
        clock.now += ms;
    }
    CHECK(rt.drain());
    CHECK(own_context);
    CHECK(result == 1);
    CHECK(family.children == 3);
    CHECK(family.freed == 4);
    CHECK(family.outcomes == std::vector<int32_t>(4, 0));
}

TEST_CASE("a_promise_of_the_library_is_no_child_and_no_hook_hears_of_it") {
    Clock clock;
    Runtime rt(clock.config());
    Family family;
    zyntax_promise gone = {};
    auto *code = new Compiled({[] { return zyntax_promise_spawn_child(zyntax_promise_sleep(ms)); },
                               [] { return zyntax_promise_spawn_child(zyntax_promise_select(nullptr, 0)); },
                               [&] {
                                   zyntax_promise *leaf = zyntax_promise_yield();
                                   gone = *leaf;
                                   return leaf;
                               },
                               [&] { return zyntax_promise_spawn_child(&gone); }});
    std::vector<int64_t> values;
    code->returns = [&](Compiled &self) {
        values = self.values;
        return int64_t(1);
    };
    int64_t result = unset;
    REQUIRE(family.spawn(rt, code, &result) != nullptr);
    CHECK(rt.drain());
    CHECK(result == 1);
    CHECK(values == std::vector<int64_t>{ZYNTAX_EINVAL, ZYNTAX_EINVAL, 1, ZYNTAX_EINVAL});
    CHECK(family.children == 0);
    CHECK(family.freed == 1);
}

TEST_CASE("a_child_is_dropped_once_however_it_ends") {
    for (int how = 0; how < 4; how++) {
        CAPTURE(how);
        Family family;
        int64_t result = unset;
        {
            Runtime rt;
            zyntax_promise *child = nullptr;
            auto *parent = new Compiled({[&] {
                child = zyntax_promise_spawn_child(&(new Compiled({sleeping_for(UINT64_MAX - 1)}))->entry);
                return how == 3 ? zyntax_promise_timeout(child, 0) : child;
            }});
            zyntax_task *task = family.spawn(rt, parent, &result);
            settle(rt);
            if (how == 0) CHECK(zyntax_promise_cancel(child) == 0);
            if (how == 1) zyntax_task_cancel(task); // the child goes on without its parent
            settle(rt);
            CHECK(family.freed == (how == 0 || how == 3 ? 2 : how == 1 ? 1 : 0));
        }
        CHECK(family.children == 1);
        CHECK(family.freed == 2);
        CHECK(result == (how == 3 ? ZYNTAX_ETIMEDOUT : ZYNTAX_ECANCELED));
    }
}

TEST_CASE("a_child_that_there_is_no_memory_for_is_dropped_at_once") {
    int failures = 0;
    for (uint64_t n = 1; n < 8; n++) {
        CAPTURE(n);
        Heap heap;
        Family family;
        int64_t result = unset;
        {
            Runtime rt(heap.config());
            auto *parent = new Compiled({});
            parent->returns = [&](Compiled &self) -> int64_t {
                // Many, so that every kind of memory has to grow.
                for (int i = 0; self.polls == 1 && i < 300; i++) {
                    auto *child = new Compiled({sleeping_for(UINT64_MAX - 1)});
                    heap.fail_at = i == 0 ? n : heap.fail_at;
                    zyntax_promise *made = zyntax_promise_spawn_child(&child->entry);
                    if (zyntax_promise_cancel(made) == 0) continue;
                    failures++;
                    CHECK(made->poll(made->state) == ZYNTAX_ENOMEM);
                    CHECK(family.freed == 1);
                }
                heap.fail_at = 0;
                return 1;
            };
            REQUIRE(family.spawn(rt, parent, &result) != nullptr);
            settle(rt);
            CHECK(rt.drain());
        }
        CHECK(result == 1);
        CHECK(family.children == 300);
        CHECK(family.freed == 301);
        CHECK(heap.balanced());
    }
    CHECK(failures > 3);
}

TEST_CASE("hooks_of_the_first_version_are_taken_and_not_read_behind") {
    Runtime rt;
    struct Old {
        size_t size;
        void (*enter)(void *);
        void (*leave)(void *);
        void (*drop)(void *, int32_t);
        void *ctx;
    };
    Context context;
    auto old = std::make_unique<Old>(Old{sizeof(Old), Context::enter, Context::leave, Context::drop, &context});
    static_assert(sizeof(Old) == offsetof(zyntax_promise_hooks, child));
    Compiled child({sleeping_for(0)}), parent({[&] { return zyntax_promise_spawn_child(&child.entry); }});
    child.returns = [](Compiled &) { return int64_t(Context::here == nullptr ? 5 : -5); }; // a child without hooks
    CHECK(zyntax_promise_spawn_with(rt, &parent.entry, &parent.result,
                                    reinterpret_cast<zyntax_promise_hooks *>(old.get())) != nullptr);
    old.reset();
    CHECK(rt.drain());
    CHECK(parent.result == 5);
    CHECK(context.dropped == 1);
    CHECK(context.entered == parent.polls);
}
