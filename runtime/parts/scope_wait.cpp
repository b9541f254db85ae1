// Scopes: the calls that wait for ended tasks. See scope.h.
#include "scope.h"

using namespace zyntax;

// A task that was spawned after a caller was told that none is left takes the caller's turn back.
PollStatus zyntax_scope_next(zyntax_scope *handle, zyntax_op *op_id, Waker *waker, zyntax_task **ended,
                             int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    auto [runtime, scope] = find_scope(handle);
    if (!scope) return dead_handle(op_id, result);
    if (!ended) return refuse(op_id, result, ZYNTAX_EINVAL);
    Op *op = turn_waiter(runtime, op_id, &scope->nexts);
    scope->tells = true;
    if (!may_take(&scope->nexts, op, scope->available())) {
        if (is_last_polled(runtime, scope) && !scope->ended) return refuse(op_id, result, ZYNTAX_EDEADLK);
        if (op && op->woken) {
            use_turn(runtime, &scope->nexts, op);
            *op_id = 0;
            op = nullptr;
        }
        return wait_for_turn(runtime, &scope->nexts, ZYNTAX_WAIT_JOIN, op, op_id, waker, result);
    }
    *ended = take_ended(runtime, scope);
    use_turn(runtime, &scope->nexts, op);
    settle_scope(runtime, scope);
    return complete(op_id, result, *ended != nullptr);
}

PollStatus zyntax_scope_join(zyntax_scope *handle, zyntax_op *op_id, Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    auto [runtime, scope] = find_scope(handle);
    if (!scope) return dead_handle(op_id, result);
    const Ring *joins = &scope->joins;
    auto is_it = [joins](const Op *op) { return op->place == Op::waiting && op->ring == joins; };
    Op *op = my_op(runtime, op_id, is_it);
    if (!scope->alive) {
        while (!scope->tells && scope->ended) take_ended(runtime, scope);
        if (op) free_op(runtime, op);
        return complete(op_id, result, 0);
    }
    if (is_last_polled(runtime, scope)) return refuse(op_id, result, ZYNTAX_EDEADLK);
    if (op) return still_pending(runtime, op, waker);
    op = arm(runtime, op_id, ZYNTAX_WAIT_JOIN, waker);
    if (!op) return not_armed(op_id, result);
    wait_in(&scope->joins, op, Op::waiting);
    return POLL_PENDING;
}
