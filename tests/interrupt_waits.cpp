// Interrupts of each kind of await point: it ends, the result that is there wins, and nothing is lost.
#include "blocking_support.h"
#include "channel_support.h"
#include "interrupt_support.h"
#include "port_support.h"

using namespace support;

namespace {

constexpr uint64_t far_ns = 3'600'000 * ms;

// The await points without the system.
struct PlainWorld {
    Clock clock;
    zyntax_runtime_config timed = clock.config();
    Runtime rt{timed};
    zyntax_channel *empty = channel_of(rt, 1), *crowded = channel_of(rt, 1);
    Port empty_port{1}, crowded_port{1};
    WakerKeeper kept, other;
    zyntax_task *tasks[2] = {kept.spawn(rt), other.spawn(rt)};
    zyntax_scope *scope = nullptr;
    Task child{[](Waker *) { return POLL_PENDING; }};
    zyntax_task *ended = nullptr;
    int item = 0, sent = 3;

    PlainWorld() {
        send_now(rt, crowded, 1);
        REQUIRE(crowded_port.put(1) == 0);
        REQUIRE(zyntax_scope_create(rt, &scope) == 0);
        child.runtime = rt;
        child.handle = zyntax_scope_spawn(scope, &child, Task::poll, Task::drop, 0);
    }
    void end_tasks() {
        zyntax_task_cancel(kept.handle);
        zyntax_task_cancel(other.handle);
    }
    std::function<void()> when_tasks_end() {
        return [this] { end_tasks(); };
    }

    Wait sleep() {
        return {"sleep", sleeping(rt, far_ns), [this] { clock.now += far_ns; }, 0};
    }
    Wait sleep_until() {
        auto operation = [this, deadline_ns = clock.now + far_ns](zyntax_op *op, Waker *waker, int64_t *result) {
            PollStatus status = zyntax_sleep_until(rt, op, deadline_ns, waker);
            if (status == POLL_READY) *result = 0;
            return status;
        };
        return {"sleep_until", operation, [this] { clock.now += far_ns; }, 0};
    }
    Wait join() {
        auto operation = [this](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_task_join(tasks[0], op, waker, result);
        };
        return {"join", operation, when_tasks_end(), 0};
    }
    Wait join_all() {
        auto operation = [this](zyntax_op *op, Waker *waker, int64_t *result) {
            PollStatus status = zyntax_join_all(tasks, 2, op, waker);
            if (status == POLL_READY) *result = 0;
            return status;
        };
        return {"join_all", operation, when_tasks_end(), 0};
    }
    Wait select() {
        auto operation = [this](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_select(tasks, 2, op, waker, result);
        };
        return {"select", operation, when_tasks_end(), 0};
    }
    Wait join_until() {
        auto operation = [this](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_join_until(tasks[1], op, clock.now + far_ns, waker, result);
        };
        return {"join_until", operation, when_tasks_end(), 0};
    }
    Wait channel_recv() {
        return {"channel_recv", receiving(empty, &item), [this] { CHECK(zyntax_channel_try_send(empty, &sent) == 0); },
                1};
    }
    Wait channel_send() {
        return {"channel_send", sending(crowded, &sent),
                [this] { CHECK(zyntax_channel_try_recv(crowded, &item) == 1); }, 0};
    }
    Wait port_recv() {
        return {"port_recv", port_receiving(empty_port, &item), [this] { CHECK(empty_port.put(5) == 0); }, 1};
    }
    Wait port_send() {
        return {"port_send", port_sending(crowded_port, &sent), [this] { CHECK(zyntax_port_close(crowded_port) == 0); },
                ZYNTAX_EPIPE};
    }
    Wait scope_next() {
        auto operation = [this](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_scope_next(scope, op, waker, &ended, result);
        };
        return {"scope_next", operation, [this] { zyntax_task_cancel(child.handle); }, 1};
    }
    Wait scope_join() {
        auto operation = [this](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_scope_join(scope, op, waker, result);
        };
        return {"scope_join", operation, [this] { zyntax_task_cancel(child.handle); }, 0};
    }
};

// The await points of sockets and of the pool.
struct IoWorld {
    Runtime rt;
    Pair pair = socket_pair(), full = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *full_io = adopt(rt, full.near);
    zyntax_io *listener = nullptr, *made = nullptr;
    std::optional<Fd> client;
    std::optional<SilentListener> silent;
    zyntax_address silent_address{};
    Held held;
    std::string block = std::string(8 * mib, 'w');
    size_t done = 0;
    char buf[4] = {};
    zyntax_slice slice{buf, 1};

