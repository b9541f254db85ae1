// The tests' system layer on Linux, macOS and the BSDs.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#ifdef __linux__
#include <sched.h>
#include <sys/ioctl.h>
#endif
#include <sys/mman.h>
#include <sys/resource.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#endif
#include <sys/socket.h>
#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/ptrace.h>
#endif
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#if __has_include(<sys/eventfd.h>)
#include <sys/eventfd.h>
#endif
#if defined(__APPLE__)
#include <mach/mach.h>
#elif defined(__FreeBSD__)
#include <sys/sysctl.h>
#include <sys/types.h>
#include <sys/user.h>
#endif

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>
#include <vector>

#include "system_threads.h"

namespace sys {

// Linux rounds up what is left when a signal interrupts a sleep. A repeated sleep for the rest never ends if signals
// come faster than that.
inline void sleep_for(std::chrono::nanoseconds time) {
    auto end = std::chrono::steady_clock::now() + time;
    while (time.count() > 0) {
        timespec left{time_t(time.count() / 1'000'000'000), long(time.count() % 1'000'000'000)};
        nanosleep(&left, nullptr);
        time = end - std::chrono::steady_clock::now();
    }
}

constexpr bool has_files = true;
constexpr bool has_sockets = true;
constexpr bool has_pipes = true;
constexpr bool has_local_sockets = true; // socket pairs of datagrams, descriptors in messages
constexpr bool has_signals = true;
constexpr bool has_resident_bytes = true;
constexpr bool has_descriptor_limit = true;
#if __has_include(<sys/eventfd.h>)
constexpr bool has_event_descriptors = true;
#else
constexpr bool has_event_descriptors = false;
#endif
#ifdef __APPLE__
constexpr bool has_address_space_limit = false; // RLIMIT_AS is not enforced
constexpr bool has_sequenced_packets = false;
#else
constexpr bool has_address_space_limit = true;
constexpr bool has_sequenced_packets = true;
#endif
#ifdef __linux__
constexpr bool tells_datagram_lengths = true; // also of truncated ones
#else
constexpr bool tells_datagram_lengths = false;
#endif

constexpr int most_tasks = 1'000'000; // that a test has alive at once

// ---- memory ----

inline void *aligned_allocate(size_t size, size_t align) {
    void *at = nullptr;
    return posix_memalign(&at, align, size) == 0 ? at : nullptr;
}
inline void aligned_release(void *at) { std::free(at); }

// Memory in front of a page that is not accessible.
struct EndingMemory {
    size_t size, page = size_t(sysconf(_SC_PAGESIZE));
    char *at;
    explicit EndingMemory(size_t bytes) : size(bytes) {
        at = static_cast<char *>(mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0));
        REQUIRE(at != MAP_FAILED);
        REQUIRE(mprotect(at + size, page, PROT_NONE) == 0);
    }
    ~EndingMemory() { munmap(at, size + page); }
    EndingMemory(const EndingMemory &) = delete;
    EndingMemory &operator=(const EndingMemory &) = delete;
    char *bad() const { return at + size; }
};

// The present resources of the process.
struct Usage {
    uint64_t resident_bytes = 0, address_space_bytes = 0;
    int threads = 0;
};

#if defined(__APPLE__)
inline Usage usage() {
    mach_task_basic_info info{};
    mach_msg_type_number_t size = MACH_TASK_BASIC_INFO_COUNT;
    REQUIRE(task_info(mach_task_self(), MACH_TASK_BASIC_INFO, task_info_t(&info), &size) == KERN_SUCCESS);
    thread_act_array_t threads;
    mach_msg_type_number_t count = 0;
    REQUIRE(task_threads(mach_task_self(), &threads, &count) == KERN_SUCCESS);
    for (mach_msg_type_number_t i = 0; i < count; i++) mach_port_deallocate(mach_task_self(), threads[i]);
    vm_deallocate(mach_task_self(), vm_address_t(threads), count * sizeof *threads);
    return {info.resident_size, info.virtual_size, int(count)};
}
#elif defined(__FreeBSD__)
inline Usage usage() {
    int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, getpid()};
    kinfo_proc info{};
    size_t size = sizeof info;
    REQUIRE(sysctl(name, 4, &info, &size, nullptr, 0) == 0);
    return {uint64_t(info.ki_rssize) * uint64_t(getpagesize()), info.ki_size, info.ki_numthreads};
}
#else
inline Usage usage() {
    std::ifstream file("/proc/self/statm");
    uint64_t page = uint64_t(sysconf(_SC_PAGESIZE)), size = 0, resident = 0;
    REQUIRE((file >> size >> resident));
    int threads = 0;
    for (auto &task : std::filesystem::directory_iterator("/proc/self/task")) threads += task.exists();
    return {resident * page, size * page, threads};
}
#endif

