// Each want is followed by one report when its direction is ready. The report has the registered word.
#include "poller_support.h"

using namespace support;

namespace {

// A pair of sockets whose near end does not block and is registered as long as it lives.
struct Registered {
    Watched &watched;
    Pair pair;
    uintptr_t word;

    Registered(Watched &w, Pair made, uintptr_t given = 1) : watched(w), pair(std::move(made)), word(given) {
        make_nonblocking(pair.near);
        watched.add(pair.near, word);
    }
    ~Registered() { watched.remove(pair.near, word); }
    Registered(const Registered &) = delete;
    Registered &operator=(const Registered &) = delete;
};

// Whether room is reported to a writer once its peer reads. TCP hands over in parts.
bool room_is_reported(Watched &watched, Descriptor far) {
    Stopwatch watch;
    while (!(watched.bits(1) & writable) && watch.ns() < deadline_ms * int64_t(ms)) {
        take(far);
        watched.wait(int64_t(ms));
    }
    return (watched.bits(1) & writable) != 0;
}

} // namespace

TEST_CASE("a_report_has_the_word_that_was_registered") {
    Watched watched;
    for (uintptr_t word : {uintptr_t(1), uintptr_t(77), ~uintptr_t(0) / 3, ~uintptr_t(1), ~uintptr_t(0)}) {
        CAPTURE(word);
        Registered r(watched, socket_pair(), word);
        watched.want(r.pair.near, word, readable);
        put(r.pair.far, "x");
        CHECK(watched.reported(word, readable));
        CHECK(watched.reports.size() == 1);
        watched.forget();
    }
}

TEST_CASE("each_want_is_followed_by_a_report") {
    Watched watched;
    Registered r(watched, socket_pair());
    for (int round = 0; round < 100; round++) {
        CAPTURE(round);
        take(r.pair.near);
        watched.settle();
        watched.want(r.pair.near, 1, readable);
        put(r.pair.far, "x");
        REQUIRE(watched.reported(1, readable));
    }
}

TEST_CASE("readiness_before_want_is_reported") {
    Watched watched;
    Registered r(watched, socket_pair());
    watched.settle();
    for (int round = 0; round < 20; round++) {
        CAPTURE(round);
        take(r.pair.near);
        put(r.pair.far, "x"); // between the read that would have blocked and want
        watched.want(r.pair.near, 1, readable);
        REQUIRE(watched.reported(1, readable));
        watched.forget();
    }
}

TEST_CASE("a_direction_that_is_wanted_twice_is_reported") {
    Watched watched;
    Registered r(watched, socket_pair());
    watched.settle();
    watched.want(r.pair.near, 1, readable);
    watched.want(r.pair.near, 1, readable);
    put(r.pair.far, "x");
    CHECK(watched.reported(1, readable));
}

// A datagram that leaves the buffer of its socket is an event of room for more, and so costs a wait.
TEST_CASE("where_every_write_is_an_event_room_is_reported_once_a_writer_waits") {
    for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
        if (type == SOCK_DGRAM && !has_local_sockets) continue; // UDP has always room
        Watched watched;
        Pair pair = socket_pair(type);
        make_nonblocking(pair.near);
        watched.registrations[1] = reinterpret_cast<void *>(uintptr_t(1));
        REQUIRE(watched.poller.add(pair.near, 1, &watched.registrations[1]) == 0);
        watched.settle();
        for (int round = 0; round < 3; round++) {
            put(pair.near, "x");
            take(pair.far);
            if (std::string(zyntax_runtime_backend()) == "epoll") CHECK(watched.wait(0) == 0);
        }
        for (int round = 0; round < 3; round++) {
            fill(pair.near);
            REQUIRE_FALSE(wait_for(pair.near, POLLOUT, 0));
            watched.settle();
            bool late = round == 1; // the room is there before the writer asks
            auto has_room = [&] {
                take(pair.far);
                return wait_for(pair.near, POLLOUT, 0);
            };
            if (late) REQUIRE(eventually(has_room));
            watched.want(pair.near, 1, writable);
            CHECK((late ? watched.reported(1, writable) : room_is_reported(watched, pair.far)));
            watched.forget();
        }
        watched.remove(pair.near, 1);
    }
}

