// wake ends the current wait or the next one. wait does not report it as an event.
#include "poller_support.h"

using namespace support;

namespace {

constexpr int64_t long_ns = deadline_ms * int64_t(ms);

// One wait that only a wake can end.
bool wait_is_woken(Watched &watched) {
    Stopwatch watch;
    return watched.wait(long_ns) == 0 && watch.ns() < long_ns / 2;
}

} // namespace

TEST_CASE("a_wake_before_wait_ends_it_at_once") {
    Watched watched;
    for (int round = 0; round < 100; round++) {
        watched.poller.wake();
        REQUIRE(wait_is_woken(watched));
    }
    CHECK(watched.reports.empty());
}

TEST_CASE("a_wake_also_ends_a_wait_of_no_time") {
    Watched watched;
    watched.poller.wake();
    CHECK(watched.wait(0) == 0);
}

TEST_CASE("each_wake_of_another_thread_ends_a_wait") {
    Watched watched;
    constexpr int rounds = scaled(20'000);
    std::atomic<int> asked{0};
    Thread waker([&] {
        for (int round = 1; round <= rounds; round++) {
            while (asked.load() < round) yield();
            watched.poller.wake();
        }
    });
    int woken = 0;
    for (int round = 1; round <= rounds; round++) {
        asked = round;
        woken += wait_is_woken(watched);
    }
    waker.join();
    CHECK(woken == rounds);
    CHECK(watched.reports.empty());
}

TEST_CASE("many_wakes_are_one_return") {
    Watched watched;
    for (int i = 0; i < 1000; i++) watched.poller.wake();
    CHECK(wait_is_woken(watched));
    CHECK(watched.idle_returns() <= int(idle_budget));
    watched.poller.wake();
    CHECK(wait_is_woken(watched));
}

TEST_CASE("wakes_of_many_threads_are_not_lost") {
    Watched watched;
    constexpr int threads = 4, rounds = scaled(5'000);
    std::atomic<int> done{0};
    std::vector<Thread> wakers;
    for (int t = 0; t < threads; t++)
        wakers.emplace_back([&] {
            for (int round = 0; round < rounds; round++) watched.poller.wake();
            done++;
            watched.poller.wake();
        });
    bool woken = true;
    while (woken && done < threads) woken = wait_is_woken(watched);
    CHECK(woken);
    for (auto &waker : wakers) waker.join();
    CHECK(watched.reports.empty());
}

TEST_CASE("a_wake_hides_no_event") {
    Watched watched;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    watched.add(pair.near, 1);
    for (int round = 0; round < 100; round++) {
        take(pair.near);
        watched.settle();
        watched.want(pair.near, 1, readable);
        watched.poller.wake();
        put(pair.far, "x");
        watched.poller.wake();
        REQUIRE(watched.reported(1, readable));
    }
    CHECK(watched.reports.size() == 1);
    watched.remove(pair.near, 1);
}

TEST_CASE("a_wake_among_more_events_than_a_wait_takes_makes_no_wait_block") {
    Watched watched;
    std::vector<Pair> pairs;
    for (uint32_t index = 0; index < 8; index++) {
        pairs.push_back(socket_pair());
        watched.add(pairs.back().near, index + 1);
        watched.want(pairs.back().near, index + 1, readable);
        put(pairs.back().far, "x");
    }
    watched.poller.wake(); // has its effect with the first wait, or comes out by itself with one of the others
    Stopwatch watch;
    int events = 0;
    for (int waits = 0; events < 8 && waits < 100; waits++) events += watched.wait(long_ns, 1);
    CHECK(events == 8);
    CHECK(watch.ns() < long_ns / 2);
    for (uint32_t index = 0; index < 8; index++) watched.remove(pairs[index].near, index + 1);
}

TEST_CASE("wake_leaves_errno_alone") {
    Watched watched;
    errno = 4711;
    for (int i = 0; i < 3; i++) watched.poller.wake();
    watched.wait(0);
    CHECK(errno == 4711);
}
