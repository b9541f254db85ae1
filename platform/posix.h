// Shared by the POSIX files of this directory. No other file may include it.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "os.h"

namespace zyntax::os {

// The code of a system error. An error without a name in the header gets the closest code. Without a close code it
// keeps its number on Linux, and is ZYNTAX_EIO elsewhere.
int32_t code_of(int error);

inline int32_t last_error() { return code_of(errno); }

// For the system's waits. A timeout rounded down to 0 would spin. A timeout too long for its type would be negative,
// and several kernels refuse 10^8 seconds.
inline int to_ms_rounded_up(int64_t timeout_ns) {
    int64_t ms = timeout_ns / 1'000'000 + (timeout_ns % 1'000'000 > 0);
    return timeout_ns < 0 ? -1 : ms > INT32_MAX ? INT32_MAX : static_cast<int>(ms);
}

inline timespec to_timespec(uint64_t ns) {
    timespec t = {};
    t.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
    t.tv_nsec = static_cast<long>(ns % 1'000'000'000);
    return t;
}

inline timespec to_timeout(int64_t timeout_ns) {
    constexpr int64_t longest = 1'000'000'000'000'000;
    return to_timespec(static_cast<uint64_t>(timeout_ns < longest ? timeout_ns : longest));
}

// From directions to events of poll(2), and from its answer to readiness.
short to_poll_events(uint32_t directions);
uint32_t to_readiness(short events);

// Whether a short read of the stream socket means that its buffer is empty, unless the read itself reports otherwise.
bool is_plain_tcp(int fd);
bool tells_passed_descriptors(int fd); // a Unix stream; see receive_parts

// Calls a function of the type Write without raising SIGPIPE.
using Write = ssize_t(int fd, const iovec *parts, int n);
ssize_t write_without_sigpipe(Write *, int fd, const iovec *parts, int n);

// readv and writev that fail with EAGAIN instead of waiting, with any flags of the open file. Any other error except
// EINTR may mean that the system has no such call for this file.
ssize_t read_at_once(int fd, const iovec *parts, int n);
ssize_t write_at_once(int fd, const iovec *parts, int n);
ssize_t write_without_signal(int fd, const iovec *parts, int n); // the same, and raises no SIGPIPE

#if defined(__wasi__)
constexpr int receive_flags = 0, send_flags = 0;
#elif defined(MSG_NOSIGNAL)
constexpr int receive_flags = MSG_DONTWAIT, send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
constexpr int receive_flags = MSG_DONTWAIT, send_flags = MSG_DONTWAIT; // SO_NOSIGPIPE is set on the socket instead
#endif

// recv is cheaper than read: no walk through the file layer. WASI's hosts may call pipes sockets.
constexpr bool is_received(Kind kind) { return receive_flags && is_socket(kind); }

// The result of a call, which is repeated after an interruption.
template <class Call> int64_t repeat(Call call) {
    for (;;) {
        ssize_t n = call();
        if (n >= 0) return n;
        if (errno != EINTR) return last_error();
    }
}

// As os::read and os::write, for several parts together: the former two with is_received, the latter two without.
int64_t receive_parts(int fd, Kind *, const iovec *parts, int n);
int64_t send_parts(int fd, const iovec *parts, int n);
int64_t read_parts(int fd, Kind *, const iovec *parts, int n);
int64_t write_parts(int fd, Kind *, const iovec *parts, int n);

// Sets both flags and returns fd. Does nothing if fd is -1, the error of a call.
int close_on_exec_nonblocking(int fd);

// A pipe that wakes a poller. Both ends are non-blocking and close-on-exec.
int32_t open_pipe(int (&ends)[2]);

} // namespace zyntax::os
