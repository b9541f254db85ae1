// What waits: an operation holds a waker, and is in the ring of what it waits for and in the one of who waits.
// Operations are linked by their numbers. Nothing here wakes anybody or knows what is waited for.
#pragma once

#include "task.h"

namespace zyntax {

struct Op;

// An operation's neighbours in a ring, by their numbers.
struct Links {
    uint32_t next, prev;
};

// What an operation waits for, when more has to happen than waking and freeing. Embedded in a job, a group, a channel …
struct Source {
    void (*fired)(Runtime *, Op *);    // an operation without an op was fired; it is in no ring. Null: there are none
    void (*canceled)(Runtime *, Op *); // its op was canceled; it is in no ring, and is freed afterwards
};

struct alignas(64) Op {
    static constexpr uint32_t first_block = 256 + 32; // half a page from the tasks'

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
        uint32_t source_word; // the Source's
        uint32_t link;        // the pool's
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
        nobody,  // a host's waker, or none that matters
        task,    // in the ring `ops` of the task that its waker wakes
        foreign, // in the runtime's, of those whose waker is of a task elsewhere
        orphaned // in the runtime's, of those whose task has ended
    } holder : 2;
    uint8_t woken : 1;      // its task was woken and the operation stays: it is not what the task waits for now
    uint8_t is_of_leaf : 1; // somebody else tells whether its task waits for it
    uint8_t level, bucket;  // where in the timer wheel
};
static_assert(sizeof(Op) == 64 || !wide);

using OpPool = Pool<Op, 256, wide ? 1u << 26 : 1u << 20>;
ZYNTAX_INTERNAL extern constinit OpPool op_pool;
inline OpPool &pool_of(Op *) { return op_pool; }

inline bool is_in_use(const Op *op) { return op->generation.load(std::memory_order_relaxed) & 1; }

// ---- rings ----

inline Op *first_of(const Ring &ring) { return ring.empty() ? nullptr : op_pool.at(ring.first); }
inline Op *next_of(const Ring &ring, const Op *op, Links Op::*links) { // null after the last
    return (op->*links).next == ring.first ? nullptr : op_pool.at((op->*links).next);
}
void append(Ring *ring, Op *op, Links Op::*links);
void remove(Ring *ring, Op *op, Links Op::*links);

// ---- numbers of operations ----

inline uint64_t op_bits(uint32_t index, uint32_t generation) { return uint64_t{generation} << 32 | index; }

// The operation that a number names, or null when it has ended or never was. What a thread may do with it is another
// matter.
inline Op *find_op(zyntax_op op_id) {
    Op *op = op_pool.find(static_cast<uint32_t>(op_id));
    auto generation = static_cast<uint32_t>(op_id >> 32);
    bool alive = op && names(generation, UINT32_MAX, op->generation.load(std::memory_order_acquire));
    return alive ? op : nullptr;
}

} // namespace zyntax
