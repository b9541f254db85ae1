// The one mechanism behind every zyntax_op: a node holds the waker of a task that waits, and is in the ring of what it
// waits for. Arming, firing, cancelling and forgetting are written once, here.
//
// Firing wakes the task and frees the node, unless a Source says otherwise. The next call with that op finds no node,
// and that is how an await point learns that it was woken: nothing is left behind when nobody calls again. What a task
// that ends leaves behind is found through the ring in its slot.
#pragma once

#include "memory.h"
#include "node.h"

namespace zyntax {

// ---- handles of I/O and channels ----

// A kind of such objects.
struct HandleKind {
    void (*destroy)(Runtime *, void *object);      // with its handle, as the runtime ends
    uint64_t (*count_waiting)(const void *object); // nodes in its rings, for is_valid
};

// What such a handle names: an object of its runtime.
struct Handle {
    static constexpr uint32_t first_block = 256;

    std::atomic<uint32_t> generation; // odd: in use
    std::atomic<uint32_t> owner;
    union {
        void *object;  // owner only, as is `kind`
        uint32_t link; // the pool's
    };
    const HandleKind *kind; // null: there is no object
};

using Handles = Pool<Handle, 256, wide ? 1u << 24 : 1u << 18>;
ZYNTAX_INTERNAL extern constinit Handles handles;
inline Handles &pool_of(Handle *) { return handles; }

// A handle's object, with what a call needs to go on with it.
template <class T> struct Ref {
    Runtime *runtime = nullptr;
    T *object = nullptr; // null: the handle is dead
};

// The object of a handle of that kind that this thread may use.
Ref<void> find_object(const void *number, const HandleKind *kind);
template <class T> Ref<T> find(const void *number, const HandleKind *kind) {
    Ref<void> ref = find_object(number, kind);
    return {ref.runtime, static_cast<T *>(ref.object)};
}

// The handle of an object, or null without memory. give_handle makes it stale.
void *take_handle(Runtime *, const HandleKind *kind, void *object);
void give_handle(Runtime *, const void *number);

// ---- await points ----

// The node of this runtime behind an op; null, and *op zero, when there is none or it has been fired.
Node *pending_node(Runtime *, zyntax_op *op);

// As pending_node, when `is_it(node)`. An op that waits for something else is given up: the call begins anew.
template <class IsIt> Node *my_node(Runtime *runtime, zyntax_op *op, IsIt is_it) {
    Node *node = pending_node(runtime, op);
    if (!node || is_it(node)) return node;
    zyntax_op_cancel(op);
    return nullptr;
}

// A new node with the waker, in no ring but its task's, its number in *op; null without memory. With `op` null nobody
// can name it, and it is in no task's ring.
Node *arm(Runtime *, zyntax_op *op, zyntax_wait waits, const Waker *waker);

// As arm, in the timer wheel. The deadline is later than any time the wheel has seen.
Node *arm_timer(Runtime *, zyntax_op *op, zyntax_wait waits, uint64_t deadline_ns, const Waker *waker);

// Ends a call of an await point that goes on waiting.
PollStatus still_pending(Runtime *, Node *, const Waker *waker);

// Ends a call of an await point that could not arm, has no result to say so, and so is called again at once.
PollStatus call_again(Runtime *, zyntax_op *op, const Waker *waker);

// The status of an await point's call that ends before it has looked at what it waits for; false when it goes on.
struct Answer {
    int status = -1;
    explicit operator bool() const { return status >= 0; }
    PollStatus operator*() const { return static_cast<PollStatus>(status); }
};

// Answers a call whose arguments cannot be used.
Answer refuse_arguments(zyntax_op *op, int64_t *result);

// Answers a call in a poll that has spent its budget: the task is polled again, with nothing begun.
Answer end_poll(Runtime *polling, zyntax_op *op, const Waker *waker);

// Zeroes an op that call_again has made for a host's waker: nothing has begun behind it.
void give_up_unbegun(zyntax_op *op);

// Ends a call on a dead handle.
PollStatus dead_handle(zyntax_op *op, int64_t *result);

// Puts a node into a ring in which it waits.
void wait_in(Ring *ring, Node *node, Node::Place place);

// The nodes in a ring whose place that is; very many when one of them does not belong there. Debug builds only.
uint64_t count_waiting(const Ring &, Node::Place);

// Takes the node out of the ring that it waits in, whatever that is.
void stop_waiting(Runtime *, Node *);

void fire(Runtime *, Node *);
void fire_all(Runtime *, Ring *ring);

// Wakes the node's task but keeps the node, which is in no ring that it waits in any more.
void wake_waiter(Runtime *, Node *);

// As wake_waiter, but the task has to call again in its next poll: else the node is given up. Turns stand at the front
// of the task's ring.
void give_turn(Runtime *, Node *);

// After a poll: gives up what had its turn before it and did not use it.
void end_turns(Runtime *, Slot *);

// A sleep and nothing more: it holds nothing that anybody could miss.
bool is_sleep(const Node *);

// True when the node's waker is ours and its task has ended: nobody will ever call with that op again.
bool is_forgotten(const Node *);

// What an ended task's operations hold goes to the forgotten ones, which the loop gives up.
void forget_ops(Runtime *, Slot *);
void give_up_forgotten(Runtime *);

// As the runtime ends: gives up every operation, as hosts may have left some.
void give_up_all(Runtime *);

// Whether an operation that stores the task's waker is still to wake it.
bool waits_for_something(const Slot *);

// Calls the hosts' wakers that were there to be called: user code.
void call_hosts(Runtime *);

// Out of every ring, and freed, without waking.
void free_node(Runtime *, Node *);

} // namespace zyntax
