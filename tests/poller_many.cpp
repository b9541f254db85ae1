// Many descriptors: each is reported, however few events fit into one wait.
#include "poller_support.h"

#include <random>

using namespace support;

namespace {

// Registered socket pairs under the words 1, 2, …
struct Crowd {
    ManyDescriptors limit;
    Watched &watched;
    std::vector<Pair> pairs;

    Crowd(Watched &w, uint32_t count) : watched(w) {
        for (uint32_t index = 0; index < count; index++) {
            pairs.push_back(socket_pair());
            make_nonblocking(pairs.back().near);
            watched.add(pairs.back().near, index + 1);
        }
    }
    ~Crowd() {
        for (uint32_t index = 0; index < pairs.size(); index++) watched.remove(pairs[index].near, index + 1);
    }
    Crowd(const Crowd &) = delete;
    Crowd &operator=(const Crowd &) = delete;

    void want_all() {
        for (uint32_t index = 0; index < pairs.size(); index++) watched.want(pairs[index].near, index + 1, readable);
    }
    void settle() {
        while (watched.wait(int64_t(ms)) > 0) {
        }
        watched.forget();
    }
    size_t readable_ones() const {
        size_t count = 0;
        for (auto &[key, bits] : watched.reports) count += (bits & readable) != 0;
        return count;
    }
};

} // namespace

TEST_CASE("more_ready_descriptors_than_fit_are_reported_by_the_next_waits") {
    SKIP_WHEN(on_libkqueue, "libkqueue loses events that do not fit into one wait");
    for (uint32_t max : {1u, 3u, 64u}) {
        CAPTURE(max);
        Watched watched;
        Crowd crowd(watched, 100);
        crowd.settle();
        crowd.want_all();
        for (Pair &pair : crowd.pairs) put(pair.far, "x");
        Stopwatch watch;
        while (crowd.readable_ones() < 100 && watch.ns() < deadline_ms * int64_t(ms))
            watched.wait(20 * int64_t(ms), max);
        CHECK(crowd.readable_ones() == 100);
    }
}

TEST_CASE("those_that_are_always_ready_do_not_hide_others") {
    Watched watched;
    Crowd crowd(watched, 20);
    crowd.settle();
    crowd.want_all();
    for (uint32_t index = 0; index < 19; index++) put(crowd.pairs[index].far, "x");
    for (int round = 0; round < 200 && !(watched.bits(20) & readable); round++) {
        if (round == 5) put(crowd.pairs[19].far, "x");
        watched.wait(10 * int64_t(ms), 2);
        for (uint32_t index = 0; index < 19; index++) {
            if (!(watched.bits(index + 1) & readable)) continue;
            watched.reports.erase(index + 1);
            take(crowd.pairs[index].near);
            watched.want(crowd.pairs[index].near, index + 1, readable);
            put(crowd.pairs[index].far, "x");
        }
    }
    CHECK((watched.bits(20) & readable) != 0);
}

TEST_CASE("among_a_thousand_those_that_are_ready_are_reported_and_no_other") {
    Watched watched;
    constexpr uint32_t count = sanitized ? 200 : 1000;
    Crowd crowd(watched, count);
    crowd.settle();
    crowd.want_all();
    std::mt19937 random(1);
    for (int round = 0; round < 50; round++) {
        CAPTURE(round);
        std::vector<uint32_t> chosen;
        for (int i = 0; i < 10; i++) chosen.push_back(random() % count);
        for (uint32_t index : chosen) put(crowd.pairs[index].far, "x");
        for (uint32_t index : chosen) REQUIRE(watched.reported(index + 1, readable));
        CHECK(crowd.readable_ones() <= chosen.size());
        for (uint32_t index : chosen) {
            take(crowd.pairs[index].near);
            watched.want(crowd.pairs[index].near, index + 1, readable);
        }
        watched.forget();
    }
}
