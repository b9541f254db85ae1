/* libev: callbacks of watchers. There are no tasks. The program itself calls read and write. yield_1 is an idle
 * watcher, which is called once in each iteration of the loop. A watcher wakes another watcher with ev_feed_event. */
#include "peer.h"

#include <ev.h>
#include <pthread.h>

static struct ev_loop *default_loop(void) {
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    expect(loop != NULL, "make a loop");
    return loop;
}

/* ---- yield and ping-pong ---- */

static uint64_t yields_left;

static void on_idle(struct ev_loop *loop, ev_idle *idle, int events) {
    if (--yields_left == 0) ev_idle_stop(loop, idle);
}

static double yield_1(uint64_t ops, size_t n) {
    ev_idle idle;
    yields_left = ops;
    ev_idle_init(&idle, on_idle);
    uint64_t start = cpu_ns();
    ev_idle_start(default_loop(), &idle);
    ev_run(default_loop(), 0);
    return per_op(cpu_ns() - start, ops);
}

typedef struct Pinger {
    ev_prepare watcher; /* never started: events are fed to it */
    struct Pinger *other;
    uint64_t left;
} Pinger;

static void on_ping(struct ev_loop *loop, ev_prepare *watcher, int events) {
    Pinger *pinger = (Pinger *)watcher;
    if (pinger->left-- > 0) ev_feed_event(loop, &pinger->other->watcher, EV_CUSTOM);
}

static double ping_pong(uint64_t ops, size_t n) {
    Pinger pingers[2];
    uint64_t each = divide_up(ops, 2);
    for (int i = 0; i < 2; i++) {
        ev_prepare_init(&pingers[i].watcher, on_ping);
        pingers[i].other = &pingers[1 - i];
        pingers[i].left = each;
    }
    uint64_t start = cpu_ns();
    ev_feed_event(default_loop(), &pingers[0].watcher, EV_CUSTOM);
    ev_run(default_loop(), 0);
    uint64_t elapsed = cpu_ns() - start;
    expect(pingers[1].left == 0, "end both pingers");
    return per_op(elapsed, each * 2);
}

/* ---- timers ---- */

static uint64_t timers_fired;

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events) { timers_fired++; }

static ev_timer *make_timers(uint64_t count, uint64_t *delays_ns) {
    ev_timer *timers = allocate(count, sizeof *timers);
    for (uint64_t i = 0; i < count; i++) ev_timer_init(&timers[i], on_timer, (double)delays_ns[i] / 1e9, 0);
    free(delays_ns);
    ev_now_update(default_loop());
    return timers;
}

static double timer_cancel(uint64_t ops, size_t n) {
    struct ev_loop *loop = default_loop();
    ev_timer *timers = make_timers(ops, far_delays(ops));
    uint32_t *order = random_order(ops);
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) ev_timer_start(loop, &timers[i]);
    for (uint64_t i = 0; i < ops; i++) ev_timer_stop(loop, &timers[order[i]]);
    uint64_t elapsed = cpu_ns() - start;
    free(timers);
    free(order);
    return per_op(elapsed, ops);
}

static double timer_fire(uint64_t ops, size_t n) {
    struct ev_loop *loop = default_loop();
    ev_timer *timers = make_timers(ops, near_delays(ops));
    timers_fired = 0;
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) ev_timer_start(loop, &timers[i]);
    ev_run(loop, 0);
    uint64_t elapsed = cpu_ns() - start;
    expect(timers_fired == ops, "fire every timer");
    free(timers);
    return per_op(elapsed, ops);
}

/* ---- socketpair ---- */

typedef struct End {
    ev_io io;
    uint64_t left; /* round trips of the requesting end */
    bool asks;
    char buffer[MESSAGE_BUFFER];
} End;

static void send_message(End *end) {
    expect(write(end->io.fd, end->buffer, MESSAGE_SIZE) == MESSAGE_SIZE, "send a message");
}

static void on_message(struct ev_loop *loop, ev_io *io, int events) {
    End *end = (End *)io;
    ssize_t size = read(io->fd, end->buffer, sizeof end->buffer);
    if (size < 0 && errno == EAGAIN) return;
    if (size == 0 || (end->asks && --end->left == 0)) {
        ev_io_stop(loop, io);
        close(io->fd);
        return;
    }
    expect(size == MESSAGE_SIZE, "receive a message");
    send_message(end);
}

static double socket_pair(uint64_t ops, size_t n) {
    static End ends[2];
    int sockets[2];
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) == 0, "make a socket pair");
    for (int i = 0; i < 2; i++) {
        ends[i].left = ops;
        ends[i].asks = i == 0;
        ev_io_init(&ends[i].io, on_message, sockets[i], EV_READ);
    }
    uint64_t start = cpu_ns();
    for (int i = 0; i < 2; i++) ev_io_start(default_loop(), &ends[i].io);
    send_message(&ends[0]);
    ev_run(default_loop(), 0);
    return per_op(cpu_ns() - start, ops);
}

