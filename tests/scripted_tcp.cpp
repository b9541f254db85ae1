// Accepting and connecting, with every answer that a system may give, in virtual time.
#include "scripted_world.h"

#include <algorithm>

using namespace support;
using namespace scripted;

namespace {

constexpr uint64_t second = 1000 * ms;

struct Listener {
    Sim &sim;
    zyntax_io *io = nullptr, *accepted = nullptr;
    explicit Listener(Sim &s) : sim(s) { REQUIRE(zyntax_tcp_listen(sim.rt, nullptr, 0, &io) == 0); }
    std::deque<int32_t> &backlog() { return sim.of(io).backlog; }
    Operation accept() { return accepting(io, &accepted); }
};

// Drives until the virtual time is over.
void live(Sim &sim, uint64_t duration_ns) {
    uint64_t end = sim.world.now_ns + duration_ns;
    while (sim.world.now_ns < end) REQUIRE(zyntax_runtime_turn(sim.rt, int64_t(end - sim.world.now_ns)) >= 0);
    sim.settle();
}

} // namespace

TEST_CASE("accept_without_descriptors_tries_again_without_spinning_and_goes_on_within_100_ms") {
    Sim sim;
    Listener listener(sim);
    Await accept(sim.rt, listener.accept());
    sim.settle();
    sim.world.descriptors_max = 1;
    listener.backlog() = {0};
    size_t before = sim.world.timeouts.size();
    live(sim, 10 * second);
    CHECK(accept.alive());
    CHECK(sim.world.timeouts.size() - before <= 2 * 10 * second / (50 * ms) + 10);
    sim.world.descriptors_max = SIZE_MAX;
    uint64_t freed = sim.world.now_ns;
    CHECK(zyntax_runtime_block_on(sim.rt, accept.task.handle) == 0);
    CHECK(accept.result == 0);
    CHECK(sim.world.now_ns - freed <= 100 * ms);
}

TEST_CASE("a_listener_that_is_closed_while_accept_waits_for_descriptors_cancels_it") {
    Sim sim;
    Listener listener(sim);
    sim.world.descriptors_max = 1;
    listener.backlog() = {0};
    Await accept(sim.rt, listener.accept());
    live(sim, 20 * ms);
    CHECK(zyntax_io_close(listener.io) == 0);
    live(sim, 100 * ms);
    CHECK(accept.result == ZYNTAX_ECANCELED);
}

TEST_CASE("a_cancelled_accept_leaves_no_timer") {
    Sim sim;
    Listener listener(sim);
    sim.world.descriptors_max = 1;
    listener.backlog() = {0};
    Await accept(sim.rt, listener.accept());
    sim.settle();
    CHECK(sim.rt.stats().timers_pending == 1);
    accept.cancel();
    sim.settle();
    CHECK(sim.rt.stats().timers_pending == 0);
}

TEST_CASE("connections_that_died_in_the_queue_are_skipped") {
    for (int dead : {1, 63, 64, 1000}) {
        CAPTURE(dead);
        Sim sim;
        Listener listener(sim);
        for (int i = 0; i < dead; i++) listener.backlog().push_back(i % 2 ? ZYNTAX_ECONNABORTED : ZYNTAX_EPROTO);
        listener.backlog().push_back(0);
        Await accept(sim.rt, listener.accept());
        live(sim, 2 * second);
        CHECK(accept.result == 0);
    }
}

TEST_CASE("a_spurious_report_accepts_nothing") {
    Sim sim;
    Listener listener(sim);
    Await accept(sim.rt, listener.accept());
    sim.settle();
    for (int i = 0; i < 5; i++) {
        sim.world.report(zyntax_io_fd(listener.io), every_bit);
        sim.settle();
        CHECK(accept.alive());
    }
    listener.backlog() = {0};
    sim.settle();
    CHECK(accept.result == 0);
}

