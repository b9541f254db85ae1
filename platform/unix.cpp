// os.h, the part for POSIX systems without WASI. posix.cpp has the calls that WASI shares; sockets.cpp has TCP.
#include "sockets.h"

#if !defined(_WIN32) && !defined(__wasi__)

#include <atomic>
#include <fcntl.h>
#include <new>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace zyntax::os {

namespace {

void *thread_main(void *memory) {
    auto *thread = static_cast<Thread *>(memory);
    thread->run(thread->arg);
    return nullptr;
}

// A pool thread blocks its creator's set and the signals that a program sends to itself. A process that is started
// there inherits the set, so it contains no signal that ends or stops a process, or that a process waits for. A blocked
// fault would end the process without its handler.
sigset_t blocked_in_threads(sigset_t set) {
    constexpr int blocked[] = {SIGPIPE, SIGUSR1, SIGUSR2, SIGIO, SIGURG, SIGWINCH};
    constexpr int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    for (int number : blocked) sigaddset(&set, number);
    for (int number : faults) sigdelset(&set, number);
#ifdef SIGRTMIN
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) sigaddset(&set, number);
#endif
    return set;
}

// Pool threads run the host's functions, which expect a larger stack than some systems' default of 128 KiB.
void set_stack_size(pthread_attr_t *attributes) {
    constexpr size_t least = size_t{2} << 20;
    size_t size = 0;
    if (pthread_attr_getstacksize(attributes, &size) == 0 && size < least) pthread_attr_setstacksize(attributes, least);
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
    void *at = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? nullptr : at;
}

bool commit_pages(void *at, size_t size) {
    if (mprotect(at, size, PROT_READ | PROT_WRITE) != 0) return false;
    advise_huge_pages(at, size);
    return true;
}

namespace {

[[maybe_unused]] size_t limit_of(int resource) {
    rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    auto bytes = static_cast<uint64_t>(limit.rlim_cur);
    return bytes < SIZE_MAX ? static_cast<size_t>(bytes) : SIZE_MAX;
}

bool can_map(size_t size) {
    void *at = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) munmap(at, size);
    return at != MAP_FAILED;
}

// After mlockall(MCL_FUTURE) reserved addresses count as locked memory, even without pages. No call reports this state,
// but Linux refuses a reservation that is too large with a special error.
size_t lockable_limit() {
#if defined(__linux__) && defined(RLIMIT_MEMLOCK)
    size_t limit = limit_of(RLIMIT_MEMLOCK), page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    if (limit <= SIZE_MAX - page && !can_map(limit + page) && errno == EAGAIN) return limit;
#endif
    return SIZE_MAX;
}

} // namespace

// Where a reservation of the wanted size fails for another reason, the largest possible size is the limit.
size_t address_limit(size_t wanted) {
    size_t limit = lockable_limit(), possible = wanted;
#ifdef RLIMIT_AS
    size_t addresses = limit_of(RLIMIT_AS);
    if (addresses < limit) limit = addresses;
#endif
    while (possible && !can_map(possible)) possible /= 2;
    return possible < wanted && possible < limit ? possible : limit;
}

namespace {

// A number in a page that the kernel wipes in a forked child.
constinit std::atomic<std::atomic<uint32_t> *> wiped_number;
constinit std::atomic<uint32_t> no_page; // stands for the page on systems without such pages
constinit std::atomic<uint32_t> marks;   // given out, in this process and in its ancestors by fork
constinit std::atomic<uint32_t> forks;   // without such pages: the forks from the first process to this one

// False where the system cannot wipe pages, or accepts every advice without effect, as older versions of QEMU do.
bool wipe_on_fork([[maybe_unused]] void *page, [[maybe_unused]] size_t size) {
#if defined(MADV_WIPEONFORK)
    return madvise(page, size, -1) != 0 && madvise(page, size, MADV_WIPEONFORK) == 0;
#elif defined(INHERIT_ZERO)
    return minherit(page, size, INHERIT_ZERO) == 0;
#else
    return false;
#endif
}

std::atomic<uint32_t> *make_wiped_number() {
    auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void *page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool is_wiped = page != MAP_FAILED && wipe_on_fork(page, size);
    if (page != MAP_FAILED && !is_wiped) munmap(page, size);
    std::atomic<uint32_t> *none = nullptr, *made = is_wiped ? ::new (page) std::atomic<uint32_t>() : &no_page;
    if (wiped_number.compare_exchange_strong(none, made)) {
#if defined(__linux__)
        if (!is_wiped) pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
#endif
        return made;
    }
    if (is_wiped) munmap(page, size);
    return none;
}

} // namespace

// A process number alone is not enough: the first process of each nested namespace of Linux has number 1.
uint32_t process_mark() {
    std::atomic<uint32_t> *number = wiped_number.load();
    if (!number) number = make_wiped_number();
    if (number == &no_page) return (forks.load() % 512) << 22 | (static_cast<uint32_t>(getpid()) & ((1u << 22) - 1));
    uint32_t mark = number->load();
    if (mark) return mark;
    uint32_t fresh = marks.fetch_add(1) + 1; // before the store to the page: the next child begins above it
    return number->compare_exchange_strong(mark, fresh) ? fresh : mark;
}

