// Posted calls run once each, in order, on the runtime's thread and outside polls.
#include "support.h"

#include <vector>

using namespace support;

namespace {

// The list to which posted calls add their numbers.
struct Log {
    std::vector<int> numbers;
    ThreadId thread{};
    bool in_poll = false;
};

struct Call {
    Log *log;
    int number;
    static void run(void *arg) {
        auto *self = static_cast<Call *>(arg);
        self->log->numbers.push_back(self->number);
        self->log->thread = this_thread_id();
        self->log->in_poll = zyntax_current_runtime() != nullptr;
    }
};

} // namespace

TEST_CASE("posted_calls_run_in_the_order_of_posting") {
    Runtime rt;
    Log log;
    std::vector<Call> calls;
    for (int i = 0; i < 1000; i++) calls.push_back({&log, i});
    for (auto &call : calls) REQUIRE(zyntax_runtime_post(rt, Call::run, &call) == 0);
    CHECK(log.numbers.empty());
    REQUIRE(rt.drive_until([&] { return log.numbers.size() == 1000; }));
    for (int i = 0; i < 1000; i++) CHECK(log.numbers[size_t(i)] == i);
    CHECK_FALSE(log.in_poll);
    zyntax_runtime_turn(rt, 0);
    CHECK(log.numbers.size() == 1000);
}

TEST_CASE("calls_posted_by_other_threads_wake_a_sleeping_turn_and_run_on_the_runtimes_thread") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt;
    Log log;
    Call call{&log, 7};
    for (int i = 0; i < 100; i++) {
        log.numbers.clear();
        Thread poster([&] { CHECK(zyntax_runtime_post(rt, Call::run, &call) == 0); });
        REQUIRE(rt.drive_until([&] { return log.numbers.size() == 1; }));
        poster.join();
        REQUIRE(log.thread == this_thread_id());
    }
    CHECK(rt.idle_waits() <= 5);
}

TEST_CASE("each_threads_calls_keep_their_order") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    constexpr int threads = 4, each = scaled(20'000);
    Runtime rt;
    Log log;
    std::vector<Call> calls;
    for (int i = 0; i < threads * each; i++) calls.push_back({&log, i});
    std::vector<Thread> posters;
    for (int t = 0; t < threads; t++)
        posters.emplace_back([&, t] {
            for (int i = t * each; i < (t + 1) * each; i++) zyntax_runtime_post(rt, Call::run, &calls[size_t(i)]);
        });
    CHECK(rt.drive_until([&] { return log.numbers.size() == size_t(threads) * each; }));
    for (auto &poster : posters) poster.join();
    int next[threads], out_of_order = 0;
    for (int t = 0; t < threads; t++) next[t] = t * each;
    for (int number : log.numbers) out_of_order += number != next[number / each]++;
    CHECK(out_of_order == 0);
}

TEST_CASE("a_posted_call_may_spawn_wake_cancel_and_post") {
    Runtime rt;
    struct State {
        zyntax_runtime *rt;
        Task spawned;
        Task woken;
        Task cancelled;
        Waker kept{};
        int calls = 0;
    } s;
    s.rt = rt;
    // Not as initializers of the members: clang 14 makes one function of two such lambdas.
    s.spawned.on_poll = [](Waker *) { return POLL_READY; };
    s.cancelled.on_poll = [](Waker *) { return POLL_PENDING; };
    s.woken.on_poll = [&](Waker *waker) {
        s.kept = *waker;
        return s.woken.polls == 1 ? POLL_PENDING : POLL_READY;
    };
    s.woken.spawn(rt);
    s.cancelled.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    auto again = [](void *arg) { static_cast<State *>(arg)->calls++; };
    auto first = [](void *arg) {
        auto *state = static_cast<State *>(arg);
        state->calls++;
        state->spawned.spawn(state->rt);
        state->kept.wake(state->kept.data);
        CHECK(zyntax_task_cancel(state->cancelled.handle) == 0);
        CHECK(state->cancelled.drops == 0);
        CHECK(zyntax_runtime_post(
                  state->rt, +[](void *a) { static_cast<State *>(a)->calls++; }, state) == 0);
        CHECK(state->calls == 1);
    };
    REQUIRE(zyntax_runtime_post(rt, first, &s) == 0);
    REQUIRE(zyntax_runtime_post(rt, again, &s) == 0);
    REQUIRE(rt.drive_until([&] { return s.calls == 3; }));
    REQUIRE(rt.drain());
    CHECK(s.spawned.outcome == 0);
    CHECK(s.woken.outcome == 0);
    CHECK(s.cancelled.outcome == ZYNTAX_ECANCELED);
}

TEST_CASE("a_call_that_posts_itself_again_does_not_starve_tasks") {
    Runtime rt;
    struct State {
        zyntax_runtime *rt;
        bool stop;
        static void run(void *arg) {
            auto *self = static_cast<State *>(arg);
            if (!self->stop) zyntax_runtime_post(self->rt, run, self);
        }
    } s{rt, false};
    REQUIRE(zyntax_runtime_post(rt, State::run, &s) == 0);
    Task task{[](Waker *) { return POLL_READY; }};
    task.spawn(rt);
    for (int i = 0; i < 3; i++) zyntax_runtime_turn(rt, 0);
    CHECK(task.polls == 1);
    s.stop = true;
}

TEST_CASE("calls_still_posted_at_destroy_run_then_in_order_on_that_thread") {
    Runtime rt;
    Log log;
    std::vector<Call> calls{{&log, 0}, {&log, 1}, {&log, 2}};
    for (auto &call : calls) REQUIRE(zyntax_runtime_post(rt, Call::run, &call) == 0);
    rt.destroy();
    CHECK(log.numbers == std::vector<int>{0, 1, 2});
    CHECK(log.thread == this_thread_id());
}

TEST_CASE("posting_nothing_or_nowhere_is_invalid") {
    Runtime rt;
    Log log;
    Call call{&log, 1};
    CHECK(zyntax_runtime_post(rt, nullptr, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_post(nullptr, Call::run, &call) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_turn(rt, 0) == 0);
    CHECK(log.numbers.empty());
}

TEST_CASE("destroy_ends_although_a_call_posts_itself_again") {
    Runtime rt;
    struct State {
        zyntax_runtime *rt;
        int calls;
        int32_t refused;
        static void run(void *arg) {
            auto *self = static_cast<State *>(arg);
            self->calls++;
            self->refused = zyntax_runtime_post(self->rt, run, self);
        }
    } s{rt, 0, 0};
    REQUIRE(zyntax_runtime_post(rt, State::run, &s) == 0);
    rt.destroy();
    CHECK(s.calls == 2);
    CHECK(s.refused == ZYNTAX_ECANCELED);
}
