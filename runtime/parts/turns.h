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

inline Task *task_of(const Op *op) { return task_pool.at(handle_index(to_bits(op->waker.data))); }

// Wakes the task of an operation, which is canceled unless the task calls again in its next poll. Operations with a
// turn are at the front of the task's ring.
void give_turn(Runtime *, Op *);

// Gives turns, oldest first, while some of the `available` are not reserved. Orphans get none and are freed; those of a
// task that is ending lose theirs again.
void give_turns(Runtime *, Turns *, size_t available);

// Whether a call may take one of the `available`. The turns of other operations reserve theirs.
inline bool may_take(const Turns *side, const Op *op, size_t available) {
    return op && op->woken ? available > 0 : available > side->turns;
}

// The operation of a number if it has a turn here, or null.
inline Op *turn_of(const Runtime *runtime, zyntax_op number, const Turns *side) {
    Op *op = find_op(number);
    bool is_mine = op && op->owner.load(std::memory_order_relaxed) == runtime->inbox->id;
    return is_mine && op->source == side && op->place == Op::turn ? op : nullptr;
}

// The pending operation of *op_id that waits here, or null.
inline Op *turn_waiter(Runtime *runtime, zyntax_op *op_id, const Turns *side) {
    Op *op = *op_id ? turn_of(runtime, *op_id, side) : nullptr;
    return op ? op : my_op(runtime, op_id, [side](const Op *each) { return each->source == side; });
}

// Begins a call that has to wait. *op_id is 0.
PollStatus begin_wait(Runtime *, Turns *, zyntax_wait waits, zyntax_op *op_id, Waker *waker, int64_t *result);

inline PollStatus wait_for_turn(Runtime *runtime, Turns *side, zyntax_wait waits, Op *op, zyntax_op *op_id,
                                Waker *waker, int64_t *result) {
    if (op) return still_pending(runtime, op, waker);
    return begin_wait(runtime, side, waits, op_id, waker, result);
}

// Frees an operation that has a turn, as its call takes what was reserved.
inline void take_turn(Runtime *runtime, Turns *side, Op *op) {
    assert(op->source == side && op->place == Op::turn && op->holder == Op::task && side->turns > 0);
    side->turns--;
    Task *task = task_of(op);
    remove(&task->ops, op, &Op::of_task);
    if (task->ops.empty()) task->flags &= static_cast<uint8_t>(~Task::has_turn);
    runtime->ops.give(op);
}

// Frees the operation of a call that ends, and its turn. Null: nothing.
inline void use_turn(Runtime *runtime, Turns *side, Op *op) {
    if (!op) return;
    if (op->place == Op::turn) return take_turn(runtime, side, op);
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
