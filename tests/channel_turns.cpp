// First come, first served. A turn that its task does not use passes to the next waiter at once. This needs no sleep of
// the loop, and no later caller overtakes.
#include "channel_support.h"
#include "host_support.h"

#include <deque>
#include <vector>

using namespace support;

namespace {

// A channel whose waiters are all on one side, so that receivers and senders pass the same tests: items come for
// receivers, and room for senders.
struct Queue {
    Runtime &rt;
    bool receivers;
    zyntax_channel *channel;
    int next_item = 100; // the next item that comes, or that filled the channel

    Queue(Runtime &runtime, bool of_receivers, size_t capacity = 4)
        : rt(runtime), receivers(of_receivers), channel(channel_of(rt, capacity)) {
        if (receivers) return;
        for (size_t i = 0; i < capacity; i++) CHECK(at_once(sending(channel, &next_item)) == 0);
    }
    ~Queue() { zyntax_channel_destroy(channel); }
    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;

    Operation waiting(int *item) const { return receivers ? receiving(channel, item) : sending(channel, item); }
    int64_t success() const { return receivers ? 1 : 0; }
    // Serves one waiter.
    void come() {
        int item = 0;
        if (receivers) CHECK(at_once(sending(channel, &next_item)) == 0);
        else CHECK(at_once(receiving(channel, &item)) == 1);
        next_item++;
    }
};

// A waiter that stays until it is served.
struct Waiter {
    int item;
    Await await;

    Waiter(const Queue &queue, int number) : item(number), await(queue.rt, queue.waiting(&item)) {}
    bool served(const Queue &queue) const { return !await.alive() && await.result == queue.success(); }
};

enum Leaving { ends, ends_after_cancelling, is_cancelled, is_cancelled_forgetting, is_given_up_by_another, stays_away };

// A waiter that leaves, in one of many ways, without taking its turn.
struct Leaver {
    Leaving way;
    int item = -1;
    zyntax_op forgotten = 0; // the drop does not know it
    Operation operation;
    ScopedTask task;

    Leaver(const Queue &queue, Leaving leaving) : way(leaving), operation(queue.waiting(&item)), task(queue.rt) {
        task.on_poll = [this](Waker *waker) {
            int64_t result = unfinished;
            if (task.polls == 1) return operation(op(), waker, &result);
            if (way == ends_after_cancelling) zyntax_op_cancel(op());
            return way == ends || way == ends_after_cancelling ? POLL_READY : POLL_PENDING;
        };
        task.start();
    }
    zyntax_op *op() { return way == ends || way == is_cancelled_forgetting ? &forgotten : &task.op; }
    // The part of leaving outside its own poll.
    void leave() {
        if (way == is_cancelled || way == is_cancelled_forgetting) CHECK(zyntax_task_cancel(task.handle) == 0);
        if (way == is_given_up_by_another) zyntax_op_cancel(op());
    }
};

// How the loop is driven. None of these ways may depend on the loop's sleep.
enum Drive { by_block_on, by_turns_that_do_not_wait, beside_a_yielding_task };

// Drives until a task has ended, for a number of rounds that is small and counted.
void drive(Runtime &rt, Drive how, const ScopedTask &awaited) {
    ScopedTask yielding(rt);
    yielding.on_poll = [&](Waker *waker) {
        waker->wake(waker->data);
        if (yielding.polls == 50) zyntax_runtime_stop(rt); // that is a failure
        return POLL_PENDING;
    };
    if (how == by_turns_that_do_not_wait) {
        for (int round = 0; round < 5; round++) zyntax_runtime_turn(rt, 0);
        return;
    }
    if (how == beside_a_yielding_task) yielding.start();
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, awaited.handle) == 0);
}

template <class Play> void in_every_way(Play play) {
    for (bool receivers : {true, false}) {
        for (Drive how : {by_turns_that_do_not_wait, beside_a_yielding_task, by_block_on}) {
            CAPTURE(receivers);
            CAPTURE(how);
            play(receivers, how);
        }
    }
}

// A waiter leaves: the next waiter is served, and a later waiter is not.
void leaving_serves_the_next(Leaving way) {
    in_every_way([&](bool receivers, Drive how) {
        Runtime rt;
        Queue queue(rt, receivers);
        Leaver first(queue, way);
        Waiter next(queue, 1);
        settle(rt);
        queue.come();
        first.leave();
        drive(rt, how, next.await.task);
        CHECK(next.served(queue));
        if (receivers) CHECK(next.item == 100);
    });
}

