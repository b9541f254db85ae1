// The floor: echo and HTTP on a bare epoll loop. A socket is registered once, edge-triggered. A read that does not fill
// the buffer has emptied the socket. So a request costs one recv, one send and its share of an epoll_wait.
#include "peer.h"

#include <sys/epoll.h>

namespace {

struct Connection {
    int fd;
    unsigned matched; // see http_requests
    Reply reply;
    size_t sent;
    char buffer[BUFFER_SIZE];
};

void watch(int epoll, int fd, uint32_t events, Connection *connection) {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.ptr = connection;
    expect(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "register with epoll");
}

void accept_all(int epoll, int listener) {
    for (;;) {
        int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN) return;
        expect(fd >= 0, "accept a connection");
        set_nodelay(fd);
        auto *connection = static_cast<Connection *>(malloc(sizeof(Connection)));
        expect(connection != nullptr, "allocate memory");
        connection->fd = fd;
        connection->matched = 0;
        connection->reply.size = 0;
        connection->sent = 0;
        watch(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, connection);
    }
}

enum class Sending { done, waits, failed };

Sending send_reply(Connection &connection) {
    const Reply &reply = connection.reply;
    while (connection.sent < reply.size) {
        ssize_t n = send(connection.fd, reply.bytes + connection.sent, reply.size - connection.sent, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN ? Sending::waits : Sending::failed;
        connection.sent += static_cast<size_t>(n);
    }
    return Sending::done;
}

// Serves the received requests. Returns false at the end of the stream and after an error.
bool serve_connection(Connection &connection, bool ending, bool http) {
    for (bool drained = false;;) {
        Sending sending = send_reply(connection);
        if (sending != Sending::done) return sending == Sending::waits;
        if (drained) return true;
        ssize_t n = recv(connection.fd, connection.buffer, BUFFER_SIZE, 0);
        if (n < 0 && errno == EAGAIN) return true;
        if (n <= 0) return false;
        connection.reply = reply_to(connection.buffer, static_cast<size_t>(n), http, &connection.matched);
        connection.sent = 0;
        drained = n < BUFFER_SIZE && !ending;
    }
}

void serve(bool http) {
    constexpr uint32_t ends = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    expect(epoll >= 0, "create an epoll descriptor");
    int listener = listen_on_loopback();
    watch(epoll, listener, EPOLLIN, nullptr);
    print_port_of(listener);
    for (;;) {
        epoll_event ready[256];
        int count = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < count; i++) {
            auto *connection = static_cast<Connection *>(ready[i].data.ptr);
            if (connection == nullptr) {
                accept_all(epoll, listener);
            } else if (!serve_connection(*connection, ready[i].events & ends, http)) {
                close(connection->fd);
                free(connection);
            }
        }
    }
}

} // namespace

int main(int argc, char **argv) { return peer_main(argc, argv, "epoll", nullptr, 0, serve); }
