// zyntax_select: ready once one of a set of tasks has ended, with its index.
#include "gates_support.h"

#include <vector>

using namespace support;

namespace {

struct Selector : Task {
    int64_t result = unset;
    Selector(zyntax_runtime *rt, std::vector<zyntax_task *> &handles) {
        on_poll = [this, &handles](Waker *waker) {
            return zyntax_select(handles.data(), handles.size(), &op, waker, &result);
        };
        spawn(rt);
    }
};

} // namespace

TEST_CASE("select_tells_which_task_ended_and_the_others_go_on") {
    Runtime rt;
    for (size_t winner = 0; winner < 5; winner++) {
        Gates gates(rt, 5);
        Selector selector(rt, gates.handles);
        settle(rt);
        CHECK(selector.polls == 1);
        gates.pass(winner);
        settle(rt);
        CHECK(selector.polls == 2);
        CHECK(selector.result == int64_t(winner));
        CHECK(selector.op == 0);
        CHECK(rt.stats().tasks_alive == 4);
        for (size_t i = 0; i < 5; i++) zyntax_task_cancel(gates.handles[i]);
        REQUIRE(rt.drain());
    }
}

TEST_CASE("select_tells_the_lowest_index_when_several_have_ended") {
    Runtime rt;
    Gates gates(rt, 5);
    settle(rt);
    gates.pass(4);
    gates.pass(2);
    settle(rt);
    Selector selector(rt, gates.handles);
    settle(rt);
    CHECK(selector.polls == 1);
    CHECK(selector.result == 2);
}

TEST_CASE("select_with_a_null_handle_anywhere_is_invalid") {
    Runtime rt;
    Gates gates(rt, 2), dead(rt, 1);
    settle(rt);
    dead.pass(0);
    settle(rt);
    std::vector<zyntax_task *> live{gates.handles[0], gates.handles[1]}, ended{dead.handles[0], gates.handles[0]};
    for (std::vector<zyntax_task *> handles : {live, ended, {}}) {
        for (size_t at = 0; at <= handles.size(); at++) {
            CAPTURE(at);
            std::vector<zyntax_task *> with = handles;
            with.insert(with.begin() + ptrdiff_t(at), nullptr);
            Selector selector(rt, with);
            settle(rt);
            CHECK(selector.result == ZYNTAX_EINVAL);
            CHECK(selector.op == 0);
            CHECK(selector.polls == 1);
        }
    }
}

TEST_CASE("select_of_none_is_invalid") {
    Runtime rt;
    std::vector<zyntax_task *> none;
    Selector selector(rt, none);
    settle(rt);
    CHECK(selector.result == ZYNTAX_EINVAL);
    CHECK(selector.op == 0);
}

TEST_CASE("select_of_only_oneself_is_a_deadlock") {
    Runtime rt;
    std::vector<zyntax_task *> handles(2);
    Selector selector(rt, handles);
    handles[0] = handles[1] = selector.handle;
    settle(rt);
    CHECK(selector.result == ZYNTAX_EDEADLK);
    CHECK(selector.op == 0);
}

TEST_CASE("select_passes_over_oneself_and_tasks_of_other_runtimes") {
    Runtime rt, other;
    Gates gates(rt, 1), foreign(other, 1);
    std::vector<zyntax_task *> handles(3);
    Selector selector(rt, handles);
    handles = {selector.handle, foreign.handles[0], gates.handles[0]};
    settle(rt);
    CHECK(selector.alive());
    gates.pass(0);
    settle(rt);
    CHECK(selector.result == 2);
    CHECK(foreign.tasks[0].alive());
}

TEST_CASE("select_takes_the_same_task_more_than_once") {
    Runtime rt;
    Gates gates(rt, 2);
    std::vector<zyntax_task *> handles{gates.handles[1], gates.handles[0], gates.handles[0], gates.handles[0]};
    Selector selector(rt, handles);
    settle(rt);
    gates.pass(0);
    settle(rt);
    CHECK(selector.polls == 2);
    CHECK(selector.result == 1);
}

TEST_CASE("select_in_a_loop_serves_every_task_once") {
    Runtime rt;
    Gates gates(rt, 20);
    std::vector<zyntax_task *> left = gates.handles;
    std::vector<size_t> served(20, 0);
    std::vector<size_t> index(20);
    for (size_t i = 0; i < 20; i++) index[i] = i;
    Task server;
    server.on_poll = [&](Waker *waker) {
        int64_t which = unset;
        while (!left.empty()) {
            if (zyntax_select(left.data(), left.size(), &server.op, waker, &which) == POLL_PENDING) return POLL_PENDING;
            if (which < 0 || size_t(which) >= left.size()) return POLL_READY;
            served[index[size_t(which)]]++;
            left.erase(left.begin() + which);
            index.erase(index.begin() + which);
        }
        return POLL_READY;
    };
    server.spawn(rt);
    settle(rt);
    for (size_t i = 0; i < 20; i++) {
        gates.pass(i * 7 % 20);
        if (i % 3 == 0) settle(rt);
    }
    REQUIRE(rt.drain());
    for (size_t n : served) CHECK(n == 1);
}

TEST_CASE("a_select_that_is_over_or_cancelled_leaves_nothing_behind") {
    Runtime rt;
    Gates gates(rt, 50);
    settle(rt);
    auto before = rt.stats();
    {
        Selector cancelled(rt, gates.handles);
        settle(rt);
        zyntax_task_cancel(cancelled.handle);
        settle(rt);
        CHECK(cancelled.outcome == ZYNTAX_ECANCELED);
    }
    CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
    Selector over(rt, gates.handles);
    settle(rt);
    gates.pass(17);
    settle(rt);
    CHECK(over.result == 17);
    CHECK(rt.stats().bytes_in_use < before.bytes_in_use); // one task less, and no more
    for (auto *handle : gates.handles) zyntax_task_cancel(handle);
    CHECK(rt.drain());
}
