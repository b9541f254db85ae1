// What the POSIX files of this directory share.
#pragma once

#include <errno.h>

#include "../include/zyntax_async_runtime.h"

namespace zyntax::os {

// Puts errno back at the end of the scope.
struct KeepErrno {
    int saved = errno;
    ~KeepErrno() { errno = saved; }
};

// The code of a system's error. One that has no name in the header is named as the nearest that has; without one, it
// keeps its number on Linux and is ZYNTAX_EIO elsewhere.
int32_t code_of(int error);

inline int32_t last_error() { return code_of(errno); }

// What a poller without a better way is woken through. Both ends are non-blocking and close-on-exec.
int32_t open_pipe(int (&ends)[2]);

} // namespace zyntax::os
