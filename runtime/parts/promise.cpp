// Tasks that poll Zyntax promises: 16 bytes, a poll function without a waker, and 0 for both "pending" and "advanced,
// poll again". This file calls the promise's poll function and never reads the promise's state.
#include "leaf.h"

#include <string.h>

namespace zyntax {

namespace {

// The uses of the polled task's waker before a poll of a promise began.
struct WakerUse {
    uint64_t taken, stores;
    int64_t awaits_left;
};

// Whether the polled task, which has polled no pending leaf, will be woken: by a pending operation, here or in another
// runtime; or by a host, if the poll took the waker and called no operation with it.
bool will_be_woken(const Runtime *runtime, const WakerUse &before) {
    if (waits_for_something(runtime->current) || runtime->stored_elsewhere > 0) return true;
    bool was_used = runtime->waker_stores != before.stores || runtime->awaits_left != before.awaits_left;
    return runtime->wakers_taken != before.taken && !was_used;
}

} // namespace

// The outer poll's marks are kept, and the marks of this poll are added to them. A leaf that has given its value sets
// `goes_on`: then the task is polled again, even if something else is pending.
int64_t poll_in(PromiseTask *task, const zyntax_promise &promise) {
    assert(task == polled_promise_task() && promise.poll);
    Runtime *runtime = task->runtime;
    bool was_pending = task->is_pending, went_on = task->goes_on, was_polling_leaf = runtime->is_polling_leaf;
    const WakerUse before = {runtime->wakers_taken, runtime->waker_stores, runtime->awaits_left};
    task->is_pending = task->goes_on = runtime->is_polling_leaf = false;
    runtime->stored_elsewhere = 0;
    int64_t value = promise.poll(promise.state);
    assert(task == polled_promise_task());
    if (!value && !task->is_pending && !will_be_woken(runtime, before)) task->goes_on = true;
    task->is_pending = task->is_pending || was_pending;
    task->goes_on = task->goes_on || went_on;
    runtime->is_polling_leaf = was_polling_leaf;
    return value;
}

namespace {

// Writes the value to the host's word, and to the parent's leaf unless that has a value already.
void give_value(PromiseTask *task, int64_t value) {
    assert(value);
    if (task->result) *task->result = value;
    Leaf *parent = task->child_of ? find_leaf(task->child_of) : nullptr;
    if (parent && !parent->value) parent->value = value;
}

void drop_promise(FutureState state, int32_t outcome) {
    auto *task = static_cast<PromiseTask *>(state);
    while (task->leaves) free_leaf(task->leaves);
    if (outcome) give_value(task, outcome);
    if (task->hooks.drop) task->hooks.drop(task->hooks.ctx, outcome);
}

PollStatus poll_promise(FutureState state, Waker *waker) {
    auto *task = static_cast<PromiseTask *>(state);
    assert(task->self == waker->data && task->promise.poll);
    task->is_pending = task->goes_on = false;
    if (task->hooks.enter) task->hooks.enter(task->hooks.ctx);
    int64_t value = poll_in(task, task->promise);
    if (task->hooks.leave) task->hooks.leave(task->hooks.ctx);
    if (value != 0) {
        give_value(task, value);
        return POLL_READY;
    }
    if (task->goes_on) {
        task->polls_again++;
        waker->wake(waker->data);
    }
    return POLL_PENDING;
}

// Copies hooks of an older or newer version; false if they use a member that this version does not have.
bool understand(const zyntax_promise_hooks *from, zyntax_promise_hooks *to) {
    if (!from) return true;
    constexpr size_t first_version = offsetof(zyntax_promise_hooks, child);
    bool is_whole = from->size == first_version || from->size >= sizeof *from;
    if (!is_whole || !is_known(from, from->size, sizeof *from)) return false;
    memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
    return true;
}

} // namespace

zyntax_task *spawn_promise(Runtime *runtime, const zyntax_promise &promise, int64_t *result,
                           const zyntax_promise_hooks &hooks, uintptr_t child_of) {
    assert(!runtime->is_ending && promise.poll);
    void *memory = runtime->arena.take(sizeof(PromiseTask));
    if (!memory) return nullptr;
    auto *state = ::new (memory) PromiseTask();
    state->promise = promise;
    state->runtime = runtime;
    state->result = result;
    state->hooks = hooks;
    state->child_of = child_of;
    zyntax_task *task = zyntax_runtime_spawn_with(runtime, state, poll_promise, drop_promise, sizeof(PromiseTask));
    if (!task) {
        runtime->arena.give(state, sizeof(PromiseTask));
        return nullptr;
    }
    assert(find_task(task)->state == state);
    state->self = task;
    find_task(task)->flags |= Task::tracked;
    return task;
}

} // namespace zyntax

using namespace zyntax;

zyntax_task *zyntax_promise_spawn_with(zyntax_runtime *runtime, const zyntax_promise *promise, int64_t *result,
                                       const zyntax_promise_hooks *given) noexcept {
    zyntax_promise_hooks hooks = {};
    if (!runtime || !promise || !promise->poll || !understand(given, &hooks)) return nullptr;
    check_thread(runtime);
    if (!runtime->is_ending) return spawn_promise(runtime, *promise, result, hooks, 0);
    if (result) *result = ZYNTAX_ECANCELED;
    return drop_refused(runtime, hooks.ctx, hooks.drop, 0);
}

zyntax_task *zyntax_promise_spawn(zyntax_runtime *runtime, const zyntax_promise *promise, int64_t *result) noexcept {
    check_thread(runtime);
    return zyntax_promise_spawn_with(runtime, promise, result, nullptr);
}

int64_t zyntax_promise_block_on(zyntax_runtime *runtime, const zyntax_promise *promise) noexcept {
    if (!runtime || !promise || !promise->poll) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_driving) return ZYNTAX_EBUSY;
    int64_t result = ZYNTAX_ECANCELED;
    zyntax_task *task = zyntax_promise_spawn(runtime, promise, &result);
    if (!task) return ZYNTAX_ENOMEM;
    int32_t error = zyntax_runtime_block_on(runtime, task);
    if (!error) return result;
    if (error == ZYNTAX_ECANCELED && !find_task(task)) { // the task ended in the round that was stopped:
        zyntax_runtime_stop(runtime);                    // the stop is for the next call
        return result;
    }
    // The promise must not write to `result` after the return: the task is dropped first.
    Driving scope(runtime);
    zyntax_task_cancel(task);
    while (find_task(task)) drop_canceled(runtime);
    return error;
}
