// The ends of promises that compiled code awaits: a cancel at every moment, the end of their task, polls of freed
// promises, no memory. Their resources are freed once.
#include "channel_support.h"
#include "compiled_support.h"
#include "io_support.h"

using namespace support;

namespace {

// A promise of every kind. Each waits for an event that does not happen by itself.
struct World {
    Runtime rt;
    Pair pair = socket_pair(), full = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *full_io = adopt(rt, full.near);
    zyntax_io *listener = nullptr;
    SilentListener silent;
    zyntax_channel *empty = channel_of(rt, 1), *crowded = channel_of(rt, 1);
    Gate gate;
    Compiled sleeper{{sleeping_for(UINT64_MAX - 1)}};
    char buf[1] = {};
    int item = 1;

    World() {
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        send_now(rt, crowded, 1);
        fill(Descriptor(zyntax_io_fd(full_io)));
    }
    ~World() { gate.open(); }

    static int64_t wait(void *gate) { return static_cast<Gate *>(gate)->pass(); }

    std::vector<Maker> makers() {
        std::vector<Maker> all{
            [] { return zyntax_promise_sleep(UINT64_MAX - 1); },
            [this] { return zyntax_promise_read(io, buf, 1); },
            [this] { return zyntax_promise_write(full_io, buf, 1); },
            [this] { return zyntax_promise_ready(io, ZYNTAX_READABLE); },
            [this] { return zyntax_promise_accept(listener); },
            [this] { return zyntax_promise_connect("127.0.0.1", port_of(silent.fd)); },
            [this] { return zyntax_promise_send(crowded, &item); },
            [this] { return zyntax_promise_recv(empty, &item); },
            [this] { return zyntax_promise_timeout(zyntax_promise_read(io, buf, 1), 3'600'000 * ms); },
            [this] { return zyntax_promise_timeout(&sleeper.entry, 3'600'000 * ms); },
            [this] {
                zyntax_promise *promises[] = {zyntax_promise_recv(empty, &item), &sleeper.entry};
                return zyntax_promise_select(promises, 2);
            },
            [this] { return zyntax_promise_spawn_child(&sleeper.entry); },
        };
        if (has_threads) all.push_back([this] { return zyntax_promise_blocking(wait, &gate, 0); });
        return all;
    }
};

// A host's counts of the children that were reported to it, and of the children that were dropped.
struct Children {
    int made = 0, dropped = 0;

    zyntax_promise_hooks hooks() {
        zyntax_promise_hooks h{};
        h.size = sizeof h;
        h.ctx = this;
        h.child = [](void *ctx, const zyntax_promise *) {
            static_cast<Children *>(ctx)->made++;
            return ctx;
        };
        h.drop = [](void *ctx, int32_t) { static_cast<Children *>(ctx)->dropped++; };
        return h;
    }
};

} // namespace

TEST_CASE("a_cancelled_promise_says_so_and_holds_nothing_any_more") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    World w;
    settle(w.rt);
    auto before = w.rt.stats();
    std::vector<Maker> makers = w.makers();
    for (size_t i = 0; i < makers.size(); i++) {
        CAPTURE(i);
        for (bool polled_first : {false, true}) {
            zyntax_promise *leaf = nullptr;
            Compiled code({[&] {
                leaf = makers[i]();
                if (leaf && !polled_first) CHECK(zyntax_promise_cancel(leaf) == 0);
                return leaf;
            }});
            code.spawn(w.rt);
            settle(w.rt);
            if (polled_first) {
                REQUIRE(code.alive());
                CHECK(zyntax_promise_cancel(leaf) == 0);
            }
            CHECK(w.rt.drive_until([&] { return !code.alive(); }));
            CHECK(code.values == std::vector<int64_t>{ZYNTAX_ECANCELED});
            CHECK(zyntax_promise_cancel(leaf) == ZYNTAX_ESTALE);
            w.sleeper.state_id = 0;
            w.sleeper.awaited = nullptr;
        }
    }
    w.gate.open();
    CHECK(w.rt.drive_until([&] { return w.rt.stats().blocking_pending == 0; }));
    auto after = w.rt.stats();
    CHECK(after.tasks_alive == before.tasks_alive);
    CHECK(after.timers_pending == before.timers_pending);
    CHECK(after.io_open == before.io_open);
    CHECK(w.rt.idle_waits() <= idle_budget);
}

