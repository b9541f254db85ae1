// poll(2): the array has the wanted directions and no others. A reported direction is not wanted any more.
#include "io_poller.h"

#ifdef ZYNTAX_POLLER_IS_POLL

#include "posix.h"

#include <algorithm>
#include <assert.h>
#include <poll.h>

namespace zyntax {

namespace {

int poll_for(pollfd *asked, uint32_t count, int64_t timeout_ns) {
#if defined(__linux__) || defined(__FreeBSD__)
    timespec timeout = os::to_timeout(timeout_ns);
    int n = ppoll(asked, count, timeout_ns < 0 ? nullptr : &timeout, nullptr);
    if (n >= 0 || errno == EINTR) return n; // a sandbox may refuse it
#endif
    return poll(asked, count, os::to_ms_rounded_up(timeout_ns));
}

void *to_registration(uint32_t place) { return reinterpret_cast<void *>(uintptr_t{place}); }
uint32_t to_place(void *registration) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(registration)); }

} // namespace

int32_t PollPoller::open(Memory &memory) {
    assert(!asked_);
    memory_ = &memory;
    int32_t error = reserve() ? os::open_pipe(pipe_) : int32_t{ZYNTAX_ENOMEM};
    if (error) close();
    else asked_[0] = {pipe_[0], POLLIN, 0};
    assert((error == 0) == (asked_ != nullptr));
    return error;
}

// A copy closes its own descriptors only: the pipe stays open in the parent.
void PollPoller::close(bool) {
    for (int end : pipe_) {
        if (end >= 0) os::close(end);
    }
    block_.give(*memory_);
    *this = {};
}

bool PollPoller::reserve() {
    if (end_ < capacity_) return true;
    static_assert(sizeof(pollfd) == sizeof(uint64_t));
    uint32_t capacity = capacity_ ? capacity_ * 2 : 16;
    auto *asked = static_cast<pollfd *>(memory_->take(block_size(capacity)));
    if (!asked) return false;
    auto *watched = reinterpret_cast<Watched *>(asked + capacity);
    std::copy_n(asked_, capacity_, asked);
    std::copy_n(watched_, capacity_, watched);
    asked_ = asked;
    watched_ = watched;
    capacity_ = capacity;
    block_.replace(*memory_, asked, block_size(capacity));
    assert(end_ < capacity_);
    return true;
}

int32_t PollPoller::add(intptr_t, uintptr_t word, void **registration) {
    assert(word);
    if (!reserve()) return ZYNTAX_ENOMEM;
    asked_[end_] = {-1, 0, 0};
    watched_[end_] = {word, registration};
    *registration = to_registration(end_++);
    return 0;
}

bool PollPoller::remove(intptr_t, void *registration) {
    uint32_t place = to_place(registration);
    assert(place > 0 && place < end_ && watched_[place].word);
    assert(*watched_[place].registration == registration);
    asked_[place] = asked_[--end_];
    watched_[place] = watched_[end_];
    *watched_[place].registration = to_registration(place);
    return true;
}

void PollPoller::want(intptr_t fd, void *registration, uint32_t directions) {
    uint32_t place = to_place(registration);
    assert(place > 0 && place < end_ && fd >= 0);
    assert(directions && !(directions & ~(readable | writable)));
    asked_[place].fd = static_cast<int>(fd);
    asked_[place].events = static_cast<short>(asked_[place].events | os::to_poll_events(directions));
}

// The kernel sees wanted directions only: an unwanted hang-up cannot make waits spin. The array has no gaps, as kernels
// refuse more entries than the process may have descriptors. Starts where the last wait had no more room.
int32_t PollPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    assert(end_ > 0 && end_ <= capacity_ && max > 0);
    auto is_asked = [](const pollfd &asked) { return asked.fd >= 0; };
    if (timeout_ns < 0 && std::none_of(asked_, asked_ + end_, is_asked)) return ZYNTAX_EDEADLK; // it would never return
    int n = poll_for(asked_, end_, timeout_ns);
    if (n <= 0) return n == 0 || errno == EINTR || errno == EAGAIN ? 0 : os::last_error();
    char bytes[64];
    while (asked_[0].revents && ::read(pipe_[0], bytes, sizeof bytes) == sizeof bytes) {
    }
    uint32_t count = 0;
    for (uint32_t left = end_ - 1; left > 0 && count < max; left--, next_++) {
        if (next_ >= end_) next_ = 1;
        pollfd &asked = asked_[next_];
        uint32_t ready = os::to_readiness(asked.revents);
        if (ready) events[count++] = {watched_[next_].word, ready};
        asked.events = static_cast<short>(asked.events & ~os::to_poll_events(ready));
        if (!asked.events) asked.fd = -1;
    }
    assert(next_ > 0 && count <= max);
    return static_cast<int32_t>(count);
}

// EAGAIN: the pipe is full, so a wake is pending.
void PollPoller::wake() {
    while (::write(pipe_[1], "", 1) < 0 && errno == EINTR) {
    }
}

} // namespace zyntax

#endif // ZYNTAX_POLLER_IS_POLL
