// Windows only: handles that are no sockets, leaked handles, and the thread's last error.
#include "io_support.h"

using namespace support;

namespace {

constexpr DWORD sentinel = 4711;

DWORD handles_of_this_process() {
    DWORD count = 0;
    REQUIRE(GetProcessHandleCount(GetCurrentProcess(), &count));
    return count;
}

// A handle that closes itself.
struct Handle {
    HANDLE handle = nullptr;
    Handle() = default;
    explicit Handle(HANDLE h) : handle(h) { REQUIRE(h != INVALID_HANDLE_VALUE); }
    ~Handle() { CloseHandle(handle); }
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
};

int32_t open_error(zyntax_runtime *rt, HANDLE handle) {
    zyntax_io *io = nullptr;
    int32_t error = zyntax_io_open(rt, intptr_t(handle), &io);
    CHECK(io == nullptr);
    return error;
}

// Calls one function with the last error set; false if it comes out as another.
template <class Call> bool keeps_last_error(Call call) {
    SetLastError(sentinel);
    call();
    return GetLastError() == sentinel;
}

} // namespace

TEST_CASE("an_open_handle_that_is_no_socket_cannot_be_polled") {
    Runtime rt;
    Handle reading, writing;
    REQUIRE(CreatePipe(&reading.handle, &writing.handle, nullptr, 0));
    CHECK(open_error(rt, reading.handle) == ZYNTAX_EPERM);
    CHECK(open_error(rt, writing.handle) == ZYNTAX_EPERM);

    wchar_t program[MAX_PATH];
    REQUIRE(GetModuleFileNameW(nullptr, program, MAX_PATH) > 0);
    Handle file(CreateFileW(program, GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr));
    CHECK(open_error(rt, file.handle) == ZYNTAX_EPERM);

    Handle nothing(CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr));
    CHECK(open_error(rt, nothing.handle) == ZYNTAX_EPERM);

    HANDLE console = CreateFileW(L"CONOUT$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr,
                                 OPEN_EXISTING, 0, nullptr);
    if (console != INVALID_HANDLE_VALUE) {
        CHECK(open_error(rt, console) == ZYNTAX_EPERM);
        CloseHandle(console);
    }

    char byte = 'x'; // and they are as they were
    DWORD moved = 0;
    CHECK((WriteFile(writing.handle, &byte, 1, &moved, nullptr) && moved == 1));
    CHECK((ReadFile(reading.handle, &byte, 1, &moved, nullptr) && moved == 1));
}

TEST_CASE("a_number_that_is_not_open_is_a_bad_descriptor") {
    Runtime rt;
    for (intptr_t number : {intptr_t(-1), intptr_t(0), intptr_t(3), intptr_t(0x7ffffffc), INTPTR_MIN, INTPTR_MAX}) {
        CAPTURE(number);
        CHECK(open_error(rt, HANDLE(number)) == ZYNTAX_EBADF);
    }
}

TEST_CASE("a_thousand_runtimes_leave_no_handle_behind") {
    auto use = [] {
        Runtime rt;
        Pair pair = socket_pair();
        char byte;
        zyntax_io *io = adopt(rt, pair.near);
        Await read(rt, reading(io, &byte, 1));
        settle(rt);
    };
    use();
    DWORD before = handles_of_this_process();
    for (int round = 0; round < scaled(1000); round++) use();
    CHECK(handles_of_this_process() <= before + 2);
}

