// A promise that returned 0 is polled again, unless an operation of its own task is pending, or the host has kept its
// waker. Nothing else in the poll matters.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"
#include "promise_support.h"

#include <vector>

using namespace support;

namespace {

// Compiled code: the first state runs an action and may advance, and the second state has the value.
struct TwoStates {
    std::function<bool(Promise &)> first; // whether it has advanced
    bool advanced = false;
    Promise promise{[this](Promise &self) {
        if (advanced) return int64_t(42);
        advanced = first(self);
        return int64_t(0);
    }};

    explicit TwoStates(std::function<bool(Promise &)> state) : first(std::move(state)) {}
};

// The first state advances in its first poll. The promise is polled again at once after its 0.
void is_polled_again(Runtime &rt, const std::function<void(Promise &)> &first) {
    TwoStates states([&](Promise &self) {
        first(self);
        return true;
    });
    states.promise.spawn(rt);
    settle(rt);
    CHECK_FALSE(states.promise.alive());
    CHECK(states.promise.result == 42);
    CHECK(states.promise.polls == 2);
    if (states.promise.alive()) zyntax_task_cancel(states.promise.task);
    settle(rt);
}

// The promise is polled once, and not again until an event.
struct Rests {
    Runtime &rt;
    TwoStates states;

    Rests(Runtime &runtime, std::function<bool(Promise &)> first) : rt(runtime), states(std::move(first)) {
        states.promise.spawn(rt);
        settle(rt);
        CHECK(states.promise.polls == 1);
        CHECK(zyntax_runtime_next_timeout_ns(rt) != 0);
    }
    ~Rests() {
        if (!states.promise.alive()) return;
        zyntax_task_cancel(states.promise.task);
        settle(rt);
    }
    void ends() {
        CHECK(rt.drive_until([&] { return !states.promise.alive(); }));
        CHECK(states.promise.result == 42);
    }
};

PollStatus call(const Operation &operation, Promise &self, int64_t *result) {
    Waker waker = current();
    return operation(&self.op, &waker, result);
}

} // namespace

TEST_CASE("an_operation_that_is_ready_with_a_result_or_an_error_is_no_reason_to_wait") {
    Runtime rt;
    Task ended{[](Waker *) { return POLL_READY; }}, parked{[](Waker *) { return POLL_PENDING; }};
    ended.spawn(rt);
    parked.spawn(rt);
    settle(rt);
    zyntax_channel *channel = channel_of(rt, 8), *full = channel_of(rt, 1), *gone = channel_of(rt, 1);
    int item = 1;
    for (int i = 0; i < 4; i++) CHECK(at_once(sending(channel, &item)) == 0);
    CHECK(at_once(sending(full, &item)) == 0);
    CHECK(zyntax_channel_close(full) == 0);
    CHECK(zyntax_channel_destroy(gone) == 0);
    zyntax_task *handles[] = {parked.handle, ended.handle};
    const std::vector<std::pair<Operation, int64_t>> all{
        {sleeping(rt, 0), 0},
        {receiving(channel, &item), 1},
        {sending(channel, &item), 0},
        {sending(full, &item), ZYNTAX_EPIPE},
        {receiving(gone, &item), ZYNTAX_ESTALE},
        {sending(gone, &item), ZYNTAX_ESTALE},
        {[&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_task_join(ended.handle, op, w, r); }, 0},
        {[&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_select(handles, 2, op, w, r); }, 1},
        {[&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_join_until(parked.handle, op, 1, w, r); },
         ZYNTAX_ETIMEDOUT},
        {[&](zyntax_op *op, Waker *w, int64_t *r) {
             *r = 0;
             return zyntax_join_all(handles + 1, 1, op, w);
         },
         0},
        {[&](zyntax_op *op, Waker *w, int64_t *r) {
             zyntax_task *self = nullptr;
             zyntax_runtime_dump(
                 rt,
                 [](void *found, const zyntax_task_info *info) {
                     if (info->waits == ZYNTAX_WAIT_RUNNING) *static_cast<zyntax_task **>(found) = info->task;
                 },
                 &self);
             return zyntax_task_join(self, op, w, r);
         },
         ZYNTAX_EDEADLK},
        {[&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_blocking(rt, op, nullptr, nullptr, 0, w, r); },
         ZYNTAX_EINVAL},
    };
    for (size_t i = 0; i < all.size(); i++) {
        CAPTURE(i);
        is_polled_again(rt, [&](Promise &self) {
            int64_t result = unfinished;
            CHECK(call(all[i].first, self, &result) == POLL_READY);
            CHECK(result == all[i].second);
        });
    }
}

