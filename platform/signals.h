// Signals of the process, for the part that waits for them. A taken signal has the library's handler until it is given
// back. The caller serialises both, and never calls them from a handler.
#pragma once

#include "os.h"

namespace zyntax::os {

constexpr int32_t signal_numbers = 128; // every number is below

// Called once for each delivery of a signal that is taken, in this process only: in any thread, at any time, inside a
// signal handler. On Windows in a thread of the system's.
using SignalHook = void(int32_t number);

#if defined(__wasi__)

// There are no signals.
inline int32_t check_signal(int32_t) { return ZYNTAX_ENOSYS; }
inline int32_t take_signal(int32_t, SignalHook *) { return ZYNTAX_ENOSYS; }
inline void give_signal(int32_t) {}

#else

int32_t check_signal(int32_t number); // 0, or ZYNTAX_EINVAL: no program can wait for it

// 0 or an error. `hook` is the same in each call. Also for a signal that is taken: the host may have changed its
// action.
int32_t take_signal(int32_t number, SignalHook *hook);

// Puts back the action that was there before, unless the host has changed it. When this returns, no thread runs the
// hook for that number any more.
void give_signal(int32_t number);

#endif

} // namespace zyntax::os
