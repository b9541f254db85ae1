// How operations get turns, and begin to wait for them. See turns.h.
#include "turns.h"

namespace zyntax {

// Moves an operation to the front of its task's ring.
[[gnu::noinline]] static void move_to_front(Task *task, Op *op) {
    remove(&task->ops, op, &Op::of_task);
    append(&task->ops, op, &Op::of_task);
    task->ops.first = op_pool.index_of(op);
}

static inline void give_turn_here(Runtime *runtime, Op *op) {
    if (op->holder != Op::task) return wake_waiter(runtime, op);
    Task *task = task_of(op);
    op->place = Op::turn;
    op->source_word = task->polls_low;
    task->flags |= Task::has_turn;
    if (task->ops.first != op_pool.index_of(op)) move_to_front(task, op);
    if (!runtime->is_driving) return wake_waiter(runtime, op);
    op->woken = true;
    runtime->counts.wakes++;
    enqueue(runtime, handle_index(to_bits(op->waker.data)), task);
}

void give_turn(Runtime *runtime, Op *op) { give_turn_here(runtime, op); }

void give_turns(Runtime *runtime, Turns *side, size_t available) {
    while (side->turns < available && !side->queue.empty()) {
        Op *op = first_of(side->queue);
        assert(op->source == side && !op->woken && op->place == Op::waiting);
        remove(&side->queue, op, &Op::in_ring);
        op->place = Op::nowhere;
        if (op->holder != Op::task && is_orphan(op)) {
            free_op(runtime, op);
        } else {
            side->turns++;
            give_turn_here(runtime, op);
        }
    }
}

PollStatus begin_wait(Runtime *runtime, Turns *side, zyntax_wait waits, zyntax_op *op_id, Waker *waker,
                      int64_t *result) {
    assert(!*op_id);
    Op *op = arm(runtime, op_id, waits, waker);
    if (!op) return not_armed(op_id, result);
    op->source = side;
    wait_in(&side->queue, op, Op::waiting);
    return POLL_PENDING;
}

} // namespace zyntax
