// A million timers at once (a fifth of them on WASI, close to its limit). Each fires once and in its time, and an armed
// timer costs the loop nothing.
#include "support.h"

#include <random>
#include <vector>

using namespace support;

namespace {

constexpr int timer_count = scaled(has_threads ? 1'000'000 : 200'000);

// One task with a word for every timer.
struct Sleepers {
    Clock clock;
    Runtime rt{clock.config()};
    std::vector<zyntax_op> ops;
    std::vector<uint64_t> deadlines;
    std::vector<char> done;
    size_t ended = 0, early = 0;

    PollStatus look(Waker *waker) {
        for (size_t i = 0; i < ops.size(); i++) {
            if (done[i] || zyntax_sleep_until(rt, &ops[i], deadlines[i], waker) == POLL_PENDING) continue;
            done[i] = 1;
            ended++;
            early += clock.now < deadlines[i];
        }
        return ended == ops.size() ? POLL_READY : POLL_PENDING;
    }
};

} // namespace

TEST_CASE("a_million_timers_fire_in_their_time") {
    Sleepers crowd;
    std::mt19937 random(3);
    uint64_t start = crowd.clock.now;
    crowd.ops.resize(timer_count);
    crowd.done.resize(timer_count);
    for (int i = 0; i < timer_count; i++) crowd.deadlines.push_back(start + 1 + random() % 1'000'000);
    Task task{[&](Waker *waker) { return crowd.look(waker); }};
    task.spawn(crowd.rt);
    zyntax_runtime_turn(crowd.rt, 0);
    CHECK(crowd.rt.stats().timers_pending == uint64_t(timer_count));
    for (uint64_t step = 1; step <= 10; step++) {
        crowd.clock.now = start + step * 100'000;
        for (int i = 0; i < 3; i++) zyntax_runtime_turn(crowd.rt, 0);
        size_t due = 0;
        for (uint64_t deadline : crowd.deadlines) due += deadline <= crowd.clock.now;
        CHECK(crowd.ended == due);
        CHECK(crowd.rt.stats().timers_pending == timer_count - due);
    }
    CHECK(crowd.early == 0);
    CHECK(task.outcome == 0);
    CHECK(task.polls <= 1 + 10 * 3);
    CHECK(crowd.rt.stats().timers_fired == uint64_t(timer_count));
    CHECK(crowd.rt.stats().bytes_in_use == 0);
}
