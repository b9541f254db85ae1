// The tests' system layer on Windows 10 and later. Only sockets are pollable there: pairs of them are TCP over the
// loopback interface.
#pragma once

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
// clang-format off
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
// clang-format on
#include <psapi.h>
#include <tlhelp32.h>
#undef near
#undef far
#undef interface

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <set>
#include <utility>
#include <vector>

#include "system_threads.h"

namespace sys {

inline void sleep_for(std::chrono::nanoseconds time) { std::this_thread::sleep_for(time); }

constexpr bool has_files = true;
constexpr bool has_sockets = true;
constexpr bool has_pipes = false;
constexpr bool has_local_sockets = false;
constexpr bool has_signals = false;
constexpr bool has_resident_bytes = true;
constexpr bool has_descriptor_limit = false;
constexpr bool has_event_descriptors = false;
constexpr bool has_address_space_limit = false;
constexpr bool has_sequenced_packets = false;
constexpr bool tells_datagram_lengths = false;

constexpr int most_tasks = 1'000'000; // that a test has alive at once

inline bool on_wine() { return GetProcAddress(GetModuleHandleW(L"ntdll"), "wine_get_version") != nullptr; }

// ---- memory ----

inline void *aligned_allocate(size_t size, size_t align) { return _aligned_malloc(size, align); }
inline void aligned_release(void *at) { _aligned_free(at); }

struct EndingMemory {
    char *at = nullptr;
    explicit EndingMemory(size_t) {}
    char *bad() const { return at; }
};

// The present resources of the process.
struct Usage {
    uint64_t resident_bytes = 0, address_space_bytes = 0;
    int threads = 0;
};

inline Usage usage() {
    PROCESS_MEMORY_COUNTERS memory{};
    REQUIRE(GetProcessMemoryInfo(GetCurrentProcess(), &memory, sizeof memory));
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    REQUIRE(snapshot != INVALID_HANDLE_VALUE);
    THREADENTRY32 entry{};
    entry.dwSize = sizeof entry;
    int threads = 0;
    for (BOOL more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry))
        threads += entry.th32OwnerProcessID == GetCurrentProcessId();
    CloseHandle(snapshot);
    return {memory.WorkingSetSize, 0, threads};
}

// ---- descriptors ----

using Descriptor = intptr_t; // a SOCKET; INVALID_SOCKET is -1
using SocketLength = int;

// The tests' own start of Winsock. The tests neither depend on the library's start nor hide a missing one.
inline void start_sockets() {
    static const int failed = [] {
        WSADATA data;
        return WSAStartup(MAKEWORD(2, 2), &data);
    }();
    REQUIRE(failed == 0);
}

inline void close_descriptor(Descriptor fd) { closesocket(SOCKET(fd)); }
inline bool is_open(intptr_t fd) {
    int type = 0, length = sizeof type;
    start_sockets();
    return getsockopt(SOCKET(fd), SOL_SOCKET, SO_TYPE, reinterpret_cast<char *>(&type), &length) == 0;
}
inline bool is_inheritable(Descriptor fd) {
    DWORD flags = 0;
    REQUIRE(GetHandleInformation(HANDLE(fd), &flags));
    return (flags & HANDLE_FLAG_INHERIT) != 0;
}
inline void set_blocking(Descriptor fd, bool on) {
    u_long nonblocking = !on;
    REQUIRE(ioctlsocket(SOCKET(fd), long(FIONBIO), &nonblocking) == 0);
}
inline void make_nonblocking(Descriptor fd) { set_blocking(fd, false); }
inline void make_blocking(Descriptor fd) { set_blocking(fd, true); }

// The system does not say; a socket on which nothing has arrived shows it by how it refuses to read.
inline bool is_blocking(Descriptor fd) {
    DWORD before = 0, soon = 10;
    int length = sizeof before;
    char byte;
    auto *value = reinterpret_cast<char *>(&before);
    REQUIRE(getsockopt(SOCKET(fd), SOL_SOCKET, SO_RCVTIMEO, value, &length) == 0);
    REQUIRE(setsockopt(SOCKET(fd), SOL_SOCKET, SO_RCVTIMEO, reinterpret_cast<char *>(&soon), sizeof soon) == 0);
    REQUIRE(recv(SOCKET(fd), &byte, 1, MSG_PEEK) < 0);
    int error = WSAGetLastError();
    REQUIRE(setsockopt(SOCKET(fd), SOL_SOCKET, SO_RCVTIMEO, value, sizeof before) == 0);
    REQUIRE((error == WSAEWOULDBLOCK || error == WSAETIMEDOUT));
    return error == WSAETIMEDOUT;
}

