// Resources that the operations of an ended task still hold are given back before the loop next sleeps. Only a plain
// sleep stays until its time, and wakes no task.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"

#include <deque>
#include <vector>

using namespace support;

namespace {

enum End { returns, is_cancelled_outside, is_cancelled_by_its_own_poll };

// A task that begins an operation, and ends without cancelling it.
struct Forgetful {
    zyntax_op op = 0; // the drop does not know it
    int64_t result = unfinished;
    Operation operation;
    End end;
    ScopedTask task;

    Forgetful(zyntax_runtime *rt, Operation o, End way) : operation(std::move(o)), end(way), task(rt) {
        task.on_poll = [this](Waker *waker) {
            CHECK(operation(&op, waker, &result) == POLL_PENDING);
            if (end == is_cancelled_by_its_own_poll) CHECK(zyntax_task_cancel(task.handle) == 0);
            return end == returns ? POLL_READY : POLL_PENDING;
        };
        task.start();
    }
    void leave() {
        if (end == is_cancelled_outside) CHECK(zyntax_task_cancel(task.handle) == 0);
    }
};

// Some tasks end; one turn that sleeps, however shortly, and everything is as it was before they began.
void gives_all_back(Runtime &rt, const Operation &operation, int count = 10) {
    for (End end : {returns, is_cancelled_outside, is_cancelled_by_its_own_poll}) {
        CAPTURE(end);
        for (int round = 0; round < 2; round++) { // the first makes the tables grow
            auto before = rt.stats();
            int descriptors = fd_count();
            std::deque<Forgetful> tasks;
            for (int i = 0; i < count; i++) tasks.emplace_back(rt, operation, end);
            zyntax_runtime_turn(rt, 0);
            for (Forgetful &task : tasks) task.leave();
            zyntax_runtime_turn(rt, 0);
            CHECK(rt.stats().tasks_alive == before.tasks_alive);
            zyntax_runtime_turn(rt, int64_t(ms)); // nothing is ready: it sleeps
            CHECK(fd_count() == descriptors);
            CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
            CHECK(rt.stats().timers_pending == before.timers_pending);
        }
    }
}

} // namespace

TEST_CASE("a_forgotten_connect_gives_its_socket_back") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    SilentListener silent;
    zyntax_io *out = nullptr;
    gives_all_back(rt, connecting(rt, "127.0.0.1", port_of(silent.fd), &out), 50);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_forgotten_connect_is_no_hope_for_others") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    for (End end : {returns, is_cancelled_outside, is_cancelled_by_its_own_poll}) {
        CAPTURE(end);
        zyntax_runtime_config c = config();
        c.flags = ZYNTAX_DETECT_STALL;
        Runtime rt(c);
        SilentListener silent;
        zyntax_io *out = nullptr;
        ScopedTask parked(rt);
        parked.on_poll = [](Waker *) { return POLL_PENDING; };
        parked.start();
        Forgetful task(rt, connecting(rt, "127.0.0.1", port_of(silent.fd), &out), end);
        zyntax_runtime_turn(rt, 0);
        task.leave();
        Limit limit(rt);
        CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
    }
}

TEST_CASE("a_forgotten_connect_to_a_name_gives_everything_back_once_the_look_up_has_ended") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    SilentListener silent;
    zyntax_io *out = nullptr;
    CHECK(await(rt, connecting(rt, "localhost", 1, &out)) < 0); // warm
    auto before = rt.stats();
    int descriptors = fd_count();
    {
        std::deque<Forgetful> tasks;
        for (int i = 0; i < 20; i++)
            tasks.emplace_back(rt, connecting(rt, "localhost", port_of(silent.fd), &out), returns);
        zyntax_runtime_turn(rt, 0);
    }
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    zyntax_runtime_turn(rt, int64_t(ms));
    CHECK(fd_count() == descriptors);
    CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("forgotten_waits_for_io_give_their_places_back") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *listener = nullptr, *out = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    char byte = 0;
    gives_all_back(rt, reading(io, &byte, 1));
    gives_all_back(rt, readiness(io, ZYNTAX_READABLE));
    gives_all_back(rt, accepting(listener, &out));
    fill(Descriptor(zyntax_io_fd(io)));
    gives_all_back(rt, writing(io, &byte, 1));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("forgotten_places_in_a_channel_are_given_back") {
    Runtime rt;
    zyntax_channel *empty = channel_of(rt, 1), *full = channel_of(rt, 1);
    int item = 1;
    CHECK(at_once(sending(full, &item)) == 0);
    gives_all_back(rt, receiving(empty, &item));
    gives_all_back(rt, sending(full, &item));
    CHECK(at_once(sending(empty, &item)) == 0); // and no forgotten waiter is ahead of new ones
    CHECK(at_once(receiving(empty, &item)) == 1);
    CHECK(at_once(receiving(full, &item)) == 1);
    CHECK(at_once(sending(full, &item)) == 0);
}

