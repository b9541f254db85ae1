// Null, stale, foreign, random and mixed-up arguments: every function gives the documented error and never crashes.
#include "support.h"

#include <vector>

using namespace support;

namespace {

// Invalid handles, as raw words.
std::vector<uintptr_t> bad_words() {
    std::vector<uintptr_t> words{0, 1, 2, 3, 7, 8, 15, 16, 63, 64, 255, 4096, UINTPTR_MAX, UINTPTR_MAX - 1};
    for (int bit = 8; bit < int(8 * sizeof(uintptr_t)); bit++) words.push_back(uintptr_t(1) << bit);
    uint64_t bits = 0x243f6a8885a308d3;
    for (int i = 0; i < 2000; i++) {
        bits = bits * 6364136223846793005 + 1442695040888963407;
        words.push_back(uintptr_t(bits >> (i % 48)));
    }
    return words;
}

template <class T> T *as(uintptr_t word) { return reinterpret_cast<T *>(word); }

// A parked task, which is alive besides the bad handles, and another task that calls await points in its poll.
struct BadScene {
    Runtime rt;
    Task task{[](Waker *) { return POLL_PENDING; }};
    std::function<void(Waker *)> calls = nullptr;
    zyntax_op op = 0;
    int64_t result = unset;

    BadScene() {
        task.spawn(rt);
        zyntax_runtime_turn(rt, 0);
    }
    // Runs a function in a poll.
    void in_poll(std::function<void(Waker *)> what) {
        calls = std::move(what);
        Task caller{[this](Waker *waker) {
            calls(waker);
            return POLL_READY;
        }};
        caller.spawn(rt);
        zyntax_runtime_turn(rt, 0);
        CHECK(caller.polls == 1);
    }
    // Calls an await point; its result, or `unset` if it is pending.
    template <class Call> int64_t ask(Call call) {
        op = 0;
        result = unset;
        in_poll([&](Waker *waker) {
            if (call(&op, waker, &result) == POLL_READY && op == 0) return;
            zyntax_op_cancel(&op);
            result = unset;
        });
        return result;
    }
    void check_untouched() {
        CHECK(task.polls == 1);
        CHECK(task.alive());
        zyntax_runtime_turn(rt, 0);
        CHECK(task.polls == 1);
        CHECK(rt.stats().tasks_alive == 1);
    }
};

int nop_calls;
void nop(void *) { nop_calls++; }
int64_t job(void *) { return 0; }

// A socket pair and an open handle on one end.
struct OpenPair {
    Pair pair = socket_pair();
    Descriptor fd = pair.near;
    zyntax_io *io;
    explicit OpenPair(zyntax_runtime *rt) : io(adopt(rt, pair.near)) {}
};

} // namespace

TEST_CASE("bad_task_handles_count_as_ended_and_null_is_invalid") {
    BadScene s;
    int wrong = 0;
    for (uintptr_t word : bad_words()) {
        auto *bad = as<zyntax_task>(word);
        if (bad == s.task.handle) continue;
        int64_t expected = bad ? 0 : ZYNTAX_EINVAL;
        auto gives = [&](auto call) { wrong += s.ask(call) != expected; };
        wrong += zyntax_task_alive(bad) != 0;
        wrong += zyntax_task_cancel(bad) != ZYNTAX_ESTALE;
        wrong += zyntax_runtime_block_on(s.rt, bad) != expected;
        gives([&](auto *op, auto *w, auto *r) { return zyntax_task_join(bad, op, w, r); });
        gives([&](auto *op, auto *w, auto *r) { return zyntax_join_until(bad, op, UINT64_MAX, w, r); });
        gives([&](auto *op, auto *w, auto *r) { return zyntax_select(&bad, 1, op, w, r); });
        s.ask([&](auto *op, auto *w, auto *) {
            PollStatus status = zyntax_join_all(&bad, 1, op, w);
            wrong += status != POLL_READY;
            return status;
        });
    }
    CHECK(wrong == 0);
    s.check_untouched();
}