TEST_CASE("promises_end_with_their_task_at_every_moment") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    World w;
    std::vector<Maker> makers = w.makers();
    settle(w.rt);
    auto before = w.rt.stats();
    for (size_t i = 0; i < makers.size(); i++) {
        CAPTURE(i);
        for (int rounds = 0; rounds < 3; rounds++) {
            Compiled code({makers[i]});
            code.spawn(w.rt);
            for (int r = 0; r < rounds; r++) zyntax_runtime_turn(w.rt, 0);
            CHECK(zyntax_task_cancel(code.task) == 0);
            CHECK(w.rt.drive_until([&] { return !code.alive(); }));
            CHECK(code.result == ZYNTAX_ECANCELED);
            // A child goes on as a task of its own.
            w.rt.drive_until([&] { return w.rt.stats().tasks_alive == before.tasks_alive; }, 20);
            if (w.rt.stats().tasks_alive > before.tasks_alive) break;
            w.sleeper.state_id = 0;
            w.sleeper.awaited = nullptr;
        }
    }
    CHECK(w.rt.stats().io_open == before.io_open);
    CHECK(w.rt.stats().tasks_alive == before.tasks_alive + 1);
}

TEST_CASE("a_connection_that_came_and_was_not_asked_for_is_closed") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    Fd client = plain_client(uint16_t(zyntax_tcp_port(listener)));
    zyntax_promise *promises[1] = {};
    Compiled code({[&] {
                       promises[0] = zyntax_promise_accept(listener);
                       return zyntax_promise_select(promises, 1); // it has the connection, and keeps it
                   },
                   sleeping_for(UINT64_MAX - 1)});
    code.spawn(rt);
    CHECK(rt.drive_until([&] { return code.values.size() == 1; }));
    settle(rt);
    CHECK(rt.stats().io_open == 2);
    zyntax_task_cancel(code.task);
    CHECK(rt.drain());
    CHECK(rt.stats().io_open == 1);
}

TEST_CASE("a_connection_that_came_to_a_limit_is_closed_wherever_nobody_asked_for_it") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    for (bool connects : {false, true}) {
        for (int limits = 0; limits < 3; limits++) {
            for (int end = 0; end < 4; end++) {
                CAPTURE(connects);
                CAPTURE(limits);
                CAPTURE(end);
                Runtime rt;
                zyntax_io *listener = nullptr;
                REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
                auto port = uint16_t(zyntax_tcp_port(listener));
                Fd client;
                if (!connects) client = plain_client(port);
                zyntax_promise *limited = nullptr;
                Compiled code({[&] {
                                   limited = connects ? zyntax_promise_connect("127.0.0.1", port)
                                                      : zyntax_promise_accept(listener);
                                   for (int i = 0; i < limits; i++)
                                       limited = zyntax_promise_timeout(limited, 3'600'000 * ms);
                                   return zyntax_promise_select(&limited, 1); // it has the connection
                               },
                               [&] { return end == 3 ? limited : zyntax_promise_sleep(UINT64_MAX - 1); }});
                code.spawn(rt);
                CHECK(rt.drive_until([&] { return code.values.size() >= 1; }));
                settle(rt);
                CHECK(rt.stats().io_open == 2);
                if (end == 0) CHECK(zyntax_task_cancel(code.task) == 0);
                if (end == 1) rt.destroy();
                if (end == 2) {
                    CHECK(zyntax_promise_cancel(limited) == 0); // has come, and is there until the task ends
                    settle(rt);
                    CHECK(rt.stats().io_open == 2);
                    CHECK(zyntax_task_cancel(code.task) == 0);
                }
                if (end == 1) continue;
                CHECK(rt.drain());
                CHECK(rt.stats().io_open == (end == 3 ? 2 : 1));
                if (end == 3) CHECK(code.result > 0);
            }
        }
    }
}

