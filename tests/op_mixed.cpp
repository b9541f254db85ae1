// An op of another await point, or of another object: the call gives it up and begins anew. It never waits for the
// other event. A job is not begun a second time: that is ZYNTAX_ECANCELED.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"

#include <deque>
#include <vector>

using namespace support;

namespace {

// One way to wait, and the event that ends it.
struct Wait {
    std::string name;
    Operation operation;
    std::function<void()> event; // none: it does not happen here
    int64_t result;
    bool is_job = false;
    bool is_group = false; // a group may take another group's wake for its own, and finds that no member has ended
    std::function<void()> before = nullptr; // makes sure once more that it has not happened
};

// Fills a socket. A local socket takes a byte or refuses it, and no byte is on its way; other pairs are TCP.
void stuff(Descriptor fd) {
    if (!has_local_sockets) fill(fd);
    std::string block(64 * kib, 's');
    for (size_t size : {block.size(), size_t(1)})
        while (send_some(fd, block.data(), size) > 0) {
        }
}

struct MixedScene {
    Clock clock;
    Runtime rt{clock.config()};
    std::deque<Pair> pairs;
    std::deque<ScopedTask> tasks;
    Held held;
    Fd client;
    zyntax_io *out = nullptr;
    std::deque<zyntax_task *> handles;
    int item = 1;
    char byte = 0;
    std::vector<Wait> waits;

    explicit MixedScene(uint16_t silent_port) {
        time_and_tasks();
        channels();
        if constexpr (has_sockets) io(silent_port);
        if constexpr (has_threads) {
            waits.push_back({"job", blocking(rt, Held::job, &held, 0), [this] { held.gate.open(); }, 1, true});
        }
        settle(rt);
    }
    ~MixedScene() { held.gate.open(); }
    zyntax_task *park() {
        ScopedTask &task = tasks.emplace_back(rt);
        task.on_poll = [](Waker *) { return POLL_PENDING; };
        task.start();
        return task.handle;
    }
    void time_and_tasks() {
        waits.push_back({"sleep", sleeping(rt, 10 * ms), [this] { clock.now += 10 * ms; }, 0});
        for (int way = 0; way < 5; way++) {
            zyntax_task *&task = handles.emplace_back(park());
            Operation operation = [way, &task](zyntax_op *op, Waker *w, int64_t *r) {
                if (way == 3) *r = 0;
                if (way == 2) return zyntax_join_until(task, op, 3'600'000 * ms, w, r);
                if (way == 3) return zyntax_join_all(&task, 1, op, w);
                if (way == 4) return zyntax_select(&task, 1, op, w, r);
                return zyntax_task_join(task, op, w, r);
            };
            const char *names[] = {"join", "join another", "join_until", "join_all", "select"};
            waits.push_back({names[way], operation, [&task] { zyntax_task_cancel(task); }, 0, false, way >= 2});
        }
    }
    void channels() {
        for (const char *name : {"receive", "receive from another"}) {
            zyntax_channel *empty = channel_of(rt, 1);
            waits.push_back({name, receiving(empty, &item), [=, this] { at_once(sending(empty, &item)); }, 1});
        }
        for (const char *name : {"send", "send to another"}) {
            zyntax_channel *full = channel_of(rt, 1);
            CHECK(at_once(sending(full, &item)) == 0);
            waits.push_back({name, sending(full, &item), [=, this] { at_once(receiving(full, &item)); }, 0});
        }
    }
    void io(uint16_t silent_port) {
        for (int way = 0; way < 4; way++) {
            Pair &pair = pairs.emplace_back(socket_pair());
            zyntax_io *handle = adopt(rt, pair.near);
            if (way == 3) stuff(Descriptor(zyntax_io_fd(handle)));
            auto put_byte = [&pair] { put(pair.far, "x"); };
            if (way == 0) waits.push_back({"read", reading(handle, &byte, 1), put_byte, 1});
            if (way == 1) waits.push_back({"read another", reading(handle, &byte, 1), put_byte, 1});
            if (way == 2) waits.push_back({"ready", readiness(handle, ZYNTAX_READABLE), put_byte, ZYNTAX_READABLE});
            if (way != 3) continue;
            waits.push_back({"write", writing(handle, &byte, 1), [&pair] { take(pair.far); }, 1});
            waits.back().before = [handle] { stuff(Descriptor(zyntax_io_fd(handle))); };
        }
        zyntax_io *listener = nullptr;
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        auto port = uint16_t(zyntax_tcp_port(listener));
        waits.push_back({"accept", accepting(listener, &out), [=, this] { client = plain_client(port); }, 0});
        waits.push_back({"connect", connecting(rt, "127.0.0.1", silent_port, &out), nullptr, 0});
    }
    void happen(const Wait &wait) {
        if (wait.event) wait.event();
        if (wait.is_job) CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
        settle(rt);
    }
};

struct Silent {
    std::optional<SilentListener> listener;
    Silent() {
        if constexpr (has_sockets) listener.emplace();
    }
    uint16_t port() const { return listener ? port_of(listener->fd) : uint16_t(0); }
};

void make_sure(std::initializer_list<std::reference_wrapper<const Wait>> waits) {
    for (const Wait &wait : waits)
        if (wait.before) wait.before();
}

// The event of the first wait has happened. It does not concern the second wait.
void check_not_early(const Wait &first, const Wait &second, HostOp &host) {
    if (!first.is_group || !second.is_group) CHECK(host.host.wakes == 0);
    if (host.host.wakes > 0) CHECK(host.call() == POLL_PENDING);
    host.host.wakes = 0;
}

} // namespace

