// The poller on Windows: an I/O completion port. The driver below Winsock polls sockets for their readiness.
#pragma once

#include <atomic>

#include "io_poller.h"

namespace zyntax {

class IocpPoller {
public:
    static constexpr const char *name = "iocp";

    int32_t open(Memory &);
    void close(bool of_a_copy = false);
    bool reserve();
    int32_t add(intptr_t fd, uintptr_t word, void **registration);
    bool remove(intptr_t, void *registration);
    void want(intptr_t, void *registration, uint32_t directions);
    bool knows(intptr_t, uintptr_t) { return true; } // the system cannot tell
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd() { return -1; }

private:
    struct Socket;

    void retire(Socket *);
    void change(Socket *);
    uint32_t submit_changes(Event *events, uint32_t max);
    bool complete(Socket *, Event *event);

    Memory *memory_ = nullptr;
    void *port_ = nullptr;
    void *driver_ = nullptr;         // an open handle of the driver, for the polls
    uint32_t polls_ = 0;             // pending polls: the kernel writes to each record until its packet has arrived
    Socket *records_ = nullptr;      // all records
    Socket *free_ = nullptr;         // unused records
    Socket *changed_ = nullptr;      // records whose poll the next wait submits or cancels
    std::atomic<bool> woken_{false}; // the wait must return. Set by wake, cleared when a wait returns for it
};

using Poller = IocpPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_IOCP