void leaving_lets_nobody_overtake(Leaving way) {
    in_every_way([&](bool receivers, Drive how) {
        Runtime rt;
        Queue queue(rt, receivers);
        Leaver first(queue, way);
        Waiter next(queue, 1);
        settle(rt);
        queue.come();
        first.leave();
        Waiter newcomer(queue, 2);
        drive(rt, how, next.await.task);
        CHECK(next.served(queue));
        CHECK(newcomer.await.alive());
        queue.come();
        drive(rt, how, newcomer.await.task);
        CHECK(newcomer.served(queue));
        if (receivers) CHECK(newcomer.item == 101);
    });
}

} // namespace

TEST_CASE("a_waiter_that_ends_without_calling_again_passes_its_turn_on") {
    leaving_serves_the_next(ends);
    leaving_lets_nobody_overtake(ends);
}

TEST_CASE("a_waiter_that_cancels_its_op_and_ends_passes_its_turn_on") {
    leaving_serves_the_next(ends_after_cancelling);
    leaving_lets_nobody_overtake(ends_after_cancelling);
}

TEST_CASE("a_waiter_whose_task_is_cancelled_passes_its_turn_on") {
    leaving_serves_the_next(is_cancelled);
    leaving_lets_nobody_overtake(is_cancelled);
}

TEST_CASE("a_waiter_whose_task_is_cancelled_and_forgets_its_op_passes_its_turn_on") {
    leaving_serves_the_next(is_cancelled_forgetting);
    leaving_lets_nobody_overtake(is_cancelled_forgetting);
}

TEST_CASE("a_waiter_whose_op_is_given_up_by_another_passes_its_turn_on") {
    leaving_serves_the_next(is_given_up_by_another);
    leaving_lets_nobody_overtake(is_given_up_by_another);
}

TEST_CASE("a_waiter_that_does_not_call_again_in_its_next_poll_passes_its_turn_on") {
    leaving_serves_the_next(stays_away);
    leaving_lets_nobody_overtake(stays_away);
}

TEST_CASE("a_waiter_that_gives_up_and_comes_again_stands_at_the_back") {
    in_every_way([](bool receivers, Drive how) {
        Runtime rt;
        Queue queue(rt, receivers);
        int item = 7;
        Operation waiting = queue.waiting(&item);
        int64_t result = unfinished;
        ScopedTask first(rt);
        first.on_poll = [&](Waker *waker) {
            if (first.polls == 2) zyntax_op_cancel(&first.op);
            return waiting(&first.op, waker, &result);
        };
        first.start();
        Waiter next(queue, 1);
        settle(rt);
        queue.come();
        drive(rt, how, next.await.task);
        CHECK(next.served(queue));
        CHECK(first.alive());
        queue.come();
        drive(rt, how, first);
        CHECK(result == queue.success());
    });
}

// A task waits in two queues, and uses one of its two turns only.
TEST_CASE("a_task_that_uses_one_of_two_turns_passes_the_other_on") {
    in_every_way([](bool receivers, Drive how) {
        Runtime rt;
        Queue used(rt, receivers), unused(rt, receivers);
        int item = 7, other_item = 8;
        Operation use = used.waiting(&item), leave = unused.waiting(&other_item);
        zyntax_op other_op = 0;
        int64_t result = unfinished, other_result = unfinished;
        ScopedTask both(rt);
        both.on_poll = [&](Waker *waker) {
            if (both.polls == 1) CHECK(leave(&other_op, waker, &other_result) == POLL_PENDING);
            if (both.polls <= 2) use(&both.op, waker, &result);
            return POLL_PENDING;
        };
        both.start();
        Waiter next(unused, 1);
        settle(rt);
        unused.come();
        used.come();
        drive(rt, how, next.await.task);
        CHECK(next.served(unused));
        CHECK(result == used.success());
        CHECK(other_result == unfinished);
    });
}

