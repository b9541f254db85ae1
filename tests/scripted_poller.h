// A poller without a kernel. A test scripts its reports and their times (scripted_world.h).
#pragma once

#include "../platform/io_poller.h"

namespace zyntax {

class ScriptedPoller {
public:
    static constexpr const char *name = "scripted";

    int32_t open(Memory &);
    void close(bool of_a_copy = false);
    bool reserve() { return true; }
    int32_t add(intptr_t fd, uintptr_t word, void **registration);
    bool remove(intptr_t fd, void *registration);
    void want(intptr_t fd, void *registration, uint32_t directions);
    bool knows(intptr_t fd, uintptr_t word);
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd() { return -1; }

private:
    static constexpr size_t block_size = 256;

    Memory *memory_ = nullptr;
    void *block_ = nullptr; // memory that has to go back
};

using Poller = ScriptedPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_SCRIPTED
