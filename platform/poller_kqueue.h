// The poller on macOS and the BSDs: kqueue, with two filters per descriptor, each cleared by its report. libkqueue
// provides kqueue on Linux.
#pragma once

#include "io_poller.h"

namespace zyntax {

class KqueuePoller {
public:
    static constexpr const char *name = "kqueue";

    int32_t open(Memory &); // needs none
    void close(bool of_a_copy = false);
    bool reserve() { return true; }
    int32_t add(intptr_t fd, uintptr_t word, void **);
    bool remove(intptr_t fd, void *);
    void want(intptr_t, void *, uint32_t) {} // every edge is reported
    bool knows(intptr_t fd, uintptr_t word);
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd();

private:
    int kqueue_ = -1;
};

using Poller = KqueuePoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_KQUEUE
