// The values of promises that compiled code awaits: at once, later, at the end of a stream, and on failure.
#include "channel_support.h"
#include "compiled_support.h"
#include "io_support.h"

using namespace support;

TEST_CASE("sleep_gives_one_when_its_time_has_come_and_costs_no_poll_before") {
    Clock clock;
    Runtime rt(clock.config());
    Compiled code({sleeping_for(20 * ms)});
    code.spawn(rt);
    settle(rt);
    CHECK(code.polls == 1);
    clock.now += 20 * ms - 1;
    settle(rt);
    CHECK(code.polls == 1);
    clock.now += 1;
    settle(rt);
    CHECK(code.result == 1);
    CHECK(code.polls == 3); // one for the timer, and one after the advance
}

TEST_CASE("a_sleep_counts_from_the_call_that_made_it") {
    Clock clock;
    Runtime rt(clock.config());
    zyntax_promise *early = nullptr;
    Compiled code({[&] {
                       early = zyntax_promise_sleep(10 * ms);
                       return zyntax_promise_sleep(8 * ms);
                   },
                   [&] { return early; }});
    code.spawn(rt);
    settle(rt);
    clock.now += 8 * ms;
    settle(rt);
    CHECK(code.state_id == 1);
    clock.now += 2 * ms;
    settle(rt);
    CHECK(code.result == 1);
}

TEST_CASE("a_sleep_of_nothing_and_one_for_ever") {
    Clock clock;
    Runtime rt(clock.config());
    Compiled none({sleeping_for(0)}), ever({sleeping_for(UINT64_MAX)});
    CHECK(run(rt, none) == 1);
    ever.spawn(rt);
    clock.now = UINT64_MAX - 1;
    settle(rt);
    CHECK(ever.alive());
    zyntax_task_cancel(ever.task);
    CHECK(rt.drain());
    CHECK(ever.result == ZYNTAX_ECANCELED);
}

TEST_CASE("yield_lets_every_ready_task_run_first") {
    Runtime rt;
    std::string order;
    auto code = [&](char name) {
        return std::vector<Maker>{[&order, name] {
                                      order += name;
                                      return zyntax_promise_yield();
                                  },
                                  [&order, name] {
                                      order += char(name - 'a' + 'A');
                                      return zyntax_promise_yield();
                                  }};
    };
    Compiled a(code('a')), b(code('b')), c(code('c'));
    a.spawn(rt);
    b.spawn(rt);
    c.spawn(rt);
    CHECK(rt.drain());
    CHECK(order == "abcABC");
    CHECK(a.result == 1);
}

TEST_CASE("read_gives_bytes_then_the_end_of_the_stream") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char buf[8] = {};
    Maker read = [&] { return zyntax_promise_read(io, buf, sizeof buf); };
    Compiled code({read, read, read});
    code.spawn(rt);
    settle(rt);
    CHECK(code.state_id == 0);
    put(pair.far, "abc");
    CHECK(rt.drive_until([&] { return code.state_id == 1; }));
    CHECK(std::string(buf, 3) == "abc");
    put(pair.far, "defgh");
    CHECK(rt.drive_until([&] { return code.state_id == 2; }));
    pair.far.reset();
    CHECK(rt.drive_until([&] { return !code.alive(); }));
    CHECK(code.values == std::vector<int64_t>{3, 5, ZYNTAX_EOF});
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("write_gives_all_of_it_through_many_short_writes") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    make_nonblocking(pair.far);
    std::string sent(4 * mib, 'w'), received;
    Compiled code({[&] { return zyntax_promise_write(io, sent.data(), sent.size()); }});
    code.spawn(rt);
    CHECK(rt.drive_until([&] {
        received += take(pair.far);
        return !code.alive();
    }));
    received += take(pair.far);
    CHECK(code.result == int64_t(sent.size()));
    CHECK(received == sent);
}

