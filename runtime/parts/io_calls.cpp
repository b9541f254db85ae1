// Handles for the host's descriptors, and the calls on them: ready, read, write.
#include "io.h"

using namespace zyntax;

namespace {

// ---- waiters for readiness ----

// Some descriptors report an event once (a ring of perf events), and the poller has taken that report: the waiting
// operation receives the set of its event. Bits of source_word, high to low: the handle's index, the set, the interest.
constexpr uint32_t set_shift = 2, set_bits = 3u << set_shift, index_shift = 4;

// Sockets and pipes stay ready until they are used, and a host may have used them since the event: for these the kernel
// is asked again. For other descriptors the event counts, even if no operation has received it.
bool answers_once(const Io *io) { return io->kind == os::Kind::other || io->kind == os::Kind::flagged_other; }

void ready_fired(Runtime *runtime, Op *op) {
    auto *io = static_cast<const Io *>(handle_pool.at(op->source_word >> index_shift)->object);
    assert(op->place == Op::nowhere && !(op->source_word & set_bits));
    uint32_t set = io->reported & op->source_word & (readable | writable);
    if (set) {
        op->source_word |= set << set_shift;
        return wake_waiter(runtime, op);
    }
    op->source = nullptr; // no event: the kernel is asked
    fire(runtime, op);
}
constinit Source ready_source = {ready_fired, nullptr};

} // namespace

int32_t zyntax_io_open(zyntax_runtime *runtime, intptr_t fd, zyntax_io **out) noexcept {
    if (!runtime || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::KeepErrors keep;
    os::Kind kind;
    Io *io;
    int32_t error = os::kind_of(fd, &kind);
    if (error || (error = reserve_io(runtime, &io))) return error;
    const Io *twin = io_of(runtime, fd);
    if (twin && runtime->poller.knows(fd, to_bits(handle_of(twin)))) {
        unreserve_io(runtime, io);
        return ZYNTAX_EEXIST;
    }
    zyntax_io *handle;
    error = register_io(runtime, io, fd, kind, readable | writable, &handle);
    if (error) return error;
    assert(io_of(runtime, fd) == io);
    bool was_blocking = false;
    error = os::set_nonblocking(fd, &was_blocking); // last: not every system can undo it
    if (error) {
        remove_io(runtime, io);
        return error;
    }
    io->was_blocking = was_blocking;
    *out = handle;
    return 0;
}

int32_t zyntax_io_close(zyntax_io *handle) noexcept {
    os::KeepErrors keep;
    IoRef ref = find_io(handle);
    if (!ref.object) return ZYNTAX_ESTALE;
    close_io(ref.runtime, ref.object);
    return 0;
}

int32_t zyntax_io_detach(zyntax_io *handle, intptr_t *fd) noexcept {
    if (!fd) return ZYNTAX_EINVAL;
    os::KeepErrors keep;
    IoRef ref = find_io(handle);
    if (!ref.object) return ZYNTAX_ESTALE;
    *fd = remove_io(ref.runtime, ref.object);
    return *fd >= 0 ? 0 : ZYNTAX_EBADF;
}

intptr_t zyntax_io_fd(zyntax_io *handle) noexcept {
    IoRef ref = find_io(handle);
    return ref.object ? ref.object->fd : -1;
}

// The host may have read or written by itself, so the noted readiness may be wrong: the kernel is asked. An edge
// between that question and the next wait is still reported by that wait.
PollStatus zyntax_io_ready(zyntax_io *handle, zyntax_op *op_id, uint32_t interest, Waker *waker,
                           int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    IoRef ref = find_io(handle);
    Io *io = ref.object;
    if (!io) return dead_handle(op_id, result);
    if (!interest || (interest & ~(readable | writable))) return refuse(op_id, result, ZYNTAX_EINVAL);
    uint32_t source_word = io->index << index_shift | interest;
    auto is_it = [source_word](const Op *n) {
        return n->source == &ready_source && (n->source_word & ~set_bits) == source_word;
    };
    Op *op = *op_id ? my_op(ref.runtime, op_id, is_it) : nullptr;
    if (op && !op->woken && interrupted_by(op_id) != ref.runtime) return still_pending(ref.runtime, op, waker);
    uint32_t set = op && answers_once(io) ? (op->source_word & set_bits) >> set_shift : 0;
    if (op) free_op(ref.runtime, op);
    os::KeepErrors keep;
    if (!set) set = os::poll_now(io->fd, interest) | (answers_once(io) ? io->reported & interest : 0);
    io->reported &= ~interest;
    if (set) return complete(op_id, result, set);
    io->readiness &= ~bits_of(interest);
    if (wait_io(ref, interest, op_id, waker, result) == POLL_READY) return POLL_READY;
    op = find_op(*op_id);
    assert(op && !op->source);
    op->source = &ready_source;
    op->source_word = source_word;
    return POLL_PENDING;
}

PollStatus zyntax_io_read(zyntax_io *handle, zyntax_op *op_id, void *buf, size_t len, Waker *waker,
                          int64_t *result) noexcept {
    return transfer(handle, op_id, readable, buf || !len, !len, waker, result, [=](Io *io) {
        int64_t n = os::read(io->fd, &io->kind, buf, len);
        // A short read has emptied the buffer: an event will report more data, and a second read is saved.
        bool drained = n > 0 && static_cast<size_t>(n) < len && os::short_read_empties(io->kind);
        if (drained) io->readiness &= ~readable;
        return n;
    });
}

PollStatus zyntax_io_write(zyntax_io *handle, zyntax_op *op_id, const void *buf, size_t len, Waker *waker,
                           int64_t *result) noexcept {
    // A short write does not mean that the buffer is full: the readable memory may have ended. The next write tells.
    return transfer(handle, op_id, writable, buf || !len, !len, waker, result,
                    [=](Io *io) { return os::write(io->fd, &io->kind, buf, len); });
}
