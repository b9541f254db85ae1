// zyntax_unix_send_fd and zyntax_unix_recv_fd: each descriptor arrives once or is closed. None is lost or left open.
#include "unix_support.h"

using namespace support;

namespace {

// A pair of the runtime, and a plain pair with one end in the runtime.
struct Passing : UnixRuntime {
    zyntax_io *one = nullptr, *other = nullptr;
    zyntax_io *near = nullptr;
    Fd far;

    using UnixRuntime::UnixRuntime;
    void begin() {
        std::tie(one, other) = UnixRuntime::pair();
        Pair plain = socket_pair();
        far = std::move(plain.far);
        near = adopt(rt, plain.near);
    }
    int64_t send(zyntax_io *over, intptr_t number) { return await(*this, sending(over, number)); }
    int64_t receive(zyntax_io *from, intptr_t *number) { return await(*this, receiving(from, number)); }
    // Receives a descriptor that is the other end of `far_end`'s pipe.
    void take_end_of(zyntax_io *from, Descriptor far_end) {
        intptr_t number = -1;
        REQUIRE(receive(from, &number) == 1);
        Fd end{Descriptor(number)};
        CHECK(is_same_file(end, far_end));
    }
};

#define NEEDS_PASSING  \
    NEEDS_UNIX_SOCKETS \
    Passing rt;        \
    rt.begin()

} // namespace

TEST_CASE("a_descriptor_arrives_as_a_duplicate_that_does_not_outlive_exec") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    intptr_t got = -1;
    int before = fd_count();
    CHECK(rt.send(rt.one, pipe.near) == 1);
    CHECK(rt.receive(rt.other, &got) == 1);
    CHECK(fd_count() == before + 1);
    Fd end{Descriptor(got)};
    CHECK(end != pipe.near);
    CHECK(is_open(pipe.near)); // the sender's own
    CHECK(is_same_file(end, pipe.near));
    CHECK_FALSE(is_inheritable(end));
    CHECK(is_blocking(end)); // as it was
    put(pipe.far, "through the pipe");
    char buf[32] = {};
    CHECK(receive_some(end, buf, sizeof buf) == 16);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_descriptor_that_came_after_the_deadline_is_received") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    intptr_t got = -1;
    CHECK(zyntax_io_deadline(rt.other, ZYNTAX_READABLE, 0) == 0);
    for (int i = 0; i < 2; i++) CHECK(rt.receive(rt.other, &got) == ZYNTAX_ETIMEDOUT);
    CHECK(rt.send(rt.one, pipe.near) == 1);
    REQUIRE(rt.receive(rt.other, &got) == 1);
    Fd end{Descriptor(got)};
    CHECK(is_same_file(end, pipe.near));
    CHECK(rt.receive(rt.other, &got) == ZYNTAX_ETIMEDOUT);
}

TEST_CASE("one_zero_byte_goes_with_each_descriptor") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    Fd got;
    CHECK(rt.send(rt.near, pipe.near) == 1);
    CHECK(receive_plainly(rt.far, &got) == std::string(1, '\0'));
    CHECK(is_same_file(got, pipe.near));
    CHECK(rt.send(rt.near, pipe.far) == 1);
    CHECK(receive_plainly(rt.far, &got) == std::string(1, '\0'));
    CHECK(is_same_file(got, pipe.far));
}

TEST_CASE("a_receive_waits_for_a_descriptor") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    intptr_t got = -1;
    Await receive(rt, receiving(rt.other, &got));
    settle(rt);
    CHECK(receive.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(rt.send(rt.one, pipe.near) == 1);
    CHECK(rt.drive_until([&] { return !receive.alive(); }));
    CHECK(receive.result == 1);
    Fd end{Descriptor(got)};
    CHECK(is_same_file(end, pipe.near));
}

TEST_CASE("descriptors_and_bytes_keep_their_order") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    char buf[8] = {};
    for (int i = 0; i < 3; i++) {
        CHECK(await(rt, writing(rt.one, "abc", 3)) == 3);
        CHECK(rt.send(rt.one, i % 2 ? pipe.near : pipe.far) == 1);
    }
    for (int i = 0; i < 3; i++) {
        CHECK(await(rt, reading(rt.other, buf, 3)) == 3);
        CHECK(std::string(buf) == "abc");
        rt.take_end_of(rt.other, i % 2 ? pipe.near : pipe.far);
    }
}

