// kqueue: both filters of a descriptor are registered once and cleared as they are reported.
#include "io_poller.h"

#ifdef ZYNTAX_POLLER_IS_KQUEUE

#include "posix.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/event.h>

#ifndef EVFILT_USER
#error "this system's kqueue has no EVFILT_USER; -DZYNTAX_POLLER_POLL selects poll(2)"
#endif

namespace zyntax {

namespace {

struct kevent make_change(intptr_t fd, int filter, int flags, uintptr_t word) {
    struct kevent change = {};
    change.ident = static_cast<uintptr_t>(fd);
    change.filter = static_cast<decltype(change.filter)>(filter);
    change.flags = static_cast<decltype(change.flags)>(flags);
    change.udata = reinterpret_cast<void *>(word);
    return change;
}

// Applies all changes, whichever of them fail, and leaves in each one's `data` its error or 0. There is room for the
// receipts alone, so that no event is taken here; and as nothing waits, nothing is interrupted half-way.
template <int n> int32_t apply(int kqueue, struct kevent (&changes)[n]) {
    struct kevent receipts[n];
    const timespec at_once = {0, 0};
    for (struct kevent &change : changes) change.flags |= EV_RECEIPT;
    int answers = kevent(kqueue, changes, n, receipts, n, &at_once);
    if (answers != n) return answers < 0 ? os::last_error() : int32_t{ZYNTAX_EIO};
    for (int i = 0; i < n; i++) changes[i].data = receipts[i].data;
    return 0;
}

uint32_t to_readiness(const struct kevent &event) {
    bool ended = event.flags & EV_EOF;
    if (ended && event.fflags != 0) return everything; // the socket's error
    if (event.filter == EVFILT_WRITE) return ended ? writable | write_closed : writable;
    // Whether there is a mark in the stream, where a read stops, is not told.
    return (ended ? readable | read_closed : readable) | urgent;
}

} // namespace

int32_t KqueuePoller::open(Memory &) {
    assert(kqueue_ < 0);
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

// Kernels do not hand a queue down: its number may be another descriptor's in the child.
void KqueuePoller::close(bool of_a_copy) {
    if (kqueue_ >= 0 && !of_a_copy) os::close(kqueue_);
    kqueue_ = -1;
}

int32_t KqueuePoller::add(intptr_t fd, uintptr_t word, void **) {
    assert(word);
    // Reading comes last as libkqueue stops looking for the end of the stream when writing is added.
    struct kevent changes[] = {make_change(fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, word),
                               make_change(fd, EVFILT_READ, EV_ADD | EV_CLEAR, word)};
    int32_t error = apply(kqueue_, changes);
    auto write_error = static_cast<int>(changes[0].data), read_error = static_cast<int>(changes[1].data);
    // A pipe without a reader refuses to wait for room (NetBSD's word is EBADF). Nobody will: writing fails at once.
    if (read_error == 0 && (write_error == EPIPE || write_error == EBADF)) write_error = 0;
    int refused = read_error ? read_error : write_error;
    if (error == 0 && refused == 0) return 0;
    remove(fd, nullptr);
    if (error) return error;
    return refused == EINVAL || refused == ENODEV ? int32_t{ZYNTAX_EPERM} : os::code_of(refused);
}

// A descriptor that is gone has no filters left, a pipe without a reader had only one: no error is of interest.
bool KqueuePoller::remove(intptr_t fd, void *) {
    struct kevent changes[] = {make_change(fd, EVFILT_READ, EV_DELETE, 0), make_change(fd, EVFILT_WRITE, EV_DELETE, 0)};
    if (apply(kqueue_, changes) != 0) return true;
    auto is_gone = [](const struct kevent &change) { return change.data == ENOENT || change.data == EBADF; };
    return !is_gone(changes[0]) || !is_gone(changes[1]);
}

// A change without EV_ADD finds a filter that is there, and this one changes nothing.
bool KqueuePoller::knows(intptr_t fd, uintptr_t word) {
    struct kevent same[] = {make_change(fd, EVFILT_READ, EV_CLEAR, word)};
    return apply(kqueue_, same) == 0 && same[0].data == 0;
}

int32_t KqueuePoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    assert(kqueue_ >= 0 && max > 0);
    struct kevent ready[batch];
    auto limit = static_cast<int>(max < batch ? max : batch);
    timespec timeout = os::to_timeout(timeout_ns);
    int n = kevent(kqueue_, nullptr, 0, ready, limit, timeout_ns < 0 ? nullptr : &timeout);
    if (n < 0) return errno == EINTR ? 0 : os::last_error();
    int32_t count = 0;
    for (int i = 0; i < n; i++) {
        if (ready[i].filter == EVFILT_USER) continue;
        auto word = reinterpret_cast<uintptr_t>(ready[i].udata);
        uint32_t readiness = to_readiness(ready[i]);
        if (count > 0 && events[count - 1].word == word) events[count - 1].ready |= readiness; // the other filter
        else events[count++] = {word, readiness};
    }
    return count;
}

void KqueuePoller::wake() {
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
