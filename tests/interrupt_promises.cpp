// Interrupts of tasks that poll promises: the innermost await point ends, with ZYNTAX_EINTR as its value.
#include "blocking_support.h"
#include "channel_support.h"
#include "compiled_support.h"
#include "port_support.h"
#include "promise_support.h"

using namespace support;

namespace {

constexpr uint64_t an_hour_long = 3'600'000 * ms;

// Objects for the waits of promises. None becomes ready by itself.
struct PromiseWorld {
    Runtime rt;
    Pair pair = socket_pair(), full = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *full_io = adopt(rt, full.near);
    zyntax_io *listener = nullptr;
    SilentListener silent;
    zyntax_channel *empty = channel_of(rt, 1), *crowded = channel_of(rt, 1);
    zyntax_scope *scope = nullptr;
    Task child{[](Waker *) { return POLL_PENDING; }};
    Held held;
    Compiled sleeper{{sleeping_for(an_hour_long)}};
    char buf[1] = {};
    zyntax_slice slice{buf, 1};
    zyntax_address silent_address{};
    Port empty_port{1}, crowded_port{1};
    size_t done = 0;
    int item = 1;

    PromiseWorld() {
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        send_now(rt, crowded, 1);
        fill(Descriptor(zyntax_io_fd(full_io)));
        REQUIRE(zyntax_address_parse("127.0.0.1", &silent_address) == 0);
        silent_address.port = port_of(silent.fd);
        REQUIRE(crowded_port.put(1) == 0);
        REQUIRE(zyntax_scope_create(rt, &scope) == 0);
        child.runtime = rt;
        child.handle = zyntax_scope_spawn(scope, &child, Task::poll, Task::drop, 0);
    }
    ~PromiseWorld() {
        held.gate.open();
        rt.drive_until([&] { return held.begun == held.ended; });
    }

    std::vector<Maker> makers() {
        std::vector<Maker> all{
            [] { return zyntax_promise_sleep(an_hour_long); },
            [this] { return zyntax_promise_read(io, buf, 1); },
            [this] { return zyntax_promise_write(full_io, buf, 1); },
            [this] { return zyntax_promise_ready(io, ZYNTAX_READABLE); },
            [this] { return zyntax_promise_readv(io, &slice, 1); },
            [this] { return zyntax_promise_writev(full_io, &slice, 1); },
            [this] { return zyntax_promise_write_all(full_io, buf, 1, &done); },
            [this] { return zyntax_promise_accept(listener); },
            [this] { return zyntax_promise_connect("127.0.0.1", port_of(silent.fd)); },
            [this] { return zyntax_promise_connect_to(&silent_address, 1, UINT64_MAX); },
            [this] { return zyntax_promise_port_send(crowded_port, &item); },
            [this] { return zyntax_promise_port_recv(empty_port, &item); },
            [this] { return zyntax_promise_send(crowded, &item); },
            [this] { return zyntax_promise_recv(empty, &item); },
            [this] { return zyntax_promise_scope_next(scope); },
            [this] { return zyntax_promise_scope_join(scope); },
            [this] { return zyntax_promise_timeout(zyntax_promise_read(io, buf, 1), an_hour_long); },
            [this] { return zyntax_promise_spawn_child(&sleeper.entry); },
        };
        if (has_threads) all.push_back([this] { return zyntax_promise_blocking(Held::job, &held, 0); });
        return all;
    }
};

// The interrupt comes after `begin`. It ends the promise, and neither the next one nor a child.
void check_each_promise(void (*begin)(PromiseWorld &, const Compiled &)) {
    size_t kinds = PromiseWorld().makers().size();
    for (size_t kind = 0; kind < kinds; kind++) {
        CAPTURE(kind);
        PromiseWorld world;
        Compiled code({world.makers()[kind], sleeping_for(1)});
        code.spawn(world.rt);
        begin(world, code);
        CHECK(zyntax_task_interrupt(code.task) == 0);
        REQUIRE(world.rt.drive_until([&] { return !code.alive(); }));
        CHECK(code.values == std::vector<int64_t>{ZYNTAX_EINTR, 1});
        CHECK(world.child.alive());
    }
}

} // namespace

TEST_CASE("each_promise_that_waits_has_the_value_eintr_after_an_interrupt") {
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    check_each_promise([](PromiseWorld &world, const Compiled &code) {
        settle(world.rt);
        REQUIRE(code.alive());
    });
}

