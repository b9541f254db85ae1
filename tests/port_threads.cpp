// Ports between threads: nothing is lost, nothing arrives twice, and a stale port is harmless.
#include "port_support.h"

#include <algorithm>
#include <deque>
#include <vector>

using namespace support;

namespace {

// Sends the numbers from `first` on, `count` of them, one after the other.
struct Sends {
    int next, end;
    ScopedTask task;

    Sends(zyntax_runtime *rt, zyntax_port *port, int first, int count) : next(first), end(first + count), task(rt) {
        task.on_poll = [this, port](Waker *waker) {
            for (int64_t result = 0; next < end; next++) {
                if (zyntax_port_send(port, &task.op, &next, waker, &result) == POLL_PENDING) return POLL_PENDING;
                if (result != 0) return POLL_READY;
            }
            return POLL_READY;
        };
        task.start();
    }
};

// Receives until the end.
struct Receives {
    std::vector<int> items;
    int64_t last = unset;
    ScopedTask task;

    Receives(zyntax_runtime *rt, zyntax_port *port) : task(rt) {
        task.on_poll = [this, port](Waker *waker) {
            for (;;) {
                int item = -1;
                if (zyntax_port_recv(port, &task.op, &item, waker, &last) == POLL_PENDING) return POLL_PENDING;
                if (last != 1) return POLL_READY;
                items.push_back(item);
            }
        };
        task.start();
    }
};

} // namespace

#define NEEDS_THREADS SKIP_WHEN(!has_threads, "this system has no threads")

TEST_CASE("three_items_pass_in_order_in_every_interleaving_of_two_runtimes") {
    constexpr int steps = 10;
    for (size_t capacity : {size_t(1), size_t(2), size_t(3)}) {
        for (int order = 0; order < 1 << steps; order++) {
            Runtime one, other;
            Port port(capacity);
            Sends sends(one, port, 1, 3);
            Receives receives(other, port);
            for (int step = 0; step < steps; step++) zyntax_runtime_turn(order >> step & 1 ? one : other, 0);
            for (int i = 0; i < 8 && receives.items.size() < 3; i++) {
                zyntax_runtime_turn(one, 0);
                zyntax_runtime_turn(other, 0);
            }
            REQUIRE(receives.items == std::vector<int>{1, 2, 3});
            zyntax_port_close(port);
            zyntax_runtime_turn(other, 0);
            zyntax_runtime_turn(other, 0);
            REQUIRE(receives.last == 0);
        }
    }
}

