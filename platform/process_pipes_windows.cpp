// The pipes of a child process on Windows: two connected sockets, as only sockets can be waited for. The child's end is
// not made for overlapped use, so that programs can read and write it as they do a file.
#include "processes.h"

#if defined(_WIN32)

#include "sockets.h"

#include <string.h>

namespace zyntax::os {

namespace {

intptr_t new_socket(DWORD flags) {
    SOCKET made = WSASocketW(AF_INET, SOCK_STREAM, 0, nullptr, 0, flags | WSA_FLAG_NO_HANDLE_INHERIT);
    return made == INVALID_SOCKET ? last_error() : static_cast<intptr_t>(made);
}

bool name_of_end(intptr_t fd, bool of_peer, sockaddr_in *name) {
    int size = sizeof *name;
    auto *at = reinterpret_cast<sockaddr *>(name);
    return (of_peer ? getpeername(to_socket(fd), at, &size) : getsockname(to_socket(fd), at, &size)) == 0;
}

// Any process of the machine can connect to the listener: only the connection of our own end counts.
int32_t connect_ends(intptr_t listener, intptr_t childs, intptr_t *ours) {
    sockaddr_in name = {}, end = {}, peer = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *at = reinterpret_cast<const sockaddr *>(&name);
    bool is_good = bind(to_socket(listener), at, sizeof name) == 0 && ::listen(to_socket(listener), SOMAXCONN) == 0 &&
                   name_of_end(listener, false, &name) && ::connect(to_socket(childs), at, sizeof name) == 0 &&
                   name_of_end(childs, false, &end);
    if (!is_good) return last_error();
    for (;;) {
        *ours = accept_stream(listener);
        if (*ours < 0) return static_cast<int32_t>(*ours);
        if (name_of_end(*ours, true, &peer) && peer.sin_port == end.sin_port &&
            peer.sin_addr.s_addr == end.sin_addr.s_addr)
            return 0;
        close(*ours);
    }
}

} // namespace

int32_t open_child_pipe(bool, intptr_t *ours, intptr_t *childs) {
    intptr_t listener = new_socket(WSA_FLAG_OVERLAPPED), end = listener < 0 ? listener : new_socket(0);
    int32_t error = end < 0 ? static_cast<int32_t>(end) : connect_ends(listener, end, ours);
    if (listener >= 0) close(listener);
    if (error && end >= 0) close(end);
    if (error) return error;
    set_option(*ours, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(end, IPPROTO_TCP, TCP_NODELAY, 1);
    *childs = end;
    return 0;
}

} // namespace zyntax::os

#endif // _WIN32
