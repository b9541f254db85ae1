// Operations take every waker, not only those of this library: combinators and hosts have their own.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"
#include "io_support.h"

using namespace support;

namespace {

// Starts an operation outside any task with the host's waker.
PollStatus start(HostWaker &host, const Operation &operation, zyntax_op *op, int64_t *result) {
    Waker waker = host.handle();
    host.busy = true;
    PollStatus status = operation(op, &waker, result);
    host.busy = false;
    return status;
}

// Runs an operation that waits: the waker is called once, by the loop, and then it is ready.
void wakes_once(Runtime &rt, const Operation &operation, const std::function<void()> &event, int64_t expected) {
    HostWaker host;
    zyntax_op op = 0;
    int64_t result = unfinished;
    REQUIRE(start(host, operation, &op, &result) == POLL_PENDING);
    settle(rt);
    host.busy = true;
    event();
    host.busy = false;
    CHECK(rt.drive_until([&] { return host.wakes > 0; }));
    settle(rt);
    CHECK(host.wakes == 1);
    CHECK_FALSE(host.was_inline);
    CHECK(start(host, operation, &op, &result) == POLL_READY);
    CHECK(result == expected);
    CHECK(op == 0);
}

} // namespace

TEST_CASE("io_timers_channels_and_jobs_call_it_once_from_the_loop") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *listener = nullptr, *accepted = nullptr;
    char byte;
    int item = 1;
    auto nothing = [] {};
    wakes_once(
        rt, reading(io, &byte, 1), [&] { put(pair.far, "x"); }, 1);
    wakes_once(rt, sleeping(rt, ms), nothing, 0);
    zyntax_channel *channel = channel_of(rt, 1);
    auto send = [&] {
        Waker waker = {nullptr, [](void *) {}};
        zyntax_op op = 0;
        int64_t result = 1;
        CHECK(zyntax_channel_send(channel, &op, &item, &waker, &result) == POLL_READY);
    };
    wakes_once(rt, receiving(channel, &item), send, 1);
    wakes_once(rt,
               blocking(
                   rt, [](void *) { return int64_t(9); }, nullptr, 0),
               nothing, 9);
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    Fd client;
    auto connect = [&] { client = plain_client(uint16_t(zyntax_tcp_port(listener))); };
    wakes_once(rt, accepting(listener, &accepted), connect, 0);
    wakes_once(
        rt, reading(io, &byte, 1), [&] { zyntax_io_close(io); }, ZYNTAX_ECANCELED);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("it_is_not_called_after_the_operation_was_cancelled") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    HostWaker first, second;
    zyntax_op ops[2] = {0, 0};
    char byte;
    int64_t result = 0;
    start(first, reading(io, &byte, 1), &ops[0], &result);
    start(second, reading(io, &byte, 1), &ops[1], &result);
    settle(rt);
    // The first to be woken cancels the other, which has been fired in the same batch.
    first.action = [&] { zyntax_op_cancel(&ops[1]); };
    second.action = [&] { zyntax_op_cancel(&ops[0]); };
    put(pair.far, "x");
    CHECK(rt.drive_until([&] { return first.wakes + second.wakes > 0; }));
    settle(rt);
    CHECK(first.wakes + second.wakes == 1);
    CHECK((first.wakes ? ops[1] : ops[0]) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("it_may_close_the_handle_start_operations_and_spawn") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    HostWaker host;
    zyntax_op op = 0;
    char byte;
    int64_t result = 0;
    std::unique_ptr<Await> task;
    host.action = [&] {
        CHECK(zyntax_io_close(io) == 0);
        task = std::make_unique<Await>(rt, sleeping(rt, ms));
    };
    start(host, reading(io, &byte, 1), &op, &result);
    settle(rt);
    put(pair.far, "x");
    CHECK(rt.drive_until([&] { return host.wakes == 1 && !task->alive(); }));
    CHECK(task->result == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}
