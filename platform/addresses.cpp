// Addresses for POSIX and Winsock, written once over the names of sockets.h. WASI has none.
#include "sockets.h"

#include "addresses.h"

#include <assert.h>
#include <string.h>

namespace zyntax::os {

#if defined(__wasi__)

Address to_system(const zyntax_address &, bool) { return {}; }
int32_t from_system(const void *, size_t, zyntax_address *) { return ZYNTAX_ENOSYS; }
int32_t local_address(intptr_t, zyntax_address *) { return ZYNTAX_ENOSYS; }
int32_t peer_address(intptr_t, zyntax_address *) { return ZYNTAX_ENOSYS; }
uint32_t interface_index(const char *) { return 0; }

#else

namespace {

// ::ffff:0:0/96, the IPv4 addresses of dual-stack sockets.
constexpr uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped(const uint8_t *ip) { return memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0; }

template <class T> Address to_bytes(const T &name) {
    static_assert(sizeof name <= sizeof Address::bytes);
    Address out = {};
    memcpy(out.bytes, &name, sizeof name);
    out.size = sizeof name;
    return out;
}

void set_v4(zyntax_address *out, const void *ip) {
    out->family = 4;
    memcpy(out->ip, ip, 4);
}

int32_t address_of(intptr_t fd, decltype(getsockname) *ask, zyntax_address *out) {
    sockaddr_storage name = {};
    socklen_t size = sizeof name;
    if (ask(to_socket(fd), reinterpret_cast<sockaddr *>(&name), &size) != 0) return last_error();
    return from_system(&name, static_cast<size_t>(size), out);
}

} // namespace

Address to_system(const zyntax_address &address, bool is_v6) {
    assert(address.family == 4 || address.family == 6);
    bool is_v4 = address.family == 4;
    if (!is_v6 && (is_v4 || is_mapped(address.ip))) {
        sockaddr_in name = {};
        name.sin_family = AF_INET;
        name.sin_port = htons(address.port);
        memcpy(&name.sin_addr, is_v4 ? address.ip : address.ip + sizeof mapped_prefix, 4);
        return to_bytes(name);
    }
    sockaddr_in6 name = {};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(address.port);
    auto *ip = reinterpret_cast<uint8_t *>(&name.sin6_addr);
    if (is_v4) {
        memcpy(ip, mapped_prefix, sizeof mapped_prefix);
        memcpy(ip + sizeof mapped_prefix, address.ip, 4);
    } else {
        memcpy(ip, address.ip, 16);
        name.sin6_scope_id = address.scope;
    }
    return to_bytes(name);
}

int32_t from_system(const void *name, size_t size, zyntax_address *out) {
    sockaddr_in6 v6 = {};
    sockaddr_in v4 = {};
    zyntax_address found = {};
    memcpy(&v4, name, size < sizeof v4 ? size : sizeof v4);
    memcpy(&v6, name, size < sizeof v6 ? size : sizeof v6);
    if (v4.sin_family == AF_INET) {
        set_v4(&found, &v4.sin_addr);
        found.port = ntohs(v4.sin_port);
    } else if (v4.sin_family == AF_INET6) {
        found.port = ntohs(v6.sin6_port);
        const auto *ip = reinterpret_cast<const uint8_t *>(&v6.sin6_addr);
        if (is_mapped(ip)) {
            set_v4(&found, ip + sizeof mapped_prefix);
        } else {
            found.family = 6;
            found.scope = v6.sin6_scope_id;
            memcpy(found.ip, ip, 16);
        }
    } else if (size && v4.sin_family != AF_UNIX) {
        return ZYNTAX_EOPNOTSUPP;
    }
    *out = found;
    return 0;
}

int32_t local_address(intptr_t fd, zyntax_address *out) { return address_of(fd, getsockname, out); }

// Sockets of other families may also have peers. macOS and the BSDs report EINVAL for a connection that the peer has
// ended.
int32_t peer_address(intptr_t fd, zyntax_address *out) {
    zyntax_address local;
    if (local_address(fd, &local) == ZYNTAX_EOPNOTSUPP) return ZYNTAX_EOPNOTSUPP;
    int32_t error = address_of(fd, getpeername, out);
    return error == ZYNTAX_EINVAL ? int32_t{ZYNTAX_ENOTCONN} : error;
}

#if defined(_WIN32)
uint32_t interface_index(const char *) { return 0; } // if_nametoindex needs one more library
#else
uint32_t interface_index(const char *name) { return if_nametoindex(name); }
#endif

#endif // !__wasi__

} // namespace zyntax::os
