// The real system for random programs over the real poller: socket pairs, TCP on the loopback, real time, and a
// companion thread that wakes, cancels, posts and stops while the loop runs.
#include "outside.h"
#include "zyntax_async_runtime.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>

#include <arpa/inet.h>
#include <csignal>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

namespace random_test {

namespace {

constexpr int max_fds = 1024, max_guests = 64;

struct World {
    Choices *choices;
    bool calm;
    int peers[max_fds];     // of our descriptors, + 1
    int guests[max_guests]; // connections that the world began, and that it accepted
    int next_guest;
    int listener; // the listener of all connects
    uint16_t port;
    int unix_listener; // the same, with a short queue
    int open_at_begin;
    rlim_t most_fds;
    bool refuses;
    uint64_t refused_ns;
    int edges[max_fds]; // epoll descriptors that watch a host's descriptor for edges, + 1
    bool edge_seen[max_fds];
    int next_error; // of the next call for datagrams; 0: none
};
World world;

int count_open() {
    int n = 0;
    for (int fd = 0; fd < max_fds; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

void keep_guest(int fd) {
    if (fd < 0) return;
    int &place = world.guests[world.next_guest++ % max_guests];
    if (place) ::close(place - 1);
    place = fd + 1;
}

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

uint16_t port_of(int fd) {
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size);
    return ntohs(address.sin_port);
}

// An abstract name of this process.
struct UnixName {
    sockaddr_un address = {};
    size_t length; // of the name
    explicit UnixName(uint32_t number) {
        address.sun_family = AF_UNIX;
        length = 1 + size_t(snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "zyntax-random-%d-%u",
                                     int(getpid()), number));
    }
    const sockaddr *raw() const { return reinterpret_cast<const sockaddr *>(&address); }
    socklen_t size() const { return socklen_t(offsetof(sockaddr_un, sun_path) + length); }
};
constexpr uint32_t own_name = 0; // other names are of the program's listeners

int family_of(int fd) {
    sockaddr_storage address = {};
    socklen_t size = sizeof address;
    return getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) == 0 ? address.ss_family : AF_UNSPEC;
}

// Connects to the name of a listener.
int connect_to_unix(int listener) {
    sockaddr_un address = {};
    socklen_t size = sizeof address;
    getsockname(listener, reinterpret_cast<sockaddr *>(&address), &size);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr *>(&address), size) != 0) {
        ::close(fd);
        return -1;
    }
    return fd;
}

int connect_to(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address = loopback(port);
    if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
        ::close(fd);
        return -1;
    }
    return fd;
}

void open_listener() {
    world.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address = loopback(0);
    bind(world.listener, reinterpret_cast<sockaddr *>(&address), sizeof address);
    ::listen(world.listener, 64);
    world.port = port_of(world.listener);
    UnixName name(own_name);
    world.unix_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bind(world.unix_listener, name.raw(), name.size());
    ::listen(world.unix_listener, 0);
}

void take_guests_of(int listener) {
    for (;;) {
        int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        keep_guest(fd);
    }
}
void take_guests() { take_guests_of(world.listener); }

bool make_tcp_pair(int *pair) {
    take_guests();
    pair[0] = connect_to(world.port);
    if (pair[0] < 0) return false;
    pollfd wait = {world.listener, POLLIN, 0};
    poll(&wait, 1, 1000);
    pair[1] = accept4(world.listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (pair[1] >= 0) return true;
    ::close(pair[0]);
    return false;
}

} // namespace

namespace outside {

void begin(Program *, Choices *choices) {
    world = {};
    world.choices = choices;
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    world.most_fds = limit.rlim_cur;
    world.open_at_begin = count_open();
    open_listener();
}

bool end() {
    refuse_descriptors(false);
    for (int &peer : world.peers) {
        if (peer) ::close(peer - 1);
    }
    for (int &guest : world.guests) {
        if (guest) ::close(guest - 1);
    }
    for (int &edges : world.edges) {
        if (edges) ::close(edges - 1);
    }
    ::close(world.listener);
    ::close(world.unix_listener);
#ifdef RANDOM_LIBKQUEUE // it closes its descriptors later, from a thread of its own
    return true;
#else
    return count_open() == world.open_at_begin;
#endif
}

void calm(bool calm) {
    world.calm = calm;
    if (calm) world.next_error = 0;
    if (calm) refuse_descriptors(false);
}

uint64_t now_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return uint64_t(now.tv_sec) * 1'000'000'000 + uint64_t(now.tv_nsec);
}

void pass(uint64_t ns) {
    timespec time = {0, long(ns < 100'000 ? ns : 100'000)};
    nanosleep(&time, nullptr);
}

