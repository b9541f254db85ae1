// In what POSIX and Winsock differ where they agree on sockets, for sockets.cpp.
#pragma once

#include "os.h"

#if defined(_WIN32)
#include "win32.h"
#else
#include "posix.h"
#endif

#if !defined(_WIN32) && !defined(__wasi__)
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#endif

#if !defined(__wasi__)

namespace zyntax::os {

#if defined(_WIN32)

inline SOCKET to_socket(intptr_t fd) { return static_cast<SOCKET>(fd); }

// SO_REUSEADDR would let any process take over a port that somebody listens on, and nobody needs it for ports in
// TIME_WAIT here. The price of the opposite: no listening again while connections that the port accepted are alive.
constexpr int claiming = SO_EXCLUSIVEADDRUSE, sharing = 0;

// A port that somebody has exclusively is sometimes called forbidden; no other is.
constexpr bool forbidden_is_taken = true;

// Errors of accept that are of a connection it would have returned; the listener is fine.
constexpr int32_t passing[] = {ZYNTAX_ECONNRESET, ZYNTAX_ECONNABORTED};

inline bool connect_goes_on() { return GetLastError() == WSAEWOULDBLOCK; }

// Scopes are numbers here.
inline const char *with_scope_number(const char *address, char (&)[64]) { return address; }

#else

inline int to_socket(intptr_t fd) { return static_cast<int>(fd); }

constexpr int claiming = SO_REUSEADDR;
#if defined(SO_REUSEPORT_LB)
constexpr int sharing = SO_REUSEPORT_LB;
#elif defined(SO_REUSEPORT)
constexpr int sharing = SO_REUSEPORT;
#else
constexpr int sharing = 0;
#endif
constexpr bool forbidden_is_taken = false;
constexpr int32_t passing[] = {ZYNTAX_ECONNABORTED, ZYNTAX_ECONNRESET,   ZYNTAX_EPROTO,     ZYNTAX_ENETDOWN,
                               ZYNTAX_ENETUNREACH,  ZYNTAX_EHOSTUNREACH, ZYNTAX_EOPNOTSUPP, ZYNTAX_ETIMEDOUT};

// The address with the number of the interface that is named behind its '%': C libraries know names for link-local
// addresses alone. The address itself where no interface is named.
const char *with_scope_number(const char *address, char (&numbered)[64]);

// An interrupted connect goes on by itself, like one that was begun without blocking.
inline bool connect_goes_on() { return errno == EINPROGRESS || errno == EINTR; }

#endif

// Non-blocking and not inherited, or an error.
intptr_t new_stream(int family);
intptr_t accept_stream(intptr_t listener);

inline bool set_option(intptr_t fd, int level, int name, int value) {
    return setsockopt(to_socket(fd), level, name, reinterpret_cast<const char *>(&value), sizeof value) == 0;
}

inline bool get_option(intptr_t fd, int level, int name, int *value) {
    socklen_t size = sizeof *value;
    return getsockopt(to_socket(fd), level, name, reinterpret_cast<char *>(value), &size) == 0;
}

} // namespace zyntax::os

#endif // !__wasi__
