// UDP: opening and connecting sockets, datagrams, multicast groups. A datagram is never split, joined or kept here.
#include "io.h"

using namespace zyntax;

namespace {

// The kind of datagrams of a handle. 0, or ZYNTAX_EOPNOTSUPP: it is no datagram socket; or another error.
int32_t find_datagrams(Io *io) {
    if (io->datagrams != os::Datagrams::unknown) return 0;
    if (io->kind != os::Kind::messages) return ZYNTAX_EOPNOTSUPP;
    os::KeepErrors keep;
    return os::datagrams_of(io->fd, &io->datagrams);
}

// A call that sends or receives.
struct DatagramCall {
    zyntax_op *op_id;
    Waker *waker;
    int64_t *result;
    uint32_t direction;
    IoRef ref = {};
};

// The answer of a call that ends before it tries. Otherwise call->ref is alive, nothing is pending behind the op id,
// and *target is the system's address for `to`, unless that is null.
Answer begin_datagram(DatagramCall *call, zyntax_io *handle, const void *buf, size_t len, const zyntax_address *to,
                      os::Address *target) {
    auto [op_id, waker, result, direction, ref] = *call;
    if (Answer answer = answer_at_once(op_id, waker, result)) return answer;
    call->ref = ref = find_io(handle);
    if (!ref.object) return {dead_handle(op_id, result)};
    int32_t error = !buf && len ? int32_t{ZYNTAX_EINVAL} : find_datagrams(ref.object);
    if (!error && to) error = os::address_for(ref.object->datagrams, *to, target);
    if (error) return {refuse(op_id, result, error)};
    if (Op *op = io_waiter(ref, direction, op_id)) return {still_pending(ref.runtime, op, waker)};
    return {};
}

template <class Try> PollStatus transfer_datagram(const DatagramCall &call, Try try_it) {
    int64_t n = try_transfer(call.ref.object, call.direction, try_it);
    if (n != ZYNTAX_EAGAIN) return complete(call.op_id, call.result, n);
    return wait_io(call.ref, call.direction, call.op_id, call.waker, call.result);
}

} // namespace

int32_t zyntax_udp_open(zyntax_runtime *runtime, const zyntax_address *local, uint32_t flags,
                        zyntax_io **out) noexcept {
    if (!runtime || !out || (flags & ~uint32_t{ZYNTAX_LISTEN_SHARED})) return ZYNTAX_EINVAL;
    if (local && local->family != 4 && local->family != 6) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::KeepErrors keep;
    Io *io;
    int32_t error = reserve_io(runtime, &io);
    if (error) return error;
    intptr_t fd = os::open_datagrams(local, flags & ZYNTAX_LISTEN_SHARED, &io->datagrams);
    return register_new_io(runtime, io, fd, os::Kind::messages, readable | writable, out);
}

int32_t zyntax_udp_connect(zyntax_io *handle, const zyntax_address *peer) noexcept {
    IoRef ref = find_io(handle);
    if (!ref.object) return ZYNTAX_ESTALE;
    os::KeepErrors keep;
    os::Address name;
    int32_t error = peer && !peer->port ? int32_t{ZYNTAX_EINVAL} : find_datagrams(ref.object);
    if (!error && peer) error = os::address_for(ref.object->datagrams, *peer, &name);
    return error ? error : os::connect_datagrams(ref.object->fd, peer ? &name : nullptr);
}

PollStatus zyntax_udp_send(zyntax_io *handle, zyntax_op *op_id, const void *buf, size_t len, const zyntax_address *to,
                           Waker *waker, int64_t *result) noexcept {
    DatagramCall call = {op_id, waker, result, writable};
    os::Address target;
    if (Answer answer = begin_datagram(&call, handle, buf, len, to, &target)) return *answer;
    return transfer_datagram(call, [&](Io *io) { return os::send_datagram(io->fd, buf, len, to ? &target : nullptr); });
}

PollStatus zyntax_udp_recv(zyntax_io *handle, zyntax_op *op_id, void *buf, size_t len, zyntax_address *from,
                           Waker *waker, int64_t *result) noexcept {
    DatagramCall call = {op_id, waker, result, readable};
    if (Answer answer = begin_datagram(&call, handle, buf, len, nullptr, nullptr)) return *answer;
    return transfer_datagram(call, [=](Io *io) { return os::receive_datagram(io->fd, buf, len, from); });
}

int32_t zyntax_udp_member(zyntax_io *handle, const zyntax_address *group, uint32_t interface_index,
                          int32_t join) noexcept {
    IoRef ref = find_io(handle);
    if (!ref.object) return ZYNTAX_ESTALE;
    if (!group || (join != 0 && join != 1)) return ZYNTAX_EINVAL;
    os::KeepErrors keep;
    Io *io = ref.object;
    int32_t error = find_datagrams(io);
    return error ? error : os::set_member(io->fd, io->datagrams, *group, interface_index, join);
}
