// Waiting for the end of one task.
#include "task_join.h"

using namespace zyntax;

// Whether the operation is a plain join of that task.
static bool joins(const Op *op, const Task *task) { return op->place == Op::waiting && op->ring == &task->joiners; }

[[gnu::noinline]] static PollStatus join_alive(Runtime *runtime, Task *task, zyntax_op *op_id, Waker *waker,
                                               int64_t *result) {
    Op *op = my_op(runtime, op_id, [task](const Op *n) { return joins(n, task); });
    if (op) return still_pending(runtime, op, waker);
    assert(!*op_id && task != runtime->current);
    op = arm(runtime, op_id, ZYNTAX_WAIT_JOIN, waker);
    if (!op) return not_armed(op_id, result);
    wait_in(&task->joiners, op, Op::waiting);
    return POLL_PENDING;
}

PollStatus zyntax_task_join(zyntax_task *handle, zyntax_op *op_id, Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    Awaitable target = seen_from_here(handle);
    if (!target.runtime) return refuse(op_id, result, target.result);
    return join_alive(target.runtime, target.task, op_id, waker, result);
}
