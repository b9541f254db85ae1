// Random tasks of two runtimes on two threads: they use shared ports, scopes, interrupts and local words, and give
// waits up. Each item arrives exactly once, each task of a scope is told once, and each task finds its own word.
#include "port_support.h"

#include <deque>
#include <random>

using namespace support;

namespace {

constexpr uint32_t lanes = 2, workers_each = 6, senders = lanes * workers_each, ports = 3;
constexpr uint32_t items_each = 16'384;

struct Item {
    uint32_t sender, number;
};

class Crossing;

// A task of a lane. Its local word is its own address; a child that it spawns begins with that word.
struct Crosser {
    Crossing *world = nullptr;
    uint32_t index = 0;
    zyntax_runtime *rt = nullptr;
    std::mt19937 dice{};
    int steps_left = 0;
    uint32_t made = 0;          // number of the newest item
    std::vector<uint32_t> seen; // by port and sender: the number of the newest item that came here
    zyntax_op op = 0;
    enum { nothing, sending, receiving, joining } waits = nothing;
    zyntax_port *port = nullptr;
    uint32_t which = 0;
    Item item{};
    zyntax_task *child = nullptr;
    bool has_word = false;
    int drops = 0;

    uint32_t roll(uint32_t n) { return uint32_t(dice()) % n; }
    PollStatus poll(Waker *waker);
    void choose();
    bool ask(Waker *waker, int64_t *result);
    void take(int64_t result);
    void act();
    void came(uint32_t from, Item received);
    zyntax_task *spawn_child();
};

// The data of a lane's thread: a runtime, a scope and its tasks.
struct Lane {
    Heap heap;
    Runtime rt{heap.config()};
    std::deque<Crosser> all{};
    zyntax_scope *scope = nullptr;
    uint32_t told = 0;
    int64_t last = unfinished; // of zyntax_scope_next
};

class Crossing {
public:
    explicit Crossing(uint32_t seed) : first_seed_(seed), seed_(seed) {
        for (auto &each : handles) each = nullptr;
        for (zyntax_port *&each : port) REQUIRE(zyntax_port_create(1 + seed % 4, sizeof(Item), &each) == 0);
    }

    zyntax_port *port[ports] = {};
    std::atomic<zyntax_task *> handles[senders];
    std::atomic<uint32_t> faults{0}, interrupts{0}, interrupted{0}, given_up{0}, waited{0}, alive{0}, children{0};
    std::atomic<uint8_t> states[senders][items_each] = {}; // 1: sent, 2: received

    void expect(bool holds, uint32_t place) {
        if (!holds && faults++ == 0) first_fault = place;
    }
    uint32_t first_fault = 0;

    void run() {
        std::atomic<uint32_t> running{0};
        std::deque<Thread> threads;
        for (uint32_t lane = 0; lane < lanes; lane++) {
            running++;
            threads.emplace_back([this, lane, &running] {
                run_lane(lane);
                running--;
            });
        }
        // Interrupts end waits that no other task can end. At last the ports end them.
        auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (running && std::chrono::steady_clock::now() < deadline) {
            sleep_for(std::chrono::milliseconds(1));
            zyntax_task *task = handles[seed_++ % senders];
            if (task) zyntax_task_interrupt(task);
            if (has_begun && alive <= 3) close_all();
        }
        close_all();
        for (Thread &thread : threads) thread.join();
        drain();
    }

    // After both lanes have ended.
    void check() {
        CHECK(faults == 0);
        CHECK(first_fault == 0);
        uint64_t lost = 0, invented = 0, came = 0;
        for (auto &each : states) {
            for (auto &state : each) {
                lost += state == 1;
                invented += state == 2;
                came += state == 3;
            }
        }
        CHECK(lost == 0);
        CHECK(invented == 0);
        CHECK(came > 0);
        CHECK(waited > 0);
        CHECK(interrupted > 0);
        CHECK(given_up > 0);
        CHECK(children > 0);
        for (zyntax_port *each : port) {
            CHECK(zyntax_port_destroy(each) == 0);
            CHECK(zyntax_port_destroy(each) == ZYNTAX_ESTALE);
        }
    }

