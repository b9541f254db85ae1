// The next poll of a promise that returned 0: at once if it waits for nothing, else after a wake.
#include "channel_support.h"
#include "promise_support.h"

using namespace support;

TEST_CASE("zero_without_a_waker_stored_means_advanced_and_is_polled_again") {
    Runtime rt;
    Promise promise{[](Promise &self) { return int64_t(self.polls == 5 ? 50 : 0); }};
    zyntax_promise handle = promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 50);
    CHECK(promise.polls == 5);
}

TEST_CASE("a_promise_that_keeps_advancing_lets_others_run") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    bool stop = false;
    Promise busy{[&](Promise &) { return int64_t(stop); }};
    busy.spawn(rt);
    Await timer(rt, sleeping(rt, ms));
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await reader(rt, reading(io, &byte, 1));
    put(pair.far, "x");
    CHECK(rt.drive_until([&] { return !timer.alive() && !reader.alive(); }));
    stop = true;
    CHECK(rt.drain());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_promise_that_sleeps_is_polled_when_the_time_has_come") {
    Runtime rt;
    Promise promise{[&](Promise &self) {
        Waker waker = current();
        return int64_t(zyntax_sleep(rt, &self.op, 20 * ms, &waker) == POLL_READY);
    }};
    uint64_t begin = zyntax_now_ns(rt), waits = rt.stats().kernel_waits;
    zyntax_promise handle = promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 1);
    CHECK(zyntax_now_ns(rt) - begin >= 20 * ms);
    CHECK(promise.polls == 2);
    CHECK(rt.stats().kernel_waits - waits <= 3);
}

TEST_CASE("several_sleeps_in_a_row_work_with_one_op") {
    Runtime rt;
    int step = 0;
    Promise promise{[&](Promise &self) {
        Waker waker = current();
        while (step < 3) {
            if (zyntax_sleep(rt, &self.op, 2 * ms, &waker) == POLL_PENDING) return int64_t(0);
            step++;
        }
        return int64_t(step);
    }};
    zyntax_promise handle = promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 3);
}

TEST_CASE("zero_after_an_operation_that_was_ready_means_advanced_and_is_polled_again") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    for (int i = 1; i <= 3; i++) send_now(rt, channel, i);
    int sum = 0;
    Promise promise{[&](Promise &self) { // compiled code: one state after the other, 0 in between
        Waker waker = current();
        int item = 0;
        int64_t result = 0;
        CHECK(zyntax_channel_recv(channel, &self.op, &item, &waker, &result) == POLL_READY);
        sum += item;
        return int64_t(self.polls == 3 ? sum : 0);
    }};
    promise.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, promise.task) == 0);
    CHECK(promise.result == 6);
    CHECK(promise.polls == 3);
}

TEST_CASE("zero_after_an_operation_that_waits_means_pending_and_is_not_polled_until_it_ends") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    Promise promise{[&](Promise &self) {
        Waker waker = current();
        int64_t result = 0;
        if (zyntax_channel_recv(channel, &self.op, &item, &waker, &result) == POLL_PENDING) return int64_t(0);
        return int64_t(item);
    }};
    promise.spawn(rt);
    settle(rt);
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(promise.polls == 1);
    send_now(rt, channel, 8);
    CHECK(rt.drain());
    CHECK(promise.result == 8);
    CHECK(promise.polls == 2);
}

TEST_CASE("a_waker_that_is_stored_in_a_queue_of_the_host_is_not_polled_until_it_is_woken") {
    Runtime rt;
    Waker queue{};
    bool arrived = false;
    Promise promise{[&](Promise &) {
        queue = current();
        return int64_t(arrived ? 6 : 0);
    }};
    promise.spawn(rt);
    settle(rt);
    CHECK(promise.polls == 1);
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(promise.polls == 1);
    arrived = true;
    queue.wake(queue.data);
    CHECK(rt.drain());
    CHECK(promise.polls == 2);
    CHECK(promise.result == 6);
}

TEST_CASE("a_waker_that_another_thread_wakes_ends_the_wait") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    std::atomic<bool> arrived{false};
    Thread other;
    Promise promise{[&](Promise &self) {
        Waker waker = current();
        if (self.polls == 1) {
            other = Thread([&arrived, waker] {
                arrived = true;
                waker.wake(waker.data);
            });
        }
        return int64_t(arrived ? 6 : 0);
    }};
    zyntax_promise handle = promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 6);
    other.join();
    CHECK(promise.polls <= 2);
}

TEST_CASE("a_nested_promise_finds_the_waker_of_the_outermost") {
    Runtime rt;
    Promise inner{[&](Promise &self) {
        Waker waker = current();
        return int64_t(zyntax_sleep(rt, &self.op, ms, &waker) == POLL_READY ? 11 : 0);
    }};
    Promise outer{[&](Promise &) {
        int64_t value = Promise::poll(&inner);
        return value > 0 ? value * 2 : value;
    }};
    zyntax_promise handle = outer.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 22);
    CHECK(outer.polls == 2);
}

TEST_CASE("zero_after_ready_operations_is_polled_again_however_often_the_waker_was_asked_for") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    send_now(rt, channel, 1);
    Promise inner{[&](Promise &self) {
        Waker waker = current();
        int item = 0;
        int64_t result = 0;
        CHECK(zyntax_channel_recv(channel, &self.op, &item, &waker, &result) == POLL_READY);
        return int64_t(item);
    }};
    int state = 0;
    Promise outer{[&](Promise &) { // each level asks at its entry, whether it needs one or not
        current();
        if (state == 1) return int64_t(7);
        if (Promise::poll(&inner) > 0) state = 1;
        return int64_t(0); // advanced
    }};
    zyntax_promise handle = outer.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 7);
}

TEST_CASE("a_promise_reads_from_a_socket") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char buf[8];
    Promise promise{[&](Promise &self) {
        Waker waker = current();
        int64_t n = 0;
        return zyntax_io_read(io, &self.op, buf, sizeof buf, &waker, &n) == POLL_PENDING ? int64_t(0) : n;
    }};
    promise.spawn(rt);
    settle(rt);
    CHECK(promise.alive());
    put(pair.far, "abc");
    CHECK(rt.drain());
    CHECK(promise.result == 3);
    CHECK(promise.polls == 2);
    CHECK(rt.idle_waits() <= idle_budget);
}
