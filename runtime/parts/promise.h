// The state of tasks that poll a promise, for the files of promises and leaves.
#pragma once

#include "../runtime.h"

namespace zyntax {

struct Leaf;

// The state of a task that polls a promise.
struct PromiseTask {
    zyntax_promise promise;
    Runtime *runtime;
    int64_t *result;
    zyntax_promise_hooks hooks;
    void *self;           // the task's handle
    uint64_t polls_again; // see zyntax_task_info
    uintptr_t child_of;   // number of the leaf that receives the task's value, or 0
    Leaf *leaves;
    // Cleared when a poll begins; poll_in clears both during an inner poll and adds the old ones to the result.
    bool is_pending; // set when a leaf was polled and is pending
    bool goes_on;    // set when a leaf gave its value, or a promise answered 0 and nothing will wake the task
};

// The promise task that this thread is polling, or null.
inline PromiseTask *polled_promise_task() {
    Runtime *runtime = zyntax_current_runtime();
    bool is_promise = runtime && (runtime->current->flags & Task::tracked);
    return is_promise ? static_cast<PromiseTask *>(runtime->current->state) : nullptr;
}

// As zyntax_promise_spawn_with; `child_of` as in PromiseTask. The runtime is not ending.
zyntax_task *spawn_promise(Runtime *, const zyntax_promise &, int64_t *result, const zyntax_promise_hooks &,
                           uintptr_t child_of);

// Polls the task's promise, or a promise inside it, and sets is_pending and goes_on.
int64_t poll_in(PromiseTask *, const zyntax_promise &);

} // namespace zyntax
