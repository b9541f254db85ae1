// A debug build says so, and aborts, when a function that is bound to the runtime's thread is called from another.
#include "io_support.h"

using namespace support;

namespace {

#ifdef NDEBUG
constexpr bool checked = false;
#else
constexpr bool checked = true;
#endif

// Calls from a second thread while the first is inside a poll.
template <void (*call)(zyntax_runtime *)> void call_while_driven() {
    static zyntax_runtime *rt = zyntax_runtime_create();
    zyntax_runtime_spawn(rt, nullptr, [](FutureState, Waker *) {
        Thread([] { call(rt); }).join();
        return POLL_READY;
    });
    zyntax_runtime_run(rt);
}

void spawn(zyntax_runtime *rt) {
    zyntax_runtime_spawn(rt, nullptr, [](FutureState, Waker *) { return POLL_READY; });
}
void drive(zyntax_runtime *rt) { zyntax_runtime_turn(rt, 0); }
void look(zyntax_runtime *rt) {
    zyntax_runtime_stats stats{};
    stats.size = sizeof stats;
    zyntax_runtime_get_stats(rt, &stats);
}
void listen_somewhere(zyntax_runtime *rt) {
    zyntax_io *io = nullptr;
    zyntax_tcp_listen(rt, "127.0.0.1", 0, &io);
}
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

TEST_CASE("a_debug_build_aborts_with_a_message") {
    if (!checked) return; // a release build trusts its host
    for (void (*misuse)() : {call_while_driven<spawn>, call_while_driven<drive>, call_while_driven<look>,
                             call_while_driven<listen_somewhere>}) {
        Death death = death_of(misuse);
        CHECK(death.aborted);
        CHECK(death.message.find("zyntax") != std::string::npos);
    }
}

TEST_CASE("what_any_thread_may_do_is_left_alone_in_every_build") {
    Death death = death_of(call_while_driven<what_any_thread_may_do>);
    CHECK(death.left);
    CHECK(death.message.empty());
}
