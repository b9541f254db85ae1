// The poller on any POSIX system, and on WASI: poll(2) on the wanted directions, woken through a pipe.
#pragma once

#include "io_poller.h"

struct pollfd;

namespace zyntax {

class PollPoller {
public:
    static constexpr const char *name = "poll";

    int32_t open(Memory &);
    void close(bool of_a_copy = false);
    bool reserve();
    int32_t add(intptr_t, uintptr_t word, void **registration);
    bool remove(intptr_t, void *registration);
    void want(intptr_t fd, void *registration, uint32_t directions);
    bool knows(intptr_t, uintptr_t) { return true; } // the kernel keeps no registrations
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd() { return -1; } // between waits the kernel has no interest

private:
    struct Watched {
        uintptr_t word;
        void **registration; // the caller's word, which holds the place of this entry
    };

    static size_t block_size(uint32_t capacity) { return capacity * (sizeof(uint64_t) + sizeof(Watched)); }

    Memory *memory_ = nullptr;
    GrowingBlock block_;
    pollfd *asked_ = nullptr;    // by place, for the kernel; place 0 is the pipe. fd -1: no direction is wanted
    Watched *watched_ = nullptr; // by place; behind asked_, in the same block
    uint32_t capacity_ = 0;
    uint32_t end_ = 1;       // every used place is below
    uint32_t next_ = 1;      // the place where the next wait starts to read answers
    int pipe_[2] = {-1, -1}; // a byte in it is a wake
};

using Poller = PollPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_POLL