    void note(Item item, uint8_t what) {
        bool is_known = item.sender < senders && item.number < items_each;
        expect(is_known, 1);
        if (is_known) expect(!(states[item.sender][item.number].fetch_or(what) & what), 2);
    }

private:
    void close_all() {
        for (zyntax_port *each : port) zyntax_port_close(each);
    }

    // Items that were not received.
    void drain() {
        for (zyntax_port *each : port) {
            Item item;
            while (zyntax_port_try_recv(each, &item) == 1) note(item, 2);
        }
    }

    static PollStatus poll_crosser(FutureState state, Waker *waker) {
        return static_cast<Crosser *>(state)->poll(waker);
    }
    static void drop_crosser(FutureState state, int32_t) {
        auto *self = static_cast<Crosser *>(state);
        self->world->expect(!self->has_word || zyntax_task_local() == self, 3);
        zyntax_op_cancel(&self->op);
        self->drops++;
        self->world->alive--;
    }

    // The lane's own task: it waits for each task of the scope.
    static PollStatus tell(Lane *lane, zyntax_op *op, Waker *waker, Crossing *world) {
        for (;;) {
            zyntax_task *ended = nullptr;
            if (zyntax_scope_next(lane->scope, op, waker, &ended, &lane->last) == POLL_PENDING) return POLL_PENDING;
            if (lane->last != 1) {
                world->expect(lane->last == 0 && !ended, 4);
                return POLL_READY;
            }
            lane->told++;
            bool is_ours = false;
            for (uint32_t i = 0; i < senders; i++) is_ours |= world->handles[i] == ended;
            world->expect(is_ours && zyntax_task_alive(ended) == 0, 5);
        }
    }

    void run_lane(uint32_t number) {
        Lane lane;
        expect(zyntax_scope_create(lane.rt, &lane.scope) == 0, 6);
        for (uint32_t i = 0; i < workers_each; i++) {
            Crosser &each = lane.all.emplace_back();
            each.world = this;
            each.index = number * workers_each + i;
            each.rt = lane.rt;
            each.dice.seed(first_seed_ * 100 + each.index);
            each.steps_left = sanitized ? 2000 : 10'000;
            each.seen.assign(ports * senders, 0);
            alive++;
            zyntax_task *task = zyntax_scope_spawn(lane.scope, &each, poll_crosser, drop_crosser, 0);
            expect(task != nullptr, 7);
            handles[each.index] = task;
        }
        has_begun = true;
        {
            ScopedTask waiting(lane.rt);
            waiting.on_poll = [&](Waker *waker) { return tell(&lane, &waiting.op, waker, this); };
            waiting.start();
            auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
            while (waiting.alive() && std::chrono::steady_clock::now() < deadline)
                zyntax_runtime_turn(lane.rt, int64_t(ms));
            expect(!waiting.alive(), 8);
        }
        expect(lane.told == workers_each && lane.last == 0, 9);
        for (Crosser &each : lane.all) expect(each.drops == 1, 10);
        expect(zyntax_scope_destroy(lane.scope) == 0, 11);
        zyntax_runtime_turn(lane.rt, 0); // ends the children that are left
        lane.rt.destroy();
        expect(lane.heap.balanced(), 12);
    }

