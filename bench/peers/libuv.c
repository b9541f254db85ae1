/* libuv: callbacks of handles. There are no tasks. yield_1 is an idle handle, which is called once in each iteration of
 * the loop. A connection writes with uv_try_write. If the socket has no room, uv_write queues the rest. */
#include "peer.h"

#include <uv.h>

static void check(int status, const char *what) {
    if (status < 0) fprintf(stderr, "%s\n", uv_strerror(status)), fail(what);
}

static void run(uv_loop_t *loop) { check(uv_run(loop, UV_RUN_DEFAULT), "run the loop"); }

/* ---- yield ---- */

static uint64_t yields_left;

static void on_idle(uv_idle_t *idle) {
    if (--yields_left == 0) uv_close((uv_handle_t *)idle, NULL);
}

static double yield_1(uint64_t ops, size_t n) {
    uv_idle_t idle;
    yields_left = ops;
    check(uv_idle_init(uv_default_loop(), &idle), "make an idle handle");
    uint64_t start = cpu_ns();
    check(uv_idle_start(&idle, on_idle), "start an idle handle");
    run(uv_default_loop());
    return per_op(cpu_ns() - start, ops);
}

/* ---- timers ---- */

static uint64_t timers_fired;

static void on_timer(uv_timer_t *timer) { timers_fired++; }

static uv_timer_t *make_timers(uint64_t count) {
    uv_timer_t *timers = allocate(count, sizeof *timers);
    for (uint64_t i = 0; i < count; i++) check(uv_timer_init(uv_default_loop(), &timers[i]), "make a timer");
    return timers;
}

static void close_timers(uv_timer_t *timers, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) uv_close((uv_handle_t *)&timers[i], NULL);
    run(uv_default_loop());
    free(timers);
}

static double timer_cancel(uint64_t ops, size_t n) {
    uv_timer_t *timers = make_timers(ops);
    uint64_t *delays = far_delays(ops);
    uint32_t *order = random_order(ops);
    uv_update_time(uv_default_loop());
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) uv_timer_start(&timers[i], on_timer, delays[i] / MS, 0);
    for (uint64_t i = 0; i < ops; i++) uv_timer_stop(&timers[order[i]]);
    uint64_t elapsed = cpu_ns() - start;
    expect(!uv_loop_alive(uv_default_loop()), "cancel every timer");
    close_timers(timers, ops);
    free(delays);
    free(order);
    return per_op(elapsed, ops);
}

static double timer_fire(uint64_t ops, size_t n) {
    uv_timer_t *timers = make_timers(ops);
    uint64_t *delays = near_delays(ops);
    timers_fired = 0;
    uv_update_time(uv_default_loop());
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) uv_timer_start(&timers[i], on_timer, delays[i] / MS, 0);
    run(uv_default_loop());
    uint64_t elapsed = cpu_ns() - start;
    expect(timers_fired == ops, "fire every timer");
    close_timers(timers, ops);
    free(delays);
    return per_op(elapsed, ops);
}

/* ---- socketpair ---- */

typedef struct End {
    uv_pipe_t pipe;
    uint64_t left; /* round trips of the requesting end */
    bool asks;
    char buffer[MESSAGE_BUFFER];
} End;

static void get_message_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    End *end = (End *)handle;
    *buffer = uv_buf_init(end->buffer, sizeof end->buffer);
}

static void send_message(End *end) {
    uv_buf_t message = uv_buf_init(end->buffer, MESSAGE_SIZE);
    expect(uv_try_write((uv_stream_t *)&end->pipe, &message, 1) == MESSAGE_SIZE, "send a message");
}

static void on_message(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
    End *end = (End *)stream;
    if (size == 0) return;
    if (size == UV_EOF || (end->asks && --end->left == 0)) {
        uv_close((uv_handle_t *)stream, NULL);
        return;
    }
    expect(size == MESSAGE_SIZE, "receive a message");
    send_message(end);
}

static double socket_pair(uint64_t ops, size_t n) {
    static End ends[2];
    uv_os_sock_t sockets[2];
    check(uv_socketpair(SOCK_STREAM, 0, sockets, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), "make a socket pair");
    for (int i = 0; i < 2; i++) {
        ends[i].left = ops;
        ends[i].asks = i == 0;
        check(uv_pipe_init(uv_default_loop(), &ends[i].pipe, 0), "make a pipe");
        check(uv_pipe_open(&ends[i].pipe, sockets[i]), "open a pipe");
    }
    uint64_t start = cpu_ns();
    for (int i = 0; i < 2; i++) {
        check(uv_read_start((uv_stream_t *)&ends[i].pipe, get_message_buffer, on_message), "read");
    }
    send_message(&ends[0]);
    run(uv_default_loop());
    return per_op(cpu_ns() - start, ops);
}

/* ---- wake_asleep ---- */

typedef struct Player {
    uv_loop_t loop;
    uv_async_t async;
    struct Player *other;
    uint64_t left; /* wakes to receive */
    bool begins;
} Player;

