// zyntax_join_all: ready once all of a set of tasks have ended.
#include "gates_support.h"

#include <vector>

using namespace support;

namespace {

struct AllJoiner : Task {
    AllJoiner(zyntax_runtime *rt, std::vector<zyntax_task *> &handles) {
        on_poll = [this, &handles](Waker *waker) {
            return zyntax_join_all(handles.data(), handles.size(), &op, waker);
        };
        spawn(rt);
    }
};

} // namespace

TEST_CASE("join_all_waits_for_the_last_of_its_tasks") {
    Runtime rt;
    Gates gates(rt, 10);
    AllJoiner joiner(rt, gates.handles);
    settle(rt);
    for (size_t i : {3, 9, 0, 1, 2, 4, 5, 8, 7}) {
        gates.pass(i);
        settle(rt);
        CHECK(joiner.alive());
        CHECK(joiner.op != 0);
    }
    gates.pass(6);
    settle(rt);
    CHECK_FALSE(joiner.alive());
    CHECK(joiner.op == 0);
    CHECK(joiner.outcome == 0);
}

TEST_CASE("join_all_of_none_is_ready_at_once") {
    Runtime rt;
    std::vector<zyntax_task *> none;
    AllJoiner joiner(rt, none);
    settle(rt);
    CHECK(joiner.outcome == 0);
    CHECK(joiner.polls == 1);
}

TEST_CASE("join_all_waits_for_no_stale_own_or_foreign_handles_and_passes_over_null") {
    Runtime rt, other;
    Gates foreign(other, 1), gates(rt, 1), dead(rt, 1);
    settle(rt);
    dead.pass(0);
    settle(rt);
    std::vector<zyntax_task *> handles{nullptr, dead.handles[0], foreign.handles[0], gates.handles[0], nullptr};
    AllJoiner joiner(rt, handles);
    handles[4] = joiner.handle;
    settle(rt);
    CHECK(joiner.alive());
    gates.pass(0);
    settle(rt);
    CHECK(joiner.outcome == 0);
    CHECK(foreign.tasks[0].alive());

    std::vector<zyntax_task *> ended{nullptr, dead.handles[0], foreign.handles[0]};
    AllJoiner at_once(rt, ended);
    settle(rt);
    CHECK(at_once.polls == 1);
    CHECK(at_once.outcome == 0);
}

TEST_CASE("join_all_takes_the_same_task_more_than_once") {
    Runtime rt;
    Gates gates(rt, 1);
    std::vector<zyntax_task *> handles(5, gates.handles[0]);
    AllJoiner joiner(rt, handles);
    settle(rt);
    CHECK(joiner.alive());
    gates.pass(0);
    settle(rt);
    CHECK(joiner.outcome == 0);
}

TEST_CASE("join_all_of_many_tasks_costs_few_polls_and_leaves_nothing_behind") {
    Runtime rt;
    size_t n = scaled(5000);
    auto before = rt.stats();
    Gates gates(rt, n);
    AllJoiner joiner(rt, gates.handles);
    REQUIRE(rt.drive_until([&] { return joiner.polls == 1; }));
    for (size_t i = 0; i < n; i++) gates.pass(n - 1 - i);
    REQUIRE(rt.drain());
    CHECK(joiner.outcome == 0);
    CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
}

TEST_CASE("a_cancelled_join_all_leaves_its_tasks_running_and_nothing_behind") {
    Runtime rt;
    Gates gates(rt, 100);
    settle(rt);
    auto before = rt.stats();
    AllJoiner joiner(rt, gates.handles);
    settle(rt);
    zyntax_task_cancel(joiner.handle);
    settle(rt);
    CHECK(joiner.outcome == ZYNTAX_ECANCELED);
    CHECK(rt.stats().tasks_alive == 100);
    CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
}
