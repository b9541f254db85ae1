// Random tasks that open, wait for and close signals in two runtimes of one thread, while memory and system calls fail
// at random. A model counts each delivery. An executable of its own, because it replaces `sigaction`.
#include "signal_support.h"

#include <deque>
#include <dlfcn.h>
#include <random>

using namespace support;

namespace {

bool fails = false;
std::mt19937 dice;

uint32_t roll(uint32_t n) { return dice() % n; }

} // namespace

extern "C" int sigaction(int number, const struct sigaction *action, struct sigaction *old) noexcept {
    using Sigaction = int (*)(int, const struct sigaction *, struct sigaction *);
    static auto real = reinterpret_cast<Sigaction>(dlsym(RTLD_NEXT, "sigaction"));
    if (fails && action && action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN && !roll(6)) {
        errno = ENOMEM;
        return -1;
    }
    return real(number, action, old);
}

namespace {

constexpr int numbers[] = {SIGUSR1, SIGUSR2, SIGWINCH};

// A handle as the model knows it.
struct Listener {
    zyntax_signal *signal;
    int number;
    zyntax_runtime *rt;
    int64_t came = 0, heard = 0;
};

struct Worker;

struct World {
    Heap heaps[2];
    Runtime runtimes[2]{Runtime(heaps[0].config()), Runtime(heaps[1].config())};
    std::deque<Listener> open;
    std::deque<Worker> workers;
    int64_t raised = 0, results = 0, refused = 0, canceled = 0, given_up = 0;

    int waiting_at(const zyntax_signal *signal) const;

    void raise_one() {
        int number = numbers[roll(3)];
        // Without a handle the host's action ignores it.
        raise(number); // handled before it returns
        raised++;
        for (Listener &each : open) each.came += each.number == number;
    }
};

// One task: it waits at a random handle of its runtime, gives up at random, and opens and closes handles.
struct Worker {
    World &world;
    zyntax_runtime *rt;
    ScopedTask task;
    zyntax_signal *at = nullptr; // waits there
    int polls_left;

    Worker(World &w, int which, int polls)
        : world(w), rt(w.runtimes[which]), task(w.runtimes[which]), polls_left(polls) {
        task.on_poll = [this](Waker *waker) { return poll(waker); };
        task.start();
    }

    Listener *find(zyntax_signal *signal) {
        for (Listener &each : world.open)
            if (each.signal == signal && each.rt == rt) return &each;
        return nullptr;
    }

    Listener *pick() {
        std::vector<Listener *> mine;
        for (Listener &each : world.open)
            if (each.rt == rt) mine.push_back(&each);
        return mine.empty() ? nullptr : mine[roll(uint32_t(mine.size()))];
    }

    void open_one() {
        if (world.open.size() > 8) return;
        int number = numbers[roll(3)];
        zyntax_signal *signal = nullptr;
        int32_t error = zyntax_signal_open(rt, number, &signal);
        if (error) {
            CHECK(error == ZYNTAX_ENOMEM);
            CHECK(signal == nullptr);
            world.refused++;
            return;
        }
        world.open.push_back({signal, number, rt});
    }

    void close_one() {
        Listener *which = pick();
        if (!which) return;
        zyntax_signal *signal = which->signal;
        CHECK(zyntax_signal_close(signal) == 0);
        CHECK(zyntax_signal_close(signal) == ZYNTAX_ESTALE);
        for (auto each = world.open.begin(); each != world.open.end(); ++each) {
            if (&*each != which) continue;
            world.open.erase(each);
            break;
        }
    }

    void give_up() {
        zyntax_op_cancel(&task.op);
        at = nullptr;
        world.given_up++;
    }

    void act() {
        switch (roll(7)) {
        case 0:
            return open_one();
        case 1:
            if (!roll(3)) close_one();
            return;
        case 2:
        case 3:
            return world.raise_one();
        default:
            return;
        }
    }