TEST_CASE("forgotten_joins_are_given_back") {
    Runtime rt;
    ScopedTask parked(rt), other(rt);
    parked.on_poll = other.on_poll = [](Waker *) { return POLL_PENDING; };
    parked.start();
    other.start();
    zyntax_task *both[] = {parked.handle, other.handle};
    gives_all_back(rt, [&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_task_join(parked.handle, op, w, r); });
    gives_all_back(rt, [&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_select(both, 2, op, w, r); });
    gives_all_back(rt, [&](zyntax_op *op, Waker *w, int64_t *) { return zyntax_join_all(both, 2, op, w); });
    gives_all_back(rt, [&](zyntax_op *op, Waker *w, int64_t *r) {
        return zyntax_join_until(parked.handle, op, zyntax_now_ns(rt) + 3'600'000 * ms, w, r);
    });
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_memory_of_a_forgotten_job_is_given_back_once_it_has_run") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    for (bool task_ends_first : {true, false}) {
        for (size_t arg_size : {size_t(0), size_t(3000)}) {
            CAPTURE(task_ends_first);
            CAPTURE(arg_size);
            Runtime rt;
            static std::atomic<int> runs;
            Job job = [](void *) { return int64_t(++runs); };
            std::string argument(3000, 'a');
            CHECK(await(rt, blocking(rt, job, argument.data(), 3000)) > 0); // warm
            settle(rt);
            auto before = rt.stats();
            runs = 0;
            std::deque<ScopedTask> tasks;
            std::deque<zyntax_op> ops;
            bool over = false;
            for (int i = 0; i < 10; i++) {
                ScopedTask &task = tasks.emplace_back(rt);
                zyntax_op &op = ops.emplace_back(0);
                task.on_poll = [&, i](Waker *waker) {
                    int64_t result = unfinished;
                    if (tasks[size_t(i)].polls == 1)
                        zyntax_blocking(rt, &op, job, argument.data(), arg_size, waker, &result);
                    return task_ends_first || over ? POLL_READY : POLL_PENDING;
                };
                task.start();
            }
            zyntax_runtime_turn(rt, 0);
            CHECK(eventually([&] { return runs == 10; }));
            CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
            for (ScopedTask &task : tasks) zyntax_task_cancel(task.handle);
            zyntax_runtime_turn(rt, 0);
            zyntax_runtime_turn(rt, int64_t(ms));
            CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
        }
    }
}

TEST_CASE("a_forgotten_sleep_stays_until_its_time_and_wakes_nobody") {
    for (End end : {returns, is_cancelled_outside, is_cancelled_by_its_own_poll}) {
        CAPTURE(end);
        Clock clock;
        Runtime rt(clock.config());
        auto before = rt.stats();
        {
            std::deque<Forgetful> tasks;
            for (int i = 0; i < 10; i++) tasks.emplace_back(rt, sleeping(rt, 50 * ms), end);
            zyntax_runtime_turn(rt, 0);
            for (Forgetful &task : tasks) task.leave();
            zyntax_runtime_turn(rt, 0);
        }
        std::deque<ScopedTask> bystanders; // in the slots of the dead
        for (int i = 0; i < 10; i++) {
            ScopedTask &task = bystanders.emplace_back(rt);
            task.on_poll = [](Waker *) { return POLL_PENDING; };
            task.start();
        }
        settle(rt);
        CHECK(rt.stats().timers_pending == 10);
        CHECK(zyntax_runtime_next_timeout_ns(rt) <= int64_t(50 * ms));
        clock.now += 50 * ms;
        settle(rt);
        CHECK(rt.stats().timers_pending == 0);
        CHECK(zyntax_runtime_next_timeout_ns(rt) == -1);
        for (ScopedTask &task : bystanders) CHECK(task.polls == 1);
        bystanders.clear();
        settle(rt);
        CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
    }
}

