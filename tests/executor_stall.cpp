// ZYNTAX_DETECT_STALL: run and block_on end when all tasks that are left can never be woken, and only then.
#include "channel_support.h"
#include "host_support.h"

using namespace support;

namespace {

zyntax_runtime_config detecting() {
    auto c = config();
    c.flags = ZYNTAX_DETECT_STALL;
    return c;
}

// Waits for a wake that another party has to make; reports the start of the wait.
struct Parked : Task {
    std::atomic<bool> polled{false};
    Waker kept{};
    Parked() {
        on_poll = [this](Waker *waker) {
            kept = *waker;
            polled = true;
            return polls == 1 ? POLL_PENDING : POLL_READY;
        };
    }
    void await() const {
        while (!polled) yield();
    }
};

} // namespace

TEST_CASE("a_task_that_nothing_can_wake_is_a_stall") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
    CHECK(zyntax_runtime_block_on(rt, task.handle) == ZYNTAX_EDEADLK);
    CHECK(task.alive());
    CHECK(task.drops == 0);
    task.kept.wake(task.kept.data); // it was not given up
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.polls == 2);
}

TEST_CASE("two_tasks_that_join_each_other_are_a_stall") {
    Runtime rt(detecting());
    Task a, b;
    int64_t result = 1;
    a.on_poll = [&](Waker *waker) { return zyntax_task_join(b.handle, &a.op, waker, &result); };
    b.on_poll = [&](Waker *waker) { return zyntax_task_join(a.handle, &b.op, waker, &result); };
    a.spawn(rt);
    b.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
    CHECK(zyntax_task_cancel(a.handle) == 0);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(b.outcome == 0);
}

TEST_CASE("without_the_flag_a_runtime_sleeps_until_the_wake_comes") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Parked task;
    task.spawn(rt);
    Thread waking([&] {
        task.await();
        task.kept.wake(task.kept.data);
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    waking.join();
}

TEST_CASE("a_hold_says_that_a_wake_will_come") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_runtime_hold(rt);
    Thread waking([&] {
        task.await();
        task.kept.wake(task.kept.data);
        zyntax_runtime_release(rt);
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    waking.join();
}

TEST_CASE("the_last_release_from_another_thread_makes_it_a_stall_again") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_runtime_hold(rt);
    zyntax_runtime_hold(rt);
    zyntax_runtime_release(rt);
    Thread releasing([&] {
        task.await();
        zyntax_runtime_release(rt);
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
    releasing.join();
}

TEST_CASE("timers_count_as_work") {
    Runtime rt(detecting());
    Task sleeper;
    sleeper.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &sleeper.op, 5 * ms, waker); };
    Parked parked;
    sleeper.spawn(rt);
    parked.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_block_on(rt, sleeper.handle) == 0);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK); // now it is alone
}

TEST_CASE("a_task_that_waits_for_io_is_no_stall") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(detecting());
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    std::atomic<bool> waiting{false};
    char byte = 0;
    int64_t result = 0;
    Task reader;
    reader.on_poll = [&](Waker *waker) {
        PollStatus status = zyntax_io_read(io, &reader.op, &byte, 1, waker, &result);
        waiting = true;
        return status;
    };
    reader.spawn(rt);
    Thread writer([&] {
        while (!waiting) yield();
        put(pair.far, "x");
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(result == 1);
    writer.join();
}

TEST_CASE("an_open_descriptor_that_nobody_waits_for_does_not_hide_a_stall") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(detecting());
    Pair pair = socket_pair();
    adopt(rt, pair.near);
    Parked parked;
    parked.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
}

TEST_CASE("a_blocking_job_counts_as_work") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(detecting());
    int64_t result = 0;
    Task task;
    auto job = [](void *) -> int64_t { return 42; };
    task.on_poll = [&](Waker *waker) { return zyntax_blocking(rt, &task.op, job, nullptr, 0, waker, &result); };
    task.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(result == 42);
}

TEST_CASE("a_posted_call_counts_as_work") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    auto wake = [](void *waker) { static_cast<Waker *>(waker)->wake(static_cast<Waker *>(waker)->data); };
    CHECK(zyntax_runtime_post(rt, wake, &task.kept) == 0);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
}

