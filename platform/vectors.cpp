// vectors.h for all systems, over the calls and the type of the system's own list.
#include "vectors.h"

#include "vectors_system.h"

#include <limits.h>

namespace zyntax::os {

namespace {

// The slices in the system's type, without empty ones.
template <size_t room> struct PartList {
    Part parts[room];
    size_t count = 0, bytes = 0;
    bool is_cut = false; // some bytes are not in the list

    PartList(const zyntax_slice *slices, size_t n) {
        for (size_t i = 0; i < n && !is_cut; i++) {
            size_t len = slices[i].len, left = INT_MAX - bytes;
            is_cut = len > left || (len && count == room);
            if (len > left) len = left;
            if (!len || count == room) continue;
            parts[count++] = make_part(slices[i].data, len);
            bytes += len;
        }
        if (!count) parts[count++] = make_part(nullptr, 0); // an empty message; some systems refuse an empty list
    }
};

template <size_t room>
[[gnu::noinline]] int64_t read_list(intptr_t fd, Kind *kind, const zyntax_slice *slices, size_t n, size_t *asked) {
    PartList<room> list(slices, n);
    *asked = list.bytes;
    return read_system_parts(fd, kind, list.parts, list.count);
}

template <size_t room>
[[gnu::noinline]] int64_t write_list(intptr_t fd, Kind *kind, const zyntax_slice *slices, size_t n) {
    PartList<room> list(slices, n);
    if (list.is_cut && *kind == Kind::messages) return ZYNTAX_EMSGSIZE;
    return write_system_parts(fd, kind, list.parts, list.count);
}

constexpr size_t few = 16; // most calls: the stack needs no room for the longest list

} // namespace

int64_t read_slices(intptr_t fd, Kind *kind, const zyntax_slice *slices, size_t n, size_t *asked) {
    return n <= few ? read_list<few>(fd, kind, slices, n, asked) : read_list<most_slices>(fd, kind, slices, n, asked);
}

int64_t write_slices(intptr_t fd, Kind *kind, const zyntax_slice *slices, size_t n) {
    return n <= few ? write_list<few>(fd, kind, slices, n) : write_list<most_slices>(fd, kind, slices, n);
}

} // namespace zyntax::os