TEST_CASE("a_waiter_that_stayed_away_may_come_back") {
    for (bool receivers : {true, false}) {
        for (bool something_is_there : {true, false}) {
            CAPTURE(receivers);
            CAPTURE(something_is_there);
            Runtime rt;
            Queue queue(rt, receivers);
            int item = 7;
            Operation waiting = queue.waiting(&item);
            int64_t result = unfinished;
            Waker kept{};
            ScopedTask first(rt);
            first.on_poll = [&](Waker *waker) {
                kept = *waker;
                return first.polls == 2 ? POLL_PENDING : waiting(&first.op, waker, &result);
            };
            first.start();
            settle(rt);
            queue.come();
            settle(rt);
            CHECK(first.polls == 2);
            if (!something_is_there) {
                Waiter other(queue, 1);
                settle(rt);
                CHECK(other.served(queue));
            }
            kept.wake(kept.data);
            settle(rt);
            CHECK(first.alive() == !something_is_there);
            if (!something_is_there) queue.come();
            settle(rt);
            CHECK_FALSE(first.alive());
            CHECK(result == queue.success());
        }
    }
}

TEST_CASE("an_item_or_place_without_a_waiter_is_there_for_the_next_caller") {
    for (Leaving way : {ends, ends_after_cancelling, is_cancelled, is_cancelled_forgetting, stays_away}) {
        in_every_way([&](bool receivers, Drive how) {
            Runtime rt;
            Queue queue(rt, receivers);
            Leaver only(queue, way);
            settle(rt);
            queue.come();
            only.leave();
            settle(rt);
            Waiter late(queue, 1);
            drive(rt, how, late.await.task);
            CHECK(late.served(queue));
            CHECK(late.await.task.polls == 1);
        });
    }
}

TEST_CASE("waiters_behind_a_leaver_are_served_in_order") {
    for (Leaving way : {ends, ends_after_cancelling, is_cancelled, is_cancelled_forgetting, stays_away}) {
        in_every_way([&](bool receivers, Drive how) {
            Runtime rt;
            Queue queue(rt, receivers);
            Leaver first(queue, way);
            Waiter second(queue, 2), third(queue, 3), fourth(queue, 4);
            settle(rt);
            queue.come(); // for the first
            queue.come(); // for the second
            first.leave();
            drive(rt, how, third.await.task);
            CHECK(second.served(queue));
            CHECK(third.served(queue));
            CHECK(fourth.await.alive());
            if (receivers) {
                CHECK(second.item == 100);
                CHECK(third.item == 101);
            } else {
                for (int expected : {100, 100, 2, 3}) CHECK(receive_now(rt, queue.channel) == expected);
            }
        });
    }
}

TEST_CASE("a_turn_passes_a_thousand_leavers_to_the_waiter_that_stays") {
    for (Leaving way : {ends, is_cancelled_forgetting, stays_away}) {
        for (bool receivers : {true, false}) {
            CAPTURE(way);
            CAPTURE(receivers);
            Runtime rt;
            Queue queue(rt, receivers);
            std::deque<Leaver> leavers;
            for (int i = 0; i < 1000; i++) leavers.emplace_back(queue, way);
            Waiter last(queue, 1);
            CHECK(rt.drive_until([&] { return last.await.task.polls == 1; }));
            queue.come();
            for (Leaver &leaver : leavers) leaver.leave();
            int turns = 0; // each leaver passes it on to the next, a few a turn at the least
            while (last.await.alive() && turns < 1500) {
                zyntax_runtime_turn(rt, 0);
                turns++;
            }
            CHECK(last.served(queue));
        }
    }
}

TEST_CASE("a_host_that_was_notified_and_gives_up_passes_its_turn_on") {
    for (bool in_its_waker : {true, false}) {
        in_every_way([&](bool receivers, Drive how) {
            Runtime rt;
            Queue queue(rt, receivers);
            int item = 7;
            HostOp first(queue.waiting(&item));
            CHECK(first.call() == POLL_PENDING);
            Waiter next(queue, 1);
            settle(rt);
            if (in_its_waker) first.host.action = [&] { first.cancel(); };
            queue.come();
            if (!in_its_waker) first.cancel();
            Waiter newcomer(queue, 2);
            drive(rt, how, next.await.task);
            CHECK(next.served(queue));
            CHECK(newcomer.await.alive());
            CHECK(first.host.wakes == (in_its_waker ? 1 : 0));
        });
    }
}

