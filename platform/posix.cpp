// os.h on POSIX systems, but for what is in unix.cpp.
#include "os.h"

#if !defined(_WIN32) && !defined(__wasi__)

#include "posix.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace zyntax::os {

namespace {

// MSG_DONTWAIT: others that have the socket may make it blocking behind our back.
#ifdef MSG_NOSIGNAL
constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
constexpr int send_flags = MSG_DONTWAIT; // SO_NOSIGPIPE is set on the socket instead
#endif

// Where the system cannot make a socket so in one call; a fork in between inherits it.
[[maybe_unused]] bool close_on_exec_nonblocking(int fd) {
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}

intptr_t new_socket(int family) {
#ifdef SOCK_CLOEXEC
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return last_error();
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0) return last_error();
    close_on_exec_nonblocking(fd);
#endif
    return fd;
}

void tune_stream(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

const sockaddr *as_sockaddr(const Address *address) { return reinterpret_cast<const sockaddr *>(address->bytes); }

#if defined(F_SETNOSIGPIPE)

// kind_of has seen to it that there is none.
ssize_t write_without_sigpipe(int fd, const void *buf, size_t len) { return ::write(fd, buf, len); }

#else

// Takes a SIGPIPE that is blocked and pending.
void take_sigpipe(const sigset_t *pipe_signal) {
#if defined(__OpenBSD__)
    sigset_t pending;
    int taken;
    if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE)) sigwait(pipe_signal, &taken);
#else
    const timespec at_once = {0, 0};
    while (sigtimedwait(pipe_signal, nullptr, &at_once) < 0 && errno == EINTR) {
    }
#endif
}

// Writes with SIGPIPE blocked, and takes back the one that this write raised. A SIGPIPE that was blocked and pending
// before is left to whoever blocked it.
ssize_t write_without_sigpipe(int fd, const void *buf, size_t len) {
    sigset_t pipe_signal, before, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    bool was_pending = false;
    if (sigismember(&before, SIGPIPE)) {
        sigpending(&pending);
        was_pending = sigismember(&pending, SIGPIPE);
    }
    ssize_t n = ::write(fd, buf, len);
    int error = errno;
    if (n < 0 && error == EPIPE && !was_pending) take_sigpipe(&pipe_signal);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return n;
}

#endif

// Not SCTP or MPTCP, nor TCP below another protocol of the kernel's, such as TLS: their reads may stop anywhere.
bool is_plain_tcp(int fd) {
    int value = 0;
    socklen_t size = sizeof value;
#ifdef SO_PROTOCOL
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &size) != 0 || value != IPPROTO_TCP) return false;
#else
    if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size) != 0) return false;
#endif
#ifdef TCP_ULP
    char upper[16];
    size = sizeof upper;
    if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, upper, &size) == 0 && size > 0) return false;
#endif
    return true;
}

void *thread_main(void *memory) {
    auto *thread = static_cast<Thread *>(memory);
    thread->run(thread->arg);
    return nullptr;
}

// Signals belong to the host's threads. But what a thread's own fault raises is for the host's handler all the same:
// blocked, it would end the process.
sigset_t signals_of_others() {
    constexpr int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t set;
    sigfillset(&set);
    for (int fault : faults) sigdelset(&set, fault);
    return set;
}

struct MonitorMemory {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
};

// Random access to a large table is bound by address translation: with huge pages it needs 512 times fewer entries.
constexpr size_t huge_page = size_t{1} << 21;

void advise_huge_pages([[maybe_unused]] void *at, [[maybe_unused]] size_t size) {
#ifdef MADV_HUGEPAGE
    if (size >= 2 * huge_page) madvise(at, size, MADV_HUGEPAGE);
#endif
}

} // namespace

void *reserve_pages(size_t size) {
    KeepErrno keep;
    void *at = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? nullptr : at;
}

bool commit_pages(void *at, size_t size) {
    KeepErrno keep;
    if (mprotect(at, size, PROT_READ | PROT_WRITE) != 0) return false;
    advise_huge_pages(at, size);
    return true;
}

size_t address_limit() {
#ifdef RLIMIT_AS
    KeepErrno keep;
    rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    auto bytes = static_cast<uint64_t>(limit.rlim_cur);
    return bytes < SIZE_MAX ? static_cast<size_t>(bytes) : SIZE_MAX;
#else
    return SIZE_MAX;
#endif
}

uint64_t process_id() { return static_cast<uint64_t>(getpid()); }

void *allocate(size_t size, size_t align) {
    KeepErrno keep;
    if (align <= alignof(max_align_t)) return malloc(size);
    bool huge = size >= 2 * huge_page;
    void *at = nullptr;
    if (posix_memalign(&at, huge ? huge_page : align, size) != 0) return nullptr;
    advise_huge_pages(at, size);
    return at;
}

