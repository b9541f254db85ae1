// Only the loop calls a host's waker, and never after its operation was cancelled or has completed: the host may have
// freed the waker's data.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"

#include <array>
#include <deque>
#include <vector>

using namespace support;

namespace {

// Two hosts that wait for the same event, and the action that causes it.
struct Scene {
    Heap heap;
    Clock clock;
    Runtime rt{heap.config(clock.config())};
    std::array<std::unique_ptr<HostOp>, 2> hosts;
    zyntax_channel *channel = nullptr, *spare = channel_of(rt, 1);
    zyntax_io *io = nullptr, *accepted = nullptr;
    Pair pair;
    Fd clients[2];
    Held held;
    std::deque<ScopedTask> tasks;
    std::vector<zyntax_task *> handles;
    int item = 1;
    char byte = 0;
    std::function<void()> event;
    std::vector<zyntax_op> filling;

    ~Scene() {
        heap.fail_at = 0;
        held.gate.open();
        for (auto &host : hosts) host->cancel();
        tasks.clear();
        rt.destroy();
        CHECK(heap.balanced());
        for (auto &host : hosts) {
            CHECK_FALSE(host->host.was_late);
            CHECK_FALSE(host->host.was_inline);
        }
    }
    void wait(const Operation &operation) {
        for (auto &host : hosts) {
            host = std::make_unique<HostOp>(operation);
            REQUIRE(host->call() == POLL_PENDING);
        }
        settle(rt);
    }
    int wakes() const { return hosts[0]->host.wakes + hosts[1]->host.wakes; }
    // The event, inside which no waker may be called.
    void happen() {
        for (auto &host : hosts) host->host.busy = true;
        event();
        for (auto &host : hosts) host->host.busy = false;
    }
    // From here on there is no memory: not from the allocator, and not in the tables that it filled.
    void exhaust() {
        heap.persistent = true;
        heap.fail_at = 1;
        filling.assign(100'000, 0);
        Waker waker = nobody();
        int64_t result = unfinished;
        for (zyntax_op &op : filling)
            if (zyntax_channel_recv(spare, &op, &item, &waker, &result) == POLL_READY) break;
        CHECK(result == ZYNTAX_ENOMEM);
    }
    // As exhaust, until the runtime is destroyed, and also during the destroy.
    void exhaust_to_the_end(zyntax_runtime *runtime) {
        auto timers = [runtime] {
            zyntax_runtime_stats stats{};
            stats.size = sizeof stats;
            zyntax_runtime_get_stats(runtime, &stats);
            return stats.timers_pending;
        };
        heap.persistent = true;
        heap.fail_at = 1;
        filling.assign(100'000, 0);
        Waker waker = nobody();
        for (zyntax_op &op : filling) {
            uint64_t before = timers();
            zyntax_sleep(runtime, &op, 3'600'000 * ms, &waker);
            if (timers() > before) continue;
            zyntax_op_cancel(&op);
            return;
        }
        FAIL_CHECK("there is always memory");
    }
};

using Kind = void (*)(Scene &);

// ---- events that the host causes by a call ----

void an_item(Scene &s) {
    s.channel = channel_of(s.rt, 2);
    s.wait(receiving(s.channel, &s.item));
    s.event = [&] {
        for (int i = 0; i < 2; i++) CHECK(at_once(sending(s.channel, &s.item)) == 0);
    };
}
void room(Scene &s) {
    s.channel = channel_of(s.rt, 2);
    for (int i = 0; i < 2; i++) CHECK(at_once(sending(s.channel, &s.item)) == 0);
    s.wait(sending(s.channel, &s.item));
    s.event = [&] {
        int out = 0;
        for (int i = 0; i < 2; i++) CHECK(at_once(receiving(s.channel, &out)) == 1);
    };
}
void the_end_of_a_channel_for_a_receiver(Scene &s) {
    an_item(s);
    s.event = [&] { CHECK(zyntax_channel_close(s.channel) == 0); };
}
void the_end_of_a_channel_for_a_sender(Scene &s) {
    room(s);
    s.event = [&] { CHECK(zyntax_channel_close(s.channel) == 0); };
}
void the_destruction_of_a_channel_for_a_receiver(Scene &s) {
    an_item(s);
    s.event = [&] { CHECK(zyntax_channel_destroy(s.channel) == 0); };
}
void the_destruction_of_a_channel_for_a_sender(Scene &s) {
    room(s);
    s.event = [&] { CHECK(zyntax_channel_destroy(s.channel) == 0); };
}
void the_closing_of_a_handle(Scene &s) {
    s.io = adopt(s.rt, (s.pair = socket_pair()).near);
    s.wait(reading(s.io, &s.byte, 1));
    s.event = [&] { CHECK(zyntax_io_close(s.io) == 0); };
}
void the_detaching_of_a_handle(Scene &s) {
    s.io = adopt(s.rt, (s.pair = socket_pair()).near);
    s.wait(readiness(s.io, ZYNTAX_READABLE));
    s.event = [&] {
        intptr_t fd = -1;
        CHECK(zyntax_io_detach(s.io, &fd) == 0);
        close_descriptor(Descriptor(fd));
    };
}
void the_closing_of_a_listener(Scene &s) {
    REQUIRE(zyntax_tcp_listen(s.rt, "127.0.0.1", 0, &s.io) == 0);
    s.wait(accepting(s.io, &s.accepted));
    s.event = [&] { CHECK(zyntax_io_close(s.io) == 0); };
}

std::vector<Kind> calls() {
    std::vector<Kind> all{an_item,
                          room,
                          the_end_of_a_channel_for_a_receiver,
                          the_end_of_a_channel_for_a_sender,
                          the_destruction_of_a_channel_for_a_receiver,
                          the_destruction_of_a_channel_for_a_sender};
    if constexpr (has_sockets) {
        all.push_back(the_closing_of_a_handle);
        all.push_back(the_detaching_of_a_handle);
        all.push_back(the_closing_of_a_listener);
    }
    return all;
}

// ---- events that the loop finds ----

// A task that the event ends.
void park(Scene &s) {
    ScopedTask &task = s.tasks.emplace_back(s.rt);
    task.on_poll = [](Waker *) { return POLL_PENDING; };
    task.start();
    s.handles.push_back(task.handle);
    s.event = [&] {
        for (zyntax_task *handle : s.handles) CHECK(zyntax_task_cancel(handle) == 0);
    };
}
void the_end_of_a_task(Scene &s) {
    park(s);
    s.wait([&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_task_join(s.handles[0], op, w, r); });
}
void the_end_of_a_task_until_a_deadline(Scene &s) {
    park(s);
    s.wait(
        [&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_join_until(s.handles[0], op, UINT64_MAX - 1, w, r); });
}
void the_end_of_all_of_some_tasks(Scene &s) {
    for (int i = 0; i < 3; i++) park(s);
    s.wait([&](zyntax_op *op, Waker *w, int64_t *r) {
        *r = 0;
        return zyntax_join_all(s.handles.data(), s.handles.size(), op, w);
    });
}
void the_end_of_one_of_some_tasks(Scene &s) {
    for (int i = 0; i < 3; i++) park(s);
    s.wait([&](zyntax_op *op, Waker *w, int64_t *r) {
        return zyntax_select(s.handles.data(), s.handles.size(), op, w, r);
    });
}
void a_time(Scene &s) {
    s.wait(sleeping(s.rt, 20 * ms));
    s.event = [&s] { s.clock.now += 20 * ms; };
}
void a_deadline_of_a_join(Scene &s) {
    park(s);
    uint64_t due = zyntax_now_ns(s.rt) + 20 * ms;
    s.wait([&s, due](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_join_until(s.handles[0], op, due, w, r); });
    s.event = [&s] { s.clock.now += 20 * ms; };
}
void a_byte(Scene &s) {
    s.io = adopt(s.rt, (s.pair = socket_pair()).near);
    s.wait(reading(s.io, &s.byte, 1));
    s.event = [&] { deliver(s.pair.far, s.io, "x"); };
}
void the_readiness_of_a_handle(Scene &s) {
    s.io = adopt(s.rt, (s.pair = socket_pair()).near);
    s.wait(readiness(s.io, ZYNTAX_READABLE));
    s.event = [&] { deliver(s.pair.far, s.io, "x"); };
}
void room_in_a_socket(Scene &s) {
    s.io = adopt(s.rt, (s.pair = socket_pair()).near);
    make_nonblocking(Descriptor(zyntax_io_fd(s.io)));
    fill(Descriptor(zyntax_io_fd(s.io)));
    s.wait(writing(s.io, &s.byte, 1));
    s.event = [&] { take(s.pair.far); };
}
void a_client(Scene &s) {
    REQUIRE(zyntax_tcp_listen(s.rt, "127.0.0.1", 0, &s.io) == 0);
    s.wait(accepting(s.io, &s.accepted));
    s.event = [&] {
        for (Fd &client : s.clients) {
            client = plain_client(uint16_t(zyntax_tcp_port(s.io)));
            CHECK(wait_for(client, POLLOUT));
        }
    };
}
void a_job(Scene &s) {
    s.wait([&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_blocking(s.rt, op, Held::job, &s.held, 0, w, r); });
    s.event = [&] {
        s.held.gate.open();
        CHECK(eventually([&] { return s.held.ended == 2; }));
    };
}
void a_connection_to_a_name(Scene &s) {
    REQUIRE(zyntax_tcp_listen(s.rt, "127.0.0.1", 0, &s.io) == 0);
    auto port = uint16_t(zyntax_tcp_port(s.io));
    for (auto &host : s.hosts) {
        host = std::make_unique<HostOp>(connecting(s.rt, "localhost", port, &s.accepted));
        REQUIRE(host->call() == POLL_PENDING);
    }
    s.event = [] {};
}

std::vector<Kind> events() {
    std::vector<Kind> all{the_end_of_a_task,
                          the_end_of_a_task_until_a_deadline,
                          the_end_of_all_of_some_tasks,
                          the_end_of_one_of_some_tasks,
                          a_time,
                          a_deadline_of_a_join};
    if constexpr (has_sockets) {
        for (Kind kind : {a_byte, the_readiness_of_a_handle, room_in_a_socket, a_client, a_connection_to_a_name})
            all.push_back(kind);
    }
    if constexpr (has_threads) all.push_back(a_job);
    return all;
}

std::vector<Kind> everything() {
    std::vector<Kind> all = calls();
    for (Kind kind : events()) all.push_back(kind);
    return all;
}

// Runs `action` for every kind of wait, with memory and without.
template <class Action> void for_each(const std::vector<Kind> &kinds, Action action) {
    for (size_t i = 0; i < kinds.size(); i++) {
        for (bool without_memory : {false, true}) {
            CAPTURE(i);
            CAPTURE(without_memory);
            Scene scene;
            kinds[i](scene);
            action(scene, without_memory);
        }
    }
}

// Where user code runs: prepared beforehand, as there may be no memory when it is needed.
struct Places {
    enum Place { outside, in_a_poll, in_a_drop, in_a_posted_function, in_a_waker };
    Scene &scene;
    zyntax_channel *bell = channel_of(scene.rt, 1, 0);
    Waker waker{};
    std::function<void()> action = [] {};
    ScopedTask polled{scene.rt}, dropped{scene.rt};
    HostOp woken{receiving(bell, nullptr)};
    bool done = false;

    explicit Places(Scene &s) : scene(s) {
        polled.on_poll = [this](Waker *w) {
            waker = *w;
            if (polled.polls == 2) act();
            return POLL_PENDING;
        };
        dropped.on_poll = [](Waker *) { return POLL_PENDING; };
        polled.start();
        dropped.start();
        CHECK(woken.call() == POLL_PENDING);
        settle(scene.rt);
    }
    void act() {
        action();
        done = true;
    }
    static void post(void *self) { static_cast<Places *>(self)->act(); }
    void run(Place place, std::function<void()> what) {
        action = std::move(what);
        switch (place) {
        case outside:
            act();
            break;
        case in_a_poll:
            waker.wake(waker.data);
            break;
        case in_a_drop:
            dropped.on_drop = [this](int32_t) { act(); };
            zyntax_task_cancel(dropped.handle);
            break;
        case in_a_posted_function:
            CHECK(zyntax_runtime_post(scene.rt, post, this) == 0);
            break;
        case in_a_waker:
            woken.host.action = [this] { act(); };
            CHECK(at_once(sending(bell, nullptr)) == 0);
            break;
        }
        settle(scene.rt);
        CHECK(done);
    }
};

constexpr Places::Place all_places[] = {Places::outside, Places::in_a_poll, Places::in_a_drop,
                                        Places::in_a_posted_function, Places::in_a_waker};

void in_every_place(const std::vector<Kind> &kinds, const std::function<void(Scene &)> &action,
                    const std::function<void(Scene &)> &check) {
    for (Places::Place place : all_places) {
        CAPTURE(place);
        for_each(kinds, [&](Scene &scene, bool without_memory) {
            if (without_memory && place == Places::in_a_posted_function) return; // that takes some
            Places places(scene);
            if (without_memory) scene.exhaust();
            places.run(place, [&] { action(scene); });
            settle(scene.rt);
            check(scene);
            scene.heap.fail_at = 0;
        });
    }
}

} // namespace

TEST_CASE("a_host_is_not_called_after_it_cancelled_an_op_that_had_been_fired") {
    in_every_place(
        calls(),
        [](Scene &s) {
            s.happen();
            for (auto &host : s.hosts) host->cancel();
        },
        [](Scene &s) { CHECK(s.wakes() == 0); });
}

TEST_CASE("a_host_is_not_called_after_it_cancelled_an_op_whose_event_had_come") {
    in_every_place(
        events(),
        [](Scene &s) {
            s.happen();
            for (auto &host : s.hosts) host->cancel();
        },
        [](Scene &s) { CHECK_FALSE((s.hosts[0]->host.was_late || s.hosts[1]->host.was_late)); });
}

TEST_CASE("the_first_host_that_is_called_may_cancel_the_op_of_the_next") {
    for_each(everything(), [](Scene &s, bool without_memory) {
        for (int i = 0; i < 2; i++) s.hosts[size_t(i)]->host.action = [&s, i] { s.hosts[size_t(1 - i)]->cancel(); };
        if (without_memory) s.exhaust();
        s.happen();
        CHECK(s.rt.drive_until([&] { return s.wakes() > 0; }));
        settle(s.rt);
        CHECK(s.wakes() == 1);
    });
}

TEST_CASE("a_host_is_called_once_by_the_loop_whoever_made_it_happen") {
    in_every_place(
        everything(), [](Scene &s) { s.happen(); },
        [](Scene &s) {
            CHECK(s.rt.drive_until([&] { return s.hosts[0]->host.wakes > 0 && s.hosts[1]->host.wakes > 0; }));
            settle(s.rt);
            CHECK(s.wakes() == 2);
        });
}

TEST_CASE("a_host_is_not_called_after_its_call_was_ready") {
    in_every_place(
        calls(),
        [](Scene &s) {
            s.happen();
            for (auto &host : s.hosts) CHECK(host->call() == POLL_READY); // before the loop could call it
        },
        [](Scene &s) { CHECK(s.wakes() == 0); });
}

TEST_CASE("a_host_is_not_called_with_a_waker_that_it_replaced") {
    for_each(everything(), [](Scene &s, bool without_memory) {
        HostOp later(s.hosts[0]->operation);
        later.op = s.hosts[0]->op;
        CHECK(later.call() == POLL_PENDING);
        s.hosts[0]->op = 0;
        s.hosts[0]->host.given_up = true; // was_late, should it be called
        if (without_memory) s.exhaust();
        s.happen();
        CHECK(s.rt.drive_until([&] { return later.host.wakes > 0; }));
        settle(s.rt);
        CHECK(later.host.wakes == 1);
        CHECK(s.hosts[0]->host.wakes == 0);
    });
}

TEST_CASE("a_host_that_gives_up_all_when_the_runtime_is_destroyed_is_called_once_at_most") {
    for (bool before : {true, false}) {
        for_each(everything(), [&](Scene &s, bool without_memory) {
            for (auto &host : s.hosts)
                host->host.action = [&s] {
                    for (auto &one : s.hosts) one->cancel();
                };
            if (without_memory) s.exhaust();
            if (before) s.happen();
            s.held.gate.open();
            s.rt.destroy();
            CHECK(s.wakes() <= 1);
        });
    }
}

TEST_CASE("of_many_hosts_each_may_cancel_all_that_are_left") {
    for (bool without_memory : {false, true}) {
        Heap heap;
        Runtime rt(heap.config());
        zyntax_channel *channel = channel_of(rt, 1);
        int item = 0;
        std::deque<HostOp> hosts;
        for (int i = 0; i < 100; i++) {
            HostOp &host = hosts.emplace_back(receiving(channel, &item));
            CHECK(host.call() == POLL_PENDING);
            host.host.action = [&hosts] {
                for (HostOp &other : hosts) other.cancel();
            };
        }
        heap.persistent = true;
        heap.fail_at = without_memory;
        CHECK(zyntax_channel_close(channel) == 0);
        settle(rt);
        int wakes = 0;
        for (HostOp &host : hosts) wakes += host.host.wakes;
        CHECK(wakes == 1);
        heap.fail_at = 0;
    }
}

TEST_CASE("a_host_that_sleeps_without_memory_is_called_by_the_loop") {
    Scene s;
    an_item(s);
    s.exhaust();
    HostOp sleeper(sleeping(s.rt, 3'600'000 * ms));
    CHECK(sleeper.call() == POLL_PENDING);
    CHECK_FALSE(sleeper.host.was_inline);
    settle(s.rt);
    CHECK(sleeper.host.wakes <= 1);
}

TEST_CASE("destroy_returns_though_a_hosts_waker_begins_a_wait_in_each_call") {
    constexpr int many = 1000;
    for (bool without_memory : {false, true}) {
        for (int kind = 0; kind < 6; kind++) {
            CAPTURE(without_memory);
            CAPTURE(kind);
            Scene s;
            an_item(s);
            Await parked(s.rt, receiving(s.channel, &s.item));
            settle(s.rt);
            zyntax_runtime *rt = s.rt;
            zyntax_task *task = parked.task.handle;
            if (without_memory) s.exhaust_to_the_end(rt);
            const Operation operations[] = {
                sleeping(rt, 3'600'000 * ms),
                [=](zyntax_op *op, Waker *waker, int64_t *result) {
                    *result = 0;
                    return zyntax_sleep_until(rt, op, UINT64_MAX, waker);
                },
                [=](zyntax_op *op, Waker *waker, int64_t *result) {
                    *result = 0;
                    return zyntax_join_all(&task, 1, op, waker);
                },
                [=](zyntax_op *op, Waker *waker, int64_t *result) {
                    return zyntax_join_until(task, op, UINT64_MAX, waker, result);
                },
                [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_task_join(task, op, waker, result); },
                [=](zyntax_op *op, Waker *waker, int64_t *result) {
                    return zyntax_blocking(rt, op, Held::job, nullptr, 0, waker, result);
                }};
            HostOp sleeper(operations[0]);
            HostOp other(operations[kind]);
            for (HostOp *host : {&sleeper, &other}) {
                host->host.action = [host] {
                    if (host->host.wakes < many) host->call();
                };
                // Only the waker asks for operations that end at once.
                if (kind != 5 || host == &sleeper) host->call();
            }
            for (auto &waiting : s.hosts) // these are called as the runtime ends
                waiting->host.action = [&] {
                    sleeper.cancel();
                    other.cancel();
                    if (without_memory) s.exhaust_to_the_end(rt);
                    sleeper.call();
                    other.call();
                };
            s.rt.destroy();
            CHECK(sleeper.host.wakes < many);
            CHECK(other.host.wakes < many);
        }
    }
}

TEST_CASE("destroy_returns_though_a_posted_function_posts_itself_from_inside_another_runtime") {
    struct Again {
        zyntax_runtime *ending, *other;
        int calls = 0;
        static void call(void *self) {
            auto *again = static_cast<Again *>(self);
            again->calls++;
            if (again->calls == 1000) return;
            Task task{[again](Waker *) {
                zyntax_runtime_post(again->ending, call, again);
                return POLL_READY;
            }};
            task.spawn(again->other);
            zyntax_runtime_turn(again->other, 0);
        }
    };
    Runtime ending, other;
    Again again{ending, other};
    CHECK(zyntax_runtime_post(ending, Again::call, &again) == 0);
    ending.destroy();
    CHECK(again.calls >= 1);
    CHECK(again.calls < 1000);
}