TEST_CASE("an_idle_turn_is_never_a_stall") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    for (int i = 0; i < 3; i++) CHECK(zyntax_runtime_turn(rt, 0) == 1);
}

namespace {

// Every call that drives and waits reports the stall, twice: the report changes nothing.
void check_stalled(Runtime &rt, zyntax_task *task) {
    for (int way = 0; way < 4; way++) {
        CAPTURE(way);
        int32_t error = 0;
        {
            Limit limit(rt);
            if (way == 1) error = zyntax_runtime_block_on(rt, task);
            else if (way == 2) error = zyntax_runtime_turn(rt, -1);
            else error = zyntax_runtime_run(rt);
        }
        CHECK(error == ZYNTAX_EDEADLK);
        if (error != ZYNTAX_EDEADLK) return;
    }
}

void nothing(void *) {}
void release(void *rt) { zyntax_runtime_release(static_cast<zyntax_runtime *>(rt)); }

// A task that waits for ever, and runs an action in its first poll.
struct Acting : Task {
    explicit Acting(std::function<void(Waker *)> action) {
        on_poll = [this, action](Waker *waker) {
            if (polls == 1) action(waker);
            return POLL_PENDING;
        };
    }
};

} // namespace

TEST_CASE("a_turn_without_a_limit_is_a_stall_too") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    CHECK(zyntax_runtime_turn(rt, 0) == 1);
    Limit limit(rt);
    CHECK(zyntax_runtime_turn(rt, -1) == ZYNTAX_EDEADLK);
    CHECK(zyntax_runtime_turn(rt, int64_t(ms)) == 1); // it has a limit
}

TEST_CASE("a_posted_call_that_does_nothing_leaves_a_stall") {
    Runtime rt(detecting());
    Acting task([&](Waker *) { CHECK(zyntax_runtime_post(rt, nothing, nullptr) == 0); });
    task.spawn(rt);
    check_stalled(rt, task.handle);
    CHECK(zyntax_runtime_post(rt, nothing, nullptr) == 0); // and one from outside
    check_stalled(rt, task.handle);
    CHECK(task.polls == 1);
}

TEST_CASE("a_posted_call_of_another_thread_that_does_nothing_leaves_a_stall") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_runtime_hold(rt);
    Thread posting([&] {
        task.await(); // the loop sleeps, or is about to
        CHECK(zyntax_runtime_post(rt, release, rt.rt) == 0);
    });
    check_stalled(rt, task.handle);
    posting.join();
}

TEST_CASE("posted_calls_that_post_again_leave_a_stall_after_the_last") {
    Runtime rt(detecting());
    struct Again {
        zyntax_runtime *rt;
        int left;
        static void call(void *arg) {
            auto *self = static_cast<Again *>(arg);
            if (--self->left > 0) zyntax_runtime_post(self->rt, call, self);
        }
    } again{rt, 10};
    Acting task([&](Waker *) { CHECK(zyntax_runtime_post(rt, Again::call, &again) == 0); });
    task.spawn(rt);
    check_stalled(rt, task.handle);
    CHECK(again.left == 0);
}

TEST_CASE("the_last_release_inside_a_callback_leaves_a_stall") {
    for (int place = 0; place < 4; place++) {
        CAPTURE(place);
        Runtime rt(detecting());
        zyntax_runtime_hold(rt);
        zyntax_channel *channel = channel_of(rt, 1);
        int item = 1;
        HostOp host(receiving(channel, &item));
        host.host.action = [&] { zyntax_runtime_release(rt); };
        Task dropped{[](Waker *) { return POLL_PENDING; }, [&](int32_t) { zyntax_runtime_release(rt); }};
        Acting task([&](Waker *) {
            if (place == 0) zyntax_runtime_release(rt);
            if (place == 1) CHECK(zyntax_runtime_post(rt, release, rt.rt) == 0);
            if (place == 2) CHECK(zyntax_task_cancel(dropped.handle) == 0);
            if (place == 3) CHECK(at_once(sending(channel, &item)) == 0);
        });
        if (place == 2) dropped.spawn(rt);
        if (place == 3) CHECK(host.call() == POLL_PENDING);
        task.spawn(rt);
        check_stalled(rt, task.handle);
    }
}