static_assert(sizeof(pthread_t) <= sizeof(Thread::id));

bool start_thread(Thread *thread) {
    KeepErrno keep;
    sigset_t blocked = signals_of_others(), before;
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    pthread_t id;
    bool started = pthread_create(&id, nullptr, thread_main, thread) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (started) memcpy(&thread->id, &id, sizeof id);
    return started;
}

void join_thread(Thread *thread) {
    KeepErrno keep;
    pthread_t id;
    memcpy(&id, &thread->id, sizeof id);
    pthread_join(id, nullptr);
}

void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void yield() {
    KeepErrno keep;
    sched_yield();
}

static_assert(sizeof(MonitorMemory) <= sizeof(Monitor) && alignof(MonitorMemory) <= alignof(Monitor));

void Monitor::init() {
    auto *m = reinterpret_cast<MonitorMemory *>(memory_);
    pthread_mutex_init(&m->mutex, nullptr);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#if !defined(__APPLE__)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&m->condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

void Monitor::destroy() {
    auto *m = reinterpret_cast<MonitorMemory *>(memory_);
    pthread_cond_destroy(&m->condition);
    pthread_mutex_destroy(&m->mutex);
}

void Monitor::lock() { pthread_mutex_lock(&reinterpret_cast<MonitorMemory *>(memory_)->mutex); }
void Monitor::unlock() { pthread_mutex_unlock(&reinterpret_cast<MonitorMemory *>(memory_)->mutex); }

bool Monitor::wait_for(uint64_t timeout_ns) {
    auto *m = reinterpret_cast<MonitorMemory *>(memory_);
#if defined(__APPLE__)
    timespec t = to_timespec(timeout_ns);
    return pthread_cond_timedwait_relative_np(&m->condition, &m->mutex, &t) == 0;
#else
    uint64_t end = clock_ns() + timeout_ns;
    timespec t = to_timespec(end < timeout_ns ? UINT64_MAX : end);
    return pthread_cond_timedwait(&m->condition, &m->mutex, &t) == 0;
#endif
}

void Monitor::signal() { pthread_cond_signal(&reinterpret_cast<MonitorMemory *>(memory_)->condition); }
void Monitor::broadcast() { pthread_cond_broadcast(&reinterpret_cast<MonitorMemory *>(memory_)->condition); }

int32_t open_pipe(int (&ends)[2]) {
    KeepErrno keep;
#if defined(__APPLE__)
    if (pipe(ends) != 0) return last_error();
    for (int end : ends) close_on_exec_nonblocking(end);
#else
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return last_error();
#endif
    return 0;
}

int32_t kind_of(intptr_t fd, Kind *kind) {
    KeepErrno keep;
    struct stat info;
    if (fd != static_cast<int>(fd)) return ZYNTAX_EBADF;
    if (fstat(static_cast<int>(fd), &info) != 0) return last_error();
    // Some kernels refuse these when they are registered, others call them ready for ever.
    if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) || S_ISBLK(info.st_mode)) return ZYNTAX_EPERM;
#if defined(F_SETNOSIGPIPE)
    // macOS sends SIGPIPE to the process: blocking it in the thread that writes would not do.
    if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) fcntl(static_cast<int>(fd), F_SETNOSIGPIPE, 1);
#endif
    *kind = S_ISFIFO(info.st_mode) ? Kind::pipe : Kind::other;
    if (!S_ISSOCK(info.st_mode)) return 0;
    *kind = is_plain_tcp(static_cast<int>(fd)) ? Kind::tcp : Kind::socket;
    return 0;
}

int64_t read(intptr_t fd, Kind kind, void *buf, size_t len) {
    KeepErrno keep;
    bool socket = kind == Kind::tcp || kind == Kind::socket;
    for (;;) {
        // recv is cheaper than read: no walk through the file layer.
        ssize_t n =
            socket ? recv(static_cast<int>(fd), buf, len, MSG_DONTWAIT) : ::read(static_cast<int>(fd), buf, len);
        if (n >= 0) return n;
        if (errno != EINTR) return last_error();
    }
}

int64_t write(intptr_t fd, Kind kind, const void *buf, size_t len) {
    KeepErrno keep;
    for (;;) {
        ssize_t n;
        if (kind == Kind::tcp || kind == Kind::socket) n = send(static_cast<int>(fd), buf, len, send_flags);
        else if (kind == Kind::pipe) n = write_without_sigpipe(static_cast<int>(fd), buf, len);
        else n = ::write(static_cast<int>(fd), buf, len);
        if (n >= 0) return n;
        if (errno != EINTR) return last_error();
    }
}

