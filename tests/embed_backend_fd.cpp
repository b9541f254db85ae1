// Embedding in a host's loop: the descriptor is readable exactly when a turn has work. It is -1 on systems without one.
#include "channel_support.h"
#include "host_support.h"
#include "io_support.h"

#include <algorithm>
#include <deque>

using namespace support;

namespace {

bool has_no_descriptor() {
    Runtime rt;
    return zyntax_runtime_backend_fd(rt) == -1;
}
#define NEEDS_DESCRIPTOR SKIP_WHEN(has_no_descriptor(), "this poller has no descriptor for a host to watch")

bool readable(zyntax_runtime *rt) { return wait_for(Descriptor(zyntax_runtime_backend_fd(rt)), POLLIN, 0); }

// A runtime with nothing left to do, watched by a host.
struct Embedded : Runtime {
    Embedded() { quieten(); }
    explicit Embedded(const zyntax_runtime_config &c) : Runtime(c) { quieten(); }
    void quieten() {
        REQUIRE(zyntax_runtime_backend_fd(rt) >= 0);
        settle(*this);
        REQUIRE_FALSE(readable(rt));
    }
    bool readable_soon() { return wait_for(Descriptor(zyntax_runtime_backend_fd(rt)), POLLIN); }
};

// A task that waits for its waker, which other threads can find.
struct Dozer {
    Waker waker{};
    ScopedTask task;
    explicit Dozer(Runtime &rt) : task(rt) {
        task.on_poll = [this](Waker *w) {
            waker = *w;
            return POLL_PENDING;
        };
        task.start();
        settle(rt);
    }
};

} // namespace

TEST_CASE("epoll_and_kqueue_have_a_descriptor_the_others_say_minus_one") {
    Runtime rt;
    std::string backend = zyntax_runtime_backend();
    bool has_one = (backend == "epoll" || backend == "kqueue") && !on_libkqueue;
    if (has_one) CHECK(zyntax_runtime_backend_fd(rt) >= 0);
    else CHECK(zyntax_runtime_backend_fd(rt) == -1);
}

TEST_CASE("asking_for_a_descriptor_that_is_not_there_changes_nothing") {
    Runtime rt;
    zyntax_runtime_backend_fd(rt);
    Dozer sleeper(rt);
    Thread([&] { sleeper.waker.wake(sleeper.waker.data); }).join();
    CHECK(rt.drive_until([&] { return sleeper.task.polls == 2; }));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_descriptor_of_an_idle_runtime_is_not_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Dozer sleeper(rt);
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await reader(rt, reading(io, &byte, 1));
    Await timer(rt, sleeping(rt, 3'600'000 * ms));
    settle(rt);
    CHECK_FALSE(readable(rt));
    CHECK(zyntax_runtime_backend_fd(rt) == zyntax_runtime_backend_fd(rt));
}

TEST_CASE("a_wake_from_another_thread_makes_it_readable_and_a_turn_makes_it_quiet") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Dozer sleeper(rt);
    for (int round = 1; round <= 20; round++) {
        CHECK_FALSE(readable(rt));
        Thread([&] { sleeper.waker.wake(sleeper.waker.data); }).join();
        CHECK(rt.readable_soon());
        zyntax_runtime_turn(rt, 0);
        settle(rt);
        CHECK(sleeper.task.polls == round + 1);
        CHECK_FALSE(readable(rt));
    }
}

