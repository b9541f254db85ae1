// A busy queue hides neither reports nor timers, and no task hides another.
#include "scripted_world.h"

#include <algorithm>

using namespace support;
using namespace scripted;

namespace {

// A task that is always ready, and takes a microsecond each time.
struct Busy : Task {
    explicit Busy(Sim &sim) {
        on_poll = [&sim](Waker *waker) {
            sim.world.now_ns += 1000;
            waker->wake(waker->data);
            return POLL_PENDING;
        };
        spawn(sim.rt);
    }
};

zyntax_runtime_config with_budget(uint32_t budget) {
    zyntax_runtime_config config = support::config();
    config.poll_budget = budget;
    return config;
}

} // namespace

TEST_CASE("a_report_and_a_timer_get_through_a_busy_queue_within_one_budget") {
    for (uint32_t budget : {1u, 64u, 256u}) {
        for (size_t tasks : {size_t(1), size_t(300)}) {
            CAPTURE(budget);
            CAPTURE(tasks);
            Sim sim(with_budget(budget));
            zyntax_io *io = sim.adopt();
            std::deque<Busy> busy;
            uint64_t due = sim.world.now_ns + 10 * ms, slept = 0, seen = 0;
            char byte;
            Await reader(sim.rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
                seen = sim.world.now_ns;
                return zyntax_io_read(io, op, &byte, 1, waker, result);
            });
            Await sleeper(sim.rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
                slept = sim.world.now_ns;
                PollStatus status = zyntax_sleep_until(sim.rt, op, due, waker);
                if (status == POLL_READY) *result = 0;
                return status;
            });
            sim.settle();
            for (size_t i = 0; i < tasks; i++) busy.emplace_back(sim);
            sim.world.at(due, [&] { sim.of(io).in = "x"; });
            while (reader.alive() || sleeper.alive()) REQUIRE(zyntax_runtime_turn(sim.rt, -1) > 0);
            uint64_t most = 2 * (budget + tasks) * 1000; // a budget until it is seen, a queue until it is polled
            CHECK(slept >= due);
            CHECK(slept <= due + most);
            CHECK(seen <= due + most);
        }
    }
}

TEST_CASE("tasks_that_are_always_ready_take_turns") {
    Sim sim;
    sim.adopt();
    std::deque<Busy> busy;
    for (int i = 0; i < 1000; i++) busy.emplace_back(sim);
    for (int i = 0; i < 100; i++) zyntax_runtime_turn(sim.rt, 0);
    auto fewer = [](const Busy &a, const Busy &b) { return a.polls < b.polls; };
    auto [least, most] = std::minmax_element(busy.begin(), busy.end(), fewer);
    CHECK(most->polls - least->polls <= 1);
    CHECK(least->polls > 20);
    Busy fresh(sim);
    for (int i = 0; i < 4; i++) zyntax_runtime_turn(sim.rt, 0);
    CHECK(fresh.polls >= 1);
}
