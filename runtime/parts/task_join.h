// Tasks as those see them who wait for their end.
#pragma once

#include "../runtime.h"

namespace zyntax {

// A task as somebody on this thread sees it.
struct Awaitable {
    Runtime *runtime; // null: it cannot be awaited, and `result` is what a join of it says
    Task *task;       // null: ended, or never was
    int32_t result;
};

Awaitable seen_from_here(zyntax_task *);

} // namespace zyntax