TEST_CASE("room_to_write_is_reported") {
    Watched watched;
    for (bool tcp : {false, true}) {
        CAPTURE(tcp);
        Registered r(watched, tcp ? tcp_pair() : socket_pair());
        for (int round = 0; round < 3; round++) {
            fill(r.pair.near);
            watched.settle();
            watched.want(r.pair.near, 1, writable);
            REQUIRE(room_is_reported(watched, r.pair.far));
        }
    }
}

TEST_CASE("a_report_of_one_direction_leaves_the_other_wanted") {
    Watched watched;
    for (int round = 0; round < 10; round++) {
        CAPTURE(round);
        Registered r(watched, socket_pair()); // a new one: TCP makes room by itself once it has seen the reader keep up
        fill(r.pair.near);
        watched.settle();
        watched.want(r.pair.near, 1, writable);
        watched.want(r.pair.near, 1, readable);
        put(r.pair.far, "x");
        REQUIRE(watched.reported(1, readable));
        CHECK((watched.bits(1) & writable) == 0);
        take(r.pair.far);
        REQUIRE(watched.reported(1, writable));
    }
}

TEST_CASE("both_directions_of_one_want_are_reported") {
    Watched watched;
    Registered r(watched, socket_pair());
    fill(r.pair.near);
    watched.settle();
    watched.want(r.pair.near, 1, readable | writable);
    take(r.pair.far);
    REQUIRE(watched.reported(1, writable));
    put(r.pair.far, "x");
    CHECK(watched.reported(1, readable));
}

TEST_CASE("the_end_of_the_stream_is_readable_and_read_closed") {
    Watched watched;
    Registered r(watched, tcp_pair());
    watched.settle();
    watched.want(r.pair.near, 1, readable);
    end_writing(r.pair.far);
    CHECK(watched.reported(1, readable | read_closed));
    CHECK((watched.bits(1) & write_closed) == 0);
}

TEST_CASE("the_end_of_the_stream_behind_unread_data_is_reported") {
    Watched watched;
    Registered r(watched, tcp_pair());
    watched.settle();
    put(r.pair.far, std::string(1000, 'x'));
    end_writing(r.pair.far);
    watched.want(r.pair.near, 1, readable);
    REQUIRE(watched.reported(1, readable));
    while (take(r.pair.near).size() == 0) REQUIRE(wait_for(r.pair.near, POLLIN));
    watched.want(r.pair.near, 1, readable);
    CHECK(watched.reported(1, readable | read_closed));
}

TEST_CASE("a_reset_is_every_bit_whatever_is_wanted") {
    Watched watched;
    for (uint32_t wanted : {readable, writable}) {
        CAPTURE(wanted);
        Registered r(watched, tcp_pair());
        fill(r.pair.near);
        watched.settle();
        watched.want(r.pair.near, 1, wanted);
        reset_connection(r.pair.far);
        CHECK(watched.reported(1, every_bit));
    }
}

TEST_CASE("a_connection_that_is_made_is_writable") {
    Watched watched;
    Fd listener = plain_listener(1);
    Fd client = plain_client(port_of(listener));
    watched.add(client, 1);
    watched.want(client, 1, writable);
    CHECK(watched.reported(1, writable));
    CHECK((watched.bits(1) & write_closed) == 0);
    watched.remove(client, 1);
}

TEST_CASE("a_connection_that_is_refused_is_every_bit") {
    Watched watched;
    uint16_t port = port_of(plain_listener(-1)); // bound once, and free again
    Fd client = plain_client(port);
    watched.add(client, 1);
    watched.want(client, 1, writable);
    CHECK(watched.reported(1, every_bit));
    watched.remove(client, 1);
}

TEST_CASE("a_listener_with_a_connection_is_readable") {
    Watched watched;
    Fd listener = plain_listener(4);
    watched.add(listener, 1);
    watched.settle();
    watched.want(listener, 1, readable);
    Fd client = plain_client(port_of(listener));
    CHECK(watched.reported(1, readable));
    watched.remove(listener, 1);
}
