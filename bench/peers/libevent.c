/* libevent: user events for yields and wakes, and bufferevents for sockets, as in its book. There are no tasks. A
 * triggered event is the closest equivalent of a woken task. */
#include "peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <pthread.h>

enum { CALLBACKS_BETWEEN_LOOKS = 256 }; /* between polls of the kernel; events that trigger each other starve no I/O */

static struct event_base *make_base(int flags) {
    struct event_config *config = event_config_new();
    expect(config != NULL, "make a configuration");
    event_config_set_flag(config, flags);
    event_config_set_max_dispatch_interval(config, NULL, CALLBACKS_BETWEEN_LOOKS, 0);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    expect(base != NULL, "make a base");
    return base;
}

/* The base of all workloads of one thread. It needs no lock. */
static struct event_base *default_base(void) {
    static struct event_base *base;
    if (base == NULL) base = make_base(EVENT_BASE_FLAG_NOLOCK);
    return base;
}

static void run(struct event_base *base) { expect(event_base_dispatch(base) >= 0, "run the loop"); }

static void init_user_event(struct event *event, struct event_base *base, event_callback_fn on_event, void *argument) {
    expect(event_assign(event, base, -1, 0, on_event, argument) == 0, "make an event");
}

/* ---- yield and ping-pong ---- */

typedef struct Yielder {
    struct event event;
    uint64_t left;
} Yielder;

static void on_yield(evutil_socket_t fd, short what, void *argument) {
    Yielder *yielder = argument;
    if (yielder->left == 0) return;
    yielder->left--;
    evuser_trigger(&yielder->event);
}

static double yield(uint64_t ops, size_t n) {
    Yielder *yielders = allocate(n, sizeof *yielders);
    uint64_t each = divide_up(ops, n);
    for (size_t i = 0; i < n; i++) {
        init_user_event(&yielders[i].event, default_base(), on_yield, &yielders[i]);
        yielders[i].left = each;
    }
    uint64_t start = cpu_ns();
    for (size_t i = 0; i < n; i++) evuser_trigger(&yielders[i].event);
    run(default_base());
    uint64_t elapsed = cpu_ns() - start;
    free(yielders);
    return per_op(elapsed, each * n);
}

typedef struct Pinger {
    struct event event;
    struct Pinger *other;
    uint64_t left;
} Pinger;

static void on_ping(evutil_socket_t fd, short what, void *argument) {
    Pinger *pinger = argument;
    if (pinger->left-- > 0) evuser_trigger(&pinger->other->event);
}

static double ping_pong(uint64_t ops, size_t n) {
    Pinger pingers[2];
    uint64_t each = divide_up(ops, 2);
    for (int i = 0; i < 2; i++) {
        init_user_event(&pingers[i].event, default_base(), on_ping, &pingers[i]);
        pingers[i].other = &pingers[1 - i];
        pingers[i].left = each;
    }
    uint64_t start = cpu_ns();
    evuser_trigger(&pingers[0].event);
    run(default_base());
    uint64_t elapsed = cpu_ns() - start;
    expect(pingers[1].left == 0, "end both pingers");
    return per_op(elapsed, each * 2);
}

/* ---- timers: they begin inside a callback, where the loop's time is cached ---- */

typedef struct Timers {
    struct event *events;
    struct timeval *delays;
    uint32_t *order;
    uint64_t count;
    uint64_t fired;
} Timers;

static void on_timer(evutil_socket_t fd, short what, void *argument) { ((Timers *)argument)->fired++; }

static void cancel_all(evutil_socket_t fd, short what, void *argument) {
    Timers *timers = argument;
    for (uint64_t i = 0; i < timers->count; i++) evtimer_add(&timers->events[i], &timers->delays[i]);
    for (uint64_t i = 0; i < timers->count; i++) evtimer_del(&timers->events[timers->order[i]]);
}

static void fire_all(evutil_socket_t fd, short what, void *argument) {
    Timers *timers = argument;
    for (uint64_t i = 0; i < timers->count; i++) evtimer_add(&timers->events[i], &timers->delays[i]);
}

