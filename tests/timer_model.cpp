// Random arming, re-arming, cancelling and passing of time, compared with a model after every step.
#include "support.h"

#include <algorithm>
#include <map>
#include <random>
#include <vector>

using namespace support;

namespace {

// The timers of a runtime, compared with a std::multimap. The order of equal deadlines is open once other timers were
// cancelled, so both sides are compared as sorted pairs of deadline and id.
class Model {
    struct Sleeper {
        Model *model = nullptr;
        size_t id = 0;
        zyntax_op op = 0;
        zyntax_task *task = nullptr;
        uint64_t deadline = 0;
        Waker kept{};
        bool live = false;
    };
    using Timers = std::multimap<uint64_t, size_t>;
    using Expiry = std::pair<uint64_t, size_t>;

    std::mt19937_64 random;
    std::vector<Sleeper> sleepers;
    Clock clock;
    Runtime rt{clock.config()}; // goes before its sleepers
    Timers timers;
    std::vector<Expiry> fired; // in the order of their polls

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Sleeper *>(state);
        self->kept = *waker;
        if (zyntax_sleep_until(self->model->rt, &self->op, self->deadline, waker) == POLL_PENDING) return POLL_PENDING;
        self->model->fired.emplace_back(self->deadline, self->id);
        return POLL_READY;
    }
    static void drop(FutureState state, int32_t) {
        auto *self = static_cast<Sleeper *>(state);
        zyntax_op_cancel(&self->op);
        self->live = false;
    }
    uint64_t some_deadline() {
        static const uint64_t spans[] = {3, 100, ms, 1000 * ms, 1ull << 42, 1ull << 52};
        return clock.now + 1 + random() % spans[random() % 6];
    }
    void forget(const Sleeper &sleeper) {
        auto [first, last] = timers.equal_range(sleeper.deadline);
        for (auto it = first; it != last; ++it)
            if (it->second == sleeper.id) {
                timers.erase(it);
                return;
            }
    }
    void arm(Sleeper &sleeper) {
        sleeper.deadline = some_deadline();
        timers.emplace(sleeper.deadline, sleeper.id);
    }
    void touch(Sleeper &sleeper) {
        if (!sleeper.live) {
            arm(sleeper);
            sleeper.live = true;
            sleeper.task = zyntax_runtime_spawn_with(rt, &sleeper, poll, drop, 0);
            return;
        }
        forget(sleeper);
        if (random() % 2 == 0) {
            zyntax_task_cancel(sleeper.task);
            return;
        }
        zyntax_op_cancel(&sleeper.op);
        arm(sleeper);
        sleeper.kept.wake(sleeper.kept.data);
    }
    // Lets time pass; false if other timers fired than should have, or in another order.
    bool advance() {
        bool to_the_next = random() % 2 == 0 && !timers.empty();
        clock.now = to_the_next ? timers.begin()->first : some_deadline();
        std::vector<Expiry> due;
        for (auto it = timers.begin(); it != timers.end() && it->first <= clock.now; it = timers.erase(it))
            due.push_back(*it);
        fired.clear();
        for (size_t i = 0; i < due.size() / 256 + 2; i++) zyntax_runtime_turn(rt, 0);
        bool in_order = std::is_sorted(fired.begin(), fired.end(), [](auto &a, auto &b) { return a.first < b.first; });
        std::sort(fired.begin(), fired.end());
        std::sort(due.begin(), due.end());
        return in_order && fired == due;
    }
    // The next look at the timers is never too late, and never at once for nothing.
    bool agrees() {
        if (rt.stats().timers_pending != timers.size()) return false;
        int64_t next = zyntax_runtime_next_timeout_ns(rt);
        if (next == 0) { // sorting crowded deadlines is work, too, but not for ever
            zyntax_runtime_turn(rt, 0);
            next = zyntax_runtime_next_timeout_ns(rt);
        }
        if (timers.empty()) return next == -1;
        return next > 0 && uint64_t(next) <= timers.begin()->first - clock.now;
    }

public:
    explicit Model(uint64_t seed) : random(seed), sleepers(500) {
        for (size_t i = 0; i < sleepers.size(); i++) {
            sleepers[i].model = this;
            sleepers[i].id = i;
        }
    }
    // True if runtime and model agreed all the way.
    bool run(int steps) {
        for (int i = 0; i < steps; i++) {
            fired.clear();
            touch(sleepers[random() % sleepers.size()]);
            zyntax_runtime_turn(rt, 0); // arms or drops it
            if (!fired.empty()) return false;
            if (random() % 16 == 0 && !advance()) return false;
            if (!agrees()) return false;
        }
        return true;
    }
};

} // namespace

TEST_CASE("timers_agree_with_a_model_whatever_is_done_with_them") {
    for (uint64_t seed = 1; seed <= 10; seed++) {
        CAPTURE(seed);
        CHECK(Model(seed).run(scaled(20'000)));
    }
}