TEST_CASE("a_task_that_leaves_passes_its_turn_on_to_a_host") {
    for (Leaving way : {ends, ends_after_cancelling, is_cancelled, is_cancelled_forgetting, stays_away}) {
        for (bool receivers : {true, false}) {
            CAPTURE(way);
            CAPTURE(receivers);
            Runtime rt;
            Queue queue(rt, receivers);
            Leaver first(queue, way);
            settle(rt);
            int item = 7;
            HostOp next(queue.waiting(&item));
            CHECK(next.call() == POLL_PENDING);
            queue.come();
            first.leave();
            settle(rt);
            CHECK(next.host.wakes == 1);
            CHECK_FALSE(next.host.was_inline);
            CHECK(next.call() == POLL_READY);
            CHECK(next.result == queue.success());
        }
    }
}

TEST_CASE("a_task_of_another_runtime_that_ended_with_it_passes_its_turn_on") {
    for (bool receivers : {true, false}) {
        CAPTURE(receivers);
        Runtime rt;
        Queue queue(rt, receivers);
        auto other = std::make_unique<Runtime>();
        int item = 7;
        zyntax_op forgotten = 0;
        Operation waiting = queue.waiting(&item);
        Task first;
        first.on_poll = [&](Waker *waker) {
            int64_t result = unfinished;
            return waiting(&forgotten, waker, &result);
        };
        first.spawn(*other);
        settle(*other);
        Waiter next(queue, 1);
        settle(rt);
        queue.come();
        other.reset();
        drive(rt, by_block_on, next.await.task);
        CHECK(next.served(queue));
    }
}

namespace {

// A task of another runtime is the first in the queue, and is given a turn.
struct Stranger {
    Runtime other;
    Operation waiting;
    int item = 7;
    zyntax_op forgotten = 0;
    Task task;

    explicit Stranger(const Queue &queue) : waiting(queue.waiting(&item)) {
        task.on_poll = [this](Waker *waker) {
            int64_t result = unfinished;
            return waiting(&forgotten, waker, &result);
        };
        task.spawn(other);
        settle(other);
    }
    // Only its own runtime is driven.
    void end() {
        CHECK(zyntax_task_cancel(task.handle) == 0);
        settle(other);
        CHECK_FALSE(task.alive());
    }
};

} // namespace

TEST_CASE("a_host_that_waits_hears_that_a_task_of_another_runtime_has_ended_with_its_turn") {
    for (bool receivers : {true, false}) {
        CAPTURE(receivers);
        Runtime rt;
        Queue queue(rt, receivers);
        intptr_t watched = zyntax_runtime_backend_fd(rt);
        Stranger first(queue);
        Waiter next(queue, 1);
        settle(rt);
        queue.come();
        while (zyntax_runtime_next_timeout_ns(rt) == 0) zyntax_runtime_turn(rt, 0);
        CHECK(next.await.alive());
        if (watched >= 0) CHECK_FALSE(wait_for(Descriptor(watched), POLLIN, 0));
        first.end();
        if (watched >= 0) CHECK(wait_for(Descriptor(watched), POLLIN, 0));
        CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
        while (zyntax_runtime_next_timeout_ns(rt) == 0) zyntax_runtime_turn(rt, 0);
        CHECK(next.served(queue));
    }
}

TEST_CASE("a_loop_that_sleeps_hears_that_a_task_of_another_runtime_has_ended_with_its_turn") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    for (bool receivers : {true, false}) {
        CAPTURE(receivers);
        Runtime rt;
        Queue queue(rt, receivers);
        Stranger first(queue);
        Waiter next(queue, 1);
        settle(rt);
        queue.come();
        int32_t error = 1;
        Thread sleeper([&] {
            Limit limit(rt);
            error = zyntax_runtime_block_on(rt, next.await.task.handle);
        });
        first.end();
        sleeper.join();
        CHECK(error == 0);
        CHECK(next.served(queue));
    }
}

TEST_CASE("the_end_of_a_channel_reaches_everybody_behind_those_that_leave") {
    for (Leaving way : {ends, ends_after_cancelling, is_cancelled, is_cancelled_forgetting, stays_away}) {
        in_every_way([&](bool receivers, Drive how) {
            Runtime rt;
            Queue queue(rt, receivers);
            Leaver first(queue, way);
            Waiter second(queue, 2), third(queue, 3);
            settle(rt);
            CHECK(zyntax_channel_close(queue.channel) == 0);
            first.leave();
            drive(rt, how, third.await.task);
            CHECK(second.await.result == (receivers ? 0 : ZYNTAX_EPIPE));
            CHECK(third.await.result == (receivers ? 0 : ZYNTAX_EPIPE));
        });
    }
}
