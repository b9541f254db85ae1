// Compiled code that runs in the poll of a promise of the library, under a limit or in a select. It cancels that
// promise or another promise, or polls the promise that polls it. No memory is freed during a poll that uses it, and
// each promise has its value.
#include "channel_support.h"
#include "compiled_support.h"
#include "io_support.h"

using namespace support;

namespace {

// Code as a promise, with an action for each of its polls.
struct Inside {
    std::function<int64_t()> does;
    int polls = 0;
    zyntax_promise promise{this, poll};

    explicit Inside(std::function<int64_t()> d) : does(std::move(d)) {}
    Inside(const Inside &) = delete;
    Inside &operator=(const Inside &) = delete;
    static int64_t poll(void *self) {
        auto *inside = static_cast<Inside *>(self);
        inside->polls++;
        return inside->does();
    }
};

int64_t poll_of(const zyntax_promise &promise) { return promise.poll(promise.state); }

constexpr uint64_t long_time = 3'600'000 * ms;

} // namespace

TEST_CASE("a_limit_that_is_cancelled_from_inside_is_cancelled_whatever_the_code_answers") {
    for (int depth = 1; depth <= 3; depth++) {
        for (int cancelled = 0; cancelled < depth; cancelled++) {
            for (int64_t answer : {int64_t(0), int64_t(7), int64_t(-7)}) {
                CAPTURE(depth);
                CAPTURE(cancelled);
                CAPTURE(answer);
                Runtime rt;
                settle(rt);
                std::vector<zyntax_promise *> limits;
                int32_t error = 1;
                Inside body([&] {
                    if (error == 1) error = zyntax_promise_cancel(limits[size_t(cancelled)]);
                    return answer;
                });
                Compiled code({[&] {
                    zyntax_promise *inner = &body.promise;
                    for (int i = 0; i < depth; i++) limits.push_back(inner = zyntax_promise_timeout(inner, long_time));
                    return inner;
                }});
                CHECK(run(rt, code) == ZYNTAX_ECANCELED);
                CHECK(error == 0);
                CHECK(body.polls == 1);
                CHECK(rt.stats().timers_pending == 0);
                for (zyntax_promise *limit : limits) CHECK(zyntax_promise_cancel(limit) == ZYNTAX_ESTALE);
            }
        }
    }
}

TEST_CASE("every_limit_at_once_is_cancelled_from_inside_in_either_order") {
    for (bool outer_first : {false, true}) {
        Runtime rt;
        zyntax_promise *limits[3] = {};
        int cancels = 0;
        Inside body([&] {
            for (int i = 0; i < 3; i++) cancels += zyntax_promise_cancel(limits[outer_first ? 2 - i : i]) == 0;
            return int64_t(5);
        });
        Compiled code({[&] {
                           zyntax_promise *inner = &body.promise;
                           for (auto &limit : limits) limit = inner = zyntax_promise_timeout(inner, long_time);
                           return inner;
                       },
                       [&] { return limits[0]; }, [&] { return limits[1]; }, [&] { return limits[2]; }});
        run(rt, code);
        CHECK(cancels == 3);
        CHECK(code.values == std::vector<int64_t>{ZYNTAX_ECANCELED, ZYNTAX_ESTALE, ZYNTAX_ESTALE, ZYNTAX_ESTALE});
    }
}

TEST_CASE("a_select_that_is_cancelled_from_inside_is_cancelled_and_polls_no_other") {
    for (int64_t answer : {int64_t(0), int64_t(7)}) {
        CAPTURE(answer);
        Runtime rt;
        zyntax_promise *select = nullptr;
        int32_t error = 1;
        Inside body([&] {
            error = zyntax_promise_cancel(select);
            return answer;
        });
        Inside next([] { return int64_t(0); });
        Compiled code({[&] {
            zyntax_promise *promises[] = {&body.promise, &next.promise};
            return select = zyntax_promise_select(promises, 2);
        }});
        CHECK(run(rt, code) == ZYNTAX_ECANCELED);
        CHECK(error == 0);
        CHECK(body.polls == 1);
        CHECK(next.polls == 0);
    }
}