TEST_CASE("io_that_is_ready_with_a_result_or_an_error_is_no_reason_to_wait") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair(), other = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *closed = adopt(rt, other.near), *listener = nullptr, *out = nullptr;
    CHECK(zyntax_io_close(closed) == 0);
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    Fd client = plain_client(uint16_t(zyntax_tcp_port(listener)));
    REQUIRE(wait_for(client, POLLOUT));
    put(pair.far, "12345");
    char byte = 0;
    const std::vector<std::pair<Operation, int64_t>> all{
        {reading(io, &byte, 1), 1},
        {writing(io, &byte, 1), 1},
        {readiness(io, ZYNTAX_READABLE), ZYNTAX_READABLE},
        {readiness(io, 0), ZYNTAX_EINVAL},
        {accepting(listener, &out), 0},
        {reading(closed, &byte, 1), ZYNTAX_ESTALE},
        {writing(closed, &byte, 1), ZYNTAX_ESTALE},
        {readiness(closed, ZYNTAX_READABLE), ZYNTAX_ESTALE},
        {accepting(closed, &out), ZYNTAX_ESTALE},
        {connecting(rt, "::::", 1, &out), ZYNTAX_EINVAL},
    };
    for (size_t i = 0; i < all.size(); i++) {
        CAPTURE(i);
        int64_t result = unfinished;
        is_polled_again(rt, [&](Promise &self) {
            PollStatus status = call(all[i].first, self, &result);
            if (i + 1 < all.size()) CHECK(status == POLL_READY);
            if (i + 1 < all.size()) CHECK(result == all[i].second);
            zyntax_op_cancel(&self.op);
        });
    }
}

TEST_CASE("a_connection_that_is_made_in_the_call_is_no_reason_to_wait") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    zyntax_io *listener = nullptr, *out = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    Operation connect = connecting(rt, "127.0.0.1", uint16_t(zyntax_tcp_port(listener)), &out);
    int64_t result = unfinished;
    TwoStates states([&](Promise &self) { return call(connect, self, &result) == POLL_READY; });
    zyntax_promise handle = states.promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 42);
    CHECK(result == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_item_that_a_host_waits_for_is_no_reason_for_its_sender_to_wait") {
    Runtime rt;
    for (bool sends : {true, false}) {
        CAPTURE(sends);
        zyntax_channel *channel = channel_of(rt, 1);
        int item = 1, hosts_item = 2;
        if (!sends) CHECK(at_once(sending(channel, &item)) == 0);
        HostOp host(sends ? receiving(channel, &hosts_item) : sending(channel, &hosts_item));
        CHECK(host.call() == POLL_PENDING);
        is_polled_again(rt, [&](Promise &self) {
            int64_t result = unfinished;
            CHECK(call(sends ? sending(channel, &item) : receiving(channel, &item), self, &result) == POLL_READY);
        });
        CHECK(host.host.wakes == 1);
        CHECK(host.call() == POLL_READY);
    }
}

TEST_CASE("an_operation_that_ends_on_a_dead_handle_is_no_reason_to_wait") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    for (int kind = 0; kind < 6; kind++) {
        CAPTURE(kind);
        Runtime rt;
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near), *listener = nullptr, *out = nullptr;
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        zyntax_channel *empty = channel_of(rt, 1), *full = channel_of(rt, 1);
        int item = 1;
        char byte = 0;
        CHECK(at_once(sending(full, &item)) == 0);
        fill(pair.far); // so that neither direction goes on by itself
        take(Descriptor(zyntax_io_fd(io)));
        const Operation all[] = {reading(io, &byte, 1),   readiness(io, ZYNTAX_READABLE), accepting(listener, &out),
                                 receiving(empty, &item), sending(full, &item),           reading(io, &byte, 1)};
        const bool cancels = kind < 5;
        int64_t result = unfinished;
        Rests rests(rt, [&](Promise &self) { return call(all[kind], self, &result) == POLL_READY; });
        intptr_t fd = -1;
        if (cancels) CHECK(zyntax_io_close(io) == 0);
        else CHECK(zyntax_io_detach(io, &fd) == 0);
        CHECK(zyntax_io_close(listener) == 0);
        CHECK(zyntax_channel_destroy(empty) == 0);
        CHECK(zyntax_channel_destroy(full) == 0);
        rests.ends();
        CHECK((result == ZYNTAX_ECANCELED || result == ZYNTAX_ESTALE));
        if (fd >= 0) close_descriptor(Descriptor(fd));
    }
}

