// zyntax_io_close and zyntax_io_detach: waiters get an error, handles become stale, and numbers may be reused.
#include "io_support.h"

using namespace support;

namespace {

zyntax_io *made_up(uintptr_t bits) { return reinterpret_cast<zyntax_io *>(bits); }

// Every function that takes a handle must report that this handle is stale.
void is_stale_io(Runtime &rt, zyntax_io *io) {
    char byte = 0;
    intptr_t fd = 77;
    zyntax_io *out = nullptr;
    CHECK(zyntax_io_close(io) == ZYNTAX_ESTALE);
    CHECK(zyntax_io_detach(io, &fd) == ZYNTAX_ESTALE);
    CHECK(zyntax_io_fd(io) == -1);
    CHECK(zyntax_tcp_port(io) == ZYNTAX_ESTALE);
    CHECK(zyntax_tcp_shutdown(io) == ZYNTAX_ESTALE);
    CHECK(await(rt, reading(io, &byte, 1)) == ZYNTAX_ESTALE);
    CHECK(await(rt, writing(io, &byte, 1)) == ZYNTAX_ESTALE);
    CHECK(await(rt, readiness(io, ZYNTAX_READABLE)) == ZYNTAX_ESTALE);
    CHECK(await(rt, accepting(io, &out)) == ZYNTAX_ESTALE);
}

// One task for each way of waiting on a handle that is neither readable nor writable.
struct Waiters {
    char buf[4] = {};
    Await read, write, ready;
    Waiters(Runtime &rt, zyntax_io *io)
        : read(rt, reading(io, buf, sizeof buf)),
          write(rt, writing(io, buf, sizeof buf)),
          ready(rt, readiness(io, ZYNTAX_READABLE)) {
        settle(rt);
        CHECK(rt.stats().tasks_alive == 3);
    }
    void were_canceled() {
        CHECK(read.result == ZYNTAX_ECANCELED);
        CHECK(write.result == ZYNTAX_ECANCELED);
        CHECK(ready.result == ZYNTAX_ECANCELED);
    }
};

} // namespace

