// A debug build names the function, and aborts, when another thread calls a function of the runtime's thread.
#include "io_support.h"

using namespace support;

namespace {

#ifdef NDEBUG
constexpr bool has_checks = false;
#else
constexpr bool has_checks = true;
#endif

// Calls from a second thread while the first is inside a poll.
template <auto call> void call_while_driven() {
    static zyntax_runtime *rt = zyntax_runtime_create();
    zyntax_runtime_spawn(rt, nullptr, [](FutureState, Waker *) {
        Thread([] { call(rt); }).join();
        return POLL_READY;
    });
    zyntax_runtime_run(rt);
}

zyntax_op op;
Waker nobody_to_wake{nullptr, [](void *) {}};
int64_t result;
zyntax_io *io, *other_io;
zyntax_file *file;
zyntax_channel *channel;
const zyntax_promise promise{nullptr, [](void *) { return int64_t(1); }};

// A call of each function that takes a runtime and belongs to its thread.
struct Misuse {
    const char *function;
    void (*call)();
};
#define MISUSE(function, ...)                                                                               \
    Misuse {                                                                                                \
#function, call_while_driven < []([[maybe_unused]] zyntax_runtime * rt) { function(__VA_ARGS__); }> \
    }

const Misuse misuses[] = {
    MISUSE(zyntax_runtime_spawn, rt, nullptr, [](FutureState, Waker *) { return POLL_READY; }),
    MISUSE(
        zyntax_runtime_spawn_with, rt, nullptr, [](FutureState, Waker *) { return POLL_READY; }, nullptr, 0),
    MISUSE(zyntax_runtime_run, rt),
    MISUSE(zyntax_runtime_block_on, rt, reinterpret_cast<zyntax_task *>(1)),
    MISUSE(zyntax_runtime_turn, rt, 0),
    MISUSE(zyntax_runtime_get_stats, rt,
           [] {
               static zyntax_runtime_stats stats{};
               stats.size = sizeof stats;
               return &stats;
           }()),
    MISUSE(
        zyntax_runtime_dump, rt, [](void *, const zyntax_task_info *) {}, nullptr),
    MISUSE(zyntax_runtime_next_timeout_ns, rt),
    MISUSE(zyntax_runtime_backend_fd, rt),
    MISUSE(zyntax_state_alloc, rt, 16),
    MISUSE(zyntax_state_free, rt, &op, 16),
    MISUSE(zyntax_sleep, rt, &op, 1, &nobody_to_wake),
    MISUSE(zyntax_sleep_until, rt, &op, 1, &nobody_to_wake),
    MISUSE(zyntax_io_open, rt, 0, &io),
    MISUSE(zyntax_tcp_listen, rt, "127.0.0.1", 0, &io),
    MISUSE(zyntax_tcp_listen_with, rt, "127.0.0.1", 0, 0, &io),
    MISUSE(zyntax_tcp_connect, rt, &op, "127.0.0.1", 1, &nobody_to_wake, &io, &result),
    MISUSE(zyntax_udp_open, rt, nullptr, 0, &io),
    MISUSE(zyntax_unix_listen, rt, "socket", 6, &io),
    MISUSE(zyntax_unix_connect, rt, &op, "socket", 6, &nobody_to_wake, &io, &result),
    MISUSE(zyntax_unix_pair, rt, &io, &other_io),
    MISUSE(zyntax_file_open, rt, &op, "file", ZYNTAX_FILE_READ, &nobody_to_wake, &file, &result),
    MISUSE(zyntax_file_from, rt, 0, &file),
    MISUSE(
        zyntax_blocking, rt, &op, [](void *) { return int64_t(1); }, nullptr, 0, &nobody_to_wake, &result),
    MISUSE(zyntax_channel_create, rt, 1, 1, &channel),
    MISUSE(zyntax_promise_spawn, rt, &promise, nullptr),
    MISUSE(zyntax_promise_spawn_with, rt, &promise, nullptr, nullptr),
    MISUSE(zyntax_promise_block_on, rt, &promise),
};

void what_any_thread_may_do(zyntax_runtime *rt) {
    zyntax_runtime_post(
        rt, [](void *) {}, nullptr);
    zyntax_runtime_hold(rt);
    zyntax_runtime_release(rt);
    zyntax_now_ns(rt);
    zyntax_task_cancel(nullptr);
    zyntax_task_alive(nullptr);
    zyntax_current_runtime();
    zyntax_runtime_backend();
}

} // namespace

TEST_CASE("a_debug_build_aborts_with_a_message_that_names_the_function") {
    if (!has_checks) return; // a release build trusts its host
    for (const Misuse &misuse : misuses) {
        CAPTURE(std::string(misuse.function));
        Death death = death_of(misuse.call);
        CHECK(death.aborted);
        CHECK(death.message.find(std::string("zyntax: ") + misuse.function + " ") == 0);
    }
}

TEST_CASE("calls_for_any_thread_are_left_alone_in_every_build") {
    Death death = death_of(call_while_driven<what_any_thread_may_do>);
    CHECK(death.left);
    CHECK(death.message.empty());
}
