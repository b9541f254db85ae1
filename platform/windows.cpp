// os.h on Windows. Descriptors are SOCKETs and nothing else.
#include "os.h"

#if defined(_WIN32)

#include "win32.h"

#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

namespace zyntax::os {

namespace {

struct Code {
    DWORD windows;
    int32_t zyntax;
};

// Linux's numbers, also for what has no name in the header.
constexpr Code codes[] = {
    {WSAEWOULDBLOCK, ZYNTAX_EAGAIN},
    {WSAEINTR, -4},
    {WSAEBADF, ZYNTAX_EBADF},
    {WSAENOTSOCK, ZYNTAX_EBADF}, // what was no socket to begin with never gets here
    {WSAEACCES, ZYNTAX_EACCES},
    {WSAEFAULT, ZYNTAX_EFAULT},
    {WSAEINVAL, ZYNTAX_EINVAL},
    {WSAEMFILE, ZYNTAX_EMFILE},
    {WSAEDESTADDRREQ, -89},
    {WSAEMSGSIZE, ZYNTAX_EMSGSIZE},
    {WSAEPROTOTYPE, -91},
    {WSAENOPROTOOPT, -92},
    {WSAEPROTONOSUPPORT, -93},
    {WSAESOCKTNOSUPPORT, -94},
    {WSAEOPNOTSUPP, ZYNTAX_EOPNOTSUPP},
    {WSAEAFNOSUPPORT, ZYNTAX_EAFNOSUPPORT},
    {WSAEADDRINUSE, ZYNTAX_EADDRINUSE},
    {WSAEADDRNOTAVAIL, ZYNTAX_EADDRNOTAVAIL},
    {WSAENETDOWN, ZYNTAX_ENETDOWN},
    {WSAENETUNREACH, ZYNTAX_ENETUNREACH},
    {WSAENETRESET, -102},
    {WSAECONNABORTED, ZYNTAX_ECONNABORTED},
    {WSAECONNRESET, ZYNTAX_ECONNRESET},
    {WSAENOBUFS, ZYNTAX_ENOBUFS},
    {WSAEISCONN, -106},
    {WSAENOTCONN, ZYNTAX_ENOTCONN},
    {WSAESHUTDOWN, ZYNTAX_EPIPE}, // Linux has a number for it, too, but returns this one
    {WSAETIMEDOUT, ZYNTAX_ETIMEDOUT},
    {WSAECONNREFUSED, ZYNTAX_ECONNREFUSED},
    {WSAEHOSTDOWN, -112},
    {WSAEHOSTUNREACH, ZYNTAX_EHOSTUNREACH},
    {WSAEALREADY, -114},
    {WSAEINPROGRESS, -115},
    {WSAEPROCLIM, ZYNTAX_ENFILE},
    {WSASYSNOTREADY, ZYNTAX_ENETDOWN},
    {WSAVERNOTSUPPORTED, ZYNTAX_ENOSYS},
    {WSA_OPERATION_ABORTED, ZYNTAX_ECANCELED},
    {ERROR_ACCESS_DENIED, ZYNTAX_EACCES},
    {ERROR_INVALID_HANDLE, ZYNTAX_EBADF},
    {ERROR_INVALID_PARAMETER, ZYNTAX_EINVAL},
    {ERROR_NOT_ENOUGH_MEMORY, ZYNTAX_ENOMEM},
    {ERROR_OUTOFMEMORY, ZYNTAX_ENOMEM},
    {ERROR_COMMITMENT_LIMIT, ZYNTAX_ENOMEM},
    {ERROR_NOT_ENOUGH_QUOTA, ZYNTAX_ENOMEM},
    {ERROR_WORKING_SET_QUOTA, ZYNTAX_ENOMEM},
    {ERROR_NO_SYSTEM_RESOURCES, ZYNTAX_ENOMEM},
    {ERROR_TOO_MANY_OPEN_FILES, ZYNTAX_EMFILE},
    {ERROR_NETNAME_DELETED, ZYNTAX_ECONNRESET},
};

SOCKET to_socket(intptr_t fd) { return static_cast<SOCKET>(fd); }
const sockaddr *as_sockaddr(const Address *address) { return reinterpret_cast<const sockaddr *>(address->bytes); }
int to_length(size_t len) { return len < INT_MAX ? static_cast<int>(len) : INT_MAX; }

bool set_option(SOCKET socket, int level, int name, int value) {
    return setsockopt(socket, level, name, reinterpret_cast<const char *>(&value), sizeof value) == 0;
}

int type_of(SOCKET socket) {
    int type = 0, size = sizeof type;
    return getsockopt(socket, SOL_SOCKET, SO_TYPE, reinterpret_cast<char *>(&type), &size) == 0 ? type : 0;
}

int32_t make_nonblocking(SOCKET socket) {
    u_long on = 1;
    return ioctlsocket(socket, static_cast<long>(FIONBIO), &on) == 0 ? 0 : last_error();
}

// Closes a socket of ours that has come to nothing, and passes the reason on.
int32_t give_up(SOCKET socket, int32_t error) {
    closesocket(socket);
    return error;
}

intptr_t new_stream(int family) {
    SOCKET socket = WSASocketW(family, SOCK_STREAM, 0, nullptr, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (socket == INVALID_SOCKET) return last_error();
    int32_t error = make_nonblocking(socket);
    if (error) return give_up(socket, error);
    set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    return static_cast<intptr_t>(socket);
}

DWORD WINAPI thread_main(void *memory) {
    auto *thread = static_cast<Thread *>(memory);
    thread->run(thread->arg);
    return 0;
}

struct MonitorMemory {
    SRWLOCK lock;
    CONDITION_VARIABLE condition;
};
static_assert(sizeof(MonitorMemory) <= sizeof(Monitor) && alignof(MonitorMemory) <= alignof(Monitor));

} // namespace

int32_t error_of(DWORD code) {
    for (Code known : codes) {
        if (known.windows == code) return known.zyntax;
    }
    return ZYNTAX_EIO;
}

void panic(const char *message) {
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), message, static_cast<DWORD>(strlen(message)), &written, nullptr);
    abort();
}

