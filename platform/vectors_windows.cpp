// Transfers of several blocks of memory with one call of Winsock.
#include "vectors_system.h"

#if defined(_WIN32)

namespace zyntax::os {

int64_t read_system_parts(intptr_t fd, Kind *, Part *parts, size_t n) {
    DWORD received = 0, flags = 0;
    if (WSARecv(to_socket(fd), parts, static_cast<DWORD>(n), &received, &flags, nullptr, nullptr) == 0) return received;
    int32_t error = last_error();
    if (error == ZYNTAX_EPIPE) return 0; // it was shut down
    if (error != ZYNTAX_EMSGSIZE) return error;
    int64_t room = 0; // the beginning of a message, as elsewhere
    for (size_t i = 0; i < n; i++) room += parts[i].len;
    return room;
}

int64_t write_system_parts(intptr_t fd, Kind *, Part *parts, size_t n) {
    DWORD sent = 0;
    if (WSASend(to_socket(fd), parts, static_cast<DWORD>(n), &sent, 0, nullptr, nullptr) == 0) return sent;
    int32_t error = last_error();
    return error == ZYNTAX_ECONNABORTED ? ZYNTAX_EPIPE : error; // the system has given the connection up
}

} // namespace zyntax::os

#endif // _WIN32