static double run_timers(uint64_t ops, event_callback_fn begin, uint64_t *delays_ns, uint64_t fire) {
    Timers timers = {allocate(ops, sizeof *timers.events), allocate(ops, sizeof *timers.delays), random_order(ops), ops,
                     0};
    for (uint64_t i = 0; i < ops; i++) {
        uint64_t us = delays_ns[i] / 1000;
        timers.delays[i] = (struct timeval){(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
        expect(evtimer_assign(&timers.events[i], default_base(), on_timer, &timers) == 0, "make a timer");
    }
    struct event event;
    init_user_event(&event, default_base(), begin, &timers);
    uint64_t start = cpu_ns();
    evuser_trigger(&event);
    run(default_base());
    uint64_t elapsed = cpu_ns() - start;
    expect(timers.fired == fire, "fire every timer that was not cancelled");
    free(timers.events);
    free(timers.delays);
    free(timers.order);
    free(delays_ns);
    return per_op(elapsed, ops);
}

static double timer_cancel(uint64_t ops, size_t n) { return run_timers(ops, cancel_all, far_delays(ops), 0); }
static double timer_fire(uint64_t ops, size_t n) { return run_timers(ops, fire_all, near_delays(ops), ops); }

/* ---- socketpair ---- */

typedef struct End {
    struct bufferevent *stream;
    uint64_t left; /* round trips of the requesting end */
    bool asks;
} End;

static void send_message(End *end) {
    static const char message[MESSAGE_SIZE];
    expect(bufferevent_write(end->stream, message, sizeof message) == 0, "send a message");
}

static void on_message(struct bufferevent *stream, void *argument) {
    End *end = argument;
    char buffer[MESSAGE_BUFFER];
    expect(bufferevent_read(stream, buffer, sizeof buffer) == MESSAGE_SIZE, "receive a message");
    if (end->asks && --end->left == 0) bufferevent_free(stream);
    else send_message(end);
}

static void on_message_end(struct bufferevent *stream, short what, void *argument) { bufferevent_free(stream); }

static double socket_pair(uint64_t ops, size_t n) {
    End ends[2];
    evutil_socket_t sockets[2];
    expect(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "make a socket pair");
    for (int i = 0; i < 2; i++) {
        evutil_make_socket_nonblocking(sockets[i]);
        ends[i] = (End){bufferevent_socket_new(default_base(), sockets[i], BEV_OPT_CLOSE_ON_FREE), ops, i == 0};
        expect(ends[i].stream != NULL, "make a bufferevent");
        bufferevent_setcb(ends[i].stream, on_message, NULL, on_message_end, &ends[i]);
    }
    uint64_t start = cpu_ns();
    for (int i = 0; i < 2; i++) bufferevent_enable(ends[i].stream, EV_READ | EV_WRITE);
    send_message(&ends[0]);
    run(default_base());
    return per_op(cpu_ns() - start, ops);
}

/* ---- wake_asleep: triggering an event of another thread's base needs the base's lock ---- */

typedef struct Player {
    struct event event;
    struct event_base *base;
    struct Player *other;
    uint64_t left; /* wakes to receive */
    bool begins;
} Player;

static void on_wake(evutil_socket_t fd, short what, void *argument) {
    Player *player = argument;
    player->left--;
    if (player->left > 0 || !player->begins) evuser_trigger(&player->other->event);
    if (player->left == 0) event_base_loopbreak(player->base);
}

static void *run_player(void *argument) {
    Player *player = argument;
    expect(event_base_loop(player->base, EVLOOP_NO_EXIT_ON_EMPTY) >= 0, "run the loop");
    return NULL;
}

static double wake_asleep(uint64_t ops, size_t n) {
    static Player players[2];
    pthread_t thread;
    for (int i = 0; i < 2; i++) {
        players[i].base = make_base(0);
        players[i].other = &players[1 - i];
        players[i].left = ops;
        players[i].begins = i == 0;
        init_user_event(&players[i].event, players[i].base, on_wake, &players[i]);
    }
    expect(pthread_create(&thread, NULL, run_player, &players[1]) == 0, "start a thread");
    uint64_t start = wall_ns();
    evuser_trigger(&players[1].event);
    run_player(&players[0]);
    uint64_t elapsed = wall_ns() - start;
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) event_base_free(players[i].base);
    return per_op(elapsed, ops);
}

/* ---- create_destroy: a base that other threads can wake ---- */

static double create_destroy(uint64_t ops, size_t n) {
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) event_base_free(make_base(0));
    return per_op(cpu_ns() - start, ops);
}

/* ---- echo and HTTP ---- */

static void on_echo(struct bufferevent *stream, void *argument) {
    evbuffer_add_buffer(bufferevent_get_output(stream), bufferevent_get_input(stream));
}

static void on_requests(struct bufferevent *stream, void *argument) {
    struct evbuffer *input = bufferevent_get_input(stream);
    size_t answers = 0;
    for (;;) {
        struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
        if (end.pos < 0) break;
        evbuffer_drain(input, (size_t)end.pos + 4);
        answers++;
    }
    if (answers > 0) bufferevent_write(stream, http_answers(), answers * HTTP_ANSWER_SIZE);
}

static void on_end(struct bufferevent *stream, short what, void *argument) {
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) bufferevent_free(stream);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int size,
                          void *argument) {
    struct bufferevent *stream = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    const bool *http = argument;
    expect(stream != NULL, "make a connection");
    set_nodelay(fd);
    bufferevent_set_max_single_read(stream, BUFFER_SIZE);
    bufferevent_setcb(stream, *http ? on_requests : on_echo, NULL, on_end, NULL);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

static void serve(bool http) {
    struct sockaddr_in address = loopback(0);
    struct evconnlistener *listener =
        evconnlistener_new_bind(default_base(), on_connection, &http, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                                SOMAXCONN, (struct sockaddr *)&address, sizeof address);
    expect(listener != NULL, "listen");
    print_port_of(evconnlistener_get_fd(listener));
    run(default_base());
}

int main(int argc, char **argv) {
    static const Workload workloads[] = {
        {"yield_1", yield, 1},          {"yield_10", yield, 10},           {"yield_100", yield, 100},
        {"yield_1000", yield, 1000},    {"yield_10000", yield, 10000},     {"yield_100000", yield, 100000},
        {"ping_pong", ping_pong, 0},    {"timer_cancel", timer_cancel, 0}, {"timer_fire", timer_fire, 0},
        {"socketpair", socket_pair, 0}, {"wake_asleep", wake_asleep, 0},   {"create_destroy", create_destroy, 0},
    };
    char version[64];
    expect(evthread_use_pthreads() == 0, "use threads");
    snprintf(version, sizeof version, "libevent %s", event_get_version());
    return peer_main(argc, argv, version, workloads, sizeof workloads / sizeof *workloads, serve);
}
