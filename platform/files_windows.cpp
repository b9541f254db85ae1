// files.h on Windows. Descriptors are handles; a handle that is a pipe or a console has no position.
#include "files.h"

#if defined(_WIN32)

#include "win32.h"

#include <string.h>

namespace zyntax::os {

namespace {

struct FileCode {
    DWORD windows;
    int32_t zyntax;
};

constexpr FileCode file_codes[] = {
    {ERROR_FILE_NOT_FOUND, ZYNTAX_ENOENT},
    {ERROR_PATH_NOT_FOUND, ZYNTAX_ENOENT},
    {ERROR_INVALID_DRIVE, ZYNTAX_ENOENT},
    {ERROR_INVALID_NAME, ZYNTAX_ENOENT},
    {ERROR_BAD_PATHNAME, ZYNTAX_ENOENT},
    {ERROR_BAD_NETPATH, ZYNTAX_ENOENT},
    {ERROR_BAD_NET_NAME, ZYNTAX_ENOENT},
    {ERROR_DIRECTORY, ZYNTAX_ENOTDIR},
    {ERROR_FILE_EXISTS, ZYNTAX_EEXIST},
    {ERROR_ALREADY_EXISTS, ZYNTAX_EEXIST},
    {ERROR_FILENAME_EXCED_RANGE, ZYNTAX_ENAMETOOLONG},
    {ERROR_BUFFER_OVERFLOW, ZYNTAX_ENAMETOOLONG},
    {ERROR_CANT_RESOLVE_FILENAME, ZYNTAX_ELOOP},
    {ERROR_WRITE_PROTECT, ZYNTAX_EROFS},
    {ERROR_DISK_FULL, ZYNTAX_ENOSPC},
    {ERROR_HANDLE_DISK_FULL, ZYNTAX_ENOSPC},
    {ERROR_FILE_TOO_LARGE, ZYNTAX_EFBIG},
    {ERROR_SHARING_VIOLATION, ZYNTAX_EBUSY},
    {ERROR_LOCK_VIOLATION, ZYNTAX_EBUSY},
    {ERROR_PIPE_BUSY, ZYNTAX_EBUSY},
    {ERROR_DELETE_PENDING, ZYNTAX_EACCES},
    {ERROR_PRIVILEGE_NOT_HELD, ZYNTAX_EPERM},
    {ERROR_NEGATIVE_SEEK, ZYNTAX_EINVAL},
    {ERROR_NO_DATA, ZYNTAX_EPIPE},
    {ERROR_BROKEN_PIPE, ZYNTAX_EPIPE},
    {ERROR_NO_UNICODE_TRANSLATION, ZYNTAX_EINVAL},
};

int32_t file_error(DWORD error = GetLastError()) {
    for (FileCode known : file_codes) {
        if (known.windows == error) return known.zyntax;
    }
    return code_of(static_cast<int>(error));
}

// A call that the handle does not permit has the error of a file that may not be opened.
int32_t transfer_error(DWORD error = GetLastError()) {
    return error == ERROR_ACCESS_DENIED ? int32_t{ZYNTAX_EBADF} : file_error(error);
}

HANDLE to_handle(intptr_t fd) { return reinterpret_cast<HANDLE>(fd); }

HANDLE open_wide(const wchar_t *path, DWORD access, DWORD how) {
    constexpr DWORD shared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    return CreateFileW(path, access, shared, nullptr, how, FILE_ATTRIBUTE_NORMAL, nullptr);
}

// Windows reports a directory as a file without permission.
int32_t open_failure(const wchar_t *path) {
    DWORD error = GetLastError(), attributes = GetFileAttributesW(path);
    bool is_directory = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
    return error == ERROR_ACCESS_DENIED && is_directory ? int32_t{ZYNTAX_EISDIR} : file_error(error);
}

// Truncating needs the permission to write anywhere. A handle that appends must not have this permission, because the
// system would not append then. So a separate handle truncates the file. 0 or an error.
int32_t truncate_first(const wchar_t *path, bool may_be_missing) {
    HANDLE file = open_wide(path, GENERIC_WRITE, TRUNCATE_EXISTING);
    if (file != INVALID_HANDLE_VALUE) {
        CloseHandle(file);
        return 0;
    }
    return may_be_missing && GetLastError() == ERROR_FILE_NOT_FOUND ? 0 : open_failure(path);
}

// Waits until the pipe or console has something to read; false after a stop. The system has no wait for a pipe, and a
// read that has begun could not be ended: a pause between two looks grows to 16 ms.
bool wait_for_stream(const FileCall &call) {
    HANDLE file = to_handle(call.fd);
    DWORD mode, available = 0;
    bool is_pipe = GetFileType(file) == FILE_TYPE_PIPE, is_console = GetConsoleMode(file, &mode);
    for (DWORD pause_ms = 1; !call.stop->load(std::memory_order_relaxed); pause_ms += pause_ms < 16) {
        if (is_pipe && (!PeekNamedPipe(file, nullptr, 0, nullptr, &available, nullptr) || available)) return true;
        if (!is_pipe && (!is_console || WaitForSingleObject(file, 50) == WAIT_OBJECT_0)) return true;
        if (is_pipe) ::Sleep(pause_ms);
    }
    return false;
}

// Calls ReadFile or WriteFile. At an offset, the position is as before afterwards, as in libuv. The host may have
// opened the handle for overlapped calls, which end later.
template <class Call> BOOL call_at(const FileCall &call, DWORD *done, Call transfer) {
    HANDLE file = to_handle(call.fd);
    DWORD len = call.len < 0x7FFFFFFF ? static_cast<DWORD>(call.len) : 0x7FFFFFFF;
    if (call.offset == at_position) return transfer(file, len, done, nullptr);
    OVERLAPPED at = {};
    at.Offset = static_cast<DWORD>(call.offset);
    at.OffsetHigh = static_cast<DWORD>(call.offset >> 32);
    const LARGE_INTEGER here = {};
    LARGE_INTEGER position;
    BOOL has_position = SetFilePointerEx(file, here, &position, FILE_CURRENT);
    BOOL good = transfer(file, len, done, &at);
    if (!good && GetLastError() == ERROR_IO_PENDING) good = GetOverlappedResult(file, &at, done, TRUE);
    DWORD error = GetLastError();
    if (has_position) SetFilePointerEx(file, position, nullptr, FILE_BEGIN);
    SetLastError(error);
    return good;
}

} // namespace

intptr_t open_file(const char *path, void *scratch, uint32_t flags, FileKind *kind) {
    auto *wide = static_cast<wchar_t *>(scratch);
    auto room = static_cast<int>(strlen(path) + 1);
    if (!*path) return ZYNTAX_ENOENT;
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, room)) return file_error();
    bool creates = flags & (ZYNTAX_FILE_CREATE | ZYNTAX_FILE_NEW), is_new = flags & ZYNTAX_FILE_NEW;
    if ((flags & ZYNTAX_FILE_TRUNCATE) && !is_new) {
        int32_t error = truncate_first(wide, creates);
        if (error) return error;
    }
    DWORD writes = flags & ZYNTAX_FILE_APPEND ? FILE_GENERIC_WRITE & ~DWORD{FILE_WRITE_DATA} : DWORD{GENERIC_WRITE};
    DWORD access = (flags & ZYNTAX_FILE_READ ? GENERIC_READ : 0) | (flags & ZYNTAX_FILE_WRITE ? writes : 0);
    HANDLE file = open_wide(wide, access, is_new ? CREATE_NEW : creates ? OPEN_ALWAYS : OPEN_EXISTING);
    if (file == INVALID_HANDLE_VALUE) return open_failure(wide);
    auto fd = reinterpret_cast<intptr_t>(file);
    int32_t error = file_kind(fd, kind);
    kind->appends = flags & ZYNTAX_FILE_APPEND;
    if (error) CloseHandle(file);
    return error ? error : fd;
}

