// Ports: the calls that wait. See port.h.
#include "port.h"
#include "turns.h"

using namespace zyntax;

namespace {

void free_port_waiter(Runtime *runtime, PortWaiter *waiter) { runtime->arena.give(waiter, sizeof(PortWaiter)); }

// The end of a waiter's call. The waiter is in no list, so that no thread sends its message; a message that is on its
// way frees the record.
void forget_port_waiter(Runtime *runtime, PortWaiter *waiter) {
    assert(waiter->state == PortWaiter::apart || waiter->state == PortWaiter::orphaned);
    runtime->inbox->holds.fetch_sub(1, std::memory_order_seq_cst);
    waiter->op = nullptr;
    if (!waiter->is_sent) free_port_waiter(runtime, waiter);
}

void port_waiter_canceled(Runtime *runtime, Op *op) {
    auto *waiter = static_cast<PortWaiter *>(op->source);
    {
        HeldPort port(waiter->port);
        if (waiter->state != PortWaiter::orphaned) {
            waiter->side->remove(waiter);
            port->settle();
        }
    }
    forget_port_waiter(runtime, waiter);
}

void port_message_arrived(Runtime *runtime, Message *message) {
    auto *waiter = static_cast<PortWaiter *>(message);
    PortWaiter::State state;
    {
        HeldPort port(waiter->port);
        waiter->is_sent = false;
        state = waiter->state;
    }
    Op *op = waiter->op;
    if (!op) return free_port_waiter(runtime, waiter);
    assert(op->source == waiter && state != PortWaiter::apart);
    if (op->woken) return;
    if (state == PortWaiter::turned) give_turn(runtime, op);
    if (state == PortWaiter::orphaned) wake_waiter(runtime, op);
}

PortWaiter *waiter_of(const Op *op) {
    bool is_waiter = op && op->source && op->source->canceled == port_waiter_canceled;
    return is_waiter ? static_cast<PortWaiter *>(op->source) : nullptr;
}

// A new operation for a waiter, in place of the operation that was woken in vain, if any. False without memory.
bool arm_waiter(Runtime *runtime, zyntax_op *op_id, PortWaiter *waiter, const Waker *waker) {
    Op *op = arm(runtime, op_id, ZYNTAX_WAIT_CHANNEL, waker);
    if (!op) return false;
    if (waiter->op) free_op(runtime, waiter->op);
    op->source = waiter;
    waiter->op = op;
    return true;
}

// A waiter that is in no list; null without memory. It counts as held for the detection of stalls.
PortWaiter *begin_waiter(Runtime *runtime, zyntax_op *op_id, const PortCall &call, const Waker *waker) {
    void *memory = runtime->arena.take(sizeof(PortWaiter));
    if (!memory) return nullptr;
    auto *waiter = ::new (memory) PortWaiter();
    waiter->run = port_message_arrived;
    waiter->canceled = port_waiter_canceled;
    waiter->port = port_pool.at(handle_index(to_bits(call.handle)));
    waiter->side = call.sends ? &waiter->port->senders : &waiter->port->receivers;
    waiter->handle = call.handle;
    waiter->sends = call.sends;
    waiter->inbox = runtime->inbox;
    if (!arm_waiter(runtime, op_id, waiter, waker)) {
        free_port_waiter(runtime, waiter);
        return nullptr;
    }
    runtime->inbox->holds.fetch_add(1, std::memory_order_seq_cst);
    return waiter;
}

PollStatus call_port(const PortCall &call, zyntax_op *op_id, Waker *waker, int64_t *result) {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    Runtime *runtime = zyntax_current_runtime();
    if (!runtime) return refuse(op_id, result, ZYNTAX_EINVAL);
    PortWaiter *waiter = waiter_of(my_op(runtime, op_id, [&call](const Op *op) {
        const PortWaiter *named = waiter_of(op);
        return named && named->handle == call.handle && named->sends == call.sends;
    }));
    int64_t value = try_port(call, waiter);
    if (value == ZYNTAX_EAGAIN && !waiter) {
        waiter = begin_waiter(runtime, op_id, call, waker);
        value = waiter ? try_port(call, waiter) : int64_t{ZYNTAX_ENOMEM};
    } else if (value == ZYNTAX_EAGAIN && waiter->op->woken && !arm_waiter(runtime, op_id, waiter, waker)) {
        value = ZYNTAX_ENOMEM; // another caller has taken the turn over, and there is no memory to wait again
    }
    if (value == ZYNTAX_EAGAIN) return still_pending(runtime, waiter->op, waker);
    if (value == ZYNTAX_EINVAL) return refuse(op_id, result, value);
    if (value == ZYNTAX_ENOMEM) {
        zyntax_op_cancel(op_id);
        return not_armed(op_id, result);
    }
    if (waiter) {
        free_op(runtime, waiter->op);
        forget_port_waiter(runtime, waiter);
    }
    return complete(op_id, result, value);
}

} // namespace

PollStatus zyntax_port_send(zyntax_port *port, zyntax_op *op_id, const void *item, Waker *waker,
                            int64_t *result) noexcept {
    return call_port({port, true, item, nullptr}, op_id, waker, result);
}

PollStatus zyntax_port_recv(zyntax_port *port, zyntax_op *op_id, void *item, Waker *waker, int64_t *result) noexcept {
    return call_port({port, false, nullptr, item}, op_id, waker, result);
}
