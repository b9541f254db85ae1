// The duration of a wait: at most its timeout, and without spinning.
#include "poller_support.h"

#include <algorithm>

using namespace support;

namespace {

// The time that a system's clock tick may add to a wait.
constexpr int64_t late_ns = 2 * int64_t(ms);

} // namespace

TEST_CASE("a_timeout_of_zero_does_not_wait") {
    Watched watched;
    int64_t shortest = INT64_MAX;
    for (int i = 0; i < 20; i++) {
        Stopwatch watch;
        CHECK(watched.wait(0) == 0);
        shortest = std::min(shortest, watch.ns());
    }
    CHECK(shortest < int64_t(ms) / 2);
}

TEST_CASE("a_deadline_is_reached_in_a_few_waits_and_hardly_missed") {
    Watched watched;
    for (int64_t timeout : {int64_t(1), int64_t(999), int64_t(100'000), int64_t(999'999), int64_t(1'000'001),
                            int64_t(5'500'000), int64_t(20'000'000)}) {
        CAPTURE(timeout);
        int64_t least_late = INT64_MAX;
        for (int i = 0; i < 20; i++) {
            Stopwatch watch;
            int before = watched.returns;
            for (int64_t left = timeout; left > 0; left = timeout - watch.ns()) CHECK(watched.wait(left) == 0);
            least_late = std::min(least_late, watch.ns() - timeout);
            CHECK(watched.returns - before <= 5);
        }
        CHECK(least_late <= late_ns);
    }
}

TEST_CASE("huge_timeouts_do_not_end_early") {
    constexpr int64_t ms_max = INT32_MAX * int64_t(ms); // the longest millisecond argument
    Watched watched;
    for (int64_t timeout : {ms_max - 1, ms_max, ms_max + 1, 2 * ms_max + 2 * int64_t(ms), INT64_MAX / 2, INT64_MAX - 1,
                            INT64_MAX, int64_t(-1), INT64_MIN}) {
        CAPTURE(timeout);
        std::atomic<bool> woken{false};
        Thread waker([&] {
            sleep_for(std::chrono::milliseconds(20));
            woken = true;
            watched.poller.wake();
        });
        CHECK(watched.wait(timeout) == 0);
        CHECK(woken);
        waker.join();
    }
}

TEST_CASE("an_event_ends_a_wait_without_limit") {
    Watched watched;
    Pair pair = socket_pair();
    watched.add(pair.near, 1);
    watched.settle();
    watched.want(pair.near, 1, readable);
    Thread writer([&] { put(pair.far, "x"); });
    while (watched.bits(1) == 0) watched.wait(-1);
    writer.join();
    CHECK((watched.bits(1) & readable) != 0);
    watched.remove(pair.near, 1);
}
