// Waiting for the end of one task.
#include "join.h"

using namespace zyntax;

Awaitable zyntax::seen_from_here(zyntax_task *handle) {
    Slot *slot = find_task(handle);
    if (!slot) return {nullptr, nullptr, handle ? 0 : int32_t{ZYNTAX_EINVAL}};
    uint32_t owner = slot->owner.load(std::memory_order_acquire);
    Runtime *runtime = driving && driving->id != owner ? nullptr : usable_runtime(owner);
    if (!runtime) return {nullptr, slot, ZYNTAX_ESTALE};
    if (slot == runtime->current) return {nullptr, slot, ZYNTAX_EDEADLK};
    return {runtime, slot, 0};
}

// A plain join of that task.
static bool joins(const Node *node, const Slot *slot) {
    return node->place == Node::waiting && node->ring == &slot->joiners;
}

PollStatus zyntax_task_join(zyntax_task *handle, zyntax_op *op, Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op, waker, result)) return *answer;
    Awaitable task = seen_from_here(handle);
    if (!task.runtime) return refuse(op, result, task.result);
    Node *node = my_node(task.runtime, op, [&](const Node *n) { return joins(n, task.slot); });
    if (node) return still_pending(task.runtime, node, waker);
    node = arm(task.runtime, op, ZYNTAX_WAIT_JOIN, waker);
    if (!node) return complete(op, result, ZYNTAX_ENOMEM);
    wait_in(&task.slot->joiners, node, Node::waiting);
    return POLL_PENDING;
}
