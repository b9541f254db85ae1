// Reads that the kernel ends early, at a line, a datagram or a mark in the stream. The data behind it is read, too.
#include "io_support.h"

#include <deque>

using namespace support;

namespace {

// Each read returns one message, whether the reader waits before the messages arrive or comes later.
void messages_arrive_one_by_one(Pair pair, bool reader_first) {
    Runtime rt;
    zyntax_io *io = adopt(rt, pair.near);
    const std::deque<std::string> messages{"one\n", "two\n", "three\n", "four\n"};
    if (!reader_first)
        for (const auto &m : messages) put(pair.far, m);
    Reader reader(rt, io, 19);
    if (reader_first) {
        settle(rt);
        CHECK(reader.alive());
        for (const auto &m : messages) put(pair.far, m);
    }
    CHECK(rt.drain());
    CHECK(reader.data == "one\ntwo\nthree\nfour\n");
    CHECK(reader.reads == 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

} // namespace

TEST_CASE("lines_that_are_pending_in_a_terminal_are_all_read") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    messages_arrive_one_by_one(terminal(), false);
}

TEST_CASE("lines_that_come_together_to_a_waiting_reader_are_all_read") {
    SKIP_WHEN(!has_pipes, "only sockets are pollable on Windows");
    messages_arrive_one_by_one(terminal(), true);
}

TEST_CASE("datagrams_that_are_pending_are_all_read") {
    messages_arrive_one_by_one(socket_pair(SOCK_DGRAM), false);
    if (has_sequenced_packets) messages_arrive_one_by_one(socket_pair(SOCK_SEQPACKET), false);
}

TEST_CASE("datagrams_that_come_together_to_a_waiting_reader_are_all_read") {
    messages_arrive_one_by_one(socket_pair(SOCK_DGRAM), true);
    if (has_sequenced_packets) messages_arrive_one_by_one(socket_pair(SOCK_SEQPACKET), true);
}

TEST_CASE("bytes_behind_a_passed_descriptor_are_read_although_the_kernel_stops_there") {
    SKIP_WHEN(!has_local_sockets, "only AF_UNIX passes descriptors");
    Runtime rt;
    for (bool reader_first : {false, true}) {
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        std::unique_ptr<Reader> reader;
        if (reader_first) reader = std::make_unique<Reader>(rt, io, 4), settle(rt);
        send_with_descriptor(pair.far, "ab");
        put(pair.far, "cd");
        if (!reader_first) reader = std::make_unique<Reader>(rt, io, 4);
        CHECK(rt.drain());
        CHECK(reader->data == "abcd");
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("bytes_behind_urgent_data_are_read_although_the_kernel_stops_there") {
    Runtime rt;
    for (bool reader_first : {false, true}) {
        Pair pair = tcp_pair();
        zyntax_io *io = adopt(rt, pair.near);
        std::unique_ptr<Reader> reader;
        if (reader_first) reader = std::make_unique<Reader>(rt, io, 4), settle(rt);
        put(pair.far, "ab");
        REQUIRE(send(pair.far, "!", 1, MSG_OOB) == 1);
        put(pair.far, "cd");
        if (!reader_first) reader = std::make_unique<Reader>(rt, io, 4);
        CHECK(rt.drain());
        CHECK(reader->data == "abcd");
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("bytes_behind_urgent_data_of_a_unix_stream_are_read_too") {
    SKIP_WHEN(!has_local_sockets, "only TCP");
    for (bool reader_first : {false, true}) {
        Runtime rt;
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        std::unique_ptr<Reader> reader;
        if (reader_first) reader = std::make_unique<Reader>(rt, io, 6), settle(rt);
        put(pair.far, "ab");
        SKIP_WHEN(send(pair.far, "!", 1, MSG_OOB) != 1, "no urgent data here");
        put(pair.far, "cd");
        if (!reader_first) reader = std::make_unique<Reader>(rt, io, 6);
        settle(rt);
        CHECK(reader->data == "abcd");
        REQUIRE(send(pair.far, "?", 1, MSG_OOB) == 1);
        put(pair.far, "ef");
        CHECK(rt.drain());
        CHECK(reader->data == "abcdef");
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("an_empty_write_is_a_message_of_its_own_and_waits_for_room_as_any_other") {
    SKIP_WHEN(!has_local_sockets, "the loopback drops datagrams instead of waiting");
    for (int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
        if (type == SOCK_SEQPACKET && !has_sequenced_packets) continue;
        Runtime rt;
        Pair pair = socket_pair(type);
        make_nonblocking(pair.far);
        zyntax_io *io = adopt(rt, pair.near);
        for (int i = 0; i < 3; i++) CHECK(await(rt, writing(io, nullptr, 0)) == 0);
        CHECK(await(rt, writing(io, "x", 1)) == 1);
        char byte;
        for (int i = 0; i < 3; i++) CHECK(receive_some(pair.far, &byte, 1) == 0);
        CHECK(receive_some(pair.far, &byte, 1) == 1);
        CHECK(receive_some(pair.far, &byte, 1) < 0);
        CHECK(would_block());

        int sent = 0;
        std::unique_ptr<Await> writer;
        while (!writer || !writer->alive()) {
            REQUIRE(sent++ < 100'000);
            writer = std::make_unique<Await>(rt, writing(io, nullptr, 0));
            settle(rt);
        }
        CHECK(rt.idle_waits() <= idle_budget);
        while (receive_some(pair.far, &byte, 1) >= 0) sent--;
        CHECK(sent == 1); // the datagram that waits
        CHECK(rt.drain());
        CHECK(writer->result == 0);
        CHECK(receive_some(pair.far, &byte, 1) == 0);
    }
}

TEST_CASE("an_empty_write_to_a_stream_or_a_pipe_sends_nothing_whatever_its_state") {
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        CHECK(await(rt, writing(io, nullptr, 0)) == 0);
        CHECK_FALSE(wait_for(pair.far, POLLIN, 20));
        pair.far.reset();
        CHECK(await(rt, writing(io, nullptr, 0)) == 0);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}
