// The tests' system layer on WASI: memory and time, but no threads, no sockets that a program can make, no signals.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <poll.h>
#include <sys/socket.h>

namespace sys {

constexpr bool has_threads = false;
constexpr bool has_local_sockets = false;
constexpr bool has_files = false;
constexpr bool has_sockets = false;
constexpr bool has_pipes = false;
constexpr bool has_signals = false;
constexpr bool has_resident_bytes = false;
constexpr bool has_descriptor_limit = false;
constexpr bool has_address_space_limit = false;

constexpr int most_tasks = 250'000; // alive at once: addresses are memory there

// ---- threads: names that tests use although they skip ----

struct Thread {
    Thread() = default;
    template <class... Any> explicit Thread(Any &&...) { FAIL("WASI has no threads"); }
    void join() {}
};

struct Mutex {};

struct Lock {
    explicit Lock(Mutex &) {}
    void unlock() {}
};

struct Condition {
    template <class Time, class Predicate> bool wait_for(Lock &, Time, Predicate done) { return done(); }
    void notify_one() {}
    void notify_all() {}
};

using ThreadId = int;

inline ThreadId this_thread_id() { return 0; }
inline void yield() {}
inline void sleep_for(std::chrono::nanoseconds time) {
    timespec t{time_t(time.count() / 1'000'000'000), long(time.count() % 1'000'000'000)};
    nanosleep(&t, nullptr);
}

// ---- memory ----

inline void *aligned_allocate(size_t size, size_t align) {
    void *at = nullptr;
    return posix_memalign(&at, align, size) == 0 ? at : nullptr;
}
inline void aligned_release(void *at) { std::free(at); }

struct Usage {
    uint64_t resident_bytes = 0, address_space_bytes = 0;
    int threads = 1;
};
inline Usage usage() { return {}; }

// ---- descriptors ----

using Descriptor = int;

inline void close_descriptor(Descriptor) {}
inline int fd_count() { return 0; }
inline void make_nonblocking(Descriptor) {}
inline bool poll_one(Descriptor, short, int) { return false; }
inline ptrdiff_t send_some(Descriptor, const void *, size_t) { return -1; }
inline ptrdiff_t receive_some(Descriptor, void *, size_t) { return -1; }
inline bool would_block() { return false; }
constexpr int delivery_ms = 0;
inline void make_pair_of_sockets(int, Descriptor[2]) { FAIL("a WASI program can make no socket"); }

// ---- processes ----

constexpr bool has_processes = false;
constexpr bool has_fork = false;

enum class ForkBy { fork, bare_clone };
inline bool begin_process_numbers_again() { return false; }
inline bool is_first_process() { return false; }
struct Child {
    template <class Function> explicit Child(Function, ForkBy = ForkBy::fork) {}
    int end() const { return -1; }
};

struct Death {
    bool aborted, left;
    std::string message;
};

inline Death death_of(void (*)()) { return {}; }

} // namespace sys
