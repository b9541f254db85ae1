#include "io_poller.h"

#ifdef ZYNTAX_POLLER_IS_KQUEUE

#include "posix.h"

#include <bit>
#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef EVFILT_USER
#error "this system's kqueue has no EVFILT_USER: -DZYNTAX_POLLER_POLL takes poll(2)"
#endif

namespace zyntax {

namespace {

constexpr uint32_t batch = 256;
constexpr int64_t ns_per_s = 1'000'000'000;
constexpr int64_t longest_s = 1'000'000; // several kernels refuse 10^8 seconds
constexpr uint32_t every_bit = readable | writable | read_closed | write_closed;

#if defined(__NetBSD__)
using Count = size_t;
#else
using Count = int;
#endif

struct kevent make_change(int fd, int filter, int flags, uint32_t index) {
    struct kevent change = {};
    change.ident = static_cast<uintptr_t>(fd);
    change.filter = static_cast<decltype(change.filter)>(filter);
    change.flags = static_cast<decltype(change.flags)>(flags);
    change.udata = reinterpret_cast<void *>(uintptr_t{index});
    return change;
}

// Applies all changes, whichever of them fail, and leaves in each one's `data` its error or 0. There is room for the
// receipts alone, so that no event is taken here; and as nothing waits, nothing is interrupted half-way.
template <int n> int32_t apply(int kqueue, struct kevent (&changes)[n]) {
    struct kevent receipts[n];
    const timespec at_once = {0, 0};
    int answers = kevent(kqueue, changes, n, receipts, n, &at_once);
    if (answers != n) return answers < 0 ? os::last_error() : int32_t{ZYNTAX_EIO};
    for (int i = 0; i < n; i++) changes[i].data = receipts[i].data;
    return 0;
}

// A descriptor that is gone has no filters left, a pipe without a reader had only one: no error is of interest.
void delete_filters(int kqueue, int fd) {
    struct kevent changes[] = {make_change(fd, EVFILT_READ, EV_DELETE | EV_RECEIPT, 0),
                               make_change(fd, EVFILT_WRITE, EV_DELETE | EV_RECEIPT, 0)};
    apply(kqueue, changes);
}

// Adds both filters under an index. ZYNTAX_EEXIST: they were there, and are now under this index.
int32_t add_filters(int kqueue, int fd, uint32_t index) {
    // EV_ADD changes a filter that is there without a word. The same without EV_ADD is ENOENT unless it is.
    // Reading comes last as libkqueue stops looking for the end of the stream when writing is added.
    struct kevent changes[] = {make_change(fd, EVFILT_READ, EV_CLEAR | EV_RECEIPT, index),
                               make_change(fd, EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_RECEIPT, index),
                               make_change(fd, EVFILT_READ, EV_ADD | EV_CLEAR | EV_RECEIPT, index)};
    int32_t error = apply(kqueue, changes);
    if (error == 0 && changes[0].data == 0) return ZYNTAX_EEXIST;
    auto write_error = static_cast<int>(changes[1].data);
    auto read_error = static_cast<int>(changes[2].data);
    // A pipe without a reader refuses to wait for room (NetBSD's word is EBADF). Nobody will: writing fails at once.
    if (read_error == 0 && (write_error == EPIPE || write_error == EBADF)) write_error = 0;
    int refused = read_error ? read_error : write_error;
    if (error == 0 && refused == 0) return 0;
    delete_filters(kqueue, fd);
    if (error) return error;
    return refused == EINVAL || refused == ENODEV ? int32_t{ZYNTAX_EPERM} : os::code_of(refused);
}

uint32_t to_readiness(const struct kevent &event) {
    bool ended = event.flags & EV_EOF;
    if (ended && event.fflags != 0) return every_bit; // the socket's error
    if (event.filter == EVFILT_WRITE) return ended ? writable | write_closed : writable;
    // Whether there is a mark in the stream, where a read stops, is not told.
    return (ended ? readable | read_closed : readable) | urgent;
}

} // namespace

int32_t KqueuePoller::open(Memory &memory) {
    os::KeepErrno keep;
    memory_ = &memory;
    kqueue_ = kqueue();
    struct kevent waker = make_change(0, EVFILT_USER, EV_ADD | EV_CLEAR, 0);
    int32_t error = 0;
    if (kqueue_ < 0 || fcntl(kqueue_, F_SETFD, FD_CLOEXEC) != 0 ||
        kevent(kqueue_, &waker, 1, nullptr, 0, nullptr) != 0) {
        error = os::last_error();
        close();
    }
    return error;
}

void KqueuePoller::close() {
    if (kqueue_ >= 0) os::close(kqueue_);
    kqueue_ = -1;
    memory_->give(added_, capacity_ * sizeof(Added));
    added_ = nullptr;
    capacity_ = 0;
}

// Kernels do not hand a queue down: its number may be another descriptor's in the child.
void KqueuePoller::close_copy() {
    kqueue_ = -1;
    close();
}

bool KqueuePoller::reserve(uint32_t index) {
    if (index < capacity_) return true;
    uint32_t capacity = std::bit_ceil(index + 1 < 16 ? 16 : index + 1);
    auto *added = static_cast<Added *>(memory_->take(capacity * sizeof(Added)));
    if (!added) return false;
    for (uint32_t i = 0; i < capacity; i++) added[i] = i < capacity_ ? added_[i] : Added{-1, 0};
    memory_->give(added_, capacity_ * sizeof(Added));
    added_ = added;
    capacity_ = capacity;
    return true;
}

int32_t KqueuePoller::add(intptr_t descriptor, uint32_t index, uint32_t generation) {
    os::KeepErrno keep;
    auto fd = static_cast<int>(descriptor);
    if (!reserve(index)) return ZYNTAX_ENOMEM;
    int32_t error = add_filters(kqueue_, fd, index);
    if (error == 0) added_[index] = {fd, generation};
    for (uint32_t other = 0; error == ZYNTAX_EEXIST && other < capacity_; other++) {
        if (added_[other].fd != fd) continue;
        add_filters(kqueue_, fd, other); // back to whose they are
        break;
    }
    return error;
}

void KqueuePoller::remove(intptr_t fd, uint32_t index) {
    os::KeepErrno keep;
    delete_filters(kqueue_, static_cast<int>(fd));
    added_[index].fd = -1; // the generation stays: it is stale from now on
}

int32_t KqueuePoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    os::KeepErrno keep;
    struct kevent ready[batch];
    auto limit = static_cast<Count>(max < batch ? max : batch);
    int64_t seconds = timeout_ns / ns_per_s;
    timespec timeout = {};
    timeout.tv_sec = static_cast<time_t>(seconds < longest_s ? seconds : longest_s);
    timeout.tv_nsec = static_cast<long>(timeout_ns % ns_per_s);
    int n = kevent(kqueue_, nullptr, 0, ready, limit, timeout_ns < 0 ? nullptr : &timeout);
    if (n < 0) return errno == EINTR ? 0 : os::last_error();
    int32_t count = 0;
    for (int i = 0; i < n; i++) {
        if (ready[i].filter == EVFILT_USER) continue;
        // The kernel forgets a removed filter at once: what it reports is of the index's present registration.
        auto index = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(ready[i].udata));
        uint32_t readiness = to_readiness(ready[i]);
        if (count > 0 && events[count - 1].index == index) events[count - 1].ready |= readiness; // the other filter
        else events[count++] = {index, added_[index].generation, readiness};
    }
    return count;
}

void KqueuePoller::wake() {
    os::KeepErrno keep;
    struct kevent trigger = make_change(0, EVFILT_USER, 0, 0);
    trigger.fflags = NOTE_TRIGGER;
    while (kevent(kqueue_, &trigger, 1, nullptr, 0, nullptr) < 0 && errno == EINTR) {
    }
}

intptr_t KqueuePoller::host_fd() {
#ifdef LIBKQUEUE
    return -1; // its descriptor stands for a pipe that nothing comes out of
#else
    return kqueue_;
#endif
}

} // namespace zyntax

#endif // ZYNTAX_POLLER_IS_KQUEUE
