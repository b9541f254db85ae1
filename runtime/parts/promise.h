// Tasks that poll a promise, as the files of promises see them.
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
    void *self;           // the task's number
    uint64_t polls_again; // see zyntax_task_info
    uintptr_t child_of;   // number of the leaf that gives its value, or 0
    Leaf *leaves;
    // Of the poll that runs:
    bool is_pending; // it has polled a leaf that is
    bool goes_on;    // a leaf has given its value, or a promise in it answered 0 with nothing pending
};

// The task of a promise that this thread is polling, or null.
inline PromiseTask *polled_promise_task() {
    Runtime *runtime = zyntax_current_runtime();
    bool is_promise = runtime && (runtime->current->flags & Task::tracked);
    return is_promise ? static_cast<PromiseTask *>(runtime->current->state) : nullptr;
}

// As zyntax_promise_spawn_with, for a child with the number of the leaf that gives its value. The runtime does not end.
zyntax_task *spawn_promise(Runtime *, const zyntax_promise &, int64_t *result, const zyntax_promise_hooks &,
                           uintptr_t child_of);

// Polls a promise of the task, or one in it, and notes whether that goes on.
int64_t poll_in(PromiseTask *, const zyntax_promise &);

} // namespace zyntax
