// Only a wake of a sleeping loop calls the kernel. A busy loop finds its wakes by itself, and an idle loop stays
// asleep.
#include "port_support.h"

#include <fstream>
#include <vector>

using namespace support;

namespace {

bool readable(intptr_t fd) { return wait_for(Descriptor(fd), POLLIN, 0); }

// Calls of write and the like that this process has made, where the system counts them; else always 0.
uint64_t write_calls() {
    if (on_wine()) return 0; // it finds the file, which counts Wine's own calls
    std::ifstream file("/proc/self/io");
    uint64_t count = 0;
    for (std::string word; file >> word;)
        if (word == "syscw:") file >> count;
    return count;
}

} // namespace

TEST_CASE("remote_wakes_of_a_busy_loop_cost_no_system_call") {
    Runtime rt;
    uint64_t writes = 0;
    std::atomic<bool> parked{false}, done{false};
    Waker kept{};
    int busy_polls = 0;
    Task sleeper{[&](Waker *waker) {
        if (!parked) {
            kept = *waker;
            writes = write_calls();
        }
        parked = true;
        return POLL_PENDING;
    }};
    Task busy{[&](Waker *waker) {
        waker->wake(waker->data);
        if (!done || (sleeper.polls == 1 && busy_polls++ < 1000)) return POLL_PENDING; // lets the last wake arrive
        writes = write_calls() - writes;
        zyntax_task_cancel(sleeper.handle);
        return POLL_READY;
    }};
    busy.spawn(rt);
    sleeper.spawn(rt);
    Thread waking([&] {
        while (!parked) yield();
        for (int i = 0; i < scaled(100'000); i++) kept.wake(kept.data);
        done = true;
    });
    {
        Limit limit(rt);
        CHECK(zyntax_runtime_run(rt) == 0);
    }
    waking.join();
    CHECK(writes <= 10);
    CHECK(sleeper.polls > 1);
    CHECK(rt.stats().wakes_remote > 0);
}

TEST_CASE("local_wakes_cause_no_kernel_wait") {
    Runtime rt;
    Task task;
    task.on_poll = [&](Waker *waker) {
        waker->wake(waker->data);
        return task.polls < 100'000 ? POLL_PENDING : POLL_READY;
    };
    task.spawn(rt);
    {
        Limit limit(rt);
        CHECK(zyntax_runtime_run(rt) == 0);
    }
    CHECK(rt.stats().kernel_waits <= 100'000 / 256 + 2);
}

TEST_CASE("a_loop_that_was_woken_from_another_thread_goes_back_to_sleep") {
    Runtime rt;
    WakerKeeper task;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    for (int i = 0; i < 5; i++) {
        Thread([&] { task.wake(); }).join();
        zyntax_runtime_turn(rt, 0);
    }
    REQUIRE(rt.drive_until([&] { return task.polls == 6; }));
    CHECK(rt.idle_waits() <= 5);
}

TEST_CASE("an_idle_runtime_makes_no_kernel_waits_beyond_those_asked_for") {
    Runtime rt;
    Task parked{[](Waker *) { return POLL_PENDING; }};
    parked.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(rt.idle_waits() <= 5);
}

TEST_CASE("stale_wakers_do_not_keep_a_sleeping_loop_busy") {
    Runtime rt;
    WakerKeeper task{POLL_READY};
    task.spawn(rt);
    REQUIRE(rt.drain());
    std::atomic<bool> stop{false};
    Thread waking([&] {
        while (!stop) task.wake();
    });
    CHECK(rt.idle_waits() <= 5);
    stop = true;
    waking.join();
}

TEST_CASE("a_remote_wake_between_two_turns_makes_the_backend_descriptor_readable") {
    Runtime rt;
    intptr_t fd = zyntax_runtime_backend_fd(rt);
    SKIP_WHEN(fd == -1, "this poller has no descriptor for a host to watch");
    WakerKeeper task;
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK_FALSE(readable(fd));
    Thread([&] { task.wake(); }).join();
    CHECK(readable(fd));
    REQUIRE(rt.drive_until([&] { return task.polls == 2; }));
    zyntax_runtime_turn(rt, 0);
    CHECK_FALSE(readable(fd));
}

// A host that sleeps on the backend's descriptor is woken as a loop that sleeps in the kernel is.
TEST_CASE("an_item_for_a_sleeping_loop_costs_one_system_call_and_the_next_items_none") {
    Runtime rt;
    SKIP_WHEN(zyntax_runtime_backend_fd(rt) == -1, "this poller has no descriptor for a host to watch");
    SKIP_WHEN(write_calls() == 0, "the system does not count calls");
    Port port(10);
    std::vector<int> got;
    int item = 0;
    Task receiver;
    receiver.on_poll = [&](Waker *waker) {
        int64_t result;
        while (zyntax_port_recv(port, &receiver.op, &item, waker, &result) == POLL_READY) got.push_back(item);
        return POLL_PENDING;
    };
    receiver.spawn(rt);
    for (int round = 0; round < 20; round++) {
        zyntax_runtime_turn(rt, 0);
        zyntax_runtime_turn(rt, 0);
        uint64_t before = write_calls();
        CHECK(port.put(2 * round) == 0);
        CHECK(write_calls() - before == 1);
        CHECK(port.put(2 * round + 1) == 0);
        CHECK(write_calls() - before == 1);
    }
    REQUIRE(rt.drive_until([&] { return got.size() == 40; }));
    for (int i = 0; i < 40; i++) CHECK(got[size_t(i)] == i);
}

TEST_CASE("items_for_a_busy_loop_cost_no_system_call") {
    SKIP_WHEN(write_calls() == 0, "the system does not count calls");
    Runtime rt;
    Port port(16); // the receiver waits again and again
    const int items = scaled(2'000);
    std::atomic<bool> busy{false}, over{false};
    int got = 0, item = 0;
    uint64_t writes = 0;
    Task receiver;
    receiver.on_poll = [&](Waker *waker) {
        int64_t result;
        while (got < items) {
            if (zyntax_port_recv(port, &receiver.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
            got++;
        }
        writes = write_calls() - writes;
        return POLL_READY;
    };
    Task spinner{[&](Waker *waker) {
        if (!busy) writes = write_calls();
        busy = true;
        waker->wake(waker->data);
        return got < items ? POLL_PENDING : POLL_READY;
    }};
    spinner.spawn(rt);
    receiver.spawn(rt);
    Thread sending([&] {
        while (!busy) yield();
        for (int i = 0; i < items; i++) {
            while (port.put(i) == ZYNTAX_EAGAIN && !over) yield();
        }
    });
    {
        Limit limit(rt);
        CHECK(zyntax_runtime_run(rt) == 0);
    }
    over = true;
    sending.join();
    CHECK(got == items);
    CHECK(writes <= 10);
}
