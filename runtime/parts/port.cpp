// Ports: the calls of any thread. See port.h.
#include "port.h"

#include <initializer_list>
#include <string.h>

namespace zyntax {

constinit PortPool port_pool;
static constinit Port no_port = {};

Port *port_of(const zyntax_port *handle) {
    Port *port = port_pool.find(handle_index(to_bits(handle)));
    return port ? port : &no_port;
}

// ---- waiters, with the lock held ----

void tell(PortWaiter *waiter) {
    if (waiter->is_sent) return;
    waiter->is_sent = true;
    send(waiter->inbox, waiter);
}

void PortSide::add(PortWaiter *waiter) {
    assert(waiter->state == PortWaiter::apart);
    waiter->side = this;
    waiter->state = PortWaiter::waiting;
    waiter->next = nullptr;
    waiter->prev = last;
    (last ? last->next : first) = waiter;
    last = waiter;
    if (!next_turn) next_turn = waiter;
}

PortWaiter *PortSide::next_without_turn() {
    while (next_turn && next_turn->state == PortWaiter::turned) next_turn = next_turn->next;
    return next_turn;
}

void PortSide::give_turn(PortWaiter *waiter) {
    assert(waiter->state == PortWaiter::waiting);
    waiter->state = PortWaiter::turned;
    turns++;
    tell(waiter);
}

void PortSide::take_turn(PortWaiter *waiter) {
    assert(waiter->state == PortWaiter::turned && turns > 0);
    waiter->state = PortWaiter::waiting;
    turns--;
    next_turn = first;
}

void PortSide::remove(PortWaiter *waiter) {
    if (waiter->state != PortWaiter::waiting && waiter->state != PortWaiter::turned) return;
    turns -= waiter->state == PortWaiter::turned;
    if (next_turn == waiter) next_turn = waiter->next;
    (waiter->prev ? waiter->prev->next : first) = waiter->next;
    (waiter->next ? waiter->next->prev : last) = waiter->prev;
    waiter->state = PortWaiter::apart;
}

void Port::settle() {
    for (PortSide *side : {&senders, &receivers}) {
        while (side->turns < available(side) && side->next_without_turn()) side->give_turn(side->next_turn);
        assert(side->turns <= available(side));
    }
}

// ---- one try ----

namespace {

bool is_driven(const PortWaiter *waiter) { return waiter->inbox->driver.load(std::memory_order_acquire); }

// Takes a turn from a waiter whose runtime is not driven, and gives it to the first waiter whose runtime is. True: the
// turn is the caller's, which may be no waiter.
bool take_over_turn(PortSide *side, const PortWaiter *caller) {
    PortWaiter *stalled = side->first;
    while (stalled && (stalled->state != PortWaiter::turned || is_driven(stalled))) stalled = stalled->next;
    if (!stalled) return false;
    PortWaiter *next = side->first;
    while (next && next != caller && (next->state == PortWaiter::turned || !is_driven(next))) next = next->next;
    side->take_turn(stalled);
    if (!next || next == caller) return true;
    side->give_turn(next);
    return false;
}

// Whether a call may take an available item or place. The turns of other waiters reserve theirs.
bool may_take_item(const Port *port, PortSide *side, const PortWaiter *caller) {
    if (caller && caller->state == PortWaiter::turned) return true;
    return port->available(side) > side->turns || take_over_turn(side, caller);
}

void copy_item(Port *port, const PortCall &call) {
    size_t size = port->item_size;
    if (size && call.sends) memcpy(port->item_at(port->count), call.from, size);
    if (size && !call.sends) memcpy(call.to, port->item_at(0), size);
    if (call.sends) {
        port->count++;
    } else {
        port->first = port->first + 1 == port->capacity ? 0 : port->first + 1;
        port->count--;
    }
    assert(port->count <= port->capacity);
}

} // namespace

int64_t try_port(const PortCall &call, PortWaiter *waiter) {
    HeldPort port(call.handle);
    if (!port.is(call.handle)) return waiter ? ZYNTAX_ECANCELED : ZYNTAX_ESTALE;
    if (port->item_size && !(call.sends ? call.from : call.to)) return ZYNTAX_EINVAL;
    PortSide *side = call.sends ? &port->senders : &port->receivers;
    bool has_ended = port->closed && (call.sends || !port->count);
    if (!has_ended && !may_take_item(port.port(), side, waiter)) {
        if (waiter && waiter->state == PortWaiter::apart) side->add(waiter);
        return ZYNTAX_EAGAIN;
    }
    if (!has_ended) copy_item(port.port(), call);
    if (waiter) side->remove(waiter);
    port->settle();
    return call.sends ? has_ended ? int64_t{ZYNTAX_EPIPE} : 0 : !has_ended;
}

size_t item_size_of(zyntax_port *handle) {
    HeldPort port(handle);
    return port.is(handle) ? port->item_size : 0;
}

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_port_create(size_t capacity, size_t item_size, zyntax_port **out) noexcept {
    if (!capacity || !out) return ZYNTAX_EINVAL;
    if (item_size && capacity > SIZE_MAX / 2 / item_size) return ZYNTAX_ENOMEM;
    os::KeepErrors keep;
    size_t bytes = capacity * item_size;
    void *items = bytes ? os::allocate(bytes, alignof(max_align_t)) : nullptr;
    uint32_t index = items || !bytes ? port_pool.take_block() : 0;
    if (!index) {
        if (items) os::release(items);
        return ZYNTAX_ENOMEM;
    }
    HeldPort port(port_pool.at(index));
    port->closed = false;
    port->capacity = capacity;
    port->item_size = item_size;
    port->first = port->count = 0;
    port->items = static_cast<unsigned char *>(items);
    uint32_t generation = port->generation.load(std::memory_order_relaxed) + 1;
    port->generation.store(generation, std::memory_order_release);
    *out = static_cast<zyntax_port *>(to_pointer(handle_bits(index, generation)));
    return 0;
}

int32_t zyntax_port_try_send(zyntax_port *port, const void *item) noexcept {
    return static_cast<int32_t>(try_port({port, true, item, nullptr}, nullptr));
}

int32_t zyntax_port_try_recv(zyntax_port *port, void *item) noexcept {
    return static_cast<int32_t>(try_port({port, false, nullptr, item}, nullptr));
}

int32_t zyntax_port_close(zyntax_port *handle) noexcept {
    HeldPort port(handle);
    if (!port.is(handle)) return ZYNTAX_ESTALE;
    port->closed = true;
    port->settle();
    return 0;
}

int32_t zyntax_port_destroy(zyntax_port *handle) noexcept {
    os::KeepErrors keep;
    uint32_t generation;
    unsigned char *items;
    {
        HeldPort port(handle);
        if (!port.is(handle)) return ZYNTAX_ESTALE;
        for (PortSide *side : {&port->senders, &port->receivers}) {
            while (PortWaiter *waiter = side->first) {
                side->remove(waiter);
                waiter->state = PortWaiter::orphaned;
                tell(waiter);
            }
        }
        items = port->items;
        port->link = 0;
        generation = port->generation.load(std::memory_order_relaxed) + 1;
        port->generation.store(generation, std::memory_order_release);
    }
    if (items) os::release(items);
    if (generation != last_generation) port_pool.give_blocks(handle_index(to_bits(handle)));
    return 0;
}