TEST_CASE("the_last_release_of_another_thread_ends_a_sleep_that_has_begun") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    int32_t live = ZYNTAX_EDEADLK;
    for (int round = 0; round < 20 && live == ZYNTAX_EDEADLK; round++) {
        Runtime rt(detecting());
        Parked task;
        task.spawn(rt);
        zyntax_runtime_hold(rt);
        Thread releasing([&] {
            task.await();
            for (int i = 0; i < round * 20; i++) yield();
            zyntax_runtime_release(rt);
        });
        {
            Limit limit(rt);
            live = 1; // a turn that was woken has done its round
            for (int turns = 0; turns < 3 && live == 1; turns++) live = zyntax_runtime_turn(rt, -1);
            CHECK(live == ZYNTAX_EDEADLK);
        }
        releasing.join();
    }
}

TEST_CASE("a_timer_that_a_dead_task_forgot_is_no_hope_once_it_has_run_out") {
    for (bool cancelled : {false, true}) {
        CAPTURE(cancelled);
        Runtime rt(detecting());
        zyntax_op forgotten = 0;
        Parked task;
        task.spawn(rt);
        Task forgetful{[&](Waker *waker) {
            CHECK(zyntax_sleep(rt, &forgotten, 20 * ms, waker) == POLL_PENDING);
            return cancelled ? POLL_PENDING : POLL_READY;
        }};
        forgetful.spawn(rt);
        zyntax_runtime_turn(rt, 0);
        if (cancelled) zyntax_task_cancel(forgetful.handle);
        check_stalled(rt, task.handle);
    }
}

TEST_CASE("a_timer_that_its_task_no_longer_looks_at_is_no_hope_once_it_has_run_out") {
    Runtime rt(detecting());
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (task.polls == 1) zyntax_sleep(rt, &task.op, 5 * ms, waker);
        return POLL_PENDING;
    };
    task.spawn(rt);
    check_stalled(rt, task.handle);
    CHECK(task.polls == 2);
}

TEST_CASE("a_hosts_timer_is_hope_until_it_has_run_out") {
    Runtime rt(detecting());
    HostOp host(sleeping(rt, 5 * ms));
    CHECK(host.call() == POLL_PENDING);
    Parked task;
    task.spawn(rt);
    check_stalled(rt, task.handle);
    CHECK(host.host.wakes == 1);
}

TEST_CASE("a_turn_that_was_passed_on_to_nobody_is_a_stall") {
    for (bool receivers : {true, false}) {
        for (bool ends : {true, false}) {
            CAPTURE(receivers);
            CAPTURE(ends);
            Runtime rt(detecting());
            zyntax_channel *channel = channel_of(rt, 1);
            int item = 1;
            if (!receivers) CHECK(at_once(sending(channel, &item)) == 0);
            Operation waiting = receivers ? receiving(channel, &item) : sending(channel, &item);
            Parked bystander;
            bystander.spawn(rt);
            zyntax_op forgotten = 0;
            int64_t result = unfinished;
            Task task;
            task.on_poll = [&](Waker *waker) {
                if (task.polls == 1) return waiting(&forgotten, waker, &result);
                return ends ? POLL_READY : POLL_PENDING;
            };
            task.spawn(rt);
            zyntax_runtime_turn(rt, 0);
            CHECK(at_once(receivers ? sending(channel, &item) : receiving(channel, &item)) == (receivers ? 0 : 1));
            check_stalled(rt, bystander.handle);
            CHECK(task.polls == 2);
            zyntax_op_cancel(&forgotten);
        }
    }
}

TEST_CASE("an_item_for_a_waiter_behind_a_leaver_is_no_stall") {
    for (bool ends : {true, false}) {
        CAPTURE(ends);
        Runtime rt(detecting());
        zyntax_channel *channel = channel_of(rt, 1);
        int first_item = 0, item = 0, sent = 5;
        zyntax_op forgotten = 0;
        int64_t result = unfinished;
        Task first;
        first.on_poll = [&](Waker *waker) {
            if (first.polls == 1) return zyntax_channel_recv(channel, &forgotten, &first_item, waker, &result);
            return ends ? POLL_READY : POLL_PENDING;
        };
        first.spawn(rt);
        Await next(rt, receiving(channel, &item));
        zyntax_runtime_turn(rt, 0);
        CHECK(at_once(sending(channel, &sent)) == 0);
        Limit limit(rt);
        CHECK(zyntax_runtime_block_on(rt, next.task.handle) == 0);
        CHECK(item == 5);
        zyntax_op_cancel(&forgotten);
    }
}