TEST_CASE("an_operation_that_was_given_up_is_no_reason_to_wait_when_another_was_ready") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    for (bool given_up_last : {true, false}) {
        CAPTURE(given_up_last);
        is_polled_again(rt, [&](Promise &self) {
            Waker waker = current();
            int64_t result = unfinished;
            zyntax_op timer = 0;
            CHECK(zyntax_channel_recv(channel, &self.op, &item, &waker, &result) == POLL_PENDING);
            if (!given_up_last) zyntax_op_cancel(&self.op);
            CHECK(zyntax_sleep(rt, &timer, 0, &waker) == POLL_READY);
            zyntax_op_cancel(&self.op);
        });
    }
}

TEST_CASE("an_operation_of_an_earlier_poll_that_is_given_up_is_no_reason_to_wait") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    zyntax_op timer = 0; // a race between an item and a time, which the time wins
    TwoStates states([&](Promise &self) {
        Waker waker = current();
        int64_t result = unfinished;
        if (zyntax_channel_recv(channel, &self.op, &item, &waker, &result) == POLL_READY) return true;
        if (zyntax_sleep(rt, &timer, ms, &waker) == POLL_PENDING) return false;
        zyntax_op_cancel(&self.op);
        return true;
    });
    zyntax_promise handle = states.promise.handle();
    Limit limit(rt);
    CHECK(zyntax_promise_block_on(rt, &handle) == 42);
    CHECK(states.promise.polls <= 4);
}

TEST_CASE("an_operation_that_was_armed_and_given_up_alone_is_no_reason_to_wait") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    is_polled_again(rt, [&](Promise &self) {
        int64_t result = unfinished;
        CHECK(call(receiving(channel, &item), self, &result) == POLL_PENDING);
        zyntax_op_cancel(&self.op);
    });
}

TEST_CASE("an_operation_that_is_fired_in_the_poll_that_armed_it_is_no_reason_to_wait") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    is_polled_again(rt, [&](Promise &self) {
        int64_t result = unfinished;
        CHECK(call(receiving(channel, &item), self, &result) == POLL_PENDING);
        CHECK(at_once(sending(channel, &item)) == 0);
    });
    is_polled_again(rt, [&](Promise &self) {
        int64_t result = unfinished;
        if (self.op == 0) CHECK(at_once(receiving(channel, &item)) == 1);
        CHECK(call(receiving(channel, &item), self, &result) == POLL_PENDING);
        CHECK(zyntax_channel_close(channel) == 0);
    });
}

TEST_CASE("the_operations_of_other_tasks_are_no_reason_to_wait") {
    Runtime rt, other;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    is_polled_again(rt, [&](Promise &) { // it drives another runtime; a task there waits with an op of this runtime
        Await task(other, receiving(channel, &item));
        settle(other);
        CHECK(task.alive());
    });
    is_polled_again(rt, [&](Promise &) {
        CHECK(await(other, sleeping(other, ms)) == 0);
        current();
        CHECK(at_once(sleeping(rt, 0)) == 0);
    });
    Promise waiting{[&](Promise &self) {
        int64_t result = unfinished;
        return int64_t(call(receiving(channel, &item), self, &result) == POLL_READY);
    }};
    waiting.spawn(rt);
    settle(rt);
    is_polled_again(rt, [&](Promise &) {});
    zyntax_task_cancel(waiting.task);
    settle(rt);
    zyntax_op_cancel(&waiting.op);
}

TEST_CASE("an_operation_of_another_runtime_that_is_ready_is_no_reason_to_wait") {
    Runtime rt, other;
    zyntax_channel *channel = channel_of(other, 2);
    int item = 1;
    is_polled_again(rt, [&](Promise &self) {
        int64_t result = unfinished;
        CHECK(call(sending(channel, &item), self, &result) == POLL_READY);
    });
    is_polled_again(rt, [&](Promise &self) {
        int64_t result = unfinished;
        CHECK(call(receiving(channel, &item), self, &result) == POLL_READY);
    });
    is_polled_again(rt, [&](Promise &self) {
        int64_t result = unfinished;
        CHECK(call(sleeping(other, 0), self, &result) == POLL_READY);
    });
}

TEST_CASE("an_operation_of_another_runtime_that_is_pending_is_waited_for") {
    Runtime rt, other;
    zyntax_channel *channel = channel_of(other, 1);
    int item = 1;
    int64_t result = unfinished;
    Rests rests(rt, [&](Promise &self) { return call(receiving(channel, &item), self, &result) == POLL_READY; });
    CHECK(at_once(sending(channel, &item)) == 0);
    settle(other);
    rests.ends();
    CHECK(rests.states.promise.polls == 3);
}

