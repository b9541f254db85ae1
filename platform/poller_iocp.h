// The poller on Windows: an I/O completion port and, for the readiness of sockets, polls of the driver below Winsock.
#pragma once

#include <atomic>

#include "io_poller.h"

namespace zyntax {

class IocpPoller {
public:
    static constexpr const char *name = "iocp";

    int32_t open(Memory &);
    void close();
    void close_copy() {} // there is no fork
    bool reserve(uint32_t index);
    int32_t add(intptr_t fd, uint32_t index, uint32_t generation);
    void remove(intptr_t fd, uint32_t index);
    void want(intptr_t fd, uint32_t index, uint32_t directions);
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd() { return -1; }

private:
    struct Socket;

    Socket **place_of(intptr_t fd);
    bool grow_buckets();
    void retire(Socket *);
    void change(Socket *);
    uint32_t submit_changes(Event *events, uint32_t max);
    bool complete(Socket *, Event *event);

    Memory *memory_ = nullptr;
    void *port_ = nullptr;
    void *driver_ = nullptr;         // an open handle of the driver, which the polls go through
    Socket **buckets_ = nullptr;     // the registered ones, by number
    uint32_t bucket_count_ = 0;      // a power of two, or 0
    uint32_t used_ = 0;              // registered
    uint32_t polls_ = 0;             // with the kernel: it writes to their records until their packets have come
    Socket *records_ = nullptr;      // all there are
    Socket *free_ = nullptr;         // those that nobody needs
    Socket *changed_ = nullptr;      // those whose polls the next wait brings in line
    std::atomic<bool> woken_{false}; // a wait has to return
};

using Poller = IocpPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_IOCP
