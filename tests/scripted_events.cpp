// The loop and the poller's reports. The loop relies on the word alone, so that stale, spurious, repeated and reordered
// reports are harmless. A poller that does no more than its contract is enough.
#include "scripted_world.h"

#include <algorithm>
#include <functional>

using namespace support;
using namespace scripted;

namespace {

// Two tasks that wait on one descriptor, one for each direction.
struct BothWays {
    Sim &sim;
    zyntax_io *io;
    char byte = 0;
    Await reader, writer;

    explicit BothWays(Sim &s)
        : sim(s), io(s.adopt({.room = 0})), reader(s.rt, reading(io, &byte, 1)), writer(s.rt, writing(io, "x", 1)) {
        sim.settle();
        CHECK(reader.task.polls == 1);
        CHECK(writer.task.polls == 1);
    }
};

} // namespace

TEST_CASE("a_stale_report_is_counted_and_wakes_nobody") {
    Sim sim;
    Runtime other(sim.heap.config());
    zyntax_io *closed = sim.adopt(), *elsewhere = nullptr;
    uintptr_t of_closed = sim.world.registered.at(zyntax_io_fd(closed)).word;
    CHECK(zyntax_io_close(closed) == 0);
    BothWays both(sim); // in the place of the closed handle
    REQUIRE(zyntax_io_open(other, intptr_t(sim.world.open()), &elsewhere) == 0);
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(sim.rt, 1, 1, &channel) == 0);
    uintptr_t known = sim.world.registered.at(zyntax_io_fd(both.io)).word;
    constexpr uintptr_t generation = uintptr_t(1) << (sizeof(uintptr_t) == 8 ? 32 : 20);
    for (uintptr_t word : {of_closed, known - generation, known + generation, known + 1, known % generation,
                           ~uintptr_t(0), uintptr_t(1) << 24, sim.world.registered.at(zyntax_io_fd(elsewhere)).word,
                           reinterpret_cast<uintptr_t>(channel)})
        sim.world.reports.push_back({word, every_bit});
    sim.settle();
    CHECK(sim.rt.stats().events_stale == 9);
    CHECK(sim.rt.stats().kernel_events == 9);
    CHECK(both.reader.task.polls == 1);
    CHECK(both.writer.task.polls == 1);
}

TEST_CASE("a_descriptor_number_that_is_used_again_gets_no_report_of_the_old_one") {
    for (uint32_t batch : {1u, 256u}) {
        CAPTURE(batch);
        Sim sim;
        sim.world.batch = batch;
        zyntax_io *first = sim.adopt(), *old = sim.adopt(), *fresh = nullptr;
        intptr_t number = zyntax_io_fd(old);
        char bytes[3];
        Await old_reader(sim.rt, reading(old, &bytes[0], 1));
        std::unique_ptr<Await> fresh_reader;
        Task replacer;
        replacer.on_poll = [&](Waker *waker) {
            int64_t n;
            if (zyntax_io_read(first, &replacer.op, &bytes[1], 1, waker, &n) == POLL_PENDING) return POLL_PENDING;
            zyntax_io_close(old);
            fresh = sim.adopt();
            fresh_reader = std::make_unique<Await>(sim.rt, reading(fresh, &bytes[2], 1));
            return POLL_READY;
        };
        replacer.spawn(sim.rt);
        sim.settle();
        sim.of(first).in = "x";
        sim.of(old).in = "y";
        for (int i = 0; i < 5; i++) sim.settle();
        CHECK(replacer.outcome == 0);
        CHECK(zyntax_io_fd(fresh) == number);
        CHECK(old_reader.result == ZYNTAX_ECANCELED);
        CHECK(fresh_reader->task.polls == 1);
        CHECK(fresh_reader->alive());
        CHECK(sim.rt.stats().events_stale == (batch == 1 ? 1 : 0));
        sim.of(fresh).in = "z";
        sim.settle();
        CHECK(fresh_reader->result == 1);
        CHECK(bytes[2] == 'z');
    }
}

TEST_CASE("a_report_for_a_handle_that_a_posted_function_closed_is_stale") {
    Sim sim;
    sim.adopt();
    BothWays both(sim);
    sim.world.report(zyntax_io_fd(both.io), every_bit);
    zyntax_runtime_post(
        sim.rt, [](void *io) { zyntax_io_close(static_cast<zyntax_io *>(io)); }, both.io);
    sim.settle();
    CHECK(both.reader.result == ZYNTAX_ECANCELED);
    CHECK(both.writer.result == ZYNTAX_ECANCELED);
    CHECK(sim.rt.stats().events_stale == 1);
}

TEST_CASE("an_error_wakes_both_directions") {
    Sim sim;
    BothWays both(sim);
    Await either(sim.rt, readiness(both.io, readable | writable));
    sim.settle();
    sim.of(both.io).error = ZYNTAX_ECONNRESET;
    sim.settle();
    CHECK(both.reader.result == ZYNTAX_ECONNRESET);
    CHECK(both.writer.result == ZYNTAX_ECONNRESET);
    CHECK(either.result == int64_t(readable | writable));
}

