// Unix-domain stream sockets: listening, connecting, pairs. A connection is accepted, read and written as any other.
//
// No event reports that a listener's full queue has room again, so a connect that waits tries again and again. Its
// socket is kept in a handle without a descriptor, which closes it if the runtime ends first, and in a forked child.
#include "../../platform/unix_sockets.h"
#include "io.h"

using namespace zyntax;

namespace {

constexpr uint64_t first_pause_ns = 1'000'000, longest_pause_ns = 50'000'000;

// A connect that waits. The op id names an operation in the timer wheel; this is its source.
struct UnixConnect : Source {
    os::UnixAddress address;
    zyntax_io *io; // keeps the socket
    uint64_t pause_ns;
};

// Reserves a handle that keeps a new socket as its `unregistered`.
int32_t open_unix_socket(Runtime *runtime, Io **out) {
    int32_t error = reserve_io(runtime, out);
    if (error) return error;
    intptr_t fd = os::unix_socket();
    if (fd >= 0) (*out)->unregistered = fd;
    else unreserve_io(runtime, *out);
    return fd >= 0 ? 0 : static_cast<int32_t>(fd);
}

// Ends a call whose socket is as wanted, or has failed with `error`; the socket is then closed.
int32_t finish_unix_socket(Runtime *runtime, Io *io, int32_t error, zyntax_io **out) {
    intptr_t fd = io->unregistered;
    io->unregistered = -1;
    assert(fd >= 0 && io->fd < 0);
    if (error) unreserve_io(runtime, io);
    else error = register_io(runtime, io, fd, os::unix_kind, readable | writable, out);
    if (error) os::close(fd);
    return error;
}

void unix_connect_fired(Runtime *runtime, Op *op) { wake_waiter(runtime, op); }

void unix_connect_canceled(Runtime *runtime, Op *op) {
    auto *self = static_cast<UnixConnect *>(op->source);
    zyntax_io_close(self->io);
    runtime->arena.give(self, sizeof(UnixConnect));
}

bool is_unix_connect(const Op *op) { return op->source && op->source->canceled == unix_connect_canceled; }

// The operation of a connect whose first try found a full queue; null without memory.
Op *begin_unix_wait(Runtime *runtime, zyntax_op *op_id, const os::UnixAddress &address, Io *io, const Waker *waker) {
    void *memory = runtime->arena.take(sizeof(UnixConnect));
    Op *op = memory ? arm(runtime, op_id, ZYNTAX_WAIT_WRITABLE, waker) : nullptr;
    if (!op) {
        if (memory) runtime->arena.give(memory, sizeof(UnixConnect));
        return nullptr;
    }
    auto *self = ::new (memory) UnixConnect();
    self->fired = unix_connect_fired;
    self->canceled = unix_connect_canceled;
    self->address = address;
    self->io = handle_of(io);
    self->pause_ns = first_pause_ns;
    op->source = self;
    return op;
}

// Connects that wait together soon try at different times. Otherwise one of them would get each free place, and the
// others would try in vain before the listener's task is polled.
uint64_t next_pause_ns(UnixConnect *self, uint64_t now) {
    uint64_t longest = self->pause_ns, mixed = (to_bits(self) ^ now) * 0x9E3779B97F4A7C15u;
    self->pause_ns = longest < longest_pause_ns / 2 ? longest * 2 : longest_pause_ns;
    return longest - (mixed >> 32) % (longest / 4);
}

PollStatus wait_for_queue(Runtime *runtime, Op *op, const Waker *waker) {
    auto *self = static_cast<UnixConnect *>(op->source);
    uint64_t now = runtime->now_ns(), pause = next_pause_ns(self, now);
    stop_waiting(runtime, op); // a host calls before its waker was called
    op->woken = false;
    if (now < never_ns - pause) runtime->timers.insert(op, now + pause);
    else wake_waiter(runtime, op); // the timer would never fire
    return still_pending(runtime, op, waker);
}

PollStatus try_once_more(Runtime *runtime, zyntax_op *op_id, Op *op, Waker *waker, zyntax_io **out, int64_t *result) {
    auto *self = static_cast<UnixConnect *>(op->source);
    Io *io = find_io(self->io).object;
    int32_t error = !io ? ZYNTAX_ECANCELED : !runtime->poller.reserve() ? ZYNTAX_ENOMEM : 0;
    if (!error) error = os::unix_connect(io->unregistered, &self->address);
    if (error == ZYNTAX_EAGAIN) return wait_for_queue(runtime, op, waker);
    if (io) error = finish_unix_socket(runtime, io, error, out);
    runtime->arena.give(self, sizeof(UnixConnect));
    free_op(runtime, op);
    return complete(op_id, result, error);
}

} // namespace

int32_t zyntax_unix_listen(zyntax_runtime *runtime, const char *path, size_t len, zyntax_io **out) noexcept {
    if (!runtime || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::KeepErrors keep;
    os::UnixAddress address;
    Io *io;
    int32_t error = os::to_unix_address(path, len, &address);
    if (error || (error = open_unix_socket(runtime, &io))) return error;
    error = os::unix_listen(io->unregistered, &address);
    if (!error) io->gives_no_delay = io->listens = true; // there is no delay
    return finish_unix_socket(runtime, io, error, out);
}

PollStatus zyntax_unix_connect(zyntax_runtime *runtime, zyntax_op *op_id, const char *path, size_t len, Waker *waker,
                               zyntax_io **out, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!runtime || !out) return refuse(op_id, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    os::KeepErrors keep;
    Op *op = my_op(runtime, op_id, is_unix_connect);
    if (op && op->woken) return try_once_more(runtime, op_id, op, waker, out, result);
    if (op) return still_pending(runtime, op, waker);
    os::UnixAddress address;
    Io *io;
    int32_t error = os::to_unix_address(path, len, &address);
    if (error || (error = open_unix_socket(runtime, &io))) return complete(op_id, result, error);
    error = os::unix_connect(io->unregistered, &address);
    if (error != ZYNTAX_EAGAIN) return complete(op_id, result, finish_unix_socket(runtime, io, error, out));
    op = begin_unix_wait(runtime, op_id, address, io, waker);
    if (op) return wait_for_queue(runtime, op, waker);
    finish_unix_socket(runtime, io, ZYNTAX_ENOMEM, out);
    return not_armed(op_id, result);
}

int32_t zyntax_unix_pair(zyntax_runtime *runtime, zyntax_io **one, zyntax_io **other) noexcept {
    if (!runtime || !one || !other || one == other) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::KeepErrors keep;
    Io *ios[2];
    zyntax_io *handles[2];
    intptr_t fds[2];
    int32_t error = reserve_io(runtime, &ios[0]);
    if (error) return error;
    error = reserve_io(runtime, &ios[1]);
    if (!error && (error = os::unix_pair(fds))) unreserve_io(runtime, ios[1]);
    if (error) {
        unreserve_io(runtime, ios[0]);
        return error;
    }
    for (int i = 0; i < 2; i++) ios[i]->unregistered = fds[i];
    error = finish_unix_socket(runtime, ios[0], 0, &handles[0]);
    int32_t second = finish_unix_socket(runtime, ios[1], error, &handles[1]);
    if (!error && second) zyntax_io_close(handles[0]);
    if (second) return second;
    *one = handles[0];
    *other = handles[1];
    return 0;
}
