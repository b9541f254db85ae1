// zyntax_runtime_get_stats: counters that move with their events, and gauges that come back.
#include "channel_support.h"

#include <cstddef>
#include <deque>

using namespace support;

TEST_CASE("a_fresh_runtime_has_counted_nothing") {
    Runtime rt;
    auto stats = rt.stats();
    CHECK(stats.size == sizeof stats);
    for (uint64_t counter : {stats.tasks_alive, stats.tasks_spawned, stats.polls, stats.wakes, stats.wakes_remote,
                             stats.kernel_waits, stats.kernel_events, stats.events_stale, stats.timers_pending,
                             stats.timers_fired, stats.io_open, stats.blocking_pending})
        CHECK(counter == 0);
    CHECK(stats.bytes_in_use <= stats.bytes_reserved);
}

TEST_CASE("tasks_polls_and_wakes_are_counted") {
    Runtime rt;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        waker->wake(waker->data);
        waker->wake(waker->data); // coalesces, but counts
        return task.polls == 10 ? POLL_READY : POLL_PENDING;
    };
    task.start();
    CHECK(rt.stats().tasks_alive == 1);
    CHECK(rt.stats().tasks_spawned == 1);
    CHECK(rt.drain());
    auto stats = rt.stats();
    CHECK(stats.tasks_alive == 0);
    CHECK(stats.tasks_spawned == 1);
    CHECK(stats.polls == 10);
    CHECK(stats.wakes >= 18);
    CHECK(stats.wakes <= 20);
    CHECK(stats.wakes_remote == 0);
}

TEST_CASE("wakes_of_tasks_that_have_ended_are_not_counted") {
    Runtime rt;
    Waker waker{};
    ScopedTask task(rt);
    task.on_poll = [&](Waker *w) {
        waker = *w;
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    uint64_t wakes = rt.stats().wakes;
    for (int i = 0; i < 10; i++) waker.wake(waker.data);
    CHECK(rt.stats().wakes == wakes);
}

TEST_CASE("wakes_from_other_threads_are_counted_apart") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Waker waker{};
    ScopedTask task(rt);
    task.on_poll = [&](Waker *w) {
        waker = *w;
        return POLL_PENDING;
    };
    task.start();
    settle(rt);
    uint64_t wakes = rt.stats().wakes;
    for (int round = 1; round <= 5; round++) {
        Thread([&] { waker.wake(waker.data); }).join();
        CHECK(rt.drive_until([&] { return task.polls == round + 1; }));
    }
    CHECK(rt.stats().wakes_remote == 5);
    CHECK(rt.stats().wakes == wakes);
}

TEST_CASE("timers_are_a_gauge_and_a_counter") {
    Runtime rt;
    std::deque<Await> timers;
    for (int i = 0; i < 5; i++) timers.emplace_back(rt, sleeping(rt, ms));
    Await forever(rt, sleeping(rt, 3'600'000 * ms));
    settle(rt);
    CHECK(rt.stats().timers_pending >= 1);
    CHECK(rt.stats().timers_pending <= 6);
    CHECK(rt.drive_until([&] { return rt.stats().tasks_alive == 1; }));
    CHECK(rt.stats().timers_pending == 1);
    CHECK(rt.stats().timers_fired == 5);
    forever.cancel();
    settle(rt);
    CHECK(rt.stats().timers_pending == 0);
    CHECK(rt.stats().timers_fired == 5);
}

TEST_CASE("kernel_waits_and_events_are_counted") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    CHECK(rt.stats().io_open == 1);
    char byte;
    for (int round = 0; round < 10; round++) {
        Await reader(rt, reading(io, &byte, 1));
        settle(rt);
        auto before = rt.stats();
        put(pair.far, "x");
        CHECK(rt.drain());
        CHECK(rt.stats().kernel_events == before.kernel_events + 1);
        CHECK(rt.stats().kernel_waits > before.kernel_waits);
    }
    CHECK(rt.stats().events_stale == 0);
    CHECK(zyntax_io_close(io) == 0);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("blocking_jobs_are_a_gauge") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Gate gate;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        auto job = [](void *arg) { return int64_t(static_cast<Gate *>(arg)->pass()); };
        return zyntax_blocking(rt, op, job, &gate, 0, waker, result);
    });
    CHECK(rt.stats().blocking_pending == 0);
    settle(rt);
    CHECK(rt.stats().blocking_pending == 1);
    gate.open();
    CHECK(rt.drain());
    CHECK(rt.stats().blocking_pending == 0);
}

