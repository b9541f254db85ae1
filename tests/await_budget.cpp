// The await budget bounds one poll. After that many await points that were ready at once, the next one wakes the task
// and begins nothing. Timers, I/O and other tasks go on.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"
#include "promise_support.h"

using namespace support;

namespace {

constexpr int usual = 128;

zyntax_runtime_config with_budget(uint32_t await_budget) {
    zyntax_runtime_config c = config();
    c.await_budget = await_budget;
    return c;
}

// Calls an operation in each poll until it is pending; the numbers of calls that were ready at once, one for each poll.
struct Greedy {
    Operation operation;
    int polls_left;
    std::vector<int> ready{};
    zyntax_op begun = 0; // the value that a call left in *op with POLL_PENDING
    ScopedTask task;

    Greedy(zyntax_runtime *rt, Operation o, int polls = 3) : operation(std::move(o)), polls_left(polls), task(rt) {
        task.on_poll = [this](Waker *waker) {
            int64_t result = unset;
            ready.push_back(0);
            while (operation(&task.op, waker, &result) == POLL_READY && ready.back() < 100'000) ready.back()++;
            begun |= task.op;
            return --polls_left ? POLL_PENDING : POLL_READY;
        };
        task.start();
    }
};

void check_bound(Runtime &rt, const Operation &operation) {
    uint64_t before = rt.stats().blocking_pending + rt.stats().timers_pending;
    Greedy greedy(rt, operation);
    REQUIRE(rt.drive_until([&] { return !greedy.task.alive(); }));
    CHECK(greedy.ready == std::vector<int>{usual, usual, usual});
    CHECK(greedy.begun == 0);
    CHECK(rt.stats().blocking_pending + rt.stats().timers_pending == before);
}

int64_t job(void *) { return 1; }

// Spends the budget of the poll that runs.
void spend(zyntax_runtime *rt, Waker *waker) {
    zyntax_op op = 0;
    while (zyntax_sleep(rt, &op, 0, waker) == POLL_READY) {
    }
}

} // namespace

TEST_CASE("sleeps_and_joins_that_are_over_end_a_poll_after_its_budget") {
    Runtime rt;
    zyntax_task *ended = zyntax_runtime_spawn(rt, nullptr, ends_at_once);
    REQUIRE(rt.drain());
    zyntax_task *const tasks[] = {ended};
    check_bound(rt, sleeping(rt, 0));
    check_bound(rt, [&](zyntax_op *op, Waker *waker, int64_t *) { return zyntax_sleep_until(rt, op, 1, waker); });
    check_bound(
        rt, [&](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_task_join(ended, op, waker, result); });
    check_bound(rt, [&](zyntax_op *op, Waker *waker, int64_t *) { return zyntax_join_all(tasks, 1, op, waker); });
    check_bound(
        rt, [&](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_select(tasks, 1, op, waker, result); });
    check_bound(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_join_until(ended, op, UINT64_MAX, waker, result);
    });
}

TEST_CASE("a_channel_that_is_never_empty_or_full_ends_a_poll_after_its_budget") {
    Runtime rt;
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(rt, 1000, 0, &channel) == 0);
    check_bound(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_channel_send(channel, op, nullptr, waker, result);
    });
    check_bound(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_channel_recv(channel, op, nullptr, waker, result);
    });
}

TEST_CASE("calls_that_fail_at_once_end_a_poll_after_its_budget") {
    Runtime rt;
    zyntax_io *out = nullptr;
    check_bound(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_io_read(nullptr, op, nullptr, 0, waker, result);
    });
    check_bound(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_tcp_accept(nullptr, op, waker, &out, result);
    });
    check_bound(rt, connecting(rt, nullptr, 1, &out));
    check_bound(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_blocking(rt, op, nullptr, nullptr, 0, waker, result);
    });
}

TEST_CASE("an_operation_of_a_spent_poll_has_not_begun") {
    SKIP_WHEN(!has_threads, "there are no threads");
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 7;
    zyntax_io *out = nullptr;
    const Operation operations[] = {blocking(rt, job, nullptr, 0), sleeping(rt, 1), sending(channel, &item),
                                    receiving(channel, &item), connecting(rt, "127.0.0.1", 1, &out)};
    for (const Operation &operation : operations) {
        ScopedTask task(rt);
        bool again = false;
        task.on_poll = [&](Waker *waker) {
            int64_t result = unset;
            if (std::exchange(again, true)) return POLL_READY;
            spend(rt, waker);
            CHECK(operation(&task.op, waker, &result) == POLL_PENDING);
            CHECK(task.op == 0);
            CHECK(result == unset);
            return POLL_PENDING;
        };
        task.start();
        REQUIRE(rt.drive_until([&] { return !task.alive(); }));
        CHECK(rt.stats().blocking_pending + rt.stats().timers_pending + rt.stats().io_open == 0);
    }
    zyntax_channel_close(channel);
    CHECK(await(rt, receiving(channel, &item)) == 0); // nothing was sent
}

