// The few system calls the runtime needs beside its poller. Each is thin: it retries EINTR, maps errors to ZYNTAX_E
// codes, and holds no policy. What it does to errno is undone by who calls it for a host: see KeepErrors. One file per
// family of systems implements it, and sockets.cpp what two of them share.
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

// Puts back at the end of the scope what errno tells, and on Windows GetLastError and WSAGetLastError, which are one
// word. Every way from the C API into the system leads through such a scope, and no poll does.
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

// Monotonic; what zyntax_now_ns reports by default.
uint64_t clock_ns();

// Addresses without memory, for ever; null when there are none.
void *reserve_pages(size_t size);

// Zeroed memory for reserved addresses; false when there is none.
bool commit_pages(void *at, size_t size);

// Bytes of address space that the process may have; SIZE_MAX when they are not limited, nobody tells, and `wanted`
// bytes can be had.
size_t address_limit(size_t wanted);

// A number below 2^31 that a process has in common with no process that it was forked from; 0 where there is no fork.
uint32_t process_mark();

// The C library's allocator; `align` is a power of two.
void *allocate(size_t size, size_t align);
void release(void *at);

// ---- threads, for the blocking pool ----

// A thread that will be joined. Its stack has 2 MiB at least. It blocks the signals that zyntax_blocking lists, and
// those of its creator but for faults.
struct Thread {
    void (*run)(void *); // run and arg are set before start_thread
    void *arg;
    uintptr_t id; // the system's
};

bool start_thread(Thread *); // false when the system has none left; the struct stays where it is until join_thread
void join_thread(Thread *);  // waits for its end

void relax(); // lets a sibling of this core run
void yield(); // lets another thread run, also one of a lower priority: a short sleep

// A mutex with a condition. Opaque memory, so that no system header is needed here.
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

// What reads and writes need to know about a descriptor.
enum class Kind : uint8_t {
    tcp,      // a short read means that the kernel's buffer is empty
    socket,   // another stream: a read may stop short of what is there, at a mark or a passed descriptor
    messages, // a socket of datagrams, sequenced packets and the like: each write is a message, an empty one too
    pipe,     // writing to a closed one raises SIGPIPE unless blocked
    other,    // tty, eventfd, …
    // The same two, where the system has no call that returns instead of waiting: O_NONBLOCK decides, and belongs to
    // the open file, which other processes may share and change.
    flagged_pipe,
    flagged_other
};
constexpr bool is_socket(Kind kind) { return kind <= Kind::messages; }

int32_t kind_of(intptr_t fd, Kind *kind);                 // 0 or an error: ZYNTAX_EPERM for files
int32_t set_nonblocking(intptr_t fd, bool *was_blocking); // 0 or an error; false where the system cannot tell
void set_blocking(intptr_t fd);
// Bytes or an error; they never wait, whatever the open file's flags are, and raise no signal. They may change *kind.
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
bool accept_passes(int64_t error);                     // that connection is gone, the next may be fine
intptr_t connect(const Address *, bool *in_progress);  // a descriptor or an error
int32_t connect_result(intptr_t fd);                   // 0, an error, or ZYNTAX_EAGAIN: not decided yet
int32_t shut_down_writes(intptr_t fd);
int32_t local_port(intptr_t fd);
// Out of descriptors, of memory, or of registrations: a later accept may do.
inline bool accept_exhausted(int64_t error) {
    return error == ZYNTAX_EMFILE || error == ZYNTAX_ENFILE || error == ZYNTAX_ENOBUFS || error == ZYNTAX_ENOMEM ||
           error == ZYNTAX_ENOSPC;
}

// Fills up to `max` addresses; how many there are, which may be more, or an error. Blocks, unless `numeric`: then only
// an IPv4 or IPv6 address is understood.
int32_t look_up(const char *host, uint16_t port, bool numeric, Address *out, uint32_t max);

} // namespace zyntax::os
