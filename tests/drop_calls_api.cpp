// A drop function may call every function of the API except those that drive or destroy, however the task ended.
#include "support.h"

using namespace support;

namespace {

// A drop that calls every function. `at_destroy` decides the expected result of spawn.
struct Caller {
    zyntax_runtime *rt;
    bool at_destroy = false;
    int calls = 0, posted = 0;
    Waker parked_waker{}; // of a task that is alive, as an await point in a drop has no task of its own
    zyntax_task *parked = nullptr;
    zyntax_task *own = nullptr;
    int child_polls = 0;
    zyntax_op op = 0;

    static PollStatus child(FutureState state, Waker *) {
        static_cast<Caller *>(state)->child_polls++;
        return POLL_READY;
    }
    void tasks_and_memory() {
        CHECK((zyntax_runtime_spawn(rt, this, child) == nullptr) == at_destroy);
        CHECK(zyntax_task_alive(own) == 0); // it has ended
        CHECK(zyntax_task_cancel(own) == ZYNTAX_ESTALE);
        parked_waker.wake(parked_waker.data);
        zyntax_wake_from_signal(&parked_waker);
        void *state = zyntax_state_alloc(rt, 100);
        CHECK(state != nullptr);
        zyntax_state_free(rt, state, 100);
        CHECK(zyntax_current_runtime() == nullptr); // no task is being polled
        CHECK(zyntax_current_waker(&parked_waker) == ZYNTAX_EINVAL);
    }
    void await_points() {
        int64_t result = 1;
        CHECK(zyntax_task_join(own, &op, &parked_waker, &result) == POLL_READY);
        CHECK(result == 0);
        CHECK(zyntax_join_all(&own, 1, &op, &parked_waker) == POLL_READY);
        CHECK(zyntax_select(&own, 1, &op, &parked_waker, &result) == POLL_READY);
        CHECK(zyntax_sleep(rt, &op, 0, &parked_waker) == POLL_READY);
        if (zyntax_sleep(rt, &op, 3'600'000 * ms, &parked_waker) == POLL_PENDING) zyntax_op_cancel(&op);
        zyntax_sleep(rt, &op, ms, &parked_waker); // and a forgotten operation
        op = 0;
    }
    void the_rest() {
        zyntax_runtime_stats stats{};
        stats.size = sizeof stats;
        CHECK(zyntax_runtime_get_stats(rt, &stats) == 0);
        int64_t timeout = zyntax_runtime_next_timeout_ns(rt);
        CHECK(timeout >= -1);
        zyntax_runtime_hold(rt);
        zyntax_runtime_release(rt);
        CHECK(zyntax_now_ns(rt) != 0);
        zyntax_runtime_backend_fd(rt);
        zyntax_runtime_dump(
            rt, [](void *, const zyntax_task_info *) {}, nullptr);
        int32_t code = zyntax_runtime_post(
            rt, [](void *self) { static_cast<Caller *>(self)->posted++; }, this);
        if (!at_destroy) CHECK(code == 0);
    }
    void io_and_channels() {
        if constexpr (has_sockets) {
            Pair pair = socket_pair();
            zyntax_io *io = nullptr;
            int32_t opened = zyntax_io_open(rt, pair.near, &io);
            if (!at_destroy) CHECK(opened == 0);
            if (opened == 0) {
                pair.near.release();
                zyntax_io_close(io);
            }
        }
        zyntax_channel *channel = nullptr;
        int32_t created = zyntax_channel_create(rt, 1, 1, &channel);
        if (!at_destroy) CHECK(created == 0);
        if (created == 0) CHECK(zyntax_channel_destroy(channel) == 0);
    }
    void call_everything() {
        calls++;
        tasks_and_memory();
        await_points();
        the_rest();
        io_and_channels();
        zyntax_task_cancel(parked);
    }
};

// A runtime with a parked task, and a task whose drop calls everything.
struct Stage {
    Runtime rt;
    Caller caller{rt};
    Task parked{[this](Waker *waker) {
        caller.parked_waker = *waker;
        return POLL_PENDING;
    }};
    Task task{[](Waker *) { return POLL_PENDING; }, [this](int32_t) { caller.call_everything(); }};

    Stage() {
        caller.parked = parked.spawn(rt);
        zyntax_runtime_turn(rt, 0);
        caller.own = task.spawn(rt);
    }
    void check_settled() {
        REQUIRE(rt.drain());
        CHECK(caller.calls == 1);
        CHECK(caller.child_polls == 1);
        REQUIRE(rt.drive_until([this] { return caller.posted == 1; }));
        CHECK(parked.drops == 1);
        CHECK(task.drops == 1);
        REQUIRE(rt.drive_until([this] { return rt.stats().timers_pending == 0; })); // the forgotten one
    }
};

} // namespace

TEST_CASE("a_drop_after_ready_may_call_everything") {
    Stage stage;
    stage.task.on_poll = [](Waker *) { return POLL_READY; };
    stage.check_settled();
    CHECK(stage.task.outcome == 0);
}

TEST_CASE("a_drop_after_cancel_may_call_everything") {
    Stage stage;
    zyntax_runtime_turn(stage.rt, 0);
    CHECK(zyntax_task_cancel(stage.task.handle) == 0);
    stage.check_settled();
    CHECK(stage.task.outcome == ZYNTAX_ECANCELED);
}

TEST_CASE("a_drop_during_destroy_may_call_everything") {
    Stage stage;
    zyntax_runtime_turn(stage.rt, 0);
    stage.caller.at_destroy = true;
    stage.rt.destroy();
    CHECK(stage.caller.calls == 1);
    CHECK(stage.caller.child_polls == 0);
    CHECK(stage.parked.drops == 1);
    CHECK(stage.task.drops == 1);
}

TEST_CASE("a_drop_that_respawns_its_state_runs_it_anew") {
    Runtime rt;
    Task task{[](Waker *) { return POLL_READY; }};
    task.on_drop = [&](int32_t) {
        if (task.drops < 1000) task.spawn(rt);
    };
    task.spawn(rt);
    REQUIRE(rt.drain());
    CHECK(task.polls == 1000);
    CHECK(task.drops == 1000);
}

TEST_CASE("a_drop_that_stops_the_runtime_ends_the_run") {
    Runtime rt;
    Task task{[](Waker *) { return POLL_READY; }, [&](int32_t) { zyntax_runtime_stop(rt); }};
    Task other{[](Waker *) { return POLL_PENDING; }};
    other.spawn(rt);
    task.spawn(rt);
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED);
    CHECK(task.drops == 1);
    CHECK(other.alive());
}