TEST_CASE("a_poll_of_a_freed_promise_or_from_another_task_is_stale") {
    Runtime rt;
    zyntax_promise *leaf = nullptr;
    zyntax_promise copy{};
    Compiled code({[&] {
                       leaf = zyntax_promise_yield();
                       copy = *leaf;
                       return leaf;
                   },
                   [&] { return leaf; }});
    code.returns = [&](Compiled &self) { return self.values[1]; };
    Compiled other({sleeping_for(0), [&] { return leaf; }});
    other.returns = [&](Compiled &self) { return self.values[1]; };
    code.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(copy.poll(copy.state) == ZYNTAX_ESTALE); // outside of its task
    CHECK(run(rt, other) == ZYNTAX_ESTALE);        // in another one
    CHECK(rt.drain());
    CHECK(code.result == ZYNTAX_ESTALE);
    CHECK(leaf->poll(leaf->state) == ZYNTAX_ESTALE);
    // A copy of the two words never names a later promise.
    std::vector<Maker> many(2000, [] { return zyntax_promise_yield(); });
    many.push_back([&] { return &copy; });
    Compiled after(many);
    CHECK(run(rt, after) == ZYNTAX_ESTALE);
    rt.destroy();
    CHECK(copy.poll(copy.state) == ZYNTAX_ESTALE);
    CHECK(leaf->poll(leaf->state) == ZYNTAX_ESTALE); // memory that is never given back
}

TEST_CASE("a_child_is_cancelled_with_its_promise_and_outlives_its_parent") {
    Clock clock;
    Runtime rt(clock.config());
    Compiled child({sleeping_for(10 * ms)}), orphan({sleeping_for(10 * ms)});
    zyntax_promise *leaf = nullptr;
    Compiled code({[&] { return leaf = zyntax_promise_spawn_child(&child.entry); }});
    code.spawn(rt);
    settle(rt);
    CHECK(zyntax_promise_cancel(leaf) == 0);
    settle(rt);
    CHECK(code.result == ZYNTAX_ECANCELED);
    CHECK(child.polls == 1);

    Compiled parent({[&] { return zyntax_promise_spawn_child(&orphan.entry); }});
    parent.spawn(rt);
    settle(rt);
    zyntax_task_cancel(parent.task);
    settle(rt);
    CHECK(parent.result == ZYNTAX_ECANCELED);
    CHECK(rt.stats().tasks_alive == 1);
    clock.now += 10 * ms;
    CHECK(rt.drain());
    CHECK(orphan.values == std::vector<int64_t>{1});
}

