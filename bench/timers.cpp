// Timers: a million that are inserted and cancelled, and a hundred thousand that fire, on a clock that the benchmark
// moves and on the system's.
#include "executors.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <unistd.h>

namespace bench {

namespace {

constexpr uint64_t ms = 1'000'000;

enum class Phase { insert, both };

std::vector<uint64_t> random_deadlines(size_t count, uint64_t least_ns, uint64_t most_ns) {
    std::mt19937_64 random(1);
    std::uniform_int_distribution<uint64_t> pick(least_ns, most_ns);
    std::vector<uint64_t> deadlines(count);
    for (uint64_t &deadline : deadlines) deadline = pick(random);
    return deadlines;
}

std::vector<uint32_t> random_order(size_t count) {
    std::vector<uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937_64(2));
    return order;
}

// The deadlines that both sides insert and cancel; made anew only when the number of timers changes.
struct Plan {
    std::vector<uint64_t> deadlines;
    std::vector<uint32_t> order;

    void prepare(size_t count) {
        if (deadlines.size() == count) return;
        deadlines = random_deadlines(count, 1'000 * ms, 60'000 * ms);
        order = random_order(count);
    }
};

double per_op(uint64_t elapsed_ns, uint64_t ops) { return static_cast<double>(elapsed_ns) / static_cast<double>(ops); }

// ------------------------------------------------------------------------------------------------------------------
// The floor: a wheel of 4 levels of 256 slots and 1 ms. A slot is an array, so that a slot that is due is read in
// order; a node knows where its entry is, and cancelling moves the slot's last entry there.
// ------------------------------------------------------------------------------------------------------------------

class Wheel {
public:
    struct Node {
        Waker waker;
        uint32_t slot;
        uint32_t position;
    };

    std::vector<Node> nodes;

    [[gnu::noinline]] void insert(uint32_t id, uint64_t deadline_ms, const Waker &waker) {
        nodes[id].waker = waker;
        place({static_cast<uint32_t>(deadline_ms), id});
    }

    [[gnu::noinline]] void cancel(uint32_t id) {
        const Node &node = nodes[id];
        std::vector<Entry> &slot = slots[node.slot];
        Entry last = slot.back();
        slot[node.position] = last;
        nodes[last.id].position = node.position;
        slot.pop_back();
    }

    // Moves the clock on by 1 ms and calls the wakers that are due.
    [[gnu::noinline]] void tick() {
        now++;
        for (uint32_t level = levels; --level > 0;) {
            if ((now & ((1u << (bits * level)) - 1)) == 0) empty_slot(level, [this](Entry entry) { place(entry); });
        }
        empty_slot(0, [this](Entry entry) {
            const Waker &waker = nodes[entry.id].waker;
            waker.wake(waker.data);
        });
    }

private:
    struct Entry {
        uint32_t deadline_ms;
        uint32_t id;
    };
    static constexpr uint32_t levels = 4;
    static constexpr uint32_t bits = 8;

    void place(Entry entry) {
        uint32_t level = (31 - static_cast<uint32_t>(__builtin_clz((now ^ entry.deadline_ms) | 1))) / bits;
        uint32_t index = (level << bits) | ((entry.deadline_ms >> (bits * level)) & ((1u << bits) - 1));
        std::vector<Entry> &slot = slots[index];
        nodes[entry.id].slot = index;
        nodes[entry.id].position = static_cast<uint32_t>(slot.size());
        slot.push_back(entry);
    }

    template <class Visit> void empty_slot(uint32_t level, Visit visit) {
        std::vector<Entry> &slot = slots[(level << bits) | ((now >> (bits * level)) & ((1u << bits) - 1))];
        for (const Entry &entry : slot) visit(entry);
        slot.clear();
    }

    std::vector<Entry> slots[levels << bits];
    uint32_t now = 0;
};

// ------------------------------------------------------------------------------------------------------------------
// Insert and cancel
// ------------------------------------------------------------------------------------------------------------------

class ManualClock {
public:
    uint64_t now_ns = 0;

    zyntax_runtime_config config() {
        zyntax_runtime_config config{};
        config.size = sizeof config;
        config.clock_ns = [](void *ctx) { return static_cast<ManualClock *>(ctx)->now_ns; };
        config.clock_ctx = this;
        return config;
    }
};

class TimersOnRuntime : public Side {
public:
    explicit TimersOnRuntime(Phase which) : phase(which) {}

