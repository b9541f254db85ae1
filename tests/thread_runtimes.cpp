// Runtimes are independent of each other, and none is bound to the thread that created it.
#include "io_support.h"

#include <deque>

using namespace support;

TEST_CASE("a_runtime_may_be_driven_and_destroyed_by_another_thread_than_the_one_that_created_it") {
    zyntax_runtime *rt = zyntax_runtime_create();
    REQUIRE(rt != nullptr);
    std::atomic<int> done{0};
    auto count = [](FutureState state, Waker *) {
        ++*static_cast<std::atomic<int> *>(state);
        return POLL_READY;
    };
    REQUIRE(zyntax_runtime_spawn(rt, &done, count) != nullptr);
    int32_t first = 1, second = 1;
    Thread([&] {
        first = zyntax_runtime_run(rt);
        zyntax_runtime_spawn(rt, &done, count);
    }).join();
    Thread([&] { second = zyntax_runtime_run(rt); }).join();
    CHECK(first == 0);
    CHECK(second == 0);
    CHECK(done == 2);
    Thread([&] { zyntax_runtime_destroy(rt); }).join();
}

TEST_CASE("runtimes_in_different_threads_talk_over_sockets") {
    constexpr int rounds = 200;
    Pair pair = socket_pair();
    // One end each: add one and send it back.
    auto play = [](Fd fd, bool serves, int &last) {
        Runtime rt;
        zyntax_io *io = adopt(rt, fd);
        int value = 0;
        bool write = serves;
        ScopedTask task(rt);
        task.on_poll = [&](Waker *waker) {
            int64_t n = 0;
            while (value < rounds) {
                PollStatus status = write ? zyntax_io_write(io, &task.op, &value, sizeof value, waker, &n)
                                          : zyntax_io_read(io, &task.op, &value, sizeof value, waker, &n);
                if (status == POLL_PENDING) return POLL_PENDING;
                if (n != sizeof value) return POLL_READY;
                if (!write) value++;
                write = !write;
            }
            return POLL_READY;
        };
        task.start();
        rt.drain();
        last = value;
    };
    int a = 0, b = 0;
    Thread other([&, fd = std::move(pair.far)]() mutable { play(std::move(fd), false, a); });
    play(std::move(pair.near), true, b);
    other.join();
    CHECK(a >= rounds - 1);
    CHECK(b >= rounds - 1);
}

TEST_CASE("a_thread_may_drive_a_runtime_from_within_a_poll_of_another") {
    Runtime outer, inner;
    int64_t result = unfinished;
    zyntax_runtime *before = nullptr, *during = nullptr, *after = nullptr;
    ScopedTask task(outer);
    task.on_poll = [&](Waker *) {
        before = zyntax_current_runtime();
        result = await(inner, [&](zyntax_op *op, Waker *waker, int64_t *r) {
            during = zyntax_current_runtime();
            *r = 5;
            return zyntax_sleep(inner, op, ms, waker);
        });
        after = zyntax_current_runtime();
        return POLL_READY;
    };
    task.start();
    CHECK(outer.drain());
    CHECK(result == 5);
    CHECK(before == outer.rt);
    CHECK(during == inner.rt);
    CHECK(after == outer.rt);
}

TEST_CASE("tasks_of_two_runtimes_wake_each_other_across_threads") {
    constexpr int rounds = 1000;
    struct Side {
        std::atomic<int> turn{0};
        Waker wakers[2]{};
    } side;
    Runtime a, b;
    std::deque<ScopedTask> tasks;
    zyntax_runtime *runtimes[2] = {a, b};
    for (int me = 0; me < 2; me++) {
        ScopedTask &task = tasks.emplace_back(runtimes[me]);
        task.on_poll = [&side, me](Waker *waker) {
            if (side.wakers[me].wake == nullptr) {
                side.wakers[me] = *waker; // before the threads start
                return POLL_PENDING;
            }
            int turn = side.turn.load();
            if (turn < rounds && turn % 2 != me) return POLL_PENDING;
            if (turn < rounds) side.turn++;
            Waker &other = side.wakers[1 - me];
            other.wake(other.data);
            return turn < rounds ? POLL_PENDING : POLL_READY;
        };
        task.start();
    }
    settle(a);
    settle(b);
    side.wakers[0].wake(side.wakers[0].data);
    int32_t result = 1;
    Thread other([&] {
        Limit limit(b);
        result = zyntax_runtime_run(b);
    });
    {
        Limit limit(a);
        CHECK(zyntax_runtime_run(a) == 0);
    }
    other.join();
    CHECK(result == 0);
    CHECK(side.turn == rounds);
}
