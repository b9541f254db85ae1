// A runtime cannot be driven from inside itself. Another runtime can.
#include "channel_support.h"
#include "host_support.h"

using namespace support;

namespace {

void check_refused(zyntax_runtime *rt, zyntax_task *live) {
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EBUSY);
    CHECK(zyntax_runtime_block_on(rt, live) == ZYNTAX_EBUSY);
    CHECK(zyntax_runtime_turn(rt, 0) == ZYNTAX_EBUSY);
    CHECK(zyntax_runtime_turn(rt, -1) == ZYNTAX_EBUSY);
}

} // namespace

TEST_CASE("driving_from_a_poll_is_refused_and_the_outer_run_goes_on") {
    Runtime rt;
    Task other;
    other.on_poll = [&](Waker *waker) {
        waker->wake(waker->data);
        return other.polls < 3 ? POLL_PENDING : POLL_READY;
    };
    Task task{[&](Waker *) {
        int before = other.polls;
        check_refused(rt, other.handle);
        CHECK(other.polls == before); // nothing happened
        CHECK(zyntax_current_runtime() == rt.rt);
        return POLL_READY;
    }};
    other.spawn(rt);
    task.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(other.polls == 3);
    CHECK(task.polls == 1);
}

TEST_CASE("driving_from_a_drop_is_refused") {
    Runtime rt;
    int refused = 0;
    Task live{[](Waker *) { return POLL_PENDING; }};
    auto on_drop = [&](int32_t) {
        check_refused(rt, live.handle);
        refused++;
    };
    Task ready{[](Waker *) { return POLL_READY; }, on_drop};
    Task cancelled{[](Waker *) { return POLL_PENDING; }, on_drop};
    Task destroyed{[](Waker *) { return POLL_PENDING; }, on_drop};
    for (Task *task : {&live, &ready, &cancelled, &destroyed}) task->spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(refused == 1);
    CHECK(zyntax_task_cancel(cancelled.handle) == 0);
    zyntax_runtime_turn(rt, 0);
    CHECK(refused == 2);
    zyntax_runtime *gone = rt;
    destroyed.on_drop = [&, gone](int32_t) {
        CHECK(zyntax_runtime_run(gone) == ZYNTAX_EBUSY);
        CHECK(zyntax_runtime_turn(gone, 0) == ZYNTAX_EBUSY);
        refused++;
    };
    rt.destroy();
    CHECK(refused == 3);
}

TEST_CASE("driving_from_a_posted_call_is_refused") {
    Runtime rt;
    Task live{[](Waker *) { return POLL_PENDING; }};
    live.spawn(rt);
    struct Args {
        zyntax_runtime *rt;
        zyntax_task *live;
        int calls;
    } args{rt, live.handle, 0};
    auto fn = [](void *arg) {
        auto *a = static_cast<Args *>(arg);
        check_refused(a->rt, a->live);
        CHECK(zyntax_current_runtime() == nullptr); // outside any poll
        a->calls++;
    };
    CHECK(zyntax_runtime_post(rt, fn, &args) == 0);
    REQUIRE(rt.drive_until([&] { return args.calls == 1; }));
}

TEST_CASE("another_runtime_can_be_driven_from_within_a_poll") {
    Runtime outer, inner;
    Task sleeping, task;
    sleeping.on_poll = [&](Waker *waker) {
        CHECK(zyntax_current_runtime() == inner.rt);
        check_refused(inner, sleeping.handle);
        CHECK(zyntax_runtime_turn(outer, 0) == ZYNTAX_EBUSY); // as deep as it is, this thread drives it
        return zyntax_sleep(inner, &sleeping.op, 1 * ms, waker);
    };
    task.on_poll = [&](Waker *waker) {
        sleeping.spawn(inner);
        Limit limit(inner);
        CHECK(zyntax_runtime_block_on(inner, sleeping.handle) == 0);
        CHECK(zyntax_runtime_run(inner) == 0);
        CHECK(zyntax_current_runtime() == outer.rt);
        Waker current{};
        CHECK(zyntax_current_waker(&current) == 0);
        CHECK(current.data == waker->data);
        return POLL_READY;
    };
    task.spawn(outer);
    Limit limit(outer);
    CHECK(zyntax_runtime_run(outer) == 0);
    CHECK(sleeping.outcome == 0);
    CHECK(task.outcome == 0);
}

