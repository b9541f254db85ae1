// io_uring: each descriptor has a multishot poll, which is edge-triggered. The kernel writes completions whose 64 bits
// are the generation and the place of a poll.
#include "../../platform/io_poller.h"

#include <algorithm>
#include <assert.h>
#include <poll.h>
#include <sys/eventfd.h>

namespace zyntax {

namespace {

constexpr uint32_t submission_places = 256, completion_places = 4096;
// Without POLLPRI: every arrival of data would report it.
constexpr uint32_t every_edge = POLLIN | POLLOUT | POLLRDHUP;
constexpr uint64_t nobody = ~uint64_t{0}; // of completions that are not read

uint32_t readiness_of(uint32_t events) {
    uint32_t ready = 0;
    if (events & POLLIN) ready |= readable;
    if (events & POLLOUT) ready |= writable;
    if (events & POLLRDHUP) ready |= readable | read_closed;
    if (events & (POLLERR | POLLHUP)) ready |= everything;
    return ready;
}

void *to_registration(uint32_t place) { return reinterpret_cast<void *>(uintptr_t{place}); }
uint32_t to_place(void *registration) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(registration)); }

} // namespace

int32_t UringPoller::open(Memory &memory) {
    memory_ = &memory;
    int32_t error = reserve() ? uring_.open(submission_places, completion_places) : int32_t{ZYNTAX_ENOMEM};
    if (!error && (wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) error = os::last_error();
    if (error) {
        close();
        return error;
    }
    watched_[0] = {0, 0, wake_, POLLIN}; // each write is one event, and the counter is never read
    arm(0);
    return 0;
}

// A copy closes its own descriptors and mappings only: the kernel's objects stay open in the parent.
void UringPoller::close(bool) {
    uring_.close();
    if (wake_ >= 0) os::close(wake_);
    if (memory_) block_.give(*memory_);
    *this = {};
}

bool UringPoller::reserve() {
    if (free_ || end_ < capacity_) return true;
    uint32_t capacity = capacity_ ? capacity_ * 2 : 16;
    auto *watched = static_cast<Watched *>(memory_->take(capacity * sizeof(Watched)));
    if (!watched) return false;
    std::copy_n(watched_, capacity_, watched);
    std::fill(watched + capacity_, watched + capacity, Watched{});
    watched_ = watched;
    capacity_ = capacity;
    block_.replace(*memory_, watched, capacity * sizeof(Watched));
    return true;
}

void UringPoller::arm(uint32_t place) {
    Watched &watched = watched_[place];
    io_uring_sqe *poll = uring_.next();
    poll->opcode = IORING_OP_POLL_ADD;
    poll->fd = watched.fd;
    poll->len = IORING_POLL_ADD_MULTI;
    poll->poll32_events = watched.edges;
    poll->user_data = uint64_t{watched.generation} << 32 | place;
}

// A poll that is being completed is canceled, too.
void UringPoller::disarm(uint32_t place) {
    Watched &watched = watched_[place];
    io_uring_sqe *cancel = uring_.next();
    cancel->opcode = IORING_OP_ASYNC_CANCEL;
    cancel->flags = IOSQE_CQE_SKIP_SUCCESS;
    cancel->addr = uint64_t{watched.generation++} << 32 | place;
    cancel->user_data = nobody;
}

int32_t UringPoller::add(intptr_t fd, uintptr_t word, void **registration) {
    assert(word && fd >= 0);
    if (!reserve()) return ZYNTAX_ENOMEM;
    uint32_t place = free_ ? free_ : end_++;
    Watched &watched = watched_[place];
    if (free_) free_ = static_cast<uint32_t>(watched.fd);
    uint32_t edges = *registration ? every_edge & ~uint32_t{POLLOUT} : every_edge;
    watched = {word, watched.generation, static_cast<int>(fd), edges};
    *registration = to_registration(place);
    arm(place);
    return host_waits_ ? uring_.enter(0, 0) : 0;
}

// At once, as the poll keeps the file open: its peer would not see the end.
bool UringPoller::remove(intptr_t, void *registration) {
    uint32_t place = to_place(registration);
    assert(place > 0 && place < end_ && watched_[place].word);
    disarm(place);
    watched_[place] = {0, watched_[place].generation, static_cast<int>(free_), 0};
    free_ = place;
    uring_.enter(0, 0);
    return true;
}

// Every edge is reported, except those of room to write that only a waiting writer needs.
void UringPoller::want(intptr_t, void *registration, uint32_t directions) {
    uint32_t place = to_place(registration);
    Watched &watched = watched_[place];
    assert(place > 0 && place < end_ && watched.word);
    if (!(directions & writable) || (watched.edges & POLLOUT)) return;
    disarm(place);
    watched.edges |= POLLOUT;
    arm(place); // also reports room that is there already
    if (host_waits_) uring_.enter(0, 0);
}

// The readiness that a completion reports. A poll ends when the ring has no room for its completion, and with the
// thread that has submitted it.
uint32_t UringPoller::ready_of(const io_uring_cqe &completion) {
    auto place = static_cast<uint32_t>(completion.user_data);
    if (completion.user_data == nobody || watched_[place].generation != completion.user_data >> 32) return 0;
    uint32_t ready = completion.res == -ECANCELED ? 0 : everything;
    if (completion.res >= 0) ready = readiness_of(static_cast<uint32_t>(completion.res));
    if (!(completion.flags & IORING_CQE_F_MORE) && (ready & everything) != everything) arm(place);
    return ready;
}

int32_t UringPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    bool has_some = uring_.first() != uring_.end();
    if (!has_some || uring_.has_submissions()) {
        int32_t error = uring_.enter(has_some || timeout_ns == 0 ? 0 : 1, timeout_ns);
        if (error) return error;
    }
    uint32_t count = 0, index = uring_.first();
    for (uint32_t end = uring_.end(); index != end && count < max; index++) {
        uint32_t ready = ready_of(uring_.at(index));
        uintptr_t word = ready ? watched_[static_cast<uint32_t>(uring_.at(index).user_data)].word : 0;
        if (word) events[count++] = {word, ready};
    }
    uring_.free_until(index);
    return static_cast<int32_t>(count);
}

// EAGAIN: the counter is full, so an event is pending.
void UringPoller::wake() {
    const uint64_t one = 1;
    while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

intptr_t UringPoller::host_fd() {
    host_waits_ = true;
    uring_.enter(0, 0);
    return uring_.fd();
}

} // namespace zyntax