intptr_t make(uint32_t kind) {
    int pair[2];
    if (kind >= 2) {
        if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
        if (kind % 2) std::swap(pair[0], pair[1]);
    } else if (kind % 2) {
        if (!make_tcp_pair(pair)) return -1;
    } else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return -1;
    }
    if (pair[0] >= max_fds || pair[1] >= max_fds) {
        ::close(pair[0]);
        ::close(pair[1]);
        return -1;
    }
    adopt(pair[0], false);
    world.peers[pair[0]] = pair[1] + 1;
    return pair[0];
}

void answer(uint32_t, bool) {
    take_guests();
    take_guests_of(world.unix_listener);
}

// A number that is used again has no peer of its former descriptor.
void adopt(intptr_t fd, bool) {
    int &peer = world.peers[fd % max_fds];
    if (peer) ::close(peer - 1);
    peer = 0;
}

void close(intptr_t fd) {
    adopt(fd, false);
    ::close(int(fd));
}

void deed(intptr_t fd, Deed what) {
    int peer = world.peers[fd % max_fds] - 1;
    char bytes[4096] = {};
    take_guests();
    if (what == Deed::arrive || what == Deed::arrive_dead) {
        int listens = 0;
        socklen_t size = sizeof listens;
        if (getsockopt(int(fd), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens) return;
        bool is_unix = family_of(int(fd)) == AF_UNIX;
        int guest = is_unix ? connect_to_unix(int(fd)) : connect_to(port_of(int(fd)));
        if (what == Deed::arrive_dead && guest >= 0) {
            linger now = {1, 0};
            setsockopt(guest, SOL_SOCKET, SO_LINGER, &now, sizeof now);
            ::close(guest);
        } else {
            keep_guest(guest);
        }
        return;
    }
    if (peer < 0) return;
    auto before = signal(SIGPIPE, SIG_IGN);
    ssize_t n = 0;
    if (what == Deed::send) n = ::write(peer, bytes, 1);
    else if (what == Deed::send_more) n = ::write(peer, bytes, 5);
    else if (what == Deed::take) n = ::read(peer, bytes, 1);
    else if (what == Deed::take_more) n = ::read(peer, bytes, sizeof bytes);
    else if (what == Deed::end) shutdown(peer, SHUT_WR);
    else if (what == Deed::reset) adopt(fd, false);
    signal(SIGPIPE, before);
    (void)n;
}

bool is_open(intptr_t fd) { return fcntl(int(fd), F_GETFD) >= 0; }

uint32_t readiness(intptr_t fd) {
    pollfd look = {int(fd), POLLIN | POLLOUT | POLLRDHUP, 0};
    if (poll(&look, 1, 0) <= 0) return 0;
    uint32_t ready = look.revents & (POLLIN | POLLRDHUP) ? readable : 0;
    if (look.revents & POLLOUT) ready |= writable;
    return look.revents & (POLLERR | POLLHUP) ? readable | writable : ready;
}
bool has_backlog(intptr_t fd) { return readiness(fd) & readable; }
bool hung_up(intptr_t) { return false; }
uint32_t open_ends() { return 0; }
uint32_t connecting() { return UINT32_MAX; }
uint64_t refused_ns() { return world.refused_ns; }

void refuse_descriptors(bool refuse) {
#ifdef RANDOM_POLL // on Linux poll(2) itself is refused below as many descriptors as it waits for
    refuse = false;
#endif
    if (refuse || world.refuses) world.refused_ns = now_ns();
    world.refuses = refuse;
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = refuse ? 3 : world.most_fds;
    setrlimit(RLIMIT_NOFILE, &limit);
}
void refuse_threads(bool) {}
void fail_next(uint32_t what) {
    constexpr int errors[] = {EINTR, ENOBUFS, ENOMEM, EIO};
    if (!world.calm) world.next_error = errors[what % 4];
}
void run_threads() {
    timespec time = {0, 20'000};
    nanosleep(&time, nullptr);
}

namespace {

constexpr int soon_ms = 8000; // a thread of a loaded machine may rest in the middle of a wake

// A process that is stopped and goes on is interrupted in a wait.
template <class Wait> bool waits_for(bool soon, Wait wait) {
    uint64_t until_ns = outside::now_ns() + uint64_t(soon_ms) * 1'000'000;
    for (;;) {
        int n = wait(soon ? soon_ms : 0);
        if (n >= 0 || errno != EINTR || outside::now_ns() > until_ns) return n > 0;
    }
}

} // namespace

bool host_readable(intptr_t fd, bool soon) {
    pollfd look = {int(fd), POLLIN, 0};
    return waits_for(soon, [&](int limit_ms) { return poll(&look, 1, limit_ms); });
}

bool edge_seen(intptr_t fd, bool soon) {
    if (fd < 0 || fd >= max_fds) return true;
    int &edges = world.edges[fd];
    if (!edges) {
        edges = epoll_create1(EPOLL_CLOEXEC) + 1;
        epoll_event interest = {EPOLLIN | EPOLLET, {}};
        if (!edges || epoll_ctl(edges - 1, EPOLL_CTL_ADD, int(fd), &interest) != 0) return true;
    }
    auto wait = [&](int limit_ms) {
        epoll_event event;
        return epoll_wait(edges - 1, &event, 1, limit_ms);
    };
    if (!world.edge_seen[fd] && waits_for(soon, wait)) world.edge_seen[fd] = true;
    return world.edge_seen[fd];
}

bool edge_taken(intptr_t fd) {
    bool taken = edge_seen(fd, false);
    if (fd >= 0 && fd < max_fds) world.edge_seen[fd] = false;
    return taken;
}

void edge_back(intptr_t fd) {
    if (fd >= 0 && fd < max_fds) world.edge_seen[fd] = true;
}

void edge_over(intptr_t fd) {
    if (fd < 0 || fd >= max_fds || !world.edges[fd]) return;
    ::close(world.edges[fd] - 1);
    world.edges[fd] = 0;
    world.edge_seen[fd] = false;
}

void tell_host(intptr_t fd, void (*tell)(const char *name)) {
    if (fd < 0 || fd >= max_fds) return;
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", int(fd));
    tell(name);
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", world.edges[fd] - 1);
    if (world.edges[fd]) tell(name);
}

intptr_t duplicate(intptr_t fd) {
    int other = fcntl(int(fd), F_DUPFD_CLOEXEC, 0);
    if (other >= max_fds) {
        ::close(other);
        return -1;
    }
    if (other >= 0) adopt(other, false);
    return other;
}

void make_blocking(intptr_t fd) {
    int flags = fcntl(int(fd), F_GETFL);
    if (flags >= 0) fcntl(int(fd), F_SETFL, flags & ~O_NONBLOCK);
}

uint16_t meet(intptr_t fd) {
    int peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in own = loopback(0), its = loopback(port_of(int(fd)));
    bool met = peer >= 0 && peer < max_fds && bind(peer, reinterpret_cast<sockaddr *>(&own), sizeof own) == 0 &&
               connect(peer, reinterpret_cast<sockaddr *>(&its), sizeof its) == 0;
    if (!met && peer >= 0) ::close(peer);
    if (!met || fd >= max_fds) return 0;
    adopt(fd, false);
    world.peers[fd] = peer + 1;
    return port_of(peer);
}

void lose(intptr_t fd) { ::close(int(fd)); }

void be_a_child() {}

const char *host(uint32_t value) { return value % 8 == 0 ? "localhost" : "127.0.0.1"; }
uint16_t port(uint32_t value) { return value % 4 == 3 ? uint16_t(1) : world.port; }

namespace {

// The first and the last have no listener.
struct ManyAddresses {
    zyntax_address list[4] = {{4, 1, 0, {127, 0, 0, 1}},
                              {6, world.port, 0, {}},
                              {4, world.port, 0, {127, 0, 0, 1}},
                              {4, 2, 0, {127, 0, 0, 1}}};
    size_t count;
    uint64_t deadline_ns;
    explicit ManyAddresses(uint32_t value)
        : count(1 + value / 8 % 4), deadline_ns(value / 32 % 2 ? now_ns() + 3'000'000 : UINT64_MAX) {}
};

} // namespace

bool other_connect(zyntax_runtime *runtime, zyntax_op *op, uint32_t value, Waker *waker, zyntax_io **made,
                   int64_t *result, PollStatus *status) {
    if (value % 8 == 2) {
        zyntax_address found[2];
        *status = zyntax_resolve(runtime, op, value / 8 % 2 ? "localhost" : "127.0.0.1", found, 2, waker, result);
        if (*status == POLL_READY && *result > 0) *result = ZYNTAX_ENOTCONN;
        return true;
    }
    if (value % 8 == 4) {
        ManyAddresses to(value);
        *status = zyntax_tcp_connect_to(runtime, op, to.list, to.count, to.deadline_ns, waker, made, result);
        return true;
    }
    if (value % 8 < 5) return false;
    UnixName name(value % 8 - 5); // the world's, or that of the program's first listeners
    *status = zyntax_unix_connect(runtime, op, name.address.sun_path, name.length, waker, made, result);
    return true;
}

zyntax_promise *other_connect_promise(uint32_t value) {
    if (value % 8 == 4) {
        ManyAddresses to(value);
        return zyntax_promise_connect_to(to.list, to.count, to.deadline_ns);
    }
    if (value % 8 < 5) return nullptr;
    UnixName name(value % 8 - 5); // the world's, or that of the program's first listeners
    return zyntax_promise_unix_connect(name.address.sun_path, name.length);
}

bool unix_read(zyntax_io *io, zyntax_op *op, uint32_t value, Waker *waker, int64_t *result, PollStatus *status) {
    if (value != 7) return false;
    intptr_t fd = -1;
    *status = zyntax_unix_recv_fd(io, op, &fd, waker, result);
    if (*status == POLL_READY && *result == 1) ::close(int(fd));
    return true;
}

bool unix_write(zyntax_io *io, zyntax_op *op, uint32_t value, Waker *waker, int64_t *result, PollStatus *status) {
    if (value != 7) return false;
    *status = zyntax_unix_send_fd(io, op, world.listener, waker, result);
    return true;
}

int32_t unix_pair(zyntax_runtime *runtime, zyntax_io **one, zyntax_io **other) {
    return zyntax_unix_pair(runtime, one, other);
}

int32_t unix_listen(zyntax_runtime *runtime, uint32_t value, zyntax_io **io) {
    UnixName name(1 + value);
    return zyntax_unix_listen(runtime, name.address.sun_path, name.length, io);
}

// ---- the companion ----

namespace {

struct Errand {
    void (*act)(void *);
    void *arg;
    static void *run(void *self) {
        Errand errand = *static_cast<Errand *>(self);
        errand.act(errand.arg);
        return nullptr;
    }
};

struct Companion {
    pthread_t thread;
    zyntax_runtime *runtime;
    std::atomic<bool> over;

    static void *run(void *at) {
        auto *self = static_cast<Companion *>(at);
        for (int i = 0; !self->over.load() && i < 10'000; i++) {
            timespec time = {0, 200'000};
            nanosleep(&time, nullptr);
            if (!self->over.load()) zyntax_runtime_stop(self->runtime);
        }
        return nullptr;
    }
};
Companion companion;

} // namespace

void stop_later(zyntax_runtime *runtime) {
    companion.runtime = runtime;
    companion.over = false;
    pthread_create(&companion.thread, nullptr, Companion::run, &companion);
}

void stopped() {
    companion.over = true;
    pthread_join(companion.thread, nullptr);
}

void on_other_thread(void (*act)(void *), void *arg) {
    Errand errand{act, arg};
    pthread_t thread;
    if (pthread_create(&thread, nullptr, Errand::run, &errand) != 0) return;
    pthread_join(thread, nullptr);
}

void *begin_on_other_thread(void (*act)(void *), void *arg) {
    static Errand errand;
    static pthread_t thread;
    errand = {act, arg};
    return pthread_create(&thread, nullptr, Errand::run, &errand) == 0 ? &thread : nullptr;
}

void join_other_thread(void *thread) {
    if (thread) pthread_join(*static_cast<pthread_t *>(thread), nullptr);
}

} // namespace outside

} // namespace random_test

// These functions replace the C library's, so that a call of the library fails when the program says so.
namespace {

bool fails_now() {
    if (!random_test::world.next_error) return false;
    errno = random_test::world.next_error;
    random_test::world.next_error = 0;
    return true;
}

} // namespace

extern "C" ssize_t sendto(int fd, const void *buf, size_t len, int flags, const sockaddr *to, socklen_t size) {
    return fails_now() ? -1 : ssize_t(syscall(SYS_sendto, fd, buf, len, flags, to, size));
}

extern "C" ssize_t recvfrom(int fd, void *__restrict buf, size_t len, int flags, sockaddr *__restrict from,
                            socklen_t *__restrict size) {
    return fails_now() ? -1 : ssize_t(syscall(SYS_recvfrom, fd, buf, len, flags, from, size));
}

// These two functions replace the C library's. Its look-ups open descriptors in a thread of the pool, and a check would
// mistake these for leaked descriptors, or for other descriptors under lost numbers. Every host of a program is this
// machine.
namespace {

struct LookedUp {
    addrinfo info;
    sockaddr_in address;
};

} // namespace

extern "C" int getaddrinfo(const char *host, const char *, const addrinfo *hints, addrinfo **found) {
    bool is_number = std::strcmp(host, "localhost") != 0;
    if (!is_number) {
        if (hints->ai_flags & AI_NUMERICHOST) return EAI_NONAME;
        random_test::outside::pass(50'000);
    }
    auto *answer = new LookedUp{};
    answer->address = random_test::loopback(0);
    answer->info.ai_family = AF_INET;
    answer->info.ai_socktype = SOCK_STREAM;
    answer->info.ai_addr = reinterpret_cast<sockaddr *>(&answer->address);
    answer->info.ai_addrlen = sizeof answer->address;
    *found = &answer->info;
    return 0;
}

extern "C" void freeaddrinfo(addrinfo *found) { delete reinterpret_cast<LookedUp *>(found); }
