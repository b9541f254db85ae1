// The tests' interface to the system: one interface, and behind it a file for each family of systems. No other file
// asks for the system. A constant of that file tells, for SKIP_WHEN, that the system lacks a facility; the functions of
// the facility exist nevertheless, and fail.
//
//   constants    has_threads, has_sockets, has_pipes, …
//   descriptors  Descriptor, close_descriptor, is_open, is_blocking, is_inheritable, make_nonblocking, duplicate,
//                fd_count, wait_for, receive_some, send_some, would_block
//   sockets      make_socket, accept_from, end_writing, tcp_pair's and socket_pair's halves
//   the process  Thread, Mutex, Condition, aligned_allocate, resident_bytes, limits, signals, deaths
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

namespace sys {

// On Linux libkqueue provides kqueue. It differs from the kernels:
//  - it closes its descriptors later, in its own thread,
//  - kevent takes a lock, so a signal handler that wakes may wait for the code that it interrupted,
//  - it consumes the error of a socket that it reports,
//  - it loses events for which the caller has no room.
#ifdef SUPPORT_LIBKQUEUE
constexpr bool on_libkqueue = true;
#else
constexpr bool on_libkqueue = false;
#endif

// Windows or Wine. Wine forwards each call to its server process, which consumes the error of a reset connection.
#ifdef _WIN32
constexpr bool on_windows = true;
#else
constexpr bool on_windows = false;
#endif

#ifdef __linux__
constexpr bool on_linux = true;
#else
constexpr bool on_linux = false;
#endif

#ifdef __GLIBC__
constexpr bool has_glibc = true;
#else
constexpr bool has_glibc = false;
#endif

// qemu-user emulates another processor, as in the cross files:
//  - it is slow,
//  - it has its own threads, which a child of fork loses,
//  - it does not limit the address space,
//  - it checks buffers before the kernel does.
inline bool under_emulation() {
    static const bool told = std::getenv("ZYNTAX_TEST_EMULATED") != nullptr;
    return told;
}

// For systems that cannot watch a descriptor for edges. Other systems have an EdgeWatch.
template <class Descriptor> struct NoEdgeWatch {
    explicit NoEdgeWatch(Descriptor) {}
    bool has_edge(int64_t) const { return false; }
    static constexpr bool exists = false;
};

} // namespace sys

#if defined(_WIN32)
#include "system_windows.h"
#elif defined(__wasi__)
#include "system_wasi.h"
#else
#include "system_posix.h"
#endif

namespace sys {

#ifndef _WIN32
constexpr bool on_wine() { return false; }
#endif

// A descriptor that closes itself.
struct Fd {
    Descriptor fd = -1;

    Fd() = default;
    explicit Fd(Descriptor number) : fd(number) { REQUIRE(fd >= 0); }
    Fd(Fd &&other) noexcept : fd(other.release()) {}
    Fd &operator=(Fd &&other) noexcept {
        reset(other.release());
        return *this;
    }
    ~Fd() { reset(); }
    Descriptor release() { return std::exchange(fd, -1); }
    void reset(Descriptor number = -1) {
        if (fd >= 0) close_descriptor(fd);
        fd = number;
    }
    operator Descriptor() const { return fd; }
};

// `near` goes to the runtime and is blocking; `far` is the test's and is not.
struct Pair {
    Fd near, far;
};

// A pair of stream sockets, or of sockets of another type.
inline Pair socket_pair(int type = SOCK_STREAM) {
    Descriptor fds[2] = {-1, -1};
    make_pair_of_sockets(type, fds);
    make_nonblocking(fds[1]);
    return {Fd(fds[0]), Fd(fds[1])};
}

// Writes everything at once; the peer must have room.
inline void put(Descriptor fd, const std::string &text) {
    REQUIRE(send_some(fd, text.data(), text.size()) == ptrdiff_t(text.size()));
}

// Waits for a plain descriptor; for peers, which have no runtime.
inline bool wait_for(Descriptor fd, short events, int limit_ms = 10'000) { return poll_one(fd, events, limit_ms); }

} // namespace sys
