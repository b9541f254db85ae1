// After remove nothing is reported but, at most, the generation that was removed.
#include "poller_support.h"

using namespace support;

namespace {

bool reported_only(const Watched &watched, uint32_t index, uint32_t generation) {
    for (auto &[key, bits] : watched.reports)
        if (key != Watched::Key{index, generation}) return false;
    return true;
}

} // namespace

TEST_CASE("a_removed_descriptor_is_reported_under_its_old_generation_at_most") {
    Watched watched;
    Pair pair = socket_pair();
    watched.add(pair.near, 1, 1);
    watched.settle();
    watched.poller.want(pair.near, 1, readable);
    put(pair.far, "x");
    watched.poller.remove(pair.near, 1);
    for (int i = 0; i < 3; i++) watched.wait(10 * int64_t(ms));
    CHECK(reported_only(watched, 1, 1));
    watched.forget();
    put(pair.far, "y");
    CHECK(watched.idle_returns() <= int(idle_budget));
    CHECK(watched.reports.empty());
}

TEST_CASE("a_descriptor_that_was_removed_can_be_registered_again_under_another_index") {
    Watched watched;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    for (uint32_t round = 1; round <= 50; round++) {
        CAPTURE(round);
        watched.add(pair.near, round, 1);
        watched.poller.want(pair.near, round, readable);
        put(pair.far, "x");
        REQUIRE(watched.reported(round, 1, readable));
        watched.poller.remove(pair.near, round);
        take(pair.near);
    }
}

TEST_CASE("remove_and_add_at_once_lose_nothing") {
    Watched watched;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    watched.add(pair.near, 1, 1);
    for (uint32_t round = 2; round < 500; round++) {
        CAPTURE(round);
        watched.poller.want(pair.near, 1, readable);
        if (round % 2) put(pair.far, "x");
        if (round % 3) watched.wait(0);
        watched.poller.remove(pair.near, 1);
        watched.add(pair.near, 1, round);
        watched.poller.want(pair.near, 1, readable);
        if (round % 2 == 0) put(pair.far, "x");
        REQUIRE(watched.reported(1, round, readable));
        watched.poller.remove(pair.near, 1);
        take(pair.near);
        watched.add(pair.near, 1, round);
    }
    watched.poller.remove(pair.near, 1);
}

TEST_CASE("a_descriptor_number_that_is_used_again_gets_nothing_of_the_old_one") {
    Watched watched;
    for (uint32_t round = 1; round <= 100; round++) {
        CAPTURE(round);
        Pair old = socket_pair();
        watched.add(old.near, 1, 2 * round);
        watched.poller.want(old.near, 1, readable);
        put(old.far, "x");
        watched.poller.remove(old.near, 1);
        old.near.reset();
        Pair fresh = socket_pair(); // takes the lowest number, where the system numbers so
        watched.add(fresh.near, 1, 2 * round + 1);
        watched.poller.want(fresh.near, 1, readable);
        watched.wait(0);
        CHECK((watched.bits(1, 2 * round + 1) & readable) == 0);
        put(fresh.far, "x");
        REQUIRE(watched.reported(1, 2 * round + 1, readable));
        watched.poller.remove(fresh.near, 1);
    }
}

TEST_CASE("an_index_that_is_used_again_reports_its_new_descriptor") {
    Watched watched;
    Pair first = socket_pair(), second = socket_pair();
    watched.add(first.near, 5, 1);
    watched.poller.want(first.near, 5, readable);
    watched.poller.remove(first.near, 5);
    watched.add(second.near, 5, 2);
    watched.poller.want(second.near, 5, readable);
    watched.settle();
    put(first.far, "x");
    for (int i = 0; i < 3; i++) watched.wait(10 * int64_t(ms));
    CHECK(watched.reports.empty());
    put(second.far, "x");
    CHECK(watched.reported(5, 2, readable));
    CHECK(watched.bits(5, 1) == 0);
    watched.poller.remove(second.near, 5);
}

TEST_CASE("a_poller_is_closed_with_descriptors_registered_and_wanted") {
    Pair pair = socket_pair(), other = socket_pair();
    {
        Watched watched;
        watched.add(pair.near, 1, 1);
        watched.add(other.near, 2, 1);
        watched.poller.want(pair.near, 1, readable | writable);
        watched.poller.want(other.near, 2, readable);
        watched.wait(0);
        put(other.far, "x");
    }
    Watched next; // and they can be registered with another
    next.add(pair.near, 1, 1);
    next.poller.want(pair.near, 1, readable);
    put(pair.far, "x");
    CHECK(next.reported(1, 1, readable));
    next.poller.remove(pair.near, 1);
}
