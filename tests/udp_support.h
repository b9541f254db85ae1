// Shared by the tests of datagrams.
#pragma once

#include "address_support.h"
#include "io_support.h"

namespace support {

inline Operation sending(zyntax_io *io, const void *buf, size_t len, const zyntax_address *to = nullptr) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_udp_send(io, op, buf, len, to, waker, result);
    };
}
inline Operation receiving(zyntax_io *io, void *buf, size_t len, zyntax_address *from = nullptr) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_udp_recv(io, op, buf, len, from, waker, result);
    };
}

inline zyntax_address on_loopback(uint16_t port = 0, int family = 4) {
    return family == 4 ? v4(127, 0, 0, 1, port) : v6({0, 0, 0, 0, 0, 0, 0, 1}, port);
}

// A socket of the library; on the loopback unless it is told where.
inline zyntax_io *open_udp(zyntax_runtime *rt, const zyntax_address *local, uint32_t flags = 0) {
    zyntax_io *io = nullptr;
    REQUIRE(zyntax_udp_open(rt, local, flags, &io) == 0);
    REQUIRE(io != nullptr);
    return io;
}
inline zyntax_io *open_udp(zyntax_runtime *rt, int family = 4) {
    zyntax_address local = on_loopback(0, family);
    return open_udp(rt, &local);
}

inline uint16_t udp_port(zyntax_io *io) { return port_of(Descriptor(zyntax_io_fd(io))); }

// Where a socket can be reached from this machine.
inline zyntax_address udp_address(zyntax_io *io, int family = 4) { return on_loopback(udp_port(io), family); }

// The datagram is there, so that the next receive does not wait.
inline void arrives(zyntax_io *io) { REQUIRE(wait_for(Descriptor(zyntax_io_fd(io)), POLLIN)); }

inline void send_to(Runtime &rt, zyntax_io *from, zyntax_io *to, const std::string &text, int family = 4) {
    zyntax_address address = udp_address(to, family);
    REQUIRE(await(rt, sending(from, text.data(), text.size(), &address)) == int64_t(text.size()));
}

// A datagram that comes in time; else a text that no test sends.
inline std::string receive_from(Runtime &rt, zyntax_io *io, zyntax_address *from = nullptr) {
    std::string text(100, 0);
    int64_t n = await(rt, receiving(io, text.data(), text.size(), from));
    return n < 0 ? "error " + std::to_string(n) : text.substr(0, size_t(n));
}

// No datagram and no error comes.
inline bool hears_nothing(Runtime &rt, zyntax_io *io) {
    char byte;
    return await(rt, receiving(io, &byte, 1), 30) == unfinished;
}

} // namespace support
