// Random programs with fixed seeds: tasks that sleep, read, write, accept, connect, join and run jobs, that open,
// close, spawn, wake and cancel; peers that send, take, end and reset; a poller that reports too much, twice, in any
// order, late, for unknown words, and that fails. The same seed gives the same run.
#include "scripted_world.h"

#include <algorithm>
#include <random>

using namespace support;
using namespace scripted;

namespace {

class Life {
    enum Wait { nothing, sleep, read, write, ready, join, accept, connect, job, wait_count };

    struct Handle {
        zyntax_io *io;
        bool listens;
    };

    struct Actor {
        Life *life;
        size_t id;
        zyntax_task *task = nullptr;
        zyntax_op op = 0;
        Wait wait = nothing; // the operation of `op`
        uint64_t deadline = 0;
        Handle handle{};
        uint32_t interest = 0;
        size_t other = 0;
        zyntax_io *made = nullptr;
        Waker waker{};
        bool must_be_polled = true; // it was spawned or woken, and not polled since
        bool canceled = false;
        int drops = 0;
    };

    std::mt19937_64 random_;
    Heap heap_;
    std::vector<Handle> handles_;
    std::vector<std::unique_ptr<Actor>> actors_;
    bool quiet_ = false; // nothing new begins
    World world_;
    Runtime rt_{heap_.config(with_budget())};

    static zyntax_runtime_config with_budget() {
        zyntax_runtime_config config = support::config();
        config.poll_budget = 16;
        return config;
    }

    // ---- chance ----

    uint64_t below(uint64_t n) { return random_() % n; }
    bool chance(uint64_t n) { return below(n) == 0; }
    Actor &any_actor() { return *actors_[below(actors_.size())]; }
    Handle any_handle() { return handles_.empty() ? Handle{} : handles_[below(handles_.size())]; }

    // ---- notes ----

    void note(uint64_t what) { trace = (trace ^ what) * 0x100000001b3 ^ trace >> 29; }
    void expect(bool holds, const char *promise) {
        if (!holds && !broken) broken = promise;
    }

    // ---- tasks ----

    static PollStatus poll(FutureState state, Waker *waker) {
        auto *actor = static_cast<Actor *>(state);
        return actor->life->step(*actor, waker);
    }
    static void drop(FutureState state, int32_t outcome) {
        auto *actor = static_cast<Actor *>(state);
        actor->life->end(*actor, outcome);
    }

    void spawn() {
        actors_.push_back(std::make_unique<Actor>(Actor{this, actors_.size()}));
        Actor &actor = *actors_.back();
        actor.task = zyntax_runtime_spawn_with(rt_, &actor, poll, drop, 0);
    }

    void wake(Actor &actor) {
        if (!actor.waker.wake) return;
        bool alive = actor.drops == 0 && !actor.canceled;
        if (chance(2)) actor.waker.wake(actor.waker.data);
        else zyntax_wake_from_signal(&actor.waker);
        if (alive) actor.must_be_polled = true;
    }

    void cancel(Actor &actor) {
        bool alive = actor.drops == 0;
        expect((zyntax_task_cancel(actor.task) == 0) == alive, "cancel tells whether the task was alive");
        actor.canceled |= alive;
    }

    void end(Actor &actor, int32_t outcome) {
        note(actor.id << 8 | uint64_t(outcome == 0));
        expect(actor.drops++ == 0, "a state is dropped once");
        if (!chance(4)) zyntax_op_cancel(&actor.op); // some forget
        if (chance(8)) cancel(any_actor());
        if (chance(8) && actors_.size() < 400) spawn();
        if (chance(8)) close(any_handle());
    }

    // ---- descriptors ----