// GetFileType counts sockets as pipes.
int32_t file_kind(intptr_t fd, FileKind *kind) {
    BY_HANDLE_FILE_INFORMATION info;
    HANDLE file = to_handle(fd);
    SetLastError(NO_ERROR);
    DWORD type = GetFileType(file);
    if (type == FILE_TYPE_UNKNOWN) return GetLastError() == NO_ERROR ? ZYNTAX_EOPNOTSUPP : ZYNTAX_EBADF;
    bool is_on_disk = type == FILE_TYPE_DISK;
    bool is_known = is_on_disk && GetFileInformationByHandle(file, &info);
    if (is_known && (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)) return ZYNTAX_EISDIR;
    *kind = {};
    kind->may_be_pollable = type == FILE_TYPE_PIPE;
    kind->is_stream = !is_on_disk;
    return 0;
}

int64_t read_file(const FileCall &call) {
    DWORD n = 0;
    bool is_stream = GetFileType(to_handle(call.fd)) != FILE_TYPE_DISK;
    if (is_stream && !wait_for_stream(call)) return ZYNTAX_ECANCELED;
    auto transfer = [&](HANDLE file, DWORD len, DWORD *done, OVERLAPPED *at) {
        return ReadFile(file, call.data, len, done, at);
    };
    if (call_at(call, &n, transfer)) return n;
    DWORD error = GetLastError();
    if (error == ERROR_MORE_DATA) return n; // the beginning of a message
    return error == ERROR_HANDLE_EOF || error == ERROR_BROKEN_PIPE ? 0 : transfer_error(error);
}

int64_t write_file(const FileCall &call) {
    DWORD n = 0;
    auto transfer = [&](HANDLE file, DWORD len, DWORD *done, OVERLAPPED *at) {
        return WriteFile(file, call.data, len, done, at);
    };
    return call_at(call, &n, transfer) ? int64_t{n} : int64_t{transfer_error()};
}

int64_t sync_file(intptr_t fd) { return FlushFileBuffers(to_handle(fd)) ? 0 : file_error(); }

int64_t size_of_file(intptr_t fd) {
    LARGE_INTEGER size;
    return GetFileSizeEx(to_handle(fd), &size) ? int64_t{size.QuadPart} : int64_t{file_error()};
}

void seek_back(intptr_t fd, int64_t bytes) {
    LARGE_INTEGER distance;
    distance.QuadPart = -bytes;
    SetFilePointerEx(to_handle(fd), distance, nullptr, FILE_CURRENT);
}

void close_file(intptr_t fd) { CloseHandle(to_handle(fd)); }

} // namespace zyntax::os

#endif // _WIN32
