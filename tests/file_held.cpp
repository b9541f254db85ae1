// Operations that run in a thread while their caller is cancelled, or their file is closed or detached, or their
// runtime is destroyed. An executable of its own, because its system calls on files wait for a permit of the test.
#include "file_support.h"

#include <sys/syscall.h>
#include <unistd.h>

using namespace support;

namespace {

// Holds the calls on files back that are made in other threads.
struct Door {
    std::atomic<bool> closed{false};
    std::atomic<int> at_it{0}, through{0};
    void pass() {
        if (!closed) return;
        at_it++;
        auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
        while (closed && std::chrono::steady_clock::now() < end) sleep_for(std::chrono::microseconds(100));
        through++;
    }
} door;

std::atomic<Descriptor> held{-1}; // calls on this descriptor are held back

void hold(Descriptor fd) {
    if (fd == held) door.pass();
}

} // namespace

extern "C" {
ssize_t read(int fd, void *bytes, size_t size) {
    hold(fd);
    return syscall(SYS_read, fd, bytes, size);
}
ssize_t write(int fd, const void *bytes, size_t size) {
    hold(fd);
    return syscall(SYS_write, fd, bytes, size);
}
int fsync(int fd) {
    hold(fd);
    return int(syscall(SYS_fsync, fd));
}
}

namespace {

// A file with ten digits whose calls are held back while the door is closed.
struct Scene {
    FileFolder folder;
    std::string path = folder.path("a");
    Heap heap;
    Runtime rt{heap.config()};
    Descriptor fd;
    zyntax_file *file = nullptr;

    Scene() {
        store(path, "0123456789");
        fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
        REQUIRE(fd >= 0);
        REQUIRE(zyntax_file_from(rt, fd, &file) == 0);
        held = fd;
        door.closed = true;
        door.at_it = door.through = 0;
    }
    ~Scene() {
        door.closed = false;
        if (rt.rt) rt.destroy();
        held = -1;
        CHECK(heap.balanced());
    }
    void wait_at_door() {
        CHECK(rt.drive_until([] { return door.at_it == 1; }));
    }
    void let_go() {
        door.closed = false;
        CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    }
};

} // namespace

TEST_CASE("a_cancelled_read_that_runs_touches_no_memory_of_the_callers_and_loses_no_byte") {
    Scene s;
    auto buf = std::make_unique<char[]>(4);
    {
        Await reader(s.rt, reading(s.file, buf.get(), 4, here));
        s.wait_at_door();
        reader.cancel();
        settle(s.rt);
        CHECK_FALSE(reader.alive());
    }
    buf.reset(); // a write to it is an error that the sanitizers see
    CHECK(s.rt.stats().blocking_pending == 1);
    s.let_go();
    CHECK(door.through == 1);
    CHECK(text_at(s.rt, s.file, 3) == "012");
    CHECK(s.rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_read_behind_a_cancelled_one_gets_the_bytes_that_this_one_has_read") {
    Scene s;
    char buf[4], next[4] = {};
    Await reader(s.rt, reading(s.file, buf, 4, here)), second(s.rt, reading(s.file, next, 3, here));
    s.wait_at_door();
    CHECK(s.rt.stats().blocking_pending == 1); // the second waits for its turn
    reader.cancel();
    settle(s.rt);
    CHECK(second.alive());
    s.let_go();
    CHECK(s.rt.drain());
    CHECK(second.result == 3);
    CHECK(std::string(next) == "012");
}

TEST_CASE("a_cancelled_write_that_runs_happens_and_the_next_one_follows_it") {
    Scene s;
    {
        Await writer(s.rt, writing(s.file, "abc", here));
        s.wait_at_door();
        writer.cancel();
        settle(s.rt);
    }
    Await next(s.rt, writing(s.file, "de", here)), dropped(s.rt, writing(s.file, "???", here)),
        last(s.rt, writing(s.file, "f", here));
    settle(s.rt);
    dropped.cancel(); // has not begun, and never does
    settle(s.rt);
    s.let_go();
    CHECK(s.rt.drain());
    CHECK(next.result == 2);
    CHECK(last.result == 1);
    CHECK(contents(s.path) == "abcdef6789");
}

TEST_CASE("a_file_closed_while_an_operation_runs_keeps_its_descriptor_until_that_has_ended") {
    Scene s;
    char buf[4], other[4];
    Await reader(s.rt, reading(s.file, buf, 4, here)), behind(s.rt, reading(s.file, other, 4, here));
    s.wait_at_door();
    CHECK(zyntax_file_close(s.file) == 0);
    CHECK(zyntax_file_close(s.file) == ZYNTAX_ESTALE);
    CHECK(s.rt.drain());
    CHECK(reader.result == ZYNTAX_ECANCELED);
    CHECK(behind.result == ZYNTAX_ECANCELED);
    CHECK(is_open(s.fd));
    s.let_go();
    CHECK_FALSE(is_open(s.fd));
    CHECK(s.rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_file_is_not_given_back_while_an_operation_runs") {
    Scene s;
    intptr_t fd = -1;
    {
        Await sync(s.rt, syncing(s.file));
        s.wait_at_door();
        CHECK(zyntax_file_detach(s.file, &fd) == ZYNTAX_EBUSY);
        sync.cancel();
        settle(s.rt);
    }
    CHECK(zyntax_file_detach(s.file, &fd) == ZYNTAX_EBUSY);
    CHECK(fd == -1);
    s.let_go();
    CHECK(zyntax_file_detach(s.file, &fd) == 0);
    CHECK(fd == s.fd);
    close_descriptor(Descriptor(fd));
}

TEST_CASE("destroy_waits_for_an_operation_that_runs_and_closes_the_descriptor") {
    Scene s;
    char buf[4];
    auto reader = std::make_unique<Await>(s.rt, reading(s.file, buf, 4, here));
    s.wait_at_door();
    Thread opener([] {
        sleep_for(std::chrono::milliseconds(20));
        door.closed = false;
    });
    s.rt.destroy();
    CHECK(door.through == 1);
    CHECK_FALSE(is_open(s.fd));
    CHECK(reader->result == unfinished);
    opener.join();
    reader.reset();
}

TEST_CASE("an_operation_of_a_file_is_known_as_blocking_in_the_dump") {
    Scene s;
    char buf[4];
    Await reader(s.rt, reading(s.file, buf, 4, here));
    s.wait_at_door();
    zyntax_wait waits = ZYNTAX_WAIT_UNKNOWN;
    zyntax_runtime_dump(
        s.rt, [](void *user, const zyntax_task_info *info) { *static_cast<zyntax_wait *>(user) = info->waits; },
        &waits);
    CHECK(waits == ZYNTAX_WAIT_BLOCKING);
    door.closed = false;
    CHECK(s.rt.drain());
}