uint64_t clock_ns() {
    constexpr uint64_t second = 1'000'000'000;
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    auto ticks = static_cast<uint64_t>(count.QuadPart), per_second = static_cast<uint64_t>(frequency.QuadPart);
    return ticks / per_second * second + ticks % per_second * second / per_second; // no product overflows
}

void *reserve_pages(size_t size) {
    KeepErrors keep;
    return VirtualAlloc(nullptr, size, MEM_RESERVE, PAGE_NOACCESS);
}

bool commit_pages(void *at, size_t size) {
    KeepErrors keep;
    return VirtualAlloc(at, size, MEM_COMMIT, PAGE_READWRITE) != nullptr;
}

size_t address_limit() { return SIZE_MAX; }

uint64_t process_id() { return 0; }

void *allocate(size_t size, size_t align) {
    KeepErrors keep;
    return _aligned_malloc(size, align);
}

void release(void *at) {
    KeepErrors keep;
    _aligned_free(at);
}

bool start_thread(Thread *thread) {
    KeepErrors keep;
    thread->id = reinterpret_cast<uintptr_t>(CreateThread(nullptr, 0, thread_main, thread, 0, nullptr));
    return thread->id != 0;
}

void join_thread(Thread *thread) {
    KeepErrors keep;
    WaitForSingleObject(reinterpret_cast<HANDLE>(thread->id), INFINITE);
    CloseHandle(reinterpret_cast<HANDLE>(thread->id));
}

void relax() { YieldProcessor(); }

void yield() {
    KeepErrors keep;
    SwitchToThread();
}

void Monitor::init() {
    auto *m = reinterpret_cast<MonitorMemory *>(memory_);
    InitializeSRWLock(&m->lock);
    InitializeConditionVariable(&m->condition);
}

void Monitor::destroy() {} // neither kind holds anything

void Monitor::lock() { AcquireSRWLockExclusive(&reinterpret_cast<MonitorMemory *>(memory_)->lock); }
void Monitor::unlock() { ReleaseSRWLockExclusive(&reinterpret_cast<MonitorMemory *>(memory_)->lock); }

bool Monitor::wait_for(uint64_t timeout_ns) {
    KeepErrors keep;
    auto *m = reinterpret_cast<MonitorMemory *>(memory_);
    return SleepConditionVariableSRW(&m->condition, &m->lock, to_ms_rounded_up(timeout_ns), 0);
}

void Monitor::signal() { WakeConditionVariable(&reinterpret_cast<MonitorMemory *>(memory_)->condition); }
void Monitor::broadcast() { WakeAllConditionVariable(&reinterpret_cast<MonitorMemory *>(memory_)->condition); }

