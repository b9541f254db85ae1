// Listening, accepting, half-closing. Connecting is in a file of its own, as it brings the blocking pool.
#include "runtime.h"

using namespace zyntax;

namespace {

constexpr uint64_t retry_ns = 50'000'000; // accept without descriptors: two tries per promised 100 ms
constexpr int dead_connections = 64;      // taken off the queue in one call at most

// Out of descriptors or memory: the connection stays in the queue, and no event will tell when there are some again.
PollStatus retry_accept(Runtime *runtime, zyntax_op *op, Waker *waker, int64_t *result) {
    uint64_t now = runtime->now_ns();
    uint64_t deadline = now < never_ns - retry_ns ? now + retry_ns : never_ns;
    if (arm_timer(runtime, op, ZYNTAX_WAIT_READABLE, deadline, waker)) return POLL_PENDING;
    return ready(op, result, ZYNTAX_ENOMEM);
}

} // namespace

int32_t zyntax_tcp_listen(zyntax_runtime *runtime, const char *address, uint16_t port, zyntax_io **out) noexcept {
    os::Address parsed;
    if (!runtime || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    int32_t error = os::look_up(address ? address : "::", port, true, &parsed, 1);
    if (error < 0) return error == ZYNTAX_ENOMEM ? error : ZYNTAX_EINVAL;
    Io *io;
    error = reserve_io(runtime, &io);
    if (error) return error;
    intptr_t fd = os::listen(&parsed, !address, true);
    if (fd == ZYNTAX_EAFNOSUPPORT && !address && os::look_up("0.0.0.0", port, true, &parsed, 1) == 1) {
        fd = os::listen(&parsed, false, true); // a system without IPv6
    }
    if (fd < 0) {
        unreserve_io(runtime, io);
        return static_cast<int32_t>(fd);
    }
    error = register_io(runtime, io, fd, os::Kind::tcp, readable | writable, out);
    if (error) os::close(fd);
    else io->gives_no_delay = true;
    return error;
}

int32_t zyntax_tcp_port(zyntax_io *handle) noexcept {
    IoRef ref = find_io(handle);
    return ref.object ? os::local_port(ref.object->fd) : ZYNTAX_ESTALE;
}

int32_t zyntax_tcp_shutdown(zyntax_io *handle) noexcept {
    IoRef ref = find_io(handle);
    return ref.object ? os::shut_down_writes(ref.object->fd) : ZYNTAX_ESTALE;
}

PollStatus zyntax_tcp_accept(zyntax_io *listener, zyntax_op *op, Waker *waker, zyntax_io **out,
                             int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    IoRef ref = find_io(listener);
    Runtime *runtime = ref.runtime;
    if (!ref.object) return dead_handle(op, result);
    bool could_listen = ref.object->kind == os::Kind::tcp || ref.object->kind == os::Kind::socket;
    if (!out || !could_listen) return ready(op, result, ZYNTAX_EINVAL);
    if (Node *node = io_waiter(ref, op)) return still_pending(runtime, node, waker);
    if (!(ref.object->ready & readable)) return wait_io(ref, readable, op, waker, result);

    Io *io;
    int32_t error = reserve_io(runtime, &io);
    if (error) return ready(op, result, error);
    intptr_t fd = os::accept(ref.object->fd, !ref.object->gives_no_delay);
    for (int tries = 1; os::accept_passes(fd) && tries < dead_connections; tries++)
        fd = os::accept(ref.object->fd, !ref.object->gives_no_delay);
    if (fd >= 0) {
        error = register_io(runtime, io, fd, ref.object->kind, readable | writable, out);
        if (error) os::close(fd);
        return ready(op, result, error);
    }
    unreserve_io(runtime, io);
    if (fd == ZYNTAX_EAGAIN) {
        ref.object->ready &= ~readable;
        return wait_io(ref, readable, op, waker, result);
    }
    if (os::accept_exhausted(fd) || os::accept_passes(fd)) return retry_accept(runtime, op, waker, result);
    return ready(op, result, fd);
}
