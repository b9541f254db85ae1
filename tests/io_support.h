// What the tests of real I/O share: descriptors that close themselves, tasks that await one operation, raw peers.
#pragma once

#include "support.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <utility>

namespace support {

// Kernel waits that an idle loop may make in 100 ms.
constexpr uint64_t idle_budget = 5;

// What Await::result is before its operation has ended.
constexpr int64_t unfinished = INT64_MIN;

constexpr size_t kib = 1024;
constexpr size_t mib = 1024 * kib;

// A descriptor that closes itself.
struct Fd {
    int fd = -1;

    Fd() = default;
    explicit Fd(int number) : fd(number) { REQUIRE(fd >= 0); }
    Fd(Fd &&other) noexcept : fd(other.release()) {}
    Fd &operator=(Fd &&other) noexcept {
        reset(other.release());
        return *this;
    }
    ~Fd() { reset(); }
    int release() { return std::exchange(fd, -1); }
    void reset(int number = -1) {
        if (fd >= 0) ::close(fd);
        fd = number;
    }
    operator int() const { return fd; }
};

inline bool is_open(intptr_t fd) { return fcntl(int(fd), F_GETFD) >= 0; }
inline bool is_blocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }
inline void make_nonblocking(int fd) { REQUIRE(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0); }

// Open descriptors of this process.
inline int fd_count() {
    DIR *dir = opendir("/proc/self/fd");
    REQUIRE(dir != nullptr);
    int count = -3; // ".", ".." and the directory itself
    while (readdir(dir) != nullptr) count++;
    closedir(dir);
    return count;
}

// `near` goes to the runtime and is blocking; `far` is the test's and is not.
struct Pair {
    Fd near, far;
};

inline Pair socket_pair(int type = SOCK_STREAM) {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
    make_nonblocking(fds[1]);
    return {Fd(fds[0]), Fd(fds[1])};
}

// A pipe whose reading end is near.
inline Pair pipe_to_runtime() {
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    make_nonblocking(fds[1]);
    return {Fd(fds[0]), Fd(fds[1])};
}

// A pipe whose writing end is near.
inline Pair pipe_from_runtime() {
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    make_nonblocking(fds[0]);
    return {Fd(fds[1]), Fd(fds[0])};
}

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;
    sockaddr *raw() { return reinterpret_cast<sockaddr *>(&storage); }
};

// The loopback address of a family.
inline Address loopback(uint16_t port, int family = AF_INET) {
    Address address;
    if (family == AF_INET) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.length = sizeof v4;
        std::memcpy(&address.storage, &v4, sizeof v4);
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        v6.sin6_addr = in6addr_loopback;
        address.length = sizeof v6;
        std::memcpy(&address.storage, &v6, sizeof v6);
    }
    return address;
}

inline uint16_t port_of(int fd) {
    sockaddr_in6 address{};
    socklen_t length = sizeof address;
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length) == 0);
    return ntohs(address.sin6_port); // at the same place as sin_port
}

// A plain socket bound to a free port, which listens if backlog >= 0.
inline Fd plain_listener(int backlog, int family = AF_INET) {
    Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    Address address = loopback(0, family);
    REQUIRE(bind(fd, address.raw(), address.length) == 0);
    if (backlog >= 0) REQUIRE(listen(fd, backlog) == 0);
    return fd;
}

// A plain, non-blocking client whose connection is at least under way.
inline Fd plain_client(uint16_t port, int family = AF_INET) {
    Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    Address address = loopback(port, family);
    int failed = connect(fd, address.raw(), address.length);
    REQUIRE((failed == 0 || errno == EINPROGRESS));
    return fd;
}

inline bool has_ipv6() {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    Address address = loopback(0, AF_INET6);
    bool bound = bind(fd, address.raw(), address.length) == 0;
    close(fd);
    return bound;
}

// Waits for a plain descriptor; for peers, which have no runtime.
inline bool wait_for(int fd, short events, int limit_ms = int(deadline_ms)) {
    pollfd p{fd, events, 0};
    return poll(&p, 1, limit_ms) == 1;
}

