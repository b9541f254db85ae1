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
    bool is_empty, is_usable = are_usable(slices, n, &is_empty);
    return transfer(handle, op_id, direction, is_usable, is_empty, waker, result, try_it);
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
