// Wakes from another thread: of a busy loop, which need no system call, and of a loop that sleeps in the kernel.
#include "executors.h"
#include "linux.h"

#include <algorithm>
#include <atomic>
#include <sys/eventfd.h>
#include <thread>

namespace bench {

namespace {

// Waits for another thread, first spinning, then giving the CPU away.
template <class Predicate> void await(Predicate done) {
    for (uint64_t spins = 0; !done(); spins++) {
        if (spins > 10'000) std::this_thread::yield();
    }
}

// ------------------------------------------------------------------------------------------------------------------
// The floor's way in: a stack that wakers push to and the loop takes whole, and an eventfd for when it sleeps
// ------------------------------------------------------------------------------------------------------------------

struct RemoteTask {
    std::atomic<uint32_t> notified{0};
    RemoteTask *next = nullptr;
    Waker local{};
};

std::atomic<RemoteTask *> remote_stack{nullptr};
std::atomic<bool> loop_sleeps{false};
int loop_eventfd = -1;

[[gnu::noinline]] void wake_remotely(void *data) {
    auto *task = static_cast<RemoteTask *>(data);
    if (task->notified.exchange(1, std::memory_order_acq_rel) != 0) return;
    RemoteTask *head = remote_stack.load(std::memory_order_relaxed);
    do {
        task->next = head;
    } while (!remote_stack.compare_exchange_weak(head, task, std::memory_order_seq_cst, std::memory_order_relaxed));
    if (head == nullptr && loop_sleeps.load(std::memory_order_seq_cst)) eventfd_write(loop_eventfd, 1);
}

[[gnu::noinline]] void drain_remote_wakes() {
    if (remote_stack.load(std::memory_order_relaxed) == nullptr) return;
    RemoteTask *newest_first = remote_stack.exchange(nullptr, std::memory_order_acquire);
    RemoteTask *oldest_first = nullptr;
    while (newest_first) {
        RemoteTask *next = newest_first->next;
        newest_first->next = oldest_first;
        oldest_first = newest_first;
        newest_first = next;
    }
    while (oldest_first) {
        RemoteTask *task = oldest_first;
        oldest_first = task->next;
        task->notified.exchange(0, std::memory_order_acq_rel);
        task->local.wake(task->local.data);
    }
}

class RemoteOnRuntime : public OnRuntime {
public:
    explicit RemoteOnRuntime(size_t) {}
    Waker remote_waker(size_t, const Waker *waker) { return *waker; }
    double kernel_events() const { return static_cast<double>(stats().kernel_events); }
};

class RemoteOnBareLoop : public OnBareLoop {
public:
    explicit RemoteOnBareLoop(size_t tasks) : remote(tasks) {}
    ~RemoteOnBareLoop() { remote_stack.store(nullptr); }
    RemoteOnBareLoop(const RemoteOnBareLoop &) = delete;
    RemoteOnBareLoop &operator=(const RemoteOnBareLoop &) = delete;
    Waker remote_waker(size_t index, const Waker *waker) {
        remote[index].local = *waker;
        return {&remote[index], wake_remotely};
    }
    void run() {
        constexpr uint64_t polls_between_looks = 256;
        while (bare::live_tasks() != 0) {
            drain_remote_wakes();
            bare::turn(polls_between_looks);
        }
        drain_remote_wakes();
    }
    double kernel_events() const { return absent; }

private:
    std::vector<RemoteTask> remote;
};

// ------------------------------------------------------------------------------------------------------------------
// A busy loop
// ------------------------------------------------------------------------------------------------------------------

// A task that yields keeps the loop awake. Another thread wakes `targets` tasks once each, waits until all were polled,
// and begins again: no wake coalesces. With one target nearly all do.
template <class Executor> class WakeBusy : public Side {
public:
    explicit WakeBusy(size_t count) : executor(count), targets(count), wakers(count) {}

    // The value is the cost of a wake for its caller, in the rounds in which the loop really had a CPU; the extras are
    // the time until all tasks were polled, shared out among the wakes, and the kernel events that the loop saw for a
    // wake.
    Measurement run(uint64_t ops) override {
        rounds = targets.size() == 1 ? 100 : (ops + targets.size() - 1) / targets.size();
        wakes_a_round = targets.size() == 1 ? (ops + rounds - 1) / rounds : targets.size();
        for (size_t i = 0; i < targets.size(); i++) targets[i] = {this, i, false};
        own = {0, 0, targets.size()};
        shared.polls.store(0, std::memory_order_relaxed);
        shared.spins.store(0, std::memory_order_relaxed);
        shared.stop.store(false, std::memory_order_relaxed);
        double events_before = executor.kernel_events();
        executor.spawn(this, spin);
        for (Target &target : targets) executor.spawn(&target, poll_target);
        std::thread waker_thread([this] { wake_all(); });
        executor.run();
        waker_thread.join();
        double events = executor.kernel_events() - events_before;
        return {median(busy_rounds_ns.empty() ? rounds_ns : busy_rounds_ns),
                {polled_ns.empty() ? absent : median(polled_ns), events / static_cast<double>(rounds * wakes_a_round)}};
    }

private:
    struct Target {
        WakeBusy *bench = nullptr;
        size_t index = 0;
        bool known = false; // its waker has been published
    };

    static PollStatus poll_target(FutureState state, Waker *waker) {
        auto *target = static_cast<Target *>(state);
        WakeBusy *self = target->bench;
        if (!target->known) {
            target->known = true;
            self->wakers[target->index] = self->executor.remote_waker(target->index, waker);
        }
        self->own.polls++;
        if (!self->shared.stop.load(std::memory_order_acquire)) return POLL_PENDING;
        self->own.live_targets--;
        return POLL_READY;
    }

    static PollStatus spin(FutureState state, Waker *waker) {
        auto *self = static_cast<WakeBusy *>(state);
        self->shared.spins.store(++self->own.spins, std::memory_order_relaxed);
        self->shared.polls.store(self->own.polls, std::memory_order_release);
        if (self->own.live_targets == 0) return POLL_READY;
        waker->wake(waker->data);
        return POLL_PENDING;
    }

    void wait_for_polls(uint64_t count) {
        await([&] { return shared.polls.load(std::memory_order_acquire) >= count; });
    }

    void wait_for_spins(uint64_t count) {
        count += shared.spins.load(std::memory_order_relaxed);
        await([&] { return shared.spins.load(std::memory_order_relaxed) >= count; });
    }

    double per_wake(uint64_t start_ns) const {
        return static_cast<double>(wall_ns() - start_ns) / static_cast<double>(wakes_a_round);
    }

    void wake_all() {
        pin(Place::counterpart);
        for (auto *figures : {&rounds_ns, &busy_rounds_ns, &polled_ns}) figures->clear();
        wait_for_polls(targets.size());
        for (uint64_t round = 0; round < rounds; round++) {
            uint64_t start = wall_ns();
            wake_round();
            if (targets.size() == 1) {
                wait_for_spins(1'000);
                continue;
            }
            wait_for_polls(targets.size() * (round + 2));
            polled_ns.push_back(per_wake(start));
        }
        shared.stop.store(true, std::memory_order_release);
        for (const Waker &waker : wakers) waker.wake(waker.data);
    }

    void wake_round() {
        constexpr uint64_t wakes_a_spin = 32; // at most, where the loop runs in parallel
        const Waker *all = wakers.data();
        size_t last = wakers.size() - 1;
        uint64_t count = wakes_a_round;
        uint64_t spins_before = shared.spins.load(std::memory_order_relaxed);
        uint64_t start = wall_ns();
        for (uint64_t i = 0; i < count; i++) {
            const Waker &waker = all[std::min<size_t>(i, last)];
            waker.wake(waker.data);
        }
        rounds_ns.push_back(per_wake(start));
        uint64_t spins_since = shared.spins.load(std::memory_order_relaxed) - spins_before;
        if (spins_since * wakes_a_spin >= count) busy_rounds_ns.push_back(rounds_ns.back());
    }

    Executor executor;
    std::vector<Target> targets;
    std::vector<Waker> wakers;
    std::vector<double> rounds_ns;
    std::vector<double> busy_rounds_ns;
    std::vector<double> polled_ns;
    uint64_t rounds = 0;
    uint64_t wakes_a_round = 0;

    struct alignas(64) {    // the loop's own
        uint64_t polls = 0; // of targets
        uint64_t spins = 0;
        size_t live_targets = 0;
    } own;
    struct alignas(64) {
        std::atomic<uint64_t> polls{0}; // both published in each poll of the task that spins
        std::atomic<uint64_t> spins{0};
        std::atomic<bool> stop{false};
    } shared;
};

// ------------------------------------------------------------------------------------------------------------------
// A sleeping loop
// ------------------------------------------------------------------------------------------------------------------

// Two loops in two threads that take turns: [0] moves at even steps, [1] at odd ones.
struct alignas(64) Turns {
    std::atomic<uint64_t> step{0};
    uint64_t end = 0;

    bool over() const { return step.load(std::memory_order_acquire) >= end; }
    bool is_mine(unsigned player) const { return (step.load(std::memory_order_acquire) & 1) == player; }
};

class AsleepOnRuntime : public Side {
public:
    Measurement run(uint64_t ops) override {
        turns.step.store(0, std::memory_order_relaxed);
        turns.end = ops * 2;
        published.store(0, std::memory_order_relaxed);
        std::thread other([this] {
            pin(Place::counterpart);
            drive(1);
        });
        uint64_t elapsed = drive(0);
        other.join();
        return {static_cast<double>(elapsed) / static_cast<double>(ops)};
    }

private:
    struct Player {
        AsleepOnRuntime *bench;
        unsigned index;
        bool known;
    };

    uint64_t drive(unsigned index) {
        Player player{this, index, false};
        executors[index].spawn(&player, poll);
        uint64_t start = wall_ns();
        executors[index].run();
        return wall_ns() - start;
    }

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *player = static_cast<Player *>(state);
        AsleepOnRuntime *self = player->bench;
        if (!player->known) {
            player->known = true;
            self->wakers[player->index] = *waker;
            self->published.fetch_add(1, std::memory_order_acq_rel);
            await([self] { return self->published.load(std::memory_order_acquire) == 2; });
        }
        if (!self->turns.over() && !self->turns.is_mine(player->index)) return POLL_PENDING;
        bool last = self->turns.over();
        if (!last) last = self->turns.step.fetch_add(1, std::memory_order_acq_rel) + 1 >= self->turns.end;
        const Waker &other = self->wakers[1 - player->index];
        other.wake(other.data);
        return last ? POLL_READY : POLL_PENDING;
    }

    OnRuntime executors[2];
    Waker wakers[2] = {};
    Turns turns;
    std::atomic<int> published{0};
};

class AsleepOnEpoll : public Side {
public:
    AsleepOnEpoll() {
        for (int i = 0; i < 2; i++) {
            epolls[i] = Fd(epoll_create1(EPOLL_CLOEXEC));
            events[i] = Fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
            watch(epolls[i], events[i], EPOLLIN | EPOLLET, nullptr);
        }
    }

    Measurement run(uint64_t ops) override {
        turns.step.store(0, std::memory_order_relaxed);
        turns.end = ops * 2;
        std::thread other([this] {
            pin(Place::counterpart);
            drive(1);
        });
        uint64_t start = wall_ns();
        drive(0);
        uint64_t elapsed = wall_ns() - start;
        other.join();
        return {static_cast<double>(elapsed) / static_cast<double>(ops)};
    }

private:
    void drive(unsigned index) {
        while (!turns.over()) {
            if (turns.is_mine(index)) {
                turns.step.fetch_add(1, std::memory_order_acq_rel);
                eventfd_write(events[1 - index].get(), 1);
                continue;
            }
            epoll_event ready[16];
            epoll_wait(epolls[index].get(), ready, 16, -1); // edge-triggered: never read
        }
    }

    Fd epolls[2];
    Fd events[2];
    Turns turns;
};

} // namespace

void add_wakes(std::vector<Workload> &all) {
    all.push_back({"wake_busy_distinct",
                   "wakes of 1,024 tasks from another thread, loop busy; for the waker",
                   1'000'000,
                   100'000,
                   make<WakeBusy<RemoteOnRuntime>, 1024>,
                   make<WakeBusy<RemoteOnBareLoop>, 1024>,
                   "ns",
                   {"ns until polled", "kernel events/wake"}});
    all.push_back({"wake_busy_same", "wakes of one task from another thread, loop busy; for the waker", 1'000'000,
                   100'000, make<WakeBusy<RemoteOnRuntime>, 1>, make<WakeBusy<RemoteOnBareLoop>, 1>});
    all.push_back({"wake_asleep", "two sleeping loops in two threads wake each other; per round trip", 10'000, 1'000,
                   make<AsleepOnRuntime>, make<AsleepOnEpoll>});
}

} // namespace bench
