// Shared by the tests of the poller's contract (platform/io_poller.h). They drive the built-in poller without the
// runtime: the same files test every backend.
#pragma once

#include "../platform/io_poller.h"
#include "io_support.h"

#include <map>
#include <vector>

namespace support {

using zyntax::Event;
using zyntax::read_closed;
using zyntax::readable;
using zyntax::writable;
using zyntax::write_closed;

constexpr uint32_t every_bit = readable | writable | read_closed | write_closed;

// Time since its making, in nanoseconds.
struct Stopwatch {
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    int64_t ns() const {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
    }
};

// An open poller, its memory, and its reports.
struct Watched {
    Heap heap;
    zyntax::Memory memory{Heap::alloc, Heap::free, &heap};
    zyntax::Poller poller;
    std::map<uintptr_t, void *> registrations; // by word
    std::map<uintptr_t, uint32_t> reports;     // bits since forget()
    int returns = 0;                           // of wait

    Watched() { REQUIRE(poller.open(memory) == 0); }
    ~Watched() {
        poller.close();
        CHECK(heap.balanced());
        CHECK(memory.reserved == 0);
    }
    Watched(const Watched &) = delete;
    Watched &operator=(const Watched &) = delete;

    int32_t try_to_add(intptr_t fd, uintptr_t word) {
        REQUIRE(registrations.try_emplace(word).second);
        int32_t error = poller.add(fd, word, &registrations.at(word));
        if (error) registrations.erase(word);
        return error;
    }
    void add(intptr_t fd, uintptr_t word) { REQUIRE(try_to_add(fd, word) == 0); }
    void want(intptr_t fd, uintptr_t word, uint32_t directions) { poller.want(fd, registrations.at(word), directions); }
    void remove(intptr_t fd, uintptr_t word) {
        poller.remove(fd, registrations.at(word));
        registrations.erase(word);
    }

    // One wait; returns its result.
    int32_t wait(int64_t timeout_ns, uint32_t max = 256) {
        std::vector<Event> events(max);
        int32_t n = poller.wait(events.data(), max, timeout_ns);
        REQUIRE(n >= 0);
        REQUIRE(n <= int32_t(max));
        returns++;
        for (int32_t i = 0; i < n; i++) reports[events[i].word] |= events[i].ready;
        return n;
    }

    uint32_t bits(uintptr_t word) {
        auto found = reports.find(word);
        return found == reports.end() ? 0 : found->second;
    }

    // Waits until all of `wanted` have been reported; false when deadline_ms have passed.
    bool reported(uintptr_t word, uint32_t wanted) {
        Stopwatch watch;
        while ((bits(word) & wanted) != wanted) {
            if (watch.ns() > deadline_ms * int64_t(ms)) return false;
            wait(20 * int64_t(ms));
        }
        return true;
    }

    // Takes the reports that a poller may make by itself, such as that a new socket is writable.
    void settle() {
        for (int i = 0; i < 3; i++) wait(int64_t(ms));
        forget();
    }
    void forget() { reports.clear(); }

    // Spurious returns of wait in 100 ms: the idle budget. A poller that spins makes thousands.
    int idle_returns() {
        int before = returns;
        Stopwatch watch;
        while (watch.ns() < 100 * int64_t(ms)) wait(100 * int64_t(ms));
        return returns - before;
    }
};

} // namespace support
