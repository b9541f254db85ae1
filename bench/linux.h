// Shared by the floors that call Linux.
#pragma once

#include "harness.h"

#include <sys/epoll.h>
#include <unistd.h>
#include <utility>

namespace bench {

// A descriptor that is closed at the end.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd(fd) { expect(fd >= 0, "open a descriptor"); }
    Fd(Fd &&other) noexcept : fd(std::exchange(other.fd, -1)) {}
    Fd &operator=(Fd &&other) noexcept {
        std::swap(fd, other.fd);
        return *this;
    }
    ~Fd() {
        if (fd >= 0) close(fd);
    }
    int get() const { return fd; }
    int release() { return std::exchange(fd, -1); }

private:
    int fd = -1;
};

inline void watch(const Fd &epoll, const Fd &fd, uint32_t events, void *data) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = data;
    expect(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0, "register with epoll");
}

} // namespace bench
