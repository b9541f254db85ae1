// Ports, bounded queues between threads, as one thread sees them.
#include "dump_support.h"
#include "port_support.h"
#include "promise_support.h"

#include <deque>
#include <vector>

using namespace support;

TEST_CASE("a_port_gives_items_in_order_and_says_when_it_is_full_or_empty") {
    Port port(3);
    for (int lap = 0; lap < 5; lap++) {
        CHECK(port.put(lap) == 0);
        CHECK(port.put(lap + 10) == 0);
        CHECK(port.put(lap + 20) == 0);
        CHECK(port.put(99) == ZYNTAX_EAGAIN);
        CHECK(port.get() == lap);
        CHECK(port.get() == lap + 10);
        CHECK(port.put(lap + 30) == 0); // behind the end of the ring
        CHECK(port.get() == lap + 20);
        CHECK(port.get() == lap + 30);
        int untouched = 7;
        CHECK(zyntax_port_try_recv(port, &untouched) == ZYNTAX_EAGAIN);
        CHECK(untouched == 7);
    }
}

TEST_CASE("items_of_every_size_arrive_whole") {
    for (size_t size : {size_t(1), size_t(3), size_t(8), size_t(100), size_t(70000)}) {
        Port port(2, size);
        std::string in(size, 'x'), out(size, 0);
        in.back() = 'y';
        CHECK(zyntax_port_try_send(port, in.data()) == 0);
        CHECK(zyntax_port_try_recv(port, out.data()) == 1);
        CHECK(in == out);
    }
}

TEST_CASE("a_port_of_empty_items_counts_signals") {
    Port port(2, 0);
    CHECK(zyntax_port_try_send(port, nullptr) == 0);
    CHECK(zyntax_port_try_send(port, nullptr) == 0);
    CHECK(zyntax_port_try_send(port, nullptr) == ZYNTAX_EAGAIN);
    CHECK(zyntax_port_try_recv(port, nullptr) == 1);
    CHECK(zyntax_port_try_recv(port, nullptr) == 1);
    CHECK(zyntax_port_try_recv(port, nullptr) == ZYNTAX_EAGAIN);
}

