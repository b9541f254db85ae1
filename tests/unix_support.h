// Shared by the tests of Unix-domain sockets: names, plain sockets as peers, and plain passed descriptors.
#pragma once

#include "io_support.h"

#include <filesystem>
#include <string>
#include <vector>

#if __has_include(<sys/un.h>)
#include <sys/stat.h>
#include <sys/un.h>
#endif

namespace support {

#if __has_include(<sys/un.h>)

constexpr size_t longest_path = sizeof sockaddr_un::sun_path;
#ifdef __linux__
constexpr bool has_abstract_names = true;
constexpr bool full_queues_wait = true;
#else
constexpr bool has_abstract_names = false;
constexpr bool full_queues_wait = false;
#endif

// The address of a path, or of an abstract name, which begins with a NUL.
inline Address unix_address(const std::string &name) {
    Address address;
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    REQUIRE(name.size() <= sizeof un.sun_path);
    std::memcpy(un.sun_path, name.data(), name.size());
    address.length = socklen_t(offsetof(sockaddr_un, sun_path) + name.size());
    std::memcpy(&address.storage, &un, sizeof un);
    return address;
}

// Bound, and listening if backlog >= 0.
inline Fd plain_unix_listener(const std::string &name, int backlog, int type = SOCK_STREAM) {
    Fd fd(make_socket(AF_UNIX, type));
    Address address = unix_address(name);
    REQUIRE(bind(fd, address.raw(), address.length) == 0);
    if (backlog >= 0) REQUIRE(listen(fd, backlog) == 0);
    return fd;
}

// A non-blocking client; false if the queue is full.
inline bool connect_plainly(const std::string &name, Fd *client) {
    Fd fd(make_socket(AF_UNIX, SOCK_STREAM));
    make_nonblocking(fd);
    Address address = unix_address(name);
    bool connected = connect(fd, address.raw(), address.length) == 0;
    if (connected) *client = std::move(fd);
    return connected;
}

// Sends a text that has descriptors with it.
inline void send_descriptors(Descriptor over, const std::string &text, const std::vector<Descriptor> &fds) {
    iovec bytes{const_cast<char *>(text.data()), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = decltype(message.msg_controllen)(CMSG_SPACE(fds.size() * sizeof(int)));
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = decltype(header->cmsg_len)(CMSG_LEN(fds.size() * sizeof(int)));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
    REQUIRE(sendmsg(over, &message, 0) == ssize_t(text.size()));
}

// Receives a text, and the only descriptor that came with it.
inline std::string receive_plainly(Descriptor from, Fd *fd) {
    char text[64];
    iovec bytes{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    REQUIRE(wait_for(from, POLLIN));
    ssize_t n = recvmsg(from, &message, 0);
    REQUIRE(n >= 0);
    if (cmsghdr *header = CMSG_FIRSTHDR(&message)) {
        int number;
        std::memcpy(&number, CMSG_DATA(header), sizeof number);
        fd->reset(private_to_us(number));
    }
    return std::string(text, size_t(n));
}

inline bool is_same_file(Descriptor a, Descriptor b) {
    struct stat one, other;
    REQUIRE(fstat(a, &one) == 0);
    REQUIRE(fstat(b, &other) == 0);
    return one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

inline bool is_socket_file(const std::string &path) {
    struct stat info;
    return lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

inline bool is_privileged() { return geteuid() == 0; }

// Each message names its sender.
inline void ask_for_credentials([[maybe_unused]] Descriptor fd) {
#ifdef SO_PASSCRED
    set_option(fd, SOL_SOCKET, SO_PASSCRED, 1);
#endif
}

// A folder that is removed with its files.
struct Folder {
    std::string path;
    Folder() {
        char name[] = "/tmp/zyntax-unix-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        path = name;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    std::string file(const std::string &name) const { return path + "/" + name; }
};

#else

constexpr size_t longest_path = 108;
constexpr bool has_abstract_names = false, full_queues_wait = false;
inline Fd plain_unix_listener(const std::string &, int, int = SOCK_STREAM) { return {}; }
inline bool connect_plainly(const std::string &, Fd *) { return false; }
inline void send_descriptors(Descriptor, const std::string &, const std::vector<Descriptor> &) {}
inline std::string receive_plainly(Descriptor, Fd *) { return {}; }
inline bool is_same_file(Descriptor, Descriptor) { return false; }
inline bool is_socket_file(const std::string &) { return false; }
inline bool is_privileged() { return false; }
inline void ask_for_credentials(Descriptor) {}
struct Folder {
    std::string path;
    std::string file(const std::string &name) const { return name; }
};

#endif

#define NEEDS_UNIX_SOCKETS SKIP_WHEN(!has_local_sockets, "this system has no Unix-domain sockets, or not all of them")

inline Operation unix_connecting(zyntax_runtime *rt, const std::string &name, zyntax_io **out) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_unix_connect(rt, op, name.data(), name.size(), waker, out, result);
    };
}
inline Operation sending(zyntax_io *io, intptr_t fd) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_unix_send_fd(io, op, fd, waker, result); };
}
inline Operation receiving(zyntax_io *io, intptr_t *fd) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_unix_recv_fd(io, op, fd, waker, result); };
}

// A runtime with the tests' calls on Unix sockets.
struct UnixRuntime : Runtime {
    zyntax_io *out = nullptr;

    using Runtime::Runtime;
    int32_t listen(const std::string &name) { return zyntax_unix_listen(rt, name.data(), name.size(), &out); }
    int64_t connect(const std::string &name) { return await(*this, unix_connecting(rt, name, &out)); }
    // A listener, both ends of a connection, or a pair, which must succeed.
    zyntax_io *listener(const std::string &name) {
        REQUIRE(listen(name) == 0);
        return out;
    }
    zyntax_io *client(const std::string &name) {
        REQUIRE(connect(name) == 0);
        return out;
    }
    zyntax_io *accept(zyntax_io *from) {
        zyntax_io *made = nullptr;
        REQUIRE(await(*this, accepting(from, &made)) == 0);
        return made;
    }
    std::pair<zyntax_io *, zyntax_io *> pair() {
        zyntax_io *one = nullptr, *other = nullptr;
        REQUIRE(zyntax_unix_pair(rt, &one, &other) == 0);
        return {one, other};
    }
    Descriptor fd(zyntax_io *io) const { return Descriptor(zyntax_io_fd(io)); }
    void talk(zyntax_io *from, zyntax_io *to) {
        char buf[8] = {};
        CHECK(await(*this, writing(from, "ping", 4)) == 4);
        CHECK(await(*this, reading(to, buf, sizeof buf)) == 4);
        CHECK(std::string(buf) == "ping");
    }
    void talk_through(zyntax_io *listener, const std::string &name) {
        zyntax_io *near = client(name);
        talk(near, accept(listener));
    }
};

} // namespace support
