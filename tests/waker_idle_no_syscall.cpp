// Only a wake of a sleeping loop calls the kernel. A busy loop finds its wakes by itself, and an idle loop stays
// asleep.
#include "support.h"

#include <fstream>

using namespace support;

namespace {

bool readable(intptr_t fd) { return wait_for(Descriptor(fd), POLLIN, 0); }

// Calls of write and the like that this process has made, where the system counts them; else always 0.
uint64_t write_calls() {
    if (on_wine()) return 0; // it finds the file, which counts Wine's own
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
