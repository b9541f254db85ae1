// Unix-domain stream sockets, and the descriptors that they pass.
#pragma once

#include "os.h"

namespace zyntax::os {

struct UnixAddress {
    alignas(8) unsigned char bytes[112]; // sockaddr_un
    uint32_t size;
};

// The kind of these sockets, as kind_of would tell.
#if defined(__linux__)
constexpr Kind unix_kind = Kind::local;
#else
constexpr Kind unix_kind = Kind::socket;
#endif

// 0, ZYNTAX_EINVAL for bytes that can be neither a path nor an abstract name, or ZYNTAX_ENOSYS. `path` may be null.
int32_t to_unix_address(const char *path, size_t len, UnixAddress *);

intptr_t unix_socket();                                 // a descriptor, non-blocking and not inherited, or an error
int32_t unix_pair(intptr_t (&ends)[2]);                 // two such descriptors that are connected
int32_t unix_listen(intptr_t fd, const UnixAddress *);  // 0 or an error
int32_t unix_connect(intptr_t fd, const UnixAddress *); // ZYNTAX_EAGAIN: no room in the queue; the call is repeated

// ---- passed_descriptors.cpp ----

// 0, ZYNTAX_EOPNOTSUPP for a descriptor that is no Unix-domain stream socket, ZYNTAX_EBADF, or ZYNTAX_ENOSYS.
int32_t check_unix_stream(intptr_t fd, Kind kind);

int32_t send_descriptor(intptr_t socket, intptr_t fd); // 1 or an error

// 1, 0 at the end of the stream, or an error. ZYNTAX_EMFILE: the process has no number for a descriptor. Nothing was
// received then, unless another thread has taken the last number during the call.
int32_t receive_descriptor(intptr_t socket, intptr_t *fd);

} // namespace zyntax::os
