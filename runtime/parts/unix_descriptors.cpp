// Descriptors that are passed over Unix-domain stream sockets, each with one zero byte.
#include "../../platform/unix_sockets.h"
#include "io.h"

using namespace zyntax;

namespace {

// Sends or receives. A receive is not tried while the poller reports nothing. A send always is, as it tells a bad
// descriptor.
template <class Try>
PollStatus pass_descriptor(zyntax_io *handle, zyntax_op *op_id, uint32_t direction, Waker *waker, int64_t *result,
                           Try try_it) {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    IoRef ref = find_io(handle);
    Io *io = ref.object;
    if (!io) return dead_handle(op_id, result);
    os::KeepErrors keep;
    if (Op *op = io_waiter(ref, direction, op_id)) return still_pending(ref.runtime, op, waker);
    int32_t error = os::check_unix_stream(io->fd, io->kind);
    if (error) return complete(op_id, result, error);
    if (direction == writable) io->readiness |= writable;
    int64_t n = try_transfer(io, direction, [try_it](const Io *to) { return int64_t{try_it(to->fd)}; });
    if (n != ZYNTAX_EAGAIN) return complete(op_id, result, n);
    return wait_io(ref, direction, op_id, waker, result);
}

} // namespace

PollStatus zyntax_unix_send_fd(zyntax_io *io, zyntax_op *op_id, intptr_t fd, Waker *waker, int64_t *result) noexcept {
    return pass_descriptor(io, op_id, writable, waker, result,
                           [=](intptr_t socket) { return os::send_descriptor(socket, fd); });
}

PollStatus zyntax_unix_recv_fd(zyntax_io *io, zyntax_op *op_id, intptr_t *fd, Waker *waker, int64_t *result) noexcept {
    if (!fd) return *refuse_arguments(op_id, result);
    return pass_descriptor(io, op_id, readable, waker, result,
                           [=](intptr_t socket) { return os::receive_descriptor(socket, fd); });
}
