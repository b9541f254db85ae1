// Datagram sockets for POSIX and Winsock, written once over the names of sockets.h: their kinds, how they begin, and
// their peers. WASI has none.
#include "sockets.h"

#include "addresses.h"
#include "datagrams.h"

namespace zyntax::os {

#if defined(__wasi__)

int32_t datagrams_of(intptr_t, Datagrams *) { return ZYNTAX_ENOSYS; }
int32_t address_for(Datagrams, const zyntax_address &, Address *) { return ZYNTAX_ENOSYS; }
intptr_t open_datagrams(const zyntax_address *, bool, Datagrams *) { return ZYNTAX_ENOSYS; }
int32_t connect_datagrams(intptr_t, const Address *) { return ZYNTAX_ENOSYS; }

#else

namespace {

int32_t bind_to(intptr_t fd, const Address *name) {
    return bind(to_socket(fd), as_sockaddr(name), static_cast<socklen_t>(name->size)) == 0 ? 0 : last_error();
}

// The socket's own address.
Address name_now(intptr_t fd) {
    Address name = {};
    socklen_t size = sizeof name.bytes;
    if (getsockname(to_socket(fd), reinterpret_cast<sockaddr *>(name.bytes), &size) == 0)
        name.size = static_cast<uint32_t>(size);
    return name;
}

[[maybe_unused]] uint16_t &port_in(Address *name) { return reinterpret_cast<sockaddr_in *>(name->bytes)->sin_port; }

bool has_peer(intptr_t fd) {
    sockaddr_storage peer;
    socklen_t size = sizeof peer;
    return getpeername(to_socket(fd), reinterpret_cast<sockaddr *>(&peer), &size) == 0;
}

// Linux gives back a port that it has chosen itself when the peer is left, so the socket is bound to it again.
#if defined(__linux__)
int32_t keep_port(intptr_t fd, Address *before) {
    Address now = name_now(fd);
    if (!now.size || port_in(&now) || !port_in(before)) return 0;
    port_in(&now) = port_in(before);
    if (as_sockaddr(&now)->sa_family == AF_INET6) {
        auto *v6 = reinterpret_cast<sockaddr_in6 *>(now.bytes);
        v6->sin6_scope_id = reinterpret_cast<const sockaddr_in6 *>(before->bytes)->sin6_scope_id;
    }
    return bind_to(fd, &now);
}
#else
int32_t keep_port(intptr_t, Address *) { return 0; }
#endif

// macOS and the BSDs may report an error of a call that has worked.
int32_t disconnect(intptr_t fd) {
    const sockaddr nothing = {};
    Address before = name_now(fd);
    int32_t error = ::connect(to_socket(fd), &nothing, sizeof nothing) == 0 ? 0 : last_error();
    return error && has_peer(fd) ? error : keep_port(fd, &before);
}

intptr_t open_bound(const zyntax_address &local, bool dual_stack, bool shared, Datagrams *kind) {
    Address name = to_system(local);
    int family = as_sockaddr(&name)->sa_family;
    intptr_t fd = new_socket(family, SOCK_DGRAM);
    if (fd < 0) return fd;
#if defined(_WIN32)
    set_option(fd, SOL_SOCKET, claiming, 1); // elsewhere a port is exclusive already
#endif
#ifdef SO_NOSIGPIPE
    set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
    if (shared) set_option(fd, SOL_SOCKET, sharing, 1);
    bool is_v6 = family == AF_INET6, is_dual = is_v6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    *kind = !is_v6 ? Datagrams::ipv4 : dual_stack && is_dual ? Datagrams::dual : Datagrams::ipv6;
    // On macOS and the BSDs the buffer limits the length of a datagram.
    constexpr int longest = 65'535;
    int buffer = longest;
    if (get_option(fd, SOL_SOCKET, SO_SNDBUF, &buffer) && buffer < longest)
        set_option(fd, SOL_SOCKET, SO_SNDBUF, longest);
    int32_t error = bind_to(fd, &name);
    if (!error) return fd;
    close(fd);
    return forbidden_is_taken && error == ZYNTAX_EACCES ? int32_t{ZYNTAX_EADDRINUSE} : error;
}

} // namespace

int32_t datagrams_of(intptr_t fd, Datagrams *kind) {
    int value = 0;
    if (!get_option(fd, SOL_SOCKET, SO_TYPE, &value)) return last_error();
    if (value != SOCK_DGRAM) return ZYNTAX_EOPNOTSUPP;
    if (get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value)) *kind = value ? Datagrams::ipv6 : Datagrams::dual;
    else *kind = get_option(fd, IPPROTO_IP, IP_TTL, &value) ? Datagrams::ipv4 : Datagrams::unnamed;
    return 0;
}

int32_t address_for(Datagrams kind, const zyntax_address &address, Address *out) {
    if (address.family != 4 && address.family != 6) return ZYNTAX_EINVAL;
    if (kind == Datagrams::unnamed) return ZYNTAX_EAFNOSUPPORT;
    *out = to_system(address, kind == Datagrams::dual);
    bool is_v4 = as_sockaddr(out)->sa_family == AF_INET;
    return is_v4 == (kind == Datagrams::ipv4) ? 0 : ZYNTAX_EAFNOSUPPORT;
}

intptr_t open_datagrams(const zyntax_address *local, bool shared, Datagrams *kind) {
    if (shared && !sharing) return ZYNTAX_ENOSYS;
    if (local) return open_bound(*local, false, shared, kind);
    intptr_t fd = open_bound({6, 0, 0, {}}, true, shared, kind);
    return fd == ZYNTAX_EAFNOSUPPORT ? open_bound({4, 0, 0, {}}, false, shared, kind) : fd; // a system without IPv6
}

// Linux keeps the local address of the first peer's route for later peers, so a peer is left first. Reports about the
// former peer's port are dropped.
int32_t connect_datagrams(intptr_t fd, const Address *peer) {
    if (has_peer(fd)) {
        int report;
        int32_t error = disconnect(fd);
        get_option(fd, SOL_SOCKET, SO_ERROR, &report);
        if (error) return error;
    }
    if (!peer) return 0;
    auto size = static_cast<socklen_t>(peer->size);
    return ::connect(to_socket(fd), as_sockaddr(peer), size) == 0 ? 0 : last_error();
}

#endif // !__wasi__

} // namespace zyntax::os
