// A descriptor that was closed behind the library: its number may name another file. The old handle touches neither
// that file nor the handle that has the number now.
#include "io_support.h"

using namespace support;

namespace {

// Nothing tells whether a number names the same file.
bool is_blind() {
    std::string backend = zyntax_runtime_backend();
    return backend != "epoll" && backend != "kqueue";
}
#define NEEDS_A_POLLER_THAT_KNOWS SKIP_WHEN(is_blind(), "this poller cannot tell")

// The near ends of two pairs had the same number, one after the other.
struct Replaced {
    Pair before = socket_pair(), after = socket_pair();
    zyntax_io *old = nullptr;
    Descriptor number = before.near;

    explicit Replaced(zyntax_runtime *rt) {
        old = adopt(rt, before.near);
        REQUIRE(duplicate_as(after.near, number));
        after.near.reset();
    }
    ~Replaced() {
        if (is_open(number)) close_descriptor(number);
    }
};

using EndOfHandle = std::function<void(Runtime &, zyntax_io *)>;
const EndOfHandle ends_of_handles[] = {
    [](Runtime &, zyntax_io *io) { CHECK(zyntax_io_close(io) == 0); },
    [](Runtime &, zyntax_io *io) {
        intptr_t fd = 77;
        CHECK(zyntax_io_detach(io, &fd) == ZYNTAX_EBADF);
        CHECK(fd == -1);
    },
};

} // namespace

TEST_CASE("the_end_of_a_handle_leaves_a_strangers_descriptor_open") {
    NEEDS_A_POLLER_THAT_KNOWS;
    for (const EndOfHandle &end : ends_of_handles) {
        Runtime rt;
        Replaced replaced(rt);
        end(rt, replaced.old);
        CHECK(is_open(replaced.number));
        CHECK(is_blocking(replaced.number));
        CHECK(zyntax_io_close(replaced.old) == ZYNTAX_ESTALE);
    }
    Runtime rt;
    Replaced replaced(rt);
    rt.destroy();
    CHECK(is_open(replaced.number));
}

TEST_CASE("the_end_of_a_handle_leaves_the_new_handle_of_its_number_alone") {
    NEEDS_A_POLLER_THAT_KNOWS;
    for (const EndOfHandle &end : ends_of_handles) {
        Runtime rt;
        Replaced replaced(rt);
        zyntax_io *fresh = nullptr;
        REQUIRE(zyntax_io_open(rt, replaced.number, &fresh) == 0);
        CHECK(zyntax_io_fd(replaced.old) == -1);
        Reader reader(rt, fresh, 2);
        settle(rt);
        end(rt, replaced.old);
        CHECK(is_open(replaced.number));
        put(replaced.after.far, "hi");
        CHECK(rt.drive_until([&] { return !reader.alive(); }));
        CHECK(reader.data == "hi");
        CHECK(zyntax_io_close(fresh) == 0);
        CHECK_FALSE(is_open(replaced.number));
        CHECK(rt.stats().io_open == 0);
    }
}

TEST_CASE("operations_of_a_handle_that_lost_its_descriptor_end_with_ebadf") {
    NEEDS_A_POLLER_THAT_KNOWS;
    Runtime rt;
    Replaced replaced(rt);
    char byte = 0;
    Await waiting(rt, reading(replaced.old, &byte, 1)), asking(rt, readiness(replaced.old, ZYNTAX_READABLE));
    settle(rt);
    zyntax_io *fresh = nullptr;
    REQUIRE(zyntax_io_open(rt, replaced.number, &fresh) == 0);
    CHECK(rt.drive_until([&] { return !waiting.alive() && !asking.alive(); }));
    CHECK(waiting.result == ZYNTAX_EBADF);
    CHECK(asking.result == ZYNTAX_EBADF);
    CHECK(await(rt, reading(replaced.old, &byte, 1)) == ZYNTAX_EBADF);
    CHECK(await(rt, writing(replaced.old, "x", 1)) == ZYNTAX_EBADF);
    CHECK(await(rt, readiness(replaced.old, ZYNTAX_WRITABLE)) == ZYNTAX_EBADF);
    CHECK(zyntax_tcp_port(replaced.old) < 0);
    CHECK(zyntax_tcp_shutdown(replaced.old) == ZYNTAX_EBADF);
    CHECK(take(replaced.after.far) == "");
}

TEST_CASE("an_accept_whose_descriptor_names_a_socket_that_does_not_listen_ends") {
    SKIP_WHEN(on_windows, "no call gives a socket the number of another one");
    Runtime rt;
    zyntax_io *listener = nullptr, *made = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    auto number = Descriptor(zyntax_io_fd(listener));
    REQUIRE(duplicate_as(Fd(socket(AF_INET, SOCK_DGRAM, 0)), number));
    Await accept(rt, accepting(listener, &made));
    CHECK(rt.drive_until([&] { return !accept.alive(); }));
    CHECK(accept.result < 0);
    CHECK(rt.idle_waits() <= idle_budget);
    zyntax_io_close(listener);
    if (is_open(number)) close_descriptor(number);
}

TEST_CASE("many_handles_that_lose_their_descriptors_leave_all_others_as_they_are") {
    NEEDS_A_POLLER_THAT_KNOWS;
    Runtime rt;
    std::deque<Replaced> all;
    std::deque<zyntax_io *> fresh, newest;
    for (int i = 0; i < 60; i++) all.emplace_back(rt);
    auto register_all = [&](std::deque<zyntax_io *> *handles) {
        for (Replaced &each : all) {
            zyntax_io *io = nullptr;
            REQUIRE(zyntax_io_open(rt, each.number, &io) == 0);
            handles->push_back(io);
        }
    };
    register_all(&fresh);
    std::deque<Pair> others(all.size());
    for (size_t i = 0; i < all.size(); i++) {
        others[i] = socket_pair();
        REQUIRE(duplicate_as(others[i].near, all[i].number));
        others[i].near.reset();
    }
    register_all(&newest);
    for (size_t i = 0; i < all.size(); i++) {
        CHECK(zyntax_io_close(fresh[i]) == 0);
        CHECK(is_open(all[i].number));
        CHECK(zyntax_io_fd(newest[i]) == all[i].number);
    }
}
