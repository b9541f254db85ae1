// zyntax_io_open: what can be registered, what cannot, and that a refused descriptor is left as it was.
#include "io_support.h"

#include <climits>
#include <cstdlib>
#include <vector>

using namespace support;

namespace {

Fd pty_master() {
    Fd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(grantpt(master) == 0);
    REQUIRE(unlockpt(master) == 0);
    return master;
}

void opens_and_closes(Runtime &rt, Fd fd) {
    int number = fd;
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
void is_refused(Runtime &rt, const Fd &fd, int32_t error) {
    int flags = fcntl(fd, F_GETFL);
    zyntax_io *io = nullptr;
    CHECK(zyntax_io_open(rt, fd, &io) == error);
    CHECK(is_open(fd));
    CHECK(fcntl(fd, F_GETFL) == flags);
    CHECK(rt.stats().io_open == 0);
}

} // namespace

TEST_CASE("a_socket_a_pipe_an_eventfd_and_a_pty_can_be_opened_and_become_non_blocking") {
    Runtime rt;
    opens_and_closes(rt, std::move(socket_pair().near));
    opens_and_closes(rt, std::move(socket_pair(SOCK_DGRAM).near));
    opens_and_closes(rt, std::move(tcp_pair().near));
    opens_and_closes(rt, std::move(pipe_to_runtime().near));
    opens_and_closes(rt, std::move(pipe_from_runtime().near));
    opens_and_closes(rt, Fd(eventfd(0, EFD_CLOEXEC)));
    opens_and_closes(rt, pty_master());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_regular_file_is_eperm_and_stays_as_it_was") {
    Runtime rt;
    char path[] = "/tmp/zyntax-io-open-XXXXXX";
    Fd file(mkstemp(path));
    unlink(path);
    is_refused(rt, file, ZYNTAX_EPERM);
    make_nonblocking(file);
    is_refused(rt, file, ZYNTAX_EPERM);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_directory_is_eperm") {
    Runtime rt;
    is_refused(rt, Fd(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), ZYNTAX_EPERM);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("dev_null_is_eperm_or_always_at_its_end") {
    Runtime rt;
    Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    zyntax_io *io = nullptr;
    int32_t error = zyntax_io_open(rt, null, &io);
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
    Fd twin(dup(pair.near));
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
    opens_and_closes(rt, std::move(pair.near));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("destroying_the_runtime_closes_what_it_owns") {
    int before = fd_count();
    {
        Runtime rt;
        Pair a = socket_pair(), b = pipe_to_runtime();
        adopt(rt, a.near);
        adopt(rt, b.near);
        char byte;
        zyntax_io *given_back = adopt(rt, a.far);
        Await waiting(rt, reading(given_back, &byte, 1));
        settle(rt);
        intptr_t fd = -1;
        CHECK(zyntax_io_detach(given_back, &fd) == 0);
        Fd mine{int(fd)};
        rt.destroy();
        CHECK(is_open(mine));
    }
    CHECK(fd_count() == before);
}
