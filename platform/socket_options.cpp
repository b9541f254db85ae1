// The options of zyntax_io_set for POSIX and Winsock, written once over the names of sockets.h.
#include "sockets.h"

#include "socket_options.h"

#if defined(_WIN32)
#include <mstcpip.h>
#endif

namespace zyntax::os {

#if defined(__wasi__)

int32_t set_socket_option(intptr_t, int32_t, int32_t) { return ZYNTAX_ENOSYS; }

#else

namespace {

#if defined(_WIN32)
constexpr int no_such_option = WSAENOPROTOOPT;
#else
constexpr int no_such_option = ENOPROTOOPT;
#endif

int32_t set_or_error(intptr_t fd, int level, int name, int value) {
    if (set_option(fd, level, name, value)) return 0;
    int32_t error = last_error();
    return error == code_of(no_such_option) ? int32_t{ZYNTAX_EOPNOTSUPP} : error;
}

int32_t set_linger(intptr_t fd, int32_t seconds) {
#if defined(SO_LINGER_SEC)
    constexpr int name = SO_LINGER_SEC; // the unit of SO_LINGER is not a second on macOS
#else
    constexpr int name = SO_LINGER;
#endif
    linger value = {};
    value.l_onoff = seconds >= 0;
    value.l_linger = static_cast<decltype(value.l_linger)>(seconds >= 0 ? seconds : 0);
    const auto *bytes = reinterpret_cast<const char *>(&value);
    return setsockopt(to_socket(fd), SOL_SOCKET, name, bytes, sizeof value) == 0 ? 0 : last_error();
}

#if defined(_WIN32)

// An unbound socket has no name on Windows, but every socket has this record.
int family_of(intptr_t fd) {
    WSAPROTOCOL_INFOW info;
    int size = sizeof info;
    auto *bytes = reinterpret_cast<char *>(&info);
    return getsockopt(to_socket(fd), SOL_SOCKET, SO_PROTOCOL_INFOW, bytes, &size) == 0 ? info.iAddressFamily : 0;
}

int32_t set_keep_alive(intptr_t fd, int32_t seconds) {
    tcp_keepalive value = {seconds != 0, static_cast<ULONG>(seconds) * 1000, 1000};
    if (!seconds) value.keepalivetime = 1000; // not used, but 0 may be refused
    DWORD size = 0;
    int failed = WSAIoctl(to_socket(fd), SIO_KEEPALIVE_VALS, &value, sizeof value, nullptr, 0, &size, nullptr, nullptr);
    return failed ? last_error() : 0;
}

#else

int family_of(intptr_t fd) {
    sockaddr_storage name = {};
    socklen_t size = sizeof name;
    return getsockname(to_socket(fd), reinterpret_cast<sockaddr *>(&name), &size) == 0 ? name.ss_family : 0;
}

int32_t set_keep_alive(intptr_t fd, int32_t seconds) {
    int32_t error = 0;
#if defined(TCP_KEEPIDLE)
    if (seconds) error = set_or_error(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
#elif defined(TCP_KEEPALIVE)
    if (seconds) error = set_or_error(fd, IPPROTO_TCP, TCP_KEEPALIVE, seconds); // the name on macOS
#endif
    return error ? error : set_or_error(fd, SOL_SOCKET, SO_KEEPALIVE, seconds != 0);
}

#endif

// An option of both protocols. OpenBSD takes the multicast options of IPv4 as bytes only, and every Unix as bytes too.
struct IpOption {
    int v4, v6;
    bool is_byte;
};

int32_t set_v4_option(intptr_t fd, const IpOption &option, int32_t value) {
#if !defined(_WIN32)
    auto byte = static_cast<unsigned char>(value);
    if (option.is_byte && setsockopt(to_socket(fd), IPPROTO_IP, option.v4, &byte, sizeof byte) == 0) return 0;
#endif
    return set_or_error(fd, IPPROTO_IP, option.v4, value);
}

// A dual-stack socket has both; an IPv6 socket may have only the one.
int32_t set_ip(intptr_t fd, int family, const IpOption &option, int32_t value) {
    if (family == AF_INET) return set_v4_option(fd, option, value);
    int32_t error = set_or_error(fd, IPPROTO_IPV6, option.v6, value);
    if (!error) set_v4_option(fd, option, value);
    return error;
}

} // namespace

int32_t set_socket_option(intptr_t fd, int32_t option, int32_t value) {
    int type = 0;
    if (!get_option(fd, SOL_SOCKET, SO_TYPE, &type)) return last_error();
    int family = family_of(fd);
    bool is_ip = family == AF_INET || family == AF_INET6;
    bool is_stream = is_ip && type == SOCK_STREAM, is_datagram = is_ip && type == SOCK_DGRAM;
    if (option == ZYNTAX_SEND_BUFFER) return set_or_error(fd, SOL_SOCKET, SO_SNDBUF, value);
    if (option == ZYNTAX_RECEIVE_BUFFER) return set_or_error(fd, SOL_SOCKET, SO_RCVBUF, value);
    if (option == ZYNTAX_TTL && is_ip) return set_ip(fd, family, {IP_TTL, IPV6_UNICAST_HOPS, false}, value);
    if (option == ZYNTAX_NO_DELAY && is_stream) return set_or_error(fd, IPPROTO_TCP, TCP_NODELAY, value);
    if (option == ZYNTAX_KEEP_ALIVE && is_stream) return set_keep_alive(fd, value);
    if (option == ZYNTAX_LINGER && is_stream) return set_linger(fd, value);
    if (option == ZYNTAX_BROADCAST && is_datagram) return set_or_error(fd, SOL_SOCKET, SO_BROADCAST, value);
    if (option == ZYNTAX_MULTICAST_TTL && is_datagram)
        return set_ip(fd, family, {IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, true}, value);
    if (option == ZYNTAX_MULTICAST_LOOP && is_datagram)
        return set_ip(fd, family, {IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, true}, value);
    return ZYNTAX_EOPNOTSUPP;
}

#endif // !__wasi__

} // namespace zyntax::os