TEST_CASE("the_last_error_is_left_alone") {
    zyntax_runtime *rt = nullptr;
    zyntax_io *listener = nullptr, *other = nullptr, *client = nullptr, *server = nullptr;
    int64_t result = unfinished;
    char byte;
    CHECK(keeps_last_error([&] { rt = zyntax_runtime_create(); }));
    REQUIRE(rt != nullptr);
    CHECK(keeps_last_error([&] { zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener); }));
    REQUIRE(listener != nullptr);
    auto port = uint16_t(zyntax_tcp_port(listener));
    CHECK(keeps_last_error([&] { CHECK(zyntax_tcp_listen(rt, "127.0.0.1", port, &other) == ZYNTAX_EADDRINUSE); }));
    CHECK(keeps_last_error([&] { CHECK(zyntax_tcp_listen(rt, "no address", 0, &other) == ZYNTAX_EINVAL); }));
    CHECK(keeps_last_error([&] { CHECK(zyntax_io_open(rt, -1, &other) == ZYNTAX_EBADF); }));
    {
        Await accepted(rt, accepting(listener, &server));
        CHECK(keeps_last_error([&] { zyntax_runtime_turn(rt, 0); }));
        CHECK(keeps_last_error([&] { zyntax_runtime_turn(rt, int64_t(ms)); }));
        Await connected(rt, connecting(rt, "127.0.0.1", port, &client));
        CHECK(keeps_last_error([&] {
            for (int round = 0; round < 500 && (accepted.alive() || connected.alive()); round++)
                zyntax_runtime_turn(rt, 20 * int64_t(ms));
        }));
        REQUIRE((accepted.result == 0 && connected.result == 0));
        Await read(rt, reading(server, &byte, 1)); // has to wait
        CHECK(keeps_last_error([&] { zyntax_runtime_turn(rt, 0); }));
    }
    CHECK(keeps_last_error([&] { zyntax_tcp_shutdown(client); }));
    Await late(rt, writing(client, "x", 1));
    CHECK(keeps_last_error([&] { zyntax_runtime_turn(rt, 0); }));
    CHECK(late.result == ZYNTAX_EPIPE);
    CHECK(keeps_last_error([&] { zyntax_runtime_stop(rt); }));
    CHECK(keeps_last_error([&] { result = zyntax_runtime_run(rt); }));
    CHECK(result == ZYNTAX_ECANCELED);
    CHECK(keeps_last_error([&] { zyntax_io_close(server); }));
    CHECK(keeps_last_error([&] { zyntax_runtime_destroy(rt); }));
}

TEST_CASE("a_datagram_that_nobody_took_does_not_fail_the_next_read") {
    Runtime rt;
    Fd gone(sys::make_socket(AF_INET, SOCK_DGRAM)), fd(sys::make_socket(AF_INET, SOCK_DGRAM));
    Fd peer(sys::make_socket(AF_INET, SOCK_DGRAM));
    Address any = loopback(0);
    for (Fd *one : {&gone, &fd, &peer}) REQUIRE(bind(SOCKET(one->fd), any.raw(), any.length) == 0);
    Address nobody = loopback(port_of(gone)), us = loopback(port_of(fd));
    gone.reset();
    SOCKET raw = SOCKET(fd.fd);
    char buf[8];
    zyntax_io *io = adopt(rt, fd);
    Await reader(rt, reading(io, buf, sizeof buf));
    settle(rt);
    REQUIRE(sendto(raw, "x", 1, 0, nobody.raw(), nobody.length) == 1);
    CHECK(rt.idle_waits() <= idle_budget);
    REQUIRE(sendto(SOCKET(peer.fd), "here", 4, 0, us.raw(), us.length) == 4);
    CHECK(rt.drain());
    CHECK(reader.result == 4);
}

TEST_CASE("no_other_socket_takes_the_port_of_a_listener_over") {
    Runtime rt;
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    Fd thief(sys::make_socket(AF_INET, SOCK_STREAM));
    int on = 1;
    REQUIRE(setsockopt(SOCKET(thief.fd), SOL_SOCKET, SO_REUSEADDR, reinterpret_cast<char *>(&on), sizeof on) == 0);
    Address address = loopback(uint16_t(zyntax_tcp_port(listener)));
    bool bound = bind(SOCKET(thief.fd), address.raw(), address.length) == 0;
    CHECK_FALSE((bound && listen(SOCKET(thief.fd), 1) == 0));
}
