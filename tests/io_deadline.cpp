// Deadlines of I/O handles: every operation that would have to wait after the deadline ends, and no other operation
// does.
#include "host_support.h"
#include "io_support.h"

using namespace support;

namespace {

constexpr uint32_t each_way = ZYNTAX_READABLE | ZYNTAX_WRITABLE;
constexpr uint64_t hour = 3'600'000 * ms;

// A runtime whose clock the test moves.
struct Timed {
    Clock clock;
    Runtime rt{clock.config()};

    uint64_t in_ms(uint64_t time) const { return clock.now + time * ms; }
    void pass(uint64_t time) {
        clock.now += time * ms;
        settle(rt);
    }
    // The result of an operation that does not wait.
    int64_t now(Operation operation) {
        Await task(rt, std::move(operation));
        settle(rt);
        return task.result;
    }
};

// Each operation that waits for one direction, or for both, of a handle that is not ready.
struct Blocked {
    char byte = 0;
    zyntax_io *accepted = nullptr;
    Pair pair;
    Fd listener;
    zyntax_io *io = nullptr;
    std::vector<std::pair<uint32_t, Operation>> operations;

    explicit Blocked(Timed &timed, bool of_listener = false) {
        if (of_listener) {
            listener = plain_listener(4);
            io = adopt(timed.rt, listener);
            operations = {{ZYNTAX_READABLE, accepting(io, &accepted)},
                          {ZYNTAX_READABLE, readiness(io, ZYNTAX_READABLE)}};
            return;
        }
        pair = socket_pair();
        make_nonblocking(pair.near);
        fill(pair.near);
        io = adopt(timed.rt, pair.near);
        operations = {{ZYNTAX_READABLE, reading(io, &byte, 1)},
                      {ZYNTAX_READABLE, readiness(io, ZYNTAX_READABLE)},
                      {ZYNTAX_WRITABLE, writing(io, "x", 1)},
                      {ZYNTAX_WRITABLE, readiness(io, ZYNTAX_WRITABLE)},
                      {each_way, readiness(io, each_way)}};
    }
};

template <class Play> void with_each_operation(Play play) {
    for (bool of_listener : {false, true}) {
        for (size_t i = 0; i < 5; i++) {
            Timed timed;
            Blocked blocked(timed, of_listener);
            if (i >= blocked.operations.size()) continue;
            CAPTURE(of_listener);
            CAPTURE(i);
            auto [directions, operation] = blocked.operations[i];
            play(timed, blocked.io, directions, operation);
        }
    }
}

} // namespace

TEST_CASE("waits_end_at_the_deadline_and_not_before") {
    with_each_operation([](Timed &timed, zyntax_io *io, uint32_t directions, const Operation &operation) {
        CHECK(zyntax_io_deadline(io, directions, timed.in_ms(10)) == 0);
        Await task(timed.rt, operation);
        timed.pass(9);
        CHECK(task.alive());
        timed.pass(1);
        CHECK_FALSE(task.alive());
        CHECK(task.result == ZYNTAX_ETIMEDOUT);
    });
}

TEST_CASE("an_operation_that_would_wait_after_the_deadline_ends_at_once") {
    with_each_operation([](Timed &timed, zyntax_io *io, uint32_t directions, const Operation &operation) {
        CHECK(zyntax_io_deadline(io, directions, timed.in_ms(10)) == 0);
        timed.pass(10);
        for (int i = 0; i < 3; i++) CHECK(timed.now(operation) == ZYNTAX_ETIMEDOUT);
        CHECK(timed.rt.stats().timers_pending == 0);
    });
}

TEST_CASE("a_deadline_that_is_over_when_it_is_set_ends_what_waits") {
    with_each_operation([](Timed &timed, zyntax_io *io, uint32_t directions, const Operation &operation) {
        Await task(timed.rt, operation);
        settle(timed.rt);
        CHECK(task.alive());
        CHECK(zyntax_io_deadline(io, directions, 0) == 0);
        settle(timed.rt);
        CHECK(task.result == ZYNTAX_ETIMEDOUT);
        CHECK(timed.now(operation) == ZYNTAX_ETIMEDOUT);
    });
}

