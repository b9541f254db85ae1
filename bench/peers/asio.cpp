// asio with coroutines. A task is a coroutine. A yield posts the coroutine itself. A task that waits for another task
// stores its completion handler, and the other task posts it.
#include "peer.h"

#include <asio.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#if !__has_include(<asio/as_tuple.hpp>) // before version 1.24
#include <asio/experimental/as_tuple.hpp>
#endif

#include <chrono>
#include <optional>
#include <thread>
#include <vector>

namespace {

using asio::awaitable;
using asio::co_spawn;
using asio::detached;
using asio::use_awaitable;
#if __has_include(<asio/as_tuple.hpp>)
using asio::as_tuple_t;
#else
using asio::experimental::as_tuple_t;
#endif
using Default = as_tuple_t<asio::use_awaitable_t<>>; // (error, result) instead of an exception

asio::io_context context{1}; // the hint 1: only one thread runs it

// Runs until all coroutines have ended.
void run() {
    context.run();
    context.restart();
}

// ---- tasks ----

struct alignas(64) State {
    uint64_t polls = 0;
};

awaitable<void> end_at_once(State &state) {
    state.polls++;
    co_return;
}

double spawn_batch(uint64_t ops, size_t tasks) {
    std::vector<State> states(tasks);
    uint64_t batches = divide_up(ops, tasks);
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < batches; i++) {
        for (State &state : states) co_spawn(context, end_at_once(state), detached);
        run();
    }
    uint64_t elapsed = cpu_ns() - start;
    for (const State &state : states) expect(state.polls == batches, "run every task once");
    return per_op(elapsed, batches * tasks);
}

awaitable<void> spawn_and_join(uint64_t ops, State &state) {
    for (; ops > 0; ops--) co_await co_spawn(context, end_at_once(state), use_awaitable);
}

double spawn_join(uint64_t ops, size_t) {
    State state;
    uint64_t start = cpu_ns();
    co_spawn(context, spawn_and_join(ops, state), detached);
    run();
    uint64_t elapsed = cpu_ns() - start;
    expect(state.polls == ops, "run every child once");
    return per_op(elapsed, ops);
}

awaitable<void> yield_often(uint64_t left) {
    for (; left > 0; left--) co_await asio::post(use_awaitable);
}

double yield(uint64_t ops, size_t tasks) {
    uint64_t each = divide_up(ops, tasks);
    uint64_t start = cpu_ns();
    for (size_t i = 0; i < tasks; i++) co_spawn(context, yield_often(each), detached);
    run();
    return per_op(cpu_ns() - start, each * tasks);
}

// The completion handler of a waiting coroutine.
class Wait {
public:
    awaitable<void> wait() {
        auto leave = [this](auto handler) { waiting.emplace(std::move(handler)); };
        return asio::async_initiate<const asio::use_awaitable_t<>, void()>(leave, use_awaitable);
    }

    void wake() {
        Handler handler = std::move(*waiting);
        waiting.reset();
        asio::post(std::move(handler));
    }

private:
    using Handler = asio::async_result<asio::use_awaitable_t<>, void()>::handler_type;
    std::optional<Handler> waiting;
};

awaitable<void> play(Wait &own, Wait &other, uint64_t left, bool begins) {
    if (begins) co_await asio::post(use_awaitable); // until the other task waits
    for (; left > 0; left--) {
        if (!begins) co_await own.wait();
        other.wake();
        if (begins) co_await own.wait();
    }
}

double ping_pong(uint64_t ops, size_t) {
    Wait first;
    Wait second;
    uint64_t each = divide_up(ops, 2);
    uint64_t start = cpu_ns();
    co_spawn(context, play(first, second, each, true), detached);
    co_spawn(context, play(second, first, each, false), detached);
    run();
    return per_op(cpu_ns() - start, each * 2);
}

// ---- channels ----

using Channel = asio::experimental::channel<void(asio::error_code, uint64_t)>;
using Port = asio::experimental::concurrent_channel<void(asio::error_code, uint64_t)>; // threads may share it

