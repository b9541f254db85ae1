// A task that gives up on a channel takes no item and no wake-up of another task with it.
#include "channel_support.h"

using namespace support;

namespace {

// Runs `actions` inside one poll, so that nothing else runs in between.
void in_one_poll(Runtime &rt, std::function<void(zyntax_op *, Waker *)> actions) {
    CHECK(await(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
              actions(op, waker);
              *result = 0;
              return POLL_READY;
          }) == 0);
}

} // namespace

TEST_CASE("a_receiver_that_is_cancelled_after_it_was_woken_leaves_the_item_to_the_next") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    int first = -1, second = -1;
    Await a(rt, receiving(channel, &first)), b(rt, receiving(channel, &second));
    settle(rt);
    in_one_poll(rt, [&](zyntax_op *op, Waker *waker) {
        int item = 5;
        int64_t result = 1;
        CHECK(zyntax_channel_send(channel, op, &item, waker, &result) == POLL_READY);
        a.cancel(); // woken, but not yet polled
    });
    CHECK(rt.drain());
    CHECK(first == -1);
    CHECK(b.result == 1);
    CHECK(second == 5);
}

TEST_CASE("a_sender_that_is_cancelled_after_it_was_woken_leaves_the_room_to_the_next") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 0);
    int one = 1, two = 2;
    Await a(rt, sending(channel, &one)), b(rt, sending(channel, &two));
    settle(rt);
    in_one_poll(rt, [&](zyntax_op *op, Waker *waker) {
        int item = -1;
        int64_t result = 0;
        CHECK(zyntax_channel_recv(channel, op, &item, waker, &result) == POLL_READY);
        CHECK(item == 0);
        a.cancel();
    });
    CHECK(rt.drain());
    CHECK(b.result == 0);
    CHECK(receive_now(rt, channel) == 2);
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(await(rt, receiving(channel, &one)) == 0); // the item of the cancelled task was not sent
}

TEST_CASE("a_receiver_that_gives_up_in_the_poll_it_was_woken_for_leaves_the_item_to_the_next") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    int item = -1, second = -1;
    ScopedTask first(rt);
    first.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        if (first.polls == 1) return zyntax_channel_recv(channel, &first.op, &item, waker, &result);
        zyntax_op_cancel(&first.op); // as a select does for the losing branches
        return POLL_READY;
    };
    first.start();
    Await b(rt, receiving(channel, &second));
    settle(rt);
    send_now(rt, channel, 9);
    CHECK(rt.drain());
    CHECK(item == -1);
    CHECK(second == 9);
}

TEST_CASE("a_sender_that_gives_up_in_the_poll_it_was_woken_for_leaves_the_room_to_the_next") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 0);
    int one = 1, two = 2;
    ScopedTask first(rt);
    first.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        if (first.polls == 1) return zyntax_channel_send(channel, &first.op, &one, waker, &result);
        zyntax_op_cancel(&first.op);
        return POLL_READY;
    };
    first.start();
    Await b(rt, sending(channel, &two));
    settle(rt);
    CHECK(receive_now(rt, channel) == 0);
    CHECK(rt.drain());
    CHECK(receive_now(rt, channel) == 2);
}

