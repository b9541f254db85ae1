// processes.h on WASI, which has no processes.
#include "processes.h"

#if defined(__wasi__)

namespace zyntax::os {

int32_t spawn(Memory &, const zyntax_process_options &, Child *) { return ZYNTAX_ENOSYS; }
int32_t find_child(int64_t, Child *) { return ZYNTAX_ENOSYS; }
int32_t open_child_pipe(bool, intptr_t *, intptr_t *) { return ZYNTAX_ENOSYS; }

// There is no process to ask about.
Report await_end(Child *, intptr_t, uintptr_t, bool) { return Report::never; }
int64_t look_at(const Child &, bool) { return ZYNTAX_ECHILD; }
int32_t signal_process(const Child &, int32_t, bool) { return ZYNTAX_ESRCH; }
int64_t kill_and_reap(const Child &, bool) { return ZYNTAX_ECHILD; }
void end_child(Child *) {}
void forget_child(const Child &) {}

} // namespace zyntax::os

#endif // __wasi__