    Measurement run(uint64_t ops) override {
        plan.prepare(ops);
        timers.assign(ops, 0);
        zyntax_runtime_spawn(executor.rt, this, poll);
        executor.run();
        expect(executor.stats().timers_pending == 0, "cancel every timer");
        return {per_op(elapsed_ns, ops)};
    }

private:
    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<TimersOnRuntime *>(state);
        uint64_t start = cpu_ns();
        size_t pending = 0;
        for (size_t i = 0; i < self->timers.size(); i++) {
            pending += zyntax_sleep_until(self->executor.rt, &self->timers[i], self->plan.deadlines[i], waker);
        }
        uint64_t inserted = cpu_ns();
        for (uint32_t i : self->plan.order) zyntax_op_cancel(&self->timers[i]);
        uint64_t cancelled = cpu_ns();
        expect(pending == self->timers.size(), "leave every timer pending");
        self->elapsed_ns = (self->phase == Phase::insert ? inserted : cancelled) - start;
        return POLL_READY;
    }

    Phase phase;
    Plan plan;
    ManualClock clock;
    zyntax_runtime_config config = clock.config();
    OnRuntime executor{&config};
    std::vector<zyntax_op> timers;
    uint64_t elapsed_ns = 0;
};

class TimersOnWheel : public Side {
public:
    explicit TimersOnWheel(Phase which) : phase(which) {}

    Measurement run(uint64_t ops) override {
        if (plan.deadlines.size() != ops) {
            plan.prepare(ops);
            for (uint64_t &deadline : plan.deadlines) deadline /= ms;
            wheel.nodes.resize(ops);
        }
        Waker waker{this, [](void *) {}};
        uint64_t start = cpu_ns();
        for (uint32_t i = 0; i < ops; i++) wheel.insert(i, plan.deadlines[i], waker);
        uint64_t inserted = cpu_ns();
        for (uint32_t i : plan.order) wheel.cancel(i);
        uint64_t cancelled = cpu_ns();
        return {per_op((phase == Phase::insert ? inserted : cancelled) - start, ops)};
    }

private:
    Phase phase;
    Plan plan;
    Wheel wheel;
};

// ------------------------------------------------------------------------------------------------------------------
// Expire: a task for every timer, so that an expiry is a wake, a poll and the task's end. The benchmark moves the
// clock.
// ------------------------------------------------------------------------------------------------------------------

constexpr uint64_t expire_span_ms = 1'000;
constexpr uint64_t expire_limit_ms = 2 * expire_span_ms;

class ExpireOnRuntime : public Side {
public:
    Measurement run(uint64_t ops) override {
        sleepers.resize(ops);
        std::vector<uint64_t> deadlines = random_deadlines(ops, ms, expire_span_ms * ms);
        for (size_t i = 0; i < ops; i++) {
            sleepers[i] = {executor.rt, 0, clock.now_ns + deadlines[i]};
            zyntax_runtime_spawn(executor.rt, &sleepers[i], poll);
        }
        while (executor.stats().timers_pending < ops) zyntax_runtime_turn(executor.rt, 0);
        uint64_t last_ms = clock.now_ns / ms + expire_limit_ms;
        uint64_t start = cpu_ns();
        while (zyntax_runtime_turn(executor.rt, 0) > 0) {
            clock.now_ns += ms;
            if (clock.now_ns / ms > last_ms) break;
        }
        double value = per_op(cpu_ns() - start, ops);
        expect(executor.stats().tasks_alive == 0, "fire every timer");
        return {value};
    }

private:
    struct Sleeper {
        zyntax_runtime *rt;
        zyntax_op op;
        uint64_t deadline_ns;
    };

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Sleeper *>(state);
        return zyntax_sleep_until(self->rt, &self->op, self->deadline_ns, waker);
    }

    ManualClock clock;
    zyntax_runtime_config config = clock.config();
    OnRuntime executor{&config};
    std::vector<Sleeper> sleepers;
};

