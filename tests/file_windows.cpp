// Files from handles of Windows: pipes and consoles have no position, and threads read them.
#include "file_support.h"

#include <windows.h>

using namespace support;

namespace {

// A pipe of the system: the runtime has the reading end.
struct SystemPipe {
    HANDLE reading = nullptr, writing = nullptr;
    zyntax_file *file = nullptr;
    explicit SystemPipe(zyntax_runtime *rt) {
        REQUIRE(CreatePipe(&reading, &writing, nullptr, 0));
        REQUIRE(zyntax_file_from(rt, intptr_t(reading), &file) == 0);
    }
    ~SystemPipe() { close(); }
    void close() {
        if (writing) CloseHandle(writing);
        writing = nullptr;
    }
    void put(const std::string &text) const {
        DWORD n = 0;
        REQUIRE(WriteFile(writing, text.data(), DWORD(text.size()), &n, nullptr));
    }
};

} // namespace

TEST_CASE("a_pipe_is_read_until_its_end_and_takes_no_offset") {
    Runtime rt;
    SystemPipe pipe(rt);
    char buf[8] = {};
    CHECK(await(rt, reading(pipe.file, buf, 1, 0)) == ZYNTAX_ESPIPE);
    CHECK(await(rt, sizing(pipe.file)) == 0);
    CHECK(await(rt, syncing(pipe.file)) == 0);
    Await reader(rt, reading(pipe.file, buf, sizeof buf, here));
    settle(rt);
    CHECK(reader.alive());
    pipe.put("abc");
    CHECK(rt.drain());
    CHECK(reader.result == 3);
    CHECK(std::string(buf) == "abc");
    pipe.close();
    CHECK(await(rt, reading(pipe.file, buf, sizeof buf, here)) == 0);
    CHECK(zyntax_file_close(pipe.file) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_read_of_a_pipe_that_is_cancelled_or_not_taken_keeps_its_bytes_for_the_next") {
    Runtime rt;
    SystemPipe pipe(rt);
    char buf[8];
    {
        Await reader(rt, reading(pipe.file, buf, sizeof buf, here));
        settle(rt);
    } // cancelled while it waits
    pipe.put("0123456789");
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        int64_t n;
        if (task.polls == 1) zyntax_file_read(pipe.file, &task.op, buf, 8, here, waker, &n);
        return POLL_PENDING; // which never takes it
    };
    task.start();
    CHECK(rt.drive_until([&] { return task.polls > 1; }));
    CHECK(text_at(rt, pipe.file, 3) == "012");
    char next[4] = {}, last[4] = {};
    Await one(rt, reading(pipe.file, next, 3, here)), other(rt, reading(pipe.file, last, 3, here));
    CHECK(rt.drive_until([&] { return !one.alive() && !other.alive(); }));
    CHECK(std::string(next) == "345");
    std::string rest = std::string(last, size_t(other.result)) + text_at(rt, pipe.file, 8);
    if (rest.size() < 4) rest += text_at(rt, pipe.file, 8);
    CHECK(rest == "6789");
}

TEST_CASE("destroy_does_not_wait_for_a_pipe_that_has_nothing_to_read") {
    auto begin = std::chrono::steady_clock::now();
    {
        Runtime rt;
        SystemPipe pipe(rt);
        char byte;
        auto reader = std::make_unique<Await>(rt, reading(pipe.file, &byte, 1, here));
        CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 1; }));
        rt.destroy();
        reader.reset();
    }
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(deadline_ms / 2));
}

TEST_CASE("a_write_to_a_pipe_that_nobody_reads_is_epipe") {
    Runtime rt;
    HANDLE reading_end, writing_end;
    REQUIRE(CreatePipe(&reading_end, &writing_end, nullptr, 0));
    zyntax_file *file = nullptr;
    REQUIRE(zyntax_file_from(rt, intptr_t(writing_end), &file) == 0);
    CHECK(await(rt, writing(file, "abc", here)) == 3);
    CloseHandle(reading_end);
    CHECK(await(rt, writing(file, "abc", here)) == ZYNTAX_EPIPE);
}

TEST_CASE("a_socket_waits_by_readiness_and_a_directory_or_a_bad_handle_is_refused") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_file *file = nullptr;
    REQUIRE(zyntax_file_from(rt, pair.near, &file) == 0);
    pair.near.release();
    put(pair.far, "abc");
    CHECK(text_at(rt, file, 8) == "abc");
    CHECK(rt.stats().io_open == 1);
    CHECK(text_at(rt, file, 8, 0) == "ESPIPE");
    File directory(File::directory);
    CHECK(zyntax_file_from(rt, directory.fd, &file) == ZYNTAX_EISDIR);
    CHECK(zyntax_file_from(rt, 0x7770, &file) == ZYNTAX_EBADF);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_handle_for_overlapped_calls_works_at_offsets") {
    Runtime rt;
    File made(File::regular_nonblocking);
    zyntax_file *file = nullptr;
    REQUIRE(zyntax_file_from(rt, made.release(), &file) == 0);
    CHECK(await(rt, writing(file, "abc", 0)) == 3);
    CHECK(text_at(rt, file, 2, 1) == "bc");
    CHECK(zyntax_file_close(file) == 0);
}