TEST_CASE("a_limit_and_a_select_around_each_other_are_cancelled_from_inside") {
    for (bool cancels_outer : {false, true}) {
        for (bool select_is_outer : {false, true}) {
            CAPTURE(cancels_outer);
            CAPTURE(select_is_outer);
            Clock clock;
            Runtime rt(clock.config());
            zyntax_promise *inner = nullptr, *outer = nullptr;
            Inside body([&] {
                CHECK(zyntax_promise_cancel(cancels_outer ? outer : inner) == 0);
                return int64_t(0);
            });
            Compiled code({[&] {
                zyntax_promise *first = &body.promise;
                inner = select_is_outer ? zyntax_promise_timeout(first, long_time) : zyntax_promise_select(&first, 1);
                outer = select_is_outer ? zyntax_promise_select(&inner, 1) : zyntax_promise_timeout(inner, long_time);
                return outer;
            }});
            int64_t value = run(rt, code);
            CHECK(value == (select_is_outer && !cancels_outer ? 1 : ZYNTAX_ECANCELED)); // the promise that is ready
            CHECK(rt.stats().timers_pending == 0);
        }
    }
}

TEST_CASE("code_that_polls_its_polling_promise_gets_edeadlk") {
    for (bool in_select : {false, true}) {
        CAPTURE(in_select);
        Runtime rt;
        zyntax_promise *outer = nullptr, *inner = nullptr;
        std::vector<int64_t> seen;
        Inside body([&] {
            seen.push_back(poll_of(*outer));
            seen.push_back(poll_of(*inner));
            return int64_t(seen.size() == 2 ? 0 : 9); // advanced: it is polled again, as it has had values
        });
        Compiled code({[&] {
            inner = zyntax_promise_timeout(&body.promise, long_time);
            return outer = in_select ? zyntax_promise_select(&inner, 1) : zyntax_promise_timeout(inner, long_time);
        }});
        CHECK(run(rt, code) == (in_select ? 1 : 9));
        CHECK(seen == std::vector<int64_t>(4, ZYNTAX_EDEADLK));
    }
}

TEST_CASE("code_that_limits_its_polling_promise_gets_edeadlk_and_may_select_it") {
    Runtime rt;
    zyntax_promise *limit = nullptr;
    std::vector<int64_t> seen;
    Inside body([&] {
        seen.push_back(poll_of(*zyntax_promise_timeout(limit, long_time)));
        seen.push_back(poll_of(*zyntax_promise_select(&limit, 1))); // as ready as it ever will be
        return int64_t(9);
    });
    Compiled code({[&] { return limit = zyntax_promise_timeout(&body.promise, long_time); }});
    CHECK(run(rt, code) == 9);
    CHECK(seen == std::vector<int64_t>{ZYNTAX_EDEADLK, 1});
}

TEST_CASE("a_promise_under_two_limits_is_ended_by_the_first") {
    Clock clock;
    Runtime rt(clock.config());
    zyntax_promise *shared = nullptr, *first = nullptr, *second = nullptr;
    Compiled code({[&] {
                       shared = zyntax_promise_sleep(100 * ms);
                       first = zyntax_promise_timeout(shared, 10 * ms);
                       second = zyntax_promise_timeout(shared, 200 * ms);
                       return first;
                   },
                   [&] { return second; }, [&] { return shared; }});
    code.spawn(rt);
    settle(rt);
    clock.now += 10 * ms;
    settle(rt);
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_ETIMEDOUT, ZYNTAX_ESTALE, ZYNTAX_ESTALE});
    CHECK(rt.stats().timers_pending == 0);
}

TEST_CASE("a_limit_that_is_cancelled_while_another_polls_what_is_under_both") {
    for (int through = 0; through < 3; through++) {
        CAPTURE(through);
        Runtime rt;
        zyntax_promise *shared = nullptr, *other = nullptr, *select = nullptr;
        Inside body([&] {
            CHECK(zyntax_promise_cancel(other) == 0); // it ends `shared`, which is being polled
            return int64_t(0);
        });
        Compiled code({[&] {
                           shared = zyntax_promise_timeout(&body.promise, long_time);
                           other = zyntax_promise_timeout(shared, long_time);
                           if (through == 0) return shared;
                           if (through == 1) return zyntax_promise_timeout(shared, long_time);
                           return select = zyntax_promise_select(&shared, 1);
                       },
                       [&] { return shared; }, [&] { return other; }});
        run(rt, code);
        auto first = int64_t(through == 2 ? 1 : ZYNTAX_ECANCELED),
             then = int64_t(through == 2 ? ZYNTAX_ECANCELED : ZYNTAX_ESTALE);
        CHECK(code.values == std::vector<int64_t>{first, then, ZYNTAX_ECANCELED});
        CHECK(body.polls == 1);
        CHECK(rt.stats().timers_pending == 0);
    }
}

