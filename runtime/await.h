// The one mechanism behind every zyntax_op: an operation holds the waker of a task that waits, and is in the ring of
// what it waits for. Arming, firing, cancelling and forgetting are written once, here.
//
// Firing wakes the task and frees the operation, unless a Source says otherwise. The next call with that op finds no
// operation, and that is how an await point learns that it was woken: nothing is left behind when nobody calls again.
// What a task that ends leaves behind is found through the ring in its task.
#pragma once

#include "handle.h"
#include "memory.h"
#include "op.h"

namespace zyntax {

// ---- await points ----

// The operation of this runtime behind an op; null, and *op zero, when there is none or it has been fired.
Op *pending_op(Runtime *, zyntax_op *op_id);

// As pending_node, when `is_it(operation)`. An op that waits for something else is canceled: the call begins anew.
template <class IsIt> Op *my_op(Runtime *runtime, zyntax_op *op_id, IsIt is_it) {
    Op *op = pending_op(runtime, op_id);
    if (!op || is_it(op)) return op;
    zyntax_op_cancel(op_id);
    return nullptr;
}

// A new operation with the waker, in no ring but its task's, its number in *op; null without memory. With `op` null
// nobody can name it, and it is in no task's ring.
Op *arm(Runtime *, zyntax_op *op_id, zyntax_wait waits, const Waker *waker);

// As arm, in the timer wheel. The deadline is later than any time the wheel has seen.
Op *arm_timer(Runtime *, zyntax_op *op_id, zyntax_wait waits, uint64_t deadline_ns, const Waker *waker);

// Ends a call of an await point that goes on waiting.
PollStatus still_pending(Runtime *, Op *, const Waker *waker);

// Ends a call of an await point that could not arm, has no result to say so, and so is called again at once.
PollStatus call_again(Runtime *, zyntax_op *op_id, const Waker *waker);

// The status of an await point's call that ends before it has looked at what it waits for; false when it goes on.
struct Answer {
    int status = -1;
    explicit operator bool() const { return status >= 0; }
    PollStatus operator*() const { return static_cast<PollStatus>(status); }
};

// Answers a call whose arguments cannot be used.
Answer refuse_arguments(zyntax_op *op_id, int64_t *result);

// Answers a call in a poll that has spent its budget: the task is polled again, with nothing begun.
Answer end_poll(Runtime *polling, zyntax_op *op_id, const Waker *waker);

// Zeroes an op that call_again has made for a host's waker: nothing has begun behind it.
void cancel_unbegun(zyntax_op *op_id);

// Ends a call on a dead handle.
PollStatus dead_handle(zyntax_op *op_id, int64_t *result);

// Puts an operation into a ring in which it waits.
void wait_in(Ring *ring, Op *op, Op::Place place);

// The operations in a ring whose place that is; very many when one of them does not belong there. Debug builds only.
uint64_t count_waiting(const Ring &, Op::Place);

// Takes the operation out of the ring that it waits in, whatever that is.
void stop_waiting(Runtime *, Op *);

void fire(Runtime *, Op *);
void fire_all(Runtime *, Ring *ring);

// Wakes the operation's task but keeps the operation, which is in no ring that it waits in any more.
void wake_waiter(Runtime *, Op *);

// As wake_waiter, but the task has to call again in its next poll: else the operation is canceled. Turns stand at the
// front of the task's ring.
void give_turn(Runtime *, Op *);

// After a poll: cancels what had its turn before it and did not use it.
void end_turns(Runtime *, Task *);

// A sleep and nothing more: it holds nothing that anybody could miss.
bool is_sleep(const Op *);

// True when the operation's waker is ours and its task has ended: nobody will ever call with that op again.
bool is_orphan(const Op *);

// What an ended task's operations hold goes to the orphans, which the loop cancels.
void orphan_ops(Runtime *, Task *);
void cancel_orphans(Runtime *);

// As the runtime ends: cancels every operation, as hosts may have left some.
void cancel_all_ops(Runtime *);

// Whether an operation that stores the task's waker is still to wake it.
bool waits_for_something(const Task *);

// Calls the hosts' wakers that were there to be called: user code.
void call_hosts(Runtime *);

// Out of every ring, and freed, without waking.
void free_op(Runtime *, Op *);

} // namespace zyntax
