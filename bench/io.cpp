// A 64-byte message there and back over a socket pair, both ends in one loop.
#include "executors.h"
#include "linux.h"

#include <cerrno>
#include <sys/socket.h>

namespace bench {

namespace {

constexpr size_t message_bytes = 64;
constexpr size_t buffer_bytes = 256; // longer than a message: a short read means an empty buffer

struct SocketPair {
    Fd ends[2];

    SocketPair() {
        int fds[2];
        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0, "make a socket pair");
        for (int i = 0; i < 2; i++) ends[i] = Fd(fds[i]);
    }
};

class RoundTripOnRuntime : public Side {
public:
    Measurement run(uint64_t ops) override {
        SocketPair pair;
        for (int i = 0; i < 2; i++) {
            zyntax_io *io = nullptr;
            expect(zyntax_io_open(executor.rt, pair.ends[i].release(), &io) == 0, "register a socket");
            peers[i] = {io, 0, i == 0 ? ops : 0, i == 0, {}};
        }
        double waits_before = static_cast<double>(executor.stats().kernel_waits);
        uint64_t start = cpu_ns();
        executor.spawn(&peers[0], ask);
        executor.spawn(&peers[1], answer);
        executor.run();
        double value = static_cast<double>(cpu_ns() - start) / static_cast<double>(ops);
        double waits = static_cast<double>(executor.stats().kernel_waits) - waits_before;
        return {value, {waits / static_cast<double>(ops)}};
    }

private:
    struct Peer {
        zyntax_io *io;
        zyntax_op op;
        uint64_t left;
        bool sending;
        char buffer[buffer_bytes];
    };

    static PollStatus ask(FutureState state, Waker *waker) {
        auto *self = static_cast<Peer *>(state);
        int64_t result = 0;
        for (;; self->sending = !self->sending) {
            if (self->sending) {
                if (zyntax_io_write(self->io, &self->op, self->buffer, message_bytes, waker, &result) == POLL_PENDING) {
                    return POLL_PENDING;
                }
                expect(result == message_bytes, "send a message");
                continue;
            }
            if (zyntax_io_read(self->io, &self->op, self->buffer, buffer_bytes, waker, &result) == POLL_PENDING) {
                return POLL_PENDING;
            }
            expect(result == message_bytes, "receive an answer");
            if (--self->left == 0) {
                expect(zyntax_io_close(self->io) == 0, "close a socket");
                return POLL_READY;
            }
        }
    }

    static PollStatus answer(FutureState state, Waker *waker) {
        auto *self = static_cast<Peer *>(state);
        int64_t result = 0;
        for (;; self->sending = !self->sending) {
            if (self->sending) {
                if (zyntax_io_write(self->io, &self->op, self->buffer, message_bytes, waker, &result) == POLL_PENDING) {
                    return POLL_PENDING;
                }
                expect(result == message_bytes, "send an answer");
                continue;
            }
            if (zyntax_io_read(self->io, &self->op, self->buffer, buffer_bytes, waker, &result) == POLL_PENDING) {
                return POLL_PENDING;
            }
            if (result == 0) {
                expect(zyntax_io_close(self->io) == 0, "close a socket");
                return POLL_READY;
            }
            expect(result == message_bytes, "receive a message");
        }
    }

    OnRuntime executor;
    Peer peers[2];
};

class RoundTripOnEpoll : public Side {
public:
    Measurement run(uint64_t ops) override {
        SocketPair pair;
        for (Fd &end : pair.ends) watch(epoll, end, EPOLLIN | EPOLLRDHUP | EPOLLET, &end);
        uint64_t waits = 0;
        uint64_t start = cpu_ns();
        send_message(pair.ends[0]);
        for (uint64_t left = ops; left != 0;) {
            epoll_event ready[64];
            int count = epoll_wait(epoll.get(), ready, 64, -1);
            expect(count > 0, "wait for an event");
            waits++;
            for (int i = 0; i < count; i++) {
                auto *end = static_cast<Fd *>(ready[i].data.ptr);
                if (!receive_message(*end)) continue;
                if (end == &pair.ends[0] && --left == 0) break;
                send_message(*end);
            }
        }
        double value = static_cast<double>(cpu_ns() - start) / static_cast<double>(ops);
        return {value, {static_cast<double>(waits) / static_cast<double>(ops)}};
    }

private:
    void send_message(const Fd &fd) {
        expect(send(fd.get(), buffer, message_bytes, MSG_NOSIGNAL) == ssize_t(message_bytes), "send a message");
    }

    bool receive_message(const Fd &fd) {
        ssize_t got = recv(fd.get(), buffer, buffer_bytes, 0);
        if (got < 0 && errno == EAGAIN) return false;
        expect(got == ssize_t(message_bytes), "receive a message");
        return true;
    }

    Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
    char buffer[buffer_bytes] = {};
};

} // namespace

void add_io(std::vector<Workload> &all) {
    all.push_back({"socketpair",
                   "64 bytes there and back over a socket pair, two tasks; per round trip",
                   20'000,
                   5'000,
                   make<RoundTripOnRuntime>,
                   make<RoundTripOnEpoll>,
                   "ns",
                   {"kernel waits"}});
}

} // namespace bench
