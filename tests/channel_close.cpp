// zyntax_channel_close and zyntax_channel_destroy: the results of senders and receivers, and the remaining items.
#include "channel_support.h"

using namespace support;

namespace {

void is_stale(Runtime &rt, zyntax_channel *channel) {
    int item = 7;
    CHECK(zyntax_channel_close(channel) == ZYNTAX_ESTALE);
    CHECK(zyntax_channel_destroy(channel) == ZYNTAX_ESTALE);
    CHECK(await(rt, sending(channel, &item)) == ZYNTAX_ESTALE);
    CHECK(await(rt, receiving(channel, &item)) == ZYNTAX_ESTALE);
    CHECK(item == 7);
}

} // namespace

TEST_CASE("after_close_what_is_queued_is_still_received_and_then_comes_the_end") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    for (int i = 0; i < 3; i++) send_now(rt, channel, i);
    CHECK(zyntax_channel_close(channel) == 0);
    for (int i = 0; i < 3; i++) CHECK(receive_now(rt, channel) == i);
    int item = 7;
    CHECK(await(rt, receiving(channel, &item)) == 0);
    CHECK(await(rt, receiving(channel, &item)) == 0);
    CHECK(item == 7);
}

TEST_CASE("after_close_nothing_can_be_sent") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 4);
    int item = 1;
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(await(rt, sending(channel, &item)) == ZYNTAX_EPIPE);
    CHECK(await(rt, receiving(channel, &item)) == 0);
}

TEST_CASE("closing_twice_is_fine") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(zyntax_channel_destroy(channel) == 0);
    is_stale(rt, channel);
}

TEST_CASE("close_tells_receivers_that_wait_the_end") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 7;
    Await a(rt, receiving(channel, &item)), b(rt, receiving(channel, &item));
    settle(rt);
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(rt.drain());
    CHECK(a.result == 0);
    CHECK(b.result == 0);
    CHECK(item == 7);
}

TEST_CASE("close_tells_senders_that_wait_epipe_and_keeps_what_was_sent_before") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 1);
    int two = 2, three = 3;
    Await a(rt, sending(channel, &two)), b(rt, sending(channel, &three));
    settle(rt);
    CHECK(zyntax_channel_close(channel) == 0);
    CHECK(rt.drain());
    CHECK(a.result == ZYNTAX_EPIPE);
    CHECK(b.result == ZYNTAX_EPIPE);
    CHECK(receive_now(rt, channel) == 1);
    CHECK(await(rt, receiving(channel, &two)) == 0);
}

TEST_CASE("destroy_tells_whoever_waits_ecanceled_and_the_handle_is_stale") {
    Runtime rt;
    zyntax_channel *full = channel_of(rt, 1), *empty = channel_of(rt, 1);
    send_now(rt, full, 1);
    int item = 7;
    Await sender(rt, sending(full, &item)), receiver(rt, receiving(empty, &item));
    settle(rt);
    CHECK(zyntax_channel_destroy(full) == 0);
    CHECK(zyntax_channel_destroy(empty) == 0);
    CHECK(rt.drain());
    CHECK(sender.result == ZYNTAX_ECANCELED);
    CHECK(receiver.result == ZYNTAX_ECANCELED);
    is_stale(rt, full);
    is_stale(rt, empty);
}

TEST_CASE("a_channel_may_be_destroyed_by_the_task_that_was_woken_by_it") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    int item = 0;
    int64_t results[2] = {unfinished, unfinished};
    ScopedTask a(rt), b(rt);
    auto receive_and_destroy = [&](ScopedTask &self, int64_t &result) {
        self.on_poll = [&](Waker *waker) {
            if (zyntax_channel_recv(channel, &self.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
            if (result == 1) CHECK(zyntax_channel_destroy(channel) == 0);
            return POLL_READY;
        };
        self.start();
    };
    receive_and_destroy(a, results[0]);
    receive_and_destroy(b, results[1]);
    settle(rt);
    ScopedTask sender(rt);
    sender.on_poll = [&](Waker *waker) { // both are woken before either runs
        int64_t r;
        CHECK(zyntax_channel_send(channel, &sender.op, &item, waker, &r) == POLL_READY);
        CHECK(zyntax_channel_send(channel, &sender.op, &item, waker, &r) == POLL_READY);
        return POLL_READY;
    };
    sender.start();
    CHECK(rt.drain());
    CHECK(results[0] == 1);
    CHECK(results[1] == ZYNTAX_ECANCELED);
}

TEST_CASE("a_handle_is_not_good_for_the_channel_that_comes_after") {
    Runtime rt;
    for (int round = 0; round < 100; round++) {
        zyntax_channel *old = channel_of(rt, 1);
        CHECK(zyntax_channel_destroy(old) == 0);
        zyntax_channel *next = channel_of(rt, 1);
        CHECK(next != old);
        CHECK(zyntax_channel_destroy(old) == ZYNTAX_ESTALE);
        CHECK(zyntax_channel_destroy(next) == 0);
    }
}

TEST_CASE("a_null_and_a_made_up_handle_are_estale_everywhere") {
    Runtime rt;
    is_stale(rt, nullptr);
    for (uintptr_t bits : {uintptr_t(1), uintptr_t(0x1000), ~uintptr_t(0), ~uintptr_t(0) / 3, uintptr_t(1) << 31})
        is_stale(rt, reinterpret_cast<zyntax_channel *>(bits));
}

TEST_CASE("the_runtime_destroys_the_channels_that_are_left") {
    Heap heap;
    Runtime rt(heap.config());
    zyntax_channel *channel = channel_of(rt, 100, 100);
    std::string item(100, 'x');
    for (int i = 0; i < 50; i++) CHECK(await(rt, sending(channel, item.data())) == 0);
    rt.destroy();
    CHECK(heap.balanced());
    CHECK(zyntax_channel_close(channel) == ZYNTAX_ESTALE);
}

TEST_CASE("destroying_gives_the_memory_back") {
    Runtime rt;
    send_now(rt, channel_of(rt, 64), 1);
    uint64_t reserved = 0, in_use = rt.stats().bytes_in_use;
    for (int round = 0; round < 100; round++) {
        zyntax_channel *channel = channel_of(rt, 1000, 40);
        CHECK(zyntax_channel_destroy(channel) == 0);
        if (round == 0) reserved = rt.stats().bytes_reserved;
    }
    CHECK(rt.stats().bytes_in_use == in_use);
    CHECK(rt.stats().bytes_reserved == reserved);
}
