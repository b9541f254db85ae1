// The poller as an experiment: multishot polls of io_uring, one call for registrations and the wait.
#pragma once

#include "../../platform/io_poller.h"
#include "uring.h"

namespace zyntax {

class UringPoller {
public:
    static constexpr const char *name = "io_uring";

    int32_t open(Memory &);
    void close(bool of_a_copy = false);
    bool reserve();
    int32_t add(intptr_t fd, uintptr_t word, void **registration);
    bool remove(intptr_t, void *registration);
    void want(intptr_t, void *registration, uint32_t directions);
    bool knows(intptr_t, uintptr_t) { return true; } // a poll keeps the file open
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd();

private:
    struct Watched {
        uintptr_t word;      // 0 at place 0, which is the eventfd; or not in use
        uint32_t generation; // of the poll. Completions of another one are stale
        int fd;              // not in use: the next free place
        uint32_t edges;      // events of poll(2)
    };

    void arm(uint32_t place);
    void disarm(uint32_t place);
    uint32_t ready_of(const io_uring_cqe &);

    Memory *memory_ = nullptr;
    GrowingBlock block_;
    Watched *watched_ = nullptr; // by place
    uint32_t capacity_ = 0;
    uint32_t end_ = 1;  // every used place is below
    uint32_t free_ = 0; // the first free place, or 0
    int wake_ = -1;
    bool host_waits_ = false; // a host sleeps without `wait`, so nothing is left unsubmitted. Never cleared
    Uring uring_;
};

using Poller = UringPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_URING