// ---- descriptors ----

using Descriptor = int;

inline void close_descriptor(Descriptor fd) { ::close(fd); }
inline bool is_open(intptr_t fd) { return fcntl(int(fd), F_GETFD) >= 0; }
inline bool is_blocking(Descriptor fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }
inline bool is_inheritable(Descriptor fd) { return (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0; }
inline void make_nonblocking(Descriptor fd) { REQUIRE(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0); }
inline void make_blocking(Descriptor fd) { REQUIRE(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0); }
inline Descriptor private_to_us(Descriptor fd) {
    if (fd >= 0) REQUIRE(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
    return fd;
}
inline Descriptor duplicate(Descriptor fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }
inline bool duplicate_as(Descriptor fd, Descriptor number) { return private_to_us(dup2(fd, number)) == number; }
inline Descriptor duplicate_from(Descriptor fd, int lowest) { return fcntl(fd, F_DUPFD_CLOEXEC, lowest); }

// Open descriptors of this process; tests use none above 20,000.
inline std::set<int> open_descriptors() {
    std::set<int> numbers;
    for (int fd = 0; fd < 20'000; fd++)
        if (is_open(fd)) numbers.insert(fd);
    return numbers;
}
inline int fd_count() {
    if (!on_libkqueue) return int(open_descriptors().size());
    MESSAGE("descriptors are not counted: libkqueue's come and go");
    return 0;
}

inline ssize_t receive_some(Descriptor fd, void *buf, size_t len) { return ::read(fd, buf, len); }
inline ssize_t send_some(Descriptor fd, const void *buf, size_t len) { return ::write(fd, buf, len); }
inline bool would_block() { return errno == EAGAIN; }

// How long a byte may be under way between two sockets of this machine.
#ifdef __linux__
constexpr int delivery_ms = 0;
#else
constexpr int delivery_ms = 20;
#endif

inline bool poll_one(Descriptor fd, short events, int limit_ms) {
    pollfd p{fd, events, 0};
    return poll(&p, 1, limit_ms) == 1;
}

// Both ends of a pair that the kernel makes.
inline void make_pair_of_sockets(int type, Descriptor fds[2]) {
    REQUIRE(socketpair(AF_UNIX, type, 0, fds) == 0);
    for (int i = 0; i < 2; i++) private_to_us(fds[i]);
}
inline void make_pipe(Descriptor fds[2]) {
    REQUIRE(pipe(fds) == 0);
    for (int i = 0; i < 2; i++) private_to_us(fds[i]);
}

// The program's end of a terminal that hands over whole lines and echoes nothing, and the other end.
inline void make_terminal(Descriptor fds[2]) {
    fds[1] = private_to_us(posix_openpt(O_RDWR | O_NOCTTY));
    REQUIRE(fds[1] >= 0);
    REQUIRE(grantpt(fds[1]) == 0);
    REQUIRE(unlockpt(fds[1]) == 0);
    fds[0] = private_to_us(open(ptsname(fds[1]), O_RDWR | O_NOCTTY));
    REQUIRE(fds[0] >= 0);
    termios mode{};
    REQUIRE(tcgetattr(fds[0], &mode) == 0);
    mode.c_lflag = (mode.c_lflag & ~tcflag_t(ECHO)) | ICANON;
    REQUIRE(tcsetattr(fds[0], TCSANOW, &mode) == 0);
}

inline Descriptor open_terminal_again(Descriptor fd) { return private_to_us(open(ttyname(fd), O_RDWR | O_NOCTTY)); }

// A descriptor that is a counter, and adding to it.
inline Descriptor make_event_descriptor() {
#if __has_include(<sys/eventfd.h>)
    return eventfd(0, EFD_CLOEXEC);
#else
    return -1;
#endif
}

// An open descriptor that cannot be polled.
struct File {
    enum Kind { regular, regular_nonblocking, directory, null_device };
    Descriptor fd;

    explicit File(Kind kind) {
        char path[] = "/tmp/zyntax-test-XXXXXX";
        if (kind == directory) fd = open("/", O_RDONLY | O_DIRECTORY);
        else if (kind == null_device) fd = open("/dev/null", O_RDWR);
        else fd = mkstemp(path);
        REQUIRE(private_to_us(fd) >= 0);
        if (kind == regular || kind == regular_nonblocking) unlink(path);
        if (kind == regular_nonblocking) make_nonblocking(fd);
    }
    ~File() {
        if (fd >= 0) ::close(fd);
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    Descriptor release() { return std::exchange(fd, -1); }
    int flags() const { return fcntl(fd, F_GETFL); }
};

// ---- sockets ----

using SocketLength = socklen_t;

inline Descriptor make_socket(int family, int type) { return private_to_us(socket(family, type, 0)); }
// A stream socket of another protocol than TCP; < 0 where there is none.
inline Descriptor make_socket_of(int protocol) { return private_to_us(socket(AF_INET, SOCK_STREAM, protocol)); }
// Puts the kernel's TLS on a connected TCP socket.
inline bool attach_tls([[maybe_unused]] Descriptor fd) {
#ifdef TCP_ULP
    return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 3) == 0;
#else
    return false;
#endif
}
inline Descriptor accept_from(Descriptor listener) { return private_to_us(accept(listener, nullptr, nullptr)); }
inline bool connect_began() { return errno == EINPROGRESS; }
inline void end_writing(Descriptor fd) { REQUIRE(shutdown(fd, SHUT_WR) == 0); }

// The loopback's interface; null where its name is not known.
inline const char *loopback_name() {
    for (const char *name : {"lo", "lo0"})
        if (if_nametoindex(name)) return name;
    return nullptr;
}
inline unsigned loopback_index() { return if_nametoindex(loopback_name()); }

#ifdef __linux__
constexpr bool has_private_networks = true;

inline bool write_file(const char *path, const std::string &text) {
    std::ofstream file(path);
    file << text;
    file.flush();
    return bool(file);
}

// This process has a network of its own from now on, with a loopback and one port that is given out. False without the
// privilege.
inline bool enter_private_network(uint16_t port) {
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
    ifreq up{};
    std::strcpy(up.ifr_name, "lo");
    up.ifr_flags = IFF_UP;
    Descriptor fd = private_to_us(socket(AF_INET, SOCK_DGRAM, 0));
    bool is_up = ioctl(fd, SIOCSIFFLAGS, &up) == 0;
    ::close(fd);
    std::string number = std::to_string(port);
    return is_up && write_file("/proc/sys/net/ipv4/ip_local_port_range", number + " " + number);
}
#else
constexpr bool has_private_networks = false;
inline bool enter_private_network(uint16_t) { return false; }
#endif

// Sends a text that has a descriptor with it.
inline void send_with_descriptor(Descriptor fd, const char *text) {
    iovec bytes{const_cast<char *>(text), std::strlen(text)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    REQUIRE(sendmsg(fd, &message, 0) == ssize_t(bytes.iov_len));
}

// Blocking calls on a socket give up after a time.
inline void limit_blocking_calls(Descriptor fd, int limit_ms) {
    timeval limit{limit_ms / 1000, suseconds_t(limit_ms % 1000 * 1000)};
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
}

// ---- signals ----

// Interrupts this process again and again while the object lives: a handler runs, and calls return early.
struct Interruptions {
    struct sigaction before {};
    explicit Interruptions(int period_us, void (*handler)(int), int flags = 0) {
        struct sigaction now {};
        now.sa_handler = handler;
        now.sa_flags = flags;
        REQUIRE(sigaction(SIGALRM, &now, &before) == 0);
        every(period_us);
    }
    ~Interruptions() {
        every(0);
        sigaction(SIGALRM, &before, nullptr);
    }
    Interruptions(const Interruptions &) = delete;
    Interruptions &operator=(const Interruptions &) = delete;
    static void every(int us) {
        itimerval timer{{0, us}, {0, us}};
        setitimer(ITIMER_REAL, &timer, nullptr);
    }
};

constexpr int restarting = SA_RESTART; // calls do not return early after all

// The action of SIGPIPE, while the object lives.
struct SigpipeAction {
    static inline volatile sig_atomic_t seen = 0; // while counted
    struct sigaction before {};
    explicit SigpipeAction(void (*handler)(int)) {
        struct sigaction now {};
        now.sa_handler = handler;
        REQUIRE(sigaction(SIGPIPE, &now, &before) == 0);
    }
    ~SigpipeAction() { sigaction(SIGPIPE, &before, nullptr); }
    static SigpipeAction deadly() { return SigpipeAction(SIG_DFL); }
    static SigpipeAction ignored() { return SigpipeAction(SIG_IGN); }
    static SigpipeAction counted() {
        seen = 0;
        return SigpipeAction([](int) { seen = seen + 1; });
    }
    static bool is_pending() {
        sigset_t pending;
        sigpending(&pending);
        return sigismember(&pending, SIGPIPE) == 1;
    }
    static bool is_blocked() {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        return sigismember(&mask, SIGPIPE) == 1;
    }
    static void block(bool on) { // in this thread
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        pthread_sigmask(on ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
    }
    static void send() { raise(SIGPIPE); }
};

// How a signal is handled.
struct Disposition {
    void *handler;
    int flags;
    bool blocked;
    bool operator==(const Disposition &) const = default;
};

inline std::vector<Disposition> dispositions() {
    std::vector<Disposition> all;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action {};
        if (sigaction(number, nullptr, &action) != 0) continue; // the C library's own
        all.push_back({reinterpret_cast<void *>(action.sa_handler), action.sa_flags, sigismember(&mask, number) == 1});
    }
    return all;
}

// The signals that this thread blocks.
inline std::set<int> blocked_signals() {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    std::set<int> numbers;
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&mask, number) == 1) numbers.insert(number);
    return numbers;
}

// The signals that a pool thread blocks, as the header says.
inline std::set<int> signals_blocked_in_jobs() {
    std::set<int> numbers{SIGPIPE, SIGUSR1, SIGUSR2, SIGIO, SIGURG, SIGWINCH};
#ifdef SIGRTMIN
    for (int number = SIGRTMIN; number <= SIGRTMAX && number < NSIG; number++) numbers.insert(number);
#endif
    return numbers;
}

// Blocks a signal in this thread while it lives.
struct BlockedSignal {
    sigset_t before;
    explicit BlockedSignal(int number) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, number);
        pthread_sigmask(SIG_BLOCK, &one, &before);
    }
    ~BlockedSignal() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    BlockedSignal(const BlockedSignal &) = delete;
    BlockedSignal &operator=(const BlockedSignal &) = delete;
};

