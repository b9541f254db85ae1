// Nothing starves: neither the tasks behind busy tasks, nor I/O, timers, posted calls and remote wakes.
#include "support.h"

#include <algorithm>
#include <vector>

using namespace support;

namespace {

constexpr int budget = 64;

zyntax_runtime_config small_budget() {
    auto c = config();
    c.poll_budget = budget;
    return c;
}

// A task that is always ready, until `stop` says so.
struct Busy : Task {
    bool stop = false;
    std::function<void()> each = nullptr;
    Busy() {
        on_poll = [this](Waker *waker) {
            if (each) each();
            waker->wake(waker->data);
            return stop ? POLL_READY : POLL_PENDING;
        };
    }
};

} // namespace

TEST_CASE("always_ready_tasks_are_polled_equally_often") {
    Runtime rt;
    std::vector<Busy> tasks(1000);
    for (auto &task : tasks) task.spawn(rt);
    for (int turn = 0; turn < 400; turn++) {
        REQUIRE(zyntax_runtime_turn(rt, 0) == 1000);
        auto less = [](const Busy &a, const Busy &b) { return a.polls < b.polls; };
        auto [least, most] = std::minmax_element(tasks.begin(), tasks.end(), less);
        REQUIRE(most->polls - least->polls <= 1);
    }
    CHECK(tasks[0].polls >= 400 / 4); // 256 polls in a turn, by default
}

TEST_CASE("a_new_task_is_polled_within_one_round_of_the_busy_ones") {
    Runtime rt;
    std::vector<Busy> tasks(1000);
    for (auto &task : tasks) task.spawn(rt);
    for (int i = 0; i < 20; i++) zyntax_runtime_turn(rt, 0);
    Task late{[](Waker *) { return POLL_READY; }};
    late.spawn(rt);
    uint64_t before = rt.stats().polls;
    REQUIRE(rt.drive_until([&] { return late.polls == 1; }));
    CHECK(rt.stats().polls - before <= 1000 + 256);
}

TEST_CASE("a_turn_polls_at_most_the_budget") {
    Runtime rt(small_budget());
    Busy busy;
    busy.spawn(rt);
    for (int i = 1; i <= 10; i++) {
        int before = busy.polls;
        CHECK(zyntax_runtime_turn(rt, 0) == 1);
        CHECK(busy.polls > before);
        CHECK(busy.polls - before <= budget);
    }
}

TEST_CASE("a_busy_task_does_not_starve_a_timer") {
    Clock clock;
    Runtime rt(clock.config(small_budget()));
    Busy busy;
    int due = 0, fired = 0;
    busy.each = [&] {
        if (busy.polls < 1000 || due != 0) return;
        clock.now += 10 * ms;
        due = busy.polls;
    };
    Task timer;
    timer.on_poll = [&](Waker *waker) {
        if (zyntax_sleep(rt, &timer.op, 10 * ms, waker) == POLL_PENDING) return POLL_PENDING;
        fired = busy.polls;
        busy.stop = true;
        return POLL_READY;
    };
    timer.spawn(rt);
    busy.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(due == 1000);
    CHECK(fired - due <= budget + 1);
}

TEST_CASE("a_busy_task_does_not_starve_a_socket") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(small_budget());
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    Busy busy;
    int due = 0, arrived = 0;
    busy.each = [&] {
        if (busy.polls < 1000 || due != 0) return;
        deliver(pair.far, io, "x");
        due = busy.polls;
    };
    char byte = 0;
    int64_t result = 0;
    Task reader;
    reader.on_poll = [&](Waker *waker) {
        if (zyntax_io_read(io, &reader.op, &byte, 1, waker, &result) == POLL_PENDING) return POLL_PENDING;
        arrived = busy.polls;
        busy.stop = true;
        return POLL_READY;
    };
    reader.spawn(rt);
    busy.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(due == 1000);
    CHECK(result == 1);
    CHECK(arrived - due <= budget + 1);
}

TEST_CASE("a_busy_task_does_not_starve_posted_calls_and_remote_wakes") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(small_budget());
    Busy busy;
    int posted = 0, woken = 0, due = 0;
    Waker kept{};
    struct Note {
        int *at;
        Busy *busy;
    } note{&posted, &busy};
    Task sleeper;
    sleeper.on_poll = [&](Waker *waker) {
        kept = *waker;
        if (sleeper.polls > 1) woken = busy.polls;
        return sleeper.polls == 1 ? POLL_PENDING : POLL_READY;
    };
    busy.each = [&] {
        busy.stop = posted != 0 && woken != 0;
        if (busy.polls < 1000 || due != 0) return;
        auto fn = [](void *arg) { *static_cast<Note *>(arg)->at = static_cast<Note *>(arg)->busy->polls; };
        Thread([&] {
            kept.wake(kept.data);
            CHECK(zyntax_runtime_post(rt, fn, &note) == 0);
        }).join();
        due = busy.polls;
    };
    sleeper.spawn(rt);
    busy.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(posted - due <= budget + 1);
    CHECK(woken - due <= budget + 1);
}

TEST_CASE("a_timer_that_is_rearmed_with_zero_does_not_starve_a_socket") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime rt(small_budget());
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    deliver(pair.far, io, "x");
    bool stop = false;
    Task rearming;
    rearming.on_poll = [&](Waker *waker) {
        CHECK(zyntax_sleep(rt, &rearming.op, 0, waker) == POLL_READY);
        zyntax_sleep(rt, &rearming.op, 1, waker);
        return stop ? POLL_READY : POLL_PENDING;
    };
    char byte = 0;
    int64_t result = 0;
    Task reader;
    reader.on_poll = [&](Waker *waker) {
        if (zyntax_io_read(io, &reader.op, &byte, 1, waker, &result) == POLL_PENDING) return POLL_PENDING;
        stop = true;
        return POLL_READY;
    };
    rearming.spawn(rt);
    for (int i = 0; i < 100; i++) zyntax_runtime_turn(rt, 1 * int64_t(ms));
    CHECK(rearming.polls > 50);
    reader.spawn(rt);
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 1 * int64_t(ms));
    CHECK(result == 1);
    REQUIRE(rt.drain());
}
