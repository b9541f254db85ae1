// Transfers of several blocks of memory with one call, which never waits, on POSIX systems without WASI. With one block
// they also serve the reads and writes of os.h that need such a call.
#include "sockets.h"

#if !defined(_WIN32) && !defined(__wasi__)

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace zyntax::os {

#if defined(RWF_NOWAIT) && defined(SYS_preadv2) && defined(SYS_pwritev2)
// Offset -1: the file's own position, in two words on 32-bit systems.
ssize_t read_at_once(int fd, const iovec *parts, int n) {
    return static_cast<ssize_t>(syscall(SYS_preadv2, fd, parts, n, -1L, -1L, RWF_NOWAIT));
}
ssize_t write_at_once(int fd, const iovec *parts, int n) {
    return static_cast<ssize_t>(syscall(SYS_pwritev2, fd, parts, n, -1L, -1L, RWF_NOWAIT));
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

// Linux only: elsewhere a read also ends in front of passed descriptors, and does not report that.
bool tells_passed_descriptors([[maybe_unused]] int fd) {
#if defined(__linux__)
    int domain = 0;
    return get_option(fd, SOL_SOCKET, SO_DOMAIN, &domain) && domain == AF_UNIX;
#else
    return false;
#endif
}

} // namespace zyntax::os

#endif // !_WIN32 && !__wasi__
