// Runtimes are independent of each other, and none is bound to the thread that created it.
#include "io_support.h"

#include <deque>

using namespace support;

// The number of rounds, of `rounds`, in which an operation for a task of another thread was kept although the task
// ended at the moment of its begin. The task's last stores wait for memory of this thread's processor, so its end
// becomes visible late. In the rounds before `first` a task of the same runtime waits. A wait begins `delay` steps
// later in each round.
static int kept_after_ends(int first, int rounds, int delay) {
    struct Line {
        alignas(64) std::atomic<int> value{0};
    };
    Line lines[16];
    Runtime here, there;
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(here, 1, sizeof(int), &channel) == 0);
    std::atomic<int> parked{0}, begun{0}, ended{0}, checked{0};
    auto store = [&](int value) {
        for (Line &line : lines) line.value.store(value, std::memory_order_relaxed);
    };
    auto wait_until = [](const std::atomic<int> &word, int value) {
        while (word != value) yield();
    };
    Waker waker{};
    Thread other([&] {
        for (int round = 1; round <= rounds; round++) {
            Task task;
            task.on_poll = [&](Waker *w) {
                waker = *w;
                if (task.polls == 1) return POLL_PENDING;
                store(round);
                return POLL_READY;
            };
            task.spawn(there);
            zyntax_runtime_turn(there, 0);
            parked = round;
            while (begun != round) {
            }
            waker.wake(waker.data);
            zyntax_runtime_turn(there, 0);
            ended = round;
            wait_until(checked, round);
        }
    });
    Waker near_waker{};
    ScopedTask near(here);
    near.on_poll = [&](Waker *w) {
        near_waker = *w;
        return POLL_PENDING;
    };
    near.start();
    zyntax_runtime_turn(here, 0);
    uint64_t in_use = here.stats().bytes_in_use;
    int kept = 0;
    for (int round = 1; round <= rounds; round++) {
        wait_until(parked, round);
        Waker copy = round < first ? near_waker : waker;
        store(-round);
        begun = round;
        for (volatile int left = (delay + round) % 1024; left > 0;) {
            int next = left - 1;
            left = next;
        }
        zyntax_op op = 0;
        int item = 0;
        int64_t result = unfinished;
        CHECK(zyntax_channel_recv(channel, &op, &item, &copy, &result) == POLL_PENDING);
        zyntax_runtime_turn(here, 0);
        wait_until(ended, round);
        for (int i = 0; i < 3; i++) zyntax_runtime_turn(here, 0);
        if (round >= first) kept += here.stats().bytes_in_use != in_use;
        zyntax_op_cancel(&op);
        checked = round;
    }
    other.join();
    CHECK(zyntax_runtime_next_timeout_ns(here) == -1);
    return kept;
}

// The first wait of a process tells all ends of tasks that they may be awaited, so each round is a process of its own.
TEST_CASE("the_first_wait_of_a_process_for_a_task_of_another_thread_is_given_back_as_well") {
    SKIP_WHEN(!has_fork || on_libkqueue, "this system has no fork, or libkqueue's thread is lost by it");
    int kept = 0;
    for (int round = 0; round < 300; round++) kept += Child([&] { return kept_after_ends(20, 20, round); }).end();
    CHECK(kept == 0);
}

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

TEST_CASE("an_operation_for_a_task_of_another_thread_is_freed_though_the_task_ends_at_that_moment") {
    CHECK(kept_after_ends(1, 2000, 0) == 0);
}