TEST_CASE("nothing_to_read_or_write_is_an_invalid_length") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char buf[1];
    Compiled code({[&] { return zyntax_promise_read(io, buf, 0); }, [&] { return zyntax_promise_write(io, buf, 0); }});
    run(rt, code);
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_EINVAL, ZYNTAX_EINVAL});
}

TEST_CASE("errors_of_handles_are_values") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair(), closing = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *closed = adopt(rt, closing.near);
    zyntax_channel *channel = channel_of(rt, 1);
    zyntax_channel_destroy(channel);
    char buf[1];
    int item = 1;
    Compiled code({[&] { return zyntax_promise_read(nullptr, buf, 1); }, [&] { return zyntax_promise_ready(io, 0); },
                   [&] { return zyntax_promise_accept(io); }, [&] { return zyntax_promise_send(channel, &item); },
                   [&] { return zyntax_promise_recv(channel, &item); }});
    run(rt, code);
    CHECK(code.values ==
          std::vector<int64_t>{ZYNTAX_ESTALE, ZYNTAX_EINVAL, ZYNTAX_EINVAL, ZYNTAX_ESTALE, ZYNTAX_ESTALE});
    Compiled reader({[&] { return zyntax_promise_read(closed, buf, 1); }});
    reader.spawn(rt);
    settle(rt);
    CHECK(reader.alive());
    zyntax_io_close(closed);
    CHECK(rt.drain());
    CHECK(reader.values == std::vector<int64_t>{ZYNTAX_ECANCELED});
}

TEST_CASE("ready_gives_the_set") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    Compiled code({[&] { return zyntax_promise_ready(io, ZYNTAX_WRITABLE); },
                   [&] { return zyntax_promise_ready(io, ZYNTAX_READABLE); }});
    code.spawn(rt);
    settle(rt);
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_WRITABLE});
    put(pair.far, "x");
    CHECK(rt.drive_until([&] { return !code.alive(); }));
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_WRITABLE, ZYNTAX_READABLE});
}

TEST_CASE("accept_and_connect_give_handles_as_positive_numbers") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    auto port = uint16_t(zyntax_tcp_port(listener));
    auto handle = [](int64_t value) { return reinterpret_cast<zyntax_io *>(static_cast<uintptr_t>(value)); };
    char buf[4];
    Compiled server({[&] { return zyntax_promise_accept(listener); },
                     [&] { return zyntax_promise_read(handle(server.values[0]), buf, 4); }});
    Compiled client({[&] {
                         std::string host = "127.0.0.1"; // gone before the value comes
                         return zyntax_promise_connect(host.c_str(), port);
                     },
                     [&] { return zyntax_promise_write(handle(client.values[0]), "ping", 4); }});
    server.spawn(rt);
    client.spawn(rt);
    CHECK(rt.drive_until([&] { return !server.alive() && !client.alive(); }));
    REQUIRE(server.values.size() == 2);
    REQUIRE(client.values.size() == 2);
    CHECK(server.values[0] > 0);
    CHECK(client.values[0] > 0);
    CHECK(server.values[1] == 4);
    CHECK(std::string(buf, 4) == "ping");
    CHECK(zyntax_io_close(handle(server.values[0])) == 0);
    CHECK(zyntax_io_close(handle(client.values[0])) == 0);
    CHECK(zyntax_io_close(listener) == 0);

    Compiled refused(
        {[&] { return zyntax_promise_connect("127.0.0.1", port); }, [&] { return zyntax_promise_connect("", port); }});
    run(rt, refused);
    CHECK(refused.values[0] == ZYNTAX_ECONNREFUSED);
    CHECK(refused.values[1] < 0);
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("channels_give_one_for_each_item_and_the_end") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    std::vector<int> received;
    int item = 0;
    auto send = [&](int value) {
        return [&rt, channel, value] {
            int copied = value; // gone before there is room
            (void)rt;
            return zyntax_promise_send(channel, &copied);
        };
    };
    Maker receive = [&] {
        if (item) received.push_back(item);
        return zyntax_promise_recv(channel, &item);
    };
    Compiled sender({send(1), send(2), send(3)});
    sender.returns = [&](Compiled &) { return int64_t(zyntax_channel_close(channel) == 0); };
    Compiled receiver({receive, receive, receive, receive});
    sender.spawn(rt);
    settle(rt);
    CHECK(sender.values == std::vector<int64_t>{1});
    receiver.spawn(rt);
    CHECK(rt.drain());
    CHECK(sender.values == std::vector<int64_t>{1, 1, 1});
    CHECK(receiver.values == std::vector<int64_t>{1, 1, 1, ZYNTAX_EOF});
    CHECK(received == std::vector<int>{1, 2, 3});
    Compiled late({send(4)});
    run(rt, late);
    CHECK(late.values == std::vector<int64_t>{ZYNTAX_EPIPE});
    CHECK(rt.stats().bytes_in_use > 0);
    zyntax_channel_destroy(channel);
}

