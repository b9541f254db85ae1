// The poller on macOS and the BSDs: kqueue, with both filters of a descriptor cleared as they are reported. On Linux
// it runs on libkqueue.
#pragma once

#include "io_poller.h"

namespace zyntax {

class KqueuePoller {
public:
    static constexpr const char *name = "kqueue";

    int32_t open(Memory &);
    void close();
    void close_copy();
    bool reserve(uint32_t index);
    int32_t add(intptr_t fd, uint32_t index, uint32_t generation);
    void remove(intptr_t fd, uint32_t index);
    void want(intptr_t, uint32_t, uint32_t) {} // edges come without asking
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd();

private:
    struct Added {
        int fd; // -1: this index is free
        uint32_t generation;
    };

    int kqueue_ = -1;
    Memory *memory_ = nullptr;
    Added *added_ = nullptr; // by index
    uint32_t capacity_ = 0;
};

using Poller = KqueuePoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_KQUEUE
