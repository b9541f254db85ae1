// The system's type of a block of memory, and its calls that transfer several of them. For the vectors*.cpp files.
#pragma once

#if defined(_WIN32)
#include "sockets.h"
#else
#include "posix.h"
#endif

namespace zyntax::os {

#if defined(_WIN32)
using Part = WSABUF;
inline Part make_part(void *data, size_t len) { return {static_cast<ULONG>(len), static_cast<char *>(data)}; }
#else
using Part = iovec;
inline Part make_part(void *data, size_t len) { return {data, len}; }
#endif

// At most INT_MAX bytes together.
int64_t read_system_parts(intptr_t fd, Kind *, Part *parts, size_t n);
int64_t write_system_parts(intptr_t fd, Kind *, Part *parts, size_t n);

} // namespace zyntax::os
