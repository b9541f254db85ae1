// zyntax_io_open: descriptors that can be registered, and descriptors that cannot. A refused descriptor does not
// change.
#include "io_support.h"

#include <climits>
#include <vector>

using namespace support;

namespace {

// Opens the near end, whose far end stays open meanwhile.
void opens_and_closes(Runtime &rt, Pair pair) {
    Fd &fd = pair.near;
    Descriptor number = fd;
    zyntax_io *io = nullptr;
    REQUIRE(zyntax_io_open(rt, fd, &io) == 0);
    fd.release();
    CHECK(io != nullptr);
    CHECK(zyntax_io_fd(io) == number);
    CHECK_FALSE(is_blocking(number));
    CHECK(rt.stats().io_open == 1);
    CHECK(zyntax_io_close(io) == 0);
    CHECK_FALSE(is_open(number));
    CHECK(rt.stats().io_open == 0);
}

// The runtime must not take it, and must not have touched it.
void is_refused(Runtime &rt, const File &file, int32_t error) {
    int flags = file.flags();
    zyntax_io *io = nullptr;
    CHECK(zyntax_io_open(rt, file.fd, &io) == error);
    CHECK(file.flags() == flags);
    CHECK(rt.stats().io_open == 0);
}

} // namespace

TEST_CASE("a_socket_of_every_kind_can_be_opened_and_becomes_non_blocking") {
    Runtime rt;
    opens_and_closes(rt, socket_pair());
    opens_and_closes(rt, socket_pair(SOCK_DGRAM));
    opens_and_closes(rt, tcp_pair());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_pipe_and_a_terminal_can_be_opened_and_become_non_blocking") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    Runtime rt;
    opens_and_closes(rt, pipe_to_runtime());
    opens_and_closes(rt, pipe_from_runtime());
    opens_and_closes(rt, terminal());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_eventfd_can_be_opened_and_becomes_non_blocking") {
    SKIP_WHEN(!has_event_descriptors, "eventfd is Linux's and FreeBSD's");
    Runtime rt;
    opens_and_closes(rt, {Fd(make_event_descriptor()), Fd()});
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_regular_file_is_eperm_and_stays_as_it_was") {
    Runtime rt;
    is_refused(rt, File(File::regular), ZYNTAX_EPERM);
    is_refused(rt, File(File::regular_nonblocking), ZYNTAX_EPERM);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_directory_is_eperm") {
    Runtime rt;
    is_refused(rt, File(File::directory), ZYNTAX_EPERM);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("dev_null_is_eperm_or_always_at_its_end") {
    Runtime rt;
    File null(File::null_device);
    zyntax_io *io = nullptr;
    int32_t error = zyntax_io_open(rt, null.fd, &io);
    if (error == 0) {
        null.release();
        char byte;
        CHECK(await(rt, reading(io, &byte, 1)) == 0);
        CHECK(await(rt, readiness(io, ZYNTAX_READABLE)) == ZYNTAX_READABLE);
    } else CHECK(error == ZYNTAX_EPERM);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_number_that_is_no_open_descriptor_is_ebadf") {
    Runtime rt;
    zyntax_io *io = nullptr;
    Pair pair = socket_pair();
    intptr_t closed = pair.near;
    pair.near.reset();
    for (intptr_t fd : {closed, intptr_t(-1), intptr_t(-2), intptr_t(99999), INTPTR_MAX, INTPTR_MIN})
        CHECK(zyntax_io_open(rt, fd, &io) == ZYNTAX_EBADF);
    // Its lower half is a good descriptor.
    if (sizeof(intptr_t) > sizeof(int)) {
        intptr_t wide = (intptr_t(1) << (sizeof(intptr_t) * CHAR_BIT / 2)) + pair.far;
        CHECK(zyntax_io_open(rt, wide, &io) == ZYNTAX_EBADF);
    }
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_descriptor_is_registered_once_and_the_second_time_is_eexist") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    zyntax_io *second = nullptr;
    CHECK(zyntax_io_open(rt, zyntax_io_fd(io), &second) == ZYNTAX_EEXIST);
    CHECK(rt.stats().io_open == 1);

    // The first registration works as before.
    char buf[4];
    put(pair.far, "abcd");
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_duplicate_of_a_registered_descriptor_is_a_registration_of_its_own") {
    Runtime rt;
    Pair pair = socket_pair();
    Fd twin(duplicate(pair.near));
    zyntax_io *first = adopt(rt, pair.near), *second = adopt(rt, twin);
    CHECK(first != second);
    put(pair.far, "ab");
    char byte;
    CHECK(await(rt, reading(first, &byte, 1)) == 1);
    CHECK(await(rt, reading(second, &byte, 1)) == 1);
    CHECK(zyntax_io_close(first) == 0);
    put(pair.far, "c");
    CHECK(await(rt, reading(second, &byte, 1)) == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_descriptor_can_be_opened_again_after_detach") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *first = adopt(rt, pair.near);
    intptr_t fd = -1;
    CHECK(zyntax_io_detach(first, &fd) == 0);
    zyntax_io *second = nullptr;
    REQUIRE(zyntax_io_open(rt, fd, &second) == 0);
    CHECK(second != first);
    char byte;
    Await reader(rt, reading(second, &byte, 1));
    settle(rt);
    put(pair.far, "x");
    CHECK(rt.drain());
    CHECK(reader.result == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_null_runtime_or_out_pointer_is_einval_and_leaves_the_descriptor_as_it_was") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = nullptr;
    CHECK(zyntax_io_open(rt, pair.near, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_io_open(nullptr, pair.near, &io) == ZYNTAX_EINVAL);
    CHECK(is_open(pair.near));
    CHECK(is_blocking(pair.near));
    CHECK(rt.stats().io_open == 0);
    opens_and_closes(rt, std::move(pair));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("destroying_the_runtime_closes_what_it_owns") {
    int before = fd_count();
    {
        Runtime rt;
        Pair a = socket_pair(), b = tcp_pair();
        adopt(rt, a.near);
        adopt(rt, b.near);
        char byte;
        zyntax_io *given_back = adopt(rt, a.far);
        Await waiting(rt, reading(given_back, &byte, 1));
        settle(rt);
        intptr_t fd = -1;
        CHECK(zyntax_io_detach(given_back, &fd) == 0);
        Fd mine{Descriptor(fd)};
        rt.destroy();
        CHECK(is_open(mine));
    }
    CHECK(fd_count() == before);
}