TEST_CASE("a_direction_is_woken_by_its_own_bits_only") {
    Sim sim;
    BothWays both(sim);
    for (int i = 0; i < 10; i++) sim.world.report(zyntax_io_fd(both.io), writable | write_closed);
    sim.settle();
    CHECK(both.reader.task.polls == 1);
    int writer_polls = both.writer.task.polls;
    for (int i = 0; i < 10; i++) sim.world.report(zyntax_io_fd(both.io), readable | read_closed);
    sim.settle();
    CHECK(both.reader.task.polls > 1);
    CHECK(both.writer.task.polls == writer_polls);
}

TEST_CASE("a_spurious_report_costs_one_try_and_loses_nothing") {
    Sim sim;
    BothWays both(sim);
    for (int round = 0; round < 10; round++) {
        int before = both.reader.task.polls;
        sim.world.report(zyntax_io_fd(both.io), every_bit);
        sim.settle();
        CHECK(both.reader.task.polls == before + 1);
        CHECK(both.reader.alive()); // a closed direction that is none is no end of the stream
        CHECK(both.writer.alive());
    }
    sim.of(both.io).in = "z";
    sim.of(both.io).room = 1;
    sim.settle();
    CHECK(both.reader.result == 1);
    CHECK(both.byte == 'z');
    CHECK(both.writer.result == 1);
}

TEST_CASE("repeated_reports_wake_once") {
    Sim sim;
    BothWays both(sim);
    sim.of(both.io).in = "z";
    sim.world.collect();
    for (int i = 0; i < 5; i++) sim.world.reports.push_back(sim.world.reports.front());
    sim.settle();
    CHECK(both.reader.task.polls == 2);
    CHECK(both.reader.result == 1);
    CHECK(both.writer.task.polls == 1);
    CHECK(sim.rt.stats().kernel_events == 6);
}

TEST_CASE("reports_out_of_order_are_as_good_as_any") {
    Sim sim;
    std::vector<zyntax_io *> handles;
    std::deque<Await> readers;
    char byte;
    for (int i = 0; i < 100; i++) {
        handles.push_back(sim.adopt());
        readers.emplace_back(sim.rt, reading(handles.back(), &byte, 1));
    }
    sim.settle();
    for (zyntax_io *io : handles) sim.of(io).in = "x";
    sim.world.before_reports = [&] { std::reverse(sim.world.reports.begin(), sim.world.reports.end()); };
    sim.world.batch = 7;
    for (int i = 0; i < 10; i++) sim.settle();
    for (Await &reader : readers) CHECK(reader.result == 1);
}

TEST_CASE("every_waiter_for_a_direction_is_woken") {
    Sim sim;
    zyntax_io *io = sim.adopt();
    char bytes[3];
    std::deque<Await> readers;
    for (char &byte : bytes) readers.emplace_back(sim.rt, reading(io, &byte, 1));
    sim.settle();
    sim.of(io).in = "ab";
    sim.settle();
    CHECK(readers[0].result + readers[1].result == 2);
    CHECK(readers[2].alive());
    CHECK(readers[2].task.polls == 2);
    sim.of(io).in = "c";
    sim.settle();
    CHECK(readers[2].result == 1);
}

TEST_CASE("a_waiter_that_gave_up_is_not_woken_and_takes_nothing_from_the_other_direction") {
    Sim sim;
    BothWays both(sim);
    both.reader.cancel();
    sim.settle();
    int polls = both.reader.task.polls;
    sim.of(both.io).in = "z";
    sim.settle();
    CHECK(both.reader.task.polls == polls);
    CHECK(both.writer.task.polls == 1);
    sim.of(both.io).room = 1;
    sim.settle();
    CHECK(both.writer.result == 1);
}

TEST_CASE("a_waiter_that_is_cancelled_by_an_earlier_task_of_the_same_batch_is_not_polled") {
    Sim sim;
    zyntax_io *a = sim.adopt(), *b = sim.adopt();
    char bytes[2];
    Await victim(sim.rt, reading(b, &bytes[1], 1));
    Task killer;
    killer.on_poll = [&](Waker *waker) {
        int64_t n;
        if (zyntax_io_read(a, &killer.op, &bytes[0], 1, waker, &n) == POLL_PENDING) return POLL_PENDING;
        victim.cancel();
        return POLL_READY;
    };
    killer.spawn(sim.rt);
    sim.settle();
    sim.of(a).in = sim.of(b).in = "x";
    sim.settle();
    CHECK(victim.task.polls == 1);
    CHECK(victim.task.drops == 1);
    CHECK(sim.of(b).in == "x");
}