TEST_CASE("a_forgotten_sleep_can_be_cancelled_late") {
    Clock clock;
    Runtime rt(clock.config());
    Forgetful task(rt, sleeping(rt, 50 * ms), returns);
    settle(rt);
    CHECK(rt.stats().timers_pending == 1);
    zyntax_op_cancel(&task.op);
    CHECK(rt.stats().timers_pending == 0);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_forgotten_op_can_be_cancelled_late_without_effect") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0, sent = 4;
    std::deque<Forgetful> tasks;
    for (int i = 0; i < 10; i++) tasks.emplace_back(rt, receiving(channel, &item), returns);
    zyntax_runtime_turn(rt, 0);
    zyntax_runtime_turn(rt, int64_t(ms));
    Await next(rt, receiving(channel, &item)); // with a place of theirs, most likely
    settle(rt);
    for (Forgetful &task : tasks) zyntax_op_cancel(&task.op);
    CHECK(at_once(sending(channel, &sent)) == 0);
    settle(rt);
    CHECK(next.result == 1);
    CHECK(item == 4);
}

TEST_CASE("forgotten_ops_of_an_ended_task_are_freed_before_a_host_sleeps") {
    for (End end : {returns, is_cancelled_outside, is_cancelled_by_its_own_poll}) {
        CAPTURE(end);
        Runtime rt;
        zyntax_channel *channel = channel_of(rt, 1);
        int item = 0;
        zyntax_runtime_backend_fd(rt);
        uint64_t before = rt.stats().bytes_in_use;
        Forgetful task(rt, receiving(channel, &item), end);
        zyntax_runtime_turn(rt, 0);
        task.leave();
        if (end == is_cancelled_outside) zyntax_runtime_turn(rt, 0);
        CHECK(rt.stats().tasks_alive == 0);
        CHECK(rt.stats().bytes_in_use == before);
    }
}

TEST_CASE("ops_that_tasks_of_a_destroyed_runtime_forgot_in_another_runtime_are_freed") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *out = nullptr;
    SilentListener silent;
    zyntax_channel *channel = channel_of(rt, 1);
    char byte = 0;
    int item = 0;
    ScopedTask parked(rt);
    parked.on_poll = [](Waker *) { return POLL_PENDING; };
    parked.start();
    settle(rt);
    const Operation all[] = {reading(io, &byte, 1), receiving(channel, &item),
                             connecting(rt, "127.0.0.1", port_of(silent.fd), &out),
                             [&](zyntax_op *op, Waker *w, int64_t *r) {
                                 return zyntax_blocking(
                                     rt, op, [](void *) { return int64_t(1); }, nullptr, 0, w, r);
                             }};
    uint64_t in_use = 0;
    int descriptors = 0;
    for (int round = 0; round < 2; round++) { // the first makes the tables grow
        in_use = rt.stats().bytes_in_use;
        descriptors = fd_count();
        {
            Runtime other;
            std::deque<zyntax_op> ops;
            std::deque<Task> tasks;
            for (const Operation &operation : all) {
                zyntax_op &op = ops.emplace_back(0);
                Task &task = tasks.emplace_back();
                task.on_poll = [&](Waker *waker) {
                    int64_t result = unfinished;
                    CHECK(operation(&op, waker, &result) == POLL_PENDING);
                    return POLL_PENDING;
                };
                task.spawn(other);
            }
            settle(other);
        }
        CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
        zyntax_runtime_turn(rt, int64_t(ms));
        zyntax_runtime_turn(rt, int64_t(ms));
    }
    CHECK(fd_count() == descriptors);
    CHECK(rt.stats().bytes_in_use == in_use);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_host_that_forgets_nothing_keeps_its_operation_however_often_the_loop_sleeps") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0, sent = 4;
    HostOp host(receiving(channel, &item));
    CHECK(host.call() == POLL_PENDING);
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, int64_t(ms));
    CHECK(at_once(sending(channel, &sent)) == 0);
    settle(rt);
    CHECK(host.host.wakes == 1);
    CHECK(host.call() == POLL_READY);
    CHECK(item == 4);
}
