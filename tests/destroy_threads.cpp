// A runtime is destroyed while other threads are in their last call on it. Their work has been seen, and the memory
// that they still touch is valid.
#include "blocking_support.h"
#include "channel_support.h"

using namespace support;

namespace {

// The last act of a thread.
enum Act { stops, posts, releases, holds_and_releases, wakes, cancels };

struct Race {
    std::atomic<zyntax_runtime *> rt{nullptr};
    std::atomic<bool> over{false}; // the act has been seen; the runtime is destroyed
    Waker waker{};
    zyntax_task *victim = nullptr;
};

// Runs until the other thread's act is seen, and destroys the runtime at once.
void loop(Race &race, Act act) {
    zyntax_runtime_config c = config();
    c.flags = act == releases || act == holds_and_releases ? ZYNTAX_DETECT_STALL : 0;
    Runtime rt(c);
    Task parked, busy{[&](Waker *waker) {
        if (!race.over) waker->wake(waker->data); // awake, so that the loop sees it by itself
        return race.over ? POLL_READY : POLL_PENDING;
    }};
    parked.on_poll = [&](Waker *waker) {
        race.waker = *waker;
        if (parked.polls > 1) race.over = true;
        return POLL_PENDING;
    };
    parked.on_drop = [&](int32_t) { race.over = true; };
    parked.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    race.victim = parked.handle;
    bool stalls = act == releases || act == holds_and_releases;
    if (stalls) zyntax_runtime_hold(rt);
    else busy.spawn(rt);
    race.rt = rt.rt;
    int32_t end = 0;
    Limit limit(rt);
    if (act == posts) {
        CHECK(rt.drive_until([&] { return race.over.load(); }));
    } else if (act == wakes || act == cancels) {
        CHECK(zyntax_runtime_block_on(rt, busy.handle) == 0);
    } else {
        end = zyntax_runtime_run(rt);
        CHECK(end == (act == stops ? ZYNTAX_ECANCELED : ZYNTAX_EDEADLK));
    }
    race.over = true;
}

void act_on(Race &race, Act act) {
    zyntax_runtime *rt = nullptr;
    while ((rt = race.rt.load()) == nullptr) yield();
    switch (act) {
    case stops:
        zyntax_runtime_stop(rt);
        break;
    case posts:
        zyntax_runtime_post(
            rt, [](void *over) { *static_cast<std::atomic<bool> *>(over) = true; }, &race.over);
        break;
    case releases:
        zyntax_runtime_release(rt);
        break;
    case holds_and_releases:
        zyntax_runtime_hold(rt);
        zyntax_runtime_release(rt);
        zyntax_runtime_release(rt);
        break;
    case wakes:
        race.waker.wake(race.waker.data);
        break;
    case cancels:
        zyntax_task_cancel(race.victim);
        break;
    }
}

void race_many_times(Act act) {
    for (int round = 0; round < 100; round++) {
        Race race;
        Thread thread([&] { loop(race, act); });
        act_on(race, act);
        thread.join();
    }
}

} // namespace

TEST_CASE("a_stop_may_be_the_last_act_of_a_thread") { race_many_times(stops); }
TEST_CASE("a_post_may_be_the_last_act_of_a_thread") { race_many_times(posts); }
TEST_CASE("a_release_may_be_the_last_act_of_a_thread") {
    race_many_times(releases);
    race_many_times(holds_and_releases);
}
TEST_CASE("a_wake_may_be_the_last_act_of_a_thread") { race_many_times(wakes); }
TEST_CASE("a_cancel_may_be_the_last_act_of_a_thread") { race_many_times(cancels); }

TEST_CASE("a_thread_may_post_hold_and_stop_until_it_is_told_that_the_runtime_goes") {
    for (int round = 0; round < 40; round++) {
        Heap heap;
        std::atomic<int> posted{0}, ran{0};
        {
            Runtime rt(heap.config());
            Task parked{[](Waker *) { return POLL_PENDING; }};
            parked.spawn(rt);
            Thread other([&] {
                for (int i = 0; i < 20; i++) {
                    zyntax_runtime_hold(rt);
                    auto count = [](void *n) { ++*static_cast<std::atomic<int> *>(n); };
                    posted += zyntax_runtime_post(rt, count, &ran) == 0;
                    zyntax_runtime_release(rt);
                    zyntax_runtime_stop(rt);
                }
            });
            while (posted < 10) zyntax_runtime_turn(rt, 0);
            other.join();
            rt.destroy(); // with some of it still in the inbox
        }
        CHECK(posted == 20);
        CHECK(ran == 20);
        CHECK(heap.balanced());
    }
}

TEST_CASE("nothing_of_the_pool_runs_after_destroy") {
    const int threads = usage().threads;
    for (int round = 0; round < 40; round++) {
        Heap heap;
        {
            Runtime rt(heap.config(with_threads(8)));
            std::unique_ptr<Await> tasks[8];
            Job job = [](void *) { return int64_t(1); };
            for (auto &task : tasks) task = std::make_unique<Await>(rt, blocking(rt, job, nullptr, 0));
            if (round % 2 == 0) CHECK(rt.drain());
            rt.destroy();
        }
        CHECK(heap.balanced());
        CHECK(eventually([&] { return usage().threads == threads; }));
    }
}
