// Interrupts of the await points of datagrams, Unix-domain sockets and files.
#include "file_support.h"
#include "interrupt_support.h"
#include "udp_support.h"
#include "unix_support.h"

using namespace support;

namespace {

struct UdpWorld {
    Runtime rt;
    zyntax_io *near = open_udp(rt), *far = open_udp(rt);
    zyntax_address target = udp_address(near);
    char buf[8] = {};

    Wait udp_recv() {
        return {"udp_recv", receiving(near, buf, sizeof buf),
                [this] {
                    CHECK(await(rt, sending(far, "four", 4, &target)) == 4);
                    arrives(near);
                },
                4, false};
    }
};

struct UnixWorld {
    UnixRuntime rt;
    std::pair<zyntax_io *, zyntax_io *> ends = rt.pair(), full = rt.pair();
    intptr_t received = -1;

    UnixWorld() { fill(rt.fd(full.first)); }
    ~UnixWorld() { forget(); }
    void forget() {
        if (received >= 0) Fd closing{Descriptor(received)};
        received = -1;
    }
    Wait recv_fd() {
        auto send = [this] {
            forget();
            CHECK(await(rt, sending(ends.second, intptr_t(rt.fd(full.second)))) == 1);
        };
        return {"unix_recv_fd", receiving(ends.first, &received), send, 1, false};
    }
    Wait send_fd() {
        return {"unix_send_fd", sending(full.first, intptr_t(rt.fd(ends.second))), [this] { take(rt.fd(full.second)); },
                1};
    }
};

struct FullUnixQueue {
    UnixRuntime rt;
    Folder folder;
    std::string path = folder.file("socket");
    Fd listener = plain_unix_listener(path, 0);
    std::vector<Fd> queued;

    FullUnixQueue() {
        for (int tries = 0; tries < 10; tries++) {
            Fd client;
            if (!connect_plainly(path, &client)) return;
            queued.push_back(std::move(client));
        }
        FAIL("the queue of a listener does not fill up");
    }
    Wait unix_connect() {
        auto drain = [this] {
            while (wait_for(listener, POLLIN, 0)) Fd accepted(accept_from(listener));
        };
        return {"unix_connect", unix_connecting(rt, path, &rt.out), drain, 0, false};
    }
};

// A file of a runtime whose one thread is busy until the gate opens.
struct FileWorld {
    Occupied rt;
    FileFolder folder;
    std::string path = folder.path("file");
    zyntax_file *file = nullptr, *made = nullptr;
    char buf[4] = {};

    FileWorld() {
        store(path, "text");
        rt.held.gate.open();
        file = opened(rt, path, both_ways);
        rt.occupier.reset();
        busy = std::make_unique<Held>();
        occupier = std::make_unique<Await>(rt, blocking(rt, Held::job, busy.get(), 0));
        REQUIRE(rt.drive_until([&] { return busy->begun == 1; }));
    }
    ~FileWorld() { free_thread(); }
    void free_thread() {
        busy->gate.open();
        CHECK(rt.drive_until([&] { return !occupier->alive(); }));
    }
    std::unique_ptr<Held> busy;
    std::unique_ptr<Await> occupier;

    Wait with_thread(const char *name, Operation operation, int64_t result) {
        return {name, std::move(operation), [this] { busy->gate.open(); }, result, false};
    }
    Wait file_open() { return with_thread("file_open", opening(rt, path, ZYNTAX_FILE_READ, &made), 0); }
    Wait file_read() { return with_thread("file_read", reading(file, buf, sizeof buf, here), 4); }
    Wait file_read_at() { return with_thread("file_read", reading(file, buf, sizeof buf, 2), 2); }
    Wait file_write() { return with_thread("file_write", writing(file, "more", 4), 4); }
    Wait file_sync() { return with_thread("file_sync", syncing(file), 0); }
    Wait file_size() { return with_thread("file_size", sizing(file), 4); }
};

} // namespace

TEST_CASE("an_interrupted_receive_of_datagrams_loses_none") {
    SKIP_WHEN(!has_sockets, "this system has no sockets");
    check_interrupts(&UdpWorld::udp_recv);
}

