// The cost of an operation does not grow with unrelated work: instructions are counted with little and with much of it.
// Debug builds are left out, because their checks recount everything.
#include "channel_support.h"
#include "host_support.h"
#include "io_support.h"

using namespace support;

namespace {

#if defined(NDEBUG)
constexpr bool measures = !sanitized;
#else
constexpr bool measures = false;
#endif

// `measured(n)` returns a function; its instructions may not grow with n.
template <class Measured> void check_constant(Measured measured, size_t few, size_t many, int64_t slack) {
    int64_t base = measures ? count_instructions([&] { return measured(few); }) : -1;
    SKIP_WHEN(base < 0, "instructions cannot be counted here");
    int64_t grown = count_instructions([&] { return measured(many); });
    CAPTURE(base);
    CAPTURE(grown);
    CHECK(base > 0);
    CHECK(grown <= base + slack);
}

// Polls every task that is ready, and more often than a settled runtime needs.
void quieten(Runtime &rt) {
    do zyntax_runtime_turn(rt, 0);
    while (zyntax_runtime_next_timeout_ns(rt) == 0);
    settle(rt);
}

// Objects that live until the end of the counting process.
template <class T, class... Args> T &kept(Args &&...args) { return *new T(std::forward<Args>(args)...); }

} // namespace

TEST_CASE("a_turn_does_not_look_at_operations_of_other_runtimes_tasks") {
    auto measured = [](size_t n) {
        Runtime &tasks = kept<Runtime>(), &channels = kept<Runtime>();
        zyntax_channel *channel = channel_of(channels, 1);
        static int item;
        for (size_t i = 0; i < n; i++) kept<Await>(tasks, receiving(channel, &item));
        quieten(tasks);
        quieten(channels);
        return [&channels] { zyntax_runtime_turn(channels, 0); };
    };
    check_constant(measured, 10, 5'000, 100);
}

TEST_CASE("the_time_of_the_next_timer_is_remembered") {
    auto measured = [](size_t n) {
        Runtime &rt = kept<Runtime>();
        for (size_t i = 0; i < n; i++) kept<Await>(rt, sleeping(rt, (1000 + 7 * i) * ms));
        quieten(rt);
        zyntax_runtime_next_timeout_ns(rt);
        return [&rt] { zyntax_runtime_next_timeout_ns(rt); };
    };
    check_constant(measured, 1, 60, 40);
}

TEST_CASE("the_time_of_the_next_timer_is_remembered_when_later_ones_come_and_go") {
    auto measured = [](size_t n) {
        Runtime &rt = kept<Runtime>();
        for (size_t i = 0; i < n; i++) kept<Await>(rt, sleeping(rt, (1000 + 7 * i) * ms));
        quieten(rt);
        zyntax_runtime_next_timeout_ns(rt);
        return [&rt] {
            Waker waker = nobody();
            zyntax_op op = 0;
            zyntax_sleep(rt, &op, 1500 * ms, &waker);
            zyntax_runtime_next_timeout_ns(rt);
            zyntax_op_cancel(&op);
            zyntax_runtime_next_timeout_ns(rt);
        };
    };
    check_constant(measured, 2, 60, 60);
}

TEST_CASE("a_turn_of_a_task_does_not_look_at_its_other_operations") {
    auto measured = [](size_t n) {
        Runtime &rt = kept<Runtime>();
        auto &channels = kept<std::vector<zyntax_channel *>>();
        auto &ops = kept<std::vector<zyntax_op>>(n, zyntax_op{0});
        for (size_t i = 0; i < n; i++) channels.push_back(channel_of(rt, 1));
        auto &task = kept<Task>();
        static int item;
        task.on_poll = [&, n](Waker *waker) {
            int64_t result;
            size_t calls = task.polls == 1 ? n : 1;
            for (size_t i = 0; i < calls; i++) zyntax_channel_recv(channels[i], &ops[i], &item, waker, &result);
            return POLL_PENDING;
        };
        task.spawn(rt);
        quieten(rt);
        return [&rt, &channels] {
            Waker waker = nobody();
            zyntax_op op = 0;
            int64_t result;
            zyntax_channel_send(channels[0], &op, &item, &waker, &result);
            zyntax_runtime_turn(rt, 0);
        };
    };
    check_constant(measured, 10, 8'000, 200);
}

TEST_CASE("closing_a_handle_does_not_look_at_the_others") {
    auto measured = [](size_t n) {
        Runtime &rt = kept<Runtime>();
        auto &pair = kept<Pair>(socket_pair());
        for (size_t i = 0; i < n; i++) {
            Fd copy{duplicate(pair.near)};
            adopt(rt, copy);
        }
        Fd mine{duplicate(pair.near)};
        make_blocking(mine);
        zyntax_io *io = adopt(rt, mine);
        quieten(rt);
        return [io] { zyntax_io_close(io); };
    };
    check_constant(measured, 10, 500, 200);
}

TEST_CASE("an_idle_turn_does_not_look_at_tasks_timers_or_handles") {
    auto measured = [](size_t n) {
        Runtime &rt = kept<Runtime>();
        zyntax_channel *channel = channel_of(rt, 1);
        static int item;
        for (size_t i = 0; i < n; i++) {
            kept<Await>(rt, receiving(channel, &item));
            kept<Await>(rt, sleeping(rt, (3'600'000 + i) * ms));
        }
        quieten(rt);
        return [&rt] { zyntax_runtime_turn(rt, 0); };
    };
    check_constant(measured, 10, 5'000, 100);
}