TEST_CASE("a_post_from_another_thread_makes_it_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    int posted = 0;
    Thread([&] {
        CHECK(zyntax_runtime_post(
                  rt, [](void *n) { ++*static_cast<int *>(n); }, &posted) == 0);
    }).join();
    CHECK(rt.readable_soon());
    settle(rt);
    CHECK(posted == 1);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_cancel_from_another_thread_makes_it_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Dozer sleeper(rt);
    Thread([&] { CHECK(zyntax_task_cancel(sleeper.task.handle) == 0); }).join();
    CHECK(rt.readable_soon());
    settle(rt);
    CHECK(sleeper.task.drops == 1);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_spawn_outside_the_loop_makes_it_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Await task(rt, [](zyntax_op *, Waker *, int64_t *result) {
        *result = 1;
        return POLL_READY;
    });
    CHECK(readable(rt));
    settle(rt);
    CHECK(task.result == 1);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_wake_on_the_hosts_thread_outside_the_loop_makes_it_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Dozer sleeper(rt);
    sleeper.waker.wake(sleeper.waker.data);
    CHECK(readable(rt));
    settle(rt);
    CHECK(sleeper.task.polls == 2);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_readable_socket_makes_it_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await reader(rt, reading(io, &byte, 1));
    settle(rt);
    CHECK_FALSE(readable(rt));
    put(pair.far, "x");
    CHECK(rt.readable_soon());
    settle(rt);
    CHECK(reader.result == 1);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("closing_a_handle_outside_the_loop_makes_it_readable_if_somebody_waited") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    Await reader(rt, reading(io, &byte, 1));
    settle(rt);
    CHECK_FALSE(readable(rt));
    CHECK(zyntax_io_close(io) == 0);
    CHECK(rt.readable_soon());
    settle(rt);
    CHECK(reader.result == ZYNTAX_ECANCELED);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_blocking_job_that_ends_makes_it_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_blocking(
            rt, op, [](void *) { return int64_t(2); }, nullptr, 0, waker, result);
    });
    zyntax_runtime_turn(rt, 0);
    CHECK((!task.alive() || rt.readable_soon()));
    CHECK(rt.drain());
    settle(rt);
    CHECK(task.result == 2);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("tasks_that_a_small_budget_left_over_keep_it_readable") {
    NEEDS_DESCRIPTOR
    zyntax_runtime_config c = config();
    c.poll_budget = 2;
    Embedded rt(c);
    std::deque<Await> tasks;
    for (int i = 0; i < 7; i++) {
        tasks.emplace_back(rt, [](zyntax_op *, Waker *, int64_t *result) {
            *result = 1;
            return POLL_READY;
        });
    }
    int turns = 0;
    while (rt.stats().tasks_alive > 0 && turns < 20) {
        CHECK(readable(rt));
        CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
        zyntax_runtime_turn(rt, 0);
        turns++;
    }
    CHECK(turns >= 4);
    CHECK(turns <= 5);
    settle(rt);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_task_that_always_yields_keeps_it_readable_until_it_stops") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    bool stop = false;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        if (stop) return POLL_READY;
        waker->wake(waker->data);
        return POLL_PENDING;
    };
    task.start();
    for (int round = 0; round < 10; round++) {
        CHECK(readable(rt));
        zyntax_runtime_turn(rt, 0);
    }
    stop = true;
    settle(rt);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_host_that_polls_the_descriptor_and_the_next_timeout_runs_everything") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char buf[8];
    Await reader(rt, reading(io, buf, sizeof buf)), timer(rt, sleeping(rt, 10 * ms));
    Dozer sleeper(rt);
    Thread other([&] {
        put(pair.far, "hi");
        sleeper.waker.wake(sleeper.waker.data);
    });
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
    int turns = 0;
    while (reader.alive() || timer.alive() || sleeper.task.polls < 2) {
        int64_t timeout_ns = zyntax_runtime_next_timeout_ns(rt);
        int timeout_ms = timeout_ns < 0 ? 1000 : int((timeout_ns + int64_t(ms) - 1) / int64_t(ms));
        wait_for(Descriptor(zyntax_runtime_backend_fd(rt)), POLLIN, timeout_ms);
        zyntax_runtime_turn(rt, 0);
        turns++;
        REQUIRE(std::chrono::steady_clock::now() < end);
    }
    other.join();
    CHECK(reader.result == 2);
    CHECK(turns <= 12);
    settle(rt);
    CHECK_FALSE(readable(rt));
}

namespace {

// An operation with a waker of the host's own is fired outside a turn: a host that sleeps on the descriptor notices it.
void hears_of(Embedded &rt, const Operation &operation, const std::function<void()> &event) {
    HostOp host(operation);
    CHECK(host.call() == POLL_PENDING);
    settle(rt);
    CHECK_FALSE(readable(rt));
    event();
    CHECK(host.host.wakes == 0);
    for (int turns = 0; host.host.wakes == 0 && turns < 3; turns++) {
        CHECK(readable(rt));
        CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
        zyntax_runtime_turn(rt, 0);
    }
    CHECK(host.host.wakes == 1);
    CHECK(host.call() == POLL_READY);
    settle(rt);
    CHECK_FALSE(readable(rt));
}

} // namespace

TEST_CASE("a_channel_call_outside_the_loop_makes_it_readable_if_a_host_waited") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    zyntax_channel *empty = channel_of(rt, 1), *full = channel_of(rt, 1);
    int item = 1, out = 0;
    CHECK(at_once(sending(full, &item)) == 0);
    hears_of(rt, receiving(empty, &out), [&] { CHECK(at_once(sending(empty, &item)) == 0); });
    hears_of(rt, sending(full, &item), [&] { CHECK(at_once(receiving(full, &out)) == 1); });
    hears_of(rt, receiving(empty, &out), [&] { CHECK(zyntax_channel_close(empty) == 0); });
    hears_of(rt, sending(full, &item), [&] { CHECK(zyntax_channel_close(full) == 0); });
    for (int round = 0; round < 2; round++) {
        empty = channel_of(rt, 1);
        full = channel_of(rt, 1);
        CHECK(at_once(sending(full, &item)) == 0);
        hears_of(rt, receiving(empty, &out), [&] { CHECK(zyntax_channel_destroy(empty) == 0); });
        hears_of(rt, sending(full, &item), [&] { CHECK(zyntax_channel_destroy(full) == 0); });
    }
}