    uint32_t first_seed_, seed_;
    std::atomic<bool> has_begun{false};
};

// A child has its spawner's word until it sets another one. The state is the spawner's.
PollStatus poll_child(FutureState state, Waker *) {
    auto *parent = static_cast<Crosser *>(state);
    Crossing *world = parent->world;
    world->expect(zyntax_task_local() == parent, 13);
    zyntax_task_set_local(world);
    world->expect(zyntax_task_local() == world, 14);
    world->children++;
    return POLL_READY;
}

zyntax_task *Crosser::spawn_child() {
    zyntax_task *task = zyntax_runtime_spawn(rt, this, poll_child);
    world->expect(task != nullptr, 15);
    world->expect(zyntax_task_local() == this, 16);
    return task;
}

// The items of a sender come to a receiver in their order.
void Crosser::came(uint32_t from, Item received) {
    world->note(received, 2);
    uint32_t &newest = seen[from * senders + received.sender % senders];
    world->expect(received.number > newest, 17);
    newest = received.number;
}

void Crosser::act() {
    switch (roll(6)) {
    case 0: {
        zyntax_task *other = world->handles[roll(senders)];
        if (!other) return;
        int32_t error = zyntax_task_interrupt(other);
        world->expect(error == 0 || error == ZYNTAX_ESTALE, 18);
        world->interrupts++;
        return;
    }
    case 1: {
        uint32_t from = roll(ports);
        Item received;
        int32_t result = zyntax_port_try_recv(world->port[from], &received);
        if (result == 1) came(from, received);
        else world->expect(result == 0 || result == ZYNTAX_EAGAIN, 19);
        return;
    }
    case 2: {
        if (waits == sending || made + 1 >= items_each) return; // it would overtake the call that waits
        Item next = {index, ++made};
        int32_t result = zyntax_port_try_send(world->port[roll(ports)], &next);
        if (result == 0) world->note(next, 1);
        else world->expect(result == ZYNTAX_EAGAIN || result == ZYNTAX_EPIPE, 20);
        return;
    }
    default:
        return;
    }
}

void Crosser::choose() {
    which = roll(ports);
    port = world->port[which];
    switch (roll(8)) {
    case 0:
        child = spawn_child();
        waits = joining;
        return;
    case 1:
    case 2:
    case 3:
        waits = receiving;
        return;
    default:
        waits = made + 1 < items_each ? sending : receiving;
        if (waits == sending) item = {index, ++made};
    }
}

// Whether the call that it waits in is ready.
bool Crosser::ask(Waker *waker, int64_t *result) {
    if (waits == sending) return zyntax_port_send(port, &op, &item, waker, result) == POLL_READY;
    if (waits == receiving) return zyntax_port_recv(port, &op, &item, waker, result) == POLL_READY;
    return zyntax_task_join(child, &op, waker, result) == POLL_READY;
}

void Crosser::take(int64_t result) {
    bool was_interrupted = zyntax_task_interrupted() == 1;
    world->expect(was_interrupted == (result == ZYNTAX_EINTR), 21);
    world->expect(zyntax_task_interrupted() == 0, 22);
    if (was_interrupted) {
        world->interrupted++;
    } else if (waits == sending) {
        if (result == 0) world->note(item, 1);
        else world->expect(result == ZYNTAX_EPIPE, 23);
    } else if (waits == receiving) {
        if (result == 1) came(which, item);
        else world->expect(result == 0, 24);
    } else {
        world->expect(result == 0, 25);
    }
    waits = nothing;
}

PollStatus Crosser::poll(Waker *waker) {
    world->expect(zyntax_task_local() == (has_word ? this : nullptr), 26);
    if (!has_word) zyntax_task_set_local(this);
    has_word = true;
    if (waits && !roll(6)) {
        zyntax_op_cancel(&op);
        waits = nothing;
        world->given_up++;
    }
    for (;;) {
        if (!waits && steps_left-- <= 0) return POLL_READY;
        act();
        if (!waits) choose();
        int64_t result = unfinished;
        if (ask(waker, &result)) {
            take(result);
            continue;
        }
        world->waited++;
        if (!roll(1500)) return POLL_READY; // forgets the call
        if (!roll(4)) waker->wake(waker->data);
        return POLL_PENDING;
    }
}

} // namespace

TEST_CASE("random_tasks_of_two_threads_lose_no_item_no_interrupt_and_no_word") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    std::vector<uint32_t> seeds = {1, 2, 3, 4, 5, 6, std::random_device()()};
    for (uint32_t seed : seeds) {
        CAPTURE(seed);
        Crossing world(seed);
        world.run();
        world.check();
    }
}
