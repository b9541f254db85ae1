// Signals from several threads while handles are opened and closed: none is lost, and nothing is disturbed.
#include "blocking_support.h"
#include "signal_support.h"

#include <deque>

using namespace support;

namespace {

// A runtime in a thread of its own that counts a signal until it is told to end.
class SignalCounter {
public:
    std::atomic<int64_t> heard{0}, results{0}, errors{0};

    explicit SignalCounter(int number) : number_(number), thread_([this] { run(); }) {
        while (!is_open_) yield();
    }
    ~SignalCounter() { end(); }
    SignalCounter(const SignalCounter &) = delete;
    SignalCounter &operator=(const SignalCounter &) = delete;
    void end() {
        if (!over_.exchange(true)) thread_.join();
    }

private:
    void run() {
        Runtime rt;
        zyntax_signal *signal = signal_of(rt, number_);
        is_open_ = true;
        Task task;
        task.on_poll = [&](Waker *waker) {
            int64_t n;
            while (zyntax_signal_wait(signal, &task.op, waker, &n) == POLL_READY) {
                results++;
                if (n > 0) heard += n;
                else errors++;
            }
            return POLL_PENDING;
        };
        task.spawn(rt);
        while (!over_) zyntax_runtime_turn(rt, int64_t(ms));
    }
    int number_;
    std::atomic<bool> is_open_{false}, over_{false};
    Thread thread_;
};

// Threads that send a signal to the process, much faster than it is handled. They pause: the kernel delivers the next
// signal as soon as a handler returns, so that without pauses an interrupted thread never gets to its next instruction.
class SignalHammer {
public:
    std::atomic<int64_t> sent{0};

    SignalHammer(int number, int threads) {
        for (int i = 0; i < threads; i++) {
            threads_.emplace_back([this, number] {
                while (!over_) {
                    kill(getpid(), number);
                    if (++sent % 20 == 0) sleep_for(std::chrono::microseconds(20));
                }
            });
        }
    }
    ~SignalHammer() {
        over_ = true;
        for (Thread &thread : threads_) thread.join();
    }
    SignalHammer(const SignalHammer &) = delete;
    SignalHammer &operator=(const SignalHammer &) = delete;

private:
    std::atomic<bool> over_{false};
    std::deque<Thread> threads_;
};

constexpr int burst_of_signals = 10'000;

} // namespace

TEST_CASE("a_burst_of_10000_is_counted_to_the_last_by_two_runtimes_on_two_threads") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    HostAction action(SIGUSR1);
    {
        SignalCounter one(SIGUSR1), two(SIGUSR1);
        Runtime rt;
        zyntax_signal *mine = signal_of(rt, SIGUSR1);
        raise_times(SIGUSR1, burst_of_signals); // each is handled before raise returns
        CHECK(eventually([&] { return one.heard == burst_of_signals && two.heard == burst_of_signals; }));
        CHECK(await(rt, waiting_for(mine)) == burst_of_signals);
        CHECK(one.errors + two.errors == 0);
        CHECK(one.results > 0);
        one.end();
        raise(SIGUSR1);
        CHECK(eventually([&] { return two.heard == burst_of_signals + 1; }));
        CHECK(one.heard == burst_of_signals);
        CHECK(zyntax_signal_close(mine) == 0);
        CHECK_FALSE(action.is_there());
    }
    CHECK(action.is_there());
    CHECK(action.calls == 0);
    raise(SIGUSR1);
    CHECK(action.calls == 1);
}

#ifdef SIGRTMIN
TEST_CASE("each_real_time_signal_of_a_burst_to_the_process_is_counted") {
    SKIP_WHEN(sanitized, "ThreadSanitizer merges signals that wait for a thread");
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    SignalCounter counter(SIGRTMIN + 1);
    int queued = 0;
    for (int i = 0; i < burst_of_signals; i++) {
        sigval value{};
        while (sigqueue(getpid(), SIGRTMIN + 1, value) != 0) yield(); // the queue is full
        queued++;
    }
    CHECK(queued == burst_of_signals);
    CHECK(eventually([&] { return counter.heard == burst_of_signals; }));
    counter.end();
    CHECK(counter.heard == burst_of_signals);
    CHECK(counter.errors == 0);
}
#endif

TEST_CASE("a_burst_of_a_standard_signal_to_the_process_is_heard_and_not_overcounted") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    SignalCounter counter(SIGUSR2);
    {
        SignalHammer hammer(SIGUSR2, 2);
        CHECK(eventually([&] { return hammer.sent >= burst_of_signals && counter.heard > 0; }));
    }
    for (int i = 0; i < 3; i++) {
        int64_t before = counter.heard;
        kill(getpid(), SIGUSR2);
        CHECK(eventually([&] { return counter.heard > before; })); // the last is never lost
    }
    CHECK(counter.errors == 0);
}

