// I/O handles: a descriptor is registered once, edge-triggered, and what is known of its readiness is kept beside it.
// An operation tries first unless it is known that it would block, and waits only then.
#include "runtime.h"

namespace zyntax {

namespace {

constexpr uint32_t bits_of(uint32_t directions) {
    return (directions & readable ? readable | read_closed : 0) | (directions & writable ? writable | write_closed : 0);
}

Io *remove_io(const IoRef &ref) {
    Io *io = ref.io;
    ref.runtime->poller.remove(io->fd, ref.index);
    ref.runtime->ios.give(ref.index);
    fire_all(ref.runtime, &io->readers);
    fire_all(ref.runtime, &io->writers);
    fire_all(ref.runtime, &io->either);
    return io;
}

} // namespace

uint32_t reserve_io(Runtime *runtime) {
    uint32_t index = runtime->ios.take(runtime->next_handle());
    if (index == runtime->ios.none || runtime->poller.reserve(index)) return index;
    runtime->ios.give(index);
    return runtime->ios.none;
}

int32_t register_io(Runtime *runtime, uint32_t index, intptr_t fd, os::Kind kind, uint32_t ready, zyntax_io **out) {
    Io *io = runtime->ios.at(index);
    io->fd = fd;
    io->kind = kind;
    io->gives_no_delay = false;
    io->ready = ready;
    int32_t error = runtime->poller.add(fd, index, io->generation);
    if (error) {
        runtime->ios.give(index);
        return error;
    }
    *out = static_cast<zyntax_io *>(to_handle(runtime->inbox, io->generation, index));
    return 0;
}

IoRef find_io(zyntax_io *handle) {
    uint64_t bits = to_object(handle);
    Runtime *runtime = runtime_of(bits);
    if (!runtime) return {};
    check_thread(runtime);
    uint32_t index = object_index(bits);
    return {runtime, runtime->ios.find(index, object_generation(bits)), index};
}

PollStatus dead_io(zyntax_op *op, int64_t *result) {
    bool was_waiting = *op != 0;
    zyntax_op_cancel(op);
    return ready(nullptr, op, result, was_waiting ? ZYNTAX_ECANCELED : ZYNTAX_ESTALE);
}

PollStatus wait_io(const IoRef &ref, uint32_t directions, zyntax_op *op, Waker *waker, int64_t *result) {
    zyntax_wait waits = directions == writable ? ZYNTAX_WAIT_WRITABLE : ZYNTAX_WAIT_READABLE;
    Node *node = arm(ref.runtime, op, waits, waker);
    if (!node) return ready(ref.runtime, op, result, ZYNTAX_ENOMEM);
    Io *io = ref.io;
    Link &list = directions == readable ? io->readers : directions == writable ? io->writers : io->either;
    list.append(node);
    node->place = Node::io_waiters;
    ref.runtime->io_waiting++;
    ref.runtime->poller.want(io->fd, ref.index, directions);
    return POLL_PENDING;
}

// Everyone who waits is woken: who is first takes what is there, the others wait again.
void dispatch(Runtime *runtime, const Event &event) {
    Io *io = runtime->ios.find(event.index, event.generation);
    if (!io) {
        runtime->events_stale++;
        return;
    }
    io->ready |= event.ready;
    // Reads stop there: short no longer means empty.
    if (event.ready & urgent && io->kind == os::Kind::tcp) io->kind = os::Kind::socket;
    if (event.ready & bits_of(readable)) fire_all(runtime, &io->readers);
    if (event.ready & bits_of(writable)) fire_all(runtime, &io->writers);
    fire_all(runtime, &io->either);
}

void close_all_io(Runtime *runtime) {
    for (uint32_t index = 0; index < runtime->ios.end(); index++) {
        Io *io = runtime->ios.at(index);
        if (io->generation) os::close(remove_io({runtime, io, index})->fd);
    }
}

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_io_open(zyntax_runtime *runtime, intptr_t fd, zyntax_io **out) noexcept {
    if (!runtime || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::Kind kind;
    int32_t error = os::kind_of(fd, &kind);
    if (error) return error;
    uint32_t index = reserve_io(runtime);
    if (index == runtime->ios.none) return ZYNTAX_ENOMEM;
    zyntax_io *io;
    error = register_io(runtime, index, fd, kind, readable | writable, &io);
    if (error) return error;
    error = os::set_nonblocking(fd); // last, so that it need not be taken back: not every system can tell how it was
    if (error) remove_io({runtime, runtime->ios.at(index), index});
    else *out = io;
    return error;
}

int32_t zyntax_io_close(zyntax_io *handle) noexcept {
    IoRef ref = find_io(handle);
    if (!ref.io) return ZYNTAX_ESTALE;
    intptr_t fd = ref.io->fd;
    remove_io(ref);
    os::close(fd);
    return 0;
}

int32_t zyntax_io_detach(zyntax_io *handle, intptr_t *fd) noexcept {
    if (!fd) return ZYNTAX_EINVAL;
    IoRef ref = find_io(handle);
    if (!ref.io) return ZYNTAX_ESTALE;
    *fd = ref.io->fd;
    remove_io(ref);
    return 0;
}

intptr_t zyntax_io_fd(zyntax_io *handle) noexcept {
    IoRef ref = find_io(handle);
    return ref.io ? ref.io->fd : -1;
}

// The host may have read or written by itself, so that what was noted of the readiness is no answer: the kernel's is.
// An edge that comes between the question and the next wait is still reported by that wait.
PollStatus zyntax_io_ready(zyntax_io *handle, zyntax_op *op, uint32_t interest, Waker *waker,
                           int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    IoRef ref = find_io(handle);
    if (!ref.io) return dead_io(op, result);
    if (!interest || (interest & ~(readable | writable))) return ready(ref.runtime, op, result, ZYNTAX_EINVAL);
    if (Node *node = pending_node(ref.runtime, op)) return still_pending(ref.runtime, node, waker);
    uint32_t now = os::poll_now(ref.io->fd, interest);
    if (now) return ready(ref.runtime, op, result, now);
    ref.io->ready &= ~bits_of(interest);
    return wait_io(ref, interest, op, waker, result);
}

PollStatus zyntax_io_read(zyntax_io *handle, zyntax_op *op, void *buf, size_t len, Waker *waker,
                          int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    IoRef ref = find_io(handle);
    Io *io = ref.io;
    if (!io) return dead_io(op, result);
    if (!buf && len) return ready(ref.runtime, op, result, ZYNTAX_EINVAL);
    if (Node *node = pending_node(ref.runtime, op)) return still_pending(ref.runtime, node, waker);
    if (!len) return ready(ref.runtime, op, result, 0);
    if (io->ready & bits_of(readable)) {
        int64_t n = os::read(io->fd, io->kind, buf, len);
        if (n != ZYNTAX_EAGAIN) {
            // A short read has emptied the buffer: more comes with an event, and asking again can be saved.
            bool drained = n > 0 && static_cast<size_t>(n) < len && io->kind == os::Kind::tcp;
            if (drained) io->ready &= ~readable;
            return ready(ref.runtime, op, result, n);
        }
        io->ready &= ~bits_of(readable);
    }
    return wait_io(ref, readable, op, waker, result);
}

PollStatus zyntax_io_write(zyntax_io *handle, zyntax_op *op, const void *buf, size_t len, Waker *waker,
                           int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    IoRef ref = find_io(handle);
    Io *io = ref.io;
    if (!io) return dead_io(op, result);
    if (!buf && len) return ready(ref.runtime, op, result, ZYNTAX_EINVAL);
    if (Node *node = pending_node(ref.runtime, op)) return still_pending(ref.runtime, node, waker);
    if (!len) return ready(ref.runtime, op, result, 0);
    if (io->ready & bits_of(writable)) {
        int64_t n = os::write(io->fd, io->kind, buf, len);
        if (n != ZYNTAX_EAGAIN) {
            bool filled = n >= 0 && static_cast<size_t>(n) < len && io->kind == os::Kind::tcp;
            if (filled) io->ready &= ~writable;
            return ready(ref.runtime, op, result, n);
        }
        io->ready &= ~bits_of(writable);
    }
    return wait_io(ref, writable, op, waker, result);
}