inline Descriptor duplicate(Descriptor fd) {
    WSAPROTOCOL_INFOW info;
    REQUIRE(WSADuplicateSocketW(SOCKET(fd), GetCurrentProcessId(), &info) == 0);
    return Descriptor(WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
                                 WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT));
}

// Duplicates under numbers that the system chooses, until a number is good.
template <class Good> Descriptor duplicate_until(Descriptor fd, Good good) {
    std::vector<Descriptor> others;
    Descriptor found = -1;
    while (found < 0 && others.size() < 10'000) {
        Descriptor next = duplicate(fd);
        if (good(next)) found = next;
        else others.push_back(next);
    }
    for (Descriptor other : others) close_descriptor(other);
    return found;
}
inline Descriptor duplicate_from(Descriptor fd, int lowest) {
    return duplicate_until(fd, [=](Descriptor number) { return number >= lowest; });
}
inline bool duplicate_as(Descriptor fd, Descriptor number) {
    return duplicate_until(fd, [=](Descriptor other) { return other == number; }) >= 0;
}

// Open sockets of this process; handles are multiples of four, and tests have few thousand of them.
inline std::set<Descriptor> open_descriptors() {
    std::set<Descriptor> sockets;
    for (Descriptor fd = 4; fd < 40'000; fd += 4)
        if (is_open(fd)) sockets.insert(fd);
    return sockets;
}
inline int fd_count() { return int(open_descriptors().size()); }

inline ptrdiff_t receive_some(Descriptor fd, void *buf, size_t len) {
    return recv(SOCKET(fd), static_cast<char *>(buf), int(len), 0);
}
inline ptrdiff_t send_some(Descriptor fd, const void *buf, size_t len) {
    return send(SOCKET(fd), static_cast<const char *>(buf), int(len), 0);
}
inline bool would_block() { return WSAGetLastError() == WSAEWOULDBLOCK; }

constexpr int delivery_ms = 20; // that a byte may be under way between two sockets

inline bool poll_one(Descriptor fd, short events, int limit_ms) {
    WSAPOLLFD p{SOCKET(fd), events, 0};
    return WSAPoll(&p, 1, limit_ms) == 1;
}

inline void make_pipe(Descriptor[2]) { FAIL("only sockets are pollable on Windows"); }
inline Descriptor open_terminal_again(Descriptor) { return -1; }
inline void make_terminal(Descriptor[2]) { FAIL("only sockets are pollable on Windows"); }
inline Descriptor make_event_descriptor() { return -1; }

// An open handle that cannot be polled.
struct File {
    enum Kind { regular, regular_nonblocking, directory, null_device };
    Descriptor fd;

    explicit File(Kind kind) {
        char folder[MAX_PATH], path[MAX_PATH];
        REQUIRE(GetTempPathA(sizeof folder, folder) > 0);
        DWORD access = GENERIC_READ, how = OPEN_EXISTING, attributes = FILE_FLAG_BACKUP_SEMANTICS;
        const char *name = kind == directory ? folder : "NUL";
        if (kind == regular || kind == regular_nonblocking) {
            REQUIRE(GetTempFileNameA(folder, "zyn", 0, path) != 0);
            name = path;
            access |= GENERIC_WRITE | DELETE;
            attributes = FILE_FLAG_DELETE_ON_CLOSE | (kind == regular_nonblocking ? FILE_FLAG_OVERLAPPED : 0);
        } else if (kind == null_device) {
            attributes = 0;
        }
        fd = Descriptor(
            CreateFileA(name, access, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr, how, attributes, nullptr));
        REQUIRE(HANDLE(fd) != INVALID_HANDLE_VALUE);
    }
    ~File() {
        if (fd >= 0) CloseHandle(HANDLE(fd));
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    Descriptor release() { return std::exchange(fd, -1); }
    int flags() const {
        DWORD flags = 0;
        return GetHandleInformation(HANDLE(fd), &flags) ? int(flags) : -1;
    }
};

// ---- sockets ----

inline Descriptor make_socket(int family, int type) {
    start_sockets();
    return Descriptor(WSASocketW(family, type, 0, nullptr, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT));
}
inline Descriptor make_socket_of(int) { return -1; }
inline bool attach_tls(Descriptor) { return false; }
inline Descriptor accept_from(Descriptor listener) {
    Descriptor fd = Descriptor(accept(SOCKET(listener), nullptr, nullptr));
    if (fd >= 0) set_blocking(fd, true); // it is as its listener is
    return fd;
}
inline bool connect_began() { return WSAGetLastError() == WSAEWOULDBLOCK; }
inline void end_writing(Descriptor fd) { REQUIRE(shutdown(SOCKET(fd), SD_SEND) == 0); }

inline int make_pair_of_sockets_connect(Descriptor a, Descriptor b) {
    sockaddr_in address{};
    int length = sizeof address;
    REQUIRE(getsockname(SOCKET(b), reinterpret_cast<sockaddr *>(&address), &length) == 0);
    return connect(SOCKET(a), reinterpret_cast<sockaddr *>(&address), length);
}

// Two TCP sockets, or two of UDP, that are connected to each other.
inline void make_pair_of_sockets(int type, Descriptor fds[2]) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *address = reinterpret_cast<sockaddr *>(&any);
    Descriptor bound = make_socket(AF_INET, type), other = make_socket(AF_INET, type);
    REQUIRE(bind(SOCKET(bound), address, sizeof any) == 0);
    fds[1] = other;
    if (type == SOCK_DGRAM) {
        REQUIRE(bind(SOCKET(other), address, sizeof any) == 0);
        REQUIRE(make_pair_of_sockets_connect(bound, other) == 0);
        REQUIRE(make_pair_of_sockets_connect(other, bound) == 0);
        fds[0] = bound;
        return;
    }
    REQUIRE(listen(SOCKET(bound), 1) == 0);
    REQUIRE(make_pair_of_sockets_connect(other, bound) == 0);
    fds[0] = accept_from(bound);
    close_descriptor(bound);
    int on = 1;
    for (int i = 0; i < 2; i++)
        REQUIRE(setsockopt(SOCKET(fds[i]), IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char *>(&on), sizeof on) == 0);
}

inline void send_with_descriptor(Descriptor, const char *) { FAIL("only AF_UNIX passes descriptors"); }

// Blocking calls on a socket give up after a time.
inline void limit_blocking_calls(Descriptor fd, int limit_ms) {
    DWORD limit = DWORD(limit_ms);
    for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
        REQUIRE(setsockopt(SOCKET(fd), SOL_SOCKET, option, reinterpret_cast<char *>(&limit), sizeof limit) == 0);
}

// ---- signals: handlers run in threads that the system makes for them, and interrupt no call ----

// Runs a handler again and again while it lives, in a thread of its own.
struct Interruptions {
    static inline std::atomic<int> period_us{0}; // 0: over
    Thread thread;
    explicit Interruptions(int period, void (*handler)(int), int = 0) {
        every(period);
        thread = Thread([handler] {
            for (auto next = std::chrono::steady_clock::now();; handler(0)) {
                next += std::chrono::microseconds(period_us.load());
                while (period_us > 0 && std::chrono::steady_clock::now() < next) yield();
                if (period_us == 0) return;
            }
        });
    }
    ~Interruptions() {
        every(0);
        thread.join();
    }
    Interruptions(const Interruptions &) = delete;
    Interruptions &operator=(const Interruptions &) = delete;
    static void every(int us) { period_us = us; }
};

constexpr int restarting = 0;

// There is no SIGPIPE.
struct SigpipeAction {
    static constexpr int seen = 0;
    ~SigpipeAction() {}
    static SigpipeAction deadly() { return {}; }
    static SigpipeAction ignored() { return {}; }
    static SigpipeAction counted() { return {}; }
    static bool is_pending() { return false; }
    static bool is_blocked() { return false; }
    static void block(bool) {}
    static void send() {}
};

// How the signals of the C language are handled.
inline std::vector<void (*)(int)> dispositions() {
    std::vector<void (*)(int)> all;
    for (int number : {SIGABRT, SIGFPE, SIGILL, SIGINT, SIGSEGV, SIGTERM}) {
        all.push_back(std::signal(number, SIG_DFL));
        std::signal(number, all.back());
    }
    return all;
}

// Windows reports the limits of the stack since Windows 8. No call changes the default of a running program.
constexpr bool has_stack_sizes = false;
inline size_t own_stack_size() { return 0; }
struct DefaultStackSize {
    explicit DefaultStackSize(size_t) {}
    ~DefaultStackSize() {}
};

inline const char *loopback_name() { return nullptr; }
inline unsigned loopback_index() { return 0; }
constexpr bool has_private_networks = false;
inline bool enter_private_network(uint16_t) { return false; }

inline std::set<int> blocked_signals() { return {}; }
inline std::set<int> signals_blocked_in_jobs() { return {}; }
struct BlockedSignal {
    explicit BlockedSignal(int) {}
    ~BlockedSignal() {}
};
constexpr int ending_signals[] = {0};
constexpr int other_signal = 0;
inline int end_of_command(const char *, int) { return 0; }

struct FaultHandlers {
    FaultHandlers() {}
    ~FaultHandlers() {}
    static constexpr int numbers[] = {0};
    static int after_raising(int) { return -1; }
    static int after_writing(volatile char *) { return -1; }
    static bool is_fault(int) { return false; }
};

// ---- limits ----

struct FewDescriptors {
    explicit FewDescriptors(int = 0) { FAIL("Windows has no limit of handles"); }
};
struct ManyDescriptors {
    ManyDescriptors() {} // there are more than enough
};
inline int most_descriptors() { return 15'001; }
struct NoAddressSpace {
    NoAddressSpace() { FAIL("Windows has no limit of a process's address space"); }
};

// ---- processes ----

constexpr bool has_processes = true;
constexpr bool has_fork = false;

enum class ForkBy { fork, bare_clone };
inline bool begin_process_numbers_again() { return false; }
inline bool is_first_process() { return false; }
struct Child {
    template <class Function> explicit Child(Function, ForkBy = ForkBy::fork) {}
    int end() const { return -1; }
};

// The end of a process that only called a function, and its text on standard error.
struct Death {
    bool aborted, left;
    std::string message;
};

// The task of a process of the tests: the n-th death of its test case; 0: the tests.
inline int which_death() {
    const char *text = std::getenv("ZYNTAX_TEST_DEATH");
    return text == nullptr ? 0 : std::atoi(text);
}

// Runs the test case in another process, up to this call.
inline Death death_of(void (*misuse)()) {
    static int deaths = 0;
    static const char *counted_for = nullptr;
    const char *test = doctest::getContextOptions()->currentTest->m_name;
    if (counted_for != test) deaths = 0, counted_for = test;
    deaths++;
    if (which_death() != 0) {
        if (which_death() != deaths) return {};
        SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
        misuse();
        _exit(0);
    }

    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    HANDLE from = nullptr, to = nullptr;
    REQUIRE(CreatePipe(&from, &to, &inherited, 0));
    REQUIRE(SetHandleInformation(from, HANDLE_FLAG_INHERIT, 0));
    char path[MAX_PATH];
    REQUIRE(GetModuleFileNameA(nullptr, path, sizeof path) > 0);
    std::string command = '"' + std::string(path) + "\" --no-skip \"--test-case=" + test + '"';
    STARTUPINFOA start{};
    start.cb = sizeof start;
    start.dwFlags = STARTF_USESTDHANDLES;
    start.hStdError = to;
    PROCESS_INFORMATION process{};
    SetEnvironmentVariableA("ZYNTAX_TEST_DEATH", std::to_string(deaths).c_str());
    REQUIRE(CreateProcessA(nullptr, command.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &start, &process));
    SetEnvironmentVariableA("ZYNTAX_TEST_DEATH", nullptr);
    CloseHandle(to);

    Death death{};
    char block[256];
    for (DWORD n = 0; ReadFile(from, block, sizeof block, &n, nullptr) && n > 0;) death.message.append(block, n);
    CloseHandle(from);
    DWORD status = 0;
    REQUIRE(WaitForSingleObject(process.hProcess, 10'000) == WAIT_OBJECT_0);
    REQUIRE(GetExitCodeProcess(process.hProcess, &status));
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    death.aborted = status == 3 || status == 0xC0000409; // abort of the C runtimes
    death.left = status == 0;
    return death;
}

using EdgeWatch = NoEdgeWatch<Descriptor>;
template <class Prepare> int64_t count_instructions(Prepare) { return -1; }

} // namespace sys
