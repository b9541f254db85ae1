// The poller of the world without a kernel (outside_scripted.cpp).
#pragma once

#include "../../platform/io_poller.h"

namespace zyntax {

class RandomPoller {
public:
    static constexpr const char *name = "random";

    int32_t open(Memory &);
    void close(bool of_a_copy = false);
    bool reserve() { return true; }
    int32_t add(intptr_t fd, uintptr_t word, void **registration);
    bool remove(intptr_t fd, void *registration);
    void want(intptr_t fd, void *registration, uint32_t directions);
    bool knows(intptr_t fd, uintptr_t word);
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd();

private:
    static constexpr size_t block_size = 256;

    Memory *memory_ = nullptr;
    void *block_ = nullptr; // memory that has to go back
    uint32_t number_ = 0;   // in the world's table of pollers
};

using Poller = RandomPoller;

} // namespace zyntax
