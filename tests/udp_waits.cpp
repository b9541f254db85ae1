// Datagram calls that wait: several at once, cancelled, forgotten, and when the handle or the runtime ends.
#include "compiled_support.h"
#include "udp_support.h"

using namespace support;

TEST_CASE("two_receivers_of_one_handle_get_a_datagram_each") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    char one[8] = {}, two[8] = {};
    zyntax_address from[2] = {};
    Await first(rt, receiving(b, one, sizeof one, &from[0])), second(rt, receiving(b, two, sizeof two, &from[1]));
    settle(rt);
    send_to(rt, a, b, "x");
    CHECK(rt.drive_until([&] { return first.alive() != second.alive(); }));
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(first.alive() != second.alive());
    send_to(rt, a, b, "yy");
    CHECK(rt.drain());
    CHECK(first.result + second.result == 3);
    CHECK(std::string(one).size() + std::string(two).size() == 3);
    CHECK(from[0] == udp_address(a));
    CHECK(from[1] == udp_address(a));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_cancelled_receive_takes_no_datagram_and_writes_nothing") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    for (int moment = 0; moment < 3; moment++) {
        CAPTURE(moment);
        char byte = '.';
        zyntax_address from{};
        Await waits(rt, receiving(b, &byte, 1, &from));
        if (moment > 0) settle(rt);
        if (moment > 1) { // it is woken, and not polled yet
            send_to(rt, a, b, "!");
            arrives(b);
        }
        waits.cancel();
        CHECK(rt.drain());
        CHECK(waits.result == unfinished);
        CHECK(byte == '.');
        CHECK(from == zyntax_address{});
        if (moment > 1) CHECK(receive_from(rt, b) == "!");
        CHECK(hears_nothing(rt, b));
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_forgotten_receive_leaves_the_datagram_to_the_next") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    {
        char byte;
        zyntax_op op = 0;
        int64_t result = 0;
        ScopedTask task(rt);
        task.on_poll = [&](Waker *waker) {
            CHECK(zyntax_udp_recv(b, &op, &byte, 1, nullptr, waker, &result) == POLL_PENDING);
            return POLL_READY;
        };
        task.start();
        CHECK(rt.drain());
    }
    send_to(rt, a, b, "for the next");
    CHECK(receive_from(rt, b) == "for the next");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("closing_or_detaching_ends_waits_with_ecanceled") {
    Runtime rt;
    for (bool detaches : {false, true}) {
        zyntax_io *io = open_udp(rt);
        char byte;
        Await one(rt, receiving(io, &byte, 1)), two(rt, receiving(io, &byte, 1));
        settle(rt);
        intptr_t fd = -1;
        CHECK((detaches ? zyntax_io_detach(io, &fd) : zyntax_io_close(io)) == 0);
        if (detaches) close_descriptor(Descriptor(fd));
        CHECK(rt.drain());
        CHECK(one.result == ZYNTAX_ECANCELED);
        CHECK(two.result == ZYNTAX_ECANCELED);
        zyntax_address to = on_loopback(9);
        CHECK(await(rt, receiving(io, &byte, 1)) == ZYNTAX_ESTALE);
        CHECK(await(rt, sending(io, "x", 1, &to)) == ZYNTAX_ESTALE);
    }
    CHECK(await(rt, receiving(nullptr, nullptr, 0)) == ZYNTAX_ESTALE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("destroying_the_runtime_while_tasks_receive_closes_the_sockets") {
    int before = fd_count();
    Heap heap;
    {
        Runtime rt(heap.config());
        zyntax_io *io = open_udp(rt);
        char byte;
        std::vector<std::unique_ptr<Task>> tasks;
        for (int i = 0; i < 3; i++) {
            tasks.push_back(std::make_unique<Task>());
            Task *task = tasks.back().get();
            task->on_poll = [=, &byte](Waker *waker) {
                int64_t n;
                return zyntax_udp_recv(io, &task->op, &byte, 1, nullptr, waker, &n);
            };
            task->spawn(rt);
        }
        settle(rt);
        rt.destroy();
        for (auto &task : tasks) CHECK(task->outcome == ZYNTAX_ECANCELED);
    }
    CHECK(heap.balanced());
    CHECK(fd_count() == before);
}

TEST_CASE("null_arguments_of_the_calls_are_einval") {
    Runtime rt;
    zyntax_io *io = open_udp(rt);
    zyntax_address to = udp_address(io);
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r[4] = {1, 1, 1, 1};
        Waker none = {nullptr, nullptr};
        CHECK(zyntax_udp_send(io, nullptr, "x", 1, &to, waker, &r[0]) == POLL_READY);
        CHECK(zyntax_udp_send(io, op, "x", 1, &to, nullptr, &r[1]) == POLL_READY);
        CHECK(zyntax_udp_recv(io, nullptr, r, 1, nullptr, waker, &r[2]) == POLL_READY);
        CHECK(zyntax_udp_recv(io, op, r, 1, nullptr, &none, &r[3]) == POLL_READY);
        for (int64_t code : r) CHECK(code == ZYNTAX_EINVAL);
        CHECK(zyntax_udp_send(io, op, "x", 1, &to, waker, nullptr) == POLL_READY);
        CHECK(zyntax_udp_recv(io, op, r, 1, nullptr, waker, nullptr) == POLL_READY);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(hears_nothing(rt, io));
}

// One op word serves all await points: its pending operation is given up.
TEST_CASE("an_op_that_waits_for_something_else_begins_anew") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    zyntax_address to = udp_address(b), back = udp_address(a);
    char byte;
    int64_t n = 0;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        CHECK(zyntax_udp_recv(a, &task.op, &byte, 1, nullptr, waker, &n) == POLL_PENDING);
        CHECK(zyntax_udp_send(a, &task.op, "x", 1, &to, waker, &n) == POLL_READY);
        CHECK(task.op == 0);
        CHECK(zyntax_sleep(rt, &task.op, UINT64_MAX, waker) == POLL_PENDING);
        CHECK(zyntax_udp_recv(a, &task.op, &byte, 1, nullptr, waker, &n) == POLL_PENDING);
        CHECK(zyntax_udp_send(a, &task.op, nullptr, 1, &to, waker, &n) == POLL_READY);
        CHECK(n == ZYNTAX_EINVAL);
        CHECK(task.op == 0);
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    CHECK(receive_from(rt, b) == "x");
    CHECK(await(rt, sending(b, "y", 1, &back)) == 1);
    CHECK(receive_from(rt, a) == "y");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_flood_of_datagrams_does_not_keep_other_tasks_out") {
    zyntax_runtime_config c = config();
    c.await_budget = 10;
    Runtime rt(c);
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    for (int i = 0; i < 40; i++) send_to(rt, a, b, "x");
    arrives(b);
    int received = 0, most = 0;
    ScopedTask loop(rt);
    loop.on_poll = [&](Waker *waker) {
        int64_t n;
        char byte;
        int before = received;
        while (zyntax_udp_recv(b, &loop.op, &byte, 1, nullptr, waker, &n) == POLL_READY) received++;
        most = std::max(most, received - before);
        return POLL_PENDING;
    };
    loop.start();
    CHECK(rt.drive_until([&] { return received == 40; }));
    CHECK(most <= 10);
    CHECK(loop.polls >= 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_receive_waits_in_the_loop_when_somebody_has_cleared_the_flag") {
    SKIP_WHEN(on_windows || !has_pipes, "open files are not shared here");
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    make_blocking(Descriptor(zyntax_io_fd(b)));
    char byte;
    Await waits(rt, receiving(b, &byte, 1));
    settle(rt); // would never return if the call waited
    CHECK(waits.alive());
    CHECK(is_blocking(Descriptor(zyntax_io_fd(b))));
    send_to(rt, a, b, "x");
    CHECK(rt.drain());
    CHECK(waits.result == 1);
}

TEST_CASE("a_sender_waits_for_room_and_no_datagram_is_lost") {
    SKIP_WHEN(!has_local_sockets, "the loopback drops datagrams instead of waiting");
    Runtime rt;
    for (bool cleared : {false, true}) {
        Pair pair = socket_pair(SOCK_DGRAM);
        make_nonblocking(pair.far);
        zyntax_io *io = adopt(rt, pair.near);
        if (cleared) make_blocking(Descriptor(zyntax_io_fd(io)));
        for (int round = 0; round < 3; round++) {
            int sent = 0, taken = 0;
            std::unique_ptr<Await> writer;
            while (!writer || !writer->alive()) {
                REQUIRE(sent++ < 100'000);
                writer = std::make_unique<Await>(rt, sending(io, "abc", 3));
                settle(rt);
            }
            CHECK(rt.idle_waits() <= idle_budget);
            char buf[8];
            while (receive_some(pair.far, buf, sizeof buf) == 3) taken++;
            CHECK(taken == sent - 1);
            CHECK(rt.drain());
            CHECK(writer->result == 3);
            CHECK(receive_some(pair.far, buf, sizeof buf) == 3);
        }
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("a_host_receives_and_sends_with_a_waker_of_its_own") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    int wakes = 0;
    Waker waker{&wakes, [](void *count) { ++*static_cast<int *>(count); }};
    zyntax_op op = 0;
    char buf[4];
    int64_t n = unset;
    CHECK(zyntax_udp_recv(b, &op, buf, sizeof buf, nullptr, &waker, &n) == POLL_PENDING);
    CHECK(n == unset);
    zyntax_op sends = 0;
    zyntax_address to = udp_address(b);
    CHECK(zyntax_udp_send(a, &sends, "abc", 3, &to, &waker, &n) == POLL_READY);
    CHECK(n == 3);
    CHECK(rt.drive_until([&] { return wakes == 1; }));
    CHECK(zyntax_udp_recv(b, &op, buf, sizeof buf, nullptr, &waker, &n) == POLL_READY);
    CHECK(n == 3);
    CHECK(op == 0);
    CHECK(wakes == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_deadline_of_the_handle_ends_a_receive_and_the_socket_stays_usable") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    char byte;
    Await waits(rt, receiving(b, &byte, 1));
    settle(rt);
    REQUIRE(zyntax_io_deadline(b, ZYNTAX_READABLE, zyntax_now_ns(rt) + 5 * ms) == 0);
    CHECK(rt.drain());
    CHECK(waits.result == ZYNTAX_ETIMEDOUT);
    CHECK(await(rt, receiving(b, &byte, 1)) == ZYNTAX_ETIMEDOUT);
    send_to(rt, a, b, "x");
    arrives(b);
    CHECK(await(rt, receiving(b, &byte, 1)) == 1); // it is there: the deadline is for waits
    REQUIRE(zyntax_io_deadline(b, ZYNTAX_READABLE, UINT64_MAX) == 0);
    CHECK(hears_nothing(rt, b));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("calls_for_datagrams_keep_errno") {
    Runtime rt;
    auto kept = [](auto call) {
        errno = 4711;
        auto result = call();
        int now = errno;
        CHECK(now == 4711);
        return result;
    };
    auto awaited = [&](Operation operation) {
        return await(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
            return kept([&] { return operation(op, waker, result); });
        });
    };
    zyntax_io *a = nullptr, *b = nullptr;
    zyntax_address local = on_loopback(), group = v4(127, 0, 0, 1);
    REQUIRE(kept([&] { return zyntax_udp_open(rt, nullptr, 0, &a); }) == 0);
    REQUIRE(kept([&] { return zyntax_udp_open(rt, &local, 0, &b); }) == 0);
    zyntax_address to = udp_address(b), taken = to;
    CHECK(kept([&] { return zyntax_udp_open(rt, &taken, 0, &b); }) == ZYNTAX_EADDRINUSE);
    CHECK(kept([&] { return zyntax_udp_member(a, &group, 0, 1); }) < 0);
    CHECK(awaited(sending(a, "x", 1)) == ZYNTAX_ENOTCONN);
    CHECK(awaited(sending(a, "x", 1, &to)) == 1);
    char byte;
    CHECK(awaited(receiving(b, &byte, 1)) == 1);
    CHECK(kept([&] { return zyntax_udp_connect(a, &to); }) == 0);
    CHECK(kept([&] { return zyntax_udp_connect(a, nullptr); }) <= 0);
    Await waiting(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return kept([&] { return zyntax_udp_recv(b, op, &byte, 1, nullptr, waker, result); });
    });
    settle(rt);
    CHECK(waiting.alive());
}

// ---- promises ----

TEST_CASE("a_promise_of_a_datagram_gives_its_length_plus_one") {
    Runtime rt;
    zyntax_io *a = open_udp(rt), *b = open_udp(rt);
    zyntax_address to = udp_address(b), from{};
    char buf[4];
    auto receive = [&] { return zyntax_promise_udp_recv(b, buf, sizeof buf, &from); };
    Compiled code({receive, receive, receive, receive});
    code.spawn(rt);
    settle(rt);
    CHECK(code.state_id == 0);
    Compiled sender({[&] { return zyntax_promise_udp_send(a, "abc", 3, &to); },
                     [&] { return zyntax_promise_udp_send(a, nullptr, 0, &to); },
                     [&] { return zyntax_promise_udp_send(a, "abcdefgh", 8, &to); },
                     [&] { return zyntax_promise_udp_send(a, "x", 1, &to); }});
    CHECK(run(rt, sender) == 1);
    CHECK(sender.values == std::vector<int64_t>{3, 1, 8, 1});
    CHECK(rt.drive_until([&] { return !code.alive(); }));
    CHECK(code.values == std::vector<int64_t>{4, 1, tells_datagram_lengths ? 9 : 6, 2});
    CHECK(from == udp_address(a));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_promise_of_a_datagram_fails_with_the_call_s_error") {
    Runtime rt;
    zyntax_io *io = open_udp(rt), *closed = open_udp(rt), *waits = open_udp(rt);
    Pair tcp = tcp_pair();
    zyntax_io *stream = adopt(rt, tcp.near);
    REQUIRE(zyntax_io_close(closed) == 0);
    char byte;
    zyntax_promise *cancelled = nullptr;
    Compiled code({[&] { return zyntax_promise_udp_recv(io, nullptr, 1, nullptr); },
                   [&] { return zyntax_promise_udp_send(io, nullptr, 1, nullptr); },
                   [&] { return zyntax_promise_udp_recv(closed, &byte, 1, nullptr); },
                   [&] { return zyntax_promise_udp_send(closed, "x", 1, nullptr); },
                   [&] { return zyntax_promise_udp_recv(stream, &byte, 1, nullptr); },
                   [&] { return zyntax_promise_udp_send(io, "x", 1, nullptr); },
                   [&] { return zyntax_promise_timeout(zyntax_promise_udp_recv(waits, &byte, 1, nullptr), ms); },
                   [&] {
                       cancelled = zyntax_promise_udp_recv(waits, &byte, 1, nullptr);
                       zyntax_promise_cancel(cancelled);
                       return cancelled;
                   },
                   [&] { return zyntax_promise_udp_recv(waits, &byte, 1, nullptr); }});
    code.spawn(rt);
    CHECK(rt.drive_until([&] { return code.state_id == 8; }));
    CHECK(zyntax_io_close(waits) == 0);
    CHECK(rt.drive_until([&] { return !code.alive(); }));
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_EINVAL, ZYNTAX_EINVAL, ZYNTAX_ESTALE, ZYNTAX_ESTALE,
                                              ZYNTAX_EOPNOTSUPP, ZYNTAX_ENOTCONN, ZYNTAX_ETIMEDOUT, ZYNTAX_ECANCELED,
                                              ZYNTAX_ECANCELED});
    zyntax_promise *outside = zyntax_promise_udp_recv(io, &byte, 1, nullptr);
    CHECK(outside->poll(outside->state) == ZYNTAX_EPERM);
    CHECK(rt.idle_waits() <= idle_budget);
}
