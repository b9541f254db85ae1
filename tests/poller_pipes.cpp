// Pipes report as sockets do, on systems whose poller takes pipes.
#include "poller_support.h"

using namespace support;

TEST_CASE("data_in_a_pipe_is_readable") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    Watched watched;
    Pair pipe = pipe_to_runtime();
    make_nonblocking(pipe.near);
    watched.add(pipe.near, 1);
    for (int round = 0; round < 10; round++) {
        take(pipe.near);
        watched.settle();
        watched.want(pipe.near, 1, readable);
        put(pipe.far, "x");
        REQUIRE(watched.reported(1, readable));
    }
    watched.remove(pipe.near, 1);
}

TEST_CASE("room_in_a_pipe_is_writable") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    Watched watched;
    Pair pipe = pipe_from_runtime();
    make_nonblocking(pipe.near);
    watched.add(pipe.near, 1);
    for (int round = 0; round < 3; round++) {
        fill(pipe.near);
        watched.settle();
        watched.want(pipe.near, 1, writable);
        take(pipe.far);
        REQUIRE(watched.reported(1, writable));
    }
    watched.remove(pipe.near, 1);
}

TEST_CASE("the_end_of_a_pipe_is_readable_and_read_closed") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    Watched watched;
    Pair pipe = pipe_to_runtime();
    watched.add(pipe.near, 1);
    watched.settle();
    watched.want(pipe.near, 1, readable);
    pipe.far.reset();
    CHECK(watched.reported(1, readable | read_closed));
    watched.remove(pipe.near, 1);
}

TEST_CASE("a_pipe_that_nobody_reads_any_more_is_writable_and_write_closed") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    Watched watched;
    Pair pipe = pipe_from_runtime();
    make_nonblocking(pipe.near);
    watched.add(pipe.near, 1);
    fill(pipe.near);
    watched.settle();
    watched.want(pipe.near, 1, writable);
    pipe.far.reset();
    CHECK(watched.reported(1, writable | write_closed));
    watched.remove(pipe.near, 1);
}
