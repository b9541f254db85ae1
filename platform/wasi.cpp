// os.h on WASI: a program alone in its sandbox, without threads, signals, or a way to open a socket. What its host
// hands in can be read, written, and accepted from.
#include "os.h"

#if defined(__wasi__)

#include "posix.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace zyntax::os {

void panic(const char *message) {
    ::write(STDERR_FILENO, message, strlen(message));
    abort();
}

int32_t code_of(int error) {
    switch (error) {
#define X(name, code, text) \
    case name:              \
        return code;
        ZYNTAX_ERRORS(X)
#undef X
    case ENOTCAPABLE:
        return ZYNTAX_EACCES;
    default:
        return ZYNTAX_EIO;
    }
}

uint64_t clock_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

// A module's memory has no addresses without memory: what is reserved here is there, so that it has to stay modest.
void *reserve_pages(size_t size) {
    KeepErrno keep;
    constexpr size_t most = size_t{16} << 20, page = size_t{64} << 10;
    if (size > most) return nullptr;
    void *at = sbrk(static_cast<intptr_t>((size + page - 1) / page * page)); // zeroed: it has never been used
    return at == reinterpret_cast<void *>(-1) ? nullptr : at;
}

bool commit_pages(void *, size_t) { return true; }

size_t address_limit() { return SIZE_MAX; } // reserve_pages has its own
uint64_t process_id() { return 0; }

void *allocate(size_t size, size_t align) {
    KeepErrno keep;
    if (align <= alignof(max_align_t)) return malloc(size);
    void *at = nullptr;
    return posix_memalign(&at, align, size) == 0 ? at : nullptr;
}

void release(void *at) { ::free(at); }

bool start_thread(Thread *) { return false; }
void join_thread(Thread *) {}
void relax() {}
void yield() {}

// There is nobody to exclude. Waiting would never end, and the pool waits for threads only.
void Monitor::init() {}
void Monitor::destroy() {}
void Monitor::lock() {}
void Monitor::unlock() {}
bool Monitor::wait_for(uint64_t) { return false; }
void Monitor::signal() {}
void Monitor::broadcast() {}

// Nobody could write to it while the loop waits.
int32_t open_pipe(int (&)[2]) { return 0; }

int32_t kind_of(intptr_t fd, Kind *kind) {
    KeepErrno keep;
    struct stat info;
    if (fd < 0) return ZYNTAX_EBADF;
    if (fstat(static_cast<int>(fd), &info) != 0) return last_error();
    if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) || S_ISBLK(info.st_mode)) return ZYNTAX_EPERM;
    *kind = S_ISSOCK(info.st_mode) ? Kind::socket : Kind::other;
    return 0;
}

int32_t set_nonblocking(intptr_t fd, bool *was_blocking) {
    KeepErrno keep;
    int flags = fcntl(static_cast<int>(fd), F_GETFL);
    if (flags < 0) return last_error();
    *was_blocking = !(flags & O_NONBLOCK);
    if (!*was_blocking) return 0;
    return fcntl(static_cast<int>(fd), F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : last_error();
}

void set_blocking(intptr_t fd) {
    KeepErrno keep;
    int flags = fcntl(static_cast<int>(fd), F_GETFL);
    if (flags >= 0) fcntl(static_cast<int>(fd), F_SETFL, flags & ~O_NONBLOCK);
}

bool is_blocking(intptr_t fd) {
    KeepErrno keep;
    int flags = fcntl(static_cast<int>(fd), F_GETFL);
    return flags >= 0 && !(flags & O_NONBLOCK);
}

// A program cannot duplicate what it was handed.
uint64_t file_identity(intptr_t fd) { return static_cast<uint64_t>(fd); }

int64_t read(intptr_t fd, Kind, void *buf, size_t len) {
    KeepErrno keep;
    ssize_t n = ::read(static_cast<int>(fd), buf, len);
    return n >= 0 ? n : last_error();
}

int64_t write(intptr_t fd, Kind, const void *buf, size_t len) {
    KeepErrno keep;
    ssize_t n = ::write(static_cast<int>(fd), buf, len);
    return n >= 0 ? n : last_error();
}

uint32_t poll_now(intptr_t fd, uint32_t interest) {
    KeepErrno keep;
    pollfd p = {static_cast<int>(fd), 0, 0};
    if (interest & ZYNTAX_READABLE) p.events |= POLLIN;
    if (interest & ZYNTAX_WRITABLE) p.events |= POLLOUT;
    // An error is for the operation itself to find out.
    if (poll(&p, 1, 0) < 0 || (p.revents & (POLLERR | POLLHUP | POLLNVAL))) return interest;
    return ((p.revents & POLLIN ? uint32_t{ZYNTAX_READABLE} : 0u) |
            (p.revents & POLLOUT ? uint32_t{ZYNTAX_WRITABLE} : 0u)) &
           interest;
}

void close(intptr_t fd) {
    KeepErrno keep;
    ::close(static_cast<int>(fd));
}

intptr_t accept(intptr_t listener, bool) {
    KeepErrno keep;
    int fd = accept4(static_cast<int>(listener), nullptr, nullptr, SOCK_NONBLOCK);
    if (fd >= 0) return fd;
    return errno == ENOTSOCK ? int32_t{ZYNTAX_EINVAL} : last_error();
}

bool accept_passes(int64_t error) { return error == ZYNTAX_ECONNABORTED; }

int32_t shut_down_writes(intptr_t fd) {
    KeepErrno keep;
    if (shutdown(static_cast<int>(fd), SHUT_WR) == 0) return 0;
    return errno == ENOTSOCK ? int32_t{ZYNTAX_EOPNOTSUPP} : last_error();
}

// Any address is understood, as none can be listened on or connected to.
int32_t look_up(const char *, uint16_t, bool, Address *, uint32_t) { return 1; }
intptr_t listen(const Address *, bool, bool) { return ZYNTAX_ENOSYS; }
bool listens(intptr_t) { return true; } // accept tells
intptr_t connect(const Address *, bool *) { return ZYNTAX_ENOSYS; }
int32_t connect_result(intptr_t) { return ZYNTAX_ENOSYS; }
int32_t local_port(intptr_t) { return ZYNTAX_ENOSYS; }

} // namespace zyntax::os

#endif // __wasi__
