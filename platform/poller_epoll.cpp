#include "io_poller.h"

#ifdef ZYNTAX_POLLER_IS_EPOLL

#include "posix.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace zyntax {

namespace {

constexpr uint64_t wake_cookie = UINT64_MAX;
constexpr uint32_t batch = 256;
constexpr int64_t ns_per_ms = 1'000'000;

uint32_t to_readiness(uint32_t events) {
    uint32_t ready = 0;
    if (events & EPOLLIN) ready |= readable;
    if (events & EPOLLPRI) ready |= readable | urgent;
    if (events & EPOLLOUT) ready |= writable;
    if (events & EPOLLRDHUP) ready |= readable | read_closed;
    if (events & (EPOLLERR | EPOLLHUP)) ready |= readable | writable | read_closed | write_closed;
    return ready;
}

// A timeout that is rounded to nothing would spin; one above INT_MAX ms would turn negative.
int to_ms_rounded_up(int64_t timeout_ns) {
    if (timeout_ns < 0) return -1;
    int64_t ms = timeout_ns / ns_per_ms + (timeout_ns % ns_per_ms != 0);
    return ms > INT32_MAX ? INT32_MAX : static_cast<int>(ms);
}

} // namespace

int32_t EpollPoller::open(Memory &) {
    os::KeepErrno keep;
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    wake_ = epoll_ < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // Edge-triggered, so that each write is one event and the counter never needs a read.
    epoll_event event = {EPOLLIN | EPOLLET, {}};
    event.data.u64 = wake_cookie;
    int32_t error = 0;
    if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
        error = os::last_error();
        close();
    }
    return error;
}

void EpollPoller::close() {
    if (wake_ >= 0) os::close(wake_);
    if (epoll_ >= 0) os::close(epoll_);
    epoll_ = wake_ = -1;
}

// What closes a kernel's object is its last number, and that is the parent's.
void EpollPoller::close_copy() { close(); }

int32_t EpollPoller::add(intptr_t fd, uint32_t index, uint32_t generation) {
    os::KeepErrno keep;
    epoll_event event = {EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, {}};
    event.data.u64 = uint64_t{generation} << 32 | index;
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, static_cast<int>(fd), &event) == 0 ? 0 : os::last_error();
}

// Closing alone would not do: a duplicate of the descriptor would keep the registration alive.
void EpollPoller::remove(intptr_t fd, uint32_t) {
    os::KeepErrno keep;
    epoll_event unused = {};
    epoll_ctl(epoll_, EPOLL_CTL_DEL, static_cast<int>(fd), &unused);
}

int32_t EpollPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    os::KeepErrno keep;
    epoll_event ready[batch];
    int limit = static_cast<int>(max < batch ? max : batch);
    int n = -1;
#ifdef SYS_epoll_pwait2
    if (timeout_ns > 0 && !coarse_) {
        const int64_t timespec64[] = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
        n = static_cast<int>(syscall(SYS_epoll_pwait2, epoll_, ready, limit, timespec64, nullptr, size_t{0}));
        coarse_ = n < 0 && (errno == ENOSYS || errno == EPERM); // EPERM: a seccomp filter of before 5.11
    }
    if (timeout_ns <= 0 || coarse_)
#endif
        n = epoll_wait(epoll_, ready, limit, to_ms_rounded_up(timeout_ns));
    if (n < 0) return errno == EINTR || errno == ENOSYS || errno == EPERM ? 0 : os::last_error();
    int32_t count = 0;
    for (int i = 0; i < n; i++) {
        uint64_t cookie = ready[i].data.u64;
        if (cookie == wake_cookie) continue;
        events[count++] = {static_cast<uint32_t>(cookie), static_cast<uint32_t>(cookie >> 32),
                           to_readiness(ready[i].events)};
    }
    return count;
}

void EpollPoller::wake() {
    os::KeepErrno keep;
    const uint64_t one = 1;
    // EAGAIN: the counter is full, so the event is pending already.
    while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

} // namespace zyntax

#endif // ZYNTAX_POLLER_IS_EPOLL
