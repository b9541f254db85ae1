// Allocations that fail, the n-th or all from the n-th on: the documented error, nothing lost, nothing leaked.
#include "channel_support.h"
#include "udp_support.h"

using namespace support;

namespace {

// A call that is made while memory is short. It runs inside a poll of a task that exists already, so that only the
// call itself allocates. Returns ZYNTAX_ENOMEM or success; anything else is a failure of the test.
struct Attempt {
    Heap &heap;
    Runtime &rt;
    uint64_t nth;
    bool persistent;

    // One poll of an operation with memory running out at the nth allocation; `unfinished` if it waits.
    int64_t poll(Operation operation) {
        int64_t result = unfinished;
        bool armed = false;
        Waker waker{};
        {
            ScopedTask task(rt);
            task.on_poll = [&](Waker *w) {
                waker = *w;
                if (!armed) return POLL_PENDING;
                arm();
                PollStatus status = operation(&task.op, w, &result);
                disarm();
                if (status == POLL_PENDING) result = unfinished;
                return POLL_READY;
            };
            task.start();
            settle(rt);
            armed = true;
            waker.wake(waker.data);
            CHECK(rt.drive_until([&] { return !task.alive(); }));
        }
        return result;
    }
    // A call that does not wait.
    template <class Call> auto call(Call function) {
        arm();
        auto result = function();
        disarm();
        return result;
    }
    void arm() {
        heap.failures = 0;
        heap.persistent = persistent;
        heap.fail_at = nth;
    }
    void disarm() { heap.fail_at = 0; }
    bool failed() const { return heap.failures > 0; }
};

// Runs a scenario with the 1st, 2nd, … allocation failing, once and for good, until none of them is reached. The
// scenario gets a runtime of its own each time. Afterwards no block and no descriptor may be left.
void until_it_succeeds(const std::function<void(Attempt &)> &scenario) {
    for (bool persistent : {false, true}) {
        bool failed = true;
        for (uint64_t nth = 1; failed; nth++) {
            CAPTURE(nth);
            CAPTURE(persistent);
            REQUIRE(nth < 100);
            int before = fd_count();
            Heap heap;
            {
                Runtime rt(heap.config());
                Attempt attempt{heap, rt, nth, persistent};
                scenario(attempt);
                failed = attempt.failed();
                if (persistent && !failed) CHECK(rt.idle_waits() <= idle_budget);
            }
            CHECK(heap.balanced());
            CHECK(fd_count() == before);
        }
    }
}

// Either it succeeded, or memory was short and the result says so.
void is_enomem_or(int64_t good, int64_t result, const Attempt &attempt) {
    CHECK((result == good || (result == ZYNTAX_ENOMEM && attempt.failed())));
}

} // namespace

TEST_CASE("io_open_leaves_the_descriptor_as_it_was") {
    until_it_succeeds([](Attempt &attempt) {
        Pair pair = socket_pair();
        zyntax_io *io = nullptr;
        int32_t result = attempt.call([&] { return zyntax_io_open(attempt.rt, pair.near, &io); });
        is_enomem_or(0, result, attempt);
        if (result != 0) {
            CHECK(is_blocking(pair.near));
            CHECK(attempt.rt.stats().io_open == 0);
            io = adopt(attempt.rt, pair.near); // works now
        } else {
            pair.near.release();
        }
        put(pair.far, "x");
        char byte;
        CHECK(await(attempt.rt, reading(io, &byte, 1)) == 1);
    });
}

TEST_CASE("reading_and_writing_lose_no_byte") {
    until_it_succeeds([](Attempt &attempt) {
        Pair pair = socket_pair();
        zyntax_io *io = adopt(attempt.rt, pair.near);
        char buf[4];
        int64_t result = attempt.poll(reading(io, buf, sizeof buf));
        is_enomem_or(unfinished, result, attempt);
        put(pair.far, "abcd");
        CHECK(await(attempt.rt, reading(io, buf, sizeof buf)) == 4);
        CHECK(std::string(buf, 4) == "abcd");
    });
    until_it_succeeds([](Attempt &attempt) {
        Pair pair = socket_pair();
        zyntax_io *io = adopt(attempt.rt, pair.near);
        size_t filled = fill(Descriptor(zyntax_io_fd(io)));
        int64_t result = attempt.poll(writing(io, "abcd", 4));
        is_enomem_or(unfinished, result, attempt);
        CHECK(take(pair.far).size() == filled);
        CHECK(await(attempt.rt, writing(io, "efgh", 4)) == 4);
        CHECK(take(pair.far) == "efgh");
    });
}

TEST_CASE("io_ready_says_enomem_or_waits") {
    until_it_succeeds([](Attempt &attempt) {
        Pair pair = socket_pair();
        zyntax_io *io = adopt(attempt.rt, pair.near);
        int64_t result = attempt.poll(readiness(io, ZYNTAX_READABLE));
        is_enomem_or(unfinished, result, attempt);
        put(pair.far, "x");
        CHECK(await(attempt.rt, readiness(io, ZYNTAX_READABLE)) == ZYNTAX_READABLE);
    });
}

