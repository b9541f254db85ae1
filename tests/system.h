// What the tests need of the system they run on: one interface, and behind it a file for each family of systems. Only
// there does a test ask which system this is. What a system lacks is a constant of that file, for SKIP_WHEN; the
// functions that go with it exist all the same, and fail.
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

// Linux has kqueue from libkqueue. Not as the kernels do, it closes its descriptors later, from a thread of its own;
// locks in kevent, so that a signal handler which wakes may wait for what it interrupted; takes the error of a socket
// it reports; and forgets events that it finds no room for.
#ifdef SUPPORT_LIBKQUEUE
constexpr bool on_libkqueue = true;
#else
constexpr bool on_libkqueue = false;
#endif

// Windows, or what passes for it: Wine, where each call is an exchange with another process, which takes the error of a
// connection that was reset.
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

// Another processor, by qemu-user, as the cross files start it: slow, and a process with threads of its own, which a
// child of fork loses, without a limit of its address space, and with buffers looked at before the kernel does.
inline bool under_emulation() {
    static const bool told = std::getenv("ZYNTAX_TEST_EMULATED") != nullptr;
    return told;
}

// Where a descriptor cannot be watched for edges. Else there is an EdgeWatch of the system's.
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

// A pair of stream sockets, or of others.
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
