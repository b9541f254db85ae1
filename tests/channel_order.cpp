// A channel delivers each item once and in order. Waiters are served first in, first out.
#include "channel_support.h"

#include <deque>
#include <vector>

using namespace support;

TEST_CASE("items_come_out_in_the_order_in_which_they_went_in") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 8);
    for (int lap = 0; lap < 5; lap++) { // more than once around
        for (int i = 0; i < 6; i++) send_now(rt, channel, lap * 10 + i);
        for (int i = 0; i < 6; i++) CHECK(receive_now(rt, channel) == lap * 10 + i);
    }
}

TEST_CASE("items_of_any_size_arrive_unchanged") {
    Runtime rt;
    for (size_t size : {size_t(1), size_t(3), size_t(8), size_t(24), size_t(4097)}) {
        zyntax_channel *channel = channel_of(rt, 3, size);
        std::string in(size, 0), out(size + 1, '#');
        for (size_t i = 0; i < size; i++) in[i] = char(i * 7 + 1);
        for (int round = 0; round < 4; round++) {
            CHECK(await(rt, sending(channel, in.data())) == 0);
            CHECK(await(rt, receiving(channel, out.data())) == 1);
            CHECK(out == in + '#');
        }
    }
}

TEST_CASE("a_channel_of_capacity_one_alternates") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    std::vector<int> got;
    int next = 0, item = -1;
    ScopedTask sender(rt), receiver(rt);
    sender.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        while (next < 100) {
            if (zyntax_channel_send(channel, &sender.op, &next, waker, &result) == POLL_PENDING) return POLL_PENDING;
            CHECK(result == 0);
            next++;
            CHECK(size_t(next) <= got.size() + 1); // never more than one ahead
        }
        return POLL_READY;
    };
    receiver.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        while (got.size() < 100) {
            if (zyntax_channel_recv(channel, &receiver.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
            CHECK(result == 1);
            got.push_back(item);
        }
        return POLL_READY;
    };
    sender.start();
    receiver.start();
    CHECK(rt.drain());
    for (int i = 0; i < 100; i++) CHECK(got[size_t(i)] == i);
}

TEST_CASE("a_receiver_waits_for_an_item") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    int item = -1;
    Await receiver(rt, receiving(channel, &item));
    settle(rt);
    CHECK(receiver.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    send_now(rt, channel, 42);
    CHECK(rt.drain());
    CHECK(receiver.result == 1);
    CHECK(item == 42);
}

TEST_CASE("a_sender_waits_for_room") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    send_now(rt, channel, 1);
    send_now(rt, channel, 2);
    int three = 3;
    Await sender(rt, sending(channel, &three));
    settle(rt);
    CHECK(sender.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(receive_now(rt, channel) == 1);
    CHECK(rt.drain());
    CHECK(sender.result == 0);
    CHECK(receive_now(rt, channel) == 2);
    CHECK(receive_now(rt, channel) == 3);
}

TEST_CASE("senders_that_wait_come_first_in_first_out") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 0);
    int items[10];
    std::deque<Await> senders;
    for (int i = 0; i < 10; i++) {
        items[i] = i + 1;
        senders.emplace_back(rt, sending(channel, &items[i]));
        settle(rt);
    }
    for (int i = 0; i <= 10; i++) {
        CHECK(receive_now(rt, channel) == i);
        settle(rt);
    }
    CHECK(rt.drain());
}

TEST_CASE("a_sender_that_waits_is_not_overtaken_by_one_that_comes_when_there_is_room") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 0);
    int one = 1, two = 2;
    Await first(rt, sending(channel, &one));
    settle(rt);
    Await second(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        if (*op == 0) { // makes room and comes along at once, before the first is polled
            int item = -1;
            CHECK(zyntax_channel_recv(channel, op, &item, waker, result) == POLL_READY);
            CHECK(item == 0);
        }
        return zyntax_channel_send(channel, op, &two, waker, result);
    });
    settle(rt);
    CHECK(receive_now(rt, channel) == 1);
    CHECK(rt.drain());
    CHECK(receive_now(rt, channel) == 2);
}

TEST_CASE("a_sender_that_waits_is_not_starved_by_one_that_is_always_quicker") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 0);
    int patient = 1, greedy = 2, item = -1;
    Await waiting(rt, sending(channel, &patient));
    settle(rt);
    ScopedTask quick(rt);
    quick.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        zyntax_op op = 0;
        if (zyntax_channel_recv(channel, &op, &item, waker, &result) == POLL_READY)
            zyntax_channel_send(channel, &op, &greedy, waker, &result);
        zyntax_op_cancel(&op);
        waker->wake(waker->data);
        return quick.polls < 1000 ? POLL_PENDING : POLL_READY;
    };
    quick.start();
    CHECK(rt.drive_until([&] { return !quick.alive(); }));
    CHECK_FALSE(waiting.alive());
}

