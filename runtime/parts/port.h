// Ports, bounded queues between threads: their data, for the calls of any thread (port.cpp) and for the calls that wait
// (port_wait.cpp).
//
// A spin lock in each port guards its items and its waiters. It is in type-stable memory, so any thread may take it
// with a stale handle. It is held for the copy of one item, and while a waiter's runtime is sent a message.
#pragma once

#include "../lock.h"
#include "../runtime.h"

namespace zyntax {

struct Port;
struct PortSide;

// A call that waits: an operation of its task's runtime, and this record in that runtime's arena, which other threads
// find through the port. As in a channel, an item or a place is reserved for a waiter: the waiter has a turn. A message
// takes this to the waiter's runtime, which gives the operation a turn (see give_turn). So the turn passes on when the
// operation is canceled, when its task ends, and when its task was polled without the call. It also passes on when
// another caller asks while no thread drives the waiter's runtime.
struct PortWaiter : Message, Source {
    enum State : uint8_t {
        apart,   // in no list: the call has not waited yet, or has ended. Set at the beginning and by PortSide::remove
        waiting, // in the side's list. Set by PortSide::add and take_turn
        turned,  // in the side's list, with a turn. Set by PortSide::give_turn
        orphaned // in no list: the next call is ZYNTAX_ECANCELED. Set by zyntax_port_destroy, never left
    };

    Port *port;
    zyntax_port *handle; // of the port
    Inbox *inbox;        // of its runtime
    Op *op;              // runtime's thread only. Null: the message frees the record
    bool sends;
    // Guarded by the port's lock.
    PortSide *side;
    PortWaiter *next, *prev;
    State state;
    bool is_sent; // the message is on its way. Set by tell, cleared when the message arrives
};

// One direction.
//   turns <= available, and turns == available while a waiter has no turn
//   available to senders: places; without limit once the port is closed, as each send then fails
//   available to receivers: items; without limit once the port is closed and empty, as each receive then ends
struct PortSide {
    PortWaiter *first = nullptr, *last = nullptr; // in the order of their calls
    PortWaiter *next_turn = nullptr;              // no waiter before it lacks a turn; null: no waiter lacks one
    size_t turns = 0;                             // waiters that have a turn

    void add(PortWaiter *);
    void give_turn(PortWaiter *);
    void take_turn(PortWaiter *);
    void remove(PortWaiter *); // no-op for a waiter that is in no list
    PortWaiter *next_without_turn();
};

struct alignas(64) Port {
    static constexpr uint32_t first_block = 1;

    std::atomic<uint32_t> generation; // odd: in use. Changed under the lock
    uint32_t link;                    // the pool's
    std::atomic<uint32_t> held_by;
    // Guarded by the lock.
    uint32_t process; // the process of the sides' waiters
    bool closed;      // later sends fail. Set by zyntax_port_close, cleared when the port is created anew
    size_t capacity, item_size;
    size_t first, count; // of the items in the ring
    unsigned char *items;
    PortSide senders, receivers;

    size_t available(const PortSide *side) const {
        if (side == &senders) return closed ? SIZE_MAX : capacity - count;
        return closed && !count ? SIZE_MAX : count;
    }
    unsigned char *item_at(size_t i) const {
        size_t index = first + i;
        return items + (index < capacity ? index : index - capacity) * item_size;
    }
    void settle(); // gives turns, oldest first, while an available item or place is not reserved
};

using PortPool = Pool<Port, 1, wide ? 1u << 20 : 1u << 14>;
ZYNTAX_INTERNAL extern constinit PortPool port_pool;

// The port with the number of a handle, which may be stale; a port that is never in use for a number that no port had.
Port *port_of(const zyntax_port *);

// Holds a port's lock for a scope.
class HeldPort {
public:
    explicit HeldPort(const zyntax_port *handle) : HeldPort(port_of(handle)) {}
    explicit HeldPort(Port *port) : lock_(&port->held_by), port_(port) { forget_parents(); }

    Port *operator->() const { return port_; }
    Port *port() const { return port_; }
    bool is(const zyntax_port *handle) const { // false for a stale handle of the port's number
        uint32_t generation = port_->generation.load(std::memory_order_relaxed);
        return names(handle_generation(to_bits(handle)), handle_generation_mask, generation);
    }

private:
    // In a forked child, the waiters are of the parent's runtimes, which make no more calls there.
    void forget_parents() {
        uint32_t process = os::process_mark();
        if (port_->process != process) port_->senders = port_->receivers = {};
        port_->process = process;
    }

    Lock lock_;
    Port *port_;
};

// The arguments of a send or a receive.
struct PortCall {
    zyntax_port *handle;
    bool sends;
    const void *from; // of a send
    void *to;         // of a receive
};

// One try: the result, or ZYNTAX_EAGAIN. Then the waiter, if any, is in a list.
int64_t try_port(const PortCall &, PortWaiter *);

void tell(PortWaiter *); // sends its message, with the lock held

size_t item_size_of(zyntax_port *); // 0 for a stale port

} // namespace zyntax
