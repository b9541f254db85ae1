// Listening, accepting, half-closing. A connection that was accepted is never lost. Connecting is in connect.cpp, as it
// needs the blocking pool.
#include "io.h"

using namespace zyntax;

namespace {

constexpr uint64_t retry_ns = 50'000'000; // without descriptors an accept tries twice in the promised 100 ms
constexpr int dead_connections = 64;      // at most skipped in one call

// Never called after the listener's end: that frees the timer and fires the resting accepts.
Io *listener_of(const Op *op) {
    const Handle *handle = handle_pool.at(op->source_word);
    assert(handle->kind == &io_kind);
    return static_cast<Io *>(handle->object);
}

// The rest is over: all accepts try again.
void retry_fired(Runtime *runtime, Op *timer) {
    Io *io = listener_of(timer);
    assert(io->listens && find_op(io->timers->retry) == timer);
    free_op(runtime, timer);
    io->readiness |= readable;
    fire_all(runtime, &io->readers);
}
constinit Source retry_source = {retry_fired, nullptr}; // only the listener has the op id

// The timer until which the listener's accepts rest, or null.
Op *resting_timer(Runtime *runtime, Io *io) { return io->timers ? pending_op(runtime, &io->timers->retry) : nullptr; }

// A resting accept is fired like any other operation. The cancel of the last one also ends the timer.
void resting_fired(Runtime *runtime, Op *op) {
    op->source = nullptr;
    fire(runtime, op);
}
void resting_canceled(Runtime *runtime, Op *op) {
    Io *io = listener_of(op);
    if (!io->readers.empty()) return;
    io->readiness |= readable;
    if (Op *timer = resting_timer(runtime, io)) free_op(runtime, timer);
}
constinit Source resting_source = {resting_fired, resting_canceled};

// A call of zyntax_tcp_accept with a live listener. Nothing is pending behind its op id.
struct Accept {
    IoRef listener;
    zyntax_op *op_id;
    Waker *waker;
    int64_t *result;
};

// The call goes on in the task's next poll.
PollStatus try_again(const Accept &call) {
    Runtime *runtime = call.listener.runtime;
    Op *op = arm(runtime, call.op_id, ZYNTAX_WAIT_READABLE, call.waker);
    if (!op) return not_armed(call.op_id, call.result);
    fire(runtime, op);
    return POLL_PENDING;
}

bool start_retry_timer(Runtime *runtime, Io *listener, uint64_t deadline_ns) {
    const Waker nobody = {};
    IoTimers *timers = timers_of(runtime, listener);
    Op *timer = timers ? arm_timer(runtime, &timers->retry, ZYNTAX_WAIT_READABLE, deadline_ns, &nobody) : nullptr;
    if (!timer) return false;
    timer->source = &retry_source;
    timer->source_word = listener->index;
    return true;
}

// Out of descriptors or memory: no event will report when there are some again, so a timer ends the wait. All accepts
// of the listener share that timer, and an accept that may not wait begins none. The poller is not asked, as it may
// report "readable" again and again.
PollStatus rest(const Accept &call) {
    auto [runtime, io] = call.listener;
    assert(!*call.op_id && io->listens);
    if (io->overdue & readable) return complete(call.op_id, call.result, ZYNTAX_ETIMEDOUT);
    bool rests = resting_timer(runtime, io);
    uint64_t now = rests ? 0 : runtime->now_ns();
    if (now >= never_ns - retry_ns) return try_again(call); // a timer would never fire
    Op *op = add_waiter(call.listener, readable, call.op_id, call.waker);
    if (!op) return not_armed(call.op_id, call.result);
    if (!rests && !start_retry_timer(runtime, io, now + retry_ns)) {
        free_op(runtime, op);
        return complete(call.op_id, call.result, ZYNTAX_ENOMEM);
    }
    op->source = &resting_source;
    op->source_word = io->index;
    io->readiness &= ~readable;
    return POLL_PENDING;
}

bool listens(Io *io) { return io->listens = io->listens || (os::is_socket(io->kind) && os::listens(io->fd)); }

// The kept connection, a new connection, or the error of accept.
intptr_t next_connection(Io *listener) {
    assert(listener->listens);
    intptr_t fd = listener->unregistered;
    listener->unregistered = -1;
    if (fd >= 0) return fd;
    bool set_no_delay = !listener->gives_no_delay && listener->kind != os::Kind::local;
    fd = os::accept(listener->fd, set_no_delay);
    for (int tries = 1; os::accept_passes(fd) && tries < dead_connections; tries++)
        fd = os::accept(listener->fd, set_no_delay);
    return fd;
}

// Ends a call that has a connection. The listener keeps a connection that the poller has no room for.
PollStatus hand_out(const Accept &call, Io *made, intptr_t fd, zyntax_io **out) {
    auto [runtime, listener] = call.listener;
    assert(fd >= 0 && listener->unregistered < 0);
    int32_t error = register_io(runtime, made, fd, listener->kind, readable | writable, out);
    if (os::accept_exhausted(error)) {
        listener->unregistered = fd;
        return rest(call);
    }
    if (error) os::close(fd);
    return complete(call.op_id, call.result, error);
}

PollStatus wait_for_client(const Accept &call) {
    call.listener.object->readiness &= ~readable;
    return wait_io(call.listener, readable, call.op_id, call.waker, call.result);
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
    error = register_new_io(runtime, io, fd, os::Kind::tcp, readable | writable, out);
    if (!error) io->gives_no_delay = io->listens = true;
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
    const Accept call = {ref, op_id, waker, result};
    bool is_last_try = io->overdue & readable;
    if (!is_last_try && resting_timer(runtime, io)) return rest(call);
    if (!is_last_try && !(io->readiness & readable) && io->unregistered < 0) return wait_for_client(call);

    Io *made;
    int32_t error = reserve_io(runtime, &made);
    if (error) return complete(op_id, result, error);
    intptr_t fd = next_connection(io);
    if (fd >= 0) return hand_out(call, made, fd, out);
    unreserve_io(runtime, made);
    if (fd == ZYNTAX_EAGAIN) return wait_for_client(call);
    if (os::accept_exhausted(fd)) return rest(call);
    // A descriptor that was closed elsewhere may name a socket that never listens, whose every accept is EOPNOTSUPP.
    if (os::accept_passes(fd) && os::listens(io->fd)) return try_again(call);
    return complete(op_id, result, fd);
}
