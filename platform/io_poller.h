// The contract of all pollers, and the only place that selects one.
//
// A poller turns a registration into kernel calls, and kernel events into pairs of the loop's word and readiness. It
// never calls user code, and it has no policy, no knowledge of tasks and no identity of its own. Its promises:
//  - A descriptor is registered once, for both directions; the caller ensures it. If a direction becomes ready after
//    `want` named it, one of the next waits reports the direction. A poller may report more, never less. If
//    *registration equals the word before `add`, each write to the descriptor would cause an event "writable", which
//    the poller may leave out until `want` names that direction.
//  - A report has the word that was given to `add`, never 0. Stale reports are possible after `remove`; the caller
//    recognises them by the word.
//  - The end of the peer's stream is readable | read_closed; errors and hang-ups are every bit. A closed direction does
//    not block again, so it has no further events.
//  - wait may return early. It returns late by at most about 1 ms or one tick of the system. On EINTR it returns 0.
//  - wake, from any thread or a signal handler, ends the current wait or else the next one. It never blocks, and wakes
//    are not events.
// Every function returns 0 or a count, or a negative ZYNTAX_E code with nothing changed.
#pragma once

#include <concepts>
#include <stdint.h>

#include "allocator.h"
#include "os.h"

namespace zyntax {

constexpr uint32_t readable = ZYNTAX_READABLE;
constexpr uint32_t writable = ZYNTAX_WRITABLE;
constexpr uint32_t read_closed = 4;  // reads will not block again
constexpr uint32_t write_closed = 8; // writes will not block again
constexpr uint32_t urgent = 16;      // the out-of-band byte of TCP, or its place in the stream, may have arrived
constexpr uint32_t everything = readable | writable | read_closed | write_closed;

struct Event {
    uintptr_t word;
    uint32_t ready; // the bits above
};

// Limit of events per wait. The array of them stays below one page: a larger frame needs a stack probe.
constexpr uint32_t batch = 192;

template <class P>
concept IoPoller = requires(P p, Memory &memory, intptr_t fd, uintptr_t word, void *registration, uint32_t n,
                            Event *events, int64_t timeout_ns, bool of_a_copy) {
    { P::name } -> std::convertible_to<const char *>;
    { p.open(memory) } -> std::same_as<int32_t>; // keeps the reference; close undoes everything else
    // of_a_copy: in a forked child, which shares the kernel's objects with its parent.
    { p.close(of_a_copy) } -> std::same_as<void>;
    { p.reserve() } -> std::same_as<bool>; // false: no memory. true: the next add needs none
    // Until remove, the poller owns the registration and may change it; the caller does not move it.
    { p.add(fd, word, &registration) } -> std::same_as<int32_t>;
    // False: the kernel no longer knows the descriptor, and its number may name another file. True on systems that
    // cannot tell.
    { p.remove(fd, registration) } -> std::same_as<bool>;
    { p.want(fd, registration, /*directions*/ n) } -> std::same_as<void>;
    { p.knows(fd, word) } -> std::same_as<bool>; // false: the descriptor was closed, and the kernel has forgotten it
    { p.wait(events, /*max*/ n, timeout_ns) } -> std::same_as<int32_t>; // timeout_ns < 0: no limit
    { p.wake() } -> std::same_as<void>;
    { p.host_fd() } -> std::same_as<intptr_t>; // readable when wait has events; -1: none
};

} // namespace zyntax

// The poller of ZYNTAX_POLLER_HEADER (tests), or the poller that the build selects, or else the best poller of the
// system.
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