static void on_wake(uv_async_t *async) {
    Player *player = async->data;
    player->left--;
    if (player->left > 0 || !player->begins) uv_async_send(&player->other->async);
    if (player->left == 0) uv_close((uv_handle_t *)async, NULL);
}

static void run_player(void *player) { run(&((Player *)player)->loop); }

static double wake_asleep(uint64_t ops, size_t n) {
    static Player players[2];
    uv_thread_t thread;
    for (int i = 0; i < 2; i++) {
        players[i].other = &players[1 - i];
        players[i].left = ops;
        players[i].begins = i == 0;
        players[i].async.data = &players[i];
        check(uv_loop_init(&players[i].loop), "make a loop");
        check(uv_async_init(&players[i].loop, &players[i].async, on_wake), "make an async handle");
    }
    check(uv_thread_create(&thread, run_player, &players[1]), "start a thread");
    uint64_t start = wall_ns();
    uv_async_send(&players[1].async);
    run_player(&players[0]);
    uint64_t elapsed = wall_ns() - start;
    uv_thread_join(&thread);
    for (int i = 0; i < 2; i++) check(uv_loop_close(&players[i].loop), "close a loop");
    return per_op(elapsed, ops);
}

/* ---- create_destroy: a loop of libuv has an eventfd from the beginning ---- */

static double create_destroy(uint64_t ops, size_t n) {
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) {
        uv_loop_t loop;
        check(uv_loop_init(&loop), "make a loop");
        check(uv_loop_close(&loop), "close a loop");
    }
    return per_op(cpu_ns() - start, ops);
}

/* ---- echo and HTTP ---- */

typedef struct Connection {
    uv_tcp_t tcp;
    uv_write_t write;
    unsigned matched; /* see http_requests */
    char buffer[BUFFER_SIZE];
} Connection;

static bool is_http;

static void on_close(uv_handle_t *handle) { free(handle); }

static void get_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    Connection *connection = (Connection *)handle;
    *buffer = uv_buf_init(connection->buffer, sizeof connection->buffer);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer);

static void on_written(uv_write_t *write, int status) {
    if (status == UV_ECANCELED) return;
    if (status < 0) uv_close((uv_handle_t *)write->handle, on_close);
    else check(uv_read_start(write->handle, get_buffer, on_read), "read");
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
    Connection *connection = (Connection *)stream;
    if (size < 0) {
        uv_close((uv_handle_t *)stream, on_close);
        return;
    }
    Reply reply = reply_to(buffer->base, (size_t)size, is_http, &connection->matched);
    if (reply.size == 0) return;
    uv_buf_t rest = uv_buf_init((char *)reply.bytes, (unsigned)reply.size);
    int sent = uv_try_write(stream, &rest, 1);
    if (sent == (int)reply.size) return;
    if (sent < 0 && sent != UV_EAGAIN) {
        uv_close((uv_handle_t *)stream, on_close);
        return;
    }
    /* The write uses the buffer until its callback, so reading stops until then. */
    if (sent > 0) rest = uv_buf_init(rest.base + sent, (unsigned)rest.len - (unsigned)sent);
    uv_read_stop(stream);
    check(uv_write(&connection->write, stream, &rest, 1, on_written), "write");
}

static void on_connection(uv_stream_t *server, int status) {
    check(status, "accept a connection");
    Connection *connection = allocate(1, sizeof *connection);
    check(uv_tcp_init(server->loop, &connection->tcp), "make a connection");
    check(uv_accept(server, (uv_stream_t *)&connection->tcp), "accept a connection");
    check(uv_tcp_nodelay(&connection->tcp, 1), "set TCP_NODELAY");
    check(uv_read_start((uv_stream_t *)&connection->tcp, get_buffer, on_read), "read");
}

static void serve(bool http) {
    struct sockaddr_in address = loopback(0);
    int size = sizeof address;
    uv_tcp_t server;
    is_http = http;
    check(uv_tcp_init(uv_default_loop(), &server), "make a server");
    check(uv_tcp_bind(&server, (struct sockaddr *)&address, 0), "bind");
    check(uv_listen((uv_stream_t *)&server, SOMAXCONN, on_connection), "listen");
    check(uv_tcp_getsockname(&server, (struct sockaddr *)&address, &size), "get the port");
    print_port(ntohs(address.sin_port));
    run(uv_default_loop());
}

int main(int argc, char **argv) {
    static const Workload workloads[] = {
        {"yield_1", yield_1, 0},        {"timer_cancel", timer_cancel, 0}, {"timer_fire", timer_fire, 0},
        {"socketpair", socket_pair, 0}, {"wake_asleep", wake_asleep, 0},   {"create_destroy", create_destroy, 0},
    };
    char version[64];
    snprintf(version, sizeof version, "libuv %s", uv_version_string());
    return peer_main(argc, argv, version, workloads, sizeof workloads / sizeof *workloads, serve);
}
