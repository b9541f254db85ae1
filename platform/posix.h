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

// The error codes are Linux's, so on Linux there is nothing to map but one synonym.
inline int32_t last_error() { return errno == EWOULDBLOCK ? ZYNTAX_EAGAIN : -errno; }

// What a poller without a better way is woken through. Both ends are non-blocking and close-on-exec.
int32_t open_pipe(int (&ends)[2]);

} // namespace zyntax::os
