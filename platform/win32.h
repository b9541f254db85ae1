// Shared by the Windows files of this directory. No other file may include it.
#pragma once

#if !defined(WIN32_LEAN_AND_MEAN)
#define WIN32_LEAN_AND_MEAN
#endif
#if !defined(NOMINMAX)
#define NOMINMAX
#endif

#include <winsock2.h> // before windows.h, which would include the old winsock.h

#include <mswsock.h>
#include <windows.h>
#include <ws2tcpip.h>

#include "../include/zyntax_async_runtime.h"

namespace zyntax::os {

// The ZYNTAX_E code, or else the number of Linux, for an error of Windows or Winsock; ZYNTAX_EIO for any other error.
int32_t code_of(int error);

inline int32_t last_error() { return code_of(static_cast<int>(GetLastError())); }

// Milliseconds, the only unit of the system's waits: never less than `ns`, and never INFINITE.
inline DWORD to_ms_rounded_up(uint64_t ns) {
    constexpr uint64_t ns_per_ms = 1'000'000;
    uint64_t ms = ns / ns_per_ms + (ns % ns_per_ms != 0);
    return ms < INFINITE ? static_cast<DWORD>(ms) : INFINITE - 1;
}

} // namespace zyntax::os