template <class Channel> awaitable<void> produce(Channel &channel, uint64_t items) {
    for (uint64_t i = 0; i < items; i++) co_await channel.async_send(asio::error_code(), i, use_awaitable);
}

template <class Channel> awaitable<void> consume(Channel &channel, uint64_t items) {
    for (uint64_t i = 0; i < items; i++) {
        expect(co_await channel.async_receive(use_awaitable) == i, "receive the items in order");
    }
}

template <class Channel> double channel(uint64_t ops, size_t capacity) {
    Channel channel(context, capacity);
    uint64_t start = cpu_ns();
    co_spawn(context, produce(channel, ops), detached);
    co_spawn(context, consume(channel, ops), detached);
    run();
    return per_op(cpu_ns() - start, ops);
}

// ---- timers ----

double timer_cancel(uint64_t ops, size_t) {
    std::vector<asio::steady_timer> timers;
    std::vector<asio::steady_timer::time_point> due;
    uint64_t *delays = far_delays(ops);
    uint32_t *order = random_order(ops);
    uint64_t cancelled = 0;
    auto now = asio::steady_timer::clock_type::now();
    for (uint64_t i = 0; i < ops; i++) {
        timers.emplace_back(context);
        due.push_back(now + std::chrono::nanoseconds(delays[i]));
    }
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) {
        timers[i].expires_at(due[i]);
        timers[i].async_wait([&cancelled](asio::error_code error) { cancelled += error ? 1 : 0; });
    }
    for (uint64_t i = 0; i < ops; i++) timers[order[i]].cancel();
    run();
    uint64_t elapsed = cpu_ns() - start;
    expect(cancelled == ops, "cancel every timer");
    free(delays);
    free(order);
    return per_op(elapsed, ops);
}

awaitable<void> sleep(uint64_t ns, uint64_t &fired) {
    asio::steady_timer timer(context, std::chrono::nanoseconds(ns));
    co_await timer.async_wait(use_awaitable);
    fired++;
}

double timer_fire(uint64_t ops, size_t) {
    uint64_t *delays = near_delays(ops);
    uint64_t fired = 0;
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) co_spawn(context, sleep(delays[i], fired), detached);
    run();
    uint64_t elapsed = cpu_ns() - start;
    expect(fired == ops, "fire every timer");
    free(delays);
    return per_op(elapsed, ops);
}

// ---- socketpair ----

using LocalSocket = Default::as_default_on_t<asio::local::stream_protocol::socket>;

awaitable<void> ask(LocalSocket socket, uint64_t left) {
    char buffer[MESSAGE_BUFFER] = {};
    for (; left > 0; left--) {
        auto [send_error, sent] = co_await asio::async_write(socket, asio::buffer(buffer, MESSAGE_SIZE));
        expect(!send_error, "send a message");
        auto [error, size] = co_await socket.async_read_some(asio::buffer(buffer));
        expect(!error && size == MESSAGE_SIZE, "receive an answer");
    }
}

awaitable<void> answer(LocalSocket socket) {
    char buffer[MESSAGE_BUFFER];
    for (;;) {
        auto [error, size] = co_await socket.async_read_some(asio::buffer(buffer));
        if (error == asio::error::eof) co_return;
        expect(!error && size == MESSAGE_SIZE, "receive a message");
        auto [send_error, sent] = co_await asio::async_write(socket, asio::buffer(buffer, size));
        expect(!send_error, "send an answer");
    }
}

double socket_pair(uint64_t ops, size_t) {
    LocalSocket ends[2] = {LocalSocket(context), LocalSocket(context)};
    asio::local::connect_pair(ends[0], ends[1]);
    uint64_t start = cpu_ns();
    co_spawn(context, ask(std::move(ends[0]), ops), detached);
    co_spawn(context, answer(std::move(ends[1])), detached);
    run();
    return per_op(cpu_ns() - start, ops);
}

// ---- wake_asleep ----

struct Player {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
    Player *other;
    uint64_t left; // wakes to receive
    bool begins;

    Player(Player *other, uint64_t left, bool begins) : other(other), left(left), begins(begins) {}

    void wake() {
        asio::post(context, [this] {
            left--;
            if (left > 0 || !begins) other->wake();
            if (left == 0) work.reset();
        });
    }
};

