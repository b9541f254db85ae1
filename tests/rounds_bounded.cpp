// One round handles the work that was there when it began. Work that user code adds meanwhile waits for the next round.
// So timers, I/O and the caller of turn are served, however much work hosts' wakers, drops and posted functions add.
#include "channel_support.h"
#include "host_support.h"
#include "io_support.h"

#include <deque>
#include <functional>
#include <vector>

using namespace support;

namespace {

// Work that goes on for ever by itself, one step after the other, until it is told to stop.
struct Chain {
    Runtime &rt;
    int steps = 0;
    bool over = false;
    bool ending = false; // the runtime is being destroyed: calls may fail

    explicit Chain(Runtime &runtime) : rt(runtime) {}
    virtual ~Chain() = default;
    Chain(const Chain &) = delete;
    Chain &operator=(const Chain &) = delete;
    virtual void begin() = 0;
    // False when the work must stop: for good, or because it has lasted long enough to be a failure.
    bool goes_on() { return !over && ++steps < 100'000; }
    void works(bool it_did) const { CHECK((it_did || ending)); }
    // An operation that is ready at once, unless the runtime is being destroyed.
    void now(const Operation &operation, int64_t expected) const {
        Waker waker = nobody();
        zyntax_op op = 0;
        int64_t result = unfinished;
        works(operation(&op, &waker, &result) == POLL_READY && result == expected);
        zyntax_op_cancel(&op);
    }
};

// A host whose waker sends itself the next item.
struct Items : Chain {
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    HostOp host{receiving(channel, &item)};
    explicit Items(Runtime &runtime) : Chain(runtime) {
        host.host.action = [this] {
            if (!goes_on()) return;
            works(host.call() == POLL_READY);
            begin();
        };
    }
    void begin() override {
        works(host.call() == POLL_PENDING);
        now(sending(channel, &item), 0);
    }
};

// A host whose waker makes room for its next item.
struct Room : Chain {
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1;
    HostOp host{sending(channel, &item)};
    explicit Room(Runtime &runtime) : Chain(runtime) {
        now(sending(channel, &item), 0);
        host.host.action = [this] {
            if (!goes_on()) return;
            works(host.call() == POLL_READY);
            begin();
        };
    }
    void begin() override {
        int out = 0;
        works(host.call() == POLL_PENDING);
        now(receiving(channel, &out), 1);
    }
};

// Two hosts that wake each other.
struct Pong : Chain {
    zyntax_channel *channels[2] = {channel_of(rt, 1), channel_of(rt, 1)};
    int item = 1;
    std::deque<HostOp> hosts;
    explicit Pong(Runtime &runtime) : Chain(runtime) {
        for (int i = 0; i < 2; i++) {
            hosts.emplace_back(receiving(channels[i], &item));
            works(hosts.back().call() == POLL_PENDING);
            hosts.back().host.action = [this, i] {
                if (!goes_on()) return;
                works(hosts[size_t(i)].call() == POLL_READY);
                works(hosts[size_t(i)].call() == POLL_PENDING);
                now(sending(channels[1 - i], &item), 0);
            };
        }
    }
    void begin() override { now(sending(channels[0], &item), 0); }
};

// A host whose waker waits for a handle that it closes.
struct Closing : Chain {
    std::deque<HostOp> hosts;
    zyntax_channel *channel = nullptr;
    int item = 1;
    using Chain::Chain;
    void begin() override {
        if (ending || zyntax_channel_create(rt, 1, sizeof item, &channel) != 0) return;
        HostOp &host = hosts.emplace_back(receiving(channel, &item));
        works(host.call() == POLL_PENDING);
        host.host.action = [this] {
            if (goes_on()) begin();
        };
        works(zyntax_channel_destroy(channel) == 0);
    }
};

// A host whose waker sleeps until a time that has come.
struct Sleeps : Chain {
    HostOp host{[this](zyntax_op *op, Waker *w, int64_t *r) {
        *r = 0;
        return zyntax_sleep(rt, op, 1, w);
    }};
    explicit Sleeps(Runtime &runtime) : Chain(runtime) {
        host.host.action = [this] {
            if (!goes_on()) return;
            host.call();
            begin();
        };
    }
    void begin() override { host.call(); }
};

// Drops that spawn a task and cancel it. While the runtime is destroyed spawning calls the drop itself: that is the
// end.
struct Drops : Chain {
    bool spawns = false;
    using Chain::Chain;
    static PollStatus poll(FutureState, Waker *) { return POLL_PENDING; }
    static void drop(FutureState state, int32_t) {
        auto *self = static_cast<Drops *>(state);
        if (!self->spawns && self->goes_on()) self->begin();
    }
    void begin() override {
        spawns = true;
        zyntax_task *task = zyntax_runtime_spawn_with(rt, this, poll, drop, 0);
        spawns = false;
        if (task) CHECK(zyntax_task_cancel(task) == 0);
    }
};

// Drops that spawn a task and cancel it through a posted function, as another thread would.
struct PostedCancels : Chain {
    zyntax_task *task = nullptr;
    bool spawns = false;
    using Chain::Chain;
    static PollStatus poll(FutureState, Waker *) { return POLL_PENDING; }
    static void drop(FutureState state, int32_t) {
        auto *self = static_cast<PostedCancels *>(state);
        if (!self->spawns && self->goes_on()) self->begin();
    }
    static void cancel(void *state) { zyntax_task_cancel(static_cast<PostedCancels *>(state)->task); }
    void begin() override {
        spawns = true;
        task = zyntax_runtime_spawn_with(rt, this, poll, drop, 0);
        spawns = false;
        if (task) zyntax_runtime_post(rt, cancel, this);
    }
};

// Posted functions that post again.
struct Posts : Chain {
    using Chain::Chain;
    static void call(void *state) {
        auto *self = static_cast<Posts *>(state);
        if (self->goes_on()) self->begin();
    }
    void begin() override { zyntax_runtime_post(rt, call, this); }
};

using Make = std::unique_ptr<Chain> (*)(Runtime &);
template <class T> std::unique_ptr<Chain> make(Runtime &rt) { return std::make_unique<T>(rt); }
constexpr Make kinds[] = {make<Items>,  make<Room>,  make<Pong>,          make<Closing>,
                          make<Sleeps>, make<Drops>, make<PostedCancels>, make<Posts>};

template <class Action> void for_each_kind(Action action) {
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        CAPTURE(kind);
        action(kinds[kind]);
    }
}

} // namespace