TEST_CASE("a_byte_without_a_descriptor_is_eproto_and_consumed") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    intptr_t got = 55;
    put(rt.far, "xy");
    send_descriptors(rt.far, "z", {pipe.near});
    CHECK(rt.receive(rt.near, &got) == ZYNTAX_EPROTO);
    CHECK(rt.receive(rt.near, &got) == ZYNTAX_EPROTO);
    CHECK(got == 55);
    rt.take_end_of(rt.near, pipe.near);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("more_than_one_descriptor_at_once_are_closed") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    int before = fd_count();
    for (size_t count : {2, 3, 4, 17, 100}) {
        CAPTURE(count);
        intptr_t got = 55;
        send_descriptors(rt.far, "x", std::vector<Descriptor>(count, pipe.near));
        put(rt.far, "y");
        CHECK(rt.receive(rt.near, &got) == ZYNTAX_EPROTO);
        CHECK(got == 55);
        CHECK(fd_count() == before);
        char rest[8];
        CHECK(await(rt, reading(rt.near, rest, sizeof rest)) == 1);
        CHECK(rest[0] == 'y');
    }
}

TEST_CASE("as_many_descriptors_as_the_system_passes_at_once_are_closed") {
    NEEDS_PASSING;
    SKIP_WHEN(!full_queues_wait, "only Linux passes 253 at once");
    Pair pipe = pipe_to_runtime();
    int before = fd_count();
    intptr_t got = 55;
    send_descriptors(rt.far, "x", std::vector<Descriptor>(253, pipe.near));
    CHECK(rt.receive(rt.near, &got) == ZYNTAX_EPROTO);
    CHECK(fd_count() == before);
    send_descriptors(rt.far, "x", std::vector<Descriptor>(253, pipe.near));
    {
        FewDescriptors few(100); // the system passes as many as there are numbers for
        CHECK(rt.receive(rt.near, &got) == ZYNTAX_EPROTO);
    }
    send_descriptors(rt.far, "x", {pipe.near, pipe.far});
    {
        FewDescriptors one(1); // so that one of the two comes
        CHECK(rt.receive(rt.near, &got) == ZYNTAX_EPROTO);
    }
    CHECK(got == 55);
    CHECK(fd_count() == before);
}

TEST_CASE("a_message_of_several_bytes_has_its_descriptor_at_the_first") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    send_descriptors(rt.far, "hello", {pipe.near});
    rt.take_end_of(rt.near, pipe.near);
    char rest[8] = {};
    CHECK(await(rt, reading(rt.near, rest, sizeof rest)) == 4);
    CHECK(std::string(rest) == "ello");
}

TEST_CASE("a_descriptor_arrives_together_with_its_senders_credentials") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    ask_for_credentials(rt.fd(rt.near));
    intptr_t got = -1;
    put(rt.far, "x");
    send_descriptors(rt.far, "y", {pipe.near});
    CHECK(rt.receive(rt.near, &got) == ZYNTAX_EPROTO);
    rt.take_end_of(rt.near, pipe.near);
}

TEST_CASE("descriptors_that_a_read_meets_are_closed") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    int before = fd_count();
    std::string received;
    char buf[16];
    put(rt.far, "a");
    send_descriptors(rt.far, "b", {pipe.near});
    put(rt.far, "c");
    send_descriptors(rt.far, "d", {pipe.near, pipe.near, pipe.far});
    put(rt.far, "e");
    while (received.size() < 5) {
        int64_t n = await(rt, reading(rt.near, buf, sizeof buf));
        REQUIRE(n > 0);
        received.append(buf, size_t(n));
    }
    CHECK(received == "abcde");
    CHECK(fd_count() == before);
    send_descriptors(rt.far, "f", {pipe.near}); // receiving still works
    rt.take_end_of(rt.near, pipe.near);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_end_of_the_stream_is_0") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    intptr_t got = 55;
    send_descriptors(rt.far, "x", {pipe.near});
    rt.far.reset();
    rt.take_end_of(rt.near, pipe.near);
    CHECK(rt.receive(rt.near, &got) == 0);
    CHECK(rt.receive(rt.near, &got) == 0);
    CHECK(zyntax_tcp_shutdown(rt.one) == 0);
    CHECK(rt.receive(rt.other, &got) == 0);
    CHECK(got == 55);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_peer_that_has_gone_is_epipe_and_no_signal") {
    NEEDS_PASSING;
    auto deadly = SigpipeAction::deadly();
    Pair pipe = pipe_to_runtime();
    zyntax_io_close(rt.other);
    CHECK(rt.send(rt.one, pipe.near) == ZYNTAX_EPIPE);
    CHECK(zyntax_tcp_shutdown(rt.near) == 0);
    CHECK(rt.send(rt.near, pipe.near) == ZYNTAX_EPIPE);
}

