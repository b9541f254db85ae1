// os.h on Windows, except for the calls in sockets.cpp. Descriptors are SOCKETs and nothing else.
#include "sockets.h"

#if defined(_WIN32)

#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

namespace zyntax::os {

namespace {

struct Code {
    int windows;
    int32_t zyntax;
};

// Linux's numbers, also for errors without a name in the header.
constexpr Code codes[] = {
    {WSAEWOULDBLOCK, ZYNTAX_EAGAIN},
    {WSAEINTR, -4},
    {WSAEBADF, ZYNTAX_EBADF},
    {WSAENOTSOCK, ZYNTAX_EBADF}, // kind_of has refused handles that are not sockets
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
    {WSAESHUTDOWN, ZYNTAX_EPIPE}, // the code that Linux returns in this case
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

int to_length(size_t len) { return len < INT_MAX ? static_cast<int>(len) : INT_MAX; }

int32_t make_nonblocking(intptr_t fd) {
    u_long on = 1;
    return ioctlsocket(to_socket(fd), static_cast<long>(FIONBIO), &on) == 0 ? 0 : last_error();
}

// Reports that an earlier datagram met no receiver, or travelled too far, would make the next receive fail.
void ignore_reports(SOCKET datagrams) {
    constexpr DWORD reports[] = {SIO_UDP_CONNRESET, _WSAIOW(IOC_VENDOR, 15)}; // the other is SIO_UDP_NETRESET
    BOOL off = FALSE;
    DWORD none;
    for (DWORD report : reports) WSAIoctl(datagrams, report, &off, sizeof off, nullptr, 0, &none, nullptr, nullptr);
}

// A new socket made non-blocking and not inherited, or an error.
intptr_t ready_for_use(SOCKET socket) {
    if (socket == INVALID_SOCKET) return last_error();
    auto fd = static_cast<intptr_t>(socket);
    SetHandleInformation(reinterpret_cast<HANDLE>(socket), HANDLE_FLAG_INHERIT, 0);
    int32_t error = make_nonblocking(fd);
    if (error) close(fd);
    return error ? error : fd;
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

int32_t code_of(int error) {
    for (Code known : codes) {
        if (known.windows == error) return known.zyntax;
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

void *reserve_pages(size_t size) { return VirtualAlloc(nullptr, size, MEM_RESERVE, PAGE_NOACCESS); }

bool commit_pages(void *at, size_t size) { return VirtualAlloc(at, size, MEM_COMMIT, PAGE_READWRITE) != nullptr; }

size_t address_limit(size_t) { return SIZE_MAX; }

uint32_t process_mark() { return 0; }

void *allocate(size_t size, size_t align) { return _aligned_malloc(size, align); }

void release(void *at) { _aligned_free(at); }

// The stack size that the program's executable asks for, if it is larger.
static size_t stack_size() {
    constexpr size_t least = size_t{2} << 20;
    auto *file = reinterpret_cast<const char *>(GetModuleHandleW(nullptr));
    LONG offset = reinterpret_cast<const IMAGE_DOS_HEADER *>(file)->e_lfanew;
    size_t size = reinterpret_cast<const IMAGE_NT_HEADERS *>(file + offset)->OptionalHeader.SizeOfStackReserve;
    return size < least ? least : size;
}

bool start_thread(Thread *thread) {
    constexpr DWORD reserved = STACK_SIZE_PARAM_IS_A_RESERVATION;
    HANDLE started = CreateThread(nullptr, stack_size(), thread_main, thread, reserved, nullptr);
    thread->id = reinterpret_cast<uintptr_t>(started);
    return thread->id != 0;
}

void join_thread(Thread *thread) {
    WaitForSingleObject(reinterpret_cast<HANDLE>(thread->id), INFINITE);
    CloseHandle(reinterpret_cast<HANDLE>(thread->id));
}

void relax() { YieldProcessor(); }

// The former looks for threads of this processor only.
void yield() {
    if (!SwitchToThread()) ::Sleep(1);
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
    auto *m = reinterpret_cast<MonitorMemory *>(memory_);
    return SleepConditionVariableSRW(&m->condition, &m->lock, to_ms_rounded_up(timeout_ns), 0);
}

void Monitor::signal() { WakeConditionVariable(&reinterpret_cast<MonitorMemory *>(memory_)->condition); }
void Monitor::broadcast() { WakeAllConditionVariable(&reinterpret_cast<MonitorMemory *>(memory_)->condition); }

// Winsock reports WSAENOTSOCK for every number that is not a socket. GetFileType tells whether it is a handle.
int32_t kind_of(intptr_t fd, Kind *kind) {
    WSAPROTOCOL_INFOW info;
    int size = sizeof info;
    if (getsockopt(to_socket(fd), SOL_SOCKET, SO_PROTOCOL_INFOW, reinterpret_cast<char *>(&info), &size) == 0) {
        bool is_stream = info.iSocketType == SOCK_STREAM;
        *kind = !is_stream ? Kind::messages : info.iProtocol == IPPROTO_TCP ? Kind::tcp : Kind::socket;
        return 0;
    }
    if (GetLastError() != WSAENOTSOCK) return last_error();
    return GetFileType(reinterpret_cast<HANDLE>(fd)) == FILE_TYPE_UNKNOWN ? ZYNTAX_EBADF : ZYNTAX_EPERM;
}

int32_t set_nonblocking(intptr_t fd, bool *was_blocking) {
    *was_blocking = false; // Winsock has no call that tells
    int type = 0;
    if (get_option(fd, SOL_SOCKET, SO_TYPE, &type) && type == SOCK_DGRAM) ignore_reports(to_socket(fd));
    return make_nonblocking(fd);
}

void set_blocking(intptr_t) {}

int64_t read(intptr_t fd, Kind *, void *buf, size_t len) {
    int n = ::recv(to_socket(fd), static_cast<char *>(buf), to_length(len), 0);
    if (n >= 0) return n;
    int32_t error = last_error();
    if (error == ZYNTAX_EMSGSIZE) return to_length(len); // the beginning of a message, as elsewhere
    return error == ZYNTAX_EPIPE ? 0 : error;            // it was shut down
}

int64_t write(intptr_t fd, Kind *, const void *buf, size_t len) {
    int n = ::send(to_socket(fd), static_cast<const char *>(buf), to_length(len), 0);
    if (n >= 0) return n;
    int32_t error = last_error();
    return error == ZYNTAX_ECONNABORTED ? ZYNTAX_EPIPE : error; // the system has given the connection up
}

// Not WSAPoll: its hang-up may mean one direction or both, and before Windows 10 2004 it hides failed connects.
uint32_t poll_now(intptr_t fd, uint32_t interest) {
    fd_set sets[3];
    for (fd_set &set : sets) {
        set.fd_count = 1;
        set.fd_array[0] = to_socket(fd);
    }
    if (!(interest & ZYNTAX_READABLE)) sets[0].fd_count = 0;
    if (!(interest & ZYNTAX_WRITABLE)) sets[1].fd_count = 0;
    timeval at_once = {0, 0};
    // An error, or a connect that failed: the operation itself finds the error.
    if (select(0, &sets[0], &sets[1], &sets[2], &at_once) < 0 || sets[2].fd_count) return interest;
    return (sets[0].fd_count ? uint32_t{ZYNTAX_READABLE} : 0u) | (sets[1].fd_count ? uint32_t{ZYNTAX_WRITABLE} : 0u);
}

void close(intptr_t fd) { closesocket(to_socket(fd)); }

intptr_t new_socket(int family, int type) {
    constexpr DWORD flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
    SOCKET socket = WSASocketW(family, type, 0, nullptr, 0, flags);
    // Windows 7 before its service pack does not know the second flag.
    if (socket == INVALID_SOCKET) socket = WSASocketW(family, type, 0, nullptr, 0, WSA_FLAG_OVERLAPPED);
    if (type == SOCK_DGRAM) ignore_reports(socket);
    return ready_for_use(socket);
}

intptr_t accept_stream(intptr_t listener) { return ready_for_use(::accept(to_socket(listener), nullptr, nullptr)); }

int32_t shut_down_writes(intptr_t fd) { return shutdown(to_socket(fd), SD_SEND) == 0 ? 0 : last_error(); }

} // namespace zyntax::os

#endif // _WIN32