TEST_CASE("one_promise_in_two_selects_and_awaited_by_two_gives_its_value_once") {
    Clock clock;
    Runtime rt(clock.config());
    zyntax_promise *shared = nullptr;
    std::vector<int64_t> seen;
    auto asks = [&] {
        int64_t value = poll_of(*shared);
        if (value) seen.push_back(value);
        return value;
    };
    Inside one(asks), two(asks);
    Compiled code({[&] {
                       shared = zyntax_promise_sleep(ms);
                       zyntax_promise *both[] = {&one.promise, &two.promise};
                       return zyntax_promise_select(both, 2);
                   },
                   [&] { return &two.promise; },
                   [&] {
                       shared = zyntax_promise_sleep(ms);
                       zyntax_promise *inner[] = {zyntax_promise_select(&shared, 1), zyntax_promise_select(&shared, 1)};
                       return zyntax_promise_select(inner, 2);
                   },
                   [&] { return shared; }});
    code.spawn(rt);
    for (int i = 0; i < 5; i++) {
        settle(rt);
        clock.now += ms;
    }
    CHECK(code.values == std::vector<int64_t>{1, ZYNTAX_ESTALE, 1, 1});
    CHECK(seen == std::vector<int64_t>{1, ZYNTAX_ESTALE});
}

TEST_CASE("the_end_of_a_limit_ends_what_is_under_it_and_all_below") {
    for (bool by_time : {false, true}) {
        CAPTURE(by_time);
        Clock clock;
        Runtime rt(clock.config());
        zyntax_promise *chain[4] = {};
        Compiled code({[&] {
                           chain[0] = zyntax_promise_sleep(long_time);
                           for (int i = 1; i < 4; i++)
                               chain[i] = zyntax_promise_timeout(chain[i - 1], i == 3 ? 5 * ms : long_time);
                           return chain[3];
                       },
                       [&] { return chain[2]; }, [&] { return chain[1]; }, [&] { return chain[0]; }});
        code.spawn(rt);
        settle(rt);
        CHECK(rt.stats().timers_pending == 4);
        if (by_time) clock.now += 5 * ms;
        else CHECK(zyntax_promise_cancel(chain[3]) == 0);
        settle(rt);
        int64_t first = by_time ? ZYNTAX_ETIMEDOUT : ZYNTAX_ECANCELED;
        CHECK(code.values == std::vector<int64_t>{first, ZYNTAX_ESTALE, ZYNTAX_ESTALE, ZYNTAX_ESTALE});
        CHECK(rt.stats().timers_pending == 0);
    }
}

TEST_CASE("a_child_under_a_limit_is_cancelled_by_it_and_by_the_limits_cancel") {
    for (int how = 0; how < 4; how++) {
        CAPTURE(how);
        Clock clock;
        Runtime rt(clock.config());
        Compiled child({sleeping_for(long_time)});
        zyntax_promise *leaf = nullptr, *limit = nullptr;
        Compiled code({[&] {
            leaf = zyntax_promise_spawn_child(&child.entry);
            limit = zyntax_promise_timeout(leaf, 10 * ms);
            if (how == 3) return zyntax_promise_timeout(limit, 5 * ms);
            return limit;
        }});
        code.spawn(rt);
        settle(rt);
        CHECK(rt.stats().tasks_alive == 2);
        if (how == 1) CHECK(zyntax_promise_cancel(limit) == 0);
        if (how == 2) CHECK(zyntax_task_cancel(code.task) == 0); // then the child goes on
        if (how == 0 || how == 3) clock.now += 10 * ms;
        settle(rt);
        CHECK(code.result == (how == 0 || how == 3 ? ZYNTAX_ETIMEDOUT : ZYNTAX_ECANCELED));
        CHECK(rt.stats().tasks_alive == (how == 2));
        CHECK(child.polls == 1);
        if (how == 2) clock.now += long_time;
        CHECK(rt.drain());
    }
}