    IoWorld() {
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        fill(Descriptor(zyntax_io_fd(full_io)));
    }
    ~IoWorld() {
        held.gate.open();
        rt.drive_until([&] { return held.begun == held.ended; });
    }
    std::function<void()> when_a_byte_comes() {
        return [this] { put(pair.far, "x"); };
    }
    std::function<void()> when_there_is_room() {
        return [this] { take(full.far); };
    }
    void begin_silence() {
        if (!silent) silent.emplace();
        REQUIRE(zyntax_address_parse("127.0.0.1", &silent_address) == 0);
        silent_address.port = port_of(silent->fd);
    }

    Wait read() { return {"io_read", reading(io, buf, 1), when_a_byte_comes(), 1}; }
    Wait readv() {
        auto operation = [this](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_io_readv(io, op, &slice, 1, waker, result);
        };
        return {"io_readv", operation, when_a_byte_comes(), 1};
    }
    Wait ready() { return {"io_ready", readiness(io, ZYNTAX_READABLE), when_a_byte_comes(), ZYNTAX_READABLE}; }
    Wait write() { return {"io_write", writing(full_io, buf, 1), when_there_is_room(), 1}; }
    Wait writev() {
        auto operation = [this](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_io_writev(full_io, op, &slice, 1, waker, result);
        };
        return {"io_writev", operation, when_there_is_room(), 1};
    }
    Wait accept() {
        auto connect = [this] {
            client.emplace(plain_client(uint16_t(zyntax_tcp_port(listener))));
            wait_for(*client, POLLOUT);
        };
        return {"tcp_accept", accepting(listener, &made), connect, 0};
    }
    Wait connect() {
        begin_silence();
        return {"tcp_connect", connecting(rt, "127.0.0.1", silent_address.port, &made)};
    }
    Wait connect_to() {
        begin_silence();
        return {"tcp_connect_to", connecting_to(rt, &silent_address, 1, UINT64_MAX, &made)};
    }
    Wait blocking_job() {
        return {"blocking", blocking(rt, Held::job, &held, 0), [this] { held.gate.open(); }, 1, false};
    }
};

template <class World> void check_each(std::initializer_list<Wait (World::*)()> waits) {
    for (auto wait : waits) check_interrupts(wait);
}

} // namespace

TEST_CASE("an_interrupt_ends_each_await_point_of_tasks_channels_ports_and_scopes_and_loses_nothing") {
    check_each<PlainWorld>({&PlainWorld::sleep, &PlainWorld::sleep_until, &PlainWorld::join, &PlainWorld::join_all,
                            &PlainWorld::select, &PlainWorld::join_until, &PlainWorld::channel_recv,
                            &PlainWorld::channel_send, &PlainWorld::port_recv, &PlainWorld::port_send,
                            &PlainWorld::scope_next, &PlainWorld::scope_join});
}

TEST_CASE("an_interrupt_ends_each_await_point_of_sockets_and_loses_nothing") {
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    check_each<IoWorld>({&IoWorld::read, &IoWorld::readv, &IoWorld::ready, &IoWorld::write, &IoWorld::writev,
                         &IoWorld::accept, &IoWorld::connect, &IoWorld::connect_to});
}

TEST_CASE("a_job_that_runs_when_its_caller_is_interrupted_finishes_unheard") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    IoWorld world;
    Interruptible waiting(world.rt, world.blocking_job());
    REQUIRE(world.rt.drive_until([&] { return world.held.begun == 1; }));
    waiting.interrupt();
    settle(world.rt);
    waiting.check_interrupted();
    CHECK(waiting.await.result == ZYNTAX_EINTR);
    CHECK(world.held.ended == 0);
    world.held.gate.open();
    REQUIRE(world.rt.drive_until([&] { return world.rt.stats().blocking_pending == 0; }));
    CHECK(world.held.ended == 1);
}

