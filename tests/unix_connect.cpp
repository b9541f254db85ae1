// zyntax_unix_connect while the listener's queue is full: it waits without an event, and can be cancelled at any time.
#include "dump_support.h"
#include "host_support.h"
#include "unix_support.h"

using namespace support;

namespace {

#define NEEDS_FULL_QUEUES SKIP_WHEN(!full_queues_wait, "here a full queue refuses")

// A plain listener whose queue is full.
struct FullQueue {
    Folder folder;
    std::string path = folder.file("socket");
    Fd listener = plain_unix_listener(path, 0);
    std::deque<Fd> queued;

    FullQueue() { fill_up(); }
    void fill_up() {
        for (int tries = 0; tries < 10; tries++) {
            Fd client;
            if (!connect_plainly(path, &client)) return;
            queued.push_back(std::move(client));
        }
        FAIL("the queue of a listener does not fill up");
    }
    // Accepts everything.
    void drain() {
        while (wait_for(listener, POLLIN, 0)) Fd accepted(accept_from(listener));
    }
};

} // namespace

TEST_CASE("a_full_queue_makes_connect_wait_until_there_is_room") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    UnixRuntime rt;
    Await connect(rt, unix_connecting(rt, queue.path, &rt.out));
    settle(rt);
    CHECK(connect.alive());
    CHECK(dump(rt)[connect.task.handle].waits == ZYNTAX_WAIT_WRITABLE);
    rt.idle_waits(); // the pauses grow
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(connect.alive());
    queue.drain();
    CHECK(rt.drive_until([&] { return !connect.alive(); }));
    CHECK(connect.result == 0);
    Fd peer(accept_from(queue.listener));
    make_nonblocking(peer);
    CHECK(await(rt, writing(rt.out, "ping", 4)) == 4);
    CHECK(take(peer) == "ping");
    put(peer, "pong");
    char buf[8];
    CHECK(await(rt, reading(rt.out, buf, sizeof buf)) == 4);
    CHECK(rt.stats().timers_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_connect_that_waits_tries_again_within_fifty_milliseconds") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    Clock clock;
    UnixRuntime rt(clock.config());
    Await connect(rt, unix_connecting(rt, queue.path, &rt.out));
    settle(rt);
    for (int i = 0; i < 20; i++) {
        int polls = connect.task.polls;
        clock.now += 50 * ms;
        settle(rt);
        CHECK(connect.task.polls == polls + 1);
        clock.now += (i == 19 ? 50 : 0) * ms;
    }
    REQUIRE(connect.alive());
    settle(rt);
    int polls = connect.task.polls;
    queue.drain();
    settle(rt);
    CHECK(connect.task.polls == polls); // no event
    clock.now += 50 * ms;
    settle(rt);
    CHECK_FALSE(connect.alive());
    CHECK(connect.result == 0);
}

TEST_CASE("the_first_pauses_of_a_connect_are_short") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    Clock clock;
    UnixRuntime rt(clock.config());
    Await connect(rt, unix_connecting(rt, queue.path, &rt.out));
    settle(rt);
    queue.drain();
    clock.now += 1 * ms;
    settle(rt);
    CHECK(connect.result == 0);
}

TEST_CASE("a_connect_goes_on_at_the_end_of_time") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    Clock clock;
    clock.now = UINT64_MAX - 2 * ms;
    UnixRuntime rt(clock.config());
    Await connect(rt, unix_connecting(rt, queue.path, &rt.out));
    clock.now = UINT64_MAX - 1;
    settle(rt);
    CHECK(connect.alive());
    queue.drain();
    CHECK(rt.drive_until([&] { return !connect.alive(); }));
    CHECK(connect.result == 0);
}

TEST_CASE("a_listener_that_goes_away_refuses_those_that_wait") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    UnixRuntime rt;
    Await connect(rt, unix_connecting(rt, queue.path, &rt.out));
    settle(rt);
    queue.listener.reset();
    int before = fd_count();
    CHECK(rt.drive_until([&] { return !connect.alive(); }));
    CHECK(connect.result == ZYNTAX_ECONNREFUSED);
    CHECK(fd_count() == before - 1);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_path_is_copied_by_the_first_call") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    UnixRuntime rt;
    std::string path = queue.path;
    bool began = false;
    Await connect(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        const char *bytes = began ? nullptr : path.data();
        began = true;
        return zyntax_unix_connect(rt, op, bytes, path.size(), waker, &rt.out, result);
    });
    settle(rt);
    path.assign(path.size(), '?');
    queue.drain();
    CHECK(rt.drive_until([&] { return !connect.alive(); }));
    CHECK(connect.result == 0);
}