TEST_CASE("bad_io_handles_are_stale") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    BadScene s;
    OpenPair peer(s.rt);
    CHECK(zyntax_io_close(peer.io) == 0); // so that there is a place that handles could name
    int wrong = 0;
    char byte = 0;
    for (uintptr_t word : bad_words()) {
        auto *bad = as<zyntax_io>(word);
        intptr_t fd = -2;
        zyntax_io *out = nullptr;
        wrong += zyntax_io_close(bad) != ZYNTAX_ESTALE;
        wrong += zyntax_io_detach(bad, &fd) != ZYNTAX_ESTALE;
        wrong += zyntax_io_fd(bad) != -1;
        wrong += zyntax_tcp_port(bad) != ZYNTAX_ESTALE;
        wrong += zyntax_tcp_shutdown(bad) != ZYNTAX_ESTALE;
        auto stale = [&](auto call) { wrong += s.ask(call) != ZYNTAX_ESTALE; };
        stale([&](auto *op, auto *w, auto *r) { return zyntax_io_ready(bad, op, ZYNTAX_READABLE, w, r); });
        stale([&](auto *op, auto *w, auto *r) { return zyntax_io_read(bad, op, &byte, 1, w, r); });
        stale([&](auto *op, auto *w, auto *r) { return zyntax_io_write(bad, op, &byte, 1, w, r); });
        stale([&](auto *op, auto *w, auto *r) { return zyntax_tcp_accept(bad, op, w, &out, r); });
        stale([&](auto *op, auto *w, auto *r) { return zyntax_udp_send(bad, op, &byte, 1, nullptr, w, r); });
        stale([&](auto *op, auto *w, auto *r) { return zyntax_udp_recv(bad, op, &byte, 1, nullptr, w, r); });
        stale([&](auto *op, auto *w, auto *r) { return zyntax_unix_send_fd(bad, op, 0, w, r); });
        stale([&](auto *op, auto *w, auto *r) { return zyntax_unix_recv_fd(bad, op, &fd, w, r); });
    }
    CHECK(wrong == 0);
    s.check_untouched();
}

TEST_CASE("bad_channel_handles_are_stale") {
    BadScene s;
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(s.rt, 1, 1, &channel) == 0);
    CHECK(zyntax_channel_destroy(channel) == 0);
    int wrong = 0;
    char byte = 0;
    for (uintptr_t word : bad_words()) {
        auto *bad = as<zyntax_channel>(word);
        wrong += zyntax_channel_close(bad) != ZYNTAX_ESTALE;
        wrong += zyntax_channel_destroy(bad) != ZYNTAX_ESTALE;
        auto stale = [&](auto call) { wrong += s.ask(call) != ZYNTAX_ESTALE; };
        stale([&](auto *op, auto *w, auto *r) { return zyntax_channel_send(bad, op, &byte, w, r); });
        stale([&](auto *op, auto *w, auto *r) { return zyntax_channel_recv(bad, op, &byte, w, r); });
    }
    CHECK(wrong == 0);
    s.check_untouched();
}

TEST_CASE("handles_of_one_kind_are_not_taken_for_another") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    BadScene s;
    OpenPair peer(s.rt);
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(s.rt, 1, 1, &channel) == 0);
    auto word = [](auto *handle) { return reinterpret_cast<uintptr_t>(handle); };
    CHECK(zyntax_io_close(as<zyntax_io>(word(channel))) == ZYNTAX_ESTALE);
    CHECK(zyntax_channel_close(as<zyntax_channel>(word(peer.io))) == ZYNTAX_ESTALE);
    CHECK(zyntax_io_fd(as<zyntax_io>(word(channel))) == -1);
    CHECK(zyntax_io_fd(peer.io) == peer.fd);
    CHECK(zyntax_channel_destroy(channel) == 0);
    CHECK(zyntax_channel_destroy(channel) == ZYNTAX_ESTALE);
    CHECK(zyntax_io_close(peer.io) == 0);
    CHECK(zyntax_io_close(peer.io) == ZYNTAX_ESTALE);
    s.check_untouched();
}

