// Zyntax promises: 16 bytes, a poll without a waker argument, and 0 for both "pending" and "advanced, poll me again".
// The promise itself is never touched but through its poll.
#include "../runtime.h"

using namespace zyntax;

namespace {

struct Promise {
    zyntax_promise promise;
    Runtime *runtime;
    int64_t *result;
};

// After a 0 somebody has to have the waker, or nobody would ever poll again: an operation of this task that is still
// pending, here or in another runtime; or a host, when the waker was taken and no operation was called with it.
PollStatus poll_promise(FutureState state, Waker *waker) {
    auto *task = static_cast<Promise *>(state);
    Runtime *runtime = task->runtime;
    uint64_t taken = runtime->wakers_taken, calls = runtime->await_calls;
    runtime->stored_elsewhere = 0;
    int64_t value = task->promise.poll(task->promise.state);
    if (value != 0) {
        if (task->result) *task->result = value;
        return POLL_READY;
    }
    bool is_stored = waits_for_something(runtime->current) || runtime->stored_elsewhere > 0;
    bool is_kept = runtime->wakers_taken != taken && runtime->await_calls == calls;
    if (!is_stored && !is_kept) waker->wake(waker->data);
    return POLL_PENDING;
}

void drop_promise(FutureState state, int32_t outcome) {
    auto *task = static_cast<Promise *>(state);
    if (outcome && task->result) *task->result = outcome;
}

} // namespace

zyntax_task *zyntax_promise_spawn(zyntax_runtime *runtime, const zyntax_promise *promise, int64_t *result) noexcept {
    if (!runtime || !promise || !promise->poll) return nullptr;
    check_thread(runtime);
    if (runtime->is_ending) {
        if (result) *result = ZYNTAX_ECANCELED;
        return nullptr;
    }
    auto *state = static_cast<Promise *>(runtime->arena.take(sizeof(Promise)));
    if (!state) return nullptr;
    *state = {*promise, runtime, result};
    zyntax_task *task = zyntax_runtime_spawn_with(runtime, state, poll_promise, drop_promise, sizeof(Promise));
    if (task) find_task(task)->flags |= Slot::tracked;
    else runtime->arena.give(state, sizeof(Promise));
    return task;
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
    if (error == ZYNTAX_ECANCELED && !find_task(task)) { // it ended in the round that was stopped
        zyntax_runtime_stop(runtime);                    // which is for the next call, then
        return result;
    }
    // The promise must not write to this frame any more: it is dropped before we leave.
    Driving scope(runtime);
    zyntax_task_cancel(task);
    while (find_task(task)) drop_canceled(runtime);
    return error;
}
