// Random programs with fixed seeds: tasks that spawn, sleep, join, select, wake, cancel and end. Each state is dropped
// exactly once, no ended task is polled, and all memory is given back.
#include "support.h"

#include <random>
#include <vector>

using namespace support;

namespace {

class World {
    struct Actor {
        World *world;
        zyntax_task *handle;
        zyntax_op op;
        int awaiting; // 0: nothing, else the await point that the op belongs to
        zyntax_task *others[4];
        uint64_t deadline;
        int polls, drops;
    };

    std::mt19937 random;
    Heap heap;
    Clock clock;
    std::vector<std::unique_ptr<Actor>> actors;
    std::vector<Waker> wakers;
    Runtime rt{heap.config(clock.config())};

    bool chance(unsigned n) { return random() % n == 0; }
    Actor &any() { return *actors[random() % actors.size()]; }

    static PollStatus poll(FutureState state, Waker *waker) {
        auto &self = *static_cast<Actor *>(state);
        return self.world->step(self, waker);
    }
    static void drop(FutureState state, int32_t) {
        auto &self = *static_cast<Actor *>(state);
        World &world = *self.world;
        world.after_end += self.drops++;
        if (!world.chance(4)) zyntax_op_cancel(&self.op); // some forget
        if (world.chance(8)) zyntax_task_cancel(world.any().handle);
        if (world.chance(8)) world.spawn();
    }
    void begin_await(Actor &self) {
        self.awaiting = int(random() % 6);
        self.deadline = clock.now + random() % 1000;
        for (auto &other : self.others) other = chance(10) ? self.handle : any().handle;
    }
    PollStatus await(Actor &self, Waker *waker) {
        int64_t result = 0;
        switch (self.awaiting) {
        case 1:
            return zyntax_sleep_until(rt, &self.op, self.deadline, waker);
        case 2:
            return zyntax_task_join(self.others[0], &self.op, waker, &result);
        case 3:
            return zyntax_join_until(self.others[0], &self.op, self.deadline, waker, &result);
        case 4:
            return zyntax_select(self.others, 4, &self.op, waker, &result);
        case 5:
            return zyntax_join_all(self.others, 4, &self.op, waker);
        default:
            return POLL_READY;
        }
    }
    PollStatus step(Actor &self, Waker *waker) {
        self.polls++;
        after_end += self.drops;
        if (chance(4)) wakers.push_back(*waker);
        if (await(self, waker) == POLL_PENDING && !chance(16)) return POLL_PENDING;
        zyntax_op_cancel(&self.op); // in case it is still pending
        if (self.op != 0) bad_ops++;
        for (int i = 0; i < 2; i++) {
            if (chance(6) && actors.size() < 3000) spawn();
            if (chance(12)) zyntax_task_cancel(any().handle);
            if (!wakers.empty() && chance(2)) {
                Waker &other = wakers[random() % wakers.size()];
                other.wake(other.data);
            }
        }
        if (chance(6)) return POLL_READY;
        begin_await(self);
        if (await(self, waker) == POLL_READY) waker->wake(waker->data);
        return POLL_PENDING;
    }

public:
    int after_end = 0, bad_ops = 0, refused = 0;

    explicit World(unsigned seed) : random(seed) {
        for (int i = 0; i < 50; i++) spawn();
    }
    void spawn() {
        actors.push_back(std::make_unique<Actor>());
        Actor &actor = *actors.back();
        actor.world = this;
        actor.handle = zyntax_runtime_spawn_with(rt, &actor, poll, drop, 0);
        refused += actor.handle == nullptr && actor.drops == 0;
    }
    // Turns, lets time pass, and compares the runtime's counts with the model.
    bool live(int turns) {
        for (int i = 0; i < turns; i++) {
            zyntax_runtime_turn(rt, 0);
            clock.now += random() % 200;
            if (wakers.size() > 500) wakers.erase(wakers.begin(), wakers.begin() + 250);
            while (actors.size() < 3000 && rt.stats().tasks_alive < 20) spawn();
            uint64_t alive = 0;
            for (auto &actor : actors) alive += actor->drops == 0;
            if (alive != rt.stats().tasks_alive || rt.stats().tasks_spawned != actors.size()) return false;
        }
        return true;
    }
    bool end() {
        rt.destroy();
        for (auto &actor : actors)
            if (actor->drops != 1) return false;
        for (auto &waker : wakers) waker.wake(waker.data);
        return heap.balanced();
    }
};

} // namespace

TEST_CASE("random_tasks_are_dropped_exactly_once_and_leave_nothing_behind") {
    for (unsigned seed = 1; seed <= unsigned(scaled(100)); seed++) {
        CAPTURE(seed);
        World world(seed);
        CHECK(world.live(200));
        CHECK(world.end());
        CHECK(world.after_end == 0);
        CHECK(world.bad_ops == 0);
        CHECK(world.refused == 0);
    }
}
