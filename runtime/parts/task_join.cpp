// Waiting for the end of one task.
#include "task_join.h"

using namespace zyntax;

Awaitable zyntax::seen_from_here(zyntax_task *handle) {
    Task *task = find_task(handle);
    if (!task) return {nullptr, nullptr, handle ? 0 : int32_t{ZYNTAX_EINVAL}};
    uint32_t owner = task->owner.load(std::memory_order_acquire);
    Runtime *runtime = driving && driving->id != owner ? nullptr : usable_runtime(owner);
    if (!runtime) return {nullptr, task, ZYNTAX_ESTALE};
    if (task == runtime->current) return {nullptr, task, ZYNTAX_EDEADLK};
    return {runtime, task, 0};
}

// Whether the operation is a plain join of that task.
static bool joins(const Op *op, const Task *task) { return op->place == Op::waiting && op->ring == &task->joiners; }

PollStatus zyntax_task_join(zyntax_task *handle, zyntax_op *op_id, Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    Awaitable target = seen_from_here(handle);
    if (!target.runtime) return refuse(op_id, result, target.result);
    Op *op = my_op(target.runtime, op_id, [&](const Op *n) { return joins(n, target.task); });
    if (op) return still_pending(target.runtime, op, waker);
    assert(!*op_id && target.task != target.runtime->current);
    op = arm(target.runtime, op_id, ZYNTAX_WAIT_JOIN, waker);
    if (!op) return not_armed(op_id, result);
    wait_in(&target.task->joiners, op, Op::waiting);
    return POLL_PENDING;
}
