// Files, for threads that may block. A function here waits as long as the system does, retries EINTR, and raises no
// signal. It never looks at an object of the runtime.
#pragma once

#include <atomic>

#include "os.h"

namespace zyntax::os {

// WASI has files, but no threads for the calls that block.
#if defined(__wasi__)
constexpr bool has_file_calls = false;
#else
constexpr bool has_file_calls = true;
#endif

// On Windows a call at an offset moves the position of the file for a moment, so no two calls may overlap.
#if defined(_WIN32)
constexpr bool offsets_move_position = true;
#else
constexpr bool offsets_move_position = false;
#endif

constexpr uint64_t at_position = UINT64_MAX; // an offset: the current position, which the call moves

struct FileKind {
    bool may_be_pollable; // the poller decides
    bool is_stream;       // without positions: bytes cannot be read twice
    bool is_fifo;
    bool appends; // every write goes to the end
};

// A read or a write. The memory belongs to the caller until the call has returned.
struct FileCall {
    intptr_t fd;
    void *data;
    size_t len;
    uint64_t offset;
    const std::atomic<bool> *stop; // once set, a read that waits for a stream may end with ZYNTAX_ECANCELED
};

// Bytes of scratch memory for a byte of a path, with its NUL: Windows has paths of UTF-16.
#if defined(_WIN32)
constexpr size_t path_scratch = 2;
#else
constexpr size_t path_scratch = 0;
#endif

// The flags are ZYNTAX_FILE_*, in a valid combination. A descriptor, with its kind, or an error. It waits for neither
// end of a FIFO. A descriptor that may be pollable is non-blocking. The scratch memory is aligned to 16 bytes.
intptr_t open_file(const char *path, void *scratch, uint32_t flags, FileKind *kind);

int32_t file_kind(intptr_t fd, FileKind *kind); // 0 or an error: ZYNTAX_EISDIR for a directory
int64_t read_file(const FileCall &);            // bytes, 0 at the end, or an error
int64_t write_file(const FileCall &);           // bytes or an error
int64_t sync_file(intptr_t fd);                 // 0 or an error
int64_t size_of_file(intptr_t fd);
void seek_back(intptr_t fd, int64_t bytes); // moves the position; never blocks
void close_file(intptr_t fd);

#if defined(__wasi__)
inline intptr_t open_file(const char *, void *, uint32_t, FileKind *) { return ZYNTAX_ENOSYS; }
inline int32_t file_kind(intptr_t, FileKind *) { return ZYNTAX_ENOSYS; }
inline int64_t read_file(const FileCall &) { return ZYNTAX_ENOSYS; }
inline int64_t write_file(const FileCall &) { return ZYNTAX_ENOSYS; }
inline int64_t sync_file(intptr_t) { return ZYNTAX_ENOSYS; }
inline int64_t size_of_file(intptr_t) { return ZYNTAX_ENOSYS; }
inline void seek_back(intptr_t, int64_t) {}
inline void close_file(intptr_t) {}
#endif

} // namespace zyntax::os
