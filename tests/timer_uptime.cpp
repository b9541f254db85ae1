// An interval keeps its period to the nanosecond, independent of the process's uptime and of other timers.
#include "support.h"

using namespace support;

namespace {

constexpr uint64_t thirty_years = 30ull * 365 * 24 * 3'600'000 * ms;
constexpr uint64_t interval = 333 * ms;

// Ticks `count` intervals from `uptime` on, and counts the ticks at a wrong time.
int wrong_ticks(uint64_t uptime, int count) {
    Clock clock;
    clock.now = 0;
    Runtime rt(clock.config());
    auto at = [&](uint64_t now) {
        clock.now = now;
        for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    };
    Task distant, ticking;
    uint64_t next = uptime + interval;
    int ticks = 0, wrong = 0;
    distant.on_poll = [&](Waker *waker) { return zyntax_sleep(rt, &distant.op, thirty_years, waker); };
    ticking.on_poll = [&](Waker *waker) {
        while (zyntax_sleep_until(rt, &ticking.op, next, waker) == POLL_READY) {
            ticks++;
            wrong += clock.now != next;
            next += interval;
        }
        return POLL_PENDING;
    };
    distant.spawn(rt);
    at(1); // armed long before
    at(uptime);
    if (!distant.alive()) distant.spawn(rt);
    ticking.spawn(rt);
    at(uptime);
    for (int i = 0; i < count; i++) {
        at(next - 1);
        wrong += ticks != i;
        at(next);
        wrong += ticks != i + 1;
    }
    return wrong + !distant.alive();
}

} // namespace

TEST_CASE("an_interval_is_exact_after_any_uptime_next_to_a_timer_of_thirty_years") {
    for (int bits : {20, 24, 30, 32, 36, 40, 41, 42, 43})
        for (int64_t offset : {-1, 0, 1}) {
            CAPTURE(bits);
            CAPTURE(offset);
            CHECK(wrong_ticks(((1ull << bits) + uint64_t(offset)) * ms, 50) == 0);
        }
}

TEST_CASE("an_interval_is_exact_across_powers_of_two_of_the_clock") {
    for (int bits : {31, 32, 53, 62, 63}) {
        CAPTURE(bits);
        CHECK(wrong_ticks((1ull << bits) - 5, 50) == 0);
        CHECK(wrong_ticks((1ull << bits) - 3 * interval - 5, 50) == 0);
    }
}