TEST_CASE("a_connect_that_waits_can_be_cancelled_at_each_step") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    Clock clock;
    UnixRuntime rt(clock.config());
    int before = fd_count();
    uint64_t in_use = 0;
    for (int step = 0; step < 12; step++) {
        CAPTURE(step);
        Await connect(rt, unix_connecting(rt, queue.path, &rt.out));
        for (int i = 0; i < step / 2; i++) {
            zyntax_runtime_turn(rt, 0);
            clock.now += 50 * ms;
        }
        if (step % 2) zyntax_runtime_turn(rt, 0); // else it was woken and has not been polled
        connect.cancel();
        CHECK(rt.drain());
        CHECK(connect.result == unfinished);
        CHECK(fd_count() == before);
        CHECK(rt.stats().io_open == 0);
        CHECK(rt.stats().timers_pending == 0);
        if (step == 0) in_use = rt.stats().bytes_in_use;
        CHECK(rt.stats().bytes_in_use == in_use);
    }
    queue.drain();
    CHECK(rt.connect(queue.path) == 0);
}

TEST_CASE("a_connect_whose_op_is_forgotten_is_gone_before_the_loop_sleeps") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    UnixRuntime rt;
    int before = fd_count();
    zyntax_op op = 0;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        CHECK(zyntax_unix_connect(rt, &op, queue.path.data(), queue.path.size(), waker, &rt.out, &result) ==
              POLL_PENDING);
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    zyntax_runtime_turn(rt, 0);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.stats().timers_pending == 0);
}

TEST_CASE("an_op_of_a_connect_that_waits_serves_another_operation") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    UnixRuntime rt;
    int before = fd_count();
    bool slept = false;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        if (!slept) {
            CHECK(zyntax_unix_connect(rt, op, queue.path.data(), queue.path.size(), waker, &rt.out, result) ==
                  POLL_PENDING);
            slept = true;
        }
        *result = 5;
        return zyntax_sleep(rt, op, 1 * ms, waker);
    });
    CHECK(rt.drain());
    CHECK(task.result == 5);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("a_runtime_is_destroyed_while_connects_wait") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    int before = fd_count();
    Heap heap;
    {
        UnixRuntime rt(heap.config());
        Await connect(rt, unix_connecting(rt, queue.path, &rt.out));
        HostOp host(unix_connecting(rt, queue.path, &rt.out));
        CHECK(host.call() == POLL_PENDING);
        settle(rt);
        CHECK(fd_count() > before);
        rt.destroy();
        CHECK(connect.task.outcome == ZYNTAX_ECANCELED);
        connect.task.handle = nullptr;
    }
    CHECK(fd_count() == before);
    CHECK(heap.balanced());
}

TEST_CASE("a_host_waits_for_a_full_queue_with_its_own_waker") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    UnixRuntime rt;
    HostOp host(unix_connecting(rt, queue.path, &rt.out));
    for (int i = 0; i < 4; i++) REQUIRE(host.call() == POLL_PENDING); // mostly without having been woken
    for (int round = 0; round < 4; round++) {
        int wakes = host.host.wakes;
        REQUIRE(rt.drive_until([&] { return host.host.wakes > wakes; }));
        if (round == 3) queue.drain();
        CHECK(host.call() == (round == 3 ? POLL_READY : POLL_PENDING));
    }
    CHECK(host.result == 0);
    CHECK(host.op == 0);
    CHECK(rt.stats().timers_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK_FALSE(host.host.was_inline);
    CHECK_FALSE(host.host.was_late);
}

TEST_CASE("a_host_may_call_when_its_pause_is_over_and_its_waker_has_not_been_called") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    Clock clock;
    UnixRuntime rt(clock.config());
    HostOp connect(unix_connecting(rt, queue.path, &rt.out)), early(sleeping(rt, ms / 2));
    REQUIRE(connect.call() == POLL_PENDING);
    REQUIRE(early.call() == POLL_PENDING);
    early.host.action = [&] { CHECK(connect.call() == POLL_PENDING); };
    clock.now += 1 * ms; // both are due; the other host is called first
    zyntax_runtime_turn(rt, 0);
    CHECK(early.host.wakes == 1);
    CHECK(connect.host.wakes == 0);
    queue.drain();
    clock.now += 50 * ms;
    zyntax_runtime_turn(rt, 0);
    CHECK(connect.host.wakes == 1);
    CHECK(connect.call() == POLL_READY);
    CHECK(connect.result == 0);
}

TEST_CASE("without_memory_to_wait_connect_is_enomem_and_its_socket_is_closed") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    int before = fd_count();
    uint64_t failures = 1, tries = 0;
    for (uint64_t n = 1; failures; n++) {
        CAPTURE(n);
        Heap heap;
        {
            UnixRuntime rt(heap.config());
            std::vector<zyntax_op> ops(300); // more than there are without another block
            uint64_t failed = 0;
            ScopedTask task(rt);
            task.on_poll = [&](Waker *waker) {
                heap.fail_at = n;
                for (zyntax_op &op : ops) {
                    int64_t result = unset;
                    uint64_t open = rt.stats().io_open;
                    if (zyntax_unix_connect(rt, &op, queue.path.data(), queue.path.size(), waker, &rt.out, &result) ==
                        POLL_PENDING)
                        continue;
                    CHECK(result == ZYNTAX_ENOMEM);
                    CHECK(op == 0);
                    CHECK(rt.stats().io_open == open);
                    failed++;
                }
                heap.fail_at = 0;
                for (zyntax_op &op : ops) zyntax_op_cancel(&op);
                return POLL_READY;
            };
            task.start();
            CHECK(rt.drain());
            failures = heap.failures;
            CHECK(failed == failures);
            CHECK(rt.stats().io_open == 0);
        }
        CHECK(heap.balanced());
        CHECK(fd_count() == before);
        tries = n;
    }
    CHECK(tries > 3);
}

