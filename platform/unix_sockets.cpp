// Unix-domain stream sockets for POSIX and Winsock. Windows has them since Windows 10.
#include "unix_sockets.h"

#include "sockets.h"

#if defined(__wasi__)

namespace zyntax::os {

int32_t to_unix_address(const char *path, size_t len, UnixAddress *) {
    return path && len ? int32_t{ZYNTAX_ENOSYS} : int32_t{ZYNTAX_EINVAL};
}
intptr_t unix_socket() { return ZYNTAX_ENOSYS; }
int32_t unix_pair(intptr_t (&)[2]) { return ZYNTAX_ENOSYS; }
int32_t unix_listen(intptr_t, const UnixAddress *) { return ZYNTAX_ENOSYS; }
int32_t unix_connect(intptr_t, const UnixAddress *) { return ZYNTAX_ENOSYS; }

} // namespace zyntax::os

#else

#include <string.h>

#if defined(_WIN32)
#include <afunix.h>
#else
#include <sys/un.h>
#endif

namespace zyntax::os {

static_assert(sizeof(sockaddr_un) <= sizeof(UnixAddress::bytes));

#if defined(__linux__)
constexpr bool has_abstract_names = true;
#else
constexpr bool has_abstract_names = false;
#endif

int32_t to_unix_address(const char *path, size_t len, UnixAddress *out) {
    constexpr size_t before = offsetof(sockaddr_un, sun_path), room = sizeof(sockaddr_un::sun_path);
    if (!path || !len || len > room) return ZYNTAX_EINVAL;
    bool is_abstract = has_abstract_names && !path[0];
    if (!is_abstract && memchr(path, 0, len)) return ZYNTAX_EINVAL;
    *out = {};
    auto *address = reinterpret_cast<sockaddr_un *>(out->bytes);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, len);
    // A path ends with a NUL where there is room for it. An abstract name is as long as the size says.
    bool ends_with_nul = !is_abstract && len < room;
    out->size = static_cast<uint32_t>(before + len + ends_with_nul);
#if defined(SUN_LEN) && !defined(__linux__) && !defined(_WIN32)
    address->sun_len = static_cast<decltype(address->sun_len)>(out->size);
#endif
    return 0;
}

namespace {

const sockaddr *unix_sockaddr(const UnixAddress *address) { return reinterpret_cast<const sockaddr *>(address->bytes); }

bool connects(intptr_t fd, const UnixAddress *address) {
    return ::connect(to_socket(fd), unix_sockaddr(address), static_cast<socklen_t>(address->size)) == 0;
}

// macOS raises SIGPIPE unless the socket says otherwise: its calls have no flag for it.
intptr_t unix_without_sigpipe(intptr_t fd) {
#ifdef SO_NOSIGPIPE
    if (fd >= 0) set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
    return fd;
}

} // namespace

intptr_t unix_socket() { return unix_without_sigpipe(new_stream(AF_UNIX)); }

int32_t unix_listen(intptr_t fd, const UnixAddress *address) {
    bool is_bound = bind(to_socket(fd), unix_sockaddr(address), static_cast<socklen_t>(address->size)) == 0;
    return is_bound && ::listen(to_socket(fd), SOMAXCONN) == 0 ? 0 : last_error();
}

#if defined(_WIN32)

// The system may go on with a connect after the call. The repeated call tells how it ended.
int32_t unix_connect(intptr_t fd, const UnixAddress *address) {
    int error = 0;
    if (get_option(fd, SOL_SOCKET, SO_ERROR, &error) && error) return code_of(error);
    if (connects(fd, address)) return 0;
    switch (GetLastError()) {
    case WSAEISCONN:
        return 0;
    case WSAEWOULDBLOCK:
    case WSAEALREADY:
    case WSAEINVAL: // older systems: as WSAEALREADY
        return ZYNTAX_EAGAIN;
    default:
        return last_error();
    }
}

int32_t unix_pair(intptr_t (&)[2]) { return ZYNTAX_ENOSYS; }

#else

// The error for a file that is no socket differs between systems.
int32_t unix_connect(intptr_t fd, const UnixAddress *address) {
    if (connects(fd, address)) return 0;
    switch (errno) {
    case EISCONN: // the repeated call, after EINTR
        return 0;
    case EALREADY:
    case EINPROGRESS:
    case EINTR:
        return ZYNTAX_EAGAIN;
    case ENOTSOCK:
        return ZYNTAX_ECONNREFUSED;
    case EPROTOTYPE:
        return ZYNTAX_EOPNOTSUPP;
    default:
        return last_error();
    }
}

int32_t unix_pair(intptr_t (&ends)[2]) {
    int made[2];
#ifdef SOCK_CLOEXEC
    bool is_made = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, made) == 0;
#else
    bool is_made = false;
#endif
    if (!is_made && socketpair(AF_UNIX, SOCK_STREAM, 0, made) != 0) return last_error();
    for (int i = 0; i < 2; i++) ends[i] = unix_without_sigpipe(is_made ? made[i] : close_on_exec_nonblocking(made[i]));
    return 0;
}

#endif

} // namespace zyntax::os

#endif // !__wasi__