    void open() {
        Endpoint descriptor{chance(2) ? zyntax::os::Kind::tcp : zyntax::os::Kind::socket};
        descriptor.room = below(4);
        int64_t fd = world_.open(descriptor);
        zyntax_io *io = nullptr;
        if (fd < 0) return;
        if (chance(16)) world_.add_error = ZYNTAX_ENOSPC;
        int32_t error = zyntax_io_open(rt_, intptr_t(fd), &io);
        if (error) world_.descriptors.erase(intptr_t(fd));
        else handles_.push_back({io, false});
    }
    void listen() {
        zyntax_io *io = nullptr;
        if (zyntax_tcp_listen(rt_, "10.0.0.1", 0, &io) == 0) handles_.push_back({io, true});
    }
    void close(Handle handle) {
        intptr_t fd;
        if (chance(3) && zyntax_io_detach(handle.io, &fd) == 0) world_.descriptors.erase(fd);
        else zyntax_io_close(handle.io);
        if (handles_.size() > 60) handles_.erase(handles_.begin(), handles_.begin() + 30);
    }
    Endpoint *descriptor_of(Handle handle) {
        auto found = world_.descriptors.find(zyntax_io_fd(handle.io));
        return found == world_.descriptors.end() ? nullptr : &found->second;
    }

    // ---- awaiting ----

    void choose(Actor &actor) {
        actor.wait = Wait(below(wait_count));
        actor.deadline = world_.now_ns + below(10 * ms);
        actor.handle = any_handle();
        if (actor.handle.listens) actor.wait = accept;
        else if (actor.wait == accept) actor.wait = read;
        actor.interest = 1 + uint32_t(below(3));
        actor.other = any_actor().id;
    }

    PollStatus await(Actor &actor, Waker *waker) {
        int64_t result = 0;
        char byte = 'x';
        PollStatus status = POLL_READY;
        zyntax_io *io = actor.handle.io;
        switch (actor.wait) {
        case sleep:
            status = zyntax_sleep_until(rt_, &actor.op, actor.deadline, waker);
            if (status == POLL_READY) expect(world_.now_ns >= actor.deadline, "nothing fires early");
            break;
        case read:
            status = zyntax_io_read(io, &actor.op, &byte, 1, waker, &result);
            break;
        case write:
            status = zyntax_io_write(io, &actor.op, &byte, 1, waker, &result);
            break;
        case ready:
            status = zyntax_io_ready(io, &actor.op, actor.interest, waker, &result);
            break;
        case join:
            status = zyntax_task_join(actors_[actor.other]->task, &actor.op, waker, &result);
            if (status == POLL_READY && result == 0) expect(actors_[actor.other]->drops == 1, "join waits for drop");
            break;
        case accept:
            status = zyntax_tcp_accept(io, &actor.op, waker, &actor.made, &result);
            if (status == POLL_READY && result == 0) handles_.push_back({actor.made, false});
            break;
        case connect:
            if (actor.op == 0) world_.connects = {chance(2) ? ZYNTAX_EAGAIN : chance(2) ? 0 : ZYNTAX_ENETUNREACH};
            status = zyntax_tcp_connect(rt_, &actor.op, "10.0.0.1", 1, waker, &actor.made, &result);
            if (status == POLL_READY && result == 0) handles_.push_back({actor.made, false});
            break;
        case job:
            status = zyntax_blocking(
                rt_, &actor.op, [](void *) { return int64_t(42); }, nullptr, 0, waker, &result);
            break;
        case nothing:
        case wait_count:
            break;
        }
        if (status == POLL_READY) {
            expect(actor.op == 0, "an op that is ready is zero");
            note(actor.id << 16 | uint64_t(uint8_t(result)) << 8 | actor.wait);
            actor.wait = nothing;
        }
        return status;
    }

    void act() {
        if (chance(6) && actors_.size() < 400) spawn();
        if (chance(12)) cancel(any_actor());
        if (chance(2)) wake(any_actor());
        if (chance(6)) open();
        if (chance(24)) listen();
        if (chance(10)) close(any_handle());
    }

    PollStatus step(Actor &actor, Waker *waker) {
        note(actor.id);
        expect(actor.drops == 0, "nothing is polled after its end");
        actor.must_be_polled = false;
        actor.waker = *waker;
        bool impatient = !quiet_ && chance(16);
        if (await(actor, waker) == POLL_PENDING && !impatient) return POLL_PENDING;
        if (quiet_) return POLL_PENDING;
        zyntax_op_cancel(&actor.op);
        act();
        if (chance(8)) return POLL_READY;
        choose(actor);
        if (await(actor, waker) == POLL_READY) wake(actor);
        return POLL_PENDING;
    }

