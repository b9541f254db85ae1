// zyntax_runtime_dump: one line for each live task, with the object that it waits for.
#include "channel_support.h"
#include "dump_support.h"

#include <deque>

using namespace support;

TEST_CASE("every_live_task_is_shown_with_its_handle_state_poll_and_polls") {
    Runtime rt;
    std::deque<ScopedTask> tasks;
    for (int i = 0; i < 10; i++) {
        ScopedTask &task = tasks.emplace_back(rt);
        task.on_poll = [i, &task](Waker *waker) {
            if (task.polls <= i) waker->wake(waker->data);
            return POLL_PENDING;
        };
        task.start();
    }
    zyntax_task *ended = zyntax_runtime_spawn(rt, nullptr, [](FutureState, Waker *) { return POLL_READY; });
    for (int i = 0; i < 20; i++) zyntax_runtime_turn(rt, 0);
    auto shown = dump(rt);
    CHECK(shown.size() == 10);
    CHECK(shown.count(ended) == 0);
    for (int i = 0; i < 10; i++) {
        ScopedTask &task = tasks[size_t(i)];
        REQUIRE(shown.count(task.handle) == 1);
        const zyntax_task_info &info = shown[task.handle];
        CHECK(info.size == sizeof(zyntax_task_info));
        CHECK(info.state == static_cast<Task *>(&task));
        CHECK((info.poll == Task::poll));
        CHECK(info.polls == uint64_t(i + 1));
        CHECK(info.waits == ZYNTAX_WAIT_UNKNOWN);
    }
}

TEST_CASE("a_task_that_was_not_polled_yet_is_queued") {
    Runtime rt;
    ScopedTask task(rt);
    task.on_poll = [](Waker *) { return POLL_PENDING; };
    task.start();
    CHECK(dump(rt)[task.handle].waits == ZYNTAX_WAIT_QUEUED);
    CHECK(dump(rt)[task.handle].polls == 0);
}

TEST_CASE("a_task_that_was_woken_is_queued") {
    Runtime rt;
    ScopedTask task(rt);
    Waker waker{};
    task.on_poll = [&](Waker *w) {
        waker = *w;
        return zyntax_sleep(rt, &task.op, 3'600'000 * ms, w);
    };
    task.start();
    settle(rt);
    CHECK(dump(rt)[task.handle].waits == ZYNTAX_WAIT_TIMER);
    zyntax_wait woken = ZYNTAX_WAIT_UNKNOWN;
    Await other(rt, [&](zyntax_op *, Waker *, int64_t *) {
        waker.wake(waker.data);
        woken = dump(rt)[task.handle].waits;
        return POLL_READY;
    });
    settle(rt);
    CHECK(woken == ZYNTAX_WAIT_QUEUED);
    CHECK(dump(rt)[task.handle].waits == ZYNTAX_WAIT_TIMER);
    waker.wake(waker.data); // while no thread drives
    CHECK(dump(rt)[task.handle].waits == ZYNTAX_WAIT_QUEUED);
    settle(rt);
    CHECK(dump(rt)[task.handle].waits == ZYNTAX_WAIT_TIMER);
}

TEST_CASE("a_task_that_dumps_is_running") {
    Runtime rt;
    zyntax_wait seen = ZYNTAX_WAIT_UNKNOWN;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *) {
        seen = dump(rt)[task.handle].waits;
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    CHECK(seen == ZYNTAX_WAIT_RUNNING);
}

TEST_CASE("timers_joins_and_channels_are_shown") {
    Runtime rt;
    CHECK(waits_for(rt, sleeping(rt, 3'600'000 * ms)) == ZYNTAX_WAIT_TIMER);

    Await other(rt, sleeping(rt, UINT64_MAX));
    zyntax_task *handle = other.task.handle;
    CHECK(waits_for(rt, [&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_task_join(handle, op, w, r); }) ==
          ZYNTAX_WAIT_JOIN);
    CHECK(waits_for(rt, [&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_select(&handle, 1, op, w, r); }) ==
          ZYNTAX_WAIT_JOIN);
    CHECK(waits_for(rt, [&](zyntax_op *op, Waker *w, int64_t *) { return zyntax_join_all(&handle, 1, op, w); }) ==
          ZYNTAX_WAIT_JOIN);
    uint64_t deadline = zyntax_now_ns(rt) + 3'600'000 * ms;
    CHECK(waits_for(rt, [&](zyntax_op *op, Waker *w, int64_t *r) {
              return zyntax_join_until(handle, op, deadline, w, r);
          }) == ZYNTAX_WAIT_JOIN);

    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    CHECK(waits_for(rt, receiving(channel, &item)) == ZYNTAX_WAIT_CHANNEL);
    send_now(rt, channel, 1);
    CHECK(waits_for(rt, sending(channel, &item)) == ZYNTAX_WAIT_CHANNEL);
}

TEST_CASE("blocking_jobs_are_shown") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Gate gate;
    auto job = [](void *arg) { return int64_t(static_cast<Gate *>(arg)->pass()); };
    CHECK(waits_for(rt, [&](zyntax_op *op, Waker *w, int64_t *r) {
              return zyntax_blocking(rt, op, job, &gate, 0, w, r);
          }) == ZYNTAX_WAIT_BLOCKING);
    gate.open();
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
}

TEST_CASE("the_last_wait_that_a_poll_began_is_the_one_that_is_shown") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    zyntax_op first = 0;
    int item = 0;
    zyntax_wait shown = waits_for(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        zyntax_channel_recv(channel, &first, &item, waker, result);
        return zyntax_sleep(rt, op, 3'600'000 * ms, waker);
    });
    CHECK(shown == ZYNTAX_WAIT_TIMER);
    zyntax_op_cancel(&first);
}

TEST_CASE("promises_are_tasks_too") {
    Runtime rt;
    Waker waker{};
    zyntax_promise promise{&waker, [](void *state) {
                               zyntax_current_waker(static_cast<Waker *>(state));
                               return int64_t(0);
                           }};
    zyntax_task *task = zyntax_promise_spawn(rt, &promise, nullptr);
    settle(rt);
    auto shown = dump(rt);
    REQUIRE(shown.count(task) == 1);
    CHECK(shown[task].polls == 1);
    CHECK(shown[task].waits == ZYNTAX_WAIT_UNKNOWN);
}

TEST_CASE("an_empty_runtime_shows_nothing_and_null_is_einval") {
    Runtime rt;
    int32_t count = -1;
    CHECK(dump(rt, &count).empty());
    CHECK(count == 0);
    CHECK(zyntax_runtime_dump(
              nullptr, [](void *, const zyntax_task_info *) {}, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_dump(rt, nullptr, nullptr) == ZYNTAX_EINVAL);
}