TEST_CASE("handles_are_opened_and_closed_while_signals_come") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    HostAction action(SIGUSR1, SIG_IGN);
    std::atomic<int64_t> errors{0}, heard{0};
    {
        SignalHammer hammer(SIGUSR1, 2);
        std::deque<Thread> threads;
        for (int i = 0; i < 2; i++) {
            threads.emplace_back([&, i] {
                for (int round = 0; round < scaled(300); round++) {
                    Runtime rt;
                    zyntax_signal *signals[2] = {signal_of(rt, SIGUSR1), signal_of(rt, SIGUSR1)};
                    Await a(rt, waiting_for(signals[0])), b(rt, waiting_for(signals[1]));
                    for (int turn = 0; turn < round % 4; turn++) zyntax_runtime_turn(rt, 0);
                    if (round == 0) rt.drive_until([&] { return !a.alive() && !b.alive(); });
                    if ((round + i) % 3 == 0) errors += zyntax_signal_close(signals[0]) != 0;
                    zyntax_runtime_turn(rt, 0);
                    if ((round + i) % 3 == 1) rt.destroy();
                    else settle(rt);
                    for (Await *each : {&a, &b}) {
                        if (each->result > 0) heard += each->result;
                        else errors += each->result == ZYNTAX_EINVAL || each->result == ZYNTAX_ENOMEM || !each->result;
                    }
                }
            });
        }
        for (Thread &thread : threads) thread.join();
    }
    CHECK(errors == 0);
    CHECK(heard > 0);
    CHECK(action.is_there());
}

TEST_CASE("a_signal_that_comes_during_open_is_counted_or_reaches_the_host") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    HostAction action(SIGUSR1);
    Runtime rt;
    pthread_t opener = pthread_self();
    int64_t heard = 0, sent = 0;
    for (int round = 0; round < scaled(1000); round++) {
        std::atomic<bool> begun{false};
        Thread other([&] {
            while (!begun) {
            }
            for (int i = 0; i < 3; i++) sent += pthread_kill(opener, SIGUSR1) == 0;
        });
        begun = true;
        zyntax_signal *signal = signal_of(rt, SIGUSR1);
        other.join();
        getpid(); // pending signals are handled when a system call returns
        int64_t n = 0;
        zyntax_op op = 0;
        Waker waker{nullptr, [](void *) {}};
        if (zyntax_signal_wait(signal, &op, &waker, &n) == POLL_READY) heard += n;
        zyntax_op_cancel(&op);
        CHECK(zyntax_signal_close(signal) == 0);
    }
    CHECK(heard + action.calls <= sent);
    CHECK(heard + action.calls >= sent / 3); // pending ones coalesce
    CHECK(heard > 0);
}

TEST_CASE("other_numbers_and_jobs_are_not_disturbed_by_a_storm") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    Runtime rt;
    zyntax_signal *stormy = signal_of(rt, SIGUSR1), *quiet = signal_of(rt, SIGTERM);
    Await waits(rt, waiting_for(quiet));
    {
        SignalHammer hammer(SIGUSR1, 1);
        for (int i = 0; i < 20; i++) {
            Job job = [](void *) { return int64_t(7); };
            CHECK(await(rt, blocking(rt, job, nullptr, 0)) == 7);
            CHECK(await(rt, sleeping(rt, ms)) == 0);
            CHECK(await(rt, waiting_for(stormy)) > 0);
        }
    }
    CHECK(waits.alive());
    raise(SIGTERM);
    CHECK(rt.drain());
    CHECK(waits.result == 1);
    int64_t rest = 0;
    zyntax_op op = 0;
    Waker waker{nullptr, [](void *) {}};
    if (zyntax_signal_wait(stormy, &op, &waker, &rest) == POLL_READY) CHECK(rest > 0);
    zyntax_op_cancel(&op);
    CHECK(rt.idle_waits() <= idle_budget);
}

// The first wait of a process for a task of another runtime pauses, so each round is a process of its own.
TEST_CASE("a_wait_for_a_task_of_another_runtime_keeps_errno_while_signals_come") {
    int lost = 0;
    for (int round = 0; round < 20; round++) {
        lost += Child([] {
                    signal(SIGUSR1, [](int) {});
                    Runtime here, there;
                    zyntax_channel *channel = nullptr;
                    REQUIRE(zyntax_channel_create(here, 1, sizeof(int), &channel) == 0);
                    WakerKeeper keeper;
                    keeper.spawn(there);
                    zyntax_runtime_turn(there, 0);
                    std::atomic<int> sent{0};
                    std::atomic<bool> over{false};
                    Thread storm([&, thread = pthread_self()] {
                        for (; !over; sent++) pthread_kill(thread, SIGUSR1);
                    });
                    while (sent == 0) yield();
                    zyntax_op op = 0;
                    int item = 0;
                    int64_t result = unfinished;
                    errno = 4711;
                    zyntax_channel_recv(channel, &op, &item, &keeper.kept, &result);
                    int after = errno;
                    over = true;
                    storm.join();
                    zyntax_op_cancel(&op);
                    return int(after != 4711);
                }).end();
    }
    CHECK(lost == 0);
}