TEST_CASE("blocking_gives_the_functions_value_and_one_for_zero") {
    SKIP_WHEN(!has_threads, "without threads there is no pool");
    Runtime rt;
    struct Argument {
        int64_t value;
    };
    auto call = [](int64_t value) {
        return [value] {
            Argument copied{value}; // gone before the job runs
            return zyntax_promise_blocking([](void *arg) { return static_cast<Argument *>(arg)->value; }, &copied,
                                           sizeof copied);
        };
    };
    int64_t kept = 11;
    Compiled code({call(7), call(-5), call(0), [&] {
                       return zyntax_promise_blocking([](void *arg) { return *static_cast<int64_t *>(arg); }, &kept, 0);
                   }});
    run(rt, code);
    CHECK(code.values == std::vector<int64_t>{7, -5, 1, 11});
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("without_threads_a_job_is_refused") {
    SKIP_WHEN(has_threads, "there are threads");
    Runtime rt;
    Compiled code({[&] { return zyntax_promise_blocking([](void *) { return int64_t(1); }, nullptr, 0); }});
    run(rt, code);
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_EAGAIN});
}

TEST_CASE("timeout_gives_the_value_or_says_that_the_time_is_over") {
    Clock clock;
    Runtime rt(clock.config());
    Compiled quick({sleeping_for(5 * ms)});
    Compiled slow({sleeping_for(50 * ms)});
    slow.returns = [](Compiled &) { return int64_t(99); };
    zyntax_promise *leaf = nullptr;
    Compiled code({[&] { return zyntax_promise_timeout(&quick.entry, 10 * ms); },
                   [&] { return zyntax_promise_timeout(&slow.entry, 10 * ms); },
                   [&] { return zyntax_promise_timeout(leaf = zyntax_promise_sleep(20 * ms), 10 * ms); },
                   [&] { return leaf; }, // it was ended
                   [&] { return zyntax_promise_timeout(zyntax_promise_sleep(10 * ms), 20 * ms); },
                   [&] { return zyntax_promise_timeout(zyntax_promise_sleep(10 * ms), UINT64_MAX); }});
    code.spawn(rt);
    for (int i = 0; i < 100 && code.alive(); i++) {
        settle(rt);
        clock.now += ms;
    }
    CHECK(code.values == std::vector<int64_t>{1, ZYNTAX_ETIMEDOUT, ZYNTAX_ETIMEDOUT, ZYNTAX_ESTALE, 1, 1});
    CHECK(rt.stats().timers_pending == 0);
}

