// epoll: a descriptor is registered once, edge-triggered. Its registration changes once at most: see report_room.
#include "io_poller.h"

#ifdef ZYNTAX_POLLER_IS_EPOLL

#include "posix.h"

#include <assert.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

namespace zyntax {

namespace {

constexpr uintptr_t wake_word = 0;

uint32_t to_readiness(uint32_t events) {
    uint32_t ready = 0;
    if (events & EPOLLIN) ready |= readable;
    if (events & EPOLLPRI) ready |= readable | urgent;
    if (events & EPOLLOUT) ready |= writable;
    if (events & EPOLLRDHUP) ready |= readable | read_closed;
    if (events & (EPOLLERR | EPOLLHUP)) ready |= everything;
    return ready;
}

constexpr uint32_t every_edge = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;

epoll_event event_of(uint32_t edges, uintptr_t word) {
    epoll_event event = {edges, {}};
    event.data.u64 = word;
    return event;
}

// A sandbox may refuse the calls that take flags.
int new_epoll() {
    int fd = epoll_create1(EPOLL_CLOEXEC);
#ifdef SYS_epoll_create
    if (fd < 0) fd = os::close_on_exec_nonblocking(static_cast<int>(syscall(SYS_epoll_create, 1)));
#endif
    return fd;
}

int new_eventfd() {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
#ifdef SYS_eventfd
    if (fd < 0) fd = os::close_on_exec_nonblocking(static_cast<int>(syscall(SYS_eventfd, 0)));
#endif
    return fd;
}

} // namespace

int32_t EpollPoller::open(Memory &) {
    assert(epoll_ < 0 && wake_ < 0);
    epoll_ = new_epoll();
    wake_ = epoll_ < 0 ? -1 : new_eventfd();
    // Edge-triggered: each write is one event, and the counter is never read.
    epoll_event event = {EPOLLIN | EPOLLET, {}};
    event.data.u64 = wake_word;
    int32_t error = 0;
    if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
        error = os::last_error();
        close();
    }
    assert((error == 0) == (epoll_ >= 0) && (error == 0) == (wake_ >= 0));
    return error;
}

// A copy closes its own descriptors only: the kernel's objects stay open in the parent.
void EpollPoller::close(bool) {
    if (wake_ >= 0) os::close(wake_);
    if (epoll_ >= 0) os::close(epoll_);
    epoll_ = wake_ = -1;
}

// A registration is the word until a writer waits, if each write would cause an edge; otherwise it is null.
int32_t EpollPoller::add(intptr_t fd, uintptr_t word, void **registration) {
    assert(word != wake_word && fd >= 0 && (!*registration || reinterpret_cast<uintptr_t>(*registration) == word));
    epoll_event event = event_of(*registration ? every_edge & ~uint32_t{EPOLLOUT} : every_edge, word);
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, static_cast<int>(fd), &event) == 0 ? 0 : os::last_error();
}

// The change also reports room that is there already. It fails only if the descriptor was closed elsewhere.
void EpollPoller::report_room(intptr_t fd, void *&registration) {
    epoll_event event = event_of(every_edge, reinterpret_cast<uintptr_t>(registration));
    epoll_ctl(epoll_, EPOLL_CTL_MOD, static_cast<int>(fd), &event);
    registration = nullptr;
}

// Closing the descriptor is not enough: a duplicate of it would keep the registration alive.
bool EpollPoller::remove(intptr_t fd, void *) {
    assert(epoll_ >= 0 && fd >= 0);
    epoll_event unused = {};
    int failed = epoll_ctl(epoll_, EPOLL_CTL_DEL, static_cast<int>(fd), &unused);
    return !failed || (errno != ENOENT && errno != EBADF);
}

bool EpollPoller::knows(intptr_t fd, uintptr_t word) {
    assert(word != wake_word && fd >= 0);
    epoll_event same = event_of(every_edge, word);
    return epoll_ctl(epoll_, EPOLL_CTL_MOD, static_cast<int>(fd), &same) == 0;
}

int32_t EpollPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    assert(epoll_ >= 0 && max > 0);
    epoll_event ready[batch];
    int limit = static_cast<int>(max < batch ? max : batch);
    int n = -1;
#ifdef SYS_epoll_pwait2
    if (timeout_ns > 0 && !coarse_) {
        const int64_t timespec64[] = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
        n = static_cast<int>(syscall(SYS_epoll_pwait2, epoll_, ready, limit, timespec64, nullptr, size_t{0}));
        coarse_ = n < 0 && errno != EINTR; // a kernel before 5.11, or a sandbox, which may return any error
    }
    if (timeout_ns <= 0 || coarse_)
#endif
        n = epoll_wait(epoll_, ready, limit, os::to_ms_rounded_up(timeout_ns));
    if (n < 0) return errno == EINTR ? 0 : os::last_error();
    int32_t count = 0;
    for (int i = 0; i < n; i++) {
        auto word = static_cast<uintptr_t>(ready[i].data.u64);
        if (word != wake_word) events[count++] = {word, to_readiness(ready[i].events)};
    }
    return count;
}

void EpollPoller::wake() {
    assert(wake_ >= 0);
    const uint64_t one = 1;
    // EAGAIN: the counter is full, so an event is pending.
    while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

} // namespace zyntax

#endif // ZYNTAX_POLLER_IS_EPOLL