class ExpireOnWheel : public Side {
public:
    Measurement run(uint64_t ops) override {
        sleepers.resize(ops);
        wheel.nodes.resize(ops);
        std::vector<uint64_t> deadlines = random_deadlines(ops, ms, expire_span_ms * ms);
        for (size_t i = 0; i < ops; i++) {
            sleepers[i] = {this, static_cast<uint32_t>(i), now_ms + deadlines[i] / ms};
            bare::spawn(&sleepers[i], poll);
        }
        bare::run();
        uint64_t last_ms = now_ms + expire_limit_ms;
        uint64_t start = cpu_ns();
        while (bare::live_tasks() > 0 && now_ms < last_ms) {
            now_ms++;
            wheel.tick();
            bare::run();
        }
        double value = per_op(cpu_ns() - start, ops);
        expect(bare::live_tasks() == 0, "fire every bare timer");
        return {value};
    }

private:
    struct Sleeper {
        ExpireOnWheel *bench;
        uint32_t id;
        uint64_t deadline_ms;
    };

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Sleeper *>(state);
        if (self->deadline_ms <= self->bench->now_ms) return POLL_READY;
        self->bench->wheel.insert(self->id, self->deadline_ms, *waker);
        return POLL_PENDING;
    }

    Wheel wheel;
    uint64_t now_ms = 0; // the wheel's, which starts there too and moves with it
    std::vector<Sleeper> sleepers;
};

// ------------------------------------------------------------------------------------------------------------------
// Fire: the same by the system's clock, with the spawn
// ------------------------------------------------------------------------------------------------------------------

// The durations of both sides' sleepers, in nanoseconds; made anew only when the number of timers changes.
struct Delays {
    std::vector<uint64_t> ns;

    void prepare(size_t count) {
        if (ns.size() != count) ns = random_deadlines(count, ms, 50 * ms);
    }
};

class FireOnRuntime : public Side {
public:
    Measurement run(uint64_t ops) override {
        delays.prepare(ops);
        sleepers.resize(ops);
        uint64_t start = cpu_ns();
        for (size_t i = 0; i < ops; i++) {
            sleepers[i] = {executor.rt, 0, delays.ns[i]};
            executor.spawn(&sleepers[i], poll);
        }
        executor.run();
        return {per_op(cpu_ns() - start, ops)};
    }

private:
    struct Sleeper {
        zyntax_runtime *rt;
        zyntax_op op;
        uint64_t delay_ns;
    };

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Sleeper *>(state);
        return zyntax_sleep(self->rt, &self->op, self->delay_ns, waker);
    }

    Delays delays;
    OnRuntime executor;
    std::vector<Sleeper> sleepers;
};

class FireOnWheel : public Side {
public:
    Measurement run(uint64_t ops) override {
        delays.prepare(ops);
        sleepers.resize(ops);
        wheel.nodes.resize(ops);
        advance();
        uint64_t start = cpu_ns();
        for (size_t i = 0; i < ops; i++) {
            sleepers[i] = {this, static_cast<uint32_t>(i), delays.ns[i], 0};
            bare::spawn(&sleepers[i], poll);
        }
        bare::run();
        while (bare::live_tasks() > 0) {
            usleep(1'000);
            advance();
            bare::run();
        }
        return {per_op(cpu_ns() - start, ops)};
    }

private:
    struct Sleeper {
        FireOnWheel *bench;
        uint32_t id;
        uint64_t delay_ns;
        uint64_t deadline_ms;
    };

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Sleeper *>(state);
        if (self->deadline_ms != 0) return POLL_READY;
        self->deadline_ms = self->bench->now_ms + self->delay_ns / ms + 1;
        self->bench->wheel.insert(self->id, self->deadline_ms, *waker);
        return POLL_PENDING;
    }

    void advance() {
        for (uint64_t until_ms = (wall_ns() - created_ns) / ms; now_ms < until_ms; now_ms++) wheel.tick();
    }

    Delays delays;
    Wheel wheel;
    uint64_t created_ns = wall_ns();
    uint64_t now_ms = 0; // the wheel's, which moves with it
    std::vector<Sleeper> sleepers;
};

} // namespace

void add_timers(std::vector<Workload> &all) {
    all.push_back({"timer_insert", "begin timers due in 1..60 s at random; per timer", 1'000'000, 300'000,
                   make<TimersOnRuntime, Phase::insert>, make<TimersOnWheel, Phase::insert>});
    all.push_back({"timer_cancel", "begin such timers and cancel them in random order; per timer", 1'000'000, 300'000,
                   make<TimersOnRuntime, Phase::both>, make<TimersOnWheel, Phase::both>});
    all.push_back({"timer_expire", "tasks that sleep 1..1,000 ms at random: expiry, wake, poll, end; per task", 100'000,
                   100'000, make<ExpireOnRuntime>, make<ExpireOnWheel>});
    all.push_back({"timer_fire",
                   "tasks that sleep 1..50 ms at random, from spawn to end, clock of the system; per task", 100'000,
                   100'000, make<FireOnRuntime>, make<FireOnWheel>});
}

} // namespace bench
