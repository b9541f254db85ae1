// An open file is shared with other processes, which may change its flags, and with other runtimes, which may end. The
// loop never blocks in a system call because of them.
#include "io_support.h"

using namespace support;

namespace {

#define SKIP_WITHOUT_SHARED_FILES SKIP_WHEN(on_windows || !has_pipes, "open files are not shared here")

std::vector<MakePair> all_to_runtime() {
    std::vector<MakePair> all = pairs_to_runtime();
    all.push_back(terminal);
    return all;
}
std::vector<MakePair> all_from_runtime() {
    std::vector<MakePair> all = pairs_from_runtime();
    all.push_back(terminal);
    return all;
}

Fd shared_listener() {
    Fd fd = plain_listener(16);
    make_blocking(fd);
    return fd;
}

} // namespace

TEST_CASE("a_read_waits_in_the_loop_when_another_process_has_cleared_the_flag") {
    SKIP_WITHOUT_SHARED_FILES;
    Runtime rt;
    for (MakePair make : all_to_runtime()) {
        Pair pair = make();
        Fd theirs{duplicate(pair.near)};
        zyntax_io *io = adopt(rt, pair.near);
        for (int round = 0; round < 3; round++) {
            make_blocking(theirs);
            Reader reader(rt, io, 3);
            settle(rt); // would never return if the call waited
            CHECK(reader.alive());
            CHECK(is_blocking(theirs)); // they keep their own setting
            put(pair.far, "hi\n");
            CHECK(rt.drive_until([&] { return !reader.alive(); }));
            CHECK(reader.data == "hi\n");
        }
        CHECK(rt.idle_waits() <= idle_budget);
        zyntax_io_close(io);
    }
}

TEST_CASE("a_write_waits_in_the_loop_when_another_process_has_cleared_the_flag") {
    SKIP_WITHOUT_SHARED_FILES;
    Runtime rt;
    for (MakePair make : all_from_runtime()) {
        Pair pair = make();
        Fd theirs{duplicate(pair.near)};
        zyntax_io *io = adopt(rt, pair.near);
        make_blocking(theirs);
        Writer writer(rt, io, std::string(64 * mib, 'w'));
        for (int round = 0; round < 3; round++) {
            settle(rt);
            CHECK(writer.alive());
            CHECK(writer.written > 0);
            CHECK(is_blocking(theirs));
            size_t before = writer.written;
            take(pair.far);
            CHECK(rt.drive_until([&] { return writer.written > before; }));
        }
        zyntax_task_cancel(writer.task.handle);
        settle(rt);
        CHECK(zyntax_io_close(io) == 0);
    }
}

TEST_CASE("a_flag_that_is_cleared_between_two_calls_is_noticed_by_the_second") {
    SKIP_WITHOUT_SHARED_FILES;
    Runtime rt;
    Pair pair = terminal();
    Fd theirs{duplicate(pair.near)};
    zyntax_io *io = adopt(rt, pair.near);
    Reader reader(rt, io, 6);
    settle(rt);
    for (const char *line : {"ab\n", "cd\n"}) {
        make_blocking(theirs);
        put(pair.far, line);
        settle(rt);
    }
    CHECK(rt.drive_until([&] { return !reader.alive(); }));
    CHECK(reader.data == "ab\ncd\n");
}

TEST_CASE("an_accept_waits_in_the_loop_when_another_process_has_cleared_the_flag") {
    SKIP_WITHOUT_SHARED_FILES;
    Runtime rt;
    Fd listener = shared_listener(), theirs{duplicate(listener)};
    uint16_t port = port_of(listener);
    zyntax_io *io = adopt(rt, listener);
    for (int round = 0; round < 3; round++) {
        make_blocking(theirs);
        zyntax_io *connection = nullptr;
        Await accept(rt, accepting(io, &connection));
        settle(rt);
        CHECK(accept.alive());
        Fd client = plain_client(port);
        CHECK(rt.drive_until([&] { return !accept.alive(); }));
        CHECK(accept.result == 0);
    }
}

TEST_CASE("a_listener_stays_as_others_need_it_when_a_runtime_that_shared_it_ends") {
    SKIP_WITHOUT_SHARED_FILES;
    Fd listener = shared_listener(), one{duplicate(listener)}, two{duplicate(listener)};
    uint16_t port = port_of(listener);
    auto first = std::make_unique<Runtime>();
    Runtime second;
    adopt(*first, one);
    zyntax_io *io = adopt(second, two), *connection = nullptr;
    first.reset();
    CHECK_FALSE(is_blocking(listener));
    Await accept(second, accepting(io, &connection));
    settle(second);
    Fd client = plain_client(port);
    CHECK(second.drive_until([&] { return !accept.alive(); }));
    CHECK(accept.result == 0);
    Await again(second, accepting(io, &connection));
    settle(second);
    CHECK(again.alive());
}

TEST_CASE("a_runtime_goes_on_without_waiting_when_another_makes_their_open_file_blocking_again") {
    SKIP_WITHOUT_SHARED_FILES;
    for (MakePair make : all_to_runtime()) {
        Pair pair = make();
        Fd copy{duplicate(pair.near)}, mine{duplicate(pair.near)};
        auto first = std::make_unique<Runtime>();
        Runtime second;
        adopt(*first, pair.near);
        zyntax_io *io = adopt(second, copy);
        Reader reader(second, io, 3);
        settle(second);
        first.reset();
        CHECK(is_blocking(mine));
        settle(second);
        CHECK(reader.alive());
        put(pair.far, "hi\n");
        CHECK(second.drive_until([&] { return !reader.alive(); }));
        CHECK(second.idle_waits() <= idle_budget);
    }
}
