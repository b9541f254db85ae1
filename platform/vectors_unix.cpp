// Transfers of several blocks of memory with one call, which never waits, on POSIX systems. With one block they also
// serve the reads and writes of os.h that need such a call.
#include "sockets.h"
#include "vectors_system.h"

#if !defined(_WIN32)

#include <fcntl.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace zyntax::os {

// A call that waits unless the open file has O_NONBLOCK. If another process has cleared the flag, it is set during the
// call only: a child of libuv expects that its standard streams stay blocking.
template <class Call> static int64_t without_waiting(int fd, uint32_t direction, Call call) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK)) return repeat(call);
    if (!poll_now(fd, direction)) return ZYNTAX_EAGAIN;
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    int64_t n = repeat(call);
    fcntl(fd, F_SETFL, flags);
    return n;
}

// Tries a call that never waits. False where the system has none for this file, which *kind then remembers.
template <class Call> static bool has_answered(Kind *kind, Call call, int64_t *answer) {
    if (*kind == Kind::flagged_pipe || *kind == Kind::flagged_other) return false;
    *answer = repeat(call);
    bool is_refused = *answer == ZYNTAX_EOPNOTSUPP || *answer == ZYNTAX_ENOSYS || *answer == ZYNTAX_EPERM ||
                      *answer == ZYNTAX_EACCES || *answer == ZYNTAX_EINVAL;
    if (is_refused && *kind == Kind::pipe) *kind = Kind::signaling_pipe;
    else if (is_refused) *kind = *kind == Kind::signaling_pipe ? Kind::flagged_pipe : Kind::flagged_other;
    return !is_refused;
}

static ssize_t call_write(Write *write_it, int fd, const iovec *parts, int n) { return write_it(fd, parts, n); }

static ssize_t write_as_flagged(int fd, const iovec *parts, int n) {
    return n == 1 ? ::write(fd, parts->iov_base, parts->iov_len) : ::writev(fd, parts, n);
}

int64_t read_parts(int fd, Kind *kind, const iovec *parts, int n) {
    int64_t answer;
    if (has_answered(
            kind, [=] { return read_at_once(fd, parts, n); }, &answer))
        return answer;
    return without_waiting(fd, ZYNTAX_READABLE, [=] {
        return n == 1 ? ::read(fd, parts->iov_base, parts->iov_len) : ::readv(fd, parts, n);
    });
}

int64_t write_parts(int fd, Kind *kind, const iovec *parts, int n) {
    int64_t answer;
    auto write_silently = [=] { return write_without_signal(fd, parts, n); };
    if (*kind == Kind::pipe && has_answered(kind, write_silently, &answer)) return answer;
    auto guarded = *kind == Kind::other || *kind == Kind::flagged_other ? call_write : write_without_sigpipe;
    if (has_answered(
            kind, [=] { return guarded(write_at_once, fd, parts, n); }, &answer))
        return answer;
    return without_waiting(fd, ZYNTAX_WRITABLE, [=] { return guarded(write_as_flagged, fd, parts, n); });
}

int64_t read_system_parts(intptr_t fd, Kind *kind, Part *parts, size_t n) {
    auto number = static_cast<int>(fd), count = static_cast<int>(n);
    return is_received(*kind) ? receive_parts(number, kind, parts, count) : read_parts(number, kind, parts, count);
}

int64_t write_system_parts(intptr_t fd, Kind *kind, Part *parts, size_t n) {
    auto number = static_cast<int>(fd), count = static_cast<int>(n);
    return is_received(*kind) ? send_parts(number, parts, count) : write_parts(number, kind, parts, count);
}

#if !defined(__wasi__)

#if defined(RWF_NOWAIT) && defined(SYS_preadv2) && defined(SYS_pwritev2)
// Offset -1: the file's own position, in two words on 32-bit systems.
ssize_t read_at_once(int fd, const iovec *parts, int n) {
    return static_cast<ssize_t>(syscall(SYS_preadv2, fd, parts, n, -1L, -1L, RWF_NOWAIT));
}
ssize_t write_at_once(int fd, const iovec *parts, int n) {
    return static_cast<ssize_t>(syscall(SYS_pwritev2, fd, parts, n, -1L, -1L, RWF_NOWAIT));
}
ssize_t write_without_signal(int fd, const iovec *parts, int n) {
    constexpr int no_signal = 0x100; // RWF_NOSIGNAL, of Linux 6.18
    return static_cast<ssize_t>(syscall(SYS_pwritev2, fd, parts, n, -1L, -1L, RWF_NOWAIT | no_signal));
}
#else
ssize_t read_at_once(int, const iovec *, int) {
    errno = ENOSYS;
    return -1;
}
ssize_t write_at_once(int, const iovec *, int) {
    errno = ENOSYS;
    return -1;
}
ssize_t write_without_signal(int, const iovec *, int) {
    errno = ENOSYS;
    return -1;
}
#endif

// A read of a Unix stream ends at passed descriptors. There is no room for them here, so the kernel closes them and
// reports MSG_CTRUNC. With SO_PASSCRED a read ends at the bytes of another sender, and each read reports MSG_CTRUNC.
int64_t receive_parts(int fd, Kind *kind, const iovec *parts, int n) {
    msghdr message = {};
    message.msg_iov = const_cast<iovec *>(parts);
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(n);
    int64_t received = repeat([&] { return ::recvmsg(fd, &message, receive_flags); });
    if (*kind == Kind::local && received >= 0 && (message.msg_flags & MSG_CTRUNC)) *kind = Kind::socket;
    return received;
}

int64_t send_parts(int fd, const iovec *parts, int n) {
    msghdr message = {};
    message.msg_iov = const_cast<iovec *>(parts);
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(n);
    return repeat([&] { return ::sendmsg(fd, &message, send_flags); });
}

// Linux only: on other systems a read also ends in front of passed descriptors, and does not report that.
bool tells_passed_descriptors([[maybe_unused]] int fd) {
#if defined(__linux__)
    int domain = 0;
    return get_option(fd, SOL_SOCKET, SO_DOMAIN, &domain) && domain == AF_UNIX;
#else
    return false;
#endif
}

#endif // !__wasi__

} // namespace zyntax::os

#endif // !_WIN32
