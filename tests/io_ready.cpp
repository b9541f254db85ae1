// zyntax_io_ready reports the kernel's state at that moment, in the directions that were asked for.
#include "io_support.h"

using namespace support;

namespace {
constexpr uint32_t both = ZYNTAX_READABLE | ZYNTAX_WRITABLE;
}

TEST_CASE("an_interest_that_is_empty_or_unknown_is_einval") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    for (uint32_t interest : {0u, 4u, 5u, 0x80000000u, 0xffffffffu})
        CHECK(await(rt, readiness(io, interest)) == ZYNTAX_EINVAL);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_result_is_the_set_of_directions_that_are_ready") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    CHECK(await(rt, readiness(io, ZYNTAX_WRITABLE)) == ZYNTAX_WRITABLE);
    CHECK(await(rt, readiness(io, both)) == ZYNTAX_WRITABLE);
    put(pair.far, "x");
    CHECK(await(rt, readiness(io, both)) == both);
    CHECK(await(rt, readiness(io, ZYNTAX_READABLE)) == ZYNTAX_READABLE);
    fill(Descriptor(zyntax_io_fd(io)));
    CHECK(await(rt, readiness(io, both)) == ZYNTAX_READABLE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("it_waits_until_the_direction_becomes_ready") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    fill(Descriptor(zyntax_io_fd(io)));
    Await readable(rt, readiness(io, ZYNTAX_READABLE)), writable(rt, readiness(io, ZYNTAX_WRITABLE));
    settle(rt);
    CHECK(readable.alive());
    CHECK(writable.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    put(pair.far, "x");
    CHECK(rt.drive_until([&] { return !readable.alive(); }));
    CHECK(readable.result == ZYNTAX_READABLE);
    CHECK(writable.alive());
    CHECK(rt.drive_until([&] { return take(pair.far).empty() && !writable.alive(); }));
    CHECK(writable.result == ZYNTAX_WRITABLE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("readiness_that_is_not_used_up_stays") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    put(pair.far, "x");
    for (int round = 0; round < 3; round++) {
        CHECK(await(rt, readiness(io, ZYNTAX_READABLE)) == ZYNTAX_READABLE);
        settle(rt);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("bytes_that_the_host_has_read_are_not_reported_as_ready") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    Await waiting(rt, readiness(io, ZYNTAX_READABLE));
    settle(rt);
    for (int round = 0; round < 3; round++) {
        put(pair.far, "x");
        CHECK(take(Descriptor(zyntax_io_fd(io))) == "x"); // before the runtime looks
        settle(rt);
        CHECK(waiting.alive());
        CHECK(rt.idle_waits() <= idle_budget);
    }
    put(pair.far, "y");
    CHECK(rt.drain());
    CHECK(waiting.result == ZYNTAX_READABLE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_task_that_drains_the_descriptor_itself_is_woken_for_what_comes_next") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    std::string got;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        int64_t ready = 0;
        while (got.size() < 3) {
            if (zyntax_io_ready(io, &task.op, ZYNTAX_READABLE, waker, &ready) == POLL_PENDING) return POLL_PENDING;
            std::string more = take(Descriptor(zyntax_io_fd(io)));
            CHECK_FALSE(more.empty());
            got += more;
        }
        return POLL_READY;
    };
    task.start();
    for (const char *text : {"a", "b", "c"}) {
        settle(rt);
        size_t before = got.size();
        put(pair.far, text);
        CHECK(rt.drive_until([&] { return got.size() > before; }));
    }
    CHECK(rt.drain());
    CHECK(got == "abc");
    CHECK(rt.idle_waits() <= idle_budget);
}

namespace {

// The descriptors whose peer cannot close without a hang-up, when it has not read everything.
std::vector<MakePair> pairs_that_hang_up() {
    std::vector<MakePair> all{[] { return socket_pair(); }};
    if (has_pipes) all.insert(all.end(), {pipe_to_runtime, pipe_from_runtime});
    return all;
}

} // namespace

TEST_CASE("a_hang_up_is_every_direction_that_was_asked_for") {
    Runtime rt;
    for (bool waiting : {false, true}) {
        for (uint32_t interest : {uint32_t(ZYNTAX_READABLE), uint32_t(ZYNTAX_WRITABLE), both}) {
            for (auto make : pairs_that_hang_up()) {
                Pair pair = make();
                make_nonblocking(pair.near);
                fill(pair.near);
                zyntax_io *io = adopt(rt, pair.near);
                if (!waiting) pair.far.reset();
                Await ready(rt, readiness(io, interest));
                settle(rt);
                pair.far.reset();
                CHECK(rt.drain());
                CHECK(ready.result == interest);
            }
        }
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_reset_connection_is_every_direction_that_was_asked_for") {
    Runtime rt;
    for (uint32_t interest : {uint32_t(ZYNTAX_READABLE), uint32_t(ZYNTAX_WRITABLE), both}) {
        Pair pair = tcp_pair();
        make_nonblocking(pair.near);
        fill(pair.near);
        zyntax_io *io = adopt(rt, pair.near);
        Await ready(rt, readiness(io, interest));
        settle(rt);
        CHECK(ready.alive());
        reset_connection(pair.far);
        CHECK(rt.drain());
        CHECK(ready.result == interest);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_end_of_the_peers_stream_is_readable_and_not_writable") {
    Runtime rt;
    Pair pair = tcp_pair();
    make_nonblocking(pair.near);
    fill(pair.near);
    zyntax_io *io = adopt(rt, pair.near);
    Await readable(rt, readiness(io, both)), writable(rt, readiness(io, ZYNTAX_WRITABLE));
    settle(rt);
    CHECK(readable.alive());
    end_writing(pair.far);
    CHECK(rt.drive_until([&] { return !readable.alive(); }));
    CHECK(readable.result == ZYNTAX_READABLE);
    settle(rt);
    CHECK(writable.alive());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_waker_given_last_is_the_one_that_is_woken") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    // Two tasks that pass one op on between them.
    zyntax_op shared = 0;
    bool done = false;
    ScopedTask former(rt), latter(rt);
    auto wait = [&](Waker *waker) {
        int64_t ready = 0;
        if (done) return POLL_READY;
        PollStatus status = zyntax_io_ready(io, &shared, ZYNTAX_READABLE, waker, &ready);
        done = status == POLL_READY;
        return status;
    };
    former.on_poll = wait;
    latter.on_poll = wait;
    former.start();
    settle(rt);
    latter.start();
    settle(rt);
    int polls = former.polls;
    put(pair.far, "x");
    CHECK(rt.drive_until([&] { return done; }));
    settle(rt);
    CHECK_FALSE(latter.alive());
    CHECK(former.polls == polls);
    CHECK(rt.idle_waits() <= idle_budget);
}
