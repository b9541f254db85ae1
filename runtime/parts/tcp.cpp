// Listening, accepting, half-closing; a connection that was accepted is never lost. Connecting is in a file of its own,
// as it brings the blocking pool.
#include "io.h"

using namespace zyntax;

namespace {

constexpr uint64_t retry_ns = 50'000'000; // accept without descriptors: two tries per promised 100 ms
constexpr int dead_connections = 64;      // taken off the queue in one call at most

// A listener takes its timer with it, and lives while operations are in its rings.
Io *listener_of(const Op *op) { return static_cast<Io *>(handle_pool.at(op->source_word)->object); }

// The rest is over: those who have waited since try again.
void retry_fired(Runtime *runtime, Op *timer) {
    Io *io = listener_of(timer);
    free_op(runtime, timer);
    io->readiness |= readable;
    fire_all(runtime, &io->readers);
}
void retry_canceled(Runtime *, Op *) {} // by nobody: the op is the listener's
constinit Source retry_source = {retry_fired, retry_canceled};

// An accept that rests is fired as any other operation; the last one that is canceled takes the timer with it.
void resting_fired(Runtime *runtime, Op *op) {
    op->source = nullptr;
    fire(runtime, op);
}
void resting_canceled(Runtime *runtime, Op *op) {
    Io *io = listener_of(op);
    if (!io->readers.empty()) return;
    io->readiness |= readable;
    if (Op *timer = pending_op(runtime, &io->retry)) free_op(runtime, timer);
}
constinit Source resting_source = {resting_fired, resting_canceled};

// Goes on in the next poll.
PollStatus try_again(Runtime *runtime, zyntax_op *op_id, Waker *waker, int64_t *result) {
    Op *op = arm(runtime, op_id, ZYNTAX_WAIT_READABLE, waker);
    if (!op) return complete(op_id, result, ZYNTAX_ENOMEM);
    fire(runtime, op);
    return POLL_PENDING;
}

// Out of descriptors or memory: the connection stays in the queue, and no event will tell when there are some again.
// All accepts of the listener rest until one timer; the poller is not asked, as it may say "readable" again and again.
PollStatus rest(const IoRef &ref, zyntax_op *op_id, Waker *waker, int64_t *result) {
    Io *io = ref.object;
    if (!pending_op(ref.runtime, &io->retry)) {
        const Waker nobody = {};
        uint64_t now = ref.runtime->now_ns();
        if (now >= never_ns - retry_ns) return try_again(ref.runtime, op_id, waker, result);
        Op *timer = arm_timer(ref.runtime, &io->retry, ZYNTAX_WAIT_READABLE, now + retry_ns, &nobody);
        if (!timer) return complete(op_id, result, ZYNTAX_ENOMEM);
        timer->source = &retry_source;
        timer->source_word = handle_index(to_bits(io->handle));
    }
    io->readiness &= ~readable;
    Op *op = add_waiter(ref, readable, op_id, waker);
    if (!op) return complete(op_id, result, ZYNTAX_ENOMEM);
    op->source = &resting_source;
    op->source_word = handle_index(to_bits(io->handle));
    return POLL_PENDING;
}

bool listens(Io *io) { return io->listens = io->listens || (os::is_socket(io->kind) && os::listens(io->fd)); }

// A connection, or the error of accept.
intptr_t next_connection(Io *listener) {
    intptr_t fd = listener->unregistered;
    listener->unregistered = -1;
    if (fd >= 0) return fd;
    fd = os::accept(listener->fd, !listener->gives_no_delay);
    for (int tries = 1; os::accept_passes(fd) && tries < dead_connections; tries++)
        fd = os::accept(listener->fd, !listener->gives_no_delay);
    return fd;
}

} // namespace

int32_t zyntax_tcp_listen(zyntax_runtime *runtime, const char *address, uint16_t port, zyntax_io **out) noexcept {
    check_thread(runtime);
    return zyntax_tcp_listen_with(runtime, address, port, 0, out);
}

int32_t zyntax_tcp_listen_with(zyntax_runtime *runtime, const char *address, uint16_t port, uint32_t flags,
                               zyntax_io **out) noexcept {
    os::Address parsed;
    bool shared = flags & ZYNTAX_LISTEN_SHARED;
    if (!runtime || !out || (flags & ~uint32_t{ZYNTAX_LISTEN_SHARED})) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::KeepErrors keep;
    int32_t error = os::look_up(address ? address : "::", port, true, &parsed, 1);
    if (error < 0) return error == ZYNTAX_ENOMEM ? error : ZYNTAX_EINVAL;
    Io *io;
    error = reserve_io(runtime, &io);
    if (error) return error;
    intptr_t fd = os::listen(&parsed, !address, shared);
    if (fd == ZYNTAX_EAFNOSUPPORT && !address && os::look_up("0.0.0.0", port, true, &parsed, 1) == 1) {
        fd = os::listen(&parsed, false, shared); // a system without IPv6
    }
    if (fd < 0) {
        unreserve_io(runtime, io);
        return static_cast<int32_t>(fd);
    }
    error = register_io(runtime, io, fd, os::Kind::tcp, readable | writable, out);
    if (error) os::close(fd);
    else io->gives_no_delay = io->listens = true;
    return error;
}

int32_t zyntax_tcp_port(zyntax_io *handle) noexcept {
    os::KeepErrors keep;
    IoRef ref = find_io(handle);
    return ref.object ? os::local_port(ref.object->fd) : ZYNTAX_ESTALE;
}

int32_t zyntax_tcp_shutdown(zyntax_io *handle) noexcept {
    os::KeepErrors keep;
    IoRef ref = find_io(handle);
    return ref.object ? os::shut_down_writes(ref.object->fd) : ZYNTAX_ESTALE;
}

PollStatus zyntax_tcp_accept(zyntax_io *listener, zyntax_op *op_id, Waker *waker, zyntax_io **out,
                             int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    IoRef ref = find_io(listener);
    Runtime *runtime = ref.runtime;
    if (!ref.object) return dead_handle(op_id, result);
    os::KeepErrors keep;
    Io *io = ref.object;
    if (!out || !listens(io)) return refuse(op_id, result, ZYNTAX_EINVAL);
    if (Op *op = io_waiter(ref, readable, op_id)) return still_pending(runtime, op, waker);
    if (pending_op(runtime, &io->retry)) return rest(ref, op_id, waker, result);
    if (!(io->readiness & readable) && io->unregistered < 0) return wait_io(ref, readable, op_id, waker, result);

    Io *made;
    int32_t error = reserve_io(runtime, &made);
    if (error) return complete(op_id, result, error);
    intptr_t fd = next_connection(io);
    if (fd >= 0) {
        error = register_io(runtime, made, fd, io->kind, readable | writable, out);
        if (os::accept_exhausted(error)) {
            io->unregistered = fd;
            return rest(ref, op_id, waker, result);
        }
        if (error) os::close(fd);
        return complete(op_id, result, error);
    }
    unreserve_io(runtime, made);
    if (fd == ZYNTAX_EAGAIN) {
        io->readiness &= ~readable;
        return wait_io(ref, readable, op_id, waker, result);
    }
    if (os::accept_exhausted(fd)) return rest(ref, op_id, waker, result);
    if (os::accept_passes(fd)) return try_again(runtime, op_id, waker, result);
    return complete(op_id, result, fd);
}