TEST_CASE("select_gives_the_first_and_a_leaf_keeps_its_value") {
    Clock clock;
    Runtime rt(clock.config());
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    zyntax_promise *promises[3] = {};
    Compiled inner({sleeping_for(30 * ms)});
    Compiled code({[&] {
                       promises[0] = zyntax_promise_recv(channel, &item);
                       promises[1] = zyntax_promise_sleep(10 * ms);
                       promises[2] = &inner.entry;
                       return zyntax_promise_select(promises, 3);
                   },
                   [&] { return promises[1]; }, [&] { return zyntax_promise_select(promises, 3); },
                   [&] { return promises[0]; }});
    code.spawn(rt);
    settle(rt);
    CHECK(code.values.empty());
    clock.now += 10 * ms;
    settle(rt);
    // The sleep was chosen, kept its 1, and gave it. It was freed then, and counts as ready for ever.
    CHECK(code.values == std::vector<int64_t>{2, 1, 2});
    send_now(rt, channel, 5);
    CHECK(rt.drive_until([&] { return !code.alive(); }));
    CHECK(code.values == std::vector<int64_t>{2, 1, 2, 1});
    CHECK(item == 5);
    zyntax_channel_destroy(channel);
}

TEST_CASE("select_polls_what_advances_until_it_waits") {
    Clock clock;
    Runtime rt(clock.config());
    // One waits for long; the other advances through many states without waiting.
    Compiled slow({sleeping_for(1000 * ms)});
    Compiled still({});
    still.returns = [](Compiled &self) { return int64_t(self.polls == 20 ? 7 : 0); };
    zyntax_promise *promises[] = {&slow.entry, &still.entry};
    Compiled code({[&] { return zyntax_promise_select(promises, 2); }});
    code.spawn(rt);
    for (int i = 0; i < 40 && code.alive(); i++) settle(rt);
    CHECK(code.values == std::vector<int64_t>{2});
}

TEST_CASE("a_child_runs_beside_and_gives_its_value") {
    Clock clock;
    Runtime rt(clock.config());
    Compiled first({sleeping_for(10 * ms)}), second({sleeping_for(10 * ms)});
    first.returns = [](Compiled &) { return int64_t(-3); };
    second.returns = [](Compiled &) { return int64_t(44); };
    zyntax_promise *a = nullptr, *b = nullptr;
    Compiled code({[&] {
                       a = zyntax_promise_spawn_child(&first.entry);
                       b = zyntax_promise_spawn_child(&second.entry);
                       return b;
                   },
                   [&] { return a; }});
    code.spawn(rt);
    settle(rt);
    clock.now += 10 * ms; // both slept at the same time
    settle(rt);
    CHECK(code.values == std::vector<int64_t>{44, -3});
    CHECK(rt.stats().tasks_alive == 0);
}

namespace {

// Each maker's promise for valid arguments.
std::vector<Maker> makers_of_every_kind(zyntax_promise *compiled, char *buf) {
    return {[] { return zyntax_promise_sleep(1); },
            [] { return zyntax_promise_yield(); },
            [=] { return zyntax_promise_read(nullptr, buf, 1); },
            [=] { return zyntax_promise_write(nullptr, buf, 1); },
            [] { return zyntax_promise_ready(nullptr, 1); },
            [] { return zyntax_promise_accept(nullptr); },
            [] { return zyntax_promise_connect("127.0.0.1", 1); },
            [] {
                const zyntax_address address = {4, 1, 0, {127, 0, 0, 1}};
                return zyntax_promise_connect_to(&address, 1, UINT64_MAX);
            },
            [] { return zyntax_promise_resolve("127.0.0.1", nullptr, 0); },
            [=] { return zyntax_promise_send(nullptr, buf); },
            [=] { return zyntax_promise_recv(nullptr, buf); },
            [] { return zyntax_promise_blocking([](void *) { return int64_t(1); }, nullptr, 0); },
            [=] { return zyntax_promise_timeout(compiled, 1); },
            [=] { return zyntax_promise_timeout(zyntax_promise_sleep(1), 1); },
            [=] {
                zyntax_promise *one[] = {compiled};
                return zyntax_promise_select(one, 1);
            },
            [=] { return zyntax_promise_spawn_child(compiled); }};
}

bool fails_with(zyntax_promise *promise, int64_t error) {
    if (!promise || !promise->poll || zyntax_promise_cancel(promise) != ZYNTAX_ESTALE) return false;
    return promise->poll(promise->state) == error && promise->poll(promise->state) == error;
}

} // namespace