TEST_CASE("close_ends_every_operation_that_waits_with_ecanceled") {
    Runtime rt;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    fill(pair.near);
    zyntax_io *io = adopt(rt, pair.near);
    Waiters waiters(rt, io);
    CHECK(zyntax_io_close(io) == 0);
    CHECK(rt.drain());
    waiters.were_canceled();
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("detach_ends_every_operation_that_waits_with_ecanceled_and_gives_the_descriptor_back") {
    Runtime rt;
    Pair pair = socket_pair();
    Descriptor number = pair.near;
    make_nonblocking(number);
    fill(number);
    zyntax_io *io = adopt(rt, pair.near);
    Waiters waiters(rt, io);
    intptr_t fd = -1;
    CHECK(zyntax_io_detach(io, &fd) == 0);
    CHECK(fd == number);
    CHECK(rt.drain());
    waiters.were_canceled();
    Fd mine{Descriptor(fd)};
    CHECK_FALSE(is_blocking(mine));
    put(pair.far, "still here");
    CHECK(take(mine) == "still here");
    CHECK(rt.stats().io_open == 0);
    is_stale_io(rt, io);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("detach_without_a_place_for_the_descriptor_is_einval_and_changes_nothing") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char buf[4];
    Await reader(rt, reading(io, buf, sizeof buf));
    settle(rt);
    CHECK(zyntax_io_detach(io, nullptr) == ZYNTAX_EINVAL);
    settle(rt);
    CHECK(reader.alive());
    put(pair.far, "data");
    CHECK(rt.drain());
    CHECK(reader.result == 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_dead_handle_is_ecanceled_with_a_live_op_and_estale_without") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    int64_t first = 1, second = 1;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        if (zyntax_io_read(io, &task.op, &byte, 1, waker, &first) == POLL_PENDING) return POLL_PENDING;
        CHECK(task.op == 0);
        return zyntax_io_read(io, &task.op, &byte, 1, waker, &second);
    };
    task.start();
    settle(rt);
    CHECK(zyntax_io_close(io) == 0);
    CHECK(rt.drain());
    CHECK(first == ZYNTAX_ECANCELED);
    CHECK(second == ZYNTAX_ESTALE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_closed_a_null_and_a_made_up_handle_are_estale_everywhere") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    CHECK(zyntax_io_close(io) == 0);
    is_stale_io(rt, io);
    is_stale_io(rt, nullptr);
    for (uintptr_t bits : {uintptr_t(1), uintptr_t(0x1000), ~uintptr_t(0), ~uintptr_t(0) / 3, uintptr_t(1) << 31})
        is_stale_io(rt, made_up(bits));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_handle_of_another_kind_is_estale") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(rt, 1, 1, &channel) == 0);
    Await sleeper(rt, sleeping(rt, UINT64_MAX));
    is_stale_io(rt, made_up(reinterpret_cast<uintptr_t>(channel)));
    is_stale_io(rt, made_up(reinterpret_cast<uintptr_t>(sleeper.task.handle)));
    CHECK(zyntax_channel_close(reinterpret_cast<zyntax_channel *>(io)) == ZYNTAX_ESTALE);
    CHECK(zyntax_io_fd(io) >= 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_handles_of_a_destroyed_runtime_are_stale") {
    Runtime rt, gone;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(gone, pair.near);
    gone.destroy();
    is_stale_io(rt, io);
    Runtime next; // may have the memory of the destroyed runtime
    Pair other = socket_pair();
    adopt(next, other.near);
    CHECK(zyntax_io_close(io) == ZYNTAX_ESTALE);
    CHECK(next.stats().io_open == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_number_that_is_used_again_gets_no_event_of_its_former_owner") {
    Runtime rt;
    // Both become readable in one batch; the task that is polled first replaces the other's descriptor.
    Pair pairs[2] = {socket_pair(), socket_pair()};
    Pair fresh = socket_pair();
    Fd replacement = std::move(fresh.near);
    zyntax_io *io[2] = {adopt(rt, pairs[0].near), adopt(rt, pairs[1].near)};
    zyntax_io *heir = nullptr;
    char byte = 0;
    ScopedTask first(rt), second(rt), third(rt);
    third.on_poll = [&](Waker *waker) {
        int64_t n;
        return zyntax_io_read(heir, &third.op, &byte, 1, waker, &n);
    };
    auto replace_other = [&](ScopedTask &task, int mine) {
        task.on_poll = [&, mine](Waker *waker) {
            char c;
            int64_t n = 0;
            if (zyntax_io_read(io[mine], &task.op, &c, 1, waker, &n) == POLL_PENDING) return POLL_PENDING;
            if (n != 1 || heir != nullptr) return POLL_READY;
            intptr_t number = zyntax_io_fd(io[1 - mine]);
            CHECK(zyntax_io_close(io[1 - mine]) == 0);
            CHECK(duplicate_as(replacement, Descriptor(number)));
            CHECK(zyntax_io_open(rt, number, &heir) == 0);
            CHECK(third.spawn(rt) != nullptr);
            return POLL_READY;
        };
        task.start();
    };
    replace_other(first, 0);
    replace_other(second, 1);
    settle(rt);
    put(pairs[0].far, "a");
    put(pairs[1].far, "b");
    CHECK(rt.drive_until([&] { return heir != nullptr; }));
    settle(rt);
    CHECK(third.alive());
    CHECK(third.polls == 1);
    replacement.reset();
    put(fresh.far, "c");
    CHECK(rt.drain());
    CHECK(byte == 'c');
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_number_that_is_used_again_can_be_waited_on_many_times") {
    Runtime rt;
    for (int round = 0; round < scaled(2000); round++) {
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        char byte = 0;
        Await reader(rt, reading(io, &byte, 1));
        zyntax_runtime_turn(rt, 0);
        put(pair.far, "x");
        if (round % 2 == 0) { // and half of them are closed with an event on its way
            CHECK(rt.drain());
            CHECK(reader.result == 1);
        }
        CHECK(zyntax_io_close(io) == 0);
        CHECK(rt.drain());
    }
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_task_may_close_the_handle_that_others_wait_on_in_the_same_batch") {
    Runtime rt;
    Pair pairs[8];
    zyntax_io *io[8];
    for (int i = 0; i < 8; i++) io[i] = adopt(rt, (pairs[i] = socket_pair()).near);
    int canceled = 0, stale = 0, read = 0;
    std::unique_ptr<ScopedTask> tasks[8];
    for (int i = 0; i < 8; i++) {
        tasks[i] = std::make_unique<ScopedTask>(rt);
        tasks[i]->on_poll = [&, i](Waker *waker) {
            char c;
            int64_t n = 0;
            if (zyntax_io_read(io[i], &tasks[i]->op, &c, 1, waker, &n) == POLL_PENDING) return POLL_PENDING;
            read += n == 1;
            canceled += n == ZYNTAX_ECANCELED;
            stale += n == ZYNTAX_ESTALE;
            for (zyntax_io *handle : io) zyntax_io_close(handle);
            return POLL_READY;
        };
        tasks[i]->start();
    }
    settle(rt);
    for (Pair &pair : pairs) put(pair.far, "x");
    CHECK(rt.drain());
    CHECK(read == 1);
    CHECK(canceled == 7);
    CHECK(stale == 0);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("cancelling_tasks_that_wait_leaves_no_waiter_behind") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    settle(rt);
    {
        Await warm(rt, reading(io, &byte, 1));
        settle(rt);
    }
    uint64_t in_use = rt.stats().bytes_in_use;
    for (int round = 0; round < scaled(10000); round++) {
        Await reader(rt, reading(io, &byte, 1));
        zyntax_runtime_turn(rt, 0);
        reader.cancel();
        zyntax_runtime_turn(rt, 0);
        CHECK_FALSE(reader.alive());
    }
    CHECK(rt.stats().bytes_in_use == in_use);
    CHECK(rt.idle_waits() <= idle_budget);
}