TEST_CASE("a_receiver_whose_item_was_taken_by_a_quicker_one_goes_on_waiting") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    int slow = -1;
    Await waiting(rt, receiving(channel, &slow));
    settle(rt);
    in_one_poll(rt, [&](zyntax_op *op, Waker *waker) {
        int in = 1, out = -1;
        int64_t result = 0;
        CHECK(zyntax_channel_send(channel, op, &in, waker, &result) == POLL_READY);
        PollStatus status = zyntax_channel_recv(channel, op, &out, waker, &result);
        if (status == POLL_READY) CHECK(out == 1); // either is fair, losing it is not
        zyntax_op_cancel(op);
    });
    send_now(rt, channel, 2);
    CHECK(rt.drain());
    CHECK(waiting.result == 1);
    CHECK((slow == 1 || slow == 2));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_receiver_that_ended_without_cancelling_its_op_takes_no_item_with_it") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    int lost = -1, item = -1;
    zyntax_op forgotten = 0;
    Await forgetful(rt, [&](zyntax_op *, Waker *waker, int64_t *result) {
        int64_t r = 0;
        CHECK(zyntax_channel_recv(channel, &forgotten, &lost, waker, &r) == POLL_PENDING);
        *result = 0;
        return POLL_READY;
    });
    settle(rt);
    CHECK_FALSE(forgetful.alive());
    Await receiver(rt, receiving(channel, &item));
    settle(rt);
    send_now(rt, channel, 1);
    CHECK(rt.drain());
    CHECK(lost == -1);
    CHECK(item == 1);
    CHECK(zyntax_channel_destroy(channel) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_sender_that_was_woken_and_does_not_call_again_holds_up_nobody") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 0);
    int one = 1, two = 2;
    ScopedTask absent(rt);
    absent.on_poll = [&](Waker *waker) { // waits for two objects at once, and then only for the other object
        int64_t result = 0;
        if (absent.polls == 1) zyntax_channel_send(channel, &absent.op, &one, waker, &result);
        return POLL_PENDING;
    };
    absent.start();
    settle(rt);
    CHECK(receive_now(rt, channel) == 0);
    settle(rt);
    CHECK(await(rt, sending(channel, &two)) == 0);
    CHECK(receive_now(rt, channel) == 2);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_receiver_that_was_woken_and_does_not_call_again_holds_up_nobody") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    int never = -1;
    ScopedTask absent(rt);
    absent.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        if (absent.polls == 1) zyntax_channel_recv(channel, &absent.op, &never, waker, &result);
        return POLL_PENDING;
    };
    absent.start();
    settle(rt);
    send_now(rt, channel, 1);
    send_now(rt, channel, 2);
    settle(rt);
    CHECK(receive_now(rt, channel) == 1);
    CHECK(receive_now(rt, channel) == 2);
    CHECK(never == -1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_receiver_that_was_woken_and_ended_without_calling_again_takes_no_wake_up_with_it") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    zyntax_op forgotten = 0;
    int never = -1, item = -1;
    ScopedTask forgetful(rt);
    forgetful.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        if (forgetful.polls > 1) return POLL_READY;
        return zyntax_channel_recv(channel, &forgotten, &never, waker, &result);
    };
    forgetful.start();
    settle(rt);
    Await next(rt, receiving(channel, &item));
    settle(rt);
    send_now(rt, channel, 5);
    CHECK(rt.drain());
    CHECK(never == -1);
    CHECK(item == 5);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_sender_that_was_woken_and_ended_without_calling_again_takes_no_wake_up_with_it") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 0);
    zyntax_op forgotten = 0;
    int one = 1, two = 2;
    ScopedTask forgetful(rt);
    forgetful.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        if (forgetful.polls > 1) return POLL_READY;
        return zyntax_channel_send(channel, &forgotten, &one, waker, &result);
    };
    forgetful.start();
    settle(rt);
    Await next(rt, sending(channel, &two));
    settle(rt);
    CHECK(receive_now(rt, channel) == 0);
    CHECK(rt.drain());
    CHECK(receive_now(rt, channel) == 2);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("many_cancelled_waiters_leave_the_channel_as_it_was") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = -1;
    {
        Await warm(rt, receiving(channel, &item));
        settle(rt);
    }
    uint64_t in_use = rt.stats().bytes_in_use;
    for (int round = 0; round < scaled(5000); round++) {
        Await waiting(rt, receiving(channel, &item));
        zyntax_runtime_turn(rt, 0);
    }
    CHECK(rt.stats().bytes_in_use == in_use);
    send_now(rt, channel, 3);
    CHECK(receive_now(rt, channel) == 3);
}

TEST_CASE("cancelling_at_random_loses_no_item_and_no_wake") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    uint32_t seed = 12345;
    auto random = [&](uint32_t below) { return (seed = seed * 1664525 + 1013904223) / 65536 % below; };
    constexpr int workers = 8;
    int items[workers], out[workers], sent = 0, received = 0;
    std::unique_ptr<Await> senders[workers], receivers[workers];
    auto collect = [&](std::unique_ptr<Await> &task, int64_t success, int &count) {
        if (task && !task->alive()) {
            count += task->result == success;
            task.reset();
        }
    };
    for (int step = 0; step < scaled(20000); step++) {
        uint32_t i = random(workers);
        bool send = random(2) == 0;
        auto &task = send ? senders[i] : receivers[i];
        collect(task, send ? 0 : 1, send ? sent : received);
        if (!task) task = std::make_unique<Await>(rt, send ? sending(channel, &items[i]) : receiving(channel, &out[i]));
        else if (random(3) == 0) task->cancel();
        if (random(2) == 0) zyntax_runtime_turn(rt, 0);
    }
    // The remaining tasks go on: receivers until the queue is empty, and then all get the end.
    settle(rt);
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(rt.drain());
    for (int i = 0; i < workers; i++) {
        collect(senders[i], 0, sent);
        collect(receivers[i], 1, received);
    }
    int item;
    while (await(rt, receiving(channel, &item)) == 1) received++;
    CHECK(sent == received);
    CHECK(sent > 100);
}
