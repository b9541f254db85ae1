// Sends and receives that do not wait. They take unreserved items and room, and never overtake a waiter.
#include "channel_support.h"
#include "host_support.h"

using namespace support;

namespace {

int32_t try_send(zyntax_channel *channel, int item) { return zyntax_channel_try_send(channel, &item); }

} // namespace

TEST_CASE("items_that_are_tried_come_in_order_until_the_channel_is_full_or_empty") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 3);
    int item = -1;
    for (int lap = 0; lap < 3; lap++) {
        CHECK(zyntax_channel_try_recv(channel, &item) == ZYNTAX_EAGAIN);
        CHECK(item == -1);
        for (int i = 0; i < 3; i++) CHECK(try_send(channel, lap + i) == 0);
        CHECK(try_send(channel, 99) == ZYNTAX_EAGAIN);
        for (int i = 0; i < 3; i++) {
            CHECK(zyntax_channel_try_recv(channel, &item) == 1);
            CHECK(item == lap + i);
        }
        item = -1;
    }
}

TEST_CASE("after_close_a_try_to_send_is_epipe_and_queued_items_are_received_before_the_end") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    CHECK(try_send(channel, 5) == 0);
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(try_send(channel, 6) == ZYNTAX_EPIPE);
    int item = -1;
    CHECK(zyntax_channel_try_recv(channel, &item) == 1);
    CHECK(item == 5);
    CHECK(zyntax_channel_try_recv(channel, &item) == 0);
    CHECK(zyntax_channel_try_recv(channel, &item) == 0);
    CHECK(item == 5);
}

TEST_CASE("a_try_to_send_wakes_a_waiting_receiver_and_a_try_to_receive_a_waiting_sender") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = -1, other = 8;
    Await receiver(rt, receiving(channel, &item));
    settle(rt);
    CHECK(try_send(channel, 7) == 0);
    CHECK(rt.drain());
    CHECK(receiver.result == 1);
    CHECK(item == 7);

    CHECK(try_send(channel, 1) == 0);
    Await sender(rt, sending(channel, &other));
    settle(rt);
    CHECK(sender.alive());
    CHECK(zyntax_channel_try_recv(channel, &item) == 1);
    CHECK(rt.drain());
    CHECK(sender.result == 0);
    CHECK(receive_now(rt, channel) == 8);
}

TEST_CASE("an_item_that_is_reserved_for_a_woken_receiver_is_eagain_for_others") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    int first = -1, second = -1, item = -1;
    Await a(rt, receiving(channel, &first)), b(rt, receiving(channel, &second));
    settle(rt);
    CHECK(try_send(channel, 1) == 0); // for the first receiver, which was woken
    CHECK(zyntax_channel_try_recv(channel, &item) == ZYNTAX_EAGAIN);
    CHECK(try_send(channel, 2) == 0);
    CHECK(zyntax_channel_try_recv(channel, &item) == ZYNTAX_EAGAIN);
    CHECK(try_send(channel, 3) == 0);
    CHECK(zyntax_channel_try_recv(channel, &item) == 1); // the first of three items: two stay for two receivers
    CHECK(item == 1);
    CHECK(rt.drain());
    CHECK(first == 2);
    CHECK(second == 3);
}

TEST_CASE("a_place_that_is_reserved_for_a_woken_sender_is_eagain_for_others") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int waiting = 2;
    CHECK(try_send(channel, 1) == 0);
    Await sender(rt, sending(channel, &waiting));
    settle(rt);
    CHECK(try_send(channel, 3) == ZYNTAX_EAGAIN);
    CHECK(receive_now(rt, channel) == 1); // settles the sender too
    CHECK(rt.drain());
    CHECK(try_send(channel, 3) == ZYNTAX_EAGAIN);

    Await again(rt, sending(channel, &waiting));
    settle(rt);
    int item = -1;
    CHECK(zyntax_channel_try_recv(channel, &item) == 1);
    CHECK(item == 2);
    CHECK(try_send(channel, 3) == ZYNTAX_EAGAIN); // the sender was woken and has not been polled
    CHECK(rt.drain());
    CHECK(again.result == 0);
    CHECK(receive_now(rt, channel) == 2);
}

TEST_CASE("a_reserved_item_is_free_again_when_its_receiver_is_cancelled") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int received = -1, item = -1;
    HostOp host(receiving(channel, &received));
    CHECK(host.call() == POLL_PENDING);
    CHECK(try_send(channel, 4) == 0);
    CHECK(zyntax_channel_try_recv(channel, &item) == ZYNTAX_EAGAIN);
    zyntax_op_cancel(&host.op);
    CHECK(zyntax_channel_try_recv(channel, &item) == 1);
    CHECK(item == 4);
}

TEST_CASE("signals_without_bytes_are_counted") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2, 0);
    CHECK(zyntax_channel_try_send(channel, nullptr) == 0);
    CHECK(zyntax_channel_try_send(channel, nullptr) == 0);
    CHECK(zyntax_channel_try_send(channel, nullptr) == ZYNTAX_EAGAIN);
    CHECK(zyntax_channel_try_recv(channel, nullptr) == 1);
    CHECK(zyntax_channel_try_recv(channel, nullptr) == 1);
    CHECK(zyntax_channel_try_recv(channel, nullptr) == ZYNTAX_EAGAIN);
}

TEST_CASE("bad_arguments_of_a_try_change_nothing") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1), *ended = channel_of(rt, 1);
    int item = 3;
    CHECK(zyntax_channel_try_send(channel, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_channel_try_recv(channel, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_channel_try_send(nullptr, &item) == ZYNTAX_ESTALE);
    CHECK(zyntax_channel_try_recv(nullptr, &item) == ZYNTAX_ESTALE);
    CHECK(zyntax_channel_destroy(ended) == 0);
    CHECK(zyntax_channel_try_send(ended, &item) == ZYNTAX_ESTALE);
    CHECK(zyntax_channel_try_recv(ended, &item) == ZYNTAX_ESTALE);
    CHECK(item == 3);
    CHECK(zyntax_channel_try_recv(channel, &item) == ZYNTAX_EAGAIN);
}

TEST_CASE("a_try_needs_no_memory_and_spends_no_await_budget") {
    Heap heap;
    zyntax_runtime_config config = heap.config();
    config.await_budget = 4;
    Runtime rt(config);
    zyntax_channel *channel = channel_of(rt, 1);
    ScopedTask task(rt);
    int failures = 0;
    task.on_poll = [&](Waker *) {
        int item = -1;
        for (int i = 0; i < 100; i++) {
            failures += try_send(channel, i) != 0;
            failures += zyntax_channel_try_recv(channel, &item) != 1 || item != i;
        }
        return POLL_READY;
    };
    task.start();
    settle(rt);
    heap.fail_at = 1;
    heap.persistent = true;
    CHECK(rt.drain());
    CHECK(failures == 0);
    CHECK(task.polls == 1);
    heap.fail_at = 0;
    rt.destroy();
    CHECK(heap.balanced());
}