TEST_CASE("a_turn_makes_few_steps_of_what_goes_on_by_itself") {
    for_each_kind([](Make make_chain) {
        Runtime rt;
        std::unique_ptr<Chain> chain = make_chain(rt);
        chain->begin();
        for (int turn = 0; turn < 20; turn++) {
            int before = chain->steps;
            zyntax_runtime_turn(rt, 0);
            CHECK(chain->steps - before <= 2);
        }
        CHECK(chain->steps >= 5); // and it does go on
        chain->over = true;
        settle(rt);
        rt.destroy();
    });
}

TEST_CASE("a_turn_that_may_wait_makes_few_steps_too") {
    for_each_kind([](Make make_chain) {
        Runtime rt;
        std::unique_ptr<Chain> chain = make_chain(rt);
        chain->begin();
        for (int turn = 0; turn < 20; turn++) {
            int before = chain->steps;
            zyntax_runtime_turn(rt, int64_t(ms));
            CHECK(chain->steps - before <= 3);
        }
        CHECK(chain->steps >= 5);
        chain->over = true;
        settle(rt);
        rt.destroy();
    });
}

TEST_CASE("a_timer_is_on_time_beside_what_goes_on_by_itself") {
    for_each_kind([](Make make_chain) {
        Clock clock;
        Runtime rt(clock.config());
        std::unique_ptr<Chain> chain = make_chain(rt);
        Await timer(rt, sleeping(rt, 20 * ms));
        chain->begin();
        for (int turn = 0; turn < 5; turn++) zyntax_runtime_turn(rt, 0);
        clock.now += 20 * ms;
        int before = chain->steps;
        for (int turn = 0; turn < 3; turn++) zyntax_runtime_turn(rt, 0);
        CHECK_FALSE(timer.alive());
        CHECK(chain->steps - before <= 6);
        chain->over = true;
        settle(rt);
        rt.destroy();
    });
}

