// Descriptors that Unix-domain stream sockets pass. A descriptor that was received is either handed out or closed.
#include "unix_sockets.h"

#include "sockets.h"

#if defined(_WIN32) || defined(__wasi__)

namespace zyntax::os {

int32_t check_unix_stream(intptr_t, Kind) { return ZYNTAX_ENOSYS; }
int32_t send_descriptor(intptr_t, intptr_t) { return ZYNTAX_ENOSYS; }
int32_t receive_descriptor(intptr_t, intptr_t *) { return ZYNTAX_ENOSYS; }

} // namespace zyntax::os

#else

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

namespace zyntax::os {

namespace {

#if defined(MSG_CMSG_CLOEXEC)
constexpr int take_flags = receive_flags | MSG_CMSG_CLOEXEC;
#else
constexpr int take_flags = receive_flags; // the flag is set afterwards
#endif

// As many as Linux passes at once. macOS leaves descriptors open for which there is no room.
constexpr size_t most_at_once = 253;

// One byte, and room for descriptors.
struct ByteMessage {
    char byte = 0;
    iovec bytes = {&byte, 1};
    msghdr header = {};

    ByteMessage(void *control, size_t size) {
        header.msg_iov = &bytes;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = static_cast<decltype(header.msg_controllen)>(size);
    }
};

// The result of a receive that takes nothing; `error` if there is a byte.
int32_t peek(int socket, int32_t error) {
    char byte;
    int64_t n = repeat([&] { return ::recv(socket, &byte, 1, receive_flags | MSG_PEEK); });
    return n > 0 ? error : static_cast<int32_t>(n);
}

// The descriptors of a message: the first one, and how many there were. All others are closed.
struct Passed {
    int fd = -1;
    size_t count = 0;
};

// CMSG_NXTHDR of musl compares signed with unsigned numbers, which compilers warn about.
Passed take_first(const msghdr &message) {
    Passed passed;
    auto *bytes = static_cast<const unsigned char *>(message.msg_control);
    cmsghdr part;
    for (size_t at = 0, size; at + sizeof part <= message.msg_controllen; at += CMSG_SPACE(size)) {
        memcpy(&part, bytes + at, sizeof part);
        size = static_cast<size_t>(part.cmsg_len) - CMSG_LEN(0);
        if (part.cmsg_level != SOL_SOCKET || part.cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < size / sizeof(int); i++) {
            int fd;
            memcpy(&fd, bytes + at + CMSG_LEN(0) + i * sizeof fd, sizeof fd);
            if (passed.count++ == 0) passed.fd = fd;
            else ::close(fd);
        }
    }
    return passed;
}

} // namespace

int32_t check_unix_stream(intptr_t fd, Kind kind) {
    if (kind == Kind::local) return 0;
    if (kind != Kind::socket) return ZYNTAX_EOPNOTSUPP;
    int type = 0;
    sockaddr_storage name = {};
    socklen_t size = sizeof name;
    if (!get_option(fd, SOL_SOCKET, SO_TYPE, &type)) return last_error();
    if (getsockname(to_socket(fd), reinterpret_cast<sockaddr *>(&name), &size) != 0) return last_error();
    return type == SOCK_STREAM && name.ss_family == AF_UNIX ? 0 : ZYNTAX_EOPNOTSUPP;
}

int32_t send_descriptor(intptr_t socket, intptr_t fd) {
    int passed = static_cast<int>(fd);
    if (fd != passed) return ZYNTAX_EBADF;
    alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))] = {};
    ByteMessage message(control, sizeof control);
    cmsghdr *part = CMSG_FIRSTHDR(&message.header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = static_cast<decltype(part->cmsg_len)>(CMSG_LEN(sizeof(int)));
    memcpy(CMSG_DATA(part), &passed, sizeof passed);
    int64_t n = repeat([&] { return ::sendmsg(to_socket(socket), &message.header, send_flags); });
    // Linux: the user has too many descriptors on their way.
    return n > 0 ? 1 : n < 0 && errno == ETOOMANYREFS ? int32_t{ZYNTAX_EMFILE} : static_cast<int32_t>(n);
}

int32_t receive_descriptor(intptr_t socket, intptr_t *fd) {
    int number = static_cast<int>(socket), spare = fcntl(number, F_DUPFD_CLOEXEC, 0);
    if (spare < 0) return peek(number, last_error()); // the kernel would drop the descriptor
    ::close(spare);
    alignas(cmsghdr) unsigned char control[CMSG_SPACE(most_at_once * sizeof(int))];
    ByteMessage message(control, sizeof control);
    int64_t n = repeat([&] { return ::recvmsg(number, &message.header, take_flags); });
    if (n <= 0) return static_cast<int32_t>(n);
    Passed passed = take_first(message.header);
    bool is_cut = message.header.msg_flags & MSG_CTRUNC;
    if (passed.count == 1 && !is_cut) {
#if !defined(MSG_CMSG_CLOEXEC)
        fcntl(passed.fd, F_SETFD, FD_CLOEXEC);
#endif
        *fd = passed.fd;
        return 1;
    }
    if (passed.fd >= 0) ::close(passed.fd);
    return passed.count == 0 && is_cut ? ZYNTAX_EMFILE : ZYNTAX_EPROTO;
}

} // namespace zyntax::os

#endif
