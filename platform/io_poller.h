// The contract that every poller meets, and the one place that selects one.
//
// A poller turns a registration into kernel calls and kernel events into (the loop's word, readiness). It never calls
// user code, knows no task, holds no policy, keeps no identity of its own. What it promises:
//  - A descriptor is registered once, for both directions. Each time a direction becomes ready after `want` was told
//    that somebody waits for it, one of the next waits reports it; it may report more than that, never less.
//  - Readiness is reported with the word given to `add`, which is not 0. After `remove` stale reports are possible; the
//    caller tells them by the word.
//  - The end of the peer's stream is readable | read_closed; errors and hang-ups are every bit. A closed direction does
//    not block again, so there will be no further event for it.
//  - wait returns early rather than late, and late by about 1 ms or one tick of the system at most; on EINTR with 0.
//  - wake, from any thread or a signal handler, makes the current wait return, or the next one. It never blocks.
//    Wakes are not reported as events.
// What is registered once the caller sees to. Every function returns 0 or a count, or a negative ZYNTAX_E code with
// nothing changed.
#pragma once

#include <concepts>
#include <stdint.h>

#include "allocator.h"
#include "os.h"

namespace zyntax {

constexpr uint32_t readable = ZYNTAX_READABLE;
constexpr uint32_t writable = ZYNTAX_WRITABLE;
constexpr uint32_t read_closed = 4;
constexpr uint32_t write_closed = 8;
constexpr uint32_t urgent = 16; // TCP's out-of-band byte may have come, or its place in the stream
constexpr uint32_t everything = readable | writable | read_closed | write_closed;

struct Event {
    uintptr_t word;
    uint32_t ready; // the bits above
};

// Events that one wait reports at most: together below the page that a function may use without asking for more stack.
constexpr uint32_t batch = 192;

template <class P>
concept IoPoller = requires(P p, Memory &memory, intptr_t fd, uintptr_t word, void *registration, uint32_t n,
                            Event *events, int64_t timeout_ns, bool of_a_copy) {
    { P::name } -> std::convertible_to<const char *>;
    { p.open(memory) } -> std::same_as<int32_t>; // keeps the reference; the rest is undone by close
    // Of a copy: in a child that was forked. The kernel's objects are the parent's, too.
    { p.close(of_a_copy) } -> std::same_as<void>;
    { p.reserve() } -> std::same_as<bool>; // false: no memory; else the next add needs none
    // The registration is the poller's, which may change it, until remove; it stays where it is.
    { p.add(fd, word, &registration) } -> std::same_as<int32_t>;
    // False: as by `knows`, and the number may be another file's. True where nothing tells.
    { p.remove(fd, registration) } -> std::same_as<bool>;
    { p.want(fd, registration, /*directions*/ n) } -> std::same_as<void>;
    { p.knows(fd, word) } -> std::same_as<bool>; // false: the kernel has forgotten it, as somebody closed it
    { p.wait(events, /*max*/ n, timeout_ns) } -> std::same_as<int32_t>; // timeout_ns < 0: no limit
    { p.wake() } -> std::same_as<void>;
    { p.host_fd() } -> std::same_as<intptr_t>; // readable when wait has something; -1: none
};

} // namespace zyntax

// A header of its own (tests), what the build asked for, or else the best one of the system.
#if defined(ZYNTAX_POLLER_HEADER)
#include ZYNTAX_POLLER_HEADER
#elif defined(ZYNTAX_POLLER_POLL) || defined(__wasi__)
#include "poller_poll.h"
#elif defined(ZYNTAX_POLLER_KQUEUE) || defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || \
    defined(__OpenBSD__) || defined(__DragonFly__)
#include "poller_kqueue.h"
#elif defined(_WIN32)
#include "poller_iocp.h"
#elif defined(__linux__)
#include "poller_epoll.h"
#else
#error "no poller for this system; -DZYNTAX_POLLER_POLL selects poll(2)"
#endif

static_assert(zyntax::IoPoller<zyntax::Poller>);
