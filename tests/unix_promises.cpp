// The promises of Unix-domain sockets: the values for compiled code, and the fate of values that it never takes.
#include "compiled_support.h"
#include "unix_support.h"

using namespace support;

namespace {

zyntax_io *to_io(int64_t value) { return reinterpret_cast<zyntax_io *>(static_cast<uintptr_t>(value)); }

Maker unix_connecting_to(const std::string &path) {
    return [path] { return zyntax_promise_unix_connect(path.data(), path.size()); };
}

} // namespace

TEST_CASE("a_unix_connect_gives_a_handle_and_copies_its_path") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket"), passed = path;
    zyntax_io *listener = rt.listener(path);
    zyntax_promise *made = nullptr;
    Compiled code({[&] {
                       made = zyntax_promise_unix_connect(passed.data(), passed.size());
                       passed.assign(passed.size(), '?');
                       return zyntax_promise_yield();
                   },
                   [&] { return made; }});
    CHECK(run(rt, code) > 0);
    rt.talk(to_io(code.result), rt.accept(listener));
}

TEST_CASE("a_unix_connect_to_a_full_queue_waits_with_a_copy") {
    NEEDS_UNIX_SOCKETS
    SKIP_WHEN(!full_queues_wait, "here a full queue refuses");
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket"), passed = path;
    Fd listener = plain_unix_listener(path, 0);
    std::vector<Fd> queued(1);
    while (connect_plainly(path, &queued.back())) queued.emplace_back();
    Compiled code({[&] {
        zyntax_promise *made = zyntax_promise_unix_connect(passed.data(), passed.size());
        passed.assign(passed.size(), '?');
        return made;
    }});
    code.spawn(rt);
    settle(rt);
    CHECK(code.alive());
    while (wait_for(listener, POLLIN, 0)) Fd accepted(accept_from(listener));
    CHECK(rt.drive_until([&] { return !code.alive(); }));
    CHECK(code.result > 0);
}

TEST_CASE("descriptors_pass_through_promises") {
    NEEDS_UNIX_SOCKETS
    UnixRuntime rt;
    auto ends = rt.pair();
    Pair pipe = pipe_to_runtime();
    Maker receive = [&] { return zyntax_promise_unix_recv_fd(ends.second); };
    Compiled sender({[&] { return zyntax_promise_unix_send_fd(ends.first, pipe.near); },
                     [&] { return zyntax_promise_write(ends.first, "x", 1); }});
    Compiled receiver({receive, receive, receive});
    receiver.spawn(rt);
    settle(rt);
    CHECK(receiver.state_id == 0);
    CHECK(run(rt, sender) == 1);
    CHECK(sender.values == std::vector<int64_t>{1, 1});
    CHECK(zyntax_io_close(ends.first) == 0);
    CHECK(rt.drive_until([&] { return !receiver.alive(); }));
    Fd got{Descriptor(receiver.values[0] - 1)};
    CHECK(is_same_file(got, pipe.near));
    CHECK(receiver.values[1] == ZYNTAX_EPROTO);
    CHECK(receiver.values[2] == ZYNTAX_EOF);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_descriptor_0_is_the_value_1") {
    NEEDS_UNIX_SOCKETS
    SKIP_WHEN(!has_fork || on_libkqueue, "this system has no fork, or libkqueue's thread is lost by it");
    Child child([] {
        UnixRuntime rt;
        auto ends = rt.pair();
        Pair pipe = pipe_to_runtime();
        Compiled sender({[&] { return zyntax_promise_unix_send_fd(ends.first, pipe.near); }});
        Compiled receiver({[&] { return zyntax_promise_unix_recv_fd(ends.second); }});
        close_descriptor(0);
        if (run(rt, sender) != 1) return 1;
        return run(rt, receiver) == 1 && is_open(0) ? 0 : 2;
    });
    CHECK(child.end() == 0);
}

TEST_CASE("errors_of_unix_promises_are_their_values") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    auto ends = rt.pair();
    std::string missing = folder.file("missing");
    Compiled code({unix_connecting_to(missing), unix_connecting_to(std::string()),
                   [] { return zyntax_promise_unix_connect(nullptr, 1); },
                   [&] { return zyntax_promise_unix_send_fd(ends.first, -1); },
                   [&] { return zyntax_promise_unix_send_fd(nullptr, 0); },
                   [&] { return zyntax_promise_unix_recv_fd(nullptr); }});
    run(rt, code);
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_ENOENT, ZYNTAX_EINVAL, ZYNTAX_EINVAL, ZYNTAX_EBADF, ZYNTAX_ESTALE,
                                              ZYNTAX_ESTALE});
    for (zyntax_promise *outside : {zyntax_promise_unix_connect("a", 1), zyntax_promise_unix_send_fd(ends.first, 0),
                                    zyntax_promise_unix_recv_fd(ends.first)})
        CHECK(outside->poll(outside->state) == ZYNTAX_EPERM);
    CHECK(rt.stats().io_open == 2);
}

TEST_CASE("a_descriptor_and_a_connection_that_nobody_takes_are_closed") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    auto ends = rt.pair();
    Pair pipe = pipe_to_runtime();
    std::string path = folder.file("socket");
    Fd listener = plain_unix_listener(path, 10);
    int before = fd_count();
    CHECK(await(rt, sending(ends.first, pipe.near)) == 1);
    // A select finds one ready and does not take its value.
    auto select = [](zyntax_promise *one) { return zyntax_promise_select(&one, 1); };
    Compiled code({[&] { return select(zyntax_promise_unix_recv_fd(ends.second)); },
                   [&] { return select(zyntax_promise_unix_connect(path.data(), path.size())); }});
    CHECK(run(rt, code) == 1);
    CHECK(rt.drive_until([&] { return fd_count() == before; }));
    CHECK(rt.stats().io_open == 2);
    intptr_t got = 55;
    Await waits(rt, receiving(ends.second, &got)); // the descriptor was received once
    settle(rt);
    CHECK(waits.alive());
}

TEST_CASE("unix_promises_that_wait_can_be_cancelled") {
    NEEDS_UNIX_SOCKETS
    UnixRuntime rt;
    auto ends = rt.pair();
    Pair pipe = pipe_to_runtime();
    int before = fd_count();
    Compiled code({[&] { return zyntax_promise_timeout(zyntax_promise_unix_recv_fd(ends.second), 1 * ms); },
                   [&] {
                       zyntax_promise *receive = zyntax_promise_unix_recv_fd(ends.second);
                       CHECK(zyntax_promise_cancel(receive) == 0);
                       return receive;
                   }});
    run(rt, code);
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_ETIMEDOUT, ZYNTAX_ECANCELED});
    CHECK(await(rt, sending(ends.first, pipe.near)) == 1);
    intptr_t got = -1;
    CHECK(await(rt, receiving(ends.second, &got)) == 1);
    close_descriptor(Descriptor(got));
    CHECK(fd_count() == before);
}