// A listener that answers no more: its queue is full.
struct SilentListener {
    Fd fd = plain_listener(0);
    std::deque<Fd> queued;
    SilentListener() {
        for (int tries = 0; tries < 10; tries++) {
            queued.push_back(plain_client(port_of(fd)));
            if (!wait_for(queued.back(), POLLOUT, 20)) return;
        }
        FAIL("the queue of a listener does not fill up");
    }
};

// Two connected TCP sockets.
inline Pair tcp_pair() {
    Fd listener = plain_listener(1);
    Fd far = plain_client(port_of(listener));
    REQUIRE(wait_for(listener, POLLIN));
    Fd near(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(wait_for(far, POLLOUT));
    return {std::move(near), std::move(far)};
}

// Closes a TCP socket so that the peer sees a reset.
inline void reset_connection(Fd &fd) {
    linger hard{1, 0};
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) == 0);
    fd.reset();
}

// Writes everything at once; the peer must have room.
inline void put(int fd, const std::string &text) {
    REQUIRE(::write(fd, text.data(), text.size()) == ssize_t(text.size()));
}

// Fills a non-blocking descriptor until the kernel takes no more and stays so; the number of bytes.
inline size_t fill(int fd) {
    std::string block(64 * kib, 'f');
    size_t total = 0, size = block.size();
    for (;;) {
        ssize_t n = ::write(fd, block.data(), size);
        if (n > 0) total += size_t(n);
        else if (errno != EAGAIN) return total;
        else if (size > 1) size /= 2;                      // a pipe takes what fits in its last page
        else if (!wait_for(fd, POLLOUT, 20)) return total; // TCP may still be on its way to the peer
    }
}

// Reads what is there from a non-blocking descriptor.
inline std::string take(int fd) {
    std::string data(64 * kib, 0), all;
    for (;;) {
        ssize_t n = ::read(fd, data.data(), data.size());
        if (n <= 0) return all;
        all.append(data.data(), size_t(n));
    }
}

// Hands a descriptor to the runtime.
inline zyntax_io *adopt(zyntax_runtime *rt, Fd &fd) {
    zyntax_io *io = nullptr;
    REQUIRE(zyntax_io_open(rt, fd, &io) == 0);
    REQUIRE(io != nullptr);
    fd.release();
    return io;
}

// A task that is cancelled when its object goes.
struct ScopedTask : Task {
    zyntax_runtime *runtime;

    explicit ScopedTask(zyntax_runtime *rt) : Task{}, runtime(rt) {}
    ~ScopedTask() {
        zyntax_task_cancel(handle);
        for (int round = 0; round < 100 && alive(); round++) zyntax_runtime_turn(runtime, 0);
    }
    ScopedTask(const ScopedTask &) = delete;
    ScopedTask &operator=(const ScopedTask &) = delete;
    void start() { REQUIRE(spawn(runtime) != nullptr); }
};

using Operation = std::function<PollStatus(zyntax_op *, Waker *, int64_t *)>;

// A task that awaits one operation and then ends.
struct Await {
    Operation operation;
    int64_t result = unfinished;
    ScopedTask task;

    Await(zyntax_runtime *rt, Operation o) : operation(std::move(o)), task(rt) {
        task.on_poll = [this](Waker *waker) {
            PollStatus status = operation(&task.op, waker, &result);
            if (status == POLL_READY) CHECK(task.op == 0);
            return status;
        };
        task.start();
    }

    bool alive() const { return task.alive(); }
    void cancel() { zyntax_task_cancel(task.handle); }
};

// Runs one operation in a task of its own to its end; `unfinished` if it does not end in time.
inline int64_t await(Runtime &rt, Operation operation, int64_t limit_ms = deadline_ms) {
    Await a(rt, std::move(operation));
    rt.drive_until([&] { return !a.alive(); }, limit_ms);
    return a.result;
}

// Turns until every task that is ready has been polled and waits for something.
inline void settle(Runtime &rt) {
    for (int round = 0; round < 5; round++) zyntax_runtime_turn(rt, 0);
}

