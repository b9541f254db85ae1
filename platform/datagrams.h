// UDP sockets. The calls never wait, with any flags of the open file. See also addresses.h.
#pragma once

#include "os.h"

namespace zyntax::os {

// The addresses of a datagram socket.
enum class Datagrams : uint8_t {
    unknown, // the system was not asked yet
    ipv4,
    ipv6,    // without IPv4
    dual,    // IPv6, and IPv4 in its mapped form
    unnamed, // another family, such as a Unix socket: no address can be given
};

// 0, or ZYNTAX_EOPNOTSUPP for a descriptor that is no datagram socket, or another error.
int32_t datagrams_of(intptr_t fd, Datagrams *kind);

// The system's address for such a socket: 0, ZYNTAX_EINVAL or ZYNTAX_EAFNOSUPPORT.
int32_t address_for(Datagrams, const zyntax_address &, Address *out);

// A bound socket or an error. Null: every interface and a free port.
intptr_t open_datagrams(const zyntax_address *local, bool shared, Datagrams *kind);

int32_t connect_datagrams(intptr_t fd, const Address *peer); // null: the socket has no peer any more

// Bytes or an error. A null `to` is the peer, ZYNTAX_ENOTCONN without one. The number of bytes received exceeds `len`
// when the datagram was cut off. `from` may be null.
int64_t send_datagram(intptr_t fd, const void *buf, size_t len, const Address *to);
int64_t receive_datagram(intptr_t fd, void *buf, size_t len, zyntax_address *from);

// Joins or leaves a multicast group on an interface; 0: the group's scope, or the system's choice.
int32_t set_member(intptr_t fd, Datagrams, const zyntax_address &group, uint32_t interface_index, bool joins);

} // namespace zyntax::os