    // A result is the number of deliveries since the last result of this handle.
    void check(zyntax_signal *signal, int64_t n) {
        Listener *listener = find(signal);
        if (!listener) {
            CHECK((n == ZYNTAX_ECANCELED || n == ZYNTAX_ESTALE));
            world.canceled++;
            return;
        }
        if (n == ZYNTAX_ENOMEM) return; // an allocation failed; nothing is lost
        REQUIRE(n > 0);
        listener->heard += n;
        CHECK(listener->heard == listener->came);
        world.results++;
    }

    PollStatus poll(Waker *waker) {
        for (;;) {
            if (polls_left-- <= 0) {
                if (at) give_up();
                return POLL_READY;
            }
            if (at && !roll(5)) give_up();
            act();
            if (!at) {
                Listener *listener = pick();
                if (!listener) {
                    waker->wake(waker->data);
                    return POLL_PENDING;
                }
                at = listener->signal;
            }
            int64_t n = unfinished;
            zyntax_signal *signal = at;
            if (zyntax_signal_wait(signal, &task.op, waker, &n) == POLL_READY) {
                at = nullptr;
                check(signal, n);
                continue;
            }
            // Deliveries that wait are reserved for an earlier waiter.
            const Listener *listener = find(signal);
            REQUIRE(listener != nullptr);
            bool is_alone = world.waiting_at(signal) == 1 && world.heaps[0].fail_at + world.heaps[1].fail_at == 0;
            if (is_alone) CHECK(listener->heard == listener->came);
            if (!roll(3)) waker->wake(waker->data);
            return POLL_PENDING;
        }
    }
};

int World::waiting_at(const zyntax_signal *signal) const {
    int n = 0;
    for (const Worker &each : workers) n += each.at == signal;
    return n;
}

void run_world(uint32_t seed) {
    CAPTURE(seed);
    dice.seed(seed);
    HostAction first(SIGUSR1, SIG_IGN), second(SIGUSR2, SIG_IGN), third(SIGWINCH, SIG_IGN);
    {
        World world;
        uint64_t in_use[2];
        for (int i = 0; i < 2; i++) in_use[i] = world.runtimes[i].stats().bytes_in_use;
        fails = true;
        {
            for (int i = 0; i < 8; i++) world.workers.emplace_back(world, i % 2, sanitized ? 300 : 2000);
            auto is_over = [&] {
                for (Worker &each : world.workers)
                    if (each.task.alive()) return false;
                return true;
            };
            // Every wait ends sooner or later: deliveries go on.
            auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
            while (!is_over() && std::chrono::steady_clock::now() < deadline) {
                for (Runtime &rt : world.runtimes) CHECK(zyntax_runtime_turn(rt, 0) >= 0);
                world.raise_one();
                // Allocations fail from time to time.
                for (Heap &heap : world.heaps) heap.fail_at = roll(8) ? 0 : 1 + roll(2);
            }
            for (Heap &heap : world.heaps) heap.fail_at = 0;
            CHECK(is_over());
            world.workers.clear();
        }
        fails = false;
        CHECK(world.results > 0);
        CHECK(world.refused > 0);
        CHECK(world.canceled > 0);
        CHECK(world.given_up > 0);
        for (Listener &each : world.open) CHECK(zyntax_signal_close(each.signal) == 0);
        for (int i = 0; i < 2; i++) {
            zyntax_runtime_turn(world.runtimes[i], 0);
            CHECK(world.runtimes[i].stats().bytes_in_use == in_use[i]);
        }
        for (Runtime &rt : world.runtimes) rt.destroy();
        for (Heap &heap : world.heaps) CHECK(heap.balanced());
    }
    CHECK(first.is_there());
    CHECK(second.is_there());
    CHECK(third.is_there());
}

} // namespace

TEST_CASE("random_tasks_count_every_signal_and_leave_the_hosts_actions") {
    for (uint32_t seed = 1; seed <= 5; seed++) run_world(seed);
    run_world(std::random_device()());
}