TEST_CASE("a_number_that_is_no_descriptor_is_ebadf_and_nothing_is_sent") {
    NEEDS_PASSING;
    Fd gone{duplicate(rt.far)};
    intptr_t closed = gone;
    gone.reset();
    for (intptr_t bad : {closed, intptr_t{-1}, intptr_t{1'000'000}, INTPTR_MIN, INTPTR_MAX}) {
        CAPTURE(bad);
        CHECK(rt.send(rt.near, bad) == ZYNTAX_EBADF);
    }
    CHECK(take(rt.far).empty());
    fill(rt.fd(rt.near));
    int64_t result = await(rt, sending(rt.near, closed)); // there is no room to wait for
    CHECK(result == ZYNTAX_EBADF);
    Await write(rt, writing(rt.near, "x", 1)); // now it is known that there is no room
    settle(rt);
    CHECK(write.alive());
    CHECK(rt.send(rt.near, closed) == ZYNTAX_EBADF);
}

TEST_CASE("a_descriptor_that_is_no_unix_stream_passes_no_descriptors") {
    NEEDS_PASSING;
    std::vector<Pair> pairs;
    pairs.push_back(tcp_pair());
    pairs.push_back(pipe_to_runtime());
    pairs.push_back(pipe_from_runtime());
    pairs.push_back(terminal());
    pairs.push_back(socket_pair(SOCK_DGRAM));
    if (has_sequenced_packets) pairs.push_back(socket_pair(SOCK_SEQPACKET));
    Pair pipe = pipe_to_runtime();
    for (Pair &pair : pairs) {
        zyntax_io *io = adopt(rt, pair.near);
        intptr_t got = 55;
        CHECK(rt.send(io, pipe.near) == ZYNTAX_EOPNOTSUPP);
        CHECK(rt.receive(io, &got) == ZYNTAX_EOPNOTSUPP);
        CHECK(got == 55);
        zyntax_io_close(io);
    }
}

TEST_CASE("without_a_free_descriptor_a_receive_is_emfile_and_takes_nothing") {
    NEEDS_PASSING;
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    Pair pipe = pipe_to_runtime();
    intptr_t got = 55;
    send_descriptors(rt.far, "x", {pipe.near});
    {
        FewDescriptors none;
        for (int i = 0; i < 3; i++) CHECK(rt.receive(rt.near, &got) == ZYNTAX_EMFILE);
        Await waits(rt, receiving(rt.other, &got)); // nothing is there
        settle(rt);
        CHECK(waits.alive());
        zyntax_tcp_shutdown(rt.one);
        CHECK(rt.drive_until([&] { return !waits.alive(); }));
        CHECK(waits.result == 0);
    }
    CHECK(got == 55);
    rt.take_end_of(rt.near, pipe.near);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_send_waits_for_room_and_can_be_given_up") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    std::string filled(fill(rt.fd(rt.near)), 'f');
    int before = fd_count();
    {
        Await given_up(rt, sending(rt.near, pipe.near));
        settle(rt);
        CHECK(given_up.alive());
        CHECK(rt.idle_waits() <= idle_budget);
    }
    Await send(rt, sending(rt.near, pipe.near));
    settle(rt);
    CHECK(send.alive());
    std::string received = take(rt.far);
    CHECK(rt.drive_until([&] { return !send.alive(); }));
    CHECK(send.result == 1);
    Fd got;
    received += receive_plainly(rt.far, &got);
    CHECK(received == filled + '\0');
    CHECK(is_same_file(got, pipe.near));
    CHECK(fd_count() == before + 1);
    CHECK(take(rt.far).empty()); // the cancelled descriptor has not been sent
}

TEST_CASE("a_receive_that_is_given_up_loses_nothing") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    int before = fd_count();
    intptr_t got = 55;
    for (int step = 0; step < 4; step++) {
        Await receive(rt, receiving(rt.near, &got));
        settle(rt);
        if (step == 2) send_descriptors(rt.far, "x", {pipe.near});
        if (step == 2) CHECK(wait_for(rt.fd(rt.near), POLLIN));
        receive.cancel(); // in step 2 with an event that the loop has not seen
        if (step == 3) CHECK(receive.result == 1);
        CHECK(rt.drain());
        if (step == 2) send_descriptors(rt.far, "y", {pipe.far});
    }
    Fd first{Descriptor(got)};
    CHECK(is_same_file(first, pipe.near));
    rt.take_end_of(rt.near, pipe.far);
    first.reset();
    CHECK(fd_count() == before);
}

