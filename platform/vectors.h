// Reads and writes of several slices of memory with one call of the system.
#pragma once

#include "os.h"

namespace zyntax::os {

// The system takes at most this many slices at once.
constexpr size_t most_slices = 1024;

// As read and write of os.h, for the bytes of all slices in their order. They are short where the system takes no more
// slices or bytes at once; a message that is too long for one call is ZYNTAX_EMSGSIZE. *asked is the number of bytes
// that the system was asked for.
int64_t read_slices(intptr_t fd, Kind *kind, const zyntax_slice *slices, size_t n, size_t *asked);
int64_t write_slices(intptr_t fd, Kind *kind, const zyntax_slice *slices, size_t n);

} // namespace zyntax::os
