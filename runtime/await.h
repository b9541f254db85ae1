// The one mechanism behind every zyntax_op. An operation holds the waker of a task that waits, and is in the ring of
// the object that it waits for. It begins (arm), and ends in one of three ways: it is fired, canceled or freed.
//
// Firing wakes the task and frees the operation, unless a Source says otherwise. The next call with that op id finds no
// operation, and so the await point knows that it was woken: nothing remains when the task never calls again. The
// operations of a task that ends are found through the ring in the task.
#pragma once

#include "handle.h"
#include "memory.h"
#include "op.h"

namespace zyntax {

// ---- await points ----

// The operation of this runtime that *op_id names; null, and *op_id zero, when there is none or it has been fired.
Op *pending_op(Runtime *, zyntax_op *op_id);

// As pending_op, if is_it(op). An operation with another purpose is canceled, and the call begins anew.
template <class IsIt> Op *my_op(Runtime *runtime, zyntax_op *op_id, IsIt is_it) {
    Op *op = *op_id ? pending_op(runtime, op_id) : nullptr;
    if (!op || is_it(op)) return op;
    zyntax_op_cancel(op_id);
    return nullptr;
}

// A new operation with this waker, in its task's ring and in no other; *op_id is its number. With a null `op_id` the
// operation has no name, and is in no task's ring. Null without memory, and for the op id of a call that ends by an
// interrupt: the call then ends with not_armed.
Op *arm(Runtime *, zyntax_op *op_id, zyntax_wait waits, const Waker *waker);

// As arm, and in the timer wheel. The deadline is after every time that the wheel has seen.
Op *arm_timer(Runtime *, zyntax_op *op_id, zyntax_wait waits, uint64_t deadline_ns, const Waker *waker);

// The polling runtime if its interrupted poll makes this call; null otherwise. The call then ends unless its result is
// there.
Runtime *interrupted_by(const zyntax_op *op_id);

// Ends a call of an await point that goes on waiting. POLL_READY: an interrupt has ended the operation and the call.
PollStatus still_pending(Runtime *, Op *, const Waker *waker);

// Ends a call of an await point that could not arm: with ZYNTAX_ENOMEM or ZYNTAX_EINTR; without a result for an error
// the task is polled again.
PollStatus not_armed(zyntax_op *op_id, int64_t *result);
PollStatus not_armed(Runtime *, zyntax_op *op_id, const Waker *waker);

// The status of a call of an await point that ends before it looks at its object; false when the call goes on.
struct Answer {
    int status = -1;
    explicit operator bool() const { return status >= 0; }
    PollStatus operator*() const { return static_cast<PollStatus>(status); }
};

// Answers a call whose arguments cannot be used.
Answer refuse_arguments(zyntax_op *op_id, int64_t *result);

// The answer of answer_at_once where goes_on does not hold. A call in a poll that has spent its budget: nothing begins,
// and the task is polled again. A call in a poll of an interrupted task goes on within the budget, and is noted.
Answer answer_rarely(Runtime *polling, zyntax_op *op_id, const Waker *waker, int64_t *result);

// Zeroes an op id that call_again has made for a host's waker: its operation waits for nothing.
void cancel_unbegun(zyntax_op *op_id);

// Ends a call that cannot go on with the pending operation of its op id, if any. `result` may be null.
PollStatus refuse(zyntax_op *op_id, int64_t *result, int64_t error);

// Ends a call on a dead handle.
PollStatus dead_handle(zyntax_op *op_id, int64_t *result);

// Puts an operation into a ring in which it waits.
inline void wait_in(Ring *ring, Op *op, Op::Place place) {
    assert(op->place == Op::nowhere);
    op->place = place;
    op->ring = ring;
    append(ring, op, &Op::in_ring);
}

// The number of operations in a ring, which must have this place; very large when one has another. Debug builds only.
uint64_t count_waiting(const Ring &, Op::Place);

// Takes the operation out of the ring or the wheel in which it waits, if any.
void stop_waiting(Runtime *, Op *);

void fire(Runtime *, Op *);
void fire_all(Runtime *, Ring *ring);

// Wakes the operation's task and keeps the operation, which waits in no ring any more.
void wake_waiter(Runtime *, Op *);

// After a poll: cancels the operations that had a turn before the poll and did not use it. Operations with a
// turn are at the front of the ring of their task.
void end_turns(Runtime *, Task *);

// A plain sleep. It holds no resource.
inline bool is_sleep(const Op *op) { return op->waits == ZYNTAX_WAIT_TIMER && !op->source; }

// True when the waker is one of this library and its task has ended: no call with this op id will come.
bool is_orphan(const Op *);

// Moves the operations of a task that has ended to the orphans, which the loop cancels.
void orphan_ops(Runtime *, Task *);
void cancel_orphans(Runtime *);

// Whether an operation of `foreign` may have become an orphan since the last cancel_orphans. Asked while it has any.
bool has_new_foreign_orphans(const Runtime *);

// As the runtime ends: cancels every operation. Hosts may have left operations.
void cancel_all_ops(Runtime *);

// Whether an operation that stores the task's waker is going to wake it.
bool waits_for_something(const Task *);

// Calls the wakers of the operations that are in to_call when it begins. This is user code.
void call_hosts(Runtime *);

// Takes the operation out of every ring and frees it, without a wake.
void free_op(Runtime *, Op *);

} // namespace zyntax