TEST_CASE("closing_a_handle_closes_the_descriptors_on_their_way_to_it") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    int before = fd_count();
    intptr_t got = 55;
    for (int i = 0; i < 10; i++) CHECK(rt.send(rt.one, pipe.far) == 1);
    pipe.far.reset(); // the pipe's writing ends are all on their way
    CHECK_FALSE(wait_for(pipe.near, POLLIN, 0));
    Await other(rt, reading(rt.one, &got, 1)); // a task waits on the other end
    settle(rt);
    CHECK(zyntax_io_close(rt.other) == 0);
    CHECK(wait_for(pipe.near, POLLHUP)); // they are closed
    CHECK(fd_count() == before - 2);
    CHECK(rt.drive_until([&] { return !other.alive(); }));
}

TEST_CASE("a_runtime_that_ends_closes_the_descriptors_on_their_way") {
    NEEDS_UNIX_SOCKETS
    int before = fd_count();
    Pair pipe = pipe_to_runtime();
    {
        Passing rt;
        rt.begin();
        CHECK(rt.send(rt.one, pipe.far) == 1);
        pipe.far.reset();
        intptr_t got = 55;
        Await receive(rt, receiving(rt.near, &got));
        settle(rt);
        CHECK(receive.alive());
        rt.destroy();
        CHECK(receive.result == unfinished);
        receive.task.handle = nullptr;
    }
    CHECK(wait_for(pipe.near, POLLHUP));
    pipe.near.reset();
    CHECK(fd_count() == before);
}

TEST_CASE("closing_a_handle_ends_those_that_wait_to_pass_descriptors") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    intptr_t got = 55;
    fill(rt.fd(rt.near));
    Await send(rt, sending(rt.near, pipe.near)), receive(rt, receiving(rt.near, &got));
    settle(rt);
    CHECK((send.alive() && receive.alive()));
    zyntax_io_close(rt.near);
    CHECK(rt.drain());
    CHECK(send.result == ZYNTAX_ECANCELED);
    CHECK(receive.result == ZYNTAX_ECANCELED);
    CHECK(rt.send(rt.near, pipe.near) == ZYNTAX_ESTALE);
    CHECK(rt.receive(rt.near, &got) == ZYNTAX_ESTALE);
    CHECK(rt.send(nullptr, pipe.near) == ZYNTAX_ESTALE);
    CHECK(got == 55);
}

TEST_CASE("a_descriptor_that_was_closed_elsewhere_is_ebadf") {
    NEEDS_PASSING;
    SKIP_WHEN(on_libkqueue, "libkqueue keeps what was closed");
    intptr_t got = 55;
    Descriptor number = rt.fd(rt.near);
    close_descriptor(number);
    CHECK(rt.send(rt.near, 0) == ZYNTAX_EBADF);
    CHECK(rt.receive(rt.near, &got) == ZYNTAX_EBADF);
    zyntax_io_close(rt.near);
}

TEST_CASE("null_arguments_of_passing_are_einval") {
    UnixRuntime rt;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r[6] = {1, 1, 1, 1, 1, 1};
        intptr_t fd = 55;
        CHECK(zyntax_unix_recv_fd(nullptr, op, nullptr, waker, &r[0]) == POLL_READY);
        CHECK(zyntax_unix_recv_fd(nullptr, nullptr, &fd, waker, &r[1]) == POLL_READY);
        CHECK(zyntax_unix_recv_fd(nullptr, op, &fd, nullptr, &r[2]) == POLL_READY);
        CHECK(zyntax_unix_recv_fd(nullptr, nullptr, nullptr, nullptr, &r[3]) == POLL_READY);
        CHECK(zyntax_unix_send_fd(nullptr, nullptr, 0, waker, &r[4]) == POLL_READY);
        CHECK(zyntax_unix_send_fd(nullptr, op, 0, nullptr, &r[5]) == POLL_READY);
        for (int64_t code : r) CHECK(code == ZYNTAX_EINVAL);
        CHECK(zyntax_unix_recv_fd(nullptr, op, &fd, waker, nullptr) == POLL_READY);
        CHECK(zyntax_unix_send_fd(nullptr, op, 0, waker, nullptr) == POLL_READY);
        CHECK(zyntax_unix_send_fd(nullptr, op, 0, waker, &r[0]) == POLL_READY);
        CHECK(r[0] == ZYNTAX_ESTALE);
        CHECK(fd == 55);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
}