TEST_CASE("a_job_of_a_task_that_was_interrupted_before_does_not_begin") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    IoWorld world;
    Interruptible waiting(world.rt, world.blocking_job());
    waiting.interrupt();
    settle(world.rt);
    waiting.check_interrupted();
    CHECK(world.rt.stats().blocking_pending == 0);
    world.held.gate.open();
    CHECK(await(world.rt, blocking(world.rt, Held::job, &world.held, 0)) == 1);
    CHECK(world.held.begun == 1);
}

TEST_CASE("a_job_that_has_ended_gives_its_result_to_an_interrupted_caller") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    IoWorld world;
    Interruptible waiting(world.rt, world.blocking_job());
    REQUIRE(world.rt.drive_until([&] { return world.held.begun == 1; }));
    Task keeps_polling{[&](Waker *waker) {
        if (world.rt.stats().blocking_pending == 0) {
            waiting.interrupt();
            return POLL_READY;
        }
        waker->wake(waker->data);
        return POLL_PENDING;
    }};
    keeps_polling.spawn(world.rt);
    world.held.gate.open();
    REQUIRE(world.rt.drive_until([&] { return !waiting.alive(); }));
    CHECK(waiting.await.result == 1);
}

TEST_CASE("an_interrupted_write_of_everything_says_in_done_what_went_out") {
    SKIP_WHEN(on_windows, "a send takes all bytes of its buffer");
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    IoWorld world;
    size_t len = world.block.size();
    for (size_t i = 0; i < len; i++) world.block[i] = char('a' + i * 7 % 26);
    Wait all{"write_all", [&](zyntax_op *op, Waker *waker, int64_t *result) {
                 return zyntax_io_write_all(world.io, op, world.block.data(), len, &world.done, waker, result);
             }};
    std::string received;
    for (int round = 0; round < 3; round++) {
        Interruptible waiting(world.rt, all);
        if (round) settle(world.rt);
        waiting.interrupt();
        settle(world.rt);
        waiting.check_interrupted();
        CHECK(waiting.await.result == ZYNTAX_EINTR);
        CHECK(world.done > 0);
        CHECK(world.done < len);
        received += take(world.pair.far);
        CHECK(received.size() == world.done);
    }
    Interruptible rest(world.rt, all);
    REQUIRE(world.rt.drive_until([&] {
        received += take(world.pair.far);
        return !rest.alive();
    }));
    received += take(world.pair.far);
    CHECK(rest.await.result == int64_t(len));
    CHECK(received == world.block);
}

TEST_CASE("a_connection_that_came_before_the_interrupt_is_accepted_once") {
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    IoWorld world;
    Wait accept = world.accept();
    accept.finish();
    Interruptible first(world.rt, accept);
    first.interrupt();
    settle(world.rt);
    first.check_result(accept);
    CHECK(zyntax_io_close(world.made) == 0);
}

// A task of the same round brings the result and interrupts the waiting task, so that the loop has not seen it yet.
TEST_CASE("a_result_that_came_since_the_loop_looked_wins_against_an_interrupt") {
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    using Make = Wait (IoWorld::*)();
    for (Make make :
         {&IoWorld::read, &IoWorld::readv, &IoWorld::ready, &IoWorld::write, &IoWorld::writev, &IoWorld::accept}) {
        IoWorld world;
        Wait wait = (world.*make)();
        CAPTURE(wait.name);
        Interruptible waiter(world.rt, wait);
        settle(world.rt);
        Task other{[&](Waker *) {
            wait.finish();
            waiter.interrupt();
            return POLL_READY;
        }};
        other.spawn(world.rt);
        settle(world.rt);
        waiter.check_result(wait);
        CHECK(waiter.interrupted == 0);
    }
}

