// The few system calls that the runtime needs, except for its poller's. Each function is thin: it retries EINTR, maps
// errors to ZYNTAX_E codes, and has no policy. It may change errno: the C API restores it, see KeepErrors. Implemented
// by windows.cpp, or by posix.cpp with unix.cpp or wasi.cpp; sockets.cpp is common to Windows and Unix.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/zyntax_async_runtime.h"
#include "compiler.h"

#if defined(_WIN32)
extern "C" __declspec(dllimport) unsigned long __stdcall GetLastError(void);
extern "C" __declspec(dllimport) void __stdcall SetLastError(unsigned long);
#endif

namespace zyntax::os {

// Restores errno at the end of the scope, and on Windows GetLastError and WSAGetLastError, which are the same word.
// Every path from the C API into the system has such a scope around it. No call of a poll function has.
class KeepErrors {
public:
    KeepErrors() = default;
    KeepErrors(const KeepErrors &) = delete;
    KeepErrors &operator=(const KeepErrors &) = delete;
    ~KeepErrors() {
        errno = number_;
#if defined(_WIN32)
        SetLastError(last_);
#endif
    }

private:
    int number_ = errno;
#if defined(_WIN32)
    unsigned long last_ = GetLastError();
#endif
};

// Writes the message to standard error and aborts.
[[noreturn]] void panic(const char *message);

// Monotonic; the default clock of zyntax_now_ns.
uint64_t clock_ns();

// Reserves addresses without memory, for the life of the process; null on failure.
void *reserve_pages(size_t size);

// Gives zeroed memory to reserved addresses; false when there is no memory.
bool commit_pages(void *at, size_t size);

// Bytes of address space that the process may have. SIZE_MAX: there is no limit, or none is known and `wanted` bytes
// are available.
size_t address_limit(size_t wanted);

// A number below 2^31 that differs from the number of each ancestor by fork; 0 on systems without fork.
uint32_t process_mark();

// The C library's allocator; `align` is a power of two.
void *allocate(size_t size, size_t align);
void release(void *at);

// ---- threads, for the blocking pool ----

// A thread that will be joined. Its stack has at least 2 MiB. It blocks the signals that zyntax_blocking lists and the
// signals that its creator blocks, except for faults.
struct Thread {
    void (*run)(void *); // the caller sets run and arg before start_thread
    void *arg;
    uintptr_t id; // the system's handle, set by start_thread
};

bool start_thread(Thread *); // false: the system cannot. The caller does not move the struct until join_thread
void join_thread(Thread *);  // waits until the thread has ended

void relax(); // lets the sibling of this core run
void yield(); // lets another thread run, even one of a lower priority: a short sleep. Keeps errno

// A mutex with a condition. The memory is opaque, so that this header needs no system header.
class Monitor {
public:
    void init();
    void destroy();
    void lock();
    void unlock();
    bool wait_for(uint64_t timeout_ns); // false: timed out
    void signal();
    void broadcast();

private:
    [[maybe_unused]] alignas(16) unsigned char memory_[128];
};

// Holds a monitor for a scope.
class Locked {
public:
    explicit Locked(Monitor *monitor) : monitor_(monitor) { monitor->lock(); }
    ~Locked() { monitor_->unlock(); }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;

private:
    Monitor *monitor_;
};

// ---- descriptors ----

// The kind of a descriptor, for reads and writes. kind_of sets it. It changes from tcp or local to socket when the
// poller has reported an urgent byte, from local to socket when a read has met a passed descriptor, to
// signaling_pipe and flagged_* when the system has refused a call; it never changes back.
enum class Kind : uint8_t {
    tcp,      // a short read means that the kernel's buffer is empty
    local,    // a Unix stream of a system that reports passed descriptors: otherwise as tcp
    socket,   // another stream: a read may end early, at an urgent mark or a passed descriptor
    messages, // datagrams, sequenced packets and the like: each write is a message, even an empty write
    pipe,     // a write to a closed pipe would raise SIGPIPE: a call that raises no signal is tried
    other,    // tty, eventfd, …
    // A pipe of a system without that call: SIGPIPE is blocked during each write.
    signaling_pipe,
    // A signaling pipe or another file without a call that never waits. Here O_NONBLOCK decides. It belongs to the open
    // file, which other processes may share and change.
    flagged_pipe,
    flagged_other
};
constexpr bool is_socket(Kind kind) { return kind <= Kind::messages; }
constexpr bool short_read_empties(Kind kind) { return kind <= Kind::local; } // the kind after the read

int32_t kind_of(intptr_t fd, Kind *kind);                 // 0 or an error: ZYNTAX_EPERM for files
int32_t set_nonblocking(intptr_t fd, bool *was_blocking); // 0 or an error; *was_blocking is false where unknown
void set_blocking(intptr_t fd);
// Bytes or an error. They never wait, with any flags of the open file, and raise no signal. They may change *kind.
int64_t read(intptr_t fd, Kind *kind, void *buf, size_t len);
int64_t write(intptr_t fd, Kind *kind, const void *buf, size_t len);
uint32_t poll_now(intptr_t fd, uint32_t interest); // the directions of interest that would not block
void close(intptr_t fd);

// ---- TCP ----

struct Address {
    alignas(8) unsigned char bytes[28]; // sockaddr_in or sockaddr_in6
    uint32_t size;
};

intptr_t listen(const Address *, bool dual_stack, bool shared); // a descriptor or an error
bool listens(intptr_t fd);
intptr_t accept(intptr_t listener, bool set_no_delay); // a descriptor or an error; makes the listener non-blocking
bool accept_passes(int64_t error);                     // true: the error is of one connection; the next may succeed
intptr_t connect(const Address *);                     // a descriptor, connected or in progress, or an error
// 0, an error, or ZYNTAX_EAGAIN: the next event tells. Before the first event a failure is not found.
int32_t connect_result(intptr_t fd, bool has_event);
int32_t shut_down_writes(intptr_t fd);
int32_t local_port(intptr_t fd);
// No descriptors, memory or registrations are left: a later accept may succeed.
inline bool accept_exhausted(int64_t error) {
    return error == ZYNTAX_EMFILE || error == ZYNTAX_ENFILE || error == ZYNTAX_ENOBUFS || error == ZYNTAX_ENOMEM ||
           error == ZYNTAX_ENOSPC;
}

// Fills up to `max` addresses. Returns the number found, which may exceed `max`, or an error. Blocks, unless `numeric`:
// then `host` must be an IPv4 or IPv6 address.
int32_t look_up(const char *host, uint16_t port, bool numeric, Address *out, uint32_t max);

} // namespace zyntax::os
