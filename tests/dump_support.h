// Shared by the tests of zyntax_runtime_dump.
#pragma once

#include "await_support.h"

#include <map>

namespace support {

inline std::map<zyntax_task *, zyntax_task_info> dump(zyntax_runtime *rt, int32_t *count = nullptr) {
    std::map<zyntax_task *, zyntax_task_info> tasks;
    auto visit = [](void *user, const zyntax_task_info *info) {
        (*static_cast<decltype(tasks) *>(user))[info->task] = *info;
    };
    int32_t n = zyntax_runtime_dump(rt, visit, &tasks);
    CHECK(n == int32_t(tasks.size()));
    if (count != nullptr) *count = n;
    return tasks;
}

// The wait that the dump shows for a task that awaits this operation.
inline zyntax_wait waits_for(Runtime &rt, Operation operation) {
    Await task(rt, std::move(operation));
    settle(rt);
    REQUIRE(task.alive());
    return dump(rt)[task.task.handle].waits;
}

} // namespace support