constexpr int ending_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
constexpr int other_signal = SIGXCPU; // which jobs do not block

// Starts a shell command and returns its end: its status, or 1000 + the number of the signal that ended it. A `number`
// above 0 is sent to the command as a signal once the command has printed. A command that takes too long is killed.
inline int end_of_command(const char *command, int number) {
    int ready[2];
    make_pipe(ready);
    pid_t pid = fork();
    if (pid == 0) {
        if (number) signal(number, SIG_DFL); // nohup and shells without job control ignore some
        rlimit no_core{0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ready[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", command, static_cast<char *>(nullptr));
        _exit(127);
    }
    ::close(ready[1]);
    if (number && poll_one(ready[0], POLLIN, 5000)) kill(pid, number);
    ::close(ready[0]);
    int status = 0;
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > end) kill(pid, SIGKILL);
        usleep(1000);
    }
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

// A host's handlers for faults, as a JIT or a collector has them, while it lives.
struct FaultHandlers {
    static constexpr int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    static inline std::atomic<int> handled{0}; // the last one
    static inline thread_local sigjmp_buf *way_out = nullptr;
    std::vector<struct sigaction> before;

    static void handle(int number) {
        handled = number;
        if (way_out) siglongjmp(*way_out, 1);
    }
    FaultHandlers() {
        for (int number : numbers) {
            struct sigaction now {};
            now.sa_handler = handle;
            REQUIRE(sigaction(number, &now, &before.emplace_back()) == 0);
        }
    }
    ~FaultHandlers() {
        for (size_t i = 0; i < before.size(); i++) sigaction(numbers[i], &before[i], nullptr);
    }
    FaultHandlers(const FaultHandlers &) = delete;
    FaultHandlers &operator=(const FaultHandlers &) = delete;

    // The signal that was handled when this thread raised it, or wrote there.
    static int after_raising(int number) {
        handled = 0;
        raise(number);
        return handled;
    }
    static int after_writing(volatile char *bad) {
        sigjmp_buf here;
        handled = 0;
        way_out = &here;
        if (sigsetjmp(here, 1) == 0) *bad = 1;
        way_out = nullptr;
        return handled;
    }
    static bool is_fault(int number) { return number == SIGSEGV || number == SIGBUS; }
};

// ---- limits ----

// Sets the soft limit of a resource, and sets it back.
struct ResourceLimit {
    int resource;
    rlimit before{};

    ResourceLimit(int which, rlim_t soft) : resource(which) {
        REQUIRE(getrlimit(Resource(which), &before) == 0);
        rlimit now{soft, before.rlim_max};
        REQUIRE(setrlimit(Resource(which), &now) == 0);
    }
    ~ResourceLimit() { setrlimit(Resource(resource), &before); }
    ResourceLimit(const ResourceLimit &) = delete;
    ResourceLimit &operator=(const ResourceLimit &) = delete;

    using Resource = decltype(RLIMIT_NOFILE);
};

// While it lives the process can open `spare` more descriptors; with 0 none.
struct FewDescriptors : ResourceLimit {
    explicit FewDescriptors(int spare = 0) : ResourceLimit(RLIMIT_NOFILE, rlim_t(lowest_free() + spare)) {}
    static int lowest_free() {
        int probe = open("/dev/null", O_RDONLY);
        REQUIRE(probe >= 0);
        ::close(probe);
        return probe;
    }
};

inline rlimit descriptor_limit() {
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return limit;
}

// While it lives the process gets no address space more, and so no thread.
struct NoAddressSpace : ResourceLimit {
    NoAddressSpace() : ResourceLimit(RLIMIT_AS, rlim_t(usage().address_space_bytes)) {}
};

// How many descriptors the process may have.
inline int most_descriptors() { return int(std::min<rlim_t>(descriptor_limit().rlim_cur, 15'001)); }

// Raises the limit of descriptors as far as the tests need it, or as far as it goes, while it lives.
struct ManyDescriptors : ResourceLimit {
    ManyDescriptors() : ResourceLimit(RLIMIT_NOFILE, most()) {}
    static rlim_t most() { return std::min<rlim_t>(descriptor_limit().rlim_max, 15'001); }
};

// ---- stacks ----

#ifdef __linux__
constexpr bool has_stack_sizes = true;

inline size_t own_stack_size() {
    pthread_attr_t attributes;
    REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0);
    void *begin = nullptr;
    size_t size = 0;
    pthread_attr_getstack(&attributes, &begin, &size);
    pthread_attr_destroy(&attributes);
    return size;
}

// The default stack size of threads, while the object lives.
struct DefaultStackSize {
    pthread_attr_t before;
    explicit DefaultStackSize(size_t size) {
        pthread_attr_t now;
        REQUIRE(pthread_getattr_default_np(&before) == 0);
        REQUIRE(pthread_getattr_default_np(&now) == 0);
        REQUIRE(pthread_attr_setstacksize(&now, size) == 0);
        REQUIRE(pthread_setattr_default_np(&now) == 0);
        pthread_attr_destroy(&now);
    }
    ~DefaultStackSize() {
        pthread_setattr_default_np(&before);
        pthread_attr_destroy(&before);
    }
    DefaultStackSize(const DefaultStackSize &) = delete;
    DefaultStackSize &operator=(const DefaultStackSize &) = delete;
};
#else
constexpr bool has_stack_sizes = false;
inline size_t own_stack_size() { return 0; }
struct DefaultStackSize {
    explicit DefaultStackSize(size_t) {}
    ~DefaultStackSize() {}
};
#endif

// ---- processes ----

constexpr bool has_processes = true;
constexpr bool has_fork = true;

// A copy of this process that runs a function for at most ten seconds. Its end is the function's result, from 0 to 99,
// or 100 + the number of the signal that killed it.
enum class ForkBy { fork, bare_clone };

// bare_clone skips the C library's work in a fork, on the systems that allow it.
inline pid_t fork_by([[maybe_unused]] ForkBy by) {
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__)) && !SUPPORT_SANITIZED
    if (by == ForkBy::bare_clone) return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
#endif
    return fork();
}

// The next child is number 1 of a namespace of its own. False where that is not possible.
inline bool begin_process_numbers_again() {
#ifdef CLONE_NEWPID
    return unshare(CLONE_NEWPID) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0;
#else
    return false;
#endif
}

inline bool is_first_process() { return getpid() == 1; }

class Child {
    pid_t pid_;

public:
    template <class Function> explicit Child(Function function, ForkBy by = ForkBy::fork) : pid_(fork_by(by)) {
        REQUIRE(pid_ >= 0);
        if (pid_ != 0) return;
        rlimit no_core{0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        for (int number : {SIGABRT, SIGSEGV, SIGBUS}) signal(number, SIG_DFL);
        signal(SIGALRM, [](int) { _exit(100 + SIGALRM); }); // the first process of a namespace has no default action
        alarm(10);
        _exit(function());
    }
    int end() const {
        int status = 0;
        REQUIRE(waitpid(pid_, &status, 0) == pid_);
        return WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status);
    }
};

// The end of a process that only called a function, and its text on standard error.
struct Death {
    bool aborted, left;
    std::string message;
};

inline Death death_of(void (*misuse)()) {
    int fds[2];
    make_pipe(fds);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        rlimit no_core{0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        alarm(10);
        dup2(fds[1], STDERR_FILENO);
        misuse();
        _exit(0);
    }
    ::close(fds[1]);
    Death death{};
    char block[256];
    for (ssize_t n; (n = ::read(fds[0], block, sizeof block)) > 0;) death.message.append(block, size_t(n));
    ::close(fds[0]);
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    death.aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    death.left = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return death;
}

// ---- Linux only ----

#if defined(__linux__)
// Watches a descriptor as an edge-triggered loop does.
class EdgeWatch {
    Descriptor epoll_ = epoll_create1(EPOLL_CLOEXEC);

public:
    explicit EdgeWatch(Descriptor fd) {
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET;
        REQUIRE(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
    }
    ~EdgeWatch() { ::close(epoll_); }
    EdgeWatch(const EdgeWatch &) = delete;
    EdgeWatch &operator=(const EdgeWatch &) = delete;
    bool has_edge(int64_t timeout_ms) const {
        epoll_event event;
        return epoll_wait(epoll_, &event, 1, int(timeout_ms)) == 1;
    }
    static constexpr bool exists = true;
};

// The instructions of the function that `prepare` returns, counted one by one in a process of its own; -1 where the
// system does not step. Neither the kernel's nor those of `prepare` count.
template <class Prepare> int64_t count_instructions(Prepare prepare) {
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
        {
            auto measured = prepare();
            raise(SIGUSR1);
            measured();
            raise(SIGUSR1);
        }
        _exit(0);
    }
    int status = 0, markers = 0;
    int64_t count = 0;
    constexpr int64_t most = 5'000'000;
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status) && markers < 2 && count < most) {
        markers += WSTOPSIG(status) == SIGUSR1;
        bool steps = markers == 1;
        count += steps;
        int passed_on = WSTOPSIG(status) == SIGUSR1 || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        if (ptrace(steps ? PTRACE_SINGLESTEP : PTRACE_CONT, child, nullptr, passed_on) != 0) break;
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return markers == 2 ? count : markers ? count : -1;
}
#else
using EdgeWatch = NoEdgeWatch<Descriptor>;
template <class Prepare> int64_t count_instructions(Prepare) { return -1; }
#endif

} // namespace sys