TEST_CASE("receivers_that_wait_come_first_in_first_out") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    int items[10];
    std::deque<Await> receivers;
    for (int &item : items) {
        item = -1;
        receivers.emplace_back(rt, receiving(channel, &item));
        settle(rt);
    }
    for (int i = 0; i < 10; i++) {
        send_now(rt, channel, i);
        settle(rt);
    }
    CHECK(rt.drain());
    for (int i = 0; i < 10; i++) CHECK(items[i] == i);
}

TEST_CASE("with_several_senders_and_receivers_every_item_arrives_exactly_once") {
    Runtime rt;
    constexpr int senders = 7, receivers = 5, each = 1000;
    zyntax_channel *channel = channel_of(rt, 3);
    struct Sender : ScopedTask {
        int next, end;
        Sender(zyntax_runtime *runtime, int first) : ScopedTask(runtime), next(first), end(first + each) {}
    };
    struct Receiver : ScopedTask {
        int item = -1;
        using ScopedTask::ScopedTask;
    };
    std::vector<int> seen(senders * each);
    int done = 0;
    std::deque<Sender> sending_tasks;
    std::deque<Receiver> receiving_tasks;
    for (int i = 0; i < receivers; i++) {
        Receiver &self = receiving_tasks.emplace_back(rt);
        self.on_poll = [&](Waker *waker) {
            int64_t result = 0;
            for (;;) {
                if (zyntax_channel_recv(channel, &self.op, &self.item, waker, &result) == POLL_PENDING)
                    return POLL_PENDING;
                if (result != 1) return POLL_READY;
                seen[size_t(self.item)]++;
            }
        };
        self.start();
    }
    for (int i = 0; i < senders; i++) {
        Sender &self = sending_tasks.emplace_back(rt, i * each);
        self.on_poll = [&](Waker *waker) {
            int64_t result = 0;
            for (; self.next < self.end; self.next++) {
                if (zyntax_channel_send(channel, &self.op, &self.next, waker, &result) == POLL_PENDING)
                    return POLL_PENDING;
                CHECK(result == 0);
            }
            if (++done == senders) zyntax_channel_close(channel);
            return POLL_READY;
        };
        self.start();
    }
    CHECK(rt.drain());
    for (int count : seen) CHECK(count == 1);
}

TEST_CASE("items_of_no_size_are_counted_signals") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2, 0);
    char untouched = '#';
    CHECK(await(rt, sending(channel, &untouched)) == 0);
    CHECK(await(rt, sending(channel, &untouched)) == 0);
    Await third(rt, sending(channel, &untouched));
    settle(rt);
    CHECK(third.alive());
    for (int i = 0; i < 3; i++) CHECK(await(rt, receiving(channel, &untouched)) == 1);
    CHECK(rt.drain());
    CHECK(untouched == '#');
    Await fourth(rt, receiving(channel, &untouched));
    settle(rt);
    CHECK(fourth.alive());
}

namespace {

// An async iterator as compiled code has it, over the items of `next`.
struct Stream {
    zyntax_channel *channel;
    zyntax_op op;
};
PollStatus next_of_channel(FutureState state, Waker *waker, void *item, int64_t *result) {
    auto *stream = static_cast<Stream *>(state);
    return zyntax_channel_recv(stream->channel, &stream->op, item, waker, result);
}

} // namespace

TEST_CASE("receiving_is_an_async_iterator") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    Stream stream{channel, 0};
    PollNextFn next = next_of_channel;
    std::vector<int> got;
    int64_t end = unfinished;
    ScopedTask loop(rt);
    loop.on_poll = [&](Waker *waker) {
        for (;;) {
            int item = -1;
            if (next(&stream, waker, &item, &end) == POLL_PENDING) return POLL_PENDING;
            if (end != 1) return POLL_READY;
            got.push_back(item);
        }
    };
    loop.start();
    for (int i = 0; i < 5; i++) send_now(rt, channel, i);
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(rt.drain());
    CHECK(end == 0);
    CHECK(got == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("once_warm_a_channel_allocates_nothing") {
    Heap heap;
    Runtime rt(heap.config());
    zyntax_channel *channel = channel_of(rt, 1);
    int sent = 0, received = 0, item = 0;
    ScopedTask sender(rt), receiver(rt);
    sender.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        for (; sent < 1000; sent++) {
            if (zyntax_channel_send(channel, &sender.op, &sent, waker, &result) == POLL_PENDING) return POLL_PENDING;
        }
        return POLL_READY;
    };
    receiver.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        for (; received < 1000; received++) {
            if (zyntax_channel_recv(channel, &receiver.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
        }
        return POLL_READY;
    };
    sender.start();
    receiver.start();
    uint64_t warm = 0;
    CHECK(rt.drive_until([&] {
        if (warm == 0 && received > 50) warm = heap.allocations;
        return received == 1000;
    }));
    CHECK(heap.allocations == (warm != 0 ? warm : heap.allocations));
    CHECK(rt.drain());
}