TEST_CASE("udp_open_leaves_no_socket") {
    until_it_succeeds([](Attempt &attempt) {
        zyntax_io *io = nullptr;
        int before = fd_count();
        int32_t result = attempt.call([&] { return zyntax_udp_open(attempt.rt, nullptr, 0, &io); });
        is_enomem_or(0, result, attempt);
        if (result != 0) {
            CHECK(fd_count() == before);
            CHECK(attempt.rt.stats().io_open == 0);
            CHECK(zyntax_udp_open(attempt.rt, nullptr, 0, &io) == 0);
        }
        zyntax_io *sender = open_udp(attempt.rt);
        send_to(attempt.rt, sender, io, "x");
        CHECK(receive_from(attempt.rt, io) == "x");
    });
}

TEST_CASE("receiving_loses_no_datagram") {
    until_it_succeeds([](Attempt &attempt) {
        zyntax_io *from = open_udp(attempt.rt), *to = open_udp(attempt.rt);
        char byte;
        is_enomem_or(unfinished, attempt.poll(receiving(to, &byte, 1)), attempt);
        send_to(attempt.rt, from, to, "x");
        CHECK(receive_from(attempt.rt, to) == "x");
    });
}

TEST_CASE("tcp_listen_leaves_no_socket") {
    until_it_succeeds([](Attempt &attempt) {
        zyntax_io *listener = nullptr;
        int before = fd_count();
        int32_t result = attempt.call([&] { return zyntax_tcp_listen(attempt.rt, "127.0.0.1", 0, &listener); });
        is_enomem_or(0, result, attempt);
        if (result != 0) {
            CHECK(fd_count() == before);
            CHECK(attempt.rt.stats().io_open == 0);
        }
        CHECK(zyntax_tcp_listen(attempt.rt, "127.0.0.1", 0, &listener) == 0);
    });
}

TEST_CASE("tcp_accept_leaves_the_client_for_the_next_accept") {
    until_it_succeeds([](Attempt &attempt) {
        Runtime &rt = attempt.rt;
        zyntax_io *listener = nullptr, *accepted = nullptr;
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        Fd client = plain_client(uint16_t(zyntax_tcp_port(listener)));
        REQUIRE(wait_for(client, POLLOUT));
        int before = fd_count();
        int64_t result = attempt.poll(accepting(listener, &accepted));
        is_enomem_or(0, result, attempt);
        if (result != 0) {
            CHECK(fd_count() == before);
            CHECK(await(rt, accepting(listener, &accepted)) == 0);
        }
        put(client, "x");
        char byte;
        CHECK(await(rt, reading(accepted, &byte, 1)) == 1);
    });
}

TEST_CASE("tcp_accept_that_has_to_wait_says_enomem_or_waits") {
    until_it_succeeds([](Attempt &attempt) {
        zyntax_io *listener = nullptr, *accepted = nullptr;
        REQUIRE(zyntax_tcp_listen(attempt.rt, "127.0.0.1", 0, &listener) == 0);
        is_enomem_or(unfinished, attempt.poll(accepting(listener, &accepted)), attempt);
        CHECK(attempt.rt.stats().io_open == 1);
    });
}

TEST_CASE("tcp_connect_leaves_no_socket") {
    for (const char *host : {"127.0.0.1", "localhost"}) {
        CAPTURE(std::string(host));
        Fd listener = plain_listener(100);
        until_it_succeeds([&](Attempt &attempt) {
            Runtime &rt = attempt.rt;
            zyntax_io *io = nullptr;
            int before = fd_count();
            int64_t result = attempt.poll(connecting(rt, host, port_of(listener), &io));
            CHECK((result == 0 || result == unfinished || (result == ZYNTAX_ENOMEM && attempt.failed())));
            if (result != 0) {
                CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
                CHECK(rt.stats().io_open == 0);
                CHECK(fd_count() == before);
            }
            CHECK(await(rt, connecting(rt, host, port_of(listener), &io)) == 0);
        });
    }
}

TEST_CASE("channel_create_says_enomem") {
    until_it_succeeds([](Attempt &attempt) {
        zyntax_channel *channel = nullptr;
        int32_t result = attempt.call([&] { return zyntax_channel_create(attempt.rt, 100, 100, &channel); });
        is_enomem_or(0, result, attempt);
        CHECK(zyntax_channel_create(attempt.rt, 100, 100, &channel) == 0);
    });
}

