// Calls of datagram sockets for POSIX and Winsock, written once over the names of sockets.h: send, receive, and
// membership in multicast groups. WASI has none.
#include "sockets.h"

#include "addresses.h"
#include "datagrams.h"

#include <limits.h>

namespace zyntax::os {

#if defined(__wasi__)

int64_t send_datagram(intptr_t, const void *, size_t, const Address *) { return ZYNTAX_ENOSYS; }
int64_t receive_datagram(intptr_t, void *, size_t, zyntax_address *) { return ZYNTAX_ENOSYS; }
int32_t set_member(intptr_t, Datagrams, const zyntax_address &, uint32_t, bool) { return ZYNTAX_ENOSYS; }

#else

namespace {

#if defined(_WIN32)
constexpr int never_waiting = 0; // the sockets are non-blocking
#elif defined(MSG_NOSIGNAL)
constexpr int never_waiting = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
constexpr int never_waiting = MSG_DONTWAIT; // SO_NOSIGPIPE is set on the socket instead
#endif

// As last_error. An unknown interface is EINVAL. So is a destination for a socket with a peer, where the system refuses
// it.
int32_t datagram_error() {
#if !defined(_WIN32)
    if (errno == EDESTADDRREQ) return ZYNTAX_ENOTCONN;
    if (errno == ENODEV || errno == ENXIO || errno == EISCONN) return ZYNTAX_EINVAL;
#endif
    return last_error();
}

// A longer datagram is refused anyway. Windows has lengths of this type, and macOS refuses larger values.
#if defined(_WIN32)
using DatagramSize = int;
#else
using DatagramSize = size_t;
#endif
DatagramSize to_size(size_t len) { return len < INT_MAX ? static_cast<DatagramSize>(len) : INT_MAX; }

// The result of a call, or its error. The call is repeated after an interruption.
template <class Call> int64_t result_of(Call call) {
    for (;;) {
        auto n = call();
        if (n >= 0) return n;
        int32_t error = datagram_error();
        if (error != ZYNTAX_EINTR) return error;
    }
}

// As recvfrom, with the length of a datagram that was cut off.
#if defined(_WIN32)
int64_t receive_raw(intptr_t fd, char *buf, size_t len, sockaddr_storage *name, socklen_t *size) {
    for (;;) {
        *size = name ? sizeof *name : 0;
        auto *from = reinterpret_cast<sockaddr *>(name);
        int n = ::recvfrom(to_socket(fd), buf, to_size(len), 0, from, name ? size : nullptr);
        int error = n >= 0 ? 0 : static_cast<int>(GetLastError());
        if (error == WSAEMSGSIZE) return int64_t{to_size(len)} + 1;
        bool is_report = error == WSAECONNRESET || error == WSAENETRESET; // of a datagram that this socket has sent
        if (!is_report) return n;
    }
}
#elif defined(__linux__)
int64_t receive_raw(intptr_t fd, char *buf, size_t len, sockaddr_storage *name, socklen_t *size) {
    *size = name ? sizeof *name : 0;
    auto *from = reinterpret_cast<sockaddr *>(name);
    return ::recvfrom(to_socket(fd), buf, to_size(len), never_waiting | MSG_TRUNC, from, name ? size : nullptr);
}
#else
int64_t receive_raw(intptr_t fd, char *buf, size_t len, sockaddr_storage *name, socklen_t *size) {
    iovec part = {buf, to_size(len)};
    msghdr message = {};
    message.msg_name = name;
    message.msg_namelen = name ? sizeof *name : 0;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    ssize_t n = ::recvmsg(to_socket(fd), &message, never_waiting);
    *size = message.msg_namelen;
    return n >= 0 && (message.msg_flags & MSG_TRUNC) ? n + 1 : n;
}
#endif

int32_t change_groups(intptr_t fd, int level, int change, const void *group, size_t size) {
    const auto *bytes = static_cast<const char *>(group);
    return setsockopt(to_socket(fd), level, change, bytes, static_cast<socklen_t>(size)) == 0 ? 0 : datagram_error();
}

int32_t set_member_v6(intptr_t fd, const Address &name, uint32_t interface_index, bool joins) {
    const auto &v6 = *reinterpret_cast<const sockaddr_in6 *>(name.bytes);
    ipv6_mreq group = {};
    group.ipv6mr_multiaddr = v6.sin6_addr;
    group.ipv6mr_interface = interface_index ? interface_index : v6.sin6_scope_id;
    return change_groups(fd, IPPROTO_IPV6, joins ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &group, sizeof group);
}

// Windows and NetBSD take an address 0.x.x.x for the number of an interface, as RFC 1724 says.
int32_t set_member_v4(intptr_t fd, const Address &name, uint32_t interface_index, bool joins) {
    if (interface_index > 0xffffff) return ZYNTAX_EINVAL;
#if defined(_WIN32) || defined(__NetBSD__)
    ip_mreq group = {};
    group.imr_interface.s_addr = htonl(interface_index);
#else
    ip_mreqn group = {};
    group.imr_ifindex = static_cast<int>(interface_index);
#endif
    group.imr_multiaddr = reinterpret_cast<const sockaddr_in *>(name.bytes)->sin_addr;
    return change_groups(fd, IPPROTO_IP, joins ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &group, sizeof group);
}

} // namespace

int64_t send_datagram(intptr_t fd, const void *buf, size_t len, const Address *to) {
    const sockaddr *name = to ? as_sockaddr(to) : nullptr;
    auto size = static_cast<socklen_t>(to ? to->size : 0);
    const auto *bytes = static_cast<const char *>(buf);
    int64_t n = result_of([=] { return ::sendto(to_socket(fd), bytes, to_size(len), never_waiting, name, size); });
    zyntax_address peer;
    bool has_none = n == ZYNTAX_EINVAL && !to && peer_address(fd, &peer) == ZYNTAX_ENOTCONN; // Wine says EINVAL
    return has_none ? int64_t{ZYNTAX_ENOTCONN} : n;
}

int64_t receive_datagram(intptr_t fd, void *buf, size_t len, zyntax_address *from) {
    char nothing; // no system is given a null buffer
    char *at = len ? static_cast<char *>(buf) : &nothing;
    sockaddr_storage name;
    socklen_t size = 0;
    int64_t n = result_of([&] { return receive_raw(fd, at, len, from ? &name : nullptr, &size); });
    if (n < 0 || !from) return n;
    *from = {};
    from_system(&name, static_cast<size_t>(size), from); // of another family: none
    return n;
}

int32_t set_member(intptr_t fd, Datagrams kind, const zyntax_address &group, uint32_t interface_index, bool joins) {
    if (group.family != 4 && group.family != 6) return ZYNTAX_EINVAL;
    Address name = to_system(group);
    bool is_v6 = as_sockaddr(&name)->sa_family == AF_INET6;
    if (kind != Datagrams::dual && kind != (is_v6 ? Datagrams::ipv6 : Datagrams::ipv4)) return ZYNTAX_EAFNOSUPPORT;
    return is_v6 ? set_member_v6(fd, name, interface_index, joins) : set_member_v4(fd, name, interface_index, joins);
}

#endif // !__wasi__

} // namespace zyntax::os