TEST_CASE("each_promise_that_would_have_to_wait_has_the_value_eintr_when_the_task_was_interrupted_before") {
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    check_each_promise([](PromiseWorld &, const Compiled &) {});
}

TEST_CASE("the_innermost_await_point_of_nested_calls_is_interrupted") {
    Runtime rt;
    Compiled inner({sleeping_for(an_hour_long), sleeping_for(1)});
    Compiled middle({inner.call(), sleeping_for(1)});
    Compiled outer({middle.call(), sleeping_for(1)});
    outer.spawn(rt);
    settle(rt);
    zyntax_task_interrupt(outer.task);
    REQUIRE(rt.drain());
    CHECK(inner.values == std::vector<int64_t>{ZYNTAX_EINTR, 1});
    CHECK(middle.values == std::vector<int64_t>{1, 1});
    CHECK(outer.values == std::vector<int64_t>{1, 1});
}

TEST_CASE("the_await_point_under_a_time_limit_is_interrupted_and_the_limit_goes_on") {
    Runtime rt;
    Compiled inner({sleeping_for(an_hour_long), sleeping_for(1)});
    Compiled outer({[&] { return zyntax_promise_timeout(&inner.entry, an_hour_long); }});
    outer.spawn(rt);
    settle(rt);
    zyntax_task_interrupt(outer.task);
    REQUIRE(rt.drain());
    CHECK(inner.values == std::vector<int64_t>{ZYNTAX_EINTR, 1});
    CHECK(outer.values == std::vector<int64_t>{1});
}

TEST_CASE("a_time_limit_over_a_promise_that_waits_for_its_own_waker_is_interrupted") {
    Runtime rt;
    Promise waits{[](Promise &) {
        current();
        return int64_t(0);
    }};
    zyntax_promise handle = waits.handle();
    Compiled outer({[&] { return zyntax_promise_timeout(&handle, an_hour_long); }});
    outer.spawn(rt);
    settle(rt);
    REQUIRE(outer.alive());
    zyntax_task_interrupt(outer.task);
    REQUIRE(rt.drain());
    CHECK(outer.values == std::vector<int64_t>{ZYNTAX_EINTR});
}

TEST_CASE("a_select_tells_which_promise_was_interrupted_and_the_others_wait_on") {
    Runtime rt;
    zyntax_channel *first = channel_of(rt, 1), *second = channel_of(rt, 1);
    int items[2] = {};
    zyntax_promise *receives[2] = {};
    Compiled code({[&] {
                       receives[0] = zyntax_promise_recv(first, &items[0]);
                       receives[1] = zyntax_promise_recv(second, &items[1]);
                       return zyntax_promise_select(receives, 2);
                   },
                   [&] { return receives[0]; }, [&] { return receives[1]; }});
    code.spawn(rt);
    settle(rt);
    zyntax_task_interrupt(code.task);
    settle(rt);
    CHECK(code.values == std::vector<int64_t>{1, ZYNTAX_EINTR});
    send_now(rt, second, 8);
    REQUIRE(rt.drain());
    CHECK(code.values == std::vector<int64_t>{1, ZYNTAX_EINTR, 1});
    CHECK(items[1] == 8);
}

TEST_CASE("a_child_goes_on_when_its_parent_is_interrupted") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    Compiled child({[&] { return zyntax_promise_recv(channel, &item); }});
    Compiled parent({[&] { return zyntax_promise_spawn_child(&child.entry); }});
    parent.spawn(rt);
    settle(rt);
    zyntax_task_interrupt(parent.task);
    settle(rt);
    CHECK(parent.result == ZYNTAX_EINTR);
    send_now(rt, channel, 6);
    REQUIRE(rt.drain());
    CHECK(child.values == std::vector<int64_t>{1});
    CHECK(item == 6);
    CHECK(rt.stats().bytes_in_use > 0); // the channel
    zyntax_channel_destroy(channel);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_promise_that_is_ready_wins_and_the_next_one_is_interrupted") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    send_now(rt, channel, 1);
    int item = 0;
    Maker receive = [&] { return zyntax_promise_recv(channel, &item); };
    Compiled code({receive, [] { return zyntax_promise_yield(); }, receive, sleeping_for(1)});
    code.spawn(rt);
    zyntax_task_interrupt(code.task);
    REQUIRE(rt.drain());
    CHECK(code.values == std::vector<int64_t>{1, 1, ZYNTAX_EINTR, 1});
}