TEST_CASE("a_deadline_that_is_set_while_an_operation_waits_applies_to_it") {
    with_each_operation([](Timed &timed, zyntax_io *io, uint32_t directions, const Operation &operation) {
        Await task(timed.rt, operation);
        settle(timed.rt);
        CHECK(zyntax_io_deadline(io, directions, timed.in_ms(10)) == 0);
        timed.pass(5);
        CHECK(zyntax_io_deadline(io, directions, timed.in_ms(10)) == 0); // later
        timed.pass(5);
        CHECK(task.alive());
        CHECK(zyntax_io_deadline(io, directions, timed.in_ms(1)) == 0); // earlier
        timed.pass(1);
        CHECK(task.result == ZYNTAX_ETIMEDOUT);
    });
}

TEST_CASE("a_deadline_that_is_removed_ends_nothing") {
    with_each_operation([](Timed &timed, zyntax_io *io, uint32_t directions, const Operation &operation) {
        Await task(timed.rt, operation);
        settle(timed.rt);
        CHECK(zyntax_io_deadline(io, directions, timed.in_ms(10)) == 0);
        CHECK(zyntax_io_deadline(io, directions, UINT64_MAX) == 0);
        CHECK(timed.rt.stats().timers_pending == 0);
        timed.pass(100'000'000);
        CHECK(task.alive());
    });
}

