// Wakes from other threads: none is lost in any state of the loop, and none outlives its runtime.
#include "support.h"

#include <array>
#include <random>
#include <vector>

using namespace support;

namespace {

void wake(const Waker &waker) { waker.wake(waker.data); }

} // namespace

TEST_CASE("a_ping_pong_between_a_thread_and_a_task_never_stalls") {
    constexpr int rounds = scaled(100'000);
    Runtime rt;
    std::atomic<int> ping{0}, pong{0};
    std::atomic<bool> parked{false};
    Waker kept{};
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (!parked) {
            kept = *waker;
            parked = true;
        }
        pong = ping.load();
        return pong == rounds ? POLL_READY : POLL_PENDING;
    };
    task.spawn(rt);
    Thread player([&] {
        while (!parked) yield();
        for (int i = 1; i <= rounds; i++) {
            ping = i;
            wake(kept);
            while (pong != i && parked) yield();
        }
    });
    {
        Limit limit(rt, 60'000);
        CHECK(zyntax_runtime_run(rt) == 0);
        parked = false; // lets the player go, should a wake have been lost
    }
    player.join();
    CHECK(pong == rounds);
    CHECK(task.polls <= rounds + 1);
}

TEST_CASE("two_runtimes_in_two_threads_play_ping_pong") {
    constexpr int rounds = scaled(50'000); // two wakes each
    std::array<Runtime, 2> rt;
    std::array<Task, 2> task;
    std::array<Waker, 2> kept{};
    std::atomic<int> ball{0}; // even: player 0 has it
    for (size_t me : {0, 1}) {
        task[me].on_poll = [&, me](Waker *waker) {
            if (task[me].polls == 1) {
                kept[me] = *waker;
                return POLL_PENDING;
            }
            int now = ball;
            if (now % 2 == int(me) && now < 2 * rounds) {
                ball = ++now;
                wake(kept[1 - me]);
            }
            return now >= 2 * rounds - 1 + int(me) ? POLL_READY : POLL_PENDING;
        };
        task[me].spawn(rt[me]);
        zyntax_runtime_turn(rt[me], 0);
    }
    wake(kept[0]);
    auto play = [&](size_t me) {
        Limit limit(rt[me], 60'000);
        CHECK(zyntax_runtime_run(rt[me]) == 0);
    };
    Thread second(play, 1);
    play(0);
    second.join();
    CHECK(ball == 2 * rounds);
}

TEST_CASE("wakes_from_four_threads_to_many_tasks_are_all_followed_by_a_poll") {
    constexpr size_t tasks = 64, threads = 4;
    constexpr int wakes = scaled(200'000); // of each thread
    struct Target {
        std::atomic<uint64_t> produced{0};
        uint64_t seen = 0;
        Waker kept{};
        static PollStatus poll(FutureState state, Waker *waker) {
            auto *self = static_cast<Target *>(state);
            if (self->kept.wake == nullptr) self->kept = *waker;
            self->seen = self->produced.load();
            return POLL_PENDING;
        }
    };
    Runtime rt;
    std::vector<Target> targets(tasks);
    for (auto &target : targets) REQUIRE(zyntax_runtime_spawn(rt, &target, Target::poll) != nullptr);
    zyntax_runtime_turn(rt, 0);
    std::atomic<size_t> running{threads};
    std::vector<Thread> producers;
    for (size_t t = 0; t < threads; t++)
        producers.emplace_back([&, t] {
            std::minstd_rand random(unsigned(t + 1));
            for (int i = 0; i < wakes; i++) {
                Target &target = targets[random() % tasks];
                target.produced++;
                wake(target.kept);
            }
            running--;
        });
    CHECK(rt.drive_until([&] { return running == 0; }, 60'000));
    for (auto &producer : producers) producer.join();
    CHECK(rt.drive_until([&] {
        for (auto &target : targets)
            if (target.seen != target.produced) return false;
        return true;
    }));
    CHECK(rt.idle_waits() <= 5);
}

TEST_CASE("wakes_from_four_threads_before_one_turn_cause_one_poll") {
    Runtime rt;
    WakerKeeper task;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    std::vector<Thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&] {
            for (int i = 0; i < scaled(1'000'000); i++) task.wake();
        });
    for (auto &thread : threads) thread.join();
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 2);
    CHECK(rt.idle_waits() <= 5);
}

TEST_CASE("four_threads_fire_wakers_while_runtimes_come_and_go") {
    constexpr size_t runtimes = scaled(3000);
    std::vector<Waker> wakers(runtimes);
    std::atomic<size_t> published{0};
    std::atomic<bool> stop{false};
    std::vector<Thread> threads;
    for (unsigned t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            std::minstd_rand random(t + 1);
            for (size_t turn = 0; !stop; turn++) {
                size_t n = published.load(std::memory_order_acquire);
                if (n == 0) continue;
                wake(wakers[n - 1]); // it may be alive, ending, dead or destroyed
                wake(wakers[random() % n]);
                if (turn % 16 == 0) yield();
            }
        });
    int lost = 0, late = 0;
    for (size_t i = 0; i < runtimes; i++) {
        Runtime rt;
        Task task, extra{[](Waker *) { return POLL_PENDING; }};
        task.on_poll = [&, i](Waker *waker) {
            if (task.polls > 1) return POLL_READY;
            wakers[i] = *waker;
            published.store(i + 1, std::memory_order_release);
            return POLL_PENDING;
        };
        task.spawn(rt);
        extra.spawn(rt);
        if (i % 2 == 0) lost += !rt.drive_until([&] { return task.drops == 1; });
        else zyntax_runtime_turn(rt, 0); // destroyed while its wakers fire
        rt.destroy();
        late += task.drops != 1 || extra.drops != 1 || extra.polls != 1;
    }
    stop = true;
    for (auto &thread : threads) thread.join();
    CHECK(lost == 0);
    CHECK(late == 0);
}