TEST_CASE("interrupted_calls_that_pass_descriptors_lose_none") {
    NEEDS_UNIX_SOCKETS
    check_interrupts(&UnixWorld::recv_fd);
    check_interrupts(&UnixWorld::send_fd);
}

TEST_CASE("an_interrupted_connect_to_a_full_queue_gives_its_socket_up") {
    NEEDS_UNIX_SOCKETS
    SKIP_WHEN(!full_queues_wait, "here a full queue refuses");
    check_interrupts(&FullUnixQueue::unix_connect);
    FullUnixQueue world;
    uint64_t before = world.rt.stats().bytes_in_use;
    check_many_interrupts(world.rt, {"unix_connect", world.unix_connect().operation});
    CHECK(world.rt.stats().bytes_in_use == before);
    CHECK(world.rt.stats().io_open == 0);
    CHECK(world.rt.stats().timers_pending == 0);
}

TEST_CASE("an_interrupt_ends_each_call_of_files_and_loses_nothing") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    for (auto wait : {&FileWorld::file_open, &FileWorld::file_read, &FileWorld::file_read_at, &FileWorld::file_write,
                      &FileWorld::file_sync, &FileWorld::file_size})
        check_interrupts(wait);
}

TEST_CASE("a_write_of_a_task_that_was_interrupted_before_does_not_happen") {
    SKIP_WHEN(!has_threads, "this system has no threads");
    FileWorld world;
    Interruptible waiting(world.rt, world.file_write());
    waiting.interrupt();
    settle(world.rt);
    waiting.check_interrupted();
    CHECK(waiting.await.result == ZYNTAX_EINTR);
    world.free_thread();
    CHECK(await(world.rt, syncing(world.file)) == 0);
    CHECK(contents(world.path) == "text");
}

TEST_CASE("an_interrupted_read_of_a_pipe_by_a_file_keeps_the_bytes") {
    SKIP_WHEN(!has_threads || !has_pipes || on_windows, "this system has no pipes that files read");
    Runtime rt;
    Pair pair = pipe_to_runtime();
    zyntax_file *file = nullptr;
    REQUIRE(zyntax_file_from(rt, pair.near.release(), &file) == 0);
    char buf[8] = {};
    Wait wait{"file_read", reading(file, buf, sizeof buf, here), [&] { put(pair.far, "pipe"); }, 4};
    check_interrupt_while_it_waits(rt, wait);
    check_interrupt_before_it_begins(rt, wait);
}

TEST_CASE("promises_of_datagrams_descriptors_and_files_have_the_value_eintr_after_an_interrupt") {
    if (has_sockets) {
        UdpWorld world;
        check_interrupted_promise(world.rt, [&] { return zyntax_promise_udp_recv(world.near, world.buf, 8, nullptr); });
    }
    if (has_local_sockets) {
        UnixWorld world;
        check_interrupted_promise(world.rt, [&] { return zyntax_promise_unix_recv_fd(world.ends.first); });
        check_interrupted_promise(
            world.rt, [&] { return zyntax_promise_unix_send_fd(world.full.first, world.rt.fd(world.ends.second)); });
    }
    if (has_local_sockets && full_queues_wait) {
        FullUnixQueue world;
        check_interrupted_promise(world.rt,
                                  [&] { return zyntax_promise_unix_connect(world.path.data(), world.path.size()); });
    }
    if (has_threads) {
        FileWorld world;
        check_interrupted_promise(world.rt,
                                  [&] { return zyntax_promise_file_open(world.path.c_str(), ZYNTAX_FILE_READ); });
        check_interrupted_promise(world.rt, [&] { return zyntax_promise_file_read(world.file, world.buf, 4, here); });
        check_interrupted_promise(world.rt, [&] { return zyntax_promise_file_write(world.file, "more", 4, 0); });
        check_interrupted_promise(world.rt, [&] { return zyntax_promise_file_sync(world.file); });
        check_interrupted_promise(world.rt, [&] { return zyntax_promise_file_size(world.file); });
    }
}