TEST_CASE("connecting_waits_for_the_answer_and_not_for_a_report") {
    Sim sim;
    zyntax_io *io = nullptr;
    sim.world.connects = {ZYNTAX_EAGAIN};
    Await connect(sim.rt, connecting(sim.rt, "10.0.0.1", 80, &io));
    sim.settle();
    REQUIRE(sim.world.descriptors.size() == 1);
    auto &[fd, socket] = *sim.world.descriptors.begin();
    for (int i = 0; i < 5; i++) {
        sim.world.report(fd, every_bit);
        sim.settle();
        CHECK(connect.alive());
    }
    sim.world.after(21 * second, [&socket = socket] { socket.connecting = false; });
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(connect.result == 0);
    CHECK(zyntax_io_fd(io) == fd);
}

TEST_CASE("addresses_are_tried_in_turn_and_the_last_error_is_told") {
    Sim sim;
    zyntax_io *io = nullptr;
    sim.world.names["host"] = 3;
    sim.world.connects = {ZYNTAX_ENETUNREACH, ZYNTAX_EAGAIN, ZYNTAX_EAGAIN};
    int answers = 0;
    std::function<void()> refuse = [&] {
        for (auto &[fd, socket] : sim.world.descriptors)
            if (socket.connecting) socket.error = answers++ ? ZYNTAX_ETIMEDOUT : ZYNTAX_ECONNREFUSED;
        if (answers < 2) sim.world.after(second, refuse);
    };
    sim.world.after(second, refuse);
    CHECK(await(sim.rt, connecting(sim.rt, "host", 80, &io)) == ZYNTAX_ETIMEDOUT);
    CHECK(answers == 2);
    CHECK(io == nullptr);
    CHECK(sim.world.descriptors.empty());
}

TEST_CASE("names_are_looked_up_in_a_thread") {
    Sim sim;
    zyntax_io *io = nullptr;
    sim.world.names["host"] = 1;
    sim.world.names["busy"] = ZYNTAX_EAGAIN;
    CHECK(await(sim.rt, connecting(sim.rt, "host", 80, &io)) == 0);
    CHECK(await(sim.rt, connecting(sim.rt, "nobody", 80, &io)) == ZYNTAX_ENOENT);
    CHECK(await(sim.rt, connecting(sim.rt, "busy", 80, &io)) == ZYNTAX_EAGAIN);
    sim.world.can_start_threads = false;
    CHECK(await(sim.rt, connecting(sim.rt, "host", 80, &io)) == ZYNTAX_EAGAIN);
    CHECK(sim.world.descriptors.size() == 1);
}

TEST_CASE("a_cancelled_connect_closes_its_socket") {
    Sim sim;
    zyntax_io *io = nullptr;
    sim.world.connects = {ZYNTAX_EAGAIN};
    Await connect(sim.rt, connecting(sim.rt, "10.0.0.1", 80, &io));
    sim.settle();
    CHECK(sim.world.descriptors.size() == 1);
    connect.cancel();
    sim.settle();
    CHECK(sim.world.descriptors.empty());
    CHECK(sim.rt.stats().io_open == 0);
}

TEST_CASE("a_destroyed_runtime_closes_what_connects_and_ends_what_looks_up") {
    Sim sim;
    zyntax_io *io = nullptr;
    sim.world.names["host"] = 1;
    sim.world.connects = {ZYNTAX_EAGAIN};
    Task tasks[2];
    const char *hosts[] = {"10.0.0.1", "host"};
    for (int i = 0; i < 2; i++) {
        tasks[i].on_poll = [&, i](Waker *waker) {
            int64_t result;
            return zyntax_tcp_connect(sim.rt, &tasks[i].op, hosts[i], 80, waker, &io, &result);
        };
        tasks[i].spawn(sim.rt);
    }
    zyntax_runtime_turn(sim.rt, 0);
    CHECK(sim.world.threads.size() == 1);
    sim.rt.destroy();
    for (Task &task : tasks) CHECK(task.outcome == ZYNTAX_ECANCELED);
}
