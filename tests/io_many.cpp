// Thousands of descriptors, all ready at once: each is served, and none starves.
#include "io_support.h"

#include <algorithm>
#include <deque>

using namespace support;

namespace {

struct Peers {
    std::deque<Fd> far; // the test's ends
    std::deque<zyntax_io *> ios;

    Peers(Runtime &rt, int count) {
        for (int i = 0; i < count; i++) {
            Pair pair = socket_pair();
            ios.push_back(adopt(rt, pair.near));
            far.push_back(std::move(pair.far));
        }
    }
    void send_to_all() {
        for (Fd &fd : far) put(fd, "12345678");
    }
};

} // namespace

TEST_CASE("thousands_of_descriptors_that_are_ready_at_once_are_all_served") {
    SKIP_WHEN(on_libkqueue, "libkqueue loses events that do not fit into one wait");
    ManyDescriptors limit;
    Runtime rt;
    Peers peers(rt, std::min(most_descriptors() / 2 - 50, 3000));
    std::deque<uint64_t> values(peers.ios.size());
    for (int round = 0; round < 3; round++) {
        std::deque<Await> readers;
        for (size_t i = 0; i < values.size(); i++) readers.emplace_back(rt, reading(peers.ios[i], &values[i], 8));
        settle(rt);
        while (rt.stats().polls < readers.size() * size_t(2 * round + 1)) zyntax_runtime_turn(rt, 0);
        uint64_t waits = rt.stats().kernel_waits;
        peers.send_to_all();
        CHECK(rt.drain());
        CHECK(rt.stats().kernel_waits - waits <= readers.size() / 8 + 10);
        size_t served = 0;
        for (const Await &reader : readers) served += reader.result == 8;
        CHECK(served == readers.size());
    }
    // Reading made them all writable anew: those events are still to be fetched, batch by batch.
    for (int turns = 0; turns < 100; turns++) zyntax_runtime_turn(rt, 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_descriptor_that_is_always_ready_does_not_starve_the_others") {
    SKIP_WHEN(on_libkqueue, "libkqueue loses events that do not fit into one wait");
    ManyDescriptors limit;
    Runtime rt;
    Peers peers(rt, 500);
    Pair busy = socket_pair();
    zyntax_io *io = adopt(rt, busy.near);
    bool stop = false;
    char byte;
    ScopedTask glutton(rt); // always finds data and always yields
    glutton.on_poll = [&](Waker *waker) {
        int64_t n = 0;
        if (stop) return POLL_READY;
        put(busy.far, "x");
        CHECK(zyntax_io_read(io, &glutton.op, &byte, 1, waker, &n) == POLL_READY);
        waker->wake(waker->data);
        return POLL_PENDING;
    };
    glutton.start();
    std::deque<uint64_t> values(peers.ios.size());
    std::deque<Await> readers;
    for (size_t i = 0; i < values.size(); i++) readers.emplace_back(rt, reading(peers.ios[i], &values[i], 8));
    settle(rt);
    peers.send_to_all();
    CHECK(rt.drive_until([&] { return rt.stats().tasks_alive == 1; }));
    for (const Await &reader : readers) CHECK(reader.result == 8);
    stop = true;
    CHECK(rt.drain());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("when_more_are_ready_than_one_wait_reports_the_others_come_next") {
    SKIP_WHEN(on_libkqueue, "libkqueue loses events that do not fit into one wait");
    ManyDescriptors limit;
    Runtime rt;
    Peers peers(rt, 1000);
    std::deque<int> served(peers.ios.size());
    std::deque<ScopedTask> readers;
    for (size_t i = 0; i < served.size(); i++) {
        ScopedTask &reader = readers.emplace_back(rt);
        reader.on_poll = [&, i](Waker *waker) {
            uint64_t value;
            int64_t n = 0;
            while (zyntax_io_read(peers.ios[i], &reader.op, &value, sizeof value, waker, &n) == POLL_READY) served[i]++;
            return POLL_PENDING;
        };
        reader.start();
    }
    settle(rt);
    for (int turns = 0; turns < 40; turns++) {
        peers.send_to_all(); // each connection is ready again before the next wait
        zyntax_runtime_turn(rt, 0);
    }
    CHECK(*std::min_element(served.begin(), served.end()) >= 4);
}

TEST_CASE("handles_are_used_again_and_opening_and_closing_does_not_grow_memory") {
    ManyDescriptors limit;
    Runtime rt;
    uint64_t reserved = 0;
    for (int round = 0; round < 10; round++) {
        Peers peers(rt, 300);
        settle(rt);
        for (zyntax_io *io : peers.ios) CHECK(zyntax_io_close(io) == 0);
        settle(rt);
        if (round == 0) reserved = rt.stats().bytes_reserved;
    }
    CHECK(rt.stats().bytes_reserved == reserved);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}