TEST_CASE("a_numeric_host_is_resolved_at_once_by_an_interrupted_task") {
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    Runtime rt;
    zyntax_address found{};
    Interruptible numeric(rt, {"resolve", resolving(rt, "127.0.0.1", &found, 1)});
    numeric.interrupt();
    settle(rt);
    CHECK(numeric.await.result == 1);
    CHECK(numeric.interrupted == 0);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_look_up_of_an_interrupted_task_is_given_up") {
    SKIP_WHEN(!has_sockets || !has_threads, "this system has no look-ups");
    Occupied rt; // its one thread is busy
    zyntax_address found{};
    zyntax_io *made = nullptr;
    for (const Operation &operation : {resolving(rt, "localhost", &found, 1), connecting(rt, "localhost", 9, &made)}) {
        for (bool begins : {false, true}) {
            Interruptible waiting(rt, {"look-up", operation});
            if (begins) settle(rt);
            waiting.interrupt();
            settle(rt);
            waiting.check_interrupted();
            CHECK(waiting.await.result == ZYNTAX_EINTR);
            CHECK(rt.stats().blocking_pending == 1);
        }
    }
    rt.held.gate.open();
    CHECK(await(rt, resolving(rt, "localhost", &found, 1)) >= 1);
}

TEST_CASE("an_error_of_a_connect_that_needs_no_wait_is_given_to_an_interrupted_task") {
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    Runtime rt;
    zyntax_io *made = nullptr;
    zyntax_address nowhere{};
    REQUIRE(zyntax_address_parse("127.0.0.1:9", &nowhere) == 0);
    for (uint64_t deadline_ns : {uint64_t(0), UINT64_MAX}) {
        size_t n = deadline_ns ? 0 : 1;
        Interruptible waiting(rt, {"connect_to", connecting_to(rt, &nowhere, n, deadline_ns, &made)});
        waiting.interrupt();
        settle(rt);
        CHECK(waiting.await.result == (n ? ZYNTAX_ETIMEDOUT : ZYNTAX_EINVAL));
    }
    CHECK(made == nullptr);
    CHECK(rt.stats().io_open == 0);
}

// Loopback refuses a connection within the call.
TEST_CASE("a_connect_that_is_refused_at_once_gives_the_error_to_an_interrupted_task") {
    SKIP_WHEN(!has_sockets || on_windows, "this system does not refuse connections at once");
    Runtime rt;
    zyntax_io *made = nullptr;
    Fd bound = plain_listener(-1);
    Interruptible refused(rt, {"connect", connecting(rt, "127.0.0.1", port_of(bound), &made)});
    refused.interrupt();
    settle(rt);
    CHECK(refused.await.result == ZYNTAX_ECONNREFUSED);
    CHECK(refused.interrupted == 0);
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("a_joined_task_is_not_interrupted_with_its_joiner") {
    PlainWorld world;
    Interruptible joiner(world.rt, world.join());
    settle(world.rt);
    int polls = world.kept.polls;
    joiner.interrupt();
    settle(world.rt);
    joiner.check_interrupted();
    CHECK(world.kept.alive());
    CHECK(world.kept.polls == polls);
}

TEST_CASE("the_turn_of_an_interrupted_waiter_passes_on") {
    PlainWorld world;
    Interruptible first(world.rt, world.channel_recv()), second(world.rt, world.channel_recv());
    settle(world.rt);
    first.interrupt();
    settle(world.rt);
    first.check_interrupted();
    send_now(world.rt, world.empty, 9);
    settle(world.rt);
    second.check_result(world.channel_recv());
    CHECK(world.item == 9);
}

TEST_CASE("an_interrupted_accept_without_descriptors_leaves_the_client_for_the_next_and_no_timer") {
    SKIP_WHEN(!has_sockets || on_windows, "this system has no limit of descriptors");
    IoWorld world;
    Wait accept = world.accept();
    accept.finish();
    {
        FewDescriptors none;
        for (bool rests : {false, true}) {
            Interruptible waiting(world.rt, accept);
            if (rests) settle(world.rt);
            waiting.interrupt();
            settle(world.rt);
            waiting.check_interrupted();
            CHECK(zyntax_runtime_next_timeout_ns(world.rt) == -1);
        }
    }
    CHECK(await(world.rt, accept.operation) == 0);
}

TEST_CASE("a_call_without_memory_that_is_interrupted_ends_by_the_interrupt") {
    Heap heap;
    zyntax_runtime_config counted = heap.config();
    Runtime rt(counted);
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    Interruptible waiting(rt, {"recv", receiving(channel, &item)});
    waiting.interrupt();
    heap.fail_at = 1;
    heap.persistent = true;
    settle(rt);
    waiting.check_interrupted();
    CHECK(waiting.await.result == ZYNTAX_EINTR);
    heap.fail_at = 0;
    heap.persistent = false;
}