/* ---- wake_asleep ---- */

typedef struct Player {
    ev_async async;
    struct ev_loop *loop;
    struct Player *other;
    uint64_t left; /* wakes to receive */
    bool begins;
} Player;

static void on_wake(struct ev_loop *loop, ev_async *async, int events) {
    Player *player = (Player *)async;
    player->left--;
    if (player->left > 0 || !player->begins) ev_async_send(player->other->loop, &player->other->async);
    if (player->left == 0) ev_async_stop(loop, async);
}

static void *run_player(void *player) {
    ev_run(((Player *)player)->loop, 0);
    return NULL;
}

static double wake_asleep(uint64_t ops, size_t n) {
    static Player players[2];
    pthread_t thread;
    for (int i = 0; i < 2; i++) {
        players[i].loop = ev_loop_new(EVFLAG_AUTO);
        expect(players[i].loop != NULL, "make a loop");
        players[i].other = &players[1 - i];
        players[i].left = ops;
        players[i].begins = i == 0;
        ev_async_init(&players[i].async, on_wake);
        ev_async_start(players[i].loop, &players[i].async);
    }
    expect(pthread_create(&thread, NULL, run_player, &players[1]) == 0, "start a thread");
    uint64_t start = wall_ns();
    ev_async_send(players[1].loop, &players[1].async);
    run_player(&players[0]);
    uint64_t elapsed = wall_ns() - start;
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) ev_loop_destroy(players[i].loop);
    return per_op(elapsed, ops);
}

/* ---- create_destroy: a loop has its eventfd from the first async watcher on ---- */

static double create_destroy(uint64_t ops, size_t n) {
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) {
        ev_async async;
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        expect(loop != NULL, "make a loop");
        ev_async_init(&async, on_wake);
        ev_async_start(loop, &async);
        ev_async_stop(loop, &async);
        ev_loop_destroy(loop);
    }
    return per_op(cpu_ns() - start, ops);
}

/* ---- echo and HTTP ---- */

typedef struct Connection {
    ev_io io;         /* waits for bytes to read, or for room to write */
    unsigned matched; /* see http_requests */
    Reply reply;
    size_t sent;
    char buffer[BUFFER_SIZE];
} Connection;

static bool is_http;

static void wait_for(struct ev_loop *loop, ev_io *io, int events) {
    ev_io_stop(loop, io);
    ev_io_set(io, io->fd, events);
    ev_io_start(loop, io);
}

static void close_connection(struct ev_loop *loop, Connection *connection) {
    ev_io_stop(loop, &connection->io);
    close(connection->io.fd);
    free(connection);
}

static void send_reply(struct ev_loop *loop, Connection *connection, int awaited) {
    const Reply *reply = &connection->reply;
    while (connection->sent < reply->size) {
        ssize_t size = write(connection->io.fd, reply->bytes + connection->sent, reply->size - connection->sent);
        if (size < 0 && errno == EAGAIN) {
            if (awaited == EV_READ) wait_for(loop, &connection->io, EV_WRITE);
            return;
        }
        if (size < 0) {
            close_connection(loop, connection);
            return;
        }
        connection->sent += (size_t)size;
    }
    if (awaited == EV_WRITE) wait_for(loop, &connection->io, EV_READ);
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events) {
    Connection *connection = (Connection *)io;
    if (events & EV_WRITE) {
        send_reply(loop, connection, EV_WRITE);
        return;
    }
    ssize_t size = read(io->fd, connection->buffer, sizeof connection->buffer);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        close_connection(loop, connection);
        return;
    }
    connection->reply = reply_to(connection->buffer, (size_t)size, is_http, &connection->matched);
    connection->sent = 0;
    send_reply(loop, connection, EV_READ);
}

static void on_connection(struct ev_loop *loop, ev_io *listener, int events) {
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN) return;
        expect(fd >= 0, "accept a connection");
        set_nodelay(fd);
        Connection *connection = allocate(1, sizeof *connection);
        ev_io_init(&connection->io, on_ready, fd, EV_READ);
        ev_io_start(loop, &connection->io);
    }
}

static void serve(bool http) {
    ev_io listener;
    is_http = http;
    ev_io_init(&listener, on_connection, listen_on_loopback(), EV_READ);
    ev_io_start(default_loop(), &listener);
    print_port_of(listener.fd);
    ev_run(default_loop(), 0);
}

int main(int argc, char **argv) {
    static const Workload workloads[] = {
        {"yield_1", yield_1, 0},
        {"ping_pong", ping_pong, 0},
        {"timer_cancel", timer_cancel, 0},
        {"timer_fire", timer_fire, 0},
        {"socketpair", socket_pair, 0},
        {"wake_asleep", wake_asleep, 0},
        {"create_destroy", create_destroy, 0},
    };
    char version[64];
    snprintf(version, sizeof version, "libev %d.%d", ev_version_major(), ev_version_minor());
    return peer_main(argc, argv, version, workloads, sizeof workloads / sizeof *workloads, serve);
}
