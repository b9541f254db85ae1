// I/O handles: a descriptor is registered once, edge-triggered, and what is known of its readiness is kept beside it.
// An operation tries first unless it is known that it would block, and waits only then.
#include "runtime.h"

#include <string.h>

namespace zyntax {

namespace {

constexpr uint32_t bits_of(uint32_t directions) {
    return (directions & readable ? readable | read_closed : 0) | (directions & writable ? writable | write_closed : 0);
}

// A descriptor that was blocking is so again when its handle goes: others may have it, too, as the shell has a
// terminal. But the flag belongs to the open file. If another handle shares that, it stays as the loop needs it, and
// the duty is the other handle's from then on.
void restore_blocking(Runtime *runtime, const Io *io) {
    if (!io->was_blocking) return;
    uint64_t file = runtime->given_nonblocking ? os::file_identity(io->fd) : 0;
    os::set_blocking(io->fd);
    if (!file) return;
    each_io(runtime, [&](Io *other) {
        if (!file || other == io || other->file != file) return;
        if (!os::is_blocking(other->fd)) return; // the same file, opened on its own
        os::set_nonblocking(other->fd, &other->was_blocking);
        file = 0;
    });
}

// Ends a handle and gives its descriptor back as it came; who waits is woken and finds a dead handle.
intptr_t remove_io(Runtime *runtime, Io *io) {
    intptr_t fd = io->fd;
    runtime->poller.remove(fd, io->registration);
    Io **place = runtime->ios.place_of(fd);
    if (*place == io) *place = io->next;
    restore_blocking(runtime, io);
    if (io->unregistered >= 0) os::close(io->unregistered);
    if (Node *timer = pending_node(runtime, &io->retry)) free_node(runtime, timer);
    if (io->file) runtime->given_nonblocking--;
    fire_all(runtime, &io->readers);
    fire_all(runtime, &io->writers);
    fire_all(runtime, &io->either);
    unreserve_io(runtime, io);
    return fd;
}

} // namespace

bool IoTable::reserve(uint64_t count) {
    if (count <= count_) return true;
    uint32_t count_before = count_, doubled = count_ ? count_ * 2 : 16;
    auto **chains = static_cast<Io **>(memory_.take(doubled * sizeof(Io *)));
    if (!chains) return false;
    Io **before = chains_;
    chains_ = static_cast<Io **>(memset(chains, 0, doubled * sizeof(Io *)));
    count_ = doubled;
    for (uint32_t i = 0; i < count_before; i++) {
        while (Io *io = before[i]) {
            before[i] = io->next;
            io->next = nullptr;
            *place_of(io->fd) = io;
        }
    }
    memory_.give(before, count_before * sizeof(Io *));
    return true;
}

int32_t reserve_io(Runtime *runtime, Io **out) {
    if (runtime->is_ending) return ZYNTAX_ECANCELED; // nobody would close it
    bool has_room = runtime->poller.reserve() && runtime->ios.reserve(runtime->io_open + 1);
    void *memory = has_room ? runtime->arena.take(sizeof(Io)) : nullptr;
    void *handle = memory ? take_handle(runtime, Handle::io, memory) : nullptr;
    if (!handle) {
        if (memory) runtime->arena.give(memory, sizeof(Io));
        return ZYNTAX_ENOMEM;
    }
    *out = ::new (memory) Io();
    (*out)->handle = handle;
    runtime->io_open++;
    return 0;
}

void unreserve_io(Runtime *runtime, Io *io) {
    give_handle(runtime, io->handle);
    runtime->arena.give(io, sizeof(Io));
    runtime->io_open--;
}

int32_t register_io(Runtime *runtime, Io *io, intptr_t fd, os::Kind kind, uint32_t ready, zyntax_io **out) {
    io->fd = fd;
    io->kind = kind;
    io->ready = ready;
    int32_t error = runtime->poller.add(fd, to_bits(io->handle), &io->registration);
    if (error) {
        unreserve_io(runtime, io);
        return error;
    }
    assert(io->handle && io->fd >= 0);
    Io **place = runtime->ios.place_of(fd); // one that is there was closed behind our back
    io->next = *place ? (*place)->next : nullptr;
    *place = io;
    *out = static_cast<zyntax_io *>(io->handle);
    return 0;
}

IoRef find_io(zyntax_io *handle) {
    Ref<void> ref = find_object(handle, Handle::io);
    return {ref.runtime, static_cast<Io *>(ref.object)};
}

static Ring *waiters_of(Io *io, uint32_t directions) {
    return directions == readable ? &io->readers : directions == writable ? &io->writers : &io->either;
}

Node *io_waiter(const IoRef &ref, uint32_t directions, zyntax_op *op) {
    const Ring *ring = waiters_of(ref.object, directions);
    return my_node(ref.runtime, op,
                   [ring](const Node *node) { return node->place == Node::io_waiting && node->ring == ring; });
}

Node *join_waiters(const IoRef &ref, uint32_t directions, zyntax_op *op, Waker *waker) {
    zyntax_wait waits = directions == writable ? ZYNTAX_WAIT_WRITABLE : ZYNTAX_WAIT_READABLE;
    Node *node = arm(ref.runtime, op, waits, waker);
    if (!node) return nullptr;
    wait_in(waiters_of(ref.object, directions), node, Node::io_waiting);
    ref.runtime->io_waiting++;
    return node;
}

PollStatus wait_io(const IoRef &ref, uint32_t directions, zyntax_op *op, Waker *waker, int64_t *result) {
    if (!join_waiters(ref, directions, op, waker)) return ready(op, result, ZYNTAX_ENOMEM);
    ref.runtime->poller.want(ref.object->fd, ref.object->registration, directions);
    return POLL_PENDING;
}

// Everyone who waits is woken: who is first takes what is there, the others wait again.
void dispatch(Runtime *runtime, const Event &event) {
    const Handle *handle = find_alive(handles, event.word);
    bool is_ours = handle && handle->owner.load(std::memory_order_relaxed) == runtime->inbox->id;
    if (!is_ours || handle->kind != Handle::io) {
        runtime->events_stale++;
        return;
    }
    auto *io = static_cast<Io *>(handle->object);
    io->ready |= event.ready;
    // Reads stop there: short no longer means empty.
    if (event.ready & urgent && io->kind == os::Kind::tcp) io->kind = os::Kind::socket;
    if (event.ready & bits_of(readable)) fire_all(runtime, &io->readers);
    if (event.ready & bits_of(writable)) fire_all(runtime, &io->writers);
    fire_all(runtime, &io->either);
}

// Reads or writes: tries, unless that is known to block, and waits if it does.
template <class Try>
static inline PollStatus transfer(zyntax_io *handle, zyntax_op *op, uint32_t direction, const void *buf, size_t len,
                                  Waker *waker, int64_t *result, Try try_it) {
    if (!valid(op, waker, result)) return POLL_READY;
    IoRef ref = find_io(handle);
    Io *io = ref.object;
    if (!io) return dead_handle(op, result);
    if (!buf && len) return refuse(op, result, ZYNTAX_EINVAL);
    if (Node *node = io_waiter(ref, direction, op)) return still_pending(ref.runtime, node, waker);
    if (!len) return ready(op, result, 0);
    if (io->ready & bits_of(direction)) {
        os::KeepErrors keep;
        int64_t n = try_it(io);
        if (n != ZYNTAX_EAGAIN) return ready(op, result, n);
        io->ready &= ~bits_of(direction);
    }
    return wait_io(ref, direction, op, waker, result);
}

void close_all_io(Runtime *runtime) {
    each_io(runtime, [runtime](Io *io) { os::close(remove_io(runtime, io)); });
}

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_io_open(zyntax_runtime *runtime, intptr_t fd, zyntax_io **out) noexcept {
    if (!runtime || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::KeepErrors keep;
    os::Kind kind;
    Io *io;
    int32_t error = os::kind_of(fd, &kind);
    if (error || (error = reserve_io(runtime, &io))) return error;
    const Io *twin = *runtime->ios.place_of(fd);
    if (twin && runtime->poller.knows(fd, to_bits(twin->handle))) {
        unreserve_io(runtime, io);
        return ZYNTAX_EEXIST;
    }
    zyntax_io *handle;
    error = register_io(runtime, io, fd, kind, readable | writable, &handle);
    if (error) return error;
    bool was_blocking = false;
    error = os::set_nonblocking(fd, &was_blocking); // last: not every system could take it back
    if (error) {
        remove_io(runtime, io);
        return error;
    }
    io->was_blocking = was_blocking;
    if (!was_blocking) io->file = os::file_identity(fd);
    if (io->file) runtime->given_nonblocking++;
    *out = handle;
    return 0;
}

int32_t zyntax_io_close(zyntax_io *handle) noexcept {
    os::KeepErrors keep;
    IoRef ref = find_io(handle);
    if (!ref.object) return ZYNTAX_ESTALE;
    os::close(remove_io(ref.runtime, ref.object));
    return 0;
}

int32_t zyntax_io_detach(zyntax_io *handle, intptr_t *fd) noexcept {
    if (!fd) return ZYNTAX_EINVAL;
    os::KeepErrors keep;
    IoRef ref = find_io(handle);
    if (!ref.object) return ZYNTAX_ESTALE;
    *fd = remove_io(ref.runtime, ref.object);
    return 0;
}

intptr_t zyntax_io_fd(zyntax_io *handle) noexcept {
    IoRef ref = find_io(handle);
    return ref.object ? ref.object->fd : -1;
}

// The host may have read or written by itself, so that what was noted of the readiness is no answer: the kernel's is.
// An edge that comes between the question and the next wait is still reported by that wait.
PollStatus zyntax_io_ready(zyntax_io *handle, zyntax_op *op, uint32_t interest, Waker *waker,
                           int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    IoRef ref = find_io(handle);
    if (!ref.object) return dead_handle(op, result);
    if (!interest || (interest & ~(readable | writable))) return refuse(op, result, ZYNTAX_EINVAL);
    if (Node *node = io_waiter(ref, interest, op)) return still_pending(ref.runtime, node, waker);
    os::KeepErrors keep;
    uint32_t now = os::poll_now(ref.object->fd, interest);
    if (now) return ready(op, result, now);
    ref.object->ready &= ~bits_of(interest);
    return wait_io(ref, interest, op, waker, result);
}

PollStatus zyntax_io_read(zyntax_io *handle, zyntax_op *op, void *buf, size_t len, Waker *waker,
                          int64_t *result) noexcept {
    return transfer(handle, op, readable, buf, len, waker, result, [=](Io *io) {
        int64_t n = os::read(io->fd, io->kind, buf, len);
        // A short read has emptied the buffer: more comes with an event, and asking again can be saved.
        bool drained = n > 0 && static_cast<size_t>(n) < len && io->kind == os::Kind::tcp;
        if (drained) io->ready &= ~readable;
        return n;
    });
}

PollStatus zyntax_io_write(zyntax_io *handle, zyntax_op *op, const void *buf, size_t len, Waker *waker,
                           int64_t *result) noexcept {
    // A short write may have met the end of the readable memory as well as that of the room: the next one tells.
    return transfer(handle, op, writable, buf, len, waker, result,
                    [=](const Io *io) { return os::write(io->fd, io->kind, buf, len); });
}
