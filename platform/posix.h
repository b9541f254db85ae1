// What the POSIX files of this directory share. No other file may include it.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "../include/zyntax_async_runtime.h"

namespace zyntax::os {

// The code of a system's error. One that has no name in the header is named as the nearest that has; without one, it
// keeps its number on Linux and is ZYNTAX_EIO elsewhere.
int32_t code_of(int error);

inline int32_t last_error() { return code_of(errno); }

// For the system's waits. A timeout that is rounded to nothing would spin, one that is too long for its type would turn
// negative, and several kernels refuse 10^8 seconds.
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

// What poll(2) is asked for, and what its answer means.
short to_poll_events(uint32_t directions);
uint32_t to_readiness(short events);

// Whether a socket's short reads tell that there is no more.
bool is_plain_tcp(int fd);

// Calls such a function without a SIGPIPE.
using Write = ssize_t(int fd, const void *buf, size_t len);
ssize_t write_without_sigpipe(Write *, int fd, const void *buf, size_t len);

// read and write that fail with EAGAIN where they would wait, whatever the open file's flags are. Any other failure but
// EINTR may mean that the system has no such call for this file.
ssize_t read_at_once(int fd, void *buf, size_t len);
ssize_t write_at_once(int fd, const void *buf, size_t len);

// Sets both flags, and returns the descriptor, which may be an error's -1.
int close_on_exec_nonblocking(int fd);

// What a poller without a better way is woken through. Both ends are non-blocking and close-on-exec.
int32_t open_pipe(int (&ends)[2]);

} // namespace zyntax::os
