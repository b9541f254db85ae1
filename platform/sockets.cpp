// TCP for POSIX and Winsock, written once over the names of sockets.h.
#include "sockets.h"

#if !defined(__wasi__)

#include <string.h>

namespace zyntax::os {

namespace {

// Closes a new socket after a failure, and returns the error.
int32_t give_up(intptr_t fd, int32_t error) {
    close(fd);
    return error;
}

// Small writes go out at once, and none raises a signal.
intptr_t tuned(intptr_t fd) {
    if (fd < 0) return fd;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
#ifdef SO_NOSIGPIPE
    set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
    return fd;
}

// The port has the same place in both families.
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

// The socket has the address's real family: an IPv6 socket reaches an IPv4-mapped address only if it is not restricted
// to IPv6.
Address to_address(const addrinfo *found, uint16_t port) {
    Address out = {};
    const auto *v6 = reinterpret_cast<const sockaddr_in6 *>(found->ai_addr);
    if (found->ai_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        auto *v4 = reinterpret_cast<sockaddr_in *>(out.bytes);
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, v6->sin6_addr.s6_addr + 12, sizeof v4->sin_addr);
        out.size = sizeof *v4;
    } else {
        memcpy(out.bytes, found->ai_addr, static_cast<size_t>(found->ai_addrlen));
        out.size = static_cast<uint32_t>(found->ai_addrlen);
    }
    reinterpret_cast<sockaddr_in *>(out.bytes)->sin_port = htons(port);
    return out;
}

bool name_of(intptr_t fd, sockaddr_storage *name) {
    *name = {};
    socklen_t size = sizeof *name;
    return getsockname(to_socket(fd), reinterpret_cast<sockaddr *>(name), &size) == 0;
}

// A connect to an unused local port may receive that port as its own, and then connects to itself.
bool is_connected_to_itself(intptr_t fd, const sockaddr_storage &peer) {
    sockaddr_storage name;
    if (!name_of(fd, &name) || name.ss_family != peer.ss_family) return false;
    bool is_v4 = name.ss_family == AF_INET;
    size_t at = is_v4 ? offsetof(sockaddr_in, sin_addr) : offsetof(sockaddr_in6, sin6_addr);
    const auto *mine = reinterpret_cast<const char *>(&name), *its = reinterpret_cast<const char *>(&peer);
    return reinterpret_cast<const sockaddr_in *>(mine)->sin_port ==
               reinterpret_cast<const sockaddr_in *>(its)->sin_port &&
           memcmp(mine + at, its + at, is_v4 ? sizeof(in_addr) : sizeof(in6_addr)) == 0;
}

} // namespace

intptr_t listen(const Address *address, bool dual_stack, bool shared) {
    if (shared && !sharing) return ZYNTAX_ENOSYS;
    int family = as_sockaddr(address)->sa_family;
    intptr_t fd = tuned(new_stream(family));
    if (fd < 0) return fd;
    set_option(fd, SOL_SOCKET, claiming, 1);
    if (shared) set_option(fd, SOL_SOCKET, sharing, 1);
    if (family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    bool is_bound = bind(to_socket(fd), as_sockaddr(address), static_cast<socklen_t>(address->size)) == 0;
    if (is_bound && ::listen(to_socket(fd), SOMAXCONN) == 0) return fd;
    int32_t error = last_error();
    return give_up(fd, forbidden_is_taken && error == ZYNTAX_EACCES ? int32_t{ZYNTAX_EADDRINUSE} : error);
}

bool listens(intptr_t fd) {
    int on = 0;
    return get_option(fd, SOL_SOCKET, SO_ACCEPTCONN, &on) && on;
}

intptr_t accept(intptr_t listener, bool set_no_delay) {
    intptr_t fd = accept_stream(listener);
    return set_no_delay ? tuned(fd) : fd;
}

bool accept_passes(int64_t error) {
    for (int32_t code : passing) {
        if (error == code) return true;
    }
    return false;
}

intptr_t connect(const Address *address) {
    intptr_t fd = tuned(new_stream(as_sockaddr(address)->sa_family));
    if (fd < 0) return fd;
    bool begins = ::connect(to_socket(fd), as_sockaddr(address), static_cast<socklen_t>(address->size)) == 0;
    return begins || connect_goes_on() ? fd : give_up(fd, last_error());
}

// SO_ERROR alone does not tell "connected" from "not yet": only a peer's name proves the connection. A failure that
// comes before the first event is found with that event, so that a connect on its way costs one call.
int32_t connect_result(intptr_t fd, bool has_event) {
    int error = 0;
    if (has_event && !get_option(fd, SOL_SOCKET, SO_ERROR, &error)) return last_error();
    if (error) return code_of(error);
    sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (getpeername(to_socket(fd), reinterpret_cast<sockaddr *>(&peer), &size) == 0) {
        if (!is_connected_to_itself(fd, peer)) return 0;
        const linger at_once = {1, 0}; // a reset: after an orderly end the port would stay in use for a minute
        setsockopt(to_socket(fd), SOL_SOCKET, SO_LINGER, reinterpret_cast<const char *>(&at_once), sizeof at_once);
        return ZYNTAX_ECONNREFUSED;
    }
    int32_t code = last_error();
    return has_event && code != ZYNTAX_ENOTCONN ? code : int32_t{ZYNTAX_EAGAIN};
}

int32_t local_port(intptr_t fd) {
    sockaddr_storage name;
    if (!name_of(fd, &name)) return ZYNTAX_EINVAL;
    bool is_ip = name.ss_family == AF_INET || name.ss_family == AF_INET6;
    return is_ip ? ntohs(reinterpret_cast<sockaddr_in *>(&name)->sin_port) : int32_t{ZYNTAX_EINVAL};
}

static_assert(sizeof(sockaddr_in6) <= sizeof(Address::bytes));

int32_t look_up(const char *host, uint16_t port, bool numeric, Address *out, uint32_t max) {
    in_addr strict; // getaddrinfo also accepts 1.2.3 and 0x7f.1, and Windows [::1]
    if (numeric && !strchr(host, ':') && inet_pton(AF_INET, host, &strict) != 1) return ZYNTAX_ENOENT;
    if (strchr(host, '[')) return ZYNTAX_ENOENT;
    char numbered[64];
    if (numeric) host = with_scope_number(host, numbered);
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = numeric ? AI_NUMERICHOST : 0;
    addrinfo *found = nullptr;
    int code = getaddrinfo(host, nullptr, &hints, &found);
#ifdef EAI_SYSTEM
    if (code == EAI_SYSTEM) return errno ? last_error() : int32_t{ZYNTAX_EIO}; // glibc may forget to set it
#endif
    if (code == EAI_MEMORY) return ZYNTAX_ENOMEM;
    if (code == EAI_AGAIN) return ZYNTAX_EAGAIN;
    if (code != 0) return ZYNTAX_ENOENT;
    int32_t n = 0;
    for (addrinfo *a = found; a; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        if (static_cast<uint32_t>(n++) >= max) continue;
        *out++ = to_address(a, port);
    }
    freeaddrinfo(found);
    return n > 0 ? n : int32_t{ZYNTAX_ENOENT};
}

} // namespace zyntax::os

#endif // !__wasi__
