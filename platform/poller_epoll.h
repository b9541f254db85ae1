// The poller on Linux: edge-triggered epoll, woken through an eventfd.
#pragma once

#include "io_poller.h"

namespace zyntax {

class EpollPoller {
public:
    static constexpr const char *name = "epoll";

    int32_t open(Memory &); // needs none
    void close(bool of_a_copy = false);
    bool reserve() { return true; }
    int32_t add(intptr_t fd, uintptr_t word, void **registration);
    bool remove(intptr_t fd, void *);
    void want(intptr_t fd, void *&registration, uint32_t directions);
    bool knows(intptr_t fd, uintptr_t word);
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);
    void wake();
    intptr_t host_fd() { return epoll_; }

private:
    void report_room(intptr_t fd, void *&registration);

    int epoll_ = -1;
    int wake_ = -1;
    bool coarse_ = false; // timeouts are rounded up to milliseconds. Set when epoll_pwait2 is refused, never cleared
};

// Every edge is reported, except those of room to write that only a waiting writer needs.
inline void EpollPoller::want(intptr_t fd, void *&registration, uint32_t directions) {
    if (registration && (directions & writable)) report_room(fd, registration);
}

using Poller = EpollPoller;

} // namespace zyntax

#define ZYNTAX_POLLER_IS_EPOLL