TEST_CASE("a_handle_whose_deadline_was_over_waits_again_with_a_new_one") {
    with_each_operation([](Timed &timed, zyntax_io *io, uint32_t directions, const Operation &operation) {
        for (int lap = 0; lap < 3; lap++) {
            CHECK(zyntax_io_deadline(io, directions, timed.in_ms(10)) == 0);
            Await task(timed.rt, operation);
            timed.pass(9);
            CHECK(task.alive());
            timed.pass(1);
            CHECK(task.result == ZYNTAX_ETIMEDOUT);
        }
        CHECK(zyntax_io_deadline(io, directions, UINT64_MAX) == 0);
        Await task(timed.rt, operation);
        timed.pass(1'000);
        CHECK(task.alive());
    });
}

TEST_CASE("one_operation_alone_is_ended_when_only_its_direction_has_a_deadline") {
    Timed timed;
    Blocked blocked(timed);
    char byte;
    Await reader(timed.rt, reading(blocked.io, &byte, 1)), writer(timed.rt, writing(blocked.io, "x", 1)),
        either(timed.rt, readiness(blocked.io, each_way));
    settle(timed.rt);
    CHECK(zyntax_io_deadline(blocked.io, ZYNTAX_WRITABLE, timed.in_ms(20)) == 0);
    CHECK(zyntax_io_deadline(blocked.io, ZYNTAX_READABLE, timed.in_ms(10)) == 0);
    CHECK(timed.rt.stats().timers_pending == 1);
    timed.pass(10);
    CHECK(reader.result == ZYNTAX_ETIMEDOUT);
    CHECK(either.result == ZYNTAX_ETIMEDOUT); // the earlier deadline counts for both directions
    CHECK(writer.alive());
    CHECK(timed.rt.stats().timers_pending == 1);
    timed.pass(10);
    CHECK(writer.result == ZYNTAX_ETIMEDOUT);
    CHECK(timed.rt.stats().timers_pending == 0);
}

TEST_CASE("every_task_that_waits_is_ended") {
    Timed timed;
    Blocked blocked(timed);
    std::deque<Await> tasks;
    for (int i = 0; i < 5; i++)
        for (auto &[directions, operation] : blocked.operations) tasks.emplace_back(timed.rt, operation);
    settle(timed.rt);
    CHECK(zyntax_io_deadline(blocked.io, each_way, timed.in_ms(10)) == 0);
    CHECK(timed.rt.stats().timers_pending == 1);
    timed.pass(10);
    for (const Await &task : tasks) CHECK(task.result == ZYNTAX_ETIMEDOUT);
}

TEST_CASE("data_room_and_connections_that_are_there_are_given_also_after_the_deadline") {
    Timed timed;
    for (auto make : pairs_to_runtime()) {
        Pair pair = make();
        zyntax_io *io = adopt(timed.rt, pair.near);
        CHECK(zyntax_io_deadline(io, each_way, timed.in_ms(10)) == 0);
        char bytes[8];
        Await task(timed.rt, reading(io, bytes, 8));
        timed.pass(10);
        CHECK(task.result == ZYNTAX_ETIMEDOUT);
        deliver(pair.far, io, "data"); // no event has reported it yet
        CHECK(timed.now(reading(io, bytes, 8)) == 4);
        CHECK(timed.now(reading(io, bytes, 8)) == ZYNTAX_ETIMEDOUT);
        pair.far.reset();
        CHECK(wait_for(Descriptor(zyntax_io_fd(io)), POLLIN));
        CHECK(timed.now(reading(io, bytes, 8)) == 0);
    }
    for (auto make : pairs_from_runtime()) {
        Pair pair = make();
        zyntax_io *io = adopt(timed.rt, pair.near);
        CHECK(zyntax_io_deadline(io, each_way, 0) == 0);
        CHECK(timed.now(writing(io, "data", 4)) == 4);
        CHECK(timed.now(readiness(io, ZYNTAX_WRITABLE)) == ZYNTAX_WRITABLE);
    }
    Fd fd = plain_listener(4);
    uint16_t port = port_of(fd);
    zyntax_io *listener = adopt(timed.rt, fd), *accepted = nullptr;
    CHECK(zyntax_io_deadline(listener, ZYNTAX_READABLE, 0) == 0);
    CHECK(timed.now(accepting(listener, &accepted)) == ZYNTAX_ETIMEDOUT);
    Fd client = plain_client(port);
    CHECK(wait_for(Descriptor(zyntax_io_fd(listener)), POLLIN));
    CHECK(timed.now(accepting(listener, &accepted)) == 0);
    char byte;
    Await reader(timed.rt, reading(accepted, &byte, 1)); // has no deadline
    settle(timed.rt);
    CHECK(reader.alive());
}

TEST_CASE("a_deadline_that_is_moved_a_thousand_times_costs_one_timer") {
    Timed timed;
    Blocked blocked(timed);
    CHECK(zyntax_io_deadline(blocked.io, each_way, timed.in_ms(1'000)) == 0);
    zyntax_runtime_stats before = timed.rt.stats();
    CHECK(before.timers_pending == 1);
    for (uint64_t i = 0; i < 1'000; i++) {
        CHECK(zyntax_io_deadline(blocked.io, 1 + i % 3, timed.in_ms(1 + i * 7919 % 1'000)) == 0);
        if (i % 100 == 0) settle(timed.rt);
        CHECK(timed.rt.stats().timers_pending == 1);
    }
    CHECK(timed.rt.stats().bytes_in_use == before.bytes_in_use);
    CHECK(timed.rt.stats().bytes_reserved == before.bytes_reserved);
    CHECK(zyntax_io_deadline(blocked.io, each_way, UINT64_MAX) == 0);
    CHECK(timed.rt.stats().timers_pending == 0);
    CHECK(timed.rt.stats().bytes_in_use < before.bytes_in_use);
}

TEST_CASE("a_deadline_goes_with_its_handle") {
    Timed timed;
    for (bool detached : {false, true}) {
        zyntax_runtime_stats before = timed.rt.stats();
        Pair pair = socket_pair();
        zyntax_io *io = adopt(timed.rt, pair.near);
        CHECK(zyntax_io_deadline(io, each_way, timed.in_ms(10)) == 0);
        char byte;
        Await task(timed.rt, reading(io, &byte, 1));
        settle(timed.rt);
        intptr_t fd = -1;
        if (detached) CHECK(zyntax_io_detach(io, &fd) == 0);
        else CHECK(zyntax_io_close(io) == 0);
        Fd closing = detached ? Fd(Descriptor(fd)) : Fd();
        CHECK(timed.rt.stats().timers_pending == 0);
        timed.pass(10);
        CHECK(task.result == ZYNTAX_ECANCELED);
        CHECK(zyntax_io_deadline(io, each_way, timed.in_ms(10)) == ZYNTAX_ESTALE);
        CHECK(timed.rt.stats().bytes_in_use == before.bytes_in_use);
    }
}

TEST_CASE("a_runtime_is_destroyed_with_deadlines_and_tasks_that_wait_for_them") {
    Heap heap;
    Clock clock;
    Runtime rt(clock.config(heap.config()));
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Task task;
    int64_t result = unfinished;
    int32_t late = 1;
    task.on_poll = [&](Waker *waker) { return zyntax_io_read(io, &task.op, &byte, 1, waker, &result); };
    task.on_drop = [&](int32_t) { late = zyntax_io_deadline(io, each_way, 0); };
    task.spawn(rt);
    CHECK(zyntax_io_deadline(io, each_way, clock.now + hour) == 0);
    settle(rt);
    rt.destroy();
    CHECK(task.outcome == ZYNTAX_ECANCELED);
    CHECK(late == ZYNTAX_ECANCELED);
    CHECK(heap.balanced());
}

TEST_CASE("directions_that_are_empty_or_unknown_are_einval_and_dead_handles_are_estale") {
    Timed timed, other;
    Blocked blocked(timed);
    CHECK(zyntax_io_deadline(blocked.io, each_way, timed.in_ms(10)) == 0);
    for (uint32_t directions : {0u, 4u, 5u, UINT32_MAX})
        CHECK(zyntax_io_deadline(blocked.io, directions, 0) == ZYNTAX_EINVAL);
    CHECK(zyntax_io_deadline(nullptr, each_way, 0) == ZYNTAX_ESTALE);
    CHECK(zyntax_io_deadline(nullptr, 0, 0) == ZYNTAX_EINVAL);
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(timed.rt, 1, 1, &channel) == 0);
    CHECK(zyntax_io_deadline(reinterpret_cast<zyntax_io *>(channel), each_way, 0) == ZYNTAX_ESTALE);
    char byte;
    Await task(timed.rt, reading(blocked.io, &byte, 1));
    timed.pass(9);
    CHECK(task.alive()); // nothing has changed
    timed.pass(1);
    CHECK(task.result == ZYNTAX_ETIMEDOUT);
}

TEST_CASE("without_memory_for_its_timer_a_deadline_is_enomem_and_changes_nothing") {
    Heap heap;
    Clock clock;
    Runtime rt(clock.config(heap.config()));
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await task(rt, reading(io, &byte, 1));
    settle(rt);
    heap.fail_at = 1;
    heap.persistent = true;
    std::deque<zyntax_op> sleeps; // until no operation is left
    for (bool armed = true; armed;) {
        Waker waker = nobody();
        sleeps.push_back(0);
        armed = zyntax_io_deadline(io, each_way, clock.now + 10 * ms) == 0;
        if (armed) CHECK(zyntax_io_deadline(io, each_way, UINT64_MAX) == 0);
        zyntax_sleep(rt, &sleeps.back(), hour, &waker);
    }
    CHECK(zyntax_io_deadline(io, each_way, clock.now + 10 * ms) == ZYNTAX_ENOMEM);
    CHECK(zyntax_io_deadline(io, each_way, UINT64_MAX) == 0); // needs none
    clock.now += 20 * ms;
    settle(rt);
    CHECK(task.alive());
    CHECK(zyntax_io_deadline(io, each_way, 1) == 0); // over already: needs none
    settle(rt);
    CHECK(task.result == ZYNTAX_ETIMEDOUT);
    heap.fail_at = 0;
    for (zyntax_op &op : sleeps) zyntax_op_cancel(&op);
    rt.destroy();
    CHECK(heap.balanced());
}

TEST_CASE("a_cancelled_or_forgotten_operation_leaves_the_deadline_to_others") {
    Timed timed;
    Blocked blocked(timed);
    char byte;
    CHECK(zyntax_io_deadline(blocked.io, each_way, timed.in_ms(10)) == 0);
    {
        Await cancelled(timed.rt, reading(blocked.io, &byte, 1));
        zyntax_op forgotten = 0;
        Await forgetting(timed.rt, [&](zyntax_op *, Waker *waker, int64_t *result) {
            CHECK(zyntax_io_read(blocked.io, &forgotten, &byte, 1, waker, result) == POLL_PENDING);
            return POLL_READY;
        });
        settle(timed.rt);
        cancelled.cancel();
        settle(timed.rt);
    }
    Await task(timed.rt, reading(blocked.io, &byte, 1));
    timed.pass(10);
    CHECK(task.result == ZYNTAX_ETIMEDOUT);
}

TEST_CASE("a_host_that_waits_is_called_when_the_deadline_comes") {
    Timed timed;
    Blocked blocked(timed);
    char byte;
    HostOp host(reading(blocked.io, &byte, 1));
    CHECK(host.call() == POLL_PENDING);
    CHECK(zyntax_io_deadline(blocked.io, ZYNTAX_READABLE, timed.in_ms(10)) == 0);
    CHECK(zyntax_runtime_next_timeout_ns(timed.rt) == int64_t(10 * ms));
    timed.pass(10);
    CHECK(host.host.wakes == 1);
    CHECK(host.call() == POLL_READY);
    CHECK(host.result == ZYNTAX_ETIMEDOUT);
}

TEST_CASE("a_clock_at_its_end_makes_no_deadline_of_none") {
    Timed timed;
    Blocked blocked(timed);
    char byte;
    timed.clock.now = UINT64_MAX;
    settle(timed.rt);
    CHECK(zyntax_now_ns(timed.rt) == UINT64_MAX);
    Await task(timed.rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        zyntax_now_ns(timed.rt);
        return zyntax_io_read(blocked.io, op, &byte, 1, waker, result);
    });
    settle(timed.rt);
    CHECK(task.alive());
}

TEST_CASE("an_accept_that_rests_without_descriptors_ends_at_the_deadline") {
    SKIP_WHEN(!has_descriptor_limit, "the descriptors have no limit here");
    Timed timed;
    Fd fd = plain_listener(4);
    uint16_t port = port_of(fd);
    zyntax_io *listener = adopt(timed.rt, fd), *accepted = nullptr;
    Fd client = plain_client(port);
    CHECK(wait_for(Descriptor(zyntax_io_fd(listener)), POLLIN));
    {
        FewDescriptors none_left;
        Await task(timed.rt, accepting(listener, &accepted));
        settle(timed.rt);
        CHECK(task.alive());
        CHECK(zyntax_io_deadline(listener, ZYNTAX_READABLE, timed.in_ms(120)) == 0);
        timed.pass(60);
        timed.pass(59);
        CHECK(task.alive());
        timed.pass(1);
        CHECK(task.result == ZYNTAX_ETIMEDOUT);
        CHECK(timed.now(accepting(listener, &accepted)) == ZYNTAX_ETIMEDOUT);
    }
    CHECK(timed.now(accepting(listener, &accepted)) == 0); // there are descriptors again, and the connection waited
}

TEST_CASE("the_loop_sleeps_until_the_deadline_and_wakes_once") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await task(rt, reading(io, &byte, 1));
    settle(rt);
    uint64_t waits = rt.stats().kernel_waits, begin = zyntax_now_ns(rt);
    CHECK(zyntax_io_deadline(io, ZYNTAX_READABLE, begin + 50 * ms) == 0);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.result == ZYNTAX_ETIMEDOUT);
    CHECK(zyntax_now_ns(rt) - begin >= 50 * ms);
    CHECK(rt.stats().kernel_waits - waits <= idle_budget);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_descriptor_that_was_lost_is_ebadf_whatever_its_deadline") {
    SKIP_WHEN(on_windows, "no number is used again");
    SKIP_WHEN(std::string(zyntax_runtime_backend()) == "poll", "this poller cannot tell");
    Timed timed;
    Pair pair = socket_pair();
    Descriptor number = pair.near;
    zyntax_io *io = adopt(timed.rt, pair.near);
    char byte;
    CHECK(zyntax_io_deadline(io, each_way, timed.in_ms(10)) == 0);
    Await task(timed.rt, reading(io, &byte, 1));
    settle(timed.rt);
    Fd closed(number);
    closed.reset();
    Pair again = socket_pair();
    if (Descriptor(again.near) != number) return;
    zyntax_io *other = adopt(timed.rt, again.near);
    timed.pass(10);
    CHECK(task.result == ZYNTAX_EBADF);
    CHECK(zyntax_io_close(io) == 0);
    CHECK(zyntax_io_close(other) == 0);
    CHECK(timed.rt.stats().timers_pending == 0);
}

TEST_CASE("a_deadline_is_no_stall_until_it_is_over") {
    zyntax_runtime_config config = support::config();
    config.flags = ZYNTAX_DETECT_STALL;
    Runtime rt(config);
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    CHECK(zyntax_io_deadline(io, ZYNTAX_READABLE, zyntax_now_ns(rt) + 5 * ms) == 0);
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        if (zyntax_io_read(io, op, &byte, 1, waker, result) == POLL_PENDING) return POLL_PENDING;
        return POLL_READY;
    });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.result == ZYNTAX_ETIMEDOUT);
    WakerKeeper waits_for_nothing;
    waits_for_nothing.spawn(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
}