TEST_CASE("whatever_allocation_fails_a_maker_gives_a_promise_that_fails_or_works") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    for (size_t kind = 0; kind < 15; kind++) {
        CAPTURE(kind);
        for (uint64_t n = 1; n < 12; n++) {
            Heap heap;
            bool has_failed = false;
            int made = 0, dropped = 0;
            {
                Runtime rt(heap.config());
                Pair pair = socket_pair();
                zyntax_io *io = adopt(rt, pair.near), *listener = nullptr;
                REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
                zyntax_channel *channel = channel_of(rt, 1, 40'000);
                std::vector<char> item(40'000);
                char buf[1];
                Compiled other({sleeping_for(UINT64_MAX - 1)});
                Children children;
                zyntax_promise *promises[] = {&other.entry};
                auto port = uint16_t(zyntax_tcp_port(listener));
                std::vector<Maker> makers{
                    [] { return zyntax_promise_sleep(0); },
                    [] { return zyntax_promise_yield(); },
                    [&] { return zyntax_promise_read(io, buf, 1); },
                    [&] { return zyntax_promise_write(io, buf, 1); },
                    [&] { return zyntax_promise_ready(io, ZYNTAX_READABLE); },
                    [&] { return zyntax_promise_accept(listener); },
                    [&] { return zyntax_promise_connect("127.0.0.1", port); },
                    [&] {
                        zyntax_promise_send(channel, item.data());
                        return zyntax_promise_send(channel, item.data()); // has to wait, with a copy
                    },
                    [&] { return zyntax_promise_recv(channel, item.data()); },
                    [&] { return zyntax_promise_timeout(&other.entry, 1); },
                    [&] { return zyntax_promise_select(promises, 1); },
                    [&] { return zyntax_promise_spawn_child(&other.entry); },
                    [&] { return zyntax_promise_blocking([](void *) { return int64_t(1); }, nullptr, 0); },
                    [&] { return zyntax_promise_timeout(zyntax_promise_timeout(zyntax_promise_sleep(1), 2), 3); },
                    [&] {
                        zyntax_promise *both[] = {zyntax_promise_accept(listener),
                                                  zyntax_promise_timeout(promises[0], 1)};
                        return zyntax_promise_select(both, 2);
                    },
                };
                zyntax_promise failure{};
                Compiled code({[&] {
                    heap.fail_at = n;
                    zyntax_promise *promise = makers[kind]();
                    REQUIRE(promise != nullptr);
                    failure = *promise;
                    has_failed = zyntax_promise_cancel(promise) == ZYNTAX_ESTALE;
                    return promise;
                }});
                zyntax_promise_hooks hooks = children.hooks();
                code.task = zyntax_promise_spawn_with(rt, &code.entry, &code.result, &hooks);
                REQUIRE(code.task != nullptr);
                settle(rt);
                heap.fail_at = 0;
                if (has_failed) CHECK(code.values == std::vector<int64_t>{ZYNTAX_ENOMEM});
                if (has_failed) CHECK(failure.poll(failure.state) == ZYNTAX_ENOMEM);
                zyntax_task_cancel(code.task);
                settle(rt);
                made = children.made;
                rt.destroy();
                dropped = children.dropped;
            }
            CHECK(heap.balanced());
            CHECK(dropped == made + 1); // and the task itself
            CHECK(made == (kind == 11));
            if (heap.failures == 0) break;
        }
    }
}

TEST_CASE("a_hundred_thousand_at_once_leave_nothing_and_the_second_time_allocate_nothing") {
    Clock clock;
    Heap heap;
    {
        Runtime rt(heap.config(clock.config()));
        int count = scaled(100'000);
        // In one task, through a list of its own; and one in each of as many tasks.
        std::vector<zyntax_promise *> leaves;
        uint64_t allocations = 0, in_use = 0;
        for (int round = 0; round < 2; round++) {
            int64_t sum = 0;
            Compiled one({});
            one.returns = [&](Compiled &self) -> int64_t {
                if (self.polls == 1) {
                    for (int i = 0; i < count; i++) leaves.push_back(zyntax_promise_sleep(ms));
                }
                while (!leaves.empty()) {
                    REQUIRE(leaves.back() != nullptr);
                    int64_t value = leaves.back()->poll(leaves.back()->state);
                    if (value == 0) return 0;
                    sum += value;
                    leaves.pop_back();
                }
                return 1;
            };
            std::vector<std::unique_ptr<Compiled>> many;
            for (int i = 0; i < count; i++) {
                many.push_back(std::make_unique<Compiled>(std::vector<Maker>{sleeping_for(ms)}));
                many.back()->spawn(rt);
            }
            one.spawn(rt);
            CHECK(rt.drive_until([&] { return one.polls > 0; })); // it is the last
            clock.now += ms;
            CHECK(rt.drain());
            CHECK(sum == count);
            CHECK(one.result == 1);
            for (auto &code : many) REQUIRE(code->result == 1);
            if (round == 0) {
                allocations = heap.allocations;
                in_use = rt.stats().bytes_in_use;
            }
        }
        CHECK(heap.allocations == allocations);
        CHECK(rt.stats().bytes_in_use == in_use);
    }
    CHECK(heap.balanced());
}