// Winsock calls every number that is no socket WSAENOTSOCK; whether it is a handle at all, its type tells.
int32_t kind_of(intptr_t fd, Kind *kind) {
    KeepErrors keep;
    WSAPROTOCOL_INFOW info;
    int size = sizeof info;
    if (getsockopt(to_socket(fd), SOL_SOCKET, SO_PROTOCOL_INFOW, reinterpret_cast<char *>(&info), &size) == 0) {
        *kind = info.iProtocol == IPPROTO_TCP && info.iSocketType == SOCK_STREAM ? Kind::tcp : Kind::socket;
        return 0;
    }
    DWORD error = GetLastError();
    if (error != WSAENOTSOCK) return error_of(error);
    return GetFileType(reinterpret_cast<HANDLE>(fd)) == FILE_TYPE_UNKNOWN ? ZYNTAX_EBADF : ZYNTAX_EPERM;
}

// For a datagram socket also: that nobody listens where a datagram went is no reason for the next receive to fail.
int32_t set_nonblocking(intptr_t fd, bool *was_blocking) {
    KeepErrors keep;
    *was_blocking = false; // nothing tells
    BOOL off = FALSE;
    DWORD none;
    if (type_of(to_socket(fd)) == SOCK_DGRAM) {
        WSAIoctl(to_socket(fd), SIO_UDP_CONNRESET, &off, sizeof off, nullptr, 0, &none, nullptr, nullptr);
    }
    return make_nonblocking(to_socket(fd));
}

void set_blocking(intptr_t) {}
bool is_blocking(intptr_t) { return false; }
uint64_t file_identity(intptr_t fd) { return static_cast<uint64_t>(fd); }

int64_t read(intptr_t fd, Kind, void *buf, size_t len) {
    KeepErrors keep;
    int n = recv(to_socket(fd), static_cast<char *>(buf), to_length(len), 0);
    if (n >= 0) return n;
    DWORD error = GetLastError();
    if (error == WSAEMSGSIZE) return to_length(len); // the beginning of a message, as elsewhere
    return error == WSAESHUTDOWN ? 0 : error_of(error);
}

int64_t write(intptr_t fd, Kind, const void *buf, size_t len) {
    KeepErrors keep;
    int n = send(to_socket(fd), static_cast<const char *>(buf), to_length(len), 0);
    if (n >= 0) return n;
    DWORD error = GetLastError();
    return error == WSAECONNABORTED ? ZYNTAX_EPIPE : error_of(error); // the system has given the connection up
}

// Not WSAPoll: its hang-up may mean one direction or both, and before Windows 10 2004 it hides failed connects.
uint32_t poll_now(intptr_t fd, uint32_t interest) {
    KeepErrors keep;
    fd_set sets[3];
    for (fd_set &set : sets) {
        set.fd_count = 1;
        set.fd_array[0] = to_socket(fd);
    }
    if (!(interest & ZYNTAX_READABLE)) sets[0].fd_count = 0;
    if (!(interest & ZYNTAX_WRITABLE)) sets[1].fd_count = 0;
    timeval at_once = {0, 0};
    // An error, or a connect that failed: let the operation itself find out.
    if (select(0, &sets[0], &sets[1], &sets[2], &at_once) < 0 || sets[2].fd_count) return interest;
    return (sets[0].fd_count ? uint32_t{ZYNTAX_READABLE} : 0u) | (sets[1].fd_count ? uint32_t{ZYNTAX_WRITABLE} : 0u);
}

void close(intptr_t fd) {
    KeepErrors keep;
    closesocket(to_socket(fd));
}

