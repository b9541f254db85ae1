// Reads and writes of several slices of memory at once.
#include "../../platform/vectors.h"
#include "io.h"

using namespace zyntax;

namespace {

// Whether all slices can be used, as a buffer of zyntax_io_read can. *empty: they have no byte.
bool are_usable(const zyntax_slice *slices, size_t n, bool *empty) {
    *empty = true;
    if (!slices) return n == 0;
    for (size_t i = 0; i < n; i++) {
        if (!slices[i].data && slices[i].len) return false;
        *empty = *empty && !slices[i].len;
    }
    return true;
}

template <class Try>
PollStatus transfer_slices(zyntax_io *handle, zyntax_op *op_id, uint32_t direction, const zyntax_slice *slices,
                           size_t n, Waker *waker, int64_t *result, Try try_it) {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    IoRef ref = find_io(handle);
    Io *io = ref.object;
    bool empty;
    if (!io) return dead_handle(op_id, result);
    if (!are_usable(slices, n, &empty)) return refuse(op_id, result, ZYNTAX_EINVAL);
    if (Op *op = io_waiter(ref, direction, op_id)) return still_pending(ref.runtime, op, waker);
    bool is_message = direction == writable && io->kind == os::Kind::messages;
    if (empty && !is_message) return complete(op_id, result, 0);
    int64_t done = try_transfer(io, direction, try_it);
    if (done != ZYNTAX_EAGAIN) return complete(op_id, result, done);
    return wait_io(ref, direction, op_id, waker, result);
}

} // namespace

PollStatus zyntax_io_readv(zyntax_io *handle, zyntax_op *op_id, const zyntax_slice *slices, size_t n, Waker *waker,
                           int64_t *result) noexcept {
    return transfer_slices(handle, op_id, readable, slices, n, waker, result, [=](Io *io) {
        size_t asked;
        int64_t done = os::read_slices(io->fd, &io->kind, slices, n, &asked);
        // As in zyntax_io_read.
        bool drained = done > 0 && static_cast<size_t>(done) < asked && os::short_read_empties(io->kind);
        if (drained) io->readiness &= ~readable;
        return done;
    });
}

PollStatus zyntax_io_writev(zyntax_io *handle, zyntax_op *op_id, const zyntax_slice *slices, size_t n, Waker *waker,
                            int64_t *result) noexcept {
    return transfer_slices(handle, op_id, writable, slices, n, waker, result,
                           [=](Io *io) { return os::write_slices(io->fd, &io->kind, slices, n); });
}