// Shared, connections are spread among the listeners on Linux and FreeBSD.
intptr_t listen(const Address *address, bool dual_stack, bool shared) {
    KeepErrno keep;
#if defined(SO_REUSEPORT_LB)
    constexpr int share = SO_REUSEPORT_LB;
#elif defined(SO_REUSEPORT)
    constexpr int share = SO_REUSEPORT;
#else
    constexpr int share = 0;
    if (shared) return ZYNTAX_ENOSYS;
#endif
    intptr_t made = new_socket(as_sockaddr(address)->sa_family);
    if (made < 0) return made;
    int fd = static_cast<int>(made);
    int on = 1, off = 0;
    tune_stream(fd);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared) setsockopt(fd, SOL_SOCKET, share, &on, sizeof on);
    if (as_sockaddr(address)->sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? &off : &on, sizeof on);
    }
    if (bind(fd, as_sockaddr(address), address->size) == 0 && ::listen(fd, SOMAXCONN) == 0) return fd;
    int32_t error = last_error();
    ::close(fd);
    return error;
}

bool listens(intptr_t fd) {
    KeepErrno keep;
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(static_cast<int>(fd), SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

intptr_t accept(intptr_t listener, bool set_no_delay) {
    KeepErrno keep;
    for (;;) {
#ifdef SOCK_CLOEXEC
        int fd = accept4(static_cast<int>(listener), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
        int fd = ::accept(static_cast<int>(listener), nullptr, nullptr);
        if (fd >= 0) close_on_exec_nonblocking(fd);
#endif
        if (fd >= 0 && set_no_delay) tune_stream(fd);
        if (fd >= 0) return fd;
        if (errno == ENOTSOCK || (errno == EOPNOTSUPP && !listens(listener))) return ZYNTAX_EINVAL;
        if (errno != EINTR) return last_error();
    }
}

// accept(2) passes on errors of the connection it would have returned; the listener is fine.
bool accept_passes(int64_t error) {
    constexpr int32_t passing[] = {ZYNTAX_ECONNABORTED, ZYNTAX_ECONNRESET,   ZYNTAX_EPROTO,     ZYNTAX_ENETDOWN,
                                   ZYNTAX_ENETUNREACH,  ZYNTAX_EHOSTUNREACH, ZYNTAX_EOPNOTSUPP, ZYNTAX_ETIMEDOUT};
    for (int32_t code : passing) {
        if (error == code) return true;
    }
    return false;
}

intptr_t connect(const Address *address, bool *in_progress) {
    KeepErrno keep;
    intptr_t made = new_socket(as_sockaddr(address)->sa_family);
    if (made < 0) return made;
    int fd = static_cast<int>(made);
    tune_stream(fd);
    *in_progress = false;
    if (::connect(fd, as_sockaddr(address), address->size) == 0) return fd;
    // An interrupted connect goes on by itself, like one that was begun without blocking.
    if (errno == EINPROGRESS || errno == EINTR) {
        *in_progress = true;
        return fd;
    }
    int32_t error = last_error();
    ::close(fd);
    return error;
}

// SO_ERROR alone does not tell "connected" from "not yet": only a peer's name proves the connection.
int32_t connect_result(intptr_t fd) {
    KeepErrno keep;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(static_cast<int>(fd), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return last_error();
    if (error != 0) return code_of(error);
    sockaddr_storage peer;
    size = sizeof peer;
    if (getpeername(static_cast<int>(fd), reinterpret_cast<sockaddr *>(&peer), &size) == 0) return 0;
    return errno == ENOTCONN ? ZYNTAX_EAGAIN : last_error();
}

int32_t local_port(intptr_t fd) {
    KeepErrno keep;
    sockaddr_storage name = {};
    socklen_t size = sizeof name;
    if (getsockname(static_cast<int>(fd), reinterpret_cast<sockaddr *>(&name), &size) != 0) return ZYNTAX_EINVAL;
    if (name.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in *>(&name)->sin_port);
    if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6 *>(&name)->sin6_port);
    return ZYNTAX_EINVAL;
}

int32_t look_up(const char *host, uint16_t port, bool numeric, Address *out, uint32_t max) {
    KeepErrno keep;
    in_addr strict; // getaddrinfo takes 1.2.3 and 0x7f.1 for addresses, too
    if (numeric && !strchr(host, ':') && inet_pton(AF_INET, host, &strict) != 1) return ZYNTAX_ENOENT;
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = numeric ? AI_NUMERICHOST : 0;
    addrinfo *found = nullptr;
    int code = getaddrinfo(host, nullptr, &hints, &found);
    if (code == EAI_MEMORY) return ZYNTAX_ENOMEM;
    if (code == EAI_SYSTEM) return last_error();
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

#endif // !_WIN32 && !__wasi__