double wake_asleep(uint64_t ops, size_t) {
    Player players[2] = {{&players[1], ops, true}, {&players[0], ops, false}};
    std::thread thread([&players] { players[1].context.run(); });
    uint64_t start = wall_ns();
    players[1].wake();
    players[0].context.run();
    uint64_t elapsed = wall_ns() - start;
    thread.join();
    return per_op(elapsed, ops);
}

// ---- task_bytes ----

awaitable<void> park(State &state) {
    Wait never;
    state.polls++;
    co_await never.wait();
}

double parked_bytes(uint64_t tasks) {
    State state;
    double before = 0;
    for (uint64_t more : {uint64_t{FIRST_TASKS}, tasks - FIRST_TASKS}) {
        before = resident_bytes(); // the second time with the first tasks
        for (uint64_t i = 0; i < more; i++) co_spawn(context, park(state), detached);
        context.poll();
    }
    expect(state.polls == tasks, "poll every task");
    return (resident_bytes() - before) / static_cast<double>(tasks - FIRST_TASKS);
}

double task_bytes(uint64_t ops, size_t) {
    expect(ops > FIRST_TASKS, "have more tasks than those parked before");
    return in_child(parked_bytes, ops);
}

// ---- create_destroy: a context has its epoll and its eventfd from the first object on that uses them ----

double create_destroy(uint64_t ops, size_t) {
    uint64_t start = cpu_ns();
    for (uint64_t i = 0; i < ops; i++) {
        asio::io_context own{1};
        asio::steady_timer timer(own);
    }
    return per_op(cpu_ns() - start, ops);
}

// ---- echo and HTTP ----

using asio::ip::tcp;
using Socket = Default::as_default_on_t<tcp::socket>;
using Acceptor = Default::as_default_on_t<tcp::acceptor>;

awaitable<void> serve_connection(Socket socket, bool http) {
    char buffer[BUFFER_SIZE];
    unsigned matched = 0; // see http_requests
    for (;;) {
        auto [error, size] = co_await socket.async_read_some(asio::buffer(buffer));
        if (error) co_return;
        Reply reply = reply_to(buffer, size, http, &matched);
        auto [send_error, sent] = co_await asio::async_write(socket, asio::buffer(reply.bytes, reply.size));
        if (send_error) co_return;
    }
}

awaitable<void> accept_all(Acceptor acceptor, bool http) {
    for (;;) {
        auto [error, socket] = co_await acceptor.async_accept();
        expect(!error, "accept a connection");
        socket.set_option(tcp::no_delay(true));
        co_spawn(context, serve_connection(std::move(socket), http), detached);
    }
}

void serve(bool http) {
    Acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    print_port(acceptor.local_endpoint().port());
    co_spawn(context, accept_all(std::move(acceptor), http), detached);
    context.run();
}

} // namespace

int main(int argc, char **argv) {
    static const Workload workloads[] = {
        {"task_bytes", task_bytes, 0},
        {"spawn_batch", spawn_batch, 1000},
        {"spawn_join", spawn_join, 0},
        {"yield_1", yield, 1},
        {"yield_10", yield, 10},
        {"yield_100", yield, 100},
        {"yield_1000", yield, 1000},
        {"yield_10000", yield, 10'000},
        {"yield_100000", yield, 100'000},
        {"ping_pong", ping_pong, 0},
        {"channel_1", channel<Channel>, 1},
        {"channel_64", channel<Channel>, 64},
        {"port_64", channel<Port>, 64},
        {"timer_cancel", timer_cancel, 0},
        {"timer_fire", timer_fire, 0},
        {"socketpair", socket_pair, 0},
        {"wake_asleep", wake_asleep, 0},
        {"create_destroy", create_destroy, 0},
    };
    char version[64];
    snprintf(version, sizeof version, "asio %d.%d.%d", ASIO_VERSION / 100'000, ASIO_VERSION / 100 % 1'000,
             ASIO_VERSION % 100);
    return peer_main(argc, argv, version, workloads, sizeof workloads / sizeof *workloads, serve);
}
