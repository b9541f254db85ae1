// How an operation begins, fires, is given up and forgotten. No user code runs from here but from call_hosts, and
// nothing here is a task's turn to run: firing only puts it into the ready queue.
#include "runtime.h"

namespace zyntax {

// ---- whose task a node is ----

namespace {

// Notes for the task that is being polled in another runtime whether this one stores its waker.
void note_elsewhere(const Runtime *runtime, const Waker &waker, int change) {
    Runtime *polling = zyntax_current_runtime();
    if (polling && polling != runtime && polling->waker.data == waker.data) polling->stored_elsewhere += change;
}

Ring *holder_ring(Runtime *runtime, const Node *node) {
    switch (node->holder) {
    case Node::nobody:
        break;
    case Node::task:
        return &slots.at(handle_index(to_bits(node->waker.data)))->ops;
    case Node::stray:
        return &runtime->strays;
    case Node::forgotten:
        return &runtime->forgotten;
    }
    return nullptr;
}

void hold(Runtime *runtime, Node *node, Node::Holder holder) {
    assert(node->holder == Node::nobody);
    node->holder = holder;
    append(holder_ring(runtime, node), node, &Node::of_task);
}

void let_go(Runtime *runtime, Node *node) {
    if (node->holder == Node::nobody) return;
    if (node->holder == Node::stray) note_elsewhere(runtime, node->waker, -1);
    remove(holder_ring(runtime, node), node, &Node::of_task);
    node->holder = Node::nobody;
}

// Finds whose the node is by its waker. A plain sleep holds nothing that anybody could miss: it is noted only where
// somebody asks what a task waits for.
void find_holder(Runtime *runtime, Node *node) {
    assert(node->holder == Node::nobody);
    if (node->waker.wake != wake) return;
    Slot *slot = runtime->current;
    if (slot && node->waker.data == runtime->waker.data) {
        slot->waits = node->waits;
    } else {
        slot = find_task(node->waker.data);
        if (!slot || slot->owner.load(std::memory_order_relaxed) != runtime->inbox->id) {
            note_elsewhere(runtime, node->waker, 1);
            if (slot) slot->elsewhere.fetch_or(Slot::is_awaited, std::memory_order_acq_rel);
            if (is_forgotten(node)) runtime->has_forgotten_stray = true;
            return hold(runtime, node, Node::stray);
        }
    }
    if (!is_sleep(node) || (slot->flags & Slot::tracked)) hold(runtime, node, Node::task);
}

} // namespace

// ---- where it waits ----

void stop_waiting(Runtime *runtime, Node *node) {
    switch (node->place) {
    case Node::nowhere:
    case Node::turn:
        break;
    case Node::timer_wheel:
        return runtime->timers.remove(node);
    case Node::io_waiting:
        runtime->io_waiting--;
        remove(node->ring, node, &Node::in_ring);
        break;
    case Node::to_call:
        runtime->calls--;
        [[fallthrough]];
    case Node::waiting:
        remove(node->ring, node, &Node::in_ring);
        break;
    }
    node->place = Node::nowhere;
}

namespace {

bool is_mine(const Runtime *runtime, const Node *node) {
    return node->owner.load(std::memory_order_relaxed) == runtime->inbox->id;
}

// A host's waker may do anything: the loop calls it, from one place, and until then the op can be cancelled.
void call_later(Runtime *runtime, Node *node) {
    assert(node->waker.wake != wake);
    wait_in(&runtime->to_call, node, Node::to_call);
    runtime->calls++;
    if (runtime->host_waits && !runtime->is_driving) poke(runtime->inbox);
}

void give_up(Runtime *runtime, Node *node) {
    assert(is_in_use(node) && is_mine(runtime, node));
    stop_waiting(runtime, node);
    if (node->source) node->source->abandoned(runtime, node);
    free_node(runtime, node);
}

constexpr uint32_t spare_nodes = 16; // for call_again

Node *take_node(Runtime *runtime, zyntax_op *op, zyntax_wait waits, const Waker *waker, uint32_t spare) {
    auto [node, index, generation] = runtime->nodes.take(runtime->inbox->id, spare);
    if (!node) return nullptr;
    node->waker = *waker;
    node->source = nullptr;
    node->waits = static_cast<uint8_t>(waits);
    node->place = Node::nowhere;
    node->holder = Node::nobody;
    node->woken = false;
    node->quiet = runtime->quiet;
    if (op) *op = op_bits(index, generation);
    return node;
}

void host_was_called(Runtime *, Node *) {}
constinit Source starved = {nullptr, host_was_called};

} // namespace

bool is_sleep(const Node *node) { return node->waits == ZYNTAX_WAIT_TIMER && !node->source; }

Node *arm(Runtime *runtime, zyntax_op *op, zyntax_wait waits, const Waker *waker) {
    Node *node = take_node(runtime, op, waits, waker, spare_nodes);
    if (node && op) find_holder(runtime, node);
    return node;
}

Node *arm_timer(Runtime *runtime, zyntax_op *op, zyntax_wait waits, uint64_t deadline_ns, const Waker *waker) {
    Node *node = arm(runtime, op, waits, waker);
    if (node) runtime->timers.insert(node, deadline_ns);
    return node;
}

Node *pending_node(Runtime *runtime, zyntax_op *op) {
    Node *node = *op ? find_node(*op) : nullptr;
    if (node && !is_mine(runtime, node)) {
        zyntax_op_cancel(op);
        node = nullptr;
    }
    if (node && node->place == Node::to_call && !node->source) {
        free_node(runtime, node);
        node = nullptr;
    }
    if (!node) *op = 0;
    return node;
}

PollStatus still_pending(Runtime *runtime, Node *node, const Waker *waker) {
    assert(is_in_use(node) && is_mine(runtime, node));
    if (node->place == Node::to_call) stop_waiting(runtime, node); // whoever would be called is here
    bool same = node->waker.data == waker->data && node->waker.wake == waker->wake;
    if (!same) {
        let_go(runtime, node);
        node->waker = *waker;
        find_holder(runtime, node);
    } else if (runtime->current && waker->data == runtime->waker.data) {
        runtime->current->waits = node->waits;
    } else if (node->holder == Node::stray) {
        note_elsewhere(runtime, *waker, 1);
    }
    return POLL_PENDING;
}

// A task of ours is queued again. A host's waker is called by the loop, for which some nodes are kept; such a node
// stays, so that the next call finds that it has yet to begin. Once the runtime has dropped its tasks nothing that
// could begin would end, and nobody is called: destroy would call a host that begins anew in each call for ever.
PollStatus call_again(Runtime *runtime, zyntax_op *op, const Waker *waker) {
    *op = 0;
    if (runtime->is_ending && !runtime->tasks.used()) return POLL_PENDING;
    if (waker->wake == wake) {
        wake(waker->data);
    } else if (Node *node = take_node(runtime, op, ZYNTAX_WAIT_UNKNOWN, waker, 0)) {
        node->source = &starved;
        wake_waiter(runtime, node);
    } else {
        waker->wake(waker->data);
    }
    return POLL_PENDING;
}

void give_up_unbegun(zyntax_op *op) {
    Node *node = *op ? find_node(*op) : nullptr;
    bool is_usable = node && usable_runtime(node->owner.load(std::memory_order_relaxed));
    if (is_usable && node->source == &starved) zyntax_op_cancel(op);
}

Answer refuse_arguments(zyntax_op *op, int64_t *result) {
    zyntax_op_cancel(op);
    if (result) *result = ZYNTAX_EINVAL;
    return {POLL_READY};
}

// A poll that has spent its budget took longer than others: it counts for several of the round's.
Answer end_poll(Runtime *polling, zyntax_op *op, const Waker *waker) {
    constexpr uint32_t weight = 32;
    assert(polling->current && !*op);
    polling->polls_left = polling->polls_left < weight ? 0 : polling->polls_left - weight;
    return {call_again(polling, op, waker)};
}

PollStatus dead_handle(zyntax_op *op, int64_t *result) {
    return refuse(op, result, *op ? ZYNTAX_ECANCELED : ZYNTAX_ESTALE);
}

void wait_in(Ring *ring, Node *node, Node::Place place) {
    assert(node->place == Node::nowhere);
    node->place = place;
    node->ring = ring;
    append(ring, node, &Node::in_ring);
}

void free_node(Runtime *runtime, Node *node) {
    assert(is_in_use(node) && is_mine(runtime, node));
    stop_waiting(runtime, node);
    let_go(runtime, node);
    runtime->nodes.give(node);
}

// ---- firing ----

void fire(Runtime *runtime, Node *node) {
    stop_waiting(runtime, node);
    if (node->source) return node->source->fired(runtime, node);
    if (node->waker.wake != wake) return call_later(runtime, node);
    void *data = node->waker.data;
    free_node(runtime, node);
    wake(data);
}

void fire_all(Runtime *runtime, Ring *ring) {
    while (Node *node = first_of(*ring)) fire(runtime, node);
}

void wake_waiter(Runtime *runtime, Node *node) {
    assert(node->source && node->place == Node::nowhere);
    node->woken = true;
    if (node->waker.wake == wake) wake(node->waker.data);
    else call_later(runtime, node);
}

void call_hosts(Runtime *runtime) {
    assert(runtime->is_driving && !runtime->current);
    for (uint64_t n = runtime->calls; n > 0 && !runtime->to_call.empty(); n--) {
        Node *node = first_of(runtime->to_call);
        Waker waker = node->waker;
        if (node->source) stop_waiting(runtime, node);
        else free_node(runtime, node);
        waker.wake(waker.data);
    }
}

// ---- turns ----

void give_turn(Runtime *runtime, Node *node) {
    wake_waiter(runtime, node);
    if (node->holder != Node::task) return;
    Slot *slot = slots.at(handle_index(to_bits(node->waker.data)));
    assert(node->place == Node::nowhere);
    slot->flags |= Slot::has_turn;
    node->place = Node::turn;
    node->tag = slot->polls_low;
    remove(&slot->ops, node, &Node::of_task);
    append(&slot->ops, node, &Node::of_task);
    slot->ops.first = nodes.index_of(node);
}

// A turn that came during the poll has its own poll to come, as the task was woken. Giving one up may give another of
// the same task its turn, at the front.
void end_turns(Runtime *runtime, Slot *slot) {
    assert(runtime->current == nullptr);
    slot->flags &= static_cast<uint8_t>(~Slot::has_turn);
    for (Node *node = first_of(slot->ops); node && node->place == Node::turn;) {
        Node *next = next_of(slot->ops, node, &Node::of_task);
        if (node->tag != slot->polls_low) give_up(runtime, node);
        node = next;
    }
    const Node *first = first_of(slot->ops);
    if (first && first->place == Node::turn) slot->flags |= Slot::has_turn;
}

// ---- forgetting ----

bool is_forgotten(const Node *node) { return node->waker.wake == wake && !find_task(node->waker.data); }

// A turn passes on at once. The rest waits for the loop: a drop may still cancel it, and another task may go on with
// it.
void forget_ops(Runtime *runtime, Slot *slot) {
    while (Node *node = first_of(slot->ops)) {
        remove(&slot->ops, node, &Node::of_task);
        node->holder = Node::nobody;
        if (node->place == Node::turn) give_up(runtime, node);
        else if (!is_sleep(node)) hold(runtime, node, Node::forgotten);
    }
}

// Strays are looked through as a whole, but only when a task that was awaited elsewhere has ended.
static void find_forgotten_strays(Runtime *runtime) {
    uint32_t ended = awaited_elsewhere_ended.load(std::memory_order_acquire);
    if (ended == runtime->strays_seen && !runtime->has_forgotten_stray) return;
    runtime->strays_seen = ended;
    runtime->has_forgotten_stray = false;
    for (Node *node = first_of(runtime->strays); node;) {
        Node *stray = node;
        node = next_of(runtime->strays, node, &Node::of_task);
        if (!is_forgotten(stray)) continue;
        let_go(runtime, stray);
        if (!is_sleep(stray)) hold(runtime, stray, Node::forgotten);
    }
}

void give_up_forgotten(Runtime *runtime) {
    assert(!runtime->current);
    if (!runtime->strays.empty()) find_forgotten_strays(runtime);
    while (Node *node = first_of(runtime->forgotten)) give_up(runtime, node);
}

void give_up_all(Runtime *runtime) {
    runtime->nodes.each([runtime](uint32_t, Node *node) { give_up(runtime, node); });
}

bool waits_for_something(const Slot *slot) {
    const Node *node = first_of(slot->ops);
    while (node && (node->woken || node->quiet)) node = next_of(slot->ops, node, &Node::of_task);
    return node;
}

// ---- handles ----

Ref<void> find_object(const void *number, const HandleKind *kind) {
    Handle *handle = find_alive(handles, to_bits(number));
    Runtime *runtime = handle ? usable_runtime(handle->owner.load(std::memory_order_relaxed)) : nullptr;
    if (!runtime) return {};
    return {runtime, handle->kind == kind ? handle->object : nullptr};
}

void *take_handle(Runtime *runtime, const HandleKind *kind, void *object) {
    assert(object);
    auto [handle, index, generation] = runtime->handles.take(runtime->inbox->id);
    if (!handle) return nullptr;
    handle->object = object;
    store_in_order();
    handle->kind = kind;
    return to_pointer(handle_bits(index, generation));
}

void give_handle(Runtime *runtime, const void *number) {
    Handle *handle = handles.at(handle_index(to_bits(number)));
    handle->kind = nullptr; // so that it names no object at its next beginning: see forget_copy
    runtime->handles.give(handle);
}

} // namespace zyntax

using namespace zyntax;

void zyntax_op_cancel(zyntax_op *op) noexcept {
    if (!op || !*op) return;
    Node *node = find_node(*op);
    *op = 0;
    Runtime *runtime = node ? usable_runtime(node->owner.load(std::memory_order_relaxed)) : nullptr;
    if (runtime) give_up(runtime, node);
}
