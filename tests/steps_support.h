// The library's work as a count: the same on a busy machine, in an emulator and under a sanitizer.
#pragma once

#include <cstdint>

namespace support {

// Basic blocks of the library that this thread has run. A loop counts each time round; the C library does not count.
uint64_t steps();

} // namespace support