TEST_CASE("without_memory_to_wait_passing_is_enomem") {
    NEEDS_UNIX_SOCKETS
    Heap heap;
    {
        Passing rt(heap.config());
        rt.begin();
        fill(rt.fd(rt.near));
        std::vector<zyntax_op> ops(600);
        int failed = 0;
        ScopedTask task(rt);
        task.on_poll = [&](Waker *waker) {
            intptr_t got = 55;
            heap.fail_at = 1;
            heap.persistent = true;
            for (size_t i = 0; i < ops.size(); i++) {
                int64_t result = unset;
                PollStatus status = i % 2 ? zyntax_unix_send_fd(rt.near, &ops[i], rt.far, waker, &result)
                                          : zyntax_unix_recv_fd(rt.near, &ops[i], &got, waker, &result);
                failed += status == POLL_READY;
                if (status == POLL_READY) CHECK(result == ZYNTAX_ENOMEM);
            }
            heap.fail_at = 0;
            for (zyntax_op &op : ops) zyntax_op_cancel(&op);
            return POLL_READY;
        };
        task.start();
        CHECK(rt.drain());
        CHECK(failed > 0);
    }
    CHECK(heap.balanced());
}

TEST_CASE("a_deadline_ends_the_wait_for_a_descriptor_and_for_room") {
    NEEDS_PASSING;
    Pair pipe = pipe_to_runtime();
    intptr_t got = 55;
    std::string filled(fill(rt.fd(rt.near)), 'f');
    constexpr uint32_t both = ZYNTAX_READABLE | ZYNTAX_WRITABLE;
    CHECK(zyntax_io_deadline(rt.near, both, zyntax_now_ns(rt) + 20 * ms) == 0);
    Await send(rt, sending(rt.near, pipe.near)), receive(rt, receiving(rt.near, &got));
    CHECK(rt.drive_until([&] { return !send.alive() && !receive.alive(); }));
    CHECK(send.result == ZYNTAX_ETIMEDOUT);
    CHECK(receive.result == ZYNTAX_ETIMEDOUT);
    CHECK(got == 55);
    CHECK(rt.send(rt.near, pipe.near) == ZYNTAX_ETIMEDOUT);
    CHECK(take(rt.far) == filled);
    send_descriptors(rt.far, "x", {pipe.near});
    CHECK(zyntax_io_deadline(rt.near, both, UINT64_MAX) == 0);
    rt.take_end_of(rt.near, pipe.near);
    CHECK(rt.send(rt.near, pipe.near) == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("unix_sockets_keep_errno") {
    NEEDS_PASSING;
    Folder folder;
    std::string path = folder.file("socket");
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
    intptr_t got = -1;
    CHECK(kept([&] { return rt.listen(folder.path); }) == ZYNTAX_EADDRINUSE);
    CHECK(awaited(unix_connecting(rt, path, &rt.out)) == ZYNTAX_ENOENT);
    CHECK(kept([&] { return rt.listen(path); }) == 0);
    CHECK(awaited(unix_connecting(rt, path, &rt.out)) == 0);
    CHECK(kept([&] { return zyntax_unix_pair(rt, &rt.one, &rt.other); }) == 0);
    CHECK(awaited(sending(rt.one, -1)) == ZYNTAX_EBADF);
    CHECK(awaited(sending(rt.one, rt.far)) == 1);
    CHECK(awaited(receiving(rt.other, &got)) == 1);
    close_descriptor(Descriptor(got));
    Await waiting(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return kept([&] { return zyntax_unix_recv_fd(rt.other, op, &got, waker, result); });
    });
    settle(rt);
    CHECK(waiting.alive());
}

TEST_CASE("a_thousand_descriptors_pass_and_none_stays_open") {
    NEEDS_PASSING;
    constexpr int count = scaled(1000);
    Pair pipe = pipe_to_runtime();
    int before = fd_count(), sent = 0, received = 0;
    Await sender(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        for (; sent < count; sent++) {
            if (zyntax_unix_send_fd(rt.one, op, pipe.near, waker, result) == POLL_PENDING) return POLL_PENDING;
            REQUIRE(*result == 1);
        }
        return POLL_READY;
    });
    Await receiver(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        for (; received < count; received++) {
            intptr_t got;
            if (zyntax_unix_recv_fd(rt.other, op, &got, waker, result) == POLL_PENDING) return POLL_PENDING;
            REQUIRE(*result == 1);
            close_descriptor(Descriptor(got));
        }
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(received == count);
    CHECK(fd_count() == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("where_descriptors_cannot_be_passed_the_library_says_so") {
    SKIP_WHEN(has_local_sockets || !has_sockets, "this system passes descriptors, or has no sockets");
    UnixRuntime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    intptr_t got = 55;
    CHECK(await(rt, sending(io, pair.far)) == ZYNTAX_ENOSYS);
    CHECK(await(rt, receiving(io, &got)) == ZYNTAX_ENOSYS);
    CHECK(got == 55);
}