TEST_CASE("connects_against_a_full_queue_all_succeed_in_the_end") {
    NEEDS_FULL_QUEUES
    constexpr size_t count = scaled(300);
    FullQueue queue;
    UnixRuntime rt;
    std::vector<zyntax_io *> ends(count);
    std::vector<std::unique_ptr<Await>> connects;
    for (auto &end : ends) connects.push_back(std::make_unique<Await>(rt, unix_connecting(rt, queue.path, &end)));
    zyntax_io *listener = adopt(rt, queue.listener);
    std::vector<Fd> accepted;
    Await server(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        while (accepted.size() < count + queue.queued.size()) {
            zyntax_io *made = nullptr;
            if (zyntax_tcp_accept(listener, op, waker, &made, result) == POLL_PENDING) return POLL_PENDING;
            CHECK(*result == 0);
            intptr_t fd = -1;
            CHECK(zyntax_io_detach(made, &fd) == 0);
            accepted.emplace_back(Descriptor(fd));
        }
        return POLL_READY;
    });
    CHECK(rt.drain(60'000));
    size_t connected = 0;
    for (auto &connect : connects) connected += connect->result == 0;
    CHECK(connected == count);
    CHECK(accepted.size() == count + queue.queued.size());
    CHECK(rt.stats().timers_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("connects_that_wait_together_do_not_try_at_the_same_moment") {
    NEEDS_FULL_QUEUES
    constexpr size_t count = 100;
    FullQueue queue;
    Clock clock;
    UnixRuntime rt(clock.config());
    std::vector<zyntax_io *> ends(count);
    std::vector<std::unique_ptr<Await>> connects;
    for (auto &end : ends) connects.push_back(std::make_unique<Await>(rt, unix_connecting(rt, queue.path, &end)));
    settle(rt);
    // The queue has one or two places, and is emptied each millisecond. All at once would be two in fifty of them.
    size_t waiting = count;
    for (int step = 0; step < 1000 && waiting; step++) {
        queue.drain();
        clock.now += 1 * ms;
        zyntax_runtime_turn(rt, 0);
        waiting = 0;
        for (auto &connect : connects) waiting += connect->alive();
    }
    CHECK(waiting == 0);
}

TEST_CASE("a_forked_child_closes_the_socket_of_a_connect_that_waits") {
    NEEDS_FULL_QUEUES
    SKIP_WHEN(!has_fork || on_libkqueue, "this system has no fork, or libkqueue's thread is lost by it");
    FullQueue queue;
    int before = fd_count();
    UnixRuntime rt;
    Await connect(rt, unix_connecting(rt, queue.path, &rt.out));
    settle(rt);
    Child child([&] {
        rt.destroy();
        return fd_count() == before ? 0 : 1;
    });
    CHECK(child.end() == 0);
    queue.drain();
    CHECK(rt.drive_until([&] { return !connect.alive(); }));
    CHECK(connect.result == 0);
}

TEST_CASE("a_spent_budget_begins_no_connect") {
    NEEDS_FULL_QUEUES
    FullQueue queue;
    zyntax_runtime_config budgeted = config();
    budgeted.await_budget = 1;
    UnixRuntime rt(budgeted);
    int begun = 0;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        if (*op == 0 && begun == 0) {
            CHECK(zyntax_sleep(rt, op, 0, waker) == POLL_READY);
            CHECK(zyntax_unix_connect(rt, op, queue.path.data(), queue.path.size(), waker, &rt.out, result) ==
                  POLL_PENDING);
            CHECK(*op == 0);
            CHECK(rt.stats().io_open == 0);
            begun = 1;
            return POLL_PENDING;
        }
        return zyntax_unix_connect(rt, op, queue.path.data(), queue.path.size(), waker, &rt.out, result);
    });
    settle(rt);
    CHECK(rt.stats().io_open == 1);
    queue.drain();
    CHECK(rt.drive_until([&] { return !task.alive(); }));
    CHECK(task.result == 0);
}

TEST_CASE("where_a_full_queue_refuses_nobody_waits") {
    NEEDS_UNIX_SOCKETS
    SKIP_WHEN(full_queues_wait, "here a full queue makes connect wait");
    FullQueue queue;
    UnixRuntime rt;
    CHECK(rt.connect(queue.path) == ZYNTAX_ECONNREFUSED);
}
