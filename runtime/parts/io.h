// I/O handles: descriptors that are registered with the poller, with the operations that wait for them.
#pragma once

#include "../../platform/datagrams.h"
#include "../runtime.h"

namespace zyntax {

// Bits of Event::ready and directions.
class Bits {
public:
    Bits &operator=(uint32_t bits) {
        assert(bits <= UINT8_MAX);
        bits_ = static_cast<uint8_t>(bits);
        return *this;
    }
    Bits &operator|=(uint32_t bits) { return *this = bits_ | bits; }
    Bits &operator&=(uint32_t bits) { return *this = bits_ & bits; }
    operator uint32_t() const { return bits_; } // NOLINT(google-explicit-constructor): a set of bits as any other

private:
    uint8_t bits_ = 0;
};

// The timers that few descriptors have. The op ids are stale once their timer has ended.
struct IoTimers {
    zyntax_op retry = 0;                             // a listener's, until which its accepts rest
    zyntax_op deadline = 0;                          // for the next of the deadlines
    uint64_t deadlines_ns[2] = {never_ns, never_ns}; // of reading and writing
};

// A registered descriptor. An idle connection is this, a handle and an operation.
struct Io {
    void *registration = nullptr;  // the poller's
    Io *next = nullptr;            // in the chain of IoTable
    IoTimers *timers = nullptr;    // made with the first of them
    intptr_t fd = -1;              // -1: not registered; or closed elsewhere, and another handle has the number
    intptr_t unregistered = -1;    // a listener's connection that the poller had no room for; or the socket of a Unix
                                   // connect that waits; or -1
    uint32_t index = 0;            // of the handle
    Ring readers, writers, either; // operations that wait for a direction, or for either of both
    Bits readiness;                // worth a try. Set by events, cleared by "would block"
    Bits reported;                 // the same bits. Set by events, cleared by tries and by zyntax_io_ready
    Bits overdue; // directions whose deadline is over: calls try, and never wait. Set by io_deadline.cpp
    os::Kind kind = os::Kind::other;
    bool gives_no_delay = false; // set for a listener of ours: accepted sockets have TCP_NODELAY
    bool listens = false;        // set when the system has said so, never cleared
    bool was_blocking = false;   // set when it was opened as such: blocking again when its handle ends
    os::Datagrams datagrams{};   // set when it was opened as such, or by the first call for datagrams; else unknown
};
static_assert(sizeof(Io) <= 64);

using IoRef = Ref<Io>;

ZYNTAX_INTERNAL extern const HandleKind io_kind;
inline IoRef find_io(zyntax_io *handle) { return find<Io>(handle, &io_kind); }
zyntax_io *handle_of(const Io *);

// The handle's timers, made when they are needed first; null without memory.
IoTimers *timers_of(Runtime *, Io *);

// A handle is made in two steps, so that a lack of memory is found before there is a descriptor to lose. reserve_io
// returns 0 with *out, or an error. register_io frees *io when it fails.
int32_t reserve_io(Runtime *, Io **out);
void unreserve_io(Runtime *, Io *);
int32_t register_io(Runtime *, Io *, intptr_t fd, os::Kind, uint32_t ready, zyntax_io **out);

// As register_io, with a descriptor that was made for the handle, or the error of making it. Closes the descriptor when
// it fails.
int32_t register_new_io(Runtime *, Io *, intptr_t fd, os::Kind, uint32_t ready, zyntax_io **out);

// The open handle with this descriptor, or null.
const Io *io_of(Runtime *, intptr_t fd);

// Ends a handle and fires its operations, which then find a dead handle. Returns the descriptor, in the mode in which
// it was opened, or -1 if the host or another library has closed it.
intptr_t remove_io(Runtime *, Io *);
void close_io(Runtime *, Io *); // as remove_io, and closes the descriptor

// The bits that end a wait for these directions: ready, and closed.
constexpr uint32_t bits_of(uint32_t directions) {
    return (directions & readable ? readable | read_closed : 0) | (directions & writable ? writable | write_closed : 0);
}

// The operation of *op_id if it waits for this handle and these directions, and goes on waiting. Most op ids are zero.
Op *find_io_waiter(const IoRef &, uint32_t directions, zyntax_op *op_id);
inline Op *io_waiter(const IoRef &ref, uint32_t directions, zyntax_op *op_id) {
    return *op_id ? find_io_waiter(ref, directions, op_id) : nullptr;
}

// A new operation that waits for these directions; null without memory.
Op *add_waiter(const IoRef &, uint32_t directions, zyntax_op *op_id, Waker *waker);

// Ends a call whose task waits until the poller reports one of these directions, or their deadline is over.
PollStatus wait_io(const IoRef &, uint32_t directions, zyntax_op *op_id, Waker *waker, int64_t *result);

// The result of a transfer. It is not tried if it is known to block and the call may wait. ZYNTAX_EAGAIN: the call has
// to wait.
template <class Try> inline int64_t try_transfer(Io *io, uint32_t direction, Try try_it) {
    if (!(io->readiness & bits_of(direction)) && !(io->overdue & direction)) return ZYNTAX_EAGAIN;
    os::KeepErrors keep;
    io->reported &= ~direction;
    int64_t n = try_it(io);
    if (n == ZYNTAX_EAGAIN) io->readiness &= ~bits_of(direction);
    return n;
}

// Reads or writes. `is_usable`: the memory may be accessed; `is_empty`: it has no byte.
template <class Try>
inline PollStatus transfer(zyntax_io *handle, zyntax_op *op_id, uint32_t direction, bool is_usable, bool is_empty,
                           Waker *waker, int64_t *result, Try try_it) {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    IoRef ref = find_io(handle);
    Io *io = ref.object;
    if (!io) return dead_handle(op_id, result);
    if (!is_usable) return refuse(op_id, result, ZYNTAX_EINVAL);
    if (Op *op = io_waiter(ref, direction, op_id)) return still_pending(ref.runtime, op, waker);
    bool is_message = direction == writable && io->kind == os::Kind::messages;
    if (is_empty && !is_message) return complete(op_id, result, 0);
    int64_t n = try_transfer(io, direction, try_it);
    if (n != ZYNTAX_EAGAIN) return complete(op_id, result, n);
    return wait_io(ref, direction, op_id, waker, result);
}

} // namespace zyntax
