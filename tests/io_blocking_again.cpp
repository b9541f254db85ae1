// A descriptor that was blocking before its registration is blocking again after its handle has ended, because other
// owners may use it. A non-blocking one stays so. Handles of one open file share the flag.
#include "io_support.h"

using namespace support;

namespace {

// Every call that hands a descriptor on, in both states, with a duplicate for the checks.
struct Given {
    Runtime &rt;
    Pair pair;
    Fd other{duplicate(pair.near)};
    Given(Runtime &runtime, MakePair make, bool blocking) : rt(runtime), pair(make()) {
        if (!blocking) make_nonblocking(pair.near);
    }
    zyntax_io *open() { return adopt(rt, pair.near); }
    bool is_blocking() const { return sys::is_blocking(other); }
};

std::vector<MakePair> all_pairs() {
    std::vector<MakePair> all = pairs_to_runtime();
    all.push_back(terminal);
    return all;
}

#define SKIP_WITHOUT_FLAGS SKIP_WHEN(on_windows, "Windows cannot report whether a socket blocks")

} // namespace

TEST_CASE("a_closed_descriptor_is_as_it_was_given") {
    SKIP_WITHOUT_FLAGS;
    Runtime rt;
    for (MakePair make : all_pairs()) {
        for (bool blocking : {true, false}) {
            Given given(rt, make, blocking);
            zyntax_io *io = given.open();
            CHECK_FALSE(given.is_blocking());
            CHECK(zyntax_io_close(io) == 0);
            CHECK(given.is_blocking() == blocking);
        }
    }
}

TEST_CASE("a_detached_descriptor_is_as_it_was_given") {
    SKIP_WITHOUT_FLAGS;
    Runtime rt;
    for (MakePair make : all_pairs()) {
        for (bool blocking : {true, false}) {
            Given given(rt, make, blocking);
            intptr_t fd = -1;
            CHECK(zyntax_io_detach(given.open(), &fd) == 0);
            Fd back{Descriptor(fd)};
            CHECK(is_blocking(back) == blocking);
        }
    }
}

TEST_CASE("a_descriptor_of_a_destroyed_runtime_is_as_it_was_given") {
    SKIP_WITHOUT_FLAGS;
    for (MakePair make : all_pairs()) {
        for (bool blocking : {true, false}) {
            Runtime rt;
            Given given(rt, make, blocking);
            given.open();
            rt.destroy();
            CHECK(given.is_blocking() == blocking);
        }
    }
}

TEST_CASE("a_descriptor_that_could_not_be_registered_is_as_it_was") {
    SKIP_WITHOUT_FLAGS;
    Runtime rt;
    Given given(rt, terminal, true);
    zyntax_io *io = given.open(), *second = nullptr;
    CHECK(zyntax_io_open(rt, zyntax_io_fd(io), &second) == ZYNTAX_EEXIST);
    CHECK_FALSE(given.is_blocking());
    CHECK(zyntax_io_close(io) == 0);
    CHECK(given.is_blocking());
}

TEST_CASE("sockets_of_the_library_are_not_made_blocking") {
    SKIP_WITHOUT_FLAGS;
    Runtime rt;
    Fd listener = plain_listener(1);
    zyntax_io *io = nullptr;
    REQUIRE(await(rt, connecting(rt, "127.0.0.1", port_of(listener), &io)) == 0);
    intptr_t fd = -1;
    CHECK(zyntax_io_detach(io, &fd) == 0);
    Fd back{Descriptor(fd)};
    CHECK_FALSE(is_blocking(back));
}