// SO_REUSEADDR would let any process take over a port that somebody listens on, and nobody needs it for ports in
// TIME_WAIT here. The price of the opposite: no listening again while connections that the port accepted are alive.
intptr_t listen(const Address *address, bool dual_stack, bool shared) {
    if (shared) return ZYNTAX_ENOSYS;
    KeepErrors keep;
    intptr_t made = new_stream(as_sockaddr(address)->sa_family);
    if (made < 0) return made;
    auto socket = static_cast<SOCKET>(made);
    set_option(socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
    if (as_sockaddr(address)->sa_family == AF_INET6) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    if (bind(socket, as_sockaddr(address), static_cast<int>(address->size)) == 0 && ::listen(socket, SOMAXCONN) == 0)
        return made;
    // A port that somebody has exclusively is sometimes called forbidden; no other is.
    int32_t error = last_error();
    return give_up(socket, error == ZYNTAX_EACCES ? int32_t{ZYNTAX_EADDRINUSE} : error);
}

bool listens(intptr_t fd) {
    KeepErrors keep;
    DWORD on = 0;
    int size = sizeof on;
    return getsockopt(to_socket(fd), SOL_SOCKET, SO_ACCEPTCONN, reinterpret_cast<char *>(&on), &size) == 0 && on;
}

intptr_t accept(intptr_t listener, bool set_no_delay) {
    KeepErrors keep;
    SOCKET socket = ::accept(to_socket(listener), nullptr, nullptr);
    if (socket == INVALID_SOCKET) return GetLastError() == WSAEOPNOTSUPP ? int32_t{ZYNTAX_EINVAL} : last_error();
    SetHandleInformation(reinterpret_cast<HANDLE>(socket), HANDLE_FLAG_INHERIT, 0);
    int32_t error = make_nonblocking(socket);
    if (error) return give_up(socket, error);
    if (set_no_delay) set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    return static_cast<intptr_t>(socket);
}

bool accept_passes(int64_t error) { return error == ZYNTAX_ECONNRESET || error == ZYNTAX_ECONNABORTED; }

intptr_t connect(const Address *address, bool *in_progress) {
    KeepErrors keep;
    intptr_t made = new_stream(as_sockaddr(address)->sa_family);
    if (made < 0) return made;
    auto socket = static_cast<SOCKET>(made);
    *in_progress = ::connect(socket, as_sockaddr(address), static_cast<int>(address->size)) != 0;
    bool failed = *in_progress && GetLastError() != WSAEWOULDBLOCK;
    return failed ? give_up(socket, last_error()) : made;
}

// SO_ERROR alone does not tell "connected" from "not yet": only a peer's name proves the connection.
int32_t connect_result(intptr_t fd) {
    KeepErrors keep;
    DWORD error = 0;
    int size = sizeof error;
    if (getsockopt(to_socket(fd), SOL_SOCKET, SO_ERROR, reinterpret_cast<char *>(&error), &size) != 0)
        return last_error();
    if (error != 0) return error_of(error);
    sockaddr_storage peer;
    size = sizeof peer;
    if (getpeername(to_socket(fd), reinterpret_cast<sockaddr *>(&peer), &size) == 0) return 0;
    return GetLastError() == WSAENOTCONN ? int32_t{ZYNTAX_EAGAIN} : last_error();
}

int32_t shut_down_writes(intptr_t fd) {
    KeepErrors keep;
    return shutdown(to_socket(fd), SD_SEND) == 0 ? 0 : last_error();
}

int32_t local_port(intptr_t fd) {
    KeepErrors keep;
    sockaddr_storage name = {};
    int size = sizeof name;
    if (getsockname(to_socket(fd), reinterpret_cast<sockaddr *>(&name), &size) != 0) return ZYNTAX_EINVAL;
    bool is_ip = name.ss_family == AF_INET || name.ss_family == AF_INET6;
    return is_ip ? ntohs(reinterpret_cast<sockaddr_in *>(&name)->sin_port) : int32_t{ZYNTAX_EINVAL};
}

int32_t look_up(const char *host, uint16_t port, bool numeric, Address *out, uint32_t max) {
    KeepErrors keep;
    in_addr strict; // getaddrinfo takes 1.2.3, 0x7f.1 and [::1] for addresses, too
    if (numeric && !strchr(host, ':') && inet_pton(AF_INET, host, &strict) != 1) return ZYNTAX_ENOENT;
    if (strchr(host, '[')) return ZYNTAX_ENOENT;
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = numeric ? AI_NUMERICHOST : 0;
    addrinfo *found = nullptr;
    int code = getaddrinfo(host, nullptr, &hints, &found);
    if (code == EAI_MEMORY) return ZYNTAX_ENOMEM;
    if (code == EAI_AGAIN) return ZYNTAX_EAGAIN;
    if (code != 0) return ZYNTAX_ENOENT;
    int32_t n = 0;
    for (addrinfo *a = found; a; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        if (static_cast<uint32_t>(n++) >= max) continue;
        // The port has the same place in both families.
        reinterpret_cast<sockaddr_in *>(a->ai_addr)->sin_port = htons(port);
        memcpy(out->bytes, a->ai_addr, a->ai_addrlen);
        (out++)->size = static_cast<uint32_t>(a->ai_addrlen);
    }
    freeaddrinfo(found);
    return n > 0 ? n : int32_t{ZYNTAX_ENOENT};
}
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
static_assert(sizeof(sockaddr_in6) <= sizeof(Address::bytes));

} // namespace zyntax::os

#endif // _WIN32
