// Operations and their rings. An operation holds a waker. It is in the ring of its place (the object that it waits for)
// and in the ring of its holder (see Holder). Links are numbers. No function here wakes a task or knows an object.
#pragma once

#include "task.h"

namespace zyntax {

struct Op;

// The numbers of an operation's neighbours in a ring.
struct Links {
    uint32_t next, prev;
};

// Hooks for operations whose end takes more than waking and freeing. Embedded in a job, a group, a channel and so on.
struct Source {
    void (*fired)(Runtime *, Op *); // fire calls it; the operation waits in no ring. Null: never fired
    // Cancel calls it, then frees the operation, which waits in no ring. Null: there is nothing else to do.
    void (*canceled)(Runtime *, Op *);
};

struct alignas(64) Op {
    static constexpr uint32_t first_block = 256 + 32; // half a page away from the tasks: see Pool

    Waker waker;
    union {
        uint64_t deadline_ns; // place == timer_wheel
        Ring *ring;           // place == waiting, io_waiting or to_call
    };
    Source *source;                   // null: fire wakes and frees
    Links in_ring;                    // in the ring of its place
    Links of_task;                    // in the ring of its holder
    std::atomic<uint32_t> generation; // odd: in use
    std::atomic<uint32_t> owner;      // the inbox number of the runtime that owns its block
    union {
        uint32_t source_word; // for the Source; with place == turn: polls_low of its task when the turn was given
        uint32_t link;        // for the pool
    };
    uint8_t waits; // zyntax_wait
    // Each state is set by the function named, and left by stop_waiting (fire, cancel and free call it) unless noted.
    // stop_waiting relies on the order: from `waiting` to `to_call` the operation is in `ring`.
    enum Place : uint8_t {
        nowhere,    // set by arm and stop_waiting; left when another state is set
        turn,       // in no ring of a place: its task was woken and calls again. Set by give_turn
        waiting,    // in the ring of a task's joiners or of a channel's side. Set by wait_in
        io_waiting, // in a ring of an I/O handle. Set by wait_in
        to_call,    // in runtime->to_call: the loop calls its host's waker. Set by fire and wake_waiter
        timer_wheel // in the wheel. Set by Timers::insert, left also by Timers::pop
    } place;
    // Each state is set by the function named, and left by remove_from_holder (on freeing or with another waker).
    enum Holder : uint8_t {
        nobody,  // a host's waker, no op id, or a plain sleep. Set by arm and by remove_from_holder
        task,    // in `ops` of the task that its waker wakes. Set by choose_holder; orphan_ops ends it with the task
        foreign, // in runtime->foreign: its waker wakes a task of another runtime, or none. Set by choose_holder
        orphaned // in runtime->orphans: its task has ended. Set by orphan_ops and find_foreign_orphans
    } holder : 2;
    uint8_t woken : 1; // its task was woken but the op stays. Set by wake_waiter and give_turn, cleared by begin_op;
                       // calls of several steps also set and clear it
    uint8_t is_of_leaf : 1; // it belongs to a leaf, which tells whether its task waits. Set or cleared by arm
    uint8_t level : 4;      // place == timer_wheel: its ring in the wheel
    uint8_t bucket;         // the same
};
static_assert(sizeof(Op) == 64 || !wide);

using OpPool = Pool<Op, 256, wide ? 1u << 26 : 1u << 20>;
ZYNTAX_INTERNAL extern constinit OpPool op_pool;
inline OpPool &pool_of(Op *) { return op_pool; }

inline bool is_in_use(const Op *op) { return op->generation.load(std::memory_order_relaxed) & 1; }

// ---- rings ----

inline Op *first_of(const Ring &ring) { return ring.empty() ? nullptr : op_pool.at(ring.first); }
inline Op *next_of(const Ring &ring, const Op *op, Links Op::*links) { // null: op is the last
    return (op->*links).next == ring.first ? nullptr : op_pool.at((op->*links).next);
}
void append_behind(Ring *ring, Op *op, Links Op::*links);      // of a ring with other operations
void remove_from_others(Ring *ring, Op *op, Links Op::*links); // the same

// A ring has one operation most often.
inline void append(Ring *ring, Op *op, Links Op::*links) {
    assert(is_in_use(op));
    if (!ring->empty()) return append_behind(ring, op, links);
    ring->first = op_pool.index_of(op);
    op->*links = {ring->first, ring->first};
}
inline void remove(Ring *ring, Op *op, Links Op::*links) {
    assert(is_in_use(op) && !ring->empty());
    if ((op->*links).next != op_pool.index_of(op)) [[unlikely]]
        return remove_from_others(ring, op, links);
    ring->first = 0;
}

// ---- op ids ----

inline uint64_t op_bits(uint32_t index, uint32_t generation) { return uint64_t{generation} << 32 | index; }

// The live operation of an op id, or null. It does not check that the calling thread may use the operation.
inline Op *find_op(zyntax_op op_id) {
    return op_pool.find_alive(static_cast<uint32_t>(op_id), static_cast<uint32_t>(op_id >> 32), UINT32_MAX);
}

} // namespace zyntax