TEST_CASE("many_senders_and_receivers_on_four_threads_lose_and_double_nothing") {
    NEEDS_THREADS
    const int each = scaled(20'000), senders = 4, receivers = 4;
    for (size_t capacity : {size_t(1), size_t(7), size_t(1000)}) {
        Port port(capacity);
        std::vector<std::vector<int>> got(receivers);
        std::vector<Thread> threads;
        std::atomic<int> sending{senders};
        for (int i = 0; i < senders; i++) {
            threads.emplace_back([&, i] {
                Runtime rt;
                {
                    Sends a(rt, port, i * each, each / 2), b(rt, port, i * each + each / 2, each - each / 2);
                    CHECK(rt.drain(60'000));
                }
                if (--sending == 0) zyntax_port_close(port);
            });
        }
        for (int i = 0; i < receivers; i++) {
            threads.emplace_back([&, i] {
                Runtime rt;
                Receives a(rt, port), b(rt, port);
                CHECK(rt.drain(60'000));
                got[size_t(i)] = a.items;
                got[size_t(i)].insert(got[size_t(i)].end(), b.items.begin(), b.items.end());
            });
        }
        for (Thread &thread : threads) thread.join();
        std::vector<int> all;
        for (auto &items : got) all.insert(all.end(), items.begin(), items.end());
        std::sort(all.begin(), all.end());
        REQUIRE(all.size() == size_t(each * senders));
        for (size_t i = 0; i < all.size(); i++) {
            if (all[i] != int(i)) FAIL("item " << i << " is " << all[i]);
        }
    }
}

TEST_CASE("plain_threads_send_to_a_task_in_the_order_of_each") {
    NEEDS_THREADS
    const int each = scaled(50'000);
    Port port(64);
    Runtime rt;
    Receives receives(rt, port);
    std::vector<Thread> threads;
    for (int i = 0; i < 3; i++) {
        threads.emplace_back([&, i] {
            for (int n = 0; n < each; n++) {
                while (port.put(i * each + n) == ZYNTAX_EAGAIN) yield();
            }
        });
    }
    CHECK(rt.drive_until([&] { return receives.items.size() == size_t(3 * each); }, 60'000));
    for (Thread &thread : threads) thread.join();
    int last[] = {-1, -1, -1};
    for (int item : receives.items) {
        int &before = last[item / each];
        if (item % each != before + 1) FAIL("thread " << item / each << ": " << item % each << " after " << before);
        before = item % each;
    }
}

TEST_CASE("a_send_wakes_a_loop_that_sleeps") {
    NEEDS_THREADS
    Port to(1), back(1);
    Thread other([&] {
        Runtime rt;
        Task echo{[&, item = 0, has = false](Waker *waker) mutable {
            for (int64_t result = 0;;) {
                if (!has && zyntax_port_recv(to, &echo.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
                if (!has && result != 1) return POLL_READY;
                has = true;
                if (zyntax_port_send(back, &echo.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
                has = false;
            }
        }};
        echo.spawn(rt);
        Limit limit(rt, 60'000);
        zyntax_runtime_run(rt);
    });
    Runtime rt;
    const int trips = scaled(2000);
    int done = 0, item = 0;
    bool sent = false;
    Task ping{[&](Waker *waker) {
        for (int64_t result = 0; done < trips;) {
            if (!sent && zyntax_port_send(to, &ping.op, &done, waker, &result) == POLL_PENDING) return POLL_PENDING;
            sent = true;
            if (zyntax_port_recv(back, &ping.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
            CHECK(item == done);
            sent = false;
            done++;
        }
        zyntax_port_close(to);
        return POLL_READY;
    }};
    ping.spawn(rt);
    {
        Limit limit(rt, 60'000);
        CHECK(zyntax_runtime_run(rt) == 0);
    }
    other.join();
    CHECK(done == trips);
}

TEST_CASE("destroy_under_eight_threads_leaves_a_stale_port_in_each") {
    NEEDS_THREADS
    for (int round = 0; round < scaled(60); round++) {
        auto port = std::make_unique<Port>(2);
        zyntax_port *handle = *port;
        std::atomic<int> stale{0};
        std::vector<Thread> threads;
        for (int i = 0; i < 8; i++) {
            threads.emplace_back([&, i] {
                int item = i;
                if (i % 4 == 0) {
                    Runtime rt;
                    Receives receives(rt, handle);
                    CHECK(rt.drain());
                    stale += receives.last == ZYNTAX_ESTALE || receives.last == ZYNTAX_ECANCELED;
                } else if (i % 4 == 1) {
                    Runtime rt;
                    Sends sends(rt, handle, 0, 1 << 30);
                    CHECK(rt.drain());
                    stale += sends.next < sends.end;
                } else {
                    auto call = i % 4 == 2 ? [](zyntax_port *p, int *n) { return zyntax_port_try_send(p, n); }
                                           : [](zyntax_port *p, int *n) { return zyntax_port_try_recv(p, n); };
                    while (call(handle, &item) != ZYNTAX_ESTALE) yield();
                    stale++;
                }
            });
        }
        sleep_for(std::chrono::microseconds(50 * round));
        port.reset();
        Port next(1); // may have the same place
        for (Thread &thread : threads) thread.join();
        CHECK(stale == 8);
        CHECK(next.get() == -1);
    }
}

TEST_CASE("runtimes_that_end_while_others_send_lose_no_item") {
    NEEDS_THREADS
    const int items = scaled(3000);
    Port port(4);
    std::vector<int> got;
    Mutex mutex;
    std::atomic<bool> over{false};
    std::vector<Thread> threads;
    for (int i = 0; i < 3; i++) {
        threads.emplace_back([&] {
            while (!over) {
                Runtime rt;
                Receiver a(rt, port), b(rt, port);
                for (int turn = 0; turn < 3; turn++) zyntax_runtime_turn(rt, 100'000);
                Lock lock(mutex);
                for (Receiver *receiver : {&a, &b}) {
                    if (receiver->has_item()) got.push_back(receiver->item);
                }
                lock.unlock();
                rt.destroy();
                a.await.task.handle = b.await.task.handle = nullptr;
            }
        });
    }
    for (int item = 0; item < items; item++) {
        while (port.put(item) == ZYNTAX_EAGAIN) yield();
    }
    auto all = [&] {
        Lock lock(mutex);
        return got.size() == size_t(items);
    };
    CHECK(eventually(all, 60'000));
    over = true;
    for (Thread &thread : threads) thread.join();
    std::sort(got.begin(), got.end());
    REQUIRE(got.size() == size_t(items));
    for (int item = 0; item < items; item++) {
        if (got[size_t(item)] != item) FAIL("item " << item << " is " << got[size_t(item)]);
    }
}

TEST_CASE("a_forked_child_may_use_the_port_of_its_parent") {
    SKIP_WHEN(!has_fork, "this system has no fork");
    Runtime rt;
    Port port(2);
    Receiver receiver(rt, port);
    settle(rt);
    Child child([&] {
        if (zyntax_runtime_turn(nullptr, 0) != ZYNTAX_EINVAL) return 1;
        zyntax_runtime_destroy(rt);
        if (port.put(3) != 0) return 2;
        if (port.get() != 3) return 3; // the parent's receiver does not wait here
        return zyntax_port_destroy(port) == 0 ? 0 : 4;
    });
    CHECK(child.end() == 0);
    CHECK(port.put(5) == 0);
    REQUIRE(rt.drain());
    CHECK(receiver.item == 5);
}
