// The poller on any POSIX system, and on WASI: poll(2), asked about what somebody waits for, woken through a pipe.
#pragma once

#include "io_poller.h"

struct pollfd;

namespace zyntax {

class PollPoller {
public:
    static constexpr const char *name = "poll";

    int32_t open(Memory &);
    void close();
    void close_copy();
    bool reserve(uint32_t index);
    int32_t add(intptr_t fd, uint32_t index, uint32_t generation);
    void remove(intptr_t fd, uint32_t index);
    void want(intptr_t fd, uint32_t index, uint32_t directions);
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd() { return -1; } // between waits the kernel knows of no interest

private:
    struct Watched {
        int fd = -1; // -1: this index is free
        uint32_t generation = 0;
        short events = 0; // what somebody waits for. Set by want, cleared when it is reported
    };

    static size_t block_size(uint32_t capacity);
    bool grow();

    Memory *memory_ = nullptr;
    pollfd *asked_ = nullptr;    // what wait asks the kernel; room for every index, and for the pipe
    Watched *watched_ = nullptr; // by index; behind asked_, in one block with it
    uint32_t capacity_ = 0;
    uint32_t end_ = 0;       // every index in use is below
    uint32_t first_ = 0;     // where the next wait begins
    int pipe_[2] = {-1, -1}; // a byte in it is a wake
};

using Poller = PollPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_POLL
