// What waits: a node holds a waker, and is in the ring of what it waits for and in the one of who waits. Nodes are
// linked by their numbers. Nothing here wakes anybody or knows what is waited for.
#pragma once

#include "slots.h"

namespace zyntax {

struct Node;

// A node's neighbours in a ring, by their numbers.
struct Links {
    uint32_t next, prev;
};

// What a node waits for, when more has to happen than waking and freeing. Embedded in a job, a group, a channel …
struct Source {
    void (*fired)(Runtime *, Node *);     // a node without an op was fired; it is in no ring. Null: there are none
    void (*abandoned)(Runtime *, Node *); // its op was given up; it is in no ring, and is freed afterwards
};

struct alignas(64) Node {
    static constexpr uint32_t first_block = 256 + 32; // half a page from the slots'

    Waker waker;
    union {
        uint64_t deadline_ns; // place == timer_wheel
        Ring *ring;           // the other places but nowhere and turn
    };
    Source *source; // null: fire wakes and frees
    Links in_ring;
    Links of_task;
    std::atomic<uint32_t> generation; // odd: in use
    std::atomic<uint32_t> owner;      // number of the inbox of the runtime whose block it is in
    union {
        uint32_t tag;  // the Source's
        uint32_t link; // the pool's
    };
    uint8_t waits; // zyntax_wait
    enum Place : uint8_t {
        nowhere,
        timer_wheel,
        waiting,    // in the ring of a task's joiners, or a channel's
        io_waiting, // in a ring of an I/O handle
        to_call,    // in the runtime's, of those whose waker is a host's and is called by the loop
        turn        // its task was woken, and has it until it was polled
    } place : 3;
    enum Holder : uint8_t {
        nobody,   // a host's waker, or none that matters
        task,     // in the ring `ops` of the task that its waker wakes
        stray,    // in the runtime's, of those whose waker is of a task elsewhere
        forgotten // in the runtime's, of those whose task has ended
    } holder : 2;
    uint8_t woken : 1;     // its task was woken and the node stays: it is not what the task waits for now
    uint8_t quiet : 1;     // somebody else tells whether its task waits for it
    uint8_t level, bucket; // where in the timer wheel
};
static_assert(sizeof(Node) == 64 || !wide);

using Nodes = Pool<Node, 256, wide ? 1u << 26 : 1u << 20>;
ZYNTAX_INTERNAL extern constinit Nodes nodes;
inline Nodes &pool_of(Node *) { return nodes; }

inline bool is_in_use(const Node *node) { return node->generation.load(std::memory_order_relaxed) & 1; }

// ---- rings ----

inline Node *first_of(const Ring &ring) { return ring.empty() ? nullptr : nodes.at(ring.first); }
inline Node *next_of(const Ring &ring, const Node *node, Links Node::*links) { // null after the last
    return (node->*links).next == ring.first ? nullptr : nodes.at((node->*links).next);
}
void append(Ring *ring, Node *node, Links Node::*links);
void remove(Ring *ring, Node *node, Links Node::*links);

// ---- numbers of operations ----

inline uint64_t op_bits(uint32_t index, uint32_t generation) { return uint64_t{generation} << 32 | index; }

// The node that a number names, or null when it has ended or never was. What a thread may do with it is another matter.
inline Node *find_node(zyntax_op op) {
    Node *node = nodes.find(static_cast<uint32_t>(op));
    auto generation = static_cast<uint32_t>(op >> 32);
    bool alive = node && names(generation, UINT32_MAX, node->generation.load(std::memory_order_acquire));
    return alive ? node : nullptr;
}

} // namespace zyntax
