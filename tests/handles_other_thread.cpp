// Handles and ops that outlived their runtime are stale in every thread, also while another thread creates, drives and
// destroys runtimes in the same memory.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"

using namespace support;

namespace {

// The handles and ops that a destroyed runtime has left.
struct Left {
    zyntax_io *io = nullptr, *listener = nullptr;
    zyntax_channel *channel = nullptr;
    zyntax_task *task = nullptr;
    zyntax_op ops[5] = {}; // of a sleep, a channel, a handle, a join and a listener
    Waker waker{};

    Left() {
        Runtime rt;
        Pair pair = socket_pair();
        io = adopt(rt, pair.near);
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        channel = channel_of(rt, 1);
        Task parked{[&](Waker *w) {
            waker = *w;
            return POLL_PENDING;
        }};
        parked.spawn(rt);
        settle(rt);
        task = parked.handle;
        Waker nobody_ = nobody();
        int64_t result = 0;
        int item = 0;
        char byte = 0;
        zyntax_io *out = nullptr;
        CHECK(zyntax_sleep(rt, &ops[0], 3'600'000 * ms, &nobody_) == POLL_PENDING);
        CHECK(zyntax_channel_recv(channel, &ops[1], &item, &nobody_, &result) == POLL_PENDING);
        CHECK(zyntax_io_read(io, &ops[2], &byte, 1, &nobody_, &result) == POLL_PENDING);
        CHECK(zyntax_task_join(task, &ops[3], &nobody_, &result) == POLL_PENDING);
        CHECK(zyntax_tcp_accept(listener, &ops[4], &nobody_, &out, &result) == POLL_PENDING);
        rt.destroy();
    }
    // The number of calls that did not report a stale handle or op.
    int odd() const {
        int wrong = 0;
        intptr_t fd = -2;
        wrong += zyntax_io_fd(io) != -1;
        wrong += zyntax_io_close(io) != ZYNTAX_ESTALE;
        wrong += zyntax_io_detach(io, &fd) != ZYNTAX_ESTALE;
        wrong += zyntax_tcp_port(listener) != ZYNTAX_ESTALE;
        wrong += zyntax_tcp_shutdown(io) != ZYNTAX_ESTALE;
        wrong += zyntax_channel_close(channel) != ZYNTAX_ESTALE;
        wrong += zyntax_channel_destroy(channel) != ZYNTAX_ESTALE;
        wrong += zyntax_task_alive(task) != 0;
        wrong += zyntax_task_cancel(task) != ZYNTAX_ESTALE;
        waker.wake(waker.data);
        for (zyntax_op op : ops) {
            zyntax_op copy = op;
            zyntax_op_cancel(&copy);
            wrong += copy != 0;
        }
        char byte = 0;
        zyntax_io *out = nullptr;
        const Operation all[] = {reading(io, &byte, 1),      writing(io, &byte, 1),     readiness(io, ZYNTAX_READABLE),
                                 accepting(io, &out),        receiving(channel, &byte), sending(channel, &byte),
                                 reading(listener, &byte, 1)};
        for (const Operation &operation : all) {
            for (zyntax_op op : {zyntax_op(0), ops[0], ops[1], ops[2], ops[3], ops[4]}) {
                Waker waker_ = nobody();
                int64_t result = unfinished;
                bool stale = op == 0;
                wrong += operation(&op, &waker_, &result) != POLL_READY || op != 0;
                wrong += result != ZYNTAX_ESTALE && (stale || result != ZYNTAX_ECANCELED);
            }
        }
        return wrong;
    }
};

} // namespace

TEST_CASE("handles_of_a_destroyed_runtime_are_stale_while_a_thread_makes_and_destroys_others") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Left left;
    CHECK(left.odd() == 0);
    std::atomic<int> made{0};
    std::atomic<bool> over{false};
    Thread other([&] {
        for (int i = 0; i < 300 || !over; i++) { // until the first thread has done its part
            Runtime rt;
            Pair pair = socket_pair();
            adopt(rt, pair.near);
            zyntax_channel *channel = channel_of(rt, 1);
            int item = 0;
            Await receiver(rt, receiving(channel, &item)), sleeper(rt, sleeping(rt, 3'600'000 * ms));
            zyntax_runtime_turn(rt, 0);
            rt.destroy();
            made++;
        }
    });
    int odd = 0;
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
    for (int calls = 0; calls < 300 || made < 300; calls++) {
        odd += left.odd();
        if (std::chrono::steady_clock::now() > end) break;
    }
    over = true;
    other.join();
    CHECK(odd == 0);
    CHECK(made >= 300);
}

TEST_CASE("handles_of_a_destroyed_runtime_are_stale_while_a_thread_drives_its_successor") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Left left;
    std::atomic<bool> over{false}, runs{false};
    Thread other([&] {
        Runtime rt; // most likely in the memory of the old runtime
        Task busy{[&](Waker *waker) {
            runs = true;
            waker->wake(waker->data);
            return over ? POLL_READY : POLL_PENDING;
        }};
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        char byte = 0;
        Await reader(rt, reading(io, &byte, 1));
        busy.spawn(rt);
        CHECK(rt.drive_until([&] { return !busy.alive(); }));
        CHECK(reader.alive());
    });
    CHECK(eventually([&] { return runs.load(); }));
    int odd = 0;
    for (int calls = 0; calls < scaled(3000); calls++) odd += left.odd();
    over = true;
    other.join();
    CHECK(odd == 0);
}

TEST_CASE("handles_of_several_destroyed_runtimes_are_stale_in_all_other_threads") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    std::atomic<int> odd{0};
    Left left[3];
    Thread threads[3];
    for (Thread &thread : threads) {
        thread = Thread([&] {
            for (int i = 0; i < 30; i++) {
                Runtime rt;
                channel_of(rt, 1);
                for (Left &one : left) odd += one.odd();
                zyntax_runtime_turn(rt, 0);
                for (Left &one : left) odd += one.odd();
            }
        });
    }
    for (Thread &thread : threads) thread.join();
    CHECK(odd == 0);
}