TEST_CASE("a_turn_that_is_passed_on_outside_the_loop_makes_it_readable_if_a_host_waited") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1, out = 0;
    HostOp first(receiving(channel, &out));
    CHECK(first.call() == POLL_PENDING);
    hears_of(rt, receiving(channel, &out), [&] {
        CHECK(at_once(sending(channel, &item)) == 0);
        first.cancel();
    });
    CHECK(first.host.wakes == 0);
}

TEST_CASE("closing_or_detaching_a_handle_outside_the_loop_makes_it_readable_if_a_host_waited") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    char byte = 0;
    for (bool detach : {false, true}) {
        CAPTURE(detach);
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near), *listener = nullptr, *accepted = nullptr;
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        auto end = [&](zyntax_io *handle) {
            intptr_t fd = -1;
            CHECK((detach ? zyntax_io_detach(handle, &fd) : zyntax_io_close(handle)) == 0);
            if (detach) close_descriptor(Descriptor(fd));
        };
        hears_of(rt, detach ? readiness(io, ZYNTAX_READABLE) : reading(io, &byte, 1), [&] { end(io); });
        hears_of(rt, accepting(listener, &accepted), [&] { end(listener); });
    }
}

TEST_CASE("the_end_of_a_task_that_was_cancelled_outside_the_loop_makes_it_readable_if_a_host_joined_it") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Dozer sleeper(rt);
    zyntax_task *handle = sleeper.task.handle;
    hears_of(
        rt, [handle](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_task_join(handle, op, w, r); },
        [handle] { CHECK(zyntax_task_cancel(handle) == 0); });
}

TEST_CASE("a_cancel_outside_the_loop_makes_it_readable_until_the_joiner_has_run") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Dozer sleeper(rt);
    Await joiner(rt,
                 [&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_task_join(sleeper.task.handle, op, w, r); });
    settle(rt);
    CHECK_FALSE(readable(rt));
    CHECK(zyntax_task_cancel(sleeper.task.handle) == 0);
    for (int turns = 0; joiner.alive() && turns < 5; turns++) {
        CHECK(readable(rt));
        zyntax_runtime_turn(rt, 0);
    }
    CHECK(joiner.result == 0);
    settle(rt);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_stop_outside_the_loop_makes_it_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    Dozer sleeper(rt);
    zyntax_runtime_stop(rt);
    CHECK(readable(rt));
    CHECK(zyntax_runtime_turn(rt, 0) == ZYNTAX_ECANCELED);
    settle(rt);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("a_turn_with_a_task_that_ends_without_taking_its_item_leaves_it_readable_for_the_next") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1, out = 0;
    zyntax_op forgotten = 0;
    ScopedTask first(rt);
    first.on_poll = [&](Waker *waker) {
        int64_t result = unfinished;
        if (first.polls > 1) return POLL_READY;
        return zyntax_channel_recv(channel, &forgotten, &out, waker, &result);
    };
    first.start();
    Await next(rt, receiving(channel, &out));
    settle(rt);
    CHECK(at_once(sending(channel, &item)) == 0);
    for (int turns = 0; next.alive() && turns < 5; turns++) {
        CHECK(readable(rt));
        zyntax_runtime_turn(rt, 0);
    }
    CHECK(next.result == 1);
    settle(rt);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("an_operation_that_begins_outside_the_loop_for_a_task_that_has_ended_makes_it_readable") {
    NEEDS_DESCRIPTOR
    Runtime other;
    Waker stale{};
    {
        Dozer ended(other);
        stale = ended.waker;
    }
    Embedded rt;
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(rt, 1, sizeof(int), &channel) == 0);
    uint64_t in_use = rt.stats().bytes_in_use;
    zyntax_op op = 0;
    int item = 0;
    int64_t result = unfinished;
    CHECK(zyntax_channel_recv(channel, &op, &item, &stale, &result) == POLL_PENDING);
    CHECK(readable(rt));
    zyntax_runtime_turn(rt, 0);
    CHECK(rt.stats().bytes_in_use == in_use);
    settle(rt);
    CHECK_FALSE(readable(rt));
}