TEST_CASE("handles_of_a_destroyed_runtime_are_stale") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Runtime gone;
    OpenPair peer(gone);
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(gone, 1, 1, &channel) == 0);
    gone.destroy();
    BadScene s; // may have the memory of the other one
    CHECK(zyntax_io_fd(peer.io) == -1);
    CHECK(zyntax_io_close(peer.io) == ZYNTAX_ESTALE);
    CHECK(zyntax_channel_close(channel) == ZYNTAX_ESTALE);
    s.check_untouched();
}

TEST_CASE("a_null_op_or_waker_or_result_is_invalid") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    BadScene s;
    OpenPair peer(s.rt);
    char byte = 0;
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(s.rt, 1, 1, &channel) == 0);
    zyntax_task *target = s.task.handle;
    zyntax_io *out = nullptr;
    using Op = zyntax_op *;
    using Res = int64_t *;
    const std::function<PollStatus(Op, Waker *, Res)> calls[] = {
        [&](Op op, Waker *w, Res r) { return zyntax_task_join(target, op, w, r); },
        [&](Op op, Waker *w, Res r) { return zyntax_join_until(target, op, UINT64_MAX, w, r); },
        [&](Op op, Waker *w, Res r) { return zyntax_select(&target, 1, op, w, r); },
        [&](Op op, Waker *w, Res r) { return zyntax_io_ready(peer.io, op, ZYNTAX_READABLE, w, r); },
        [&](Op op, Waker *w, Res r) { return zyntax_io_read(peer.io, op, &byte, 1, w, r); },
        [&](Op op, Waker *w, Res r) { return zyntax_tcp_accept(peer.io, op, w, &out, r); },
        [&](Op op, Waker *w, Res r) { return zyntax_tcp_connect(s.rt, op, "127.0.0.1", 1, w, &out, r); },
        [&](Op op, Waker *w, Res r) { return zyntax_blocking(s.rt, op, job, nullptr, 0, w, r); },
        [&](Op op, Waker *w, Res r) { return zyntax_channel_recv(channel, op, &byte, w, r); },
    };
    s.in_poll([&](Waker *waker) {
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            CAPTURE(i);
            zyntax_op op = 0;
            int64_t result = unset;
            CHECK(calls[i](nullptr, waker, &result) == POLL_READY);
            CHECK(result == ZYNTAX_EINVAL);
            result = unset;
            CHECK(calls[i](&op, nullptr, &result) == POLL_READY);
            CHECK(result == ZYNTAX_EINVAL);
            CHECK(calls[i](&op, waker, nullptr) == POLL_READY);
            CHECK(op == 0);
        }
        zyntax_op op = 0;
        CHECK(zyntax_sleep(s.rt, nullptr, ms, waker) == POLL_READY);
        CHECK(zyntax_sleep(s.rt, &op, ms, nullptr) == POLL_READY);
        CHECK(zyntax_sleep(nullptr, &op, ms, waker) == POLL_READY);
        CHECK(zyntax_sleep_until(s.rt, nullptr, UINT64_MAX, waker) == POLL_READY);
        CHECK(zyntax_sleep_until(s.rt, &op, UINT64_MAX, nullptr) == POLL_READY);
        CHECK(zyntax_join_all(&target, 1, nullptr, waker) == POLL_READY);
        CHECK(zyntax_join_all(&target, 1, &op, nullptr) == POLL_READY);
        CHECK(op == 0);
    });
    s.check_untouched();
}