TEST_CASE("an_operation_of_a_runtime_that_is_destroyed_is_no_reason_to_wait") {
    Runtime rt;
    auto other = std::make_unique<Runtime>();
    zyntax_channel *channel = channel_of(*other, 1);
    int item = 1;
    int64_t result = unfinished;
    Rests rests(rt, [&](Promise &self) { return call(receiving(channel, &item), self, &result) == POLL_READY; });
    other.reset();
    rests.ends();
    CHECK((result == ZYNTAX_ECANCELED || result == ZYNTAX_ESTALE));
}

TEST_CASE("an_operation_of_an_earlier_poll_that_is_still_pending_is_waited_for") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    Waker kept{};
    TwoStates states([&](Promise &self) {
        int64_t result = unfinished;
        kept = current();
        if (self.polls == 2) return false; // does not repeat the call
        return call(receiving(channel, &item), self, &result) == POLL_READY;
    });
    states.promise.spawn(rt);
    settle(rt);
    kept.wake(kept.data);
    settle(rt);
    CHECK(states.promise.polls == 2);
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(states.promise.polls == 2);
    kept.wake(kept.data);
    settle(rt);
    CHECK(at_once(sending(channel, &item)) == 0);
    CHECK(rt.drain());
    CHECK(states.promise.result == 42);
}

TEST_CASE("one_of_two_operations_that_is_still_pending_is_waited_for") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    zyntax_op timer = 0;
    Rests rests(rt, [&](Promise &self) {
        Waker waker = current();
        int64_t result = unfinished;
        if (zyntax_channel_recv(channel, &self.op, &item, &waker, &result) == POLL_READY) return true;
        zyntax_sleep(rt, &timer, 3'600'000 * ms, &waker);
        zyntax_op_cancel(&timer);
        return false;
    });
    CHECK(at_once(sending(channel, &item)) == 0);
    rests.ends();
}

TEST_CASE("a_waker_that_the_host_keeps_is_waited_for_whatever_others_do_meanwhile") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    HostOp host(receiving(channel, &item));
    Waker kept{};
    host.host.action = [&] { kept.wake(kept.data); };
    bool arrived = false;
    Rests rests(rt, [&](Promise &) { // a combinator: it waits with wakers of its own, and wakes the promise's
        kept = current();
        arrived = host.call() == POLL_READY;
        return arrived;
    });
    CHECK(at_once(sending(channel, &item)) == 0);
    rests.ends();
    CHECK(arrived);
    CHECK(host.host.wakes == 1);
}

TEST_CASE("a_stop_during_the_last_poll_keeps_the_value_and_stops_what_is_driven_next") {
    Runtime rt;
    Promise promise{[&](Promise &self) {
        if (self.polls < 3) return int64_t(0);
        zyntax_runtime_stop(rt);
        return int64_t(42);
    }};
    zyntax_promise handle = promise.handle();
    CHECK(zyntax_promise_block_on(rt, &handle) == 42);
    Task parked{[](Waker *) { return POLL_PENDING; }};
    parked.spawn(rt);
    CHECK(zyntax_runtime_turn(rt, 0) == ZYNTAX_ECANCELED);
    CHECK(zyntax_runtime_turn(rt, 0) == 1);
}

TEST_CASE("a_stop_before_the_last_poll_ends_the_promise_without_a_value") {
    Runtime rt;
    Promise promise{[&](Promise &self) {
        if (self.polls == 1) zyntax_runtime_stop(rt);
        Waker waker = current();
        return int64_t(zyntax_sleep(rt, &self.op, 3'600'000 * ms, &waker) == POLL_READY);
    }};
    zyntax_promise handle = promise.handle();
    CHECK(zyntax_promise_block_on(rt, &handle) == ZYNTAX_ECANCELED);
    zyntax_op_cancel(&promise.op);
    CHECK(rt.stats().tasks_alive == 0);
    CHECK(zyntax_runtime_turn(rt, 0) == 0);
}

TEST_CASE("a_stop_in_the_drop_of_another_task_does_not_take_a_value_that_is_there") {
    Runtime rt;
    Task other{[](Waker *) { return POLL_PENDING; }, [&](int32_t) { zyntax_runtime_stop(rt); }};
    other.spawn(rt);
    Promise promise{[&](Promise &self) {
        if (self.polls == 1) return int64_t(0);
        zyntax_task_cancel(other.handle); // dropped after this poll, when the promise has ended
        return int64_t(7);
    }};
    zyntax_promise handle = promise.handle();
    CHECK(zyntax_promise_block_on(rt, &handle) == 7);
}