TEST_CASE("arguments_that_cannot_be_used_are_einval_and_change_nothing") {
    zyntax_port *port = nullptr;
    CHECK(zyntax_port_create(0, 4, &port) == ZYNTAX_EINVAL);
    CHECK(zyntax_port_create(1, 4, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_port_create(SIZE_MAX / 2, 4, &port) == ZYNTAX_ENOMEM);
    CHECK(zyntax_port_create(SIZE_MAX, SIZE_MAX, &port) == ZYNTAX_ENOMEM);
    bool can_ask = !sanitized && sizeof(size_t) == 8; // no system has as much
    if (can_ask) CHECK(zyntax_port_create(SIZE_MAX / 8, 2, &port) == ZYNTAX_ENOMEM);
    CHECK(port == nullptr);
    Port good(1);
    CHECK(zyntax_port_try_send(good, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_port_try_recv(good, nullptr) == ZYNTAX_EINVAL);
    Runtime rt;
    CHECK(await(rt, port_sending(good, nullptr)) == ZYNTAX_EINVAL);
    CHECK(await(rt, port_receiving(good, nullptr)) == ZYNTAX_EINVAL);
    CHECK(good.put(1) == 0);
    CHECK(good.get() == 1);
}

TEST_CASE("a_send_outside_of_a_poll_is_einval") {
    Runtime rt;
    Port port(1);
    Waker waker{&rt, [](void *) {}};
    zyntax_op op = 0;
    int64_t result = unset;
    int item = 1;
    CHECK(zyntax_port_send(port, &op, &item, &waker, &result) == POLL_READY);
    CHECK(result == ZYNTAX_EINVAL);
    CHECK(zyntax_port_recv(port, &op, &item, &waker, &result) == POLL_READY);
    CHECK(result == ZYNTAX_EINVAL);
    CHECK(port.get() == -1);
}

TEST_CASE("a_closed_port_gives_what_it_has_and_takes_no_more") {
    Runtime rt;
    Port port(2);
    CHECK(port.put(1) == 0);
    CHECK(port.put(2) == 0);
    int item = 3;
    Await sender(rt, port_sending(port, &item));
    settle(rt);
    CHECK(sender.alive());
    CHECK(zyntax_port_close(port) == 0);
    CHECK(zyntax_port_close(port) == 0);
    REQUIRE(rt.drain());
    CHECK(sender.result == ZYNTAX_EPIPE);
    CHECK(port.put(3) == ZYNTAX_EPIPE);
    CHECK(await(rt, port_sending(port, &item)) == ZYNTAX_EPIPE);
    CHECK(port.get() == 1);
    Receiver second(rt, port), third(rt, port);
    REQUIRE(rt.drain());
    CHECK(second.item == 2);
    CHECK(third.await.result == 0);
    CHECK(zyntax_port_try_recv(port, &item) == 0);
}

TEST_CASE("a_receiver_that_waits_ends_when_the_port_is_closed") {
    Runtime rt;
    Port port(1);
    std::deque<Receiver> receivers;
    for (int i = 0; i < 3; i++) receivers.emplace_back(rt, port);
    settle(rt);
    CHECK(zyntax_port_close(port) == 0);
    REQUIRE(rt.drain());
    for (Receiver &receiver : receivers) CHECK(receiver.await.result == 0);
}

TEST_CASE("a_stale_port_is_estale_everywhere") {
    Runtime rt;
    zyntax_port *stale = nullptr;
    {
        Port port(1);
        stale = port;
    }
    zyntax_port *const none[] = {nullptr, stale, reinterpret_cast<zyntax_port *>(uintptr_t(0x123456789)),
                                 reinterpret_cast<zyntax_port *>(UINTPTR_MAX)};
    for (zyntax_port *port : none) {
        CAPTURE(port);
        int item = 1;
        CHECK(zyntax_port_try_send(port, &item) == ZYNTAX_ESTALE);
        CHECK(zyntax_port_try_recv(port, &item) == ZYNTAX_ESTALE);
        CHECK(zyntax_port_close(port) == ZYNTAX_ESTALE);
        CHECK(zyntax_port_destroy(port) == ZYNTAX_ESTALE);
        CHECK(await(rt, port_sending(port, &item)) == ZYNTAX_ESTALE);
        CHECK(await(rt, port_receiving(port, &item)) == ZYNTAX_ESTALE);
    }
    Port next(1); // in the same place
    CHECK(next.put(5) == 0);
    CHECK(zyntax_port_destroy(stale) == ZYNTAX_ESTALE);
    CHECK(next.get() == 5);
}

TEST_CASE("callers_that_wait_are_served_first_come_first_served") {
    Runtime rt;
    Port port(1);
    std::deque<Receiver> receivers;
    for (int i = 0; i < 4; i++) receivers.emplace_back(rt, port);
    settle(rt);
    for (int i = 0; i < 4; i++) {
        CHECK(port.put(i) == 0);
        REQUIRE(rt.drive_until([&] { return receivers[size_t(i)].has_item(); }));
        CHECK(receivers[size_t(i)].item == i);
    }
    CHECK(port.put(9) == 0); // fills it
    int items[] = {10, 11, 12};
    std::deque<Await> senders;
    for (int &item : items) senders.emplace_back(rt, port_sending(port, &item));
    settle(rt);
    for (int expected : {9, 10, 11, 12}) {
        CHECK(port.get() == expected);
        settle(rt);
    }
    for (Await &sender : senders) CHECK(sender.result == 0);
}

TEST_CASE("each_item_wakes_one_waiter") {
    Runtime rt;
    Port port(8);
    std::deque<Receiver> receivers;
    for (int i = 0; i < 8; i++) receivers.emplace_back(rt, port);
    settle(rt);
    uint64_t polls = rt.stats().polls;
    for (int i = 0; i < 3; i++) CHECK(port.put(i) == 0);
    settle(rt);
    CHECK(rt.stats().polls == polls + 3);
    int served = 0;
    for (Receiver &receiver : receivers) served += receiver.has_item();
    CHECK(served == 3);
}

TEST_CASE("an_item_that_is_reserved_is_given_to_nobody_else_while_its_runtime_is_driven") {
    Runtime rt;
    Port port(1);
    Receiver first(rt, port);
    settle(rt);
    int stolen = -1;
    Task thief{[&](Waker *) {
        CHECK(port.put(1) == 0); // the first receiver's turn
        CHECK(port.get() == -1); // this runtime is being driven
        stolen = zyntax_port_try_send(port, &stolen);
        return POLL_READY;
    }};
    thief.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(stolen == ZYNTAX_EAGAIN);
    CHECK(first.item == 1);
}

TEST_CASE("a_waiter_whose_runtime_stands_still_does_not_stop_the_others") {
    Runtime still, running;
    Port port(1);
    Receiver first(still, port), second(running, port);
    settle(still);
    settle(running);
    CHECK(port.put(1) == 0); // the first receiver's turn
    int seen = -1;
    Task asks{[&](Waker *) {
        seen = port.get(); // another caller asks: the second receiver waited before it
        return POLL_READY;
    }};
    asks.spawn(running);
    settle(running);
    CHECK(seen == -1);
    CHECK(second.item == 1);
    CHECK_FALSE(first.has_item());
    CHECK(port.put(2) == 0); // the first receiver's turn again
    CHECK(port.get() == 2);  // no driven runtime waits
    settle(still);
    CHECK(first.await.alive());
    CHECK(port.put(3) == 0);
    settle(still);
    CHECK(first.item == 3);
}

TEST_CASE("a_sender_whose_runtime_stands_still_does_not_keep_its_place") {
    Runtime still;
    Port port(1);
    CHECK(port.put(1) == 0);
    int item = 2;
    Await sender(still, port_sending(port, &item));
    settle(still);
    CHECK(port.get() == 1); // the sender's turn
    CHECK(port.put(3) == 0);
    settle(still);
    CHECK(sender.alive());
    CHECK(port.get() == 3);
    settle(still);
    CHECK(sender.result == 0);
    CHECK(port.get() == 2);
}

TEST_CASE("a_waiter_passes_its_turn_on_when_it_is_cancelled_forgotten_or_ended") {
    for (int how = 0; how < 4; how++) {
        CAPTURE(how);
        Runtime rt, other;
        auto doomed = std::make_unique<Runtime>();
        Port port(1);
        bool forgets = false;
        int item = -1;
        zyntax_op op = 0;
        int64_t result = unset;
        Task first{[&](Waker *waker) {
            if (forgets) return POLL_PENDING;
            return zyntax_port_recv(port, &op, &item, waker, &result);
        }};
        first.spawn(how == 3 ? *doomed : rt);
        settle(how == 3 ? *doomed : rt);
        Receiver second(other, port);
        settle(other);
        if (how == 1) forgets = true;
        CHECK(port.put(1) == 0);
        if (how == 0) zyntax_op_cancel(&op);
        if (how == 1) settle(rt);
        if (how == 2) {
            zyntax_task_cancel(first.handle);
            settle(rt);
        }
        if (how == 3) doomed->destroy();
        REQUIRE(other.drive_until([&] { return !second.await.alive(); }));
        CHECK(second.item == 1);
        CHECK(item == -1);
        if (how < 2) zyntax_task_cancel(first.handle);
        CHECK(rt.drain());
        if (how == 3) doomed.reset();
    }
}

TEST_CASE("a_waiter_that_is_cancelled_before_its_turn_leaves_the_queue") {
    Runtime rt;
    Port port(1);
    auto first = std::make_unique<Receiver>(rt, port);
    Receiver second(rt, port);
    settle(rt);
    first.reset();
    CHECK(port.put(1) == 0);
    REQUIRE(rt.drain());
    CHECK(second.item == 1);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("destroy_ends_the_calls_that_wait") {
    Runtime rt;
    auto port = std::make_unique<Port>(1);
    Receiver receiver(rt, *port);
    settle(rt);
    CHECK(zyntax_port_destroy(*port) == 0);
    CHECK(zyntax_port_destroy(*port) == ZYNTAX_ESTALE);
    Port next(1); // in the same place
    REQUIRE(rt.drain());
    CHECK(receiver.await.result == ZYNTAX_ECANCELED);
    CHECK(next.put(1) == 0);
    int item = 2;
    Await sender(rt, port_sending(next, &item));
    settle(rt);
    CHECK(zyntax_port_destroy(next) == 0);
    REQUIRE(rt.drain());
    CHECK(sender.result == ZYNTAX_ECANCELED);
}

TEST_CASE("a_runtime_may_end_before_it_hears_of_its_turn") {
    Port port(1);
    {
        Runtime rt;
        Receiver receiver(rt, port);
        settle(rt);
        CHECK(port.put(1) == 0); // the message is on its way
        rt.destroy();
        receiver.await.task.handle = nullptr;
    }
    CHECK(port.get() == 1);
    {
        Runtime rt;
        Receiver receiver(rt, port);
        settle(rt);
        CHECK(zyntax_port_destroy(port) == 0);
        rt.destroy();
        receiver.await.task.handle = nullptr;
    }
}

TEST_CASE("an_op_that_waits_for_another_operation_is_cancelled_by_a_call_of_a_port") {
    Runtime rt;
    Port one(1), other(1);
    int item = -1, polls = 0;
    int64_t result = unset;
    Task task{[&](Waker *waker) {
        zyntax_port *port = polls++ ? one : other;
        return zyntax_port_recv(port, &task.op, &item, waker, &result);
    }};
    task.spawn(rt);
    settle(rt);
    CHECK(other.put(1) == 0);
    settle(rt); // polled for `other`, and asks `one`
    CHECK(other.get() == 1);
    CHECK(one.put(2) == 0);
    REQUIRE(rt.drain());
    CHECK(item == 2);
}

TEST_CASE("a_call_without_memory_is_enomem_and_loses_nothing") {
    constexpr int tasks = 3000;
    bool has_some_failed = false;
    for (uint64_t fail_at = 1; fail_at < 7; fail_at++) {
        CAPTURE(fail_at);
        Heap heap;
        Runtime rt(heap.config());
        Port port(tasks);
        bool may_ask = false;
        std::vector<Waker> wakers;
        std::deque<Receiver> receivers;
        for (int i = 0; i < tasks; i++) {
            Receiver &receiver = receivers.emplace_back(rt, port);
            receiver.await.operation = [&, ask = receiver.await.operation](zyntax_op *op, Waker *w, int64_t *result) {
                if (!may_ask) wakers.push_back(*w);
                return may_ask ? ask(op, w, result) : POLL_PENDING;
            };
        }
        settle(rt);
        heap.fail_at = fail_at;
        heap.persistent = may_ask = true;
        for (const Waker &waker : wakers) waker.wake(waker.data);
        for (int i = 0; i < 50; i++) zyntax_runtime_turn(rt, 0);
        heap.fail_at = 0;
        heap.persistent = false;
        int failed = 0, sent = 0;
        for (Receiver &receiver : receivers) failed += receiver.await.result == ZYNTAX_ENOMEM;
        CHECK(failed > 0);
        has_some_failed |= failed < tasks;
        for (; sent < tasks - failed; sent++) CHECK(port.put(sent) == 0);
        REQUIRE(rt.drain());
        int expected = 0;
        for (Receiver &receiver : receivers) {
            if (receiver.await.result == ZYNTAX_ENOMEM) continue;
            CHECK(receiver.item == expected++);
        }
        CHECK(rt.stats().bytes_in_use == 0);
        receivers.clear();
        rt.destroy();
        CHECK(heap.balanced());
    }
    CHECK(has_some_failed);
}

TEST_CASE("a_task_that_waits_at_a_port_counts_as_held") {
    zyntax_runtime_config c = config();
    c.flags = ZYNTAX_DETECT_STALL;
    Runtime rt(c);
    SKIP_WHEN(!has_threads, "no threads");
    Port port(1);
    Receiver receiver(rt, port);
    Thread sender([&] {
        sleep_for(std::chrono::milliseconds(30));
        port.put(4);
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    sender.join();
    CHECK(receiver.item == 4);
    Task waits{[](Waker *) { return POLL_PENDING; }};
    waits.spawn(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK); // nothing is held any more
}

TEST_CASE("promises_send_and_receive_through_ports") {
    Runtime rt;
    Port port(1);
    int item = 7, got = -1;
    Promise sends{[&, sent = 0, leaf = static_cast<zyntax_promise *>(nullptr)](Promise &) mutable -> int64_t {
        while (sent < 3) {
            if (!leaf) {
                item = 7 + sent;
                leaf = zyntax_promise_port_send(port, &item);
                item = 0; // it was copied
            }
            int64_t value = leaf->poll(leaf->state);
            if (!value) return 0;
            CHECK(value == 1);
            leaf = nullptr;
            sent++;
        }
        return 1;
    }};
    std::vector<int> received;
    Promise receives{[&, leaf = static_cast<zyntax_promise *>(nullptr)](Promise &) mutable -> int64_t {
        for (;;) {
            if (!leaf) leaf = zyntax_promise_port_recv(port, &got);
            int64_t value = leaf->poll(leaf->state);
            if (!value) return 0;
            leaf = nullptr;
            if (value < 0) return value;
            received.push_back(got);
        }
    }};
    sends.spawn(rt);
    receives.spawn(rt);
    REQUIRE(rt.drive_until([&] { return received.size() == 3; }));
    CHECK(received == std::vector<int>{7, 8, 9});
    CHECK(zyntax_port_close(port) == 0);
    REQUIRE(rt.drain());
    CHECK(sends.result == 1);
    CHECK(receives.result == ZYNTAX_EOF);
}

TEST_CASE("promises_of_ports_fail_for_what_cannot_be_used") {
    Runtime rt;
    Port port(1);
    int item = 1;
    Promise promise{[&](Promise &) -> int64_t {
        zyntax_promise *bad = zyntax_promise_port_send(port, nullptr);
        CHECK(bad->poll(bad->state) == ZYNTAX_EINVAL);
        bad = zyntax_promise_port_recv(port, nullptr);
        CHECK(bad->poll(bad->state) == ZYNTAX_EINVAL);
        bad = zyntax_promise_port_send(nullptr, &item);
        CHECK(bad->poll(bad->state) == ZYNTAX_ESTALE);
        return 1;
    }};
    promise.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(promise.result == 1);
    zyntax_promise *outside = zyntax_promise_port_recv(port, &item);
    CHECK(outside->poll(outside->state) == ZYNTAX_EPERM);
}

TEST_CASE("the_dump_shows_what_waits_at_a_port") {
    Runtime rt;
    Port port(1);
    static int item;
    CHECK(waits_for(rt, port_receiving(port, &item)) == ZYNTAX_WAIT_CHANNEL);
    REQUIRE(port.put(1) == 0);
    CHECK(waits_for(rt, port_sending(port, &item)) == ZYNTAX_WAIT_CHANNEL);
    Await waiting(rt, port_sending(port, &item));
    settle(rt);
    CHECK(port.get() == 1);
    for (int i = 0; i < 2; i++) zyntax_runtime_turn(rt, 0);
    CHECK(!waiting.alive()); // its turn came
}