TEST_CASE("null_runtimes_functions_and_out_pointers_give_the_documented_answer") {
    BadScene s;
    int64_t value = 0;
    zyntax_promise no_poll{nullptr, nullptr};
    zyntax_channel *channel = nullptr;
    CHECK(zyntax_runtime_spawn(nullptr, nullptr, ends_at_once) == nullptr);
    CHECK(zyntax_runtime_spawn(s.rt, nullptr, nullptr) == nullptr);
    CHECK(zyntax_runtime_spawn_with(nullptr, nullptr, ends_at_once, nullptr, 0) == nullptr);
    CHECK(zyntax_runtime_spawn_with(s.rt, nullptr, nullptr, nullptr, 0) == nullptr);
    CHECK(zyntax_runtime_post(s.rt, nullptr, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_post(nullptr, nop, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_get_stats(s.rt, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_dump(s.rt, nullptr, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_promise_spawn(nullptr, &no_poll, &value) == nullptr);
    CHECK(zyntax_promise_spawn(s.rt, nullptr, &value) == nullptr);
    CHECK(zyntax_promise_spawn(s.rt, &no_poll, &value) == nullptr);
    CHECK(zyntax_promise_block_on(s.rt, &no_poll) == ZYNTAX_EINVAL);
    CHECK(zyntax_promise_block_on(s.rt, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_channel_create(s.rt, 1, 1, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_channel_create(s.rt, 0, 1, &channel) == ZYNTAX_EINVAL);
    CHECK(zyntax_channel_create(nullptr, 1, 1, &channel) == ZYNTAX_EINVAL);
    CHECK(zyntax_channel_create(s.rt, SIZE_MAX, SIZE_MAX, &channel) < 0);
    CHECK(zyntax_channel_create(s.rt, SIZE_MAX, 1, &channel) < 0);
    CHECK(zyntax_channel_create(s.rt, 1, SIZE_MAX, &channel) < 0);
    zyntax_wake_from_signal(nullptr);
    CHECK(zyntax_now_ns(nullptr) == 0);
    CHECK(nop_calls == 0);
    s.check_untouched();
}

TEST_CASE("a_live_task_of_another_runtime_is_foreign") {
    BadScene s, other;
    zyntax_task *foreign = other.task.handle;
    CHECK(zyntax_runtime_block_on(s.rt, foreign) == ZYNTAX_ESTALE);
    CHECK(s.ask([&](auto *op, auto *w, auto *r) { return zyntax_task_join(foreign, op, w, r); }) == ZYNTAX_ESTALE);
    CHECK(s.ask([&](auto *op, auto *w, auto *r) { return zyntax_join_until(foreign, op, UINT64_MAX, w, r); }) ==
          ZYNTAX_ESTALE);
    s.check_untouched();
    other.check_untouched();
    CHECK(zyntax_task_alive(foreign) == 1);
    CHECK(zyntax_task_cancel(foreign) == 0); // that goes from anywhere
    zyntax_runtime_turn(other.rt, 0);
    CHECK(other.task.outcome == ZYNTAX_ECANCELED);
}

TEST_CASE("op_words_that_were_made_up_do_no_harm") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    BadScene s;
    OpenPair peer(s.rt);
    char byte = 0;
    int64_t result = 0;
    zyntax_task *target = s.task.handle;
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(s.rt, 1, 1, &channel) == 0);
    int wrong = 0;
    auto with = [&](Waker *waker, uintptr_t word) {
        const std::function<PollStatus(zyntax_op *)> calls[] = {
            [&](zyntax_op *op) { return zyntax_task_join(target, op, waker, &result); },
            [&](zyntax_op *op) { return zyntax_join_until(target, op, UINT64_MAX, waker, &result); },
            [&](zyntax_op *op) { return zyntax_join_all(&target, 1, op, waker); },
            [&](zyntax_op *op) { return zyntax_select(&target, 1, op, waker, &result); },
            [&](zyntax_op *op) { return zyntax_io_read(peer.io, op, &byte, 1, waker, &result); },
            [&](zyntax_op *op) { return zyntax_channel_recv(channel, op, &byte, waker, &result); },
        };
        zyntax_op op = word;
        wrong += zyntax_sleep(s.rt, &op, 3'600'000 * ms, waker) != POLL_READY || op != 0; // "already ended"
        for (auto &call : calls) {
            op = word;
            if (call(&op) == POLL_READY) wrong += op != 0;
            else zyntax_op_cancel(&op);
        }
    };
    for (uintptr_t word : bad_words())
        if (word != 0) s.in_poll([&](Waker *waker) { with(waker, word); });
    CHECK(wrong == 0);
    CHECK(s.rt.stats().timers_pending == 0);
    CHECK(zyntax_io_close(peer.io) == 0);
    CHECK(zyntax_channel_destroy(channel) == 0);
    s.check_untouched();
}

TEST_CASE("an_op_of_one_kind_given_to_an_await_point_of_another_does_no_harm") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    BadScene s;
    OpenPair peer(s.rt);
    char byte = 0;
    int64_t result = 0;
    zyntax_task *target = s.task.handle;
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(s.rt, 1, 1, &channel) == 0);
    using Call = std::function<PollStatus(zyntax_op *, Waker *)>;
    const Call calls[] = {
        [&](zyntax_op *op, Waker *w) { return zyntax_sleep(s.rt, op, 3'600'000 * ms, w); },
        [&](zyntax_op *op, Waker *w) { return zyntax_task_join(target, op, w, &result); },
        [&](zyntax_op *op, Waker *w) { return zyntax_join_until(target, op, UINT64_MAX, w, &result); },
        [&](zyntax_op *op, Waker *w) { return zyntax_join_all(&target, 1, op, w); },
        [&](zyntax_op *op, Waker *w) { return zyntax_select(&target, 1, op, w, &result); },
        [&](zyntax_op *op, Waker *w) { return zyntax_io_ready(peer.io, op, ZYNTAX_READABLE, w, &result); },
        [&](zyntax_op *op, Waker *w) { return zyntax_io_read(peer.io, op, &byte, 1, w, &result); },
        [&](zyntax_op *op, Waker *w) { return zyntax_channel_recv(channel, op, &byte, w, &result); },
        [&](zyntax_op *op, Waker *w) { return zyntax_blocking(s.rt, op, job, nullptr, 0, w, &result); },
    };
    for (auto &first : calls)
        for (auto &second : calls)
            s.in_poll([&](Waker *waker) {
                zyntax_op op = 0;
                CHECK(first(&op, waker) == POLL_PENDING);
                if (second(&op, waker) == POLL_READY) CHECK(op == 0);
                zyntax_op_cancel(&op);
                CHECK(op == 0);
            });
    CHECK(zyntax_io_close(peer.io) == 0);
    CHECK(zyntax_channel_destroy(channel) == 0);
    CHECK(s.rt.drive_until([&] { return s.rt.stats().blocking_pending == 0; }));
    s.check_untouched();
}

TEST_CASE("configurations_that_are_not_understood_are_invalid") {
    struct Bigger {
        zyntax_runtime_config known;
        uintptr_t unknown; // with no padding before it
    } bigger{config(), 0};
    bigger.known.size = sizeof bigger;
    int32_t error = 1;
    zyntax_runtime *rt = zyntax_runtime_create_with(&bigger.known, &error); // from a newer header, all default
    CHECK(rt != nullptr);
    CHECK(error == 0);
    zyntax_runtime_destroy(rt);

    auto rejected = [&](const zyntax_runtime_config &c) {
        error = 1;
        return zyntax_runtime_create_with(&c, &error) == nullptr && error == ZYNTAX_EINVAL;
    };
    bigger.unknown = 1;
    CHECK(rejected(bigger.known));
    auto c = config();
    c.size = 0;
    CHECK(rejected(c));
    c = config();
    c.flags = 0x80000000;
    CHECK(rejected(c));
    Heap heap;
    c = heap.config();
    c.free = nullptr;
    CHECK(rejected(c));
    c = heap.config();
    c.alloc = nullptr;
    CHECK(rejected(c));
    CHECK(zyntax_runtime_create_with(&c, nullptr) == nullptr);
    rt = zyntax_runtime_create_with(nullptr, nullptr);
    CHECK(rt != nullptr);
    zyntax_runtime_destroy(rt);
}

TEST_CASE("stats_of_a_small_size_are_partly_filled_and_of_a_smaller_one_refused") {
    BadScene s;
    zyntax_runtime_stats stats{};
    stats.size = sizeof(size_t);
    CHECK(zyntax_runtime_get_stats(s.rt, &stats) == ZYNTAX_EINVAL);
    stats.size = offsetof(zyntax_runtime_stats, tasks_spawned);
    stats.tasks_spawned = unset;
    CHECK(zyntax_runtime_get_stats(s.rt, &stats) == 0);
    CHECK(stats.tasks_alive == 1);
    CHECK(stats.tasks_spawned == uint64_t(unset)); // beyond the size
    CHECK(stats.size == offsetof(zyntax_runtime_stats, tasks_spawned));
}
