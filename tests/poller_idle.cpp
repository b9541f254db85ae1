// No wait returns spuriously: descriptors without interest cost nothing, in every state.
#include "poller_support.h"

using namespace support;

TEST_CASE("a_poller_without_descriptors_sleeps") {
    Watched watched;
    CHECK(watched.idle_returns() <= int(idle_budget));
    watched.poller.wake();
    watched.wait(0);
    CHECK(watched.idle_returns() <= int(idle_budget));
}

TEST_CASE("data_that_nobody_reads_is_reported_once") {
    Watched watched;
    Pair pair = socket_pair();
    watched.add(pair.near, 1);
    watched.settle();
    watched.want(pair.near, 1, readable);
    put(pair.far, "x");
    CHECK(watched.reported(1, readable));
    CHECK(watched.idle_returns() <= int(idle_budget));
    watched.remove(pair.near, 1);
}

TEST_CASE("a_reset_that_nobody_waits_for_is_no_cause") {
    Watched watched;
    Pair pair = tcp_pair();
    watched.add(pair.near, 1);
    watched.settle();
    reset_connection(pair.far);
    CHECK(watched.idle_returns() <= int(idle_budget));
    watched.want(pair.near, 1, readable); // after a report, only a new want brings another
    watched.wait(int64_t(ms));
    CHECK(watched.idle_returns() <= int(idle_budget));
    watched.remove(pair.near, 1);
}

TEST_CASE("a_hang_up_that_nobody_waits_for_is_no_cause") {
    Watched watched;
    Pair pair = socket_pair();
    watched.add(pair.near, 1);
    watched.settle();
    pair.far.reset();
    CHECK(watched.idle_returns() <= int(idle_budget));
    watched.remove(pair.near, 1);
}

TEST_CASE("the_end_of_the_stream_is_no_cause_while_the_other_direction_is_wanted") {
    Watched watched;
    Pair pair = tcp_pair();
    make_nonblocking(pair.near);
    fill(pair.near);
    watched.add(pair.near, 1);
    watched.settle();
    watched.want(pair.near, 1, writable);
    end_writing(pair.far);
    CHECK(watched.idle_returns() <= int(idle_budget));
    CHECK((watched.bits(1) & writable) == 0);
    watched.remove(pair.near, 1);
}

TEST_CASE("room_that_nobody_wants_is_no_cause") {
    Watched watched;
    Pair pair = tcp_pair();
    watched.add(pair.near, 1);
    watched.settle();
    watched.want(pair.near, 1, readable);
    CHECK(watched.idle_returns() <= int(idle_budget));
    watched.remove(pair.near, 1);
}

TEST_CASE("a_host_sees_at_the_descriptor_when_wait_has_something") {
    Watched watched;
    if (watched.poller.host_fd() < 0) {
        MESSAGE("skipped: this poller has no descriptor for hosts (zyntax_runtime_backend_fd is -1)");
        return;
    }
    int host = int(watched.poller.host_fd());
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    watched.add(pair.near, 1);
    for (int round = 0; round < 3; round++) {
        take(pair.near);
        watched.settle();
        watched.want(pair.near, 1, readable);
        CHECK_FALSE(wait_for(host, POLLIN, 5));
        put(pair.far, "x");
        CHECK(wait_for(host, POLLIN));
        CHECK(watched.reported(1, readable));
        CHECK_FALSE(wait_for(host, POLLIN, 5));
        watched.poller.wake();
        CHECK(wait_for(host, POLLIN));
        CHECK(watched.wait(0) == 0);
    }
    watched.remove(pair.near, 1);
}
