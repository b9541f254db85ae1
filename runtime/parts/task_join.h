// Tasks as seen by a join.
#pragma once

#include "../runtime.h"

namespace zyntax {

// A task as this thread may await it.
struct Awaitable {
    Runtime *runtime; // null: the task cannot be awaited, and a join returns `result`
    Task *task;       // null: ended, or never existed
    int32_t result;
};

// A thread that drives a runtime may await the tasks of that runtime only.
inline Awaitable seen_from_here(zyntax_task *handle) {
    Task *task = find_task(handle);
    if (!task) return {nullptr, nullptr, handle ? 0 : int32_t{ZYNTAX_EINVAL}};
    uint32_t owner = task->owner.load(std::memory_order_acquire);
    Runtime *runtime = driving && driving->id != owner ? nullptr : usable_runtime(owner);
    if (!runtime) return {nullptr, task, ZYNTAX_ESTALE};
    if (task == runtime->current) return {nullptr, task, ZYNTAX_EDEADLK};
    return {runtime, task, 0};
}

} // namespace zyntax
