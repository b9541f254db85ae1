// The one mechanism behind every zyntax_op: a node holds the waker of a task that waits, and is linked into the list
// of what it waits for. Arming, firing, cancelling and forgetting are written once, here.
//
// Firing wakes the task and frees the node, unless a Source says otherwise. The next call with that op finds no node,
// and that is how an await point learns that it was woken: nothing is left behind when nobody calls again.
#pragma once

#include <stdint.h>

#include "slots.h"

namespace zyntax {

struct Node;
struct TimerEntry;

// Circular doubly linked list. Lists have a Link as their head; a Link alone points to itself.
struct Link {
    Link *next = this;
    Link *prev = this;

    Link() = default;
    Link(const Link &) = delete;
    Link &operator=(const Link &) = delete;

    bool empty() const { return next == this; }
    void unlink() {
        next->prev = prev;
        prev->next = next;
        next = prev = this;
    }
    void append(Link *link) { // as the last of the list that *this heads
        link->prev = prev;
        link->next = this;
        prev->next = link;
        prev = link;
    }
    Node *front();
};

// What a node waits for, when more has to happen than waking and freeing. Embedded in a job, a group, a channel …
struct Source {
    void (*fired)(Runtime *, Node *);     // the node was fired; it is linked nowhere
    void (*abandoned)(Runtime *, Node *); // its op was cancelled; it is linked nowhere, and is freed afterwards
};

struct alignas(64) Node : Link {
    Waker waker;
    union {
        TimerEntry *timer; // timers
        Slot *task;        // joins
    };
    Source *source;          // null: fire wakes and frees
    uint32_t generation = 0; // 0: free
    uint32_t tag;            // the Source's
    uint32_t index;
    uint8_t waits;                                                                            // zyntax_wait
    enum Place : uint8_t { nowhere, timer_wheel, task_joiners, io_waiters, elsewhere } place; // whose list it is in
    uint8_t level, slot; // and where in the timer wheel
};
static_assert(sizeof(Node) == 64);

inline Node *Link::front() { return static_cast<Node *>(next); }

// Numbers of operations, I/O handles and channels; from the top: runtime, generation, index.
constexpr uint32_t object_index_bits = 24;
constexpr uint32_t object_generation_bits = 28;
constexpr uint32_t object_inbox_shift = object_index_bits + object_generation_bits;
inline uint64_t object_bits(uint32_t inbox_id, uint32_t generation, uint32_t index) {
    return uint64_t{inbox_id} << object_inbox_shift | uint64_t{generation} << object_index_bits | index;
}
inline uint32_t object_index(uint64_t bits) { return bits & ((1u << object_index_bits) - 1); }
inline uint32_t object_generation(uint64_t bits) {
    return static_cast<uint32_t>(bits >> object_index_bits) & ((1u << object_generation_bits) - 1);
}

// Handles of I/O and channels are such a number behind a pointer, on 32-bit targets a narrower one.
constexpr uint32_t handle_index_bits = wide ? object_index_bits : 14;
constexpr uint32_t handle_generation_bits = wide ? object_generation_bits : 11;
static_assert(inbox_bits + handle_generation_bits + handle_index_bits == 8 * sizeof(void *));
inline void *to_handle(const Inbox *inbox, uint32_t generation, uint32_t index) {
    uintptr_t top = uintptr_t{inbox->id} << handle_generation_bits | generation;
    return to_pointer(top << handle_index_bits | index);
}
inline uint64_t to_object(const void *handle) {
    uintptr_t bits = to_bits(handle);
    if constexpr (wide) return bits;
    auto generation = static_cast<uint32_t>(bits >> handle_index_bits) & ((1u << handle_generation_bits) - 1);
    auto index = static_cast<uint32_t>(bits) & ((1u << handle_index_bits) - 1);
    return object_bits(static_cast<uint32_t>(bits >> (handle_index_bits + handle_generation_bits)), generation, index);
}

// The runtime that a number names, if this thread may use it; else null.
Runtime *runtime_of(uint64_t bits);

// The node of this runtime behind an op; null, and *op zero, when there is none or it has been fired.
Node *pending_node(Runtime *, zyntax_op *op);

// A new node with the waker, linked nowhere, its number in *op; null without memory.
Node *arm(Runtime *, zyntax_op *op, zyntax_wait waits, const Waker *waker);

// As arm, linked in the timer wheel. The deadline is later than any time the wheel has seen.
Node *arm_timer(Runtime *, zyntax_op *op, zyntax_wait waits, uint64_t deadline_ns, const Waker *waker);

// Ends a call of an await point that goes on waiting.
PollStatus still_pending(Runtime *, Node *, const Waker *waker);

// Ends a call of an await point with a result. Needs no node, and with `runtime` null no runtime.
PollStatus ready(Runtime *, zyntax_op *op, int64_t *result, int64_t value);

// True when an await point's arguments may be used; otherwise *result is ZYNTAX_EINVAL where there is one.
inline bool valid(const zyntax_op *op, const Waker *waker, int64_t *result) {
    if (op && waker && waker->wake && result) return true;
    if (result) *result = ZYNTAX_EINVAL;
    return false;
}

void fire(Runtime *, Node *);
void fire_all(Runtime *, Link *list);

// Wakes the node's task but keeps the node; for Sources.
void wake_waiter(Runtime *, const Node *);

// True when the node's waker is ours and its task has ended: nobody will ever call with that op again.
bool is_forgotten(const Node *);

// Lists a node that has a Source but is in no list that fires, and abandons some of the listed that are forgotten.
void keep(Runtime *, Node *);
void sweep_forgotten(Runtime *);

// Unlinks and frees without waking.
void free_node(Runtime *, Node *);

} // namespace zyntax
