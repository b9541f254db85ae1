// The second step of the experiment: the poller also receives and sends. Connections have a multishot receive into a
// ring of provided buffers, from which os::read copies. os::write copies into a buffer that the next wait sends. Other
// descriptors have a multishot poll.
#pragma once

#include "../../platform/io_poller.h"
#include "uring.h"

namespace zyntax {

class DataPoller {
public:
    static constexpr const char *name = "io_uring_data";

    int32_t open(Memory &);
    void close(bool of_a_copy = false);
    bool reserve() { return true; }
    int32_t add(intptr_t number, uintptr_t word, void **);
    bool remove(intptr_t number, void *);
    void want(intptr_t, void *, uint32_t) {}
    bool knows(intptr_t, uintptr_t) { return true; }
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd() { return uring_.fd(); }

private:
    Uring uring_;
    int wake_ = -1;
};

using Poller = DataPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_URING_DATA