TEST_CASE("another_runtime_can_be_created_and_destroyed_within_a_poll") {
    Runtime outer;
    Task task{[&](Waker *) {
        Runtime inner;
        Task pending{[](Waker *) { return POLL_PENDING; }};
        pending.spawn(inner);
        zyntax_runtime_turn(inner, 0);
        inner.destroy();
        CHECK(pending.outcome == ZYNTAX_ECANCELED);
        CHECK(zyntax_current_runtime() == outer.rt);
        return POLL_READY;
    }};
    task.spawn(outer);
    REQUIRE(outer.drain());
    CHECK(task.polls == 1);
}

TEST_CASE("a_wake_that_crosses_from_an_inner_runtime_to_the_outer_is_not_lost") {
    Runtime outer, inner;
    Waker kept{};
    Task sleeper;
    sleeper.on_poll = [&](Waker *waker) {
        kept = *waker;
        return sleeper.polls == 1 ? POLL_PENDING : POLL_READY;
    };
    Task waking{[&](Waker *) {
        kept.wake(kept.data);
        return POLL_READY;
    }};
    Task driving{[&](Waker *) {
        waking.spawn(inner);
        CHECK(zyntax_runtime_run(inner) == 0);
        return POLL_READY;
    }};
    sleeper.spawn(outer);
    driving.spawn(outer);
    REQUIRE(outer.drain());
    CHECK(sleeper.polls == 2);
}

TEST_CASE("callbacks_of_a_runtime_that_a_poll_of_another_drives_are_inside_that_poll") {
    Runtime outer, inner;
    zyntax_channel *channel = channel_of(inner, 1);
    int item = 1, out = 0, calls = 0;
    Waker polled{};
    std::function<void()> check = [&] {
        Waker found{};
        CHECK(zyntax_current_runtime() == outer.rt);
        CHECK(zyntax_current_waker(&found) == 0);
        CHECK(found.data == polled.data);
        CHECK(zyntax_runtime_turn(inner, 0) == ZYNTAX_EBUSY);
        CHECK(zyntax_runtime_turn(outer, 0) == ZYNTAX_EBUSY);
        calls++;
    };
    auto call = [](void *function) { (*static_cast<std::function<void()> *>(function))(); };
    Task ended{[](Waker *) { return POLL_READY; }, [&](int32_t) { check(); }};
    Task cancelled{[](Waker *) { return POLL_PENDING; }, [&](int32_t) { check(); }};
    Task destroyed{[](Waker *) { return POLL_PENDING; }, [&](int32_t) { check(); }};
    HostOp host(receiving(channel, &out));
    host.host.action = check;
    Task task{[&](Waker *waker) {
        polled = *waker;
        for (Task *one : {&ended, &cancelled, &destroyed}) one->spawn(inner);
        CHECK(host.call() == POLL_PENDING);
        CHECK(at_once(sending(channel, &item)) == 0);
        CHECK(zyntax_task_cancel(cancelled.handle) == 0);
        CHECK(zyntax_runtime_post(inner, call, &check) == 0);
        settle(inner);
        CHECK(calls == 4);
        host.cancel();
        CHECK(zyntax_runtime_post(inner, call, &check) == 0);
        inner.destroy();
        CHECK(calls == 6);
        return POLL_READY;
    }};
    task.spawn(outer);
    REQUIRE(outer.drain());
    CHECK(task.polls == 1);
    CHECK(zyntax_current_runtime() == nullptr);
}

TEST_CASE("callbacks_of_a_runtime_that_a_callback_of_another_drives_are_inside_no_poll") {
    Runtime outer, inner;
    int calls = 0;
    std::function<void()> check = [&] {
        Waker found{};
        CHECK(zyntax_current_runtime() == nullptr);
        CHECK(zyntax_current_waker(&found) == ZYNTAX_EINVAL);
        calls++;
    };
    auto call = [](void *function) { (*static_cast<std::function<void()> *>(function))(); };
    Task ended{[&](Waker *) {
                   CHECK(zyntax_current_runtime() == inner.rt);
                   return POLL_READY;
               },
               [&](int32_t) { check(); }};
    std::function<void()> drive = [&] {
        ended.spawn(inner);
        CHECK(zyntax_runtime_post(inner, call, &check) == 0);
        settle(inner);
    };
    CHECK(zyntax_runtime_post(outer, call, &drive) == 0);
    settle(outer);
    CHECK(calls == 2);
}

TEST_CASE("a_drop_of_the_outer_runtime_is_inside_no_poll_after_an_inner_one_was_driven") {
    Runtime outer, inner;
    Task dropped{[](Waker *) { return POLL_READY; },
                 [&](int32_t) {
                     CHECK(zyntax_current_runtime() == nullptr);
                     settle(inner);
                     CHECK(zyntax_current_runtime() == nullptr);
                 }};
    dropped.spawn(outer);
    REQUIRE(outer.drain());
    CHECK(dropped.drops == 1);
}
