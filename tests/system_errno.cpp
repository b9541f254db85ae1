// No call changes errno.
#include "channel_support.h"
#include "io_support.h"

using namespace support;

namespace {

constexpr int mark = 4711;

// Runs a call and checks that errno survived it.
template <class Call> auto kept(const char *what, Call call) {
    CAPTURE(what);
    errno = mark;
    if constexpr (std::is_void_v<decltype(call())>) {
        call();
        int now = errno;
        CHECK(now == mark);
    } else {
        auto result = call();
        int now = errno;
        CHECK(now == mark);
        return result;
    }
}

// The same for an operation, in every poll that it takes.
int64_t kept_while_awaiting(Runtime &rt, const char *what, Operation operation) {
    return await(rt, [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return kept(what, [&] { return operation(op, waker, result); });
    });
}

} // namespace

TEST_CASE("creating_driving_and_destroying_keep_errno") {
    zyntax_runtime *rt = kept("create", [] { return zyntax_runtime_create(); });
    REQUIRE(rt != nullptr);
    Task task{[](Waker *) { return POLL_READY; }};
    kept("spawn", [&] { return zyntax_runtime_spawn_with(rt, &task, Task::poll, Task::drop, 0); });
    kept("turn", [&] { return zyntax_runtime_turn(rt, int64_t(ms)); });
    kept("run", [&] { return zyntax_runtime_run(rt); });
    kept("block_on", [&] { return zyntax_runtime_block_on(rt, nullptr); });
    kept("stop", [&] { zyntax_runtime_stop(rt); });
    kept("post", [&] {
        return zyntax_runtime_post(
            rt, [](void *) {}, nullptr);
    });
    kept("now", [&] { return zyntax_now_ns(rt); });
    kept("backend_fd", [&] { return zyntax_runtime_backend_fd(rt); });
    kept("next_timeout", [&] { return zyntax_runtime_next_timeout_ns(rt); });
    kept("stats", [&] { return zyntax_runtime_get_stats(rt, nullptr); });
    kept("state_alloc", [&] { return zyntax_state_alloc(rt, SIZE_MAX / 4); });
    kept("destroy", [&] { zyntax_runtime_destroy(rt); });
}

TEST_CASE("creating_without_a_free_descriptor_keeps_errno") {
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    FewDescriptors none;
    kept("create without descriptors", [] { return zyntax_runtime_create(); });
}

TEST_CASE("polls_see_the_errno_that_the_last_one_left") {
    Runtime rt;
    int seen = 0;
    Task task{[&](Waker *waker) {
        if (task.polls == 1) {
            errno = mark;
            waker->wake(waker->data);
            return POLL_PENDING;
        }
        seen = errno;
        return POLL_READY;
    }};
    task.spawn(rt);
    CHECK(rt.drain());
    CHECK(seen == mark);
}

TEST_CASE("waking_and_cancelling_keep_errno_in_any_thread") {
    Runtime rt;
    Waker waker{};
    ScopedTask task(rt);
    task.on_poll = [&](Waker *w) {
        waker = *w;
        return POLL_PENDING;
    };
    task.start();
    settle(rt);
    // Without doctest's macros: on Windows their thread-local memory is not freed in order.
    auto lost = [&] {
        std::string names;
        auto keeps = [&](const char *name, auto call) {
            errno = mark;
            call();
            if (errno != mark) names += std::string(name) + ' ';
        };
        keeps("wake", [&] { waker.wake(waker.data); });
        keeps("wake_from_signal", [&] { zyntax_wake_from_signal(&waker); });
        keeps("hold", [&] { zyntax_runtime_hold(rt); });
        keeps("release", [&] { zyntax_runtime_release(rt); });
        keeps("post", [&] {
            zyntax_runtime_post(
                rt, [](void *) {}, nullptr);
        });
        keeps("alive", [&] { zyntax_task_alive(task.handle); });
        keeps("cancel", [&] { zyntax_task_cancel(task.handle); });
        keeps("cancel nothing", [&] { zyntax_task_cancel(nullptr); });
        return names;
    };
    std::string there;
    Thread([&] { there = lost(); }).join();
    CHECK(there == "");
    settle(rt);
    CHECK(lost() == "");
    settle(rt);
}

