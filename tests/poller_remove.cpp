// After remove the poller reports nothing new: at most the removed word once more.
#include "poller_support.h"

using namespace support;

namespace {

bool reported_only(const Watched &watched, uintptr_t word) {
    for (auto &[reported, bits] : watched.reports)
        if (reported != word) return false;
    return true;
}

} // namespace

TEST_CASE("a_removed_descriptor_is_reported_under_its_old_word_at_most") {
    Watched watched;
    Pair pair = socket_pair();
    watched.add(pair.near, 1);
    watched.settle();
    watched.want(pair.near, 1, readable);
    put(pair.far, "x");
    watched.remove(pair.near, 1);
    for (int i = 0; i < 3; i++) watched.wait(10 * int64_t(ms));
    CHECK(reported_only(watched, 1));
    watched.forget();
    put(pair.far, "y");
    CHECK(watched.idle_returns() <= int(idle_budget));
    CHECK(watched.reports.empty());
}

TEST_CASE("a_descriptor_that_was_removed_can_be_registered_again_under_another_word") {
    Watched watched;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    for (uint32_t round = 1; round <= 50; round++) {
        CAPTURE(round);
        watched.add(pair.near, round);
        watched.want(pair.near, round, readable);
        put(pair.far, "x");
        REQUIRE(watched.reported(round, readable));
        watched.remove(pair.near, round);
        take(pair.near);
    }
}

TEST_CASE("remove_and_add_at_once_lose_nothing") {
    Watched watched;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    watched.add(pair.near, 1);
    for (uint32_t round = 2; round < 500; round++) {
        CAPTURE(round);
        watched.want(pair.near, round - 1, readable);
        if (round % 2) put(pair.far, "x");
        if (round % 3) watched.wait(0);
        watched.remove(pair.near, round - 1);
        watched.add(pair.near, round);
        watched.want(pair.near, round, readable);
        if (round % 2 == 0) put(pair.far, "x");
        REQUIRE(watched.reported(round, readable));
        watched.remove(pair.near, round);
        take(pair.near);
        watched.add(pair.near, round);
    }
    watched.remove(pair.near, 499);
}

TEST_CASE("a_descriptor_number_that_is_used_again_gets_nothing_of_the_old_one") {
    Watched watched;
    for (uint32_t round = 1; round <= 100; round++) {
        CAPTURE(round);
        Pair old = socket_pair();
        watched.add(old.near, 2 * round);
        watched.want(old.near, 2 * round, readable);
        put(old.far, "x");
        watched.remove(old.near, 2 * round);
        old.near.reset();
        Pair fresh = socket_pair(); // takes the lowest number, where the system numbers so
        watched.add(fresh.near, 2 * round + 1);
        watched.want(fresh.near, 2 * round + 1, readable);
        watched.wait(0);
        CHECK((watched.bits(2 * round + 1) & readable) == 0);
        put(fresh.far, "x");
        REQUIRE(watched.reported(2 * round + 1, readable));
        watched.remove(fresh.near, 2 * round + 1);
    }
}

TEST_CASE("a_place_that_is_used_again_reports_its_new_descriptor") {
    Watched watched;
    Pair first = socket_pair(), second = socket_pair();
    watched.add(first.near, 5);
    watched.want(first.near, 5, readable);
    watched.remove(first.near, 5);
    watched.add(second.near, 6);
    watched.want(second.near, 6, readable);
    watched.settle();
    put(first.far, "x");
    for (int i = 0; i < 3; i++) watched.wait(10 * int64_t(ms));
    CHECK(watched.reports.empty());
    put(second.far, "x");
    CHECK(watched.reported(6, readable));
    CHECK(watched.bits(5) == 0);
    watched.remove(second.near, 6);
}

TEST_CASE("those_that_stay_are_told_apart_whichever_goes") {
    Watched watched;
    std::vector<Pair> pairs;
    constexpr uint32_t count = 40;
    for (uint32_t i = 0; i < count; i++) {
        pairs.push_back(socket_pair());
        make_nonblocking(pairs.back().near);
        watched.add(pairs[i].near, i + 1);
        if (i % 3) watched.want(pairs[i].near, i + 1, readable);
    }
    watched.settle();
    for (uint32_t i = 0; i < count; i += 4) watched.remove(pairs[i].near, i + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (i % 4 == 0) continue;
        CAPTURE(i);
        watched.want(pairs[i].near, i + 1, readable);
        put(pairs[i].far, "x");
        REQUIRE(watched.reported(i + 1, readable));
        CHECK(reported_only(watched, i + 1));
        watched.forget();
        watched.remove(pairs[i].near, i + 1);
    }
}

TEST_CASE("a_descriptor_is_known_as_long_as_it_is_registered") {
    Watched watched;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    watched.add(pair.near, 1);
    watched.want(pair.near, 1, readable);
    CHECK(watched.poller.knows(pair.near, 1));
    put(pair.far, "x");
    CHECK(watched.reported(1, readable));
    CHECK(watched.poller.knows(pair.near, 1));
    watched.settle();
    take(pair.near);
    watched.want(pair.near, 1, readable);
    put(pair.far, "y");
    CHECK(watched.reported(1, readable));
    watched.remove(pair.near, 1);
}

TEST_CASE("a_poller_is_closed_with_descriptors_registered_and_wanted") {
    Pair pair = socket_pair(), other = socket_pair();
    {
        Watched watched;
        watched.add(pair.near, 1);
        watched.add(other.near, 2);
        watched.want(pair.near, 1, readable | writable);
        watched.want(other.near, 2, readable);
        watched.wait(0);
        put(other.far, "x");
    }
    Watched next; // and they can be registered with another
    next.add(pair.near, 1);
    next.want(pair.near, 1, readable);
    put(pair.far, "x");
    CHECK(next.reported(1, readable));
    next.remove(pair.near, 1);
}