TEST_CASE("an_event_between_a_try_and_its_wait_is_not_lost") {
    Sim sim;
    zyntax_io *io = sim.adopt({.kind = zyntax::os::Kind::tcp});
    char bytes[8];
    std::string all;
    Task reader;
    reader.on_poll = [&](Waker *waker) {
        for (;;) {
            int64_t n;
            PollStatus status = zyntax_io_read(io, &reader.op, bytes, sizeof bytes, waker, &n);
            if (status == POLL_PENDING && all.size() < 5) sim.of(io).in += "b"; // as soon as it waits
            if (status == POLL_PENDING) return POLL_PENDING;
            all.append(bytes, size_t(n));
            if (all.size() < 5) sim.of(io).in += "a"; // after a short read, which means an empty buffer
        }
    };
    reader.spawn(sim.rt);
    for (int i = 0; i < 10; i++) sim.settle();
    CHECK(all.size() == 5);
    CHECK(sim.of(io).in.empty());
}

TEST_CASE("a_transfer_that_is_known_to_block_is_not_tried") {
    Sim sim;
    BothWays both(sim);
    char byte;
    CHECK(sim.of(both.io).tries == 2);
    Await reader(sim.rt, reading(both.io, &byte, 1)), writer(sim.rt, writing(both.io, "x", 1));
    sim.settle();
    CHECK(sim.of(both.io).tries == 2);
    sim.world.report(zyntax_io_fd(both.io), readable);
    sim.settle();
    CHECK(sim.of(both.io).tries == 3); // the first reader found out for the second
}

TEST_CASE("a_short_read_of_a_stream_says_that_there_is_no_more") {
    for (auto kind : {zyntax::os::Kind::tcp, zyntax::os::Kind::socket}) {
        Sim sim;
        zyntax_io *io = sim.adopt({.kind = kind, .in = "abc"});
        char bytes[8];
        CHECK(await(sim.rt, reading(io, bytes, 2)) == 2);
        CHECK(await(sim.rt, reading(io, bytes, sizeof bytes)) == 1);
        Await reader(sim.rt, reading(io, bytes, sizeof bytes));
        sim.settle();
        CHECK(sim.of(io).tries == (kind == zyntax::os::Kind::tcp ? 2 : 3));
        sim.of(io).in = "d";
        sim.settle();
        CHECK(reader.result == 1);
    }
}

TEST_CASE("a_readiness_that_nobody_wants_is_remembered_until_it_proves_wrong") {
    Sim sim;
    zyntax_io *io = sim.adopt();
    char byte;
    Await first(sim.rt, reading(io, &byte, 1));
    sim.settle();
    first.cancel();
    sim.world.report(zyntax_io_fd(io), readable);
    sim.settle();
    sim.of(io).in = "x";
    CHECK(await(sim.rt, reading(io, &byte, 1)) == 1);
    Await second(sim.rt, reading(io, &byte, 1));
    sim.settle();
    sim.of(io).ended = true;
    sim.settle();
    CHECK(second.result == 0);
}

// Some descriptors answer the kernel's question once, and the poller has asked it: a ring of perf events.
TEST_CASE("a_waiter_that_an_event_woke_receives_the_events_set_without_another_question") {
    for (uint32_t reported : {1u, 2u, 3u}) {
        for (uint32_t interest : {1u, 2u, 3u}) {
            CAPTURE(reported);
            CAPTURE(interest);
            Sim sim;
            zyntax_io *io = sim.adopt({.kind = zyntax::os::Kind::other, .room = 0});
            Await waiter(sim.rt, readiness(io, interest));
            sim.settle();
            CHECK(waiter.alive());
            sim.world.reports.push_back({sim.world.registered.at(zyntax_io_fd(io)).word, reported});
            sim.settle();
            CHECK(waiter.alive() == !(reported & interest));
            if (reported & interest) CHECK(waiter.result == int64_t(reported & interest));
            zyntax_io_close(io);
        }
    }
}

// A host that has read in between has used the readiness.
TEST_CASE("a_waiter_for_a_socket_or_a_pipe_asks_the_kernel_again_after_its_event") {
    for (auto kind : {zyntax::os::Kind::socket, zyntax::os::Kind::tcp, zyntax::os::Kind::pipe}) {
        Sim sim;
        zyntax_io *io = sim.adopt({.kind = kind, .room = 0});
        Await waiter(sim.rt, readiness(io, ZYNTAX_READABLE));
        sim.settle();
        sim.world.reports.push_back({sim.world.registered.at(zyntax_io_fd(io)).word, readable});
        sim.settle();
        CHECK(waiter.alive());
        sim.of(io).in = "x";
        sim.world.report(zyntax_io_fd(io), readable);
        sim.settle();
        CHECK(waiter.result == ZYNTAX_READABLE);
    }
}

TEST_CASE("a_woken_waiter_for_readiness_whose_handle_is_closed_is_cancelled") {
    Sim sim;
    zyntax_io *io = sim.adopt({.room = 0});
    zyntax_op op = 0;
    int64_t result = unset;
    ScopedTask task(sim.rt);
    task.on_poll = [&](Waker *waker) {
        if (task.polls == 2) CHECK(zyntax_io_close(io) == 0);
        return zyntax_io_ready(io, &op, ZYNTAX_READABLE, waker, &result);
    };
    task.start();
    sim.settle();
    sim.world.reports.push_back({sim.world.registered.at(zyntax_io_fd(io)).word, 1});
    sim.settle();
    CHECK(result == ZYNTAX_ECANCELED);
    CHECK(op == 0);
}
