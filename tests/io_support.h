// Shared by the tests of real I/O: raw peers, and tasks that read and write.
#pragma once

#include "await_support.h"

#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

namespace support {

// A pipe whose reading end is near.
inline Pair pipe_to_runtime() {
    Descriptor fds[2];
    make_pipe(fds);
    make_nonblocking(fds[1]);
    return {Fd(fds[0]), Fd(fds[1])};
}

// A pipe whose writing end is near.
inline Pair pipe_from_runtime() {
    Descriptor fds[2];
    make_pipe(fds);
    make_nonblocking(fds[0]);
    return {Fd(fds[1]), Fd(fds[0])};
}

// The program's end of a terminal is near.
inline Pair terminal() {
    Descriptor fds[2];
    make_terminal(fds);
    make_nonblocking(fds[1]);
    return {Fd(fds[0]), Fd(fds[1])};
}

// The file that a descriptor of a terminal names, opened on its own.
inline Fd opened_again(Descriptor fd) { return Fd(open_terminal_again(fd)); }

template <class Value> void set_option(Descriptor fd, int level, int name, Value value) {
    REQUIRE(setsockopt(fd, level, name, reinterpret_cast<const char *>(&value), sizeof value) == 0);
}
inline int get_option(Descriptor fd, int level, int name) {
    int value = 0;
    socklen_t length = sizeof value;
    REQUIRE(getsockopt(fd, level, name, reinterpret_cast<char *>(&value), &length) == 0);
    return value;
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

inline uint16_t port_of(Descriptor fd) {
    sockaddr_in6 address{};
    socklen_t length = sizeof address;
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length) == 0);
    return ntohs(address.sin6_port); // at the same place as sin_port
}

// A plain socket bound to a free port, which listens if backlog >= 0.
inline Fd plain_listener(int backlog, int family = AF_INET) {
    Fd fd(make_socket(family, SOCK_STREAM));
    Address address = loopback(0, family);
    REQUIRE(bind(fd, address.raw(), address.length) == 0);
    if (backlog >= 0) REQUIRE(listen(fd, backlog) == 0);
    return fd;
}

// A plain, non-blocking client whose connection is at least under way.
inline Fd plain_client(uint16_t port, int family = AF_INET) {
    Fd fd(make_socket(family, SOCK_STREAM));
    make_nonblocking(fd);
    Address address = loopback(port, family);
    int failed = connect(fd, address.raw(), address.length);
    REQUIRE((failed == 0 || connect_began()));
    return fd;
}

inline bool has_ipv6() {
    Descriptor fd = make_socket(AF_INET6, SOCK_STREAM);
    if (fd < 0) return false;
    Fd closing(fd);
    Address address = loopback(0, AF_INET6);
    return bind(fd, address.raw(), address.length) == 0;
}

// A listener that does not answer: its queue is full.
struct SilentListener {
    Fd fd = plain_listener(0);
    std::deque<Fd> queued;
    SilentListener() {
        for (int tries = 0; tries < 10; tries++) {
            queued.push_back(plain_client(port_of(fd)));
            if (!wait_for(queued.back(), POLLOUT, 100)) return;
        }
        FAIL("the queue of a listener does not fill up");
    }
};

// Two connected TCP sockets.
inline Pair tcp_pair() {
    Fd listener = plain_listener(1);
    Fd far = plain_client(port_of(listener));
    REQUIRE(wait_for(listener, POLLIN));
    Fd near(accept_from(listener));
    REQUIRE(wait_for(far, POLLOUT));
    return {std::move(near), std::move(far)};
}

// One of each kind of stream that the runtime can read from, or write to.
using MakePair = Pair (*)();
inline std::vector<MakePair> pairs_to_runtime() {
    std::vector<MakePair> all{[] { return socket_pair(); }, tcp_pair};
    if (has_pipes) all.push_back(pipe_to_runtime);
    return all;
}
inline std::vector<MakePair> pairs_from_runtime() {
    std::vector<MakePair> all{[] { return socket_pair(); }, tcp_pair};
    if (has_pipes) all.push_back(pipe_from_runtime);
    return all;
}

// Closes a TCP socket so that the peer sees a reset.
inline void reset_connection(Fd &fd) {
    set_option(fd, SOL_SOCKET, SO_LINGER, linger{1, 0});
    fd.reset();
}

// A task that reads until `want` bytes, the end of the stream or an error have come.
struct Reader {
    zyntax_io *io;
    size_t want;
    std::string block;
    std::string data;
    int64_t last = unfinished; // the result of the last read
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
    int64_t last = unfinished; // the result of the last write
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

} // namespace support