TEST_CASE("block_on_returns_and_a_stop_is_heard_beside_what_goes_on_by_itself") {
    for_each_kind([](Make make_chain) {
        Runtime rt;
        std::unique_ptr<Chain> chain = make_chain(rt);
        chain->begin();
        ScopedTask yielding(rt);
        yielding.on_poll = [&](Waker *waker) {
            waker->wake(waker->data);
            return yielding.polls < 10 ? POLL_PENDING : POLL_READY;
        };
        yielding.start();
        {
            Limit limit(rt);
            CHECK(zyntax_runtime_block_on(rt, yielding.handle) == 0);
        }
        CHECK(chain->steps <= 40);
        ScopedTask parked(rt);
        parked.on_poll = [&](Waker *) {
            zyntax_runtime_stop(rt);
            return POLL_PENDING;
        };
        parked.start();
        CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED);
        CHECK(chain->steps <= 60);
        chain->over = true;
        rt.destroy();
    });
}

TEST_CASE("io_is_looked_at_beside_what_goes_on_by_itself") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    for_each_kind([](Make make_chain) {
        Runtime rt;
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        char byte = 0;
        Await reader(rt, reading(io, &byte, 1));
        std::unique_ptr<Chain> chain = make_chain(rt);
        settle(rt);
        chain->begin();
        zyntax_runtime_turn(rt, 0);
        deliver(pair.far, io, "x");
        int before = chain->steps;
        for (int turn = 0; turn < 3; turn++) zyntax_runtime_turn(rt, 0);
        CHECK_FALSE(reader.alive());
        CHECK(chain->steps - before <= 6);
        chain->over = true;
        settle(rt);
        rt.destroy();
    });
}

TEST_CASE("all_that_was_there_when_the_round_began_is_handled_in_it") {
    Runtime rt;
    constexpr int count = 1000;
    zyntax_channel *channel = channel_of(rt, count);
    int item = 1, posted = 0, dropped = 0, woken = 0;
    std::deque<HostOp> hosts;
    std::vector<zyntax_task *> tasks;
    for (int i = 0; i < count; i++) {
        HostOp &host = hosts.emplace_back(receiving(channel, &item));
        CHECK(host.call() == POLL_PENDING);
        host.host.action = [&] { woken++; };
        auto drop = [](FutureState state, int32_t) { ++*static_cast<int *>(state); };
        auto poll = [](FutureState, Waker *) { return POLL_PENDING; };
        tasks.push_back(zyntax_runtime_spawn_with(rt, &dropped, poll, drop, 0));
    }
    for (int i = 0; i < 10; i++) zyntax_runtime_turn(rt, 0);
    for (int i = 0; i < count; i++) {
        CHECK(at_once(sending(channel, &item)) == 0);
        CHECK(zyntax_task_cancel(tasks[size_t(i)]) == 0);
        auto call = [](void *n) { ++*static_cast<int *>(n); };
        CHECK(zyntax_runtime_post(rt, call, &posted) == 0);
    }
    zyntax_runtime_turn(rt, 0);
    CHECK(posted == count);
    CHECK(dropped == count);
    CHECK(woken == count);
}

TEST_CASE("destroy_ends_though_drops_spawn_and_cancel_and_wakers_and_posts_go_on") {
    for_each_kind([](Make make_chain) {
        Runtime rt;
        std::unique_ptr<Chain> chain = make_chain(rt);
        chain->begin();
        zyntax_runtime_turn(rt, 0);
        int before = chain->steps;
        Task watching{[](Waker *) { return POLL_PENDING; }};
        watching.spawn(rt);
        chain->ending = true;
        rt.destroy();
        CHECK(watching.drops == 1);
        CHECK(chain->steps - before <= 10);
    });
}
