// files.h on Unix. Offsets have 64 bits also where the C library's default is 32.
#include "files.h"

#if !defined(_WIN32) && !defined(__wasi__)

#include "posix.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace zyntax::os {

namespace {

// Another source file may have included a header before _FILE_OFFSET_BITS could be defined here.
#if defined(__GLIBC__) || defined(__BIONIC__)
using FileStat = struct stat64;
int open_large(const char *path, int flags) { return open64(path, flags | O_CLOEXEC, 0666); }
int stat_path(const char *path, FileStat *info) { return stat64(path, info); }
int stat_large(int fd, FileStat *info) { return fstat64(fd, info); }
ssize_t read_large(int fd, void *data, size_t len, uint64_t at) {
    return pread64(fd, data, len, static_cast<off64_t>(at));
}
ssize_t write_large(int fd, const void *data, size_t len, uint64_t at) {
    return pwrite64(fd, data, len, static_cast<off64_t>(at));
}
int64_t seek_large(int fd, int64_t offset, int from) { return lseek64(fd, offset, from); }
#else
using FileStat = struct stat;
static_assert(sizeof(off_t) == 8);
int open_large(const char *path, int flags) { return ::open(path, flags | O_CLOEXEC, 0666); }
int stat_path(const char *path, FileStat *info) { return stat(path, info); }
int stat_large(int fd, FileStat *info) { return fstat(fd, info); }
ssize_t read_large(int fd, void *data, size_t len, uint64_t at) { return pread(fd, data, len, static_cast<off_t>(at)); }
ssize_t write_large(int fd, const void *data, size_t len, uint64_t at) {
    return pwrite(fd, data, len, static_cast<off_t>(at));
}
int64_t seek_large(int fd, int64_t offset, int from) { return lseek(fd, offset, from); }
#endif

int to_open_flags(uint32_t flags) {
    bool reads = flags & ZYNTAX_FILE_READ, writes = flags & ZYNTAX_FILE_WRITE;
    return (reads && writes ? O_RDWR
            : writes        ? O_WRONLY
                            : O_RDONLY) |
           O_NOCTTY | (flags & (ZYNTAX_FILE_CREATE | ZYNTAX_FILE_NEW) ? O_CREAT : 0) |
           (flags & ZYNTAX_FILE_NEW ? O_EXCL : 0) | (flags & ZYNTAX_FILE_TRUNCATE ? O_TRUNC : 0) |
           (flags & ZYNTAX_FILE_APPEND ? O_APPEND : 0);
}

// The type of the file at a path, or 0.
mode_t type_at(const char *path) {
    FileStat info;
    return stat_path(path, &info) == 0 ? info.st_mode & S_IFMT : 0;
}

int open_once(const char *path, int flags) {
    return static_cast<int>(repeat([=] { return open_large(path, flags); }));
}

#ifdef __linux__
constexpr int32_t no_other_end = -ENXIO;
#else
constexpr int32_t no_other_end = ZYNTAX_EIO;
#endif

#if defined(__linux__)

// A write above RLIMIT_FSIZE sends SIGXFSZ to its thread, which would end the process. It is blocked during the call
// and then taken, as EFBIG says the same.
class NoFileSizeSignal {
public:
    NoFileSizeSignal() {
        sigemptyset(&signal_);
        sigaddset(&signal_, SIGXFSZ);
        pthread_sigmask(SIG_BLOCK, &signal_, &before_);
    }
    ~NoFileSizeSignal() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    NoFileSizeSignal(const NoFileSizeSignal &) = delete;
    NoFileSizeSignal &operator=(const NoFileSizeSignal &) = delete;