TEST_CASE("wakers_of_hosts_that_are_left_for_the_next_turn_keep_it_readable") {
    NEEDS_DESCRIPTOR
    Embedded rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1, out = 0;
    HostOp host(receiving(channel, &out));
    host.host.action = [&] { // goes on for as long as it is called
        if (host.call() == POLL_READY) CHECK(host.call() == POLL_PENDING);
        if (host.host.wakes < 5) CHECK(at_once(sending(channel, &item)) == 0);
    };
    CHECK(host.call() == POLL_PENDING);
    settle(rt);
    CHECK(at_once(sending(channel, &item)) == 0);
    int turns = 0;
    for (; host.host.wakes < 5 && turns < 20; turns++) {
        CHECK(readable(rt));
        zyntax_runtime_turn(rt, 0);
    }
    CHECK(turns >= 4);
    settle(rt);
    CHECK_FALSE(readable(rt));
}

// An edge-triggered host takes one turn for each edge: events that a turn leaves in the kernel cause another edge.
TEST_CASE("a_host_that_hears_edges_only_serves_more_descriptors_than_one_wait_reports") {
    NEEDS_DESCRIPTOR
    SKIP_WHEN(!EdgeWatch::exists, "there are no hosts of that kind")
    Embedded rt;
    constexpr size_t many = 900;
    std::vector<Pair> pairs;
    std::deque<Reader> readers;
    for (size_t i = 0; i < many; i++) {
        pairs.push_back(socket_pair());
        readers.emplace_back(rt, adopt(rt, pairs.back().near), 1);
    }
    auto count = [&] {
        return size_t(std::count_if(readers.begin(), readers.end(), [](Reader &r) { return !r.alive(); }));
    };
    EdgeWatch watch(Descriptor(zyntax_runtime_backend_fd(rt)));
    while (watch.has_edge(0)) zyntax_runtime_turn(rt, 0);
    for (Pair &pair : pairs) put(pair.far, "x");
    while (count() < many && watch.has_edge(deadline_ms)) zyntax_runtime_turn(rt, 0);
    CHECK(count() == many);
    while (watch.has_edge(0)) zyntax_runtime_turn(rt, 0);
    CHECK_FALSE(readable(rt));
    CHECK(rt.stats().kernel_waits < many);
}

TEST_CASE("a_host_that_hears_edges_only_hears_another_one_after_a_turn_that_was_stopped_before_it_looked") {
    NEEDS_DESCRIPTOR
    SKIP_WHEN(!EdgeWatch::exists, "there are no hosts of that kind")
    Embedded rt;
    Pair pair = socket_pair();
    Reader reader(rt, adopt(rt, pair.near), 1);
    EdgeWatch watch(Descriptor(zyntax_runtime_backend_fd(rt)));
    while (watch.has_edge(0)) zyntax_runtime_turn(rt, 0);
    put(pair.far, "x");
    zyntax_runtime_stop(rt);
    CHECK(watch.has_edge(deadline_ms));
    CHECK(zyntax_runtime_turn(rt, 0) == ZYNTAX_ECANCELED);
    while (reader.alive() && watch.has_edge(deadline_ms)) zyntax_runtime_turn(rt, 0);
    CHECK_FALSE(reader.alive());
    while (watch.has_edge(0)) zyntax_runtime_turn(rt, 0);
    CHECK_FALSE(readable(rt));
}

// With a timer the clock is read for the second time between the loop's decision to wait and its spinning.
TEST_CASE("a_host_that_hears_edges_only_hears_of_all_events_when_work_comes_while_a_turn_spins") {
    NEEDS_DESCRIPTOR
    SKIP_WHEN(!EdgeWatch::exists, "there are no hosts of that kind");
    struct Clock {
        zyntax_runtime *posts_to = nullptr;
        int reads_before = 0;
        static uint64_t read(void *clock) {
            auto *self = static_cast<Clock *>(clock);
            if (!self->posts_to || self->reads_before-- > 0) return 1;
            zyntax_runtime *rt = std::exchange(self->posts_to, nullptr);
            Thread([rt] {
                CHECK(zyntax_runtime_post(
                          rt, [](void *) {}, nullptr) == 0);
            }).join();
            return 1;
        }
    } clock;
    auto c = config();
    c.spin_us = 1'000'000;
    c.clock_ns = Clock::read;
    c.clock_ctx = &clock;
    Embedded rt(c);
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte = 0;
    Await reader(rt, reading(io, &byte, 1)), timer(rt, sleeping(rt, 3'600'000 * ms));
    EdgeWatch watch(Descriptor(zyntax_runtime_backend_fd(rt)));
    while (watch.has_edge(0)) zyntax_runtime_turn(rt, 0);
    put(pair.far, "x");
    CHECK(watch.has_edge(deadline_ms));
    clock.posts_to = rt;
    clock.reads_before = 1;
    zyntax_runtime_turn(rt, int64_t(ms));
    CHECK_FALSE(clock.posts_to);
    while (reader.alive() && watch.has_edge(0)) zyntax_runtime_turn(rt, 0);
    CHECK(reader.result == 1);
}