void *allocate(size_t size, size_t align) {
    if (align <= alignof(max_align_t)) return malloc(size);
    bool huge = size >= 2 * huge_page;
    void *at = nullptr;
    if (posix_memalign(&at, huge ? huge_page : align, size) != 0) return nullptr;
    advise_huge_pages(at, size);
    return at;
}

static_assert(sizeof(pthread_t) <= sizeof(Thread::id));

bool start_thread(Thread *thread) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    set_stack_size(&attributes);
    sigset_t before, blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    blocked = blocked_in_threads(before);
    pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
    pthread_t id;
    bool started = pthread_create(&id, &attributes, thread_main, thread) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (started) memcpy(&thread->id, &id, sizeof id);
    return started;
}

void join_thread(Thread *thread) {
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
    KeepErrors keep;
    const timespec moment = {0, 20'000}; // sched_yield would let no thread of a lower priority run
    nanosleep(&moment, nullptr);
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

// Some systems have no call that makes a descriptor close-on-exec at once, and some sandboxes refuse it. A fork between
// the two calls inherits the descriptor.
int close_on_exec_nonblocking(int fd) {
    if (fd < 0) return fd;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

int32_t open_pipe(int (&ends)[2]) {
#if !defined(__APPLE__)
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) return 0;
#endif
    if (pipe(ends) != 0) return last_error();
    for (int end : ends) close_on_exec_nonblocking(end);
    return 0;
}

intptr_t new_socket(int family, int type) {
#ifdef SOCK_CLOEXEC
    int made = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made >= 0) return made;
#endif
    int fd = close_on_exec_nonblocking(socket(family, type, 0));
    return fd >= 0 ? fd : last_error();
}

#ifdef SOCK_CLOEXEC
// The errors with which a kernel or a sandbox refuses a call as such.
static bool is_refusal(int error) {
    return error == ENOSYS || error == EPERM || error == EACCES || error == EINVAL || error == EOPNOTSUPP;
}
#endif

// accept has no flag for a call that does not wait. Every process that shares a listener needs it non-blocking.
intptr_t accept_stream(intptr_t listener) {
    int number = static_cast<int>(listener), flags = fcntl(number, F_GETFL), fd;
    if (flags >= 0 && !(flags & O_NONBLOCK)) fcntl(number, F_SETFL, flags | O_NONBLOCK);
    do {
#ifdef SOCK_CLOEXEC
        fd = accept4(number, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && is_refusal(errno))
#endif
            fd = close_on_exec_nonblocking(::accept(number, nullptr, nullptr));
    } while (fd < 0 && errno == EINTR);
    return fd >= 0 ? fd : last_error();
}

#if defined(F_SETNOSIGPIPE)
// kind_of has refused these descriptors.
ssize_t write_without_sigpipe(Write *write_it, int fd, const iovec *parts, int n) { return write_it(fd, parts, n); }
#else
// Takes a SIGPIPE that is blocked and pending.
static void take_sigpipe(const sigset_t *pipe_signal) {
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

// Writes with SIGPIPE blocked, and consumes the SIGPIPE that this write raised. A SIGPIPE that was pending before stays
// pending.
ssize_t write_without_sigpipe(Write *write_it, int fd, const iovec *parts, int n) {
    sigset_t pipe_signal, before, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    bool was_pending = false;
    if (sigismember(&before, SIGPIPE)) {
        sigpending(&pending);
        was_pending = sigismember(&pending, SIGPIPE);
    }
    ssize_t written = write_it(fd, parts, n);
    int error = errno;
    if (written < 0 && error == EPIPE && !was_pending) take_sigpipe(&pipe_signal);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return written;
}
#endif

const char *with_scope_number(const char *address, char (&numbered)[64]) {
    const char *scope = strchr(address, '%');
    unsigned number = scope ? if_nametoindex(scope + 1) : 0;
    auto length = static_cast<int>(scope ? scope - address : 0);
    if (!number || length > INET6_ADDRSTRLEN) return address;
    snprintf(numbered, sizeof numbered, "%.*s%%%u", length, address, number);
    return numbered;
}

// Plain TCP only: reads of SCTP, MPTCP, or TCP below kernel TLS may stop anywhere.
bool is_plain_tcp(int fd) {
    int value = 0;
#ifdef SO_PROTOCOL
    if (!get_option(fd, SOL_SOCKET, SO_PROTOCOL, &value) || value != IPPROTO_TCP) return false;
#else
    if (!get_option(fd, IPPROTO_TCP, TCP_NODELAY, &value)) return false;
#endif
#ifdef TCP_ULP
    char upper[16];
    socklen_t size = sizeof upper;
    if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, upper, &size) == 0 && size > 0) return false;
#endif
    return true;
}

} // namespace zyntax::os

#endif // !_WIN32 && !__wasi__
