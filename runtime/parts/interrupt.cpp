// Interrupts: an await point of a task ends with ZYNTAX_EINTR. The heart does that: see Runtime::ends_wait.
#include "../runtime.h"

using namespace zyntax;

int32_t zyntax_task_interrupt(zyntax_task *task) noexcept { return ask_task(task, Push::interrupt, interrupt_task); }

int32_t zyntax_task_interrupted(void) noexcept {
    Runtime *runtime = zyntax_current_runtime();
    if (!runtime || !runtime->was_interrupted()) return 0;
    runtime->interrupted_at = Runtime::no_end;
    return 1;
}
