// Between zyntax_address and the system's addresses, and the names of sockets.
#pragma once

#include "os.h"

namespace zyntax::os {

// The system's address. The family is 4 or 6. An IPv4-mapped address becomes the IPv4 address, because an IPv6 socket
// reaches it only if it is not restricted to IPv6. With `is_v6` every address becomes one for an IPv6 socket: an IPv4
// address is mapped.
Address to_system(const zyntax_address &address, bool is_v6 = false);

// From an address that the system has written. An IPv4-mapped address has family 4. 0 with *out, which has family 0 for
// a Unix socket; ZYNTAX_EOPNOTSUPP for other families. `size` 0 is a Unix socket without a name.
int32_t from_system(const void *name, size_t size, zyntax_address *out);
inline int32_t from_system(const Address &address, zyntax_address *out) {
    return from_system(address.bytes, address.size, out);
}

// The addresses of a socket and of its peer, as from_system; ZYNTAX_ENOTCONN without a peer.
int32_t local_address(intptr_t fd, zyntax_address *out);
int32_t peer_address(intptr_t fd, zyntax_address *out);

// The number of a network interface; 0: unknown, or the system has only numbers.
uint32_t interface_index(const char *name);

} // namespace zyntax::os
