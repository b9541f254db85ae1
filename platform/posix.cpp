// os.h, the part that POSIX systems and WASI share.
#include "io_poller.h"

#if !defined(_WIN32)

#include "posix.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#ifdef ZYNTAX_POLLER_IS_EPOLL
#include <sys/vfs.h>
#endif
#include <time.h>

namespace zyntax::os {

void panic(const char *message) {
    size_t len = strlen(message);
    while (len > 0) {
        ssize_t n = ::write(STDERR_FILENO, message, len);
        if (n <= 0) break;
        message += n;
        len -= static_cast<size_t>(n);
    }
    abort();
}

int32_t code_of(int error) {
    switch (error) {
#define X(name, code, text) \
    case name:              \
        return code;
        ZYNTAX_ERRORS(X)
#undef X
    case EPROTOTYPE:
        return ZYNTAX_ECONNRESET; // macOS: the connection ended during the send
    case EPROTONOSUPPORT:
        return ZYNTAX_EAFNOSUPPORT;
    case ENOPROTOOPT:
        return ZYNTAX_EPROTO;
#ifdef ENOTCAPABLE
    case ENOTCAPABLE:
        return ZYNTAX_EACCES;
#endif
#ifdef EHOSTDOWN
    case EHOSTDOWN:
        return ZYNTAX_EHOSTUNREACH;
#endif
#if ENOTSUP != EOPNOTSUPP
    case ENOTSUP:
        return ZYNTAX_EOPNOTSUPP;
#endif
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
        return ZYNTAX_EAGAIN;
#endif
    default:
#if defined(__linux__)
        return -error;
#else
        return ZYNTAX_EIO;
#endif
    }
}

uint64_t clock_ns() {
    timespec t;
#if defined(__APPLE__)
    clock_gettime(CLOCK_UPTIME_RAW, &t); // stands still while the machine sleeps, as the kernel's timeouts do
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

void release(void *at) { ::free(at); }

// Whether the poller would report the file as ready for ever. epoll does so with files of a user-space file system. It
// refuses other regular files itself, and accepts objects that look like files, such as message queues.
#ifdef ZYNTAX_POLLER_IS_EPOLL
static bool is_ready_for_ever(int fd) {
    constexpr auto fuse = 0x65735546;
    struct statfs system;
    return fstatfs(fd, &system) != 0 || system.f_type == fuse;
}
#else
static bool is_ready_for_ever(int) { return true; }
#endif

int32_t kind_of(intptr_t fd, Kind *kind) {
    struct stat info;
    if (fd != static_cast<int>(fd)) return ZYNTAX_EBADF;
    if (fstat(static_cast<int>(fd), &info) != 0) return last_error();
    bool is_file = S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) || S_ISBLK(info.st_mode);
    if (is_file && is_ready_for_ever(static_cast<int>(fd))) return ZYNTAX_EPERM;
#if defined(F_SETNOSIGPIPE)
    // macOS sends SIGPIPE to the process, so blocking it in the writing thread is not enough.
    if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) fcntl(static_cast<int>(fd), F_SETNOSIGPIPE, 1);
#endif
    *kind = S_ISFIFO(info.st_mode) ? Kind::pipe : Kind::other;
    if (!S_ISSOCK(info.st_mode)) return 0;
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;
    getsockopt(static_cast<int>(fd), SOL_SOCKET, SO_TYPE, &type, &size);
    *kind = type != SOCK_STREAM                              ? Kind::messages
            : is_plain_tcp(static_cast<int>(fd))             ? Kind::tcp
            : tells_passed_descriptors(static_cast<int>(fd)) ? Kind::local
                                                             : Kind::socket;
    return 0;
}

int32_t set_nonblocking(intptr_t fd, bool *was_blocking) {
    int flags = fcntl(static_cast<int>(fd), F_GETFL);
    if (flags < 0) return last_error();
    *was_blocking = !(flags & O_NONBLOCK);
    if (!*was_blocking) return 0;
    return fcntl(static_cast<int>(fd), F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : last_error();
}

void set_blocking(intptr_t fd) {
    int flags = fcntl(static_cast<int>(fd), F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK)) fcntl(static_cast<int>(fd), F_SETFL, flags & ~O_NONBLOCK);
}

#ifdef POLLRDHUP
constexpr short end_of_stream = POLLRDHUP;
#else
constexpr short end_of_stream = 0; // the end is reported as readable, at each wait
#endif

// POLLPRI is not asked for: it lasts until the urgent byte is read, and no task reads it. Bytes behind it are POLLIN.
short to_poll_events(uint32_t directions) {
    return static_cast<short>((directions & readable ? POLLIN | end_of_stream : 0) |
                              (directions & writable ? POLLOUT : 0));
}

uint32_t to_readiness(short events) {
    uint32_t ready = 0;
    if (events & POLLIN) ready |= readable;
    if (events & POLLOUT) ready |= writable;
    if (events & end_of_stream) ready |= readable | read_closed;
    if (events & (POLLERR | POLLHUP | POLLNVAL)) ready |= everything;
    return ready;
}

uint32_t poll_now(intptr_t fd, uint32_t interest) {
    pollfd p = {static_cast<int>(fd), to_poll_events(interest), 0};
    while (poll(&p, 1, 0) < 0) {
        if (errno != EINTR) return interest; // let the operation itself find out
    }
    return to_readiness(p.revents) & interest;
}

// macOS refuses longer reads and writes of descriptors that are not sockets.
static size_t to_length(size_t len) { return len < INT_MAX ? len : INT_MAX; }

int64_t read(intptr_t fd, Kind *kind, void *buf, size_t len) {
    int number = static_cast<int>(fd);
    len = to_length(len);
    if (is_received(*kind) && *kind != Kind::local) {
        return repeat([=] { return ::recv(number, buf, len, receive_flags); });
    }
    const iovec all = {buf, len};
    return is_received(*kind) ? receive_parts(number, kind, &all, 1) : read_parts(number, kind, &all, 1);
}

int64_t write(intptr_t fd, Kind *kind, const void *buf, size_t len) {
    int number = static_cast<int>(fd);
    len = to_length(len);
    if (is_received(*kind)) return repeat([=] { return ::send(number, buf, len, send_flags); });
    const iovec all = {const_cast<void *>(buf), len};
    return write_parts(number, kind, &all, 1);
}

void close(intptr_t fd) {
    ::close(static_cast<int>(fd)); // after EINTR the descriptor is gone on Linux and the BSDs: never retried
}

int32_t shut_down_writes(intptr_t fd) {
    if (shutdown(static_cast<int>(fd), SHUT_WR) == 0) return 0;
    return errno == ENOTSOCK ? ZYNTAX_EOPNOTSUPP : last_error();
}

} // namespace zyntax::os

#endif // !_WIN32