TEST_CASE("io_keeps_errno_whether_it_succeeds_fails_or_waits") {
    Runtime rt;
    Pair pair = socket_pair(), broken = pairs_from_runtime().back()();
    zyntax_io *io = nullptr, *out = nullptr;
    char buf[4] = {};
    CHECK(kept("open bad", [&] { return zyntax_io_open(rt, -1, &io); }) == ZYNTAX_EBADF);
    File directory(File::directory);
    CHECK(kept("open directory", [&] { return zyntax_io_open(rt, directory.fd, &io); }) == ZYNTAX_EPERM);
    CHECK(kept("open", [&] { return zyntax_io_open(rt, pair.near, &io); }) == 0);
    pair.near.release();
    CHECK(kept("open twice", [&] { return zyntax_io_open(rt, zyntax_io_fd(io), &out); }) == ZYNTAX_EEXIST);
    put(pair.far, "abcd");
    CHECK(kept_while_awaiting(rt, "read", reading(io, buf, 4)) == 4);
    CHECK(kept_while_awaiting(rt, "write", writing(io, buf, 4)) == 4);
    CHECK(kept_while_awaiting(rt, "ready", readiness(io, ZYNTAX_WRITABLE)) == ZYNTAX_WRITABLE);
    Await waiting(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return kept("read that waits", [&] { return zyntax_io_read(io, op, buf, 4, waker, result); });
    });
    settle(rt);
    put(pair.far, "x");
    CHECK(rt.drain());
    zyntax_io *dead = adopt(rt, broken.near);
    broken.far.reset();
    int64_t n = 0;
    for (int tries = 0; tries < 100 && n >= 0; tries++) n = kept_while_awaiting(rt, "broken", writing(dead, buf, 4));
    CHECK((n == ZYNTAX_EPIPE || n == ZYNTAX_ECONNRESET));
    intptr_t fd = -1;
    CHECK(kept("detach", [&] { return zyntax_io_detach(dead, &fd); }) == 0);
    Fd mine{Descriptor(fd)};
    CHECK(kept("close", [&] { return zyntax_io_close(io); }) == 0);
    CHECK(kept("close twice", [&] { return zyntax_io_close(io); }) == ZYNTAX_ESTALE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("tcp_keeps_errno") {
    Runtime rt;
    zyntax_io *listener = nullptr, *client = nullptr, *server = nullptr;
    CHECK(kept("listen bad", [&] { return zyntax_tcp_listen(rt, "bad", 0, &listener); }) == ZYNTAX_EINVAL);
    CHECK(kept("listen far", [&] { return zyntax_tcp_listen(rt, "192.0.2.1", 0, &listener); }) == ZYNTAX_EADDRNOTAVAIL);
    CHECK(kept("listen", [&] { return zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener); }) == 0);
    uint16_t port = uint16_t(kept("port", [&] { return zyntax_tcp_port(listener); }));
    CHECK(kept_while_awaiting(rt, "connect", connecting(rt, "localhost", port, &client)) == 0);
    CHECK(kept_while_awaiting(rt, "accept", accepting(listener, &server)) == 0);
    CHECK(kept_while_awaiting(rt, "accept bad", accepting(client, &server)) == ZYNTAX_EINVAL);
    CHECK(kept("shutdown", [&] { return zyntax_tcp_shutdown(client); }) == 0);
    Waker nobody{nullptr, [](void *) {}};
    zyntax_op op = 0;
    int64_t unused;
    kept("connect that is given up", [&] { // with its socket closed
        return zyntax_tcp_connect(rt, &op, "127.0.0.1", port, &nobody, &client, &unused);
    });
    kept("cancel", [&] { zyntax_op_cancel(&op); });
    Fd bound = plain_listener(-1);
    CHECK(kept_while_awaiting(rt, "refused", connecting(rt, "127.0.0.1", port_of(bound), &client)) ==
          ZYNTAX_ECONNREFUSED);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("timers_joins_channels_blocking_and_promises_keep_errno") {
    Runtime rt;
    CHECK(kept_while_awaiting(rt, "sleep", sleeping(rt, ms)) == 0);
    CHECK(kept_while_awaiting(rt, "join", [](zyntax_op *op, Waker *w, int64_t *r) {
              return zyntax_task_join(nullptr, op, w, r);
          }) == ZYNTAX_EINVAL);
    zyntax_channel *channel = nullptr;
    CHECK(kept("channel", [&] { return zyntax_channel_create(rt, 1, 4, &channel); }) == 0);
    int item = 1;
    CHECK(kept_while_awaiting(rt, "send", sending(channel, &item)) == 0);
    CHECK(kept_while_awaiting(rt, "recv", receiving(channel, &item)) == 1);
    CHECK(kept("destroy", [&] { return zyntax_channel_destroy(channel); }) == 0);
    auto job = [](void *) {
        errno = 1; // the pool's own
        return int64_t(1);
    };
    CHECK(kept_while_awaiting(rt, "blocking", [&](zyntax_op *op, Waker *w, int64_t *r) {
              return zyntax_blocking(rt, op, job, nullptr, 0, w, r);
          }) == 1);
    zyntax_promise promise{nullptr, [](void *) { return int64_t(3); }};
    CHECK(kept("promise", [&] { return zyntax_promise_block_on(rt, &promise); }) == 3);
}