    void take() const {
        const timespec at_once = {0, 0};
        while (sigtimedwait(&signal_, nullptr, &at_once) < 0 && errno == EINTR) {
        }
    }

private:
    sigset_t signal_, before_;
};

size_t allowed_length(const FileCall &call) { return call.len; }

#else

// The signal would go to the process, where no thread can hold it back.
struct NoFileSizeSignal {
    void take() const {}
};

// The bytes that RLIMIT_FSIZE leaves room for.
size_t allowed_length(const FileCall &call) {
    rlimit limit;
    FileStat info;
    int fd = static_cast<int>(call.fd);
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return call.len;
    if (stat_large(fd, &info) != 0 || !S_ISREG(info.st_mode)) return call.len;
    uint64_t most = static_cast<uint64_t>(limit.rlim_cur), at = call.offset;
    if (fcntl(fd, F_GETFL) & O_APPEND) at = static_cast<uint64_t>(info.st_size);
    else if (at == at_position) at = static_cast<uint64_t>(seek_large(fd, 0, SEEK_CUR));
    return at >= most ? 0 : most - at < call.len ? static_cast<size_t>(most - at) : call.len;
}

#endif

} // namespace

// O_NONBLOCK: an open never waits for the other end of a FIFO or for a terminal's carrier. Linux then fails with EAGAIN
// for a file with a lease, which the second open waits for. ENXIO is a FIFO without a reader, or a socket's file.
intptr_t open_file(const char *path, void *, uint32_t flags, FileKind *kind) {
    int how = to_open_flags(flags);
    int fd = open_once(path, how | O_NONBLOCK);
    if (fd == ZYNTAX_EAGAIN && type_at(path) == S_IFREG) fd = open_once(path, how);
    if (fd == no_other_end && type_at(path) == S_IFIFO) return ZYNTAX_EPIPE;
    if (fd == no_other_end && type_at(path) == S_IFSOCK) return ZYNTAX_EOPNOTSUPP;
    if (fd < 0) return fd;
    int32_t error = file_kind(fd, kind);
    if (error) {
        ::close(fd);
        return error;
    }
    if (!kind->may_be_pollable) set_blocking(fd);
    return fd;
}

int32_t file_kind(intptr_t fd, FileKind *kind) {
    FileStat info;
    int number = static_cast<int>(fd);
    if (fd != number) return ZYNTAX_EBADF;
    if (stat_large(number, &info) != 0) return last_error();
    if (S_ISDIR(info.st_mode)) return ZYNTAX_EISDIR;
    *kind = {};
    kind->may_be_pollable = !S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode);
    kind->is_fifo = S_ISFIFO(info.st_mode);
    kind->appends = fcntl(number, F_GETFL) & O_APPEND;
    return 0;
}

int64_t read_file(const FileCall &call) {
    int fd = static_cast<int>(call.fd);
    return repeat([&] {
        if (call.offset == at_position) return ::read(fd, call.data, call.len);
        return read_large(fd, call.data, call.len, call.offset);
    });
}

int64_t write_file(const FileCall &call) {
    int fd = static_cast<int>(call.fd);
    size_t len = allowed_length(call);
    if (!len) return ZYNTAX_EFBIG;
    NoFileSizeSignal signal;
    int64_t n = repeat([&] {
        if (call.offset == at_position) return ::write(fd, call.data, len);
        return write_large(fd, call.data, len, call.offset);
    });
    if (n == ZYNTAX_EFBIG) signal.take();
    return n;
}

// A device that has nothing to store fails with EINVAL. Only F_FULLFSYNC empties the cache of a disk on macOS.
int64_t sync_file(intptr_t fd) {
    int number = static_cast<int>(fd);
#if defined(F_FULLFSYNC)
    if (fcntl(number, F_FULLFSYNC) == 0) return 0;
#endif
    int64_t error = repeat([=] { return fsync(number); });
    return error == ZYNTAX_EINVAL || error == ZYNTAX_EOPNOTSUPP ? 0 : error;
}

int64_t size_of_file(intptr_t fd) {
    FileStat info;
    return stat_large(static_cast<int>(fd), &info) == 0 ? static_cast<int64_t>(info.st_size) : last_error();
}

void seek_back(intptr_t fd, int64_t bytes) { seek_large(static_cast<int>(fd), -bytes, SEEK_CUR); }

void close_file(intptr_t fd) { ::close(static_cast<int>(fd)); }

} // namespace zyntax::os

#endif // !_WIN32 && !__wasi__
