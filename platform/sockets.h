// The differences between the sockets of Unix and of Winsock, under common names for sockets.cpp.
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

// On Windows, SO_REUSEADDR would let any process take over a port with a listener, and a port in TIME_WAIT does not
// need it. The cost of SO_EXCLUSIVEADDRUSE: bind fails while connections that the port accepted are alive.
constexpr int claiming = SO_EXCLUSIVEADDRUSE, sharing = 0;

// A port that another socket holds exclusively sometimes has the error WSAEACCES; no other port has it.
constexpr bool forbidden_is_taken = true;

// Errors of accept that concern one connection; the listener still works.
constexpr int32_t passing[] = {ZYNTAX_ECONNRESET, ZYNTAX_ECONNABORTED};

inline bool connect_goes_on() { return GetLastError() == WSAEWOULDBLOCK; }

// Scopes are numbers on Windows.
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

// The address with the number of an interface in place of its name behind '%', or else the address itself. C libraries
// know the names for link-local addresses only.
const char *with_scope_number(const char *address, char (&numbered)[64]);

// The kernel continues an interrupted connect, as it does a non-blocking one.
inline bool connect_goes_on() { return errno == EINPROGRESS || errno == EINTR; }

#endif

// A new socket, non-blocking and not inherited, or an error.
intptr_t new_socket(int family, int type);
inline intptr_t new_stream(int family) { return new_socket(family, SOCK_STREAM); }
intptr_t accept_stream(intptr_t listener);

inline const sockaddr *as_sockaddr(const Address *address) {
    return reinterpret_cast<const sockaddr *>(address->bytes);
}

inline bool set_option(intptr_t fd, int level, int name, int value) {
    return setsockopt(to_socket(fd), level, name, reinterpret_cast<const char *>(&value), sizeof value) == 0;
}

inline bool get_option(intptr_t fd, int level, int name, int *value) {
    socklen_t size = sizeof *value;
    return getsockopt(to_socket(fd), level, name, reinterpret_cast<char *>(value), &size) == 0;
}

} // namespace zyntax::os

#endif // !__wasi__
