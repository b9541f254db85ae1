// The poller on Windows: an I/O completion port and, for the readiness of sockets, polls of the driver below Winsock.
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
    bool knows(intptr_t, uintptr_t) { return true; } // nothing tells
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
    void *driver_ = nullptr;         // an open handle of the driver, which the polls go through
    uint32_t polls_ = 0;             // with the kernel: it writes to their records until their packets have come
    Socket *records_ = nullptr;      // all there are
    Socket *free_ = nullptr;         // those that nobody needs
    Socket *changed_ = nullptr;      // those whose polls the next wait brings in line
    std::atomic<bool> woken_{false}; // a wait has to return
};

using Poller = IocpPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_IOCP
