// Interrupts: an await point of a task ends with ZYNTAX_EINTR. The heart does that: see Runtime::ends_wait.
#include "../runtime.h"

using namespace zyntax;

int32_t zyntax_task_interrupt(zyntax_task *handle) noexcept {
    uint32_t index = handle_index(to_bits(handle));
    Task *task = find_task(handle);
    if (!task) return ZYNTAX_ESTALE;
    if (driving && task->owner.load(std::memory_order_relaxed) == driving->id) {
        interrupt_task(driving->runtime.load(std::memory_order_relaxed), index, task);
        return 0;
    }
    return push_remote(task, index, handle_generation(to_bits(handle)), Push::interrupt) ? 0 : ZYNTAX_ESTALE;
}

int32_t zyntax_task_interrupted(void) noexcept {
    Runtime *runtime = zyntax_current_runtime();
    if (!runtime || !runtime->was_interrupted()) return 0;
    runtime->interrupted_at = Runtime::no_end;
    return 1;
}