TEST_CASE("channel_send_that_says_enomem_has_sent_nothing") {
    until_it_succeeds([](Attempt &attempt) {
        Runtime &rt = attempt.rt;
        zyntax_channel *channel = channel_of(rt, 1);
        int two = 2;
        send_now(rt, channel, 1);
        is_enomem_or(unfinished, attempt.poll(sending(channel, &two)), attempt);
        CHECK(receive_now(rt, channel) == 1);
        CHECK(zyntax_channel_close(channel) == 0);
        CHECK(await(rt, receiving(channel, &two)) == 0);
    });
}

TEST_CASE("channel_recv_that_says_enomem_has_taken_nothing") {
    until_it_succeeds([](Attempt &attempt) {
        Runtime &rt = attempt.rt;
        zyntax_channel *channel = channel_of(rt, 1);
        int item = -1;
        is_enomem_or(unfinished, attempt.poll(receiving(channel, &item)), attempt);
        send_now(rt, channel, 1);
        CHECK(receive_now(rt, channel) == 1);
        CHECK(item == -1);
    });
}

TEST_CASE("blocking_that_says_enomem_has_not_run") {
    until_it_succeeds([](Attempt &attempt) {
        Runtime &rt = attempt.rt;
        std::atomic<int> runs{0};
        struct Argument {
            std::atomic<int> *runs;
            char bytes[1000];
        } argument{&runs, {}};
        Operation operation = [&](zyntax_op *op, Waker *waker, int64_t *result) {
            auto job = [](void *arg) { return int64_t(++*static_cast<Argument *>(arg)->runs); };
            return zyntax_blocking(rt, op, job, &argument, sizeof argument, waker, result);
        };
        int64_t result = attempt.poll(operation);
        is_enomem_or(unfinished, result, attempt);
        CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
        int before = runs;
        if (result == ZYNTAX_ENOMEM) CHECK(before == 0);
        CHECK(await(rt, operation) == before + 1);
    });
}

TEST_CASE("promise_spawn_returns_null_and_leaves_the_result") {
    until_it_succeeds([](Attempt &attempt) {
        zyntax_promise promise{nullptr, [](void *) { return int64_t(5); }};
        int64_t result = 77;
        zyntax_task *task = attempt.call([&] { return zyntax_promise_spawn(attempt.rt, &promise, &result); });
        CHECK((task != nullptr || attempt.failed()));
        CHECK(result == 77);
        CHECK(attempt.rt.stats().tasks_alive == (task != nullptr ? 1 : 0));
        CHECK(attempt.rt.drain());
        CHECK(result == (task != nullptr ? 5 : 77));
        CHECK(zyntax_promise_block_on(attempt.rt, &promise) == 5);
    });
    until_it_succeeds([](Attempt &attempt) {
        zyntax_promise promise{nullptr, [](void *) { return int64_t(5); }};
        int64_t result = attempt.call([&] { return zyntax_promise_block_on(attempt.rt, &promise); });
        is_enomem_or(5, result, attempt);
    });
}

TEST_CASE("destroying_closing_and_cancelling_need_no_memory") {
    Heap heap;
    {
        Runtime rt(heap.config());
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        zyntax_channel *channel = channel_of(rt, 1);
        char byte;
        int item;
        Await a(rt, reading(io, &byte, 1)), b(rt, receiving(channel, &item)), c(rt, sleeping(rt, 3'600'000 * ms));
        settle(rt);
        heap.persistent = true;
        heap.fail_at = 1;
        CHECK(zyntax_io_close(io) == 0);
        CHECK(zyntax_channel_destroy(channel) == 0);
        c.cancel();
        CHECK(rt.drain());
        CHECK(a.result == ZYNTAX_ECANCELED);
        CHECK(b.result == ZYNTAX_ECANCELED);
        rt.destroy();
        CHECK(heap.failures == 0);
    }
    CHECK(heap.balanced());
}

TEST_CASE("an_accept_that_waits_for_descriptors_at_the_end_of_all_time_can_be_ended") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    for (uint64_t before_the_end : {uint64_t(0), uint64_t(1), 10 * ms, 3'600'000 * ms}) {
        CAPTURE(before_the_end);
        Clock clock;
        clock.now = UINT64_MAX - before_the_end; // the time to try again may be no time
        Runtime rt(clock.config());
        zyntax_io *listener = nullptr, *out = nullptr;
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        Fd client = plain_client(uint16_t(zyntax_tcp_port(listener)));
        REQUIRE(wait_for(client, POLLOUT));
        FewDescriptors none;
        Await first(rt, accepting(listener, &out)), second(rt, accepting(listener, &out));
        settle(rt);
        CHECK(first.alive());
        clock.now = UINT64_MAX;
        settle(rt);
        first.cancel();
        settle(rt);
        CHECK_FALSE(first.alive());
        CHECK(zyntax_io_close(listener) == 0);
        settle(rt);
        CHECK(second.result == ZYNTAX_ECANCELED);
        CHECK(rt.stats().timers_pending == 0);
    }
}