    // ---- the rest of the world ----

    void peer() {
        if (world_.descriptors.empty()) return;
        auto it = world_.descriptors.begin();
        std::advance(it, below(world_.descriptors.size()));
        Endpoint &descriptor = it->second;
        bool listens = std::any_of(handles_.begin(), handles_.end(), [&](const Handle &handle) {
            return handle.listens && zyntax_io_fd(handle.io) == it->first;
        });
        uint64_t what = below(10);
        if (listens) descriptor.backlog.push_back(chance(4) ? ZYNTAX_ECONNABORTED : 0);
        else if (what < 4) descriptor.in += "ab";
        else if (what < 7) descriptor.room += 2;
        else if (what == 7) descriptor.ended = true;
        else if (what == 8) descriptor.connecting = false;
        else if (chance(2)) descriptor.error = ZYNTAX_ECONNRESET;
    }

    void disturb() {
        std::deque<Event> &reports = world_.reports;
        if (chance(4) && !world_.registered.empty()) {
            auto it = world_.registered.begin();
            std::advance(it, below(world_.registered.size()));
            constexpr uintptr_t generation = uintptr_t(1) << (sizeof(uintptr_t) == 8 ? 32 : 20);
            uintptr_t word = it->second.word - generation * below(3);
            if (chance(8)) word = ~word; // a word that no runtime of the process has
            reports.push_back({word, uint32_t(below(32))});
        }
        if (chance(4) && !reports.empty()) reports.push_back(reports[below(reports.size())]);
        if (chance(2)) std::shuffle(reports.begin(), reports.end(), random_);
    }

    // The loop may not sleep while there is work, nor for longer than to the next deadline.
    void check_timeout(int64_t timeout_ns) {
        note(uint64_t(timeout_ns));
        if (timeout_ns == 0) return;
        for (auto &actor : actors_) {
            if (actor->drops || actor->canceled) continue;
            expect(!actor->must_be_polled, "the loop does not sleep while a task is ready");
            if (actor->wait != sleep) continue;
            expect(timeout_ns > 0, "the loop does not sleep without limit while a timer is armed");
            expect(world_.now_ns + uint64_t(timeout_ns) <= actor->deadline, "the loop sleeps to the next deadline");
        }
    }

    bool waits_in_vain(const Actor &actor) {
        if (actor.drops) return false;
        if (actor.canceled || actor.must_be_polled) return true;
        Endpoint *descriptor = descriptor_of(actor.handle);
        switch (actor.wait) {
        case sleep:
            return actor.deadline <= world_.now_ns;
        case read:
            return !descriptor || (descriptor->readiness() & readable);
        case write:
            return !descriptor || (descriptor->readiness() & writable);
        case ready:
            return !descriptor || (descriptor->readiness() & actor.interest);
        case join:
            return actors_[actor.other]->drops != 0;
        case accept: // without descriptors it tries again within 100 ms
            if (world_.now_ns - world_.exhausted_ns <= 100 * ms) return false;
            return !descriptor || !descriptor->backlog.empty();
        default:
            return false;
        }
    }

    // Without new work, every task that can go on has gone on.
    void check_rest() {
        quiet_ = true;
        world_.before_reports = nullptr;
        world_.batch = UINT32_MAX;
        // A deed of another thread while a turn looks is work of the next turn: two turns without a poll mean rest.
        for (int turns = 0, idle = 0; turns < 200 && idle < 2; turns++) {
            uint64_t polls = rt_.stats().polls;
            zyntax_runtime_turn(rt_, 0);
            world_.collect();
            idle = polls == rt_.stats().polls && world_.reports.empty() ? idle + 1 : 0;
        }
        for (auto &actor : actors_) expect(!waits_in_vain(*actor), "whoever can go on is polled");
        auto connects = std::count_if(actors_.begin(), actors_.end(),
                                      [](auto &actor) { return !actor->drops && actor->wait == connect; });
        auto undecided = std::count_if(world_.descriptors.begin(), world_.descriptors.end(),
                                       [](auto &entry) { return entry.second.connecting && !entry.second.error; });
        expect(connects <= undecided, "who connects waits for a socket");
        quiet_ = false;
        for (auto &actor : actors_)
            if (actor->wait == nothing) wake(*actor);
    }

