#include "io_poller.h"

#ifdef ZYNTAX_POLLER_IS_POLL

#include "posix.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

namespace zyntax {

namespace {

#ifdef POLLRDHUP
constexpr short end_of_stream = POLLRDHUP;
#else
constexpr short end_of_stream = 0; // then it is readable alone, and so again whenever somebody waits
#endif

// POLLPRI is not asked for: it lasts until the urgent byte is read, which nobody does. What follows it is POLLIN.
short to_events(uint32_t directions) {
    return static_cast<short>((directions & readable ? POLLIN | end_of_stream : 0) |
                              (directions & writable ? POLLOUT : 0));
}

uint32_t to_readiness(short events) {
    uint32_t ready = 0;
    if (events & POLLIN) ready |= readable;
    if (events & POLLOUT) ready |= writable;
    if (events & end_of_stream) ready |= readable | read_closed;
    if (events & (POLLERR | POLLHUP | POLLNVAL)) ready |= readable | writable | read_closed | write_closed;
    return ready;
}

// A timeout that is rounded to nothing would spin; one that is too long for its type would turn negative.
int poll_for(pollfd *asked, uint32_t count, int64_t timeout_ns) {
#if defined(__linux__) || defined(__FreeBSD__)
    int64_t seconds = timeout_ns / 1'000'000'000;
    timespec timeout = {};
    timeout.tv_sec = static_cast<time_t>(seconds > INT32_MAX ? INT32_MAX : seconds);
    timeout.tv_nsec = static_cast<long>(timeout_ns % 1'000'000'000);
    return ppoll(asked, count, timeout_ns < 0 ? nullptr : &timeout, nullptr);
#else
    int64_t ms = timeout_ns / 1'000'000 + (timeout_ns % 1'000'000 > 0);
    return poll(asked, count, timeout_ns < 0 ? -1 : ms > INT32_MAX ? INT32_MAX : static_cast<int>(ms));
#endif
}

void drain(int pipe) {
    char bytes[64];
    while (::read(pipe, bytes, sizeof bytes) == sizeof bytes) {
    }
}

} // namespace

int32_t PollPoller::open(Memory &memory) {
    memory_ = &memory;
    int32_t error = grow() ? os::open_pipe(pipe_) : int32_t{ZYNTAX_ENOMEM};
    if (error) close();
    return error;
}

void PollPoller::close() {
    for (int &end : pipe_) {
        if (end >= 0) os::close(end);
        end = -1;
    }
    memory_->give(asked_, block_size(capacity_));
    asked_ = nullptr;
    capacity_ = end_ = 0;
}

// What closes a pipe is its last number, and that is the parent's.
void PollPoller::close_copy() { close(); }

size_t PollPoller::block_size(uint32_t capacity) {
    return (capacity + 1) * sizeof(pollfd) + capacity * sizeof(Watched);
}

bool PollPoller::grow() {
    uint32_t capacity = capacity_ ? capacity_ * 2 : 16;
    auto *asked = static_cast<pollfd *>(memory_->take(block_size(capacity)));
    if (!asked) return false;
    auto *watched = reinterpret_cast<Watched *>(asked + capacity + 1);
    for (uint32_t i = 0; i < capacity; i++) watched[i] = i < capacity_ ? watched_[i] : Watched();
    memory_->give(asked_, block_size(capacity_));
    asked_ = asked;
    watched_ = watched;
    capacity_ = capacity;
    return true;
}

bool PollPoller::reserve(uint32_t index) {
    while (index >= capacity_) {
        if (!grow()) return false;
    }
    return true;
}

int32_t PollPoller::add(intptr_t fd, uint32_t index, uint32_t generation) {
    for (uint32_t i = 0; i < end_; i++) {
        if (watched_[i].fd == fd) return ZYNTAX_EEXIST;
    }
    if (!reserve(index)) return ZYNTAX_ENOMEM;
    watched_[index] = {static_cast<int>(fd), generation, 0};
    if (index >= end_) end_ = index + 1;
    return 0;
}

void PollPoller::remove(intptr_t, uint32_t index) { watched_[index] = {}; }

void PollPoller::want(intptr_t, uint32_t index, uint32_t directions) {
    watched_[index].events = static_cast<short>(watched_[index].events | to_events(directions));
}

// Only what is waited for is asked about: a hang-up that interests nobody cannot spin, and the kernel, which refuses
// more entries than there may be descriptors, sees no gaps. Begins with what the last wait had no room for.
int32_t PollPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    os::KeepErrno keep;
    const uint32_t begin = first_ < end_ ? first_ : 0;
    auto index_at = [&](uint32_t place) { return begin + place < end_ ? begin + place : begin + place - end_; };
    uint32_t asked = 0;
    for (uint32_t place = 0; place < end_; place++) {
        const Watched &w = watched_[index_at(place)];
        if (w.events) asked_[asked++] = {w.fd, w.events, 0};
    }
    pollfd *wake = asked_ + asked;
    *wake = {pipe_[0], POLLIN, 0};
    if (!asked && pipe_[0] < 0 && timeout_ns < 0) return ZYNTAX_EDEADLK; // no wake can come: it would never end
    int n = poll_for(asked_, asked + (pipe_[0] >= 0), timeout_ns);
    if (n <= 0) return n == 0 || errno == EINTR || errno == EAGAIN ? 0 : os::last_error();
    if (wake->revents) drain(pipe_[0]);

    uint32_t count = 0;
    const pollfd *answer = asked_;
    for (uint32_t place = 0; answer != wake; place++) {
        uint32_t index = index_at(place);
        Watched &w = watched_[index];
        if (!w.events) continue;
        uint32_t ready = to_readiness((answer++)->revents);
        if (!ready) continue;
        if (count == max) {
            first_ = index;
            break;
        }
        w.events = static_cast<short>(w.events & ~to_events(ready));
        events[count++] = {index, w.generation, ready};
    }
    return static_cast<int32_t>(count);
}

// EAGAIN: the pipe is full, so a wake is pending already.
void PollPoller::wake() {
    os::KeepErrno keep;
    const char byte = 0;
    while (::write(pipe_[1], &byte, 1) < 0 && errno == EINTR) {
    }
}

} // namespace zyntax

#endif // ZYNTAX_POLLER_IS_POLL