TEST_CASE("interrupted_is_1_after_a_promise_that_was_interrupted_until_the_next_value") {
    Runtime rt;
    std::vector<int32_t> seen;
    zyntax_promise *sleep = nullptr;
    int ended = 0;
    Promise code{[&](Promise &) {
        if (!sleep) sleep = ended == 0 ? zyntax_promise_sleep(an_hour_long) : zyntax_promise_sleep(1);
        int64_t value = sleep->poll(sleep->state);
        if (value == 0) return int64_t(0);
        sleep = nullptr;
        seen.push_back(zyntax_task_interrupted());
        seen.push_back(zyntax_task_interrupted());
        return int64_t(++ended == 2);
    }};
    code.spawn(rt);
    settle(rt);
    zyntax_task_interrupt(code.task);
    REQUIRE(rt.drain());
    CHECK(seen == std::vector<int32_t>{1, 0, 0, 0});
}

TEST_CASE("a_promise_that_uses_ops_is_polled_on_after_an_interrupt") {
    Runtime rt;
    int32_t seen = -1;
    Promise code{[&](Promise &self) {
        Waker waker = current();
        if (seen < 0) {
            if (zyntax_sleep(rt, &self.op, an_hour_long, &waker) == POLL_PENDING) return int64_t(0);
            seen = zyntax_task_interrupted();
            return int64_t(0); // advanced
        }
        return int64_t(5);
    }};
    code.spawn(rt);
    settle(rt);
    zyntax_task_interrupt(code.task);
    REQUIRE(rt.drain());
    CHECK(seen == 1);
    CHECK(code.result == 5);
}

TEST_CASE("an_interrupted_promise_task_keeps_to_its_budget") {
    zyntax_runtime_config limited = config();
    limited.await_budget = 4;
    Runtime rt(limited);
    zyntax_promise *awaited = nullptr;
    std::vector<int64_t> values;
    int polls = 0;
    Promise code{[&](Promise &) {
        polls++;
        while (values.size() < 10) {
            bool waits = values.size() == 6;
            if (!awaited) awaited = waits ? zyntax_promise_sleep(an_hour_long) : zyntax_promise_sleep(0);
            int64_t value = awaited->poll(awaited->state);
            if (value == 0) return int64_t(0);
            awaited = nullptr;
            values.push_back(value);
        }
        return int64_t(1);
    }};
    code.spawn(rt);
    zyntax_task_interrupt(code.task);
    REQUIRE(rt.drain());
    CHECK(values == std::vector<int64_t>{1, 1, 1, 1, 1, 1, ZYNTAX_EINTR, 1, 1, 1});
    CHECK(polls == 3);
}

TEST_CASE("a_send_that_waits_when_it_is_interrupted_gives_its_copy_back") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    send_now(rt, channel, 1);
    uint64_t before = rt.stats().bytes_in_use;
    int item = 2;
    Compiled code({[&] { return zyntax_promise_send(channel, &item); }});
    code.spawn(rt);
    settle(rt);
    zyntax_task_interrupt(code.task);
    REQUIRE(rt.drain());
    CHECK(code.result == ZYNTAX_EINTR);
    CHECK(rt.stats().bytes_in_use == before);
    CHECK(receive_now(rt, channel) == 1);
    int none = 0;
    CHECK(zyntax_channel_try_recv(channel, &none) == ZYNTAX_EAGAIN);
}

TEST_CASE("a_promise_of_a_connect_that_is_refused_at_once_gives_the_error_to_an_interrupted_task") {
    SKIP_WHEN(!has_sockets || on_windows, "this system does not refuse connections at once");
    struct Connect {
        uint16_t port;
        zyntax_promise *promise;
    };
    Runtime rt;
    Fd bound = plain_listener(-1);
    Connect connect{port_of(bound), nullptr};
    zyntax_promise code{&connect, [](FutureState state) {
                            auto *self = static_cast<Connect *>(state);
                            if (!self->promise) self->promise = zyntax_promise_connect("127.0.0.1", self->port);
                            return self->promise->poll(self->promise->state);
                        }};
    int64_t result = unfinished;
    zyntax_task *task = zyntax_promise_spawn(rt, &code, &result);
    REQUIRE(zyntax_task_interrupt(task) == 0);
    settle(rt);
    CHECK(result == ZYNTAX_ECONNREFUSED);
    CHECK(rt.stats().io_open == 0);
}