TEST_CASE("bytes_in_use_come_back_and_never_exceed_what_is_reserved") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt;
    auto everything = [&] {
        std::deque<Await> tasks;
        zyntax_channel *channel = channel_of(rt, 10);
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        char byte;
        int item;
        void *state = zyntax_state_alloc(rt, 1000);
        for (int i = 0; i < 50; i++) {
            tasks.emplace_back(rt, sleeping(rt, 3'600'000 * ms));
            tasks.emplace_back(rt, reading(io, &byte, 1));
            tasks.emplace_back(rt, receiving(channel, &item));
        }
        settle(rt);
        auto stats = rt.stats();
        CHECK(stats.bytes_in_use <= stats.bytes_reserved);
        CHECK(stats.bytes_in_use >= 150 * 64);
        zyntax_state_free(rt, state, 1000);
        CHECK(zyntax_channel_destroy(channel) == 0);
        CHECK(zyntax_io_close(io) == 0);
    };
    everything(); // fills the caches
    everything(); // also after a cancelled poll whose end was not observed
    uint64_t in_use = rt.stats().bytes_in_use, reserved = rt.stats().bytes_reserved;
    everything();
    CHECK(rt.stats().bytes_in_use == in_use);
    CHECK(rt.stats().bytes_reserved == reserved);
}

TEST_CASE("a_shorter_struct_of_an_older_program_is_filled_as_far_as_it_goes") {
    Runtime rt;
    REQUIRE(zyntax_runtime_spawn(rt, nullptr, [](FutureState, Waker *) { return POLL_READY; }) != nullptr);
    zyntax_runtime_stats stats;
    std::memset(&stats, 0xee, sizeof stats);
    stats.size = offsetof(zyntax_runtime_stats, polls);
    CHECK(zyntax_runtime_get_stats(rt, &stats) == 0);
    CHECK(stats.size == offsetof(zyntax_runtime_stats, polls));
    CHECK(stats.tasks_alive == 1);
    CHECK(stats.tasks_spawned == 1);
    CHECK(stats.polls == 0xeeeeeeeeeeeeeeee);
    CHECK(stats.bytes_in_use == 0xeeeeeeeeeeeeeeee);

    stats.size = offsetof(zyntax_runtime_stats, tasks_spawned); // the least that makes sense
    CHECK(zyntax_runtime_get_stats(rt, &stats) == 0);
    CHECK(stats.size == offsetof(zyntax_runtime_stats, tasks_spawned));
}

TEST_CASE("a_longer_struct_of_a_newer_program_is_filled_as_far_as_it_is_known") {
    Runtime rt;
    struct Newer {
        zyntax_runtime_stats known;
        uint64_t more[4];
    } stats{};
    stats.known.size = sizeof stats;
    CHECK(zyntax_runtime_get_stats(rt, &stats.known) == 0);
    CHECK(stats.known.size == sizeof stats.known);
}

TEST_CASE("null_and_a_size_that_is_too_small_are_einval") {
    Runtime rt;
    zyntax_runtime_stats stats{};
    stats.size = sizeof stats;
    CHECK(zyntax_runtime_get_stats(rt, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_get_stats(nullptr, &stats) == ZYNTAX_EINVAL);
    for (size_t size : {size_t(0), size_t(1), offsetof(zyntax_runtime_stats, tasks_spawned) - 1}) {
        stats.size = size;
        CHECK(zyntax_runtime_get_stats(rt, &stats) == ZYNTAX_EINVAL);
    }
}