TEST_CASE("outside_of_a_promise_task_every_maker_fails_with_eperm") {
    Runtime rt;
    zyntax_promise compiled{nullptr, [](void *) { return int64_t(1); }};
    char buf[1];
    std::vector<Maker> makers = makers_of_every_kind(&compiled, buf);
    auto all_fail = [&] {
        bool all = true;
        for (Maker &maker : makers) all = all && fails_with(maker(), ZYNTAX_EPERM);
        return all && fails_with(zyntax_promise_read(nullptr, nullptr, 0), ZYNTAX_EPERM);
    };
    CHECK(all_fail());
    bool in_poll = false, in_drop = false;
    Task plain{[&](Waker *) {
                   in_poll = all_fail();
                   return POLL_READY;
               },
               [&](int32_t) { in_drop = all_fail(); }};
    plain.spawn(rt);
    CHECK(rt.drain());
    CHECK(in_poll);
    CHECK(in_drop);
    CHECK(zyntax_promise_block_on(rt, zyntax_promise_sleep(1)) == ZYNTAX_EPERM); // as an entry point
}

TEST_CASE("nulls_that_may_not_be_fail_with_einval") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    zyntax_promise empty{};
    zyntax_promise *with_null[] = {nullptr}, *with_empty[] = {&empty};
    std::vector<Maker> makers{
        [] { return zyntax_promise_read(nullptr, nullptr, 1); },
        [] { return zyntax_promise_write(nullptr, nullptr, 1); },
        [] { return zyntax_promise_connect(nullptr, 1); },
        [] { return zyntax_promise_connect_to(nullptr, 1, UINT64_MAX); },
        [] {
            const zyntax_address address = {4, 1, 0, {127, 0, 0, 1}};
            return zyntax_promise_connect_to(&address, 0, UINT64_MAX);
        },
        [] { return zyntax_promise_resolve(nullptr, nullptr, 0); },
        [] { return zyntax_promise_resolve("127.0.0.1", nullptr, 1); },
        [&] { return zyntax_promise_send(channel, nullptr); },
        [&] { return zyntax_promise_recv(channel, nullptr); },
        [] { return zyntax_promise_blocking(nullptr, nullptr, 0); },
        [] { return zyntax_promise_blocking([](void *) { return int64_t(1); }, nullptr, 8); },
        [] { return zyntax_promise_timeout(nullptr, 1); },
        [&] { return zyntax_promise_timeout(&empty, 1); },
        [] { return zyntax_promise_select(nullptr, 1); },
        [&] { return zyntax_promise_select(with_null, 1); },
        [&] { return zyntax_promise_select(with_null, 0); },
        [&] { return zyntax_promise_select(with_null, SIZE_MAX / 16); },
        [&] { return zyntax_promise_select(with_empty, 1); },
        [] { return zyntax_promise_spawn_child(nullptr); },
        [&] { return zyntax_promise_spawn_child(&empty); },
    };
    Compiled code(makers);
    code.returns = [&](Compiled &) {
        for (size_t i = 0; i < makers.size(); i++) {
            CAPTURE(i);
            CHECK(fails_with(makers[i](), ZYNTAX_EINVAL));
        }
        CHECK(zyntax_promise_cancel(nullptr) == ZYNTAX_ESTALE);
        CHECK(zyntax_promise_cancel(&empty) == ZYNTAX_ESTALE);
        return int64_t(1);
    };
    CHECK(run(rt, code) == 1);
    CHECK(code.values == std::vector<int64_t>(makers.size(), ZYNTAX_EINVAL)); // awaited, as compiled code does
}