    void check_counts() {
        auto alive = uint64_t(std::count_if(actors_.begin(), actors_.end(), [](auto &actor) { return !actor->drops; }));
        zyntax_runtime_stats stats = rt_.stats();
        expect(stats.tasks_alive == alive, "tasks_alive");
        expect(stats.tasks_spawned == actors_.size(), "tasks_spawned");
        expect(stats.io_open == world_.registered.size(), "io_open");
        expect(stats.kernel_waits == world_.timeouts.size(), "kernel_waits");
        expect(stats.kernel_events == world_.reported, "kernel_events");
        expect(stats.events_stale == world_.stale, "events_stale");
    }

    void turn() {
        world_.before_reports = [this] { disturb(); };
        world_.batch = chance(2) ? 1 + uint32_t(below(8)) : UINT32_MAX;
        world_.late_ns = chance(4) ? below(ms) : 0;
        world_.early_waits = chance(4);
        int32_t error = chance(40) ? ZYNTAX_ENOMEM : 0;
        world_.wait_error = error;
        uint64_t waits = world_.timeouts.size();
        static constexpr int64_t timeouts[] = {0, 1, 5'000'000, -1};
        int32_t outcome = zyntax_runtime_turn(rt_, timeouts[below(4)]);
        bool failed = error && waits != world_.timeouts.size();
        world_.wait_error = 0;
        if (failed) expect(outcome == error, "an error of the wait is told");
        else expect(outcome >= 0 || outcome == ZYNTAX_EDEADLK, "a turn succeeds");
    }

public:
    const char *broken = nullptr; // the first promise that was
    uint64_t trace = 0xcbf29ce484222325;

    explicit Life(uint64_t seed) : random_(seed) {
        world_.descriptors_max = 30;
        world_.before_wait = [this](int64_t timeout_ns) { check_timeout(timeout_ns); };
        for (int i = 0; i < 4; i++) open();
        listen();
        for (int i = 0; i < 10; i++) spawn();
    }
    ~Life() { finish(); }
    Life(const Life &) = delete;
    Life &operator=(const Life &) = delete;

    void live(int turns) {
        for (int i = 1; i <= turns && !broken; i++) {
            turn();
            for (uint64_t n = below(4); n > 0; n--) peer();
            if (chance(3)) world_.after(below(8 * ms), [this] { peer(); });
            if (chance(3)) world_.after(below(8 * ms), [this] { wake(any_actor()); });
            if (chance(3)) world_.now_ns += below(2 * ms);
            while (rt_.stats().tasks_alive < 5) spawn();
            check_counts();
            if (i % 25 == 0) check_rest();
        }
    }

    void finish() {
        if (!rt_.rt) return;
        world_.before_wait = nullptr;
        rt_.destroy();
        for (auto &actor : actors_) {
            expect(actor->drops == 1, "every state is dropped exactly once");
            wake(*actor);
        }
        expect(heap_.balanced(), "all memory goes back");
        expect(world_.descriptors.empty() && world_.registered.empty(), "all descriptors are closed");
    }
};

// Lives one life; its trace.
uint64_t live(uint64_t seed) {
    CAPTURE(seed);
    Life life(seed);
    life.live(150);
    life.finish();
    if (life.broken) FAIL_CHECK(std::string(life.broken));
    return life.trace;
}

} // namespace

TEST_CASE("at_random_every_promise_is_kept") {
    for (uint64_t seed = 1; seed <= uint64_t(scaled(300)); seed++) live(seed);
}

TEST_CASE("the_same_seed_lives_the_same_life") {
    for (uint64_t seed = 1001; seed <= 1010; seed++) CHECK(live(seed) == live(seed));
    CHECK(live(1) != live(2));
}