// Standard input and output are often one open file. Calls on the handles that are left do not wait (see io_shared).
TEST_CASE("an_open_file_of_several_handles_is_as_it_was_given_once_the_last_is_gone") {
    SKIP_WITHOUT_FLAGS;
    for (MakePair make : all_pairs()) {
        for (int gone_first = 0; gone_first < 3; gone_first++) {
            CAPTURE(gone_first);
            Runtime rt;
            Given given(rt, make, true);
            zyntax_io *handles[3];
            Fd duplicates[2] = {Fd(duplicate(given.other)), Fd(duplicate(given.other))};
            handles[0] = given.open();
            for (int i = 0; i < 2; i++) handles[i + 1] = adopt(rt, duplicates[i]);
            CHECK_FALSE(given.is_blocking());
            for (int i = 0; i < 3; i++) {
                zyntax_io *io = handles[(gone_first + i) % 3];
                if (i == 1) {
                    intptr_t fd = -1;
                    CHECK(zyntax_io_detach(io, &fd) == 0);
                    Fd back{Descriptor(fd)};
                } else {
                    CHECK(zyntax_io_close(io) == 0);
                }
            }
            CHECK(given.is_blocking());
        }
    }
}

TEST_CASE("a_listener_is_not_made_blocking") {
    SKIP_WITHOUT_FLAGS;
    Runtime rt;
    Fd listener = plain_listener(1), other{duplicate(listener)};
    make_blocking(listener);
    CHECK(zyntax_io_close(adopt(rt, listener)) == 0);
    CHECK_FALSE(is_blocking(other));
}

TEST_CASE("destroy_makes_handles_of_one_open_file_blocking") {
    SKIP_WITHOUT_FLAGS;
    for (MakePair make : all_pairs()) {
        Runtime rt;
        Given given(rt, make, true);
        Fd copy{duplicate(given.other)};
        given.open();
        adopt(rt, copy);
        rt.destroy();
        CHECK(given.is_blocking());
    }
}

TEST_CASE("a_reader_waits_without_blocking_after_the_other_handle_of_its_open_file_was_closed") {
    SKIP_WITHOUT_FLAGS;
    for (MakePair make : all_pairs()) {
        Runtime rt;
        Given given(rt, make, true);
        Fd copy{duplicate(given.other)};
        zyntax_io *first = given.open(), *second = adopt(rt, copy);
        CHECK(zyntax_io_close(first) == 0);
        Reader reader(rt, second, 3);
        settle(rt); // would never return if the descriptor blocked
        put(given.pair.far, "hi\n");
        CHECK(rt.drive_until([&] { return !reader.alive(); }));
        CHECK(reader.data == "hi\n");
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

// Two open files of one terminal have a flag each.
TEST_CASE("another_open_file_of_the_same_terminal_is_left_alone") {
    SKIP_WITHOUT_FLAGS;
    Runtime rt;
    Pair pair = terminal();
    Fd apart = opened_again(pair.near);
    make_nonblocking(apart);
    Fd other{duplicate(pair.near)}, other_apart{duplicate(apart)};
    zyntax_io *io = adopt(rt, pair.near), *io_apart = adopt(rt, apart);
    CHECK(zyntax_io_close(io) == 0);
    CHECK(is_blocking(other));
    CHECK_FALSE(is_blocking(other_apart));
    CHECK(zyntax_io_close(io_apart) == 0);
    CHECK_FALSE(is_blocking(other_apart));
}

// Another owner of the socket may do anything with it.
TEST_CASE("a_socket_that_a_stranger_makes_blocking_does_not_block_the_loop") {
    SKIP_WITHOUT_FLAGS;
    Runtime rt;
    for (MakePair make : {MakePair([] { return socket_pair(); }), MakePair(tcp_pair)}) {
        Given given(rt, make, true);
        zyntax_io *io = given.open();
        make_blocking(given.other);
        Reader reader(rt, io, 2);
        settle(rt);
        CHECK(reader.alive());
        put(given.pair.far, "hi");
        CHECK(rt.drive_until([&] { return !reader.alive(); }));
        Writer writer(rt, io, std::string(8 * mib, 'w'));
        settle(rt);
        CHECK(writer.alive());
    }
}