TEST_CASE("a_hundred_thousand_nested_limits_end_without_a_deep_stack") {
    for (bool by_cancel : {false, true}) {
        Runtime rt;
        zyntax_promise *outermost = nullptr;
        Compiled code({});
        code.returns = [&](Compiled &) {
            outermost = zyntax_promise_sleep(long_time);
            for (int i = 0; i < 100'000; i++) outermost = zyntax_promise_timeout(outermost, long_time);
            if (by_cancel) CHECK(zyntax_promise_cancel(outermost) == 0);
            return by_cancel ? outermost->poll(outermost->state) : int64_t(1);
        };
        CHECK(run(rt, code) == (by_cancel ? ZYNTAX_ECANCELED : 1));
        CHECK(zyntax_promise_cancel(outermost) == ZYNTAX_ESTALE);
    }
}

TEST_CASE("hooks_that_cancel_and_make_promises_do_no_harm") {
    Runtime rt;
    struct Host {
        zyntax_promise *limit = nullptr, *made[3] = {};
        int entered = 0;
    } host;
    Inside body([] { return int64_t(0); });
    Compiled code({[&] { return host.limit = zyntax_promise_timeout(&body.promise, long_time); }});
    zyntax_promise_hooks hooks{};
    hooks.size = sizeof hooks;
    hooks.ctx = &host;
    hooks.enter = [](void *ctx) {
        auto *h = static_cast<Host *>(ctx);
        if (h->entered++ == 0) h->made[0] = zyntax_promise_sleep(long_time);
    };
    hooks.leave = [](void *ctx) {
        auto *h = static_cast<Host *>(ctx);
        if (!h->made[1]) h->made[1] = zyntax_promise_timeout(h->made[0], long_time);
        zyntax_promise_cancel(h->limit);
    };
    hooks.drop = [](void *ctx, int32_t) {
        auto *h = static_cast<Host *>(ctx);
        for (zyntax_promise *made : {h->made[0], h->made[1], h->limit})
            CHECK(zyntax_promise_cancel(made) == ZYNTAX_ESTALE);
        h->made[2] = zyntax_promise_sleep(1);
    };
    code.task = zyntax_promise_spawn_with(rt, &code.entry, &code.result, &hooks);
    CHECK(rt.drain());
    CHECK(code.result == ZYNTAX_ECANCELED);
    REQUIRE(host.made[2] != nullptr);
    CHECK(poll_of(*host.made[2]) == ZYNTAX_EPERM);
    CHECK(rt.stats().timers_pending == 0);
}

TEST_CASE("a_poll_of_a_freed_or_failing_promise_advances_code_with_another_pending_promise") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    zyntax_op op = 0;
    int item = 0;
    zyntax_promise stale{};
    Compiled code({[&] {
                       zyntax_promise *gone = zyntax_promise_yield();
                       stale = *gone;
                       return gone;
                   },
                   [&] { // an operation of its own waits from here on
                       Waker waker{};
                       int64_t result = 0;
                       CHECK(zyntax_current_waker(&waker) == 0);
                       CHECK(zyntax_channel_recv(channel, &op, &item, &waker, &result) == POLL_PENDING);
                       return &stale;
                   },
                   [] { return zyntax_promise_read(nullptr, nullptr, 1); },
                   [] { return zyntax_promise_timeout(zyntax_promise_select(nullptr, 0), long_time); }});
    CHECK(run(rt, code, 2000) == ZYNTAX_EINVAL);
    CHECK(code.values == std::vector<int64_t>{1, ZYNTAX_ESTALE, ZYNTAX_EINVAL, ZYNTAX_EINVAL});
    zyntax_op_cancel(&op);
}

TEST_CASE("code_of_another_runtime_that_is_driven_inside_a_poll_cancels_what_is_polled") {
    Runtime rt, other;
    zyntax_promise *limit = nullptr;
    Compiled helper({});
    helper.returns = [&](Compiled &) { return int64_t(zyntax_promise_cancel(limit) + 1); };
    Inside body([&] {
        helper.spawn(other);
        settle(other);
        return int64_t(3);
    });
    Compiled code({[&] { return limit = zyntax_promise_timeout(&body.promise, long_time); }});
    CHECK(run(rt, code) == ZYNTAX_ECANCELED);
    CHECK(helper.result == 1);
}

TEST_CASE("a_child_that_cancels_the_limit_it_is_awaited_under") {
    Runtime rt;
    zyntax_promise *limit = nullptr;
    Compiled child({});
    child.returns = [&](Compiled &) {
        CHECK(zyntax_promise_cancel(limit) == 0);
        return int64_t(4);
    };
    Compiled code(
        {[&] { return limit = zyntax_promise_timeout(zyntax_promise_spawn_child(&child.entry), long_time); }});
    CHECK(run(rt, code) == ZYNTAX_ECANCELED);
    CHECK(rt.drain());
    CHECK(rt.stats().timers_pending == 0);
}
