// Turns: operations that wait for an exclusive resource (an item or place of a channel, an ended task of a scope),
// first come, first served.
//
// When something is available, the first operation of the queue is given a turn: it leaves the queue, its task is
// woken, and one resource stays reserved until the task calls again. The operation loses its turn when it is canceled,
// when its task ends, and when its task was polled without the call; the next operation then gets the turn. So a woken
// task that never calls again cannot lose a wake-up, and a new caller cannot overtake.
//
//   turns == available while the queue is not empty
#pragma once

#include "../runtime.h"

namespace zyntax {

struct Turns : Source {
    Ring queue;   // operations that wait for a turn
    size_t turns; // operations that have a turn
};

// Gives turns, oldest first, while some of the `available` are not reserved. Orphans get none and are freed.
inline void give_turns(Runtime *runtime, Turns *side, size_t available) {
    while (side->turns < available && !side->queue.empty()) {
        Op *op = first_of(side->queue);
        assert(op->source == side && !op->woken);
        stop_waiting(runtime, op);
        if (is_orphan(op)) {
            free_op(runtime, op);
        } else {
            side->turns++;
            give_turn(runtime, op);
        }
    }
}

// Whether a call may take one of the `available`. The turns of other operations reserve theirs.
inline bool may_take(const Turns *side, const Op *op, size_t available) {
    return op && op->woken ? available > 0 : available > side->turns;
}

// The pending operation of *op_id that waits here, or null.
inline Op *turn_waiter(Runtime *runtime, zyntax_op *op_id, const Turns *side) {
    return my_op(runtime, op_id, [side](const Op *op) { return op->source == side; });
}

inline PollStatus wait_for_turn(Runtime *runtime, Turns *side, zyntax_wait waits, Op *op, zyntax_op *op_id,
                                Waker *waker, int64_t *result) {
    if (op) return still_pending(runtime, op, waker);
    assert(!*op_id);
    op = arm(runtime, op_id, waits, waker);
    if (!op) return not_armed(op_id, result);
    op->source = side;
    wait_in(&side->queue, op, Op::waiting);
    return POLL_PENDING;
}

// Frees the operation of a call that ends, and its turn. Null: nothing.
inline void use_turn(Runtime *runtime, Turns *side, Op *op) {
    if (!op) return;
    assert(op->source == side && side->turns >= op->woken);
    side->turns -= op->woken;
    free_op(runtime, op);
}

// Ends the operations of the queue: their calls find no object.
inline void fire_queue(Runtime *runtime, Turns *side) {
    while (Op *op = first_of(side->queue)) {
        op->source = nullptr;
        fire(runtime, op);
    }
}

} // namespace zyntax
