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

Awaitable seen_from_here(zyntax_task *);

} // namespace zyntax