inline Operation reading(zyntax_io *io, void *buf, size_t len) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_io_read(io, op, buf, len, waker, result); };
}
inline Operation writing(zyntax_io *io, const void *buf, size_t len) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_io_write(io, op, buf, len, waker, result); };
}
inline Operation readiness(zyntax_io *io, uint32_t interest) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_io_ready(io, op, interest, waker, result); };
}
inline Operation accepting(zyntax_io *listener, zyntax_io **out) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_tcp_accept(listener, op, waker, out, result);
    };
}
inline Operation connecting(zyntax_runtime *rt, const char *host, uint16_t port, zyntax_io **out) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_tcp_connect(rt, op, host, port, waker, out, result);
    };
}
inline Operation sleeping(zyntax_runtime *rt, uint64_t duration_ns) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        PollStatus status = zyntax_sleep(rt, op, duration_ns, waker);
        if (status == POLL_READY) *result = 0;
        return status;
    };
}

// A task that reads until `want` bytes, the end of the stream or an error have come.
struct Reader {
    zyntax_io *io;
    size_t want;
    std::string block;
    std::string data;
    int64_t last = unfinished; // what the last read returned
    int reads = 0;
    ScopedTask task;

    Reader(zyntax_runtime *rt, zyntax_io *handle, size_t bytes = SIZE_MAX, size_t block_size = 4 * kib)
        : io(handle), want(bytes), block(block_size, 0), task(rt) {
        task.on_poll = [this](Waker *waker) { return run(waker); };
        task.start();
    }
    PollStatus run(Waker *waker) {
        while (data.size() < want) {
            size_t len = std::min(block.size(), want - data.size());
            if (zyntax_io_read(io, &task.op, block.data(), len, waker, &last) == POLL_PENDING) return POLL_PENDING;
            if (last <= 0) return POLL_READY;
            data.append(block.data(), size_t(last));
            reads++;
        }
        return POLL_READY;
    }
    bool alive() const { return task.alive(); }
};

// A task that writes everything or ends with an error.
struct Writer {
    zyntax_io *io;
    std::string data;
    size_t written = 0;
    int64_t last = unfinished; // what the last write returned
    ScopedTask task;

    Writer(zyntax_runtime *rt, zyntax_io *handle, std::string text) : io(handle), data(std::move(text)), task(rt) {
        task.on_poll = [this](Waker *waker) { return run(waker); };
        task.start();
    }
    PollStatus run(Waker *waker) {
        while (written < data.size()) {
            size_t left = data.size() - written;
            if (zyntax_io_write(io, &task.op, data.data() + written, left, waker, &last) == POLL_PENDING)
                return POLL_PENDING;
            if (last < 0) return POLL_READY;
            written += size_t(last);
        }
        return POLL_READY;
    }
    bool alive() const { return task.alive(); }
};

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

// The number that the next descriptor will get.
inline int lowest_free_fd() {
    Fd probe(open("/dev/null", O_RDONLY | O_CLOEXEC));
    return probe;
}

// While it lives the process can open `spare` more descriptors; with 0 none.
struct FewDescriptors : ResourceLimit {
    explicit FewDescriptors(int spare = 0) : ResourceLimit(RLIMIT_NOFILE, rlim_t(lowest_free_fd() + spare)) {}
};

// Raises the limit of descriptors as far as it goes while it lives.
struct ManyDescriptors : ResourceLimit {
    ManyDescriptors() : ResourceLimit(RLIMIT_NOFILE, most()) {}
    static rlim_t most() {
        rlimit limit{};
        REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        return limit.rlim_max;
    }
};

// Waits for other threads without driving a runtime; false when deadline_ms have passed.
template <class Predicate> bool eventually(Predicate done, int64_t limit_ms = deadline_ms) {
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (!done()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// Holds threads back until it is opened, deadline_ms at most.
class Gate {
    std::mutex mutex_;
    std::condition_variable opened_;
    bool open_ = false;

public:
    bool pass() {
        std::unique_lock lock(mutex_);
        return opened_.wait_for(lock, std::chrono::milliseconds(deadline_ms), [this] { return open_; });
    }
    void open() {
        std::lock_guard lock(mutex_);
        open_ = true;
        opened_.notify_all();
    }
};

} // namespace support
