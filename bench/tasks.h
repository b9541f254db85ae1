// Spawning, joining, yielding and waking within one thread, on any executor that has these.
#pragma once

#include "harness.h"
#include "zyntax_async_runtime.h"

namespace bench {

inline Measurement cpu_since(uint64_t start_ns, uint64_t ops) {
    return {static_cast<double>(cpu_ns() - start_ns) / static_cast<double>(ops)};
}

struct alignas(64) State {
    uint64_t polls = 0;
};

inline PollStatus end_at_once(FutureState state, Waker *) {
    static_cast<State *>(state)->polls++;
    return POLL_READY;
}

template <class Executor> class SpawnBatch : public Side {
public:
    Measurement run(uint64_t ops) override {
        uint64_t before = polls();
        uint64_t batches = (ops + states.size() - 1) / states.size();
        uint64_t start = cpu_ns();
        for (uint64_t i = 0; i < batches; i++) {
            for (State &state : states) executor.spawn(&state, end_at_once);
            executor.run();
        }
        Measurement result = cpu_since(start, batches * states.size());
        expect(polls() - before == batches * states.size(), "poll every spawned task once");
        return result;
    }

private:
    uint64_t polls() const {
        uint64_t sum = 0;
        for (const State &state : states) sum += state.polls;
        return sum;
    }

    Executor executor;
    std::vector<State> states{1000};
};

template <class Executor> class SpawnJoin : public Side {
public:
    Measurement run(uint64_t ops) override {
        left = ops;
        uint64_t before = child_state.polls;
        uint64_t start = cpu_ns();
        executor.spawn(this, poll);
        executor.run();
        Measurement result = cpu_since(start, ops);
        expect(child_state.polls - before == ops, "poll every child once");
        return result;
    }

private:
    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<SpawnJoin *>(state);
        for (;;) {
            if (!self->joining) self->child = self->executor.spawn(&self->child_state, end_at_once);
            self->joining = !self->executor.join(self->child, &self->op, waker);
            if (self->joining) return POLL_PENDING;
            if (--self->left == 0) return POLL_READY;
        }
    }

    Executor executor;
    State child_state;
    typename Executor::Handle child{};
    zyntax_op op = 0;
    uint64_t left = 0;
    bool joining = false;
};

struct alignas(64) Yielder {
    uint64_t left = 0;

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Yielder *>(state);
        if (self->left == 0) return POLL_READY;
        self->left--;
        waker->wake(waker->data);
        return POLL_PENDING;
    }
};

template <class Executor> class Yield : public Side {
public:
    explicit Yield(size_t tasks) : yielders(tasks) {}

    Measurement run(uint64_t ops) override {
        uint64_t each = (ops + yielders.size() - 1) / yielders.size();
        for (Yielder &yielder : yielders) yielder.left = each;
        uint64_t start = cpu_ns();
        for (Yielder &yielder : yielders) executor.spawn(&yielder, Yielder::poll);
        executor.run();
        return cpu_since(start, each * yielders.size());
    }

private:
    Executor executor;
    std::vector<Yielder> yielders;
};

// Two tasks, each of which wakes the other and waits.
struct alignas(64) Player {
    Player *other = nullptr;
    Waker waker{};
    uint64_t left = 0;

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Player *>(state);
        self->waker = *waker;
        Waker next = self->other->waker;
        if (next.wake == nullptr) return POLL_PENDING; // not polled yet: it will wake this one
        next.wake(next.data);
        return --self->left == 0 ? POLL_READY : POLL_PENDING;
    }
};

template <class Executor> class PingPong : public Side {
public:
    Measurement run(uint64_t ops) override {
        uint64_t each = (ops + 1) / 2;
        first = Player{&second, {}, each};
        second = Player{&first, {}, each};
        uint64_t start = cpu_ns();
        executor.spawn(&first, Player::poll);
        executor.spawn(&second, Player::poll);
        executor.run();
        Measurement result = cpu_since(start, each * 2);
        expect(first.left == 0 && second.left == 0, "end both players");
        return result;
    }

private:
    Executor executor;
    Player first;
    Player second;
};

} // namespace bench