TEST_CASE("a_wait_for_io_that_a_dead_task_forgot_is_no_hope") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    for (int kind = 0; kind < 3; kind++) {
        for (bool cancelled : {false, true}) {
            CAPTURE(kind);
            CAPTURE(cancelled);
            Runtime rt(detecting());
            Pair pair = socket_pair();
            zyntax_io *io = adopt(rt, pair.near), *listener = nullptr, *out = nullptr;
            REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
            char byte = 0;
            const Operation all[] = {reading(io, &byte, 1), readiness(io, ZYNTAX_READABLE), accepting(listener, &out)};
            zyntax_op forgotten = 0;
            Task forgetful{[&](Waker *waker) {
                int64_t result = unfinished;
                CHECK(all[kind](&forgotten, waker, &result) == POLL_PENDING);
                return cancelled ? POLL_PENDING : POLL_READY;
            }};
            Parked task;
            task.spawn(rt);
            forgetful.spawn(rt);
            zyntax_runtime_turn(rt, 0);
            if (cancelled) zyntax_task_cancel(forgetful.handle);
            check_stalled(rt, task.handle);
        }
    }
}

TEST_CASE("a_wait_for_io_besides_a_forgotten_wait_is_no_stall") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(detecting());
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte = 0;
    zyntax_op forgotten = 0;
    Task forgetful{[&](Waker *waker) {
        int64_t result = unfinished;
        CHECK(zyntax_io_read(io, &forgotten, &byte, 1, waker, &result) == POLL_PENDING);
        return POLL_READY;
    }};
    forgetful.spawn(rt);
    Await reader(rt, reading(io, &byte, 1)), timer(rt, sleeping(rt, 20 * ms));
    timer.task.on_drop = [&](int32_t) { put(pair.far, "x"); };
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(reader.result == 1);
}

TEST_CASE("a_wait_for_io_that_was_given_up_is_no_hope") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(detecting());
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte = 0;
    int64_t result = unfinished;
    Acting task([&](Waker *waker) {
        zyntax_op op = 0;
        CHECK(zyntax_io_read(io, &op, &byte, 1, waker, &result) == POLL_PENDING);
        zyntax_op_cancel(&op);
    });
    task.spawn(rt);
    check_stalled(rt, task.handle);
}

TEST_CASE("a_wait_for_a_handle_that_was_closed_is_no_hope") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(detecting());
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte = 0;
    int64_t result = unfinished;
    Task task;
    task.on_poll = [&](Waker *waker) { // does not look at it again
        if (task.polls == 1) CHECK(zyntax_io_read(io, &task.op, &byte, 1, waker, &result) == POLL_PENDING);
        return POLL_PENDING;
    };
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(zyntax_io_close(io) == 0);
    check_stalled(rt, task.handle);
    CHECK(task.polls == 2);
}

TEST_CASE("a_job_that_a_dead_task_forgot_is_no_hope_once_it_has_run") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(detecting());
    zyntax_op forgotten = 0;
    Parked task;
    task.spawn(rt);
    Task forgetful{[&](Waker *waker) {
        int64_t result = unfinished;
        auto job = [](void *) -> int64_t { return 1; };
        CHECK(zyntax_blocking(rt, &forgotten, job, nullptr, 0, waker, &result) == POLL_PENDING);
        return POLL_READY;
    }};
    forgetful.spawn(rt);
    check_stalled(rt, task.handle);
    CHECK(rt.stats().blocking_pending == 0);
}

TEST_CASE("a_join_that_a_dead_task_forgot_is_no_hope") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_op forgotten = 0;
    Task forgetful{[&](Waker *waker) {
        int64_t result = unfinished;
        CHECK(zyntax_task_join(task.handle, &forgotten, waker, &result) == POLL_PENDING);
        return POLL_READY;
    }};
    forgetful.spawn(rt);
    check_stalled(rt, task.handle);
}

TEST_CASE("a_stop_goes_before_a_stall") {
    Runtime rt(detecting());
    Parked task;
    task.spawn(rt);
    zyntax_runtime_stop(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
}