TEST_CASE("an_operation_that_has_begun_ends_in_a_spent_poll_too") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int received = 0;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        int64_t result = unset;
        if (task.polls > 1) spend(rt, waker);
        return zyntax_channel_recv(channel, &task.op, &received, waker, &result);
    };
    task.start();
    settle(rt);
    send_now(rt, channel, 7);
    REQUIRE(rt.drive_until([&] { return !task.alive(); }));
    CHECK(received == 7);
    CHECK(task.polls == 2);
}

TEST_CASE("the_budget_is_configured_and_may_be_none") {
    for (uint32_t await_budget : {1u, 9u, 1000u, UINT32_MAX}) {
        Runtime rt(with_budget(await_budget));
        Greedy greedy(rt, sleeping(rt, 0), 2);
        int expected = await_budget == UINT32_MAX ? 100'000 : int(await_budget);
        REQUIRE(rt.drive_until([&] { return greedy.task.polls > 0; }));
        CHECK(greedy.ready.front() == expected);
    }
}

TEST_CASE("calls_outside_of_polls_have_no_budget") {
    Runtime rt;
    auto call_often = [&] {
        for (int i = 0; i < 1000; i++) CHECK(at_once(sleeping(rt, 0)) == 0);
    };
    call_often();
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        spend(rt, waker);
        return POLL_READY;
    };
    task.on_drop = [&](int32_t) { call_often(); };
    task.start();
    REQUIRE(rt.drive_until([&] { return !task.alive(); }));
    CHECK(task.drops == 1);
    call_often();
}

TEST_CASE("a_host_waker_in_a_spent_poll_is_called_once_by_the_loop") {
    Runtime rt;
    HostOp host(sleeping(rt, 0));
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        spend(rt, waker);
        CHECK(host.call() == POLL_PENDING);
        return POLL_READY;
    };
    task.start();
    REQUIRE(rt.drive_until([&] { return host.host.wakes > 0; }));
    CHECK(host.call() == POLL_READY);
    CHECK(host.host.wakes == 1);
    CHECK_FALSE(host.host.was_inline);
}

TEST_CASE("a_job_that_a_host_asks_for_in_a_spent_poll_begins_with_the_next_call") {
    SKIP_WHEN(!has_threads, "a WASI program has no blocking pool");
    Runtime rt;
    HostOp host(blocking(rt, job, nullptr, 0));
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        spend(rt, waker);
        CHECK(host.call() == POLL_PENDING);
        return POLL_READY;
    };
    task.start();
    REQUIRE(rt.drive_until([&] { return host.host.wakes > 0; }));
    CHECK(host.call() == POLL_PENDING);
    REQUIRE(rt.drive_until([&] { return host.call() == POLL_READY; }));
    CHECK(host.result == 1);
}

// Polls and not time are counted: a spent poll makes the round look at timers sooner.
TEST_CASE("a_flood_lets_a_timer_through_within_nine_polls") {
    Clock clock;
    Runtime rt(clock.config());
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0, polls_when_due = 0, polls_when_fired = 0;
    ScopedTask flood(rt);
    flood.on_poll = [&](Waker *waker) {
        if (flood.polls == 20) {
            clock.now += 10 * ms;
            polls_when_due = flood.polls;
        }
        for (int64_t result = unset;;) {
            if (zyntax_channel_send(channel, &flood.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
            if (zyntax_channel_recv(channel, &flood.op, &item, waker, &result) == POLL_PENDING) return POLL_PENDING;
        }
    };
    Await sleeper(rt, sleeping(rt, 5 * ms));
    settle(rt);
    sleeper.task.on_drop = [&](int32_t) { polls_when_fired = flood.polls; };
    flood.start();
    REQUIRE(rt.drive_until([&] { return !sleeper.alive(); }));
    CHECK(polls_when_fired - polls_when_due <= 9);
    flood.on_poll = [](Waker *) { return POLL_READY; };
}

// A maker copies its arguments in the call, also without a budget.
TEST_CASE("a_promise_that_is_made_in_a_spent_poll_has_copied_its_arguments") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    zyntax_promise *sent = nullptr;
    Promise program{[&](Promise &self) -> int64_t {
        if (self.polls == 1) {
            Waker waker = current();
            int item = 7;
            spend(rt, &waker);
            sent = zyntax_promise_send(channel, &item);
            item = 8;
        }
        return sent->poll(sent->state);
    }};
    program.spawn(rt);
    REQUIRE(rt.drive_until([&] { return !program.alive(); }));
    CHECK(program.result == 1);
    CHECK(receive_now(rt, channel) == 7);
}

TEST_CASE("promises_that_have_values_end_a_poll_after_its_budget") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1000, 0);
    std::vector<int> values;
    Promise program{[&](Promise &self) -> int64_t {
        for (values.push_back(0); values.back() < 1000; values.back()++) {
            zyntax_promise *sent = zyntax_promise_send(channel, nullptr);
            if (!sent->poll(sent->state)) break;
        }
        return self.polls < 3 ? 0 : 5;
    }};
    program.spawn(rt);
    REQUIRE(rt.drive_until([&] { return !program.alive(); }));
    CHECK(values == std::vector<int>{usual, usual, usual});
    CHECK(program.result == 5);
}