TEST_CASE("an_op_of_something_else_is_given_up_and_the_call_begins_anew") {
    Silent silent;
    size_t kinds = MixedScene(silent.port()).waits.size();
    for (size_t i = 0; i < kinds; i++) {
        for (size_t j = 0; j < kinds; j++) {
            if (i == j) continue;
            MixedScene s(silent.port());
            const Wait &first = s.waits[i], &second = s.waits[j];
            CAPTURE(first.name);
            CAPTURE(second.name);
            bool connects = !first.event || !second.event;
            int descriptors = connects ? fd_count() : 0;
            HostOp one(first.operation), two(second.operation);
            make_sure({first, second});
            REQUIRE(one.call() == POLL_PENDING);
            two.op = one.op;
            one.op = 0;
            one.host.given_up = true;
            PollStatus status = two.call();
            if (second.is_job) {
                CHECK(status == POLL_READY);
                CHECK(two.result == ZYNTAX_ECANCELED);
                CHECK(two.op == 0);
            } else {
                CHECK(status == POLL_PENDING);
            }
            // A socket that is given up is closed. Descriptors are not counted on libkqueue.
            if (connects && !on_libkqueue) CHECK(fd_count() == descriptors + !second.event);
            s.happen(first);
            CHECK(one.host.wakes == 0);
            check_not_early(first, second, two);
            if (second.is_job || !second.event) continue;
            s.happen(second);
            CHECK(s.rt.drive_until([&] { return two.host.wakes > 0; }));
            CHECK(two.host.wakes == 1);
            CHECK(two.call() == POLL_READY);
            CHECK(two.result == second.result);
            CHECK(s.rt.stats().timers_pending == 0);
            CHECK(s.rt.stats().blocking_pending == 0);
        }
    }
}

TEST_CASE("an_op_of_something_else_is_given_up_by_a_call_that_is_ready_too") {
    Silent silent;
    size_t kinds = MixedScene(silent.port()).waits.size();
    for (size_t i = 0; i < kinds; i++) {
        MixedScene s(silent.port());
        const Wait &first = s.waits[i];
        CAPTURE(first.name);
        zyntax_channel *channel = channel_of(s.rt, 8), *dead = channel_of(s.rt, 1);
        CHECK(zyntax_channel_destroy(dead) == 0);
        auto before = s.rt.stats();
        const Operation all[] = {sending(channel, &s.item), receiving(channel, &s.item), receiving(dead, &s.item)};
        for (const Operation &operation : all) {
            HostOp one(first.operation), two(operation);
            make_sure({first});
            REQUIRE(one.call() == POLL_PENDING);
            two.op = one.op;
            one.op = 0;
            one.host.given_up = true;
            CHECK(two.call() == POLL_READY);
            CHECK(two.op == 0);
            CHECK(s.rt.stats().timers_pending == before.timers_pending);
        }
        s.happen(first);
        CHECK(s.rt.stats().blocking_pending == 0);
    }
}

TEST_CASE("a_stale_op_is_no_op_but_for_sleeps_and_jobs") {
    Silent silent;
    size_t kinds = MixedScene(silent.port()).waits.size();
    for (size_t i = 0; i < kinds; i++) {
        MixedScene s(silent.port());
        const Wait &wait = s.waits[i];
        CAPTURE(wait.name);
        for (bool of_its_own : {true, false}) {
            CAPTURE(of_its_own);
            HostOp gone(of_its_own ? wait.operation : s.waits[(i + 1) % kinds].operation), stale(wait.operation);
            make_sure({wait, s.waits[(i + 1) % kinds]});
            REQUIRE(gone.call() == POLL_PENDING);
            stale.op = gone.op;
            gone.cancel();
            PollStatus status = stale.call();
            if (wait.is_job) {
                CHECK(status == POLL_READY);
                CHECK(stale.result == ZYNTAX_ECANCELED);
            } else if (i == 0) {
                CHECK(status == POLL_READY); // as a sleep that has ended
            } else {
                CHECK(status == POLL_PENDING);
            }
            CHECK((status == POLL_READY) == (stale.op == 0));
        }
        s.held.gate.open();
        CHECK(s.rt.drive_until([&] { return s.rt.stats().blocking_pending == 0; }));
    }
}

TEST_CASE("an_op_of_another_runtime_is_given_up_there_and_the_call_begins_anew_here") {
    Silent silent;
    MixedScene a(silent.port()), b(silent.port());
    size_t kinds = a.waits.size();
    for (size_t i = 0; i < kinds; i++) {
        const Wait &there = a.waits[i], &here = b.waits[i];
        CAPTURE(there.name);
        HostOp one(there.operation), two(here.operation);
        make_sure({there, here});
        REQUIRE(one.call() == POLL_PENDING);
        two.op = one.op;
        one.op = 0;
        one.host.given_up = true;
        PollStatus status = two.call();
        if (here.is_job) CHECK((status == POLL_READY && two.result == ZYNTAX_ECANCELED));
        else CHECK(status == POLL_PENDING);
        a.happen(there);
        check_not_early(there, here, two);
        if (here.is_job || !here.event) continue;
        b.happen(here);
        CHECK(b.rt.drive_until([&] { return two.host.wakes > 0; }));
        CHECK(two.call() == POLL_READY);
        CHECK(two.result == here.result);
    }
}
