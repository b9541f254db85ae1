// zyntax_io_read and zyntax_io_write: every byte arrives once and in order, on every kind of descriptor.
#include "io_support.h"

#include <deque>

using namespace support;

namespace {

// Text in which a lost, doubled or swapped byte shows.
std::string pattern(size_t size) {
    std::string text(size, 0);
    uint32_t x = 1;
    for (char &c : text) c = char((x = x * 1664525 + 1013904223) >> 24);
    return text;
}

// 1 MiB through a pair, read in blocks of this size.
void moves_a_mebibyte(Runtime &rt, Pair pair, size_t block) {
    std::string text = pattern(mib);
    zyntax_io *in = adopt(rt, pair.near), *out = adopt(rt, pair.far);
    Reader reader(rt, in, text.size(), block);
    Writer writer(rt, out, text);
    CHECK(rt.drain());
    CHECK(writer.written == text.size());
    CHECK(reader.data == text);
}

} // namespace

TEST_CASE("bytes_written_at_one_end_are_read_at_the_other") {
    Runtime rt;
    for (auto make : pairs_to_runtime()) {
        Pair pair = make();
        zyntax_io *in = adopt(rt, pair.near), *out = adopt(rt, pair.far);
        char buf[16] = {};
        Await reader(rt, reading(in, buf, sizeof buf));
        settle(rt);
        CHECK(reader.alive());
        CHECK(await(rt, writing(out, "hello", 5)) == 5);
        CHECK(rt.drain());
        CHECK(reader.result == 5);
        CHECK(std::string(buf) == "hello");
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_eventfd_hands_over_its_counter") {
    SKIP_WHEN(!has_event_descriptors, "eventfd is Linux's and FreeBSD's");
    Runtime rt;
    Fd fd(make_event_descriptor());
    zyntax_io *io = adopt(rt, fd);
    uint64_t got = 0, three = 3;
    Await reader(rt, reading(io, &got, sizeof got));
    settle(rt);
    CHECK(reader.alive());
    CHECK(await(rt, writing(io, &three, sizeof three)) == 8);
    CHECK(rt.drain());
    CHECK(reader.result == 8);
    CHECK(got == 3);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_mebibyte_arrives_whole_in_blocks_of_a_kibibyte") {
    Runtime rt;
    for (auto make : pairs_to_runtime()) moves_a_mebibyte(rt, make(), kib);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_mebibyte_arrives_whole_in_blocks_larger_than_what_is_pending") {
    Runtime rt;
    for (auto make : pairs_to_runtime()) moves_a_mebibyte(rt, make(), mib);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_reader_that_yields_after_each_kibibyte_reads_everything") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    size_t size = fill(pair.far), got = 0;
    pair.far.reset();
    std::string block(kib, 0);
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        int64_t n = 0;
        if (zyntax_io_read(io, &task.op, block.data(), block.size(), waker, &n) == POLL_PENDING) return POLL_PENDING;
        if (n <= 0) return POLL_READY;
        got += size_t(n);
        waker->wake(waker->data);
        return POLL_PENDING;
    };
    task.start();
    CHECK(rt.drain());
    CHECK(got == size);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("data_that_arrives_together_with_the_end_is_read_before_it") {
    Runtime rt;
    for (bool reader_first : {false, true}) {
        for (auto make : pairs_to_runtime()) {
            Pair pair = make();
            zyntax_io *io = adopt(rt, pair.near);
            std::string tail(50 * kib, 't');
            if (!reader_first) put(pair.far, tail), pair.far.reset();
            Reader reader(rt, io);
            if (reader_first) settle(rt), put(pair.far, tail), pair.far.reset();
            CHECK(rt.drain());
            CHECK(reader.data == tail);
            CHECK(reader.last == 0);
            char byte;
            CHECK(await(rt, reading(io, &byte, 1)) == 0); // and the end stays
        }
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_length_of_zero_is_ready_with_zero") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte = 0;
    CHECK(await(rt, reading(io, &byte, 0)) == 0);
    CHECK(await(rt, writing(io, &byte, 0)) == 0);
    put(pair.far, "x");
    CHECK(await(rt, reading(io, &byte, 0)) == 0);
    CHECK(await(rt, reading(io, &byte, 1)) == 1);
    CHECK(byte == 'x');
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("every_one_of_many_readers_of_one_handle_gets_on") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char bytes[50] = {};
    std::deque<Await> readers;
    for (char &byte : bytes) readers.emplace_back(rt, reading(io, &byte, 1));
    settle(rt);
    put(pair.far, std::string(20, 'a')); // fewer than readers
    CHECK(rt.drive_until([&] { return rt.stats().tasks_alive == 30; }));
    put(pair.far, std::string(30, 'a'));
    CHECK(rt.drain());
    for (char byte : bytes) CHECK(byte == 'a');
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("every_one_of_many_writers_of_one_handle_gets_on") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *peer = adopt(rt, pair.far);
    std::deque<Writer> writers;
    for (int i = 0; i < 8; i++) writers.emplace_back(rt, io, std::string(mib / 4, 'w'));
    Reader reader(rt, peer, 2 * mib);
    CHECK(rt.drain());
    CHECK(reader.data.size() == 2 * mib);
    for (const Writer &writer : writers) CHECK(writer.written == mib / 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_reader_and_a_writer_of_one_handle_do_not_disturb_each_other") {
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *a = adopt(rt, pair.near), *b = adopt(rt, pair.far);
    std::string there = pattern(mib), back(mib, 'b');
    Writer a_writes(rt, a, there), b_writes(rt, b, back);
    Reader a_reads(rt, a, mib), b_reads(rt, b, mib);
    CHECK(rt.drain());
    CHECK(b_reads.data == there);
    CHECK(a_reads.data == back);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_write_waits_while_the_peer_has_no_room_and_goes_on_when_it_has") {
    Runtime rt;
    std::vector<MakePair> kinds = pairs_from_runtime();
    if (has_local_sockets) kinds.push_back([] { return socket_pair(SOCK_DGRAM); });
    if (has_sequenced_packets) kinds.push_back([] { return socket_pair(SOCK_SEQPACKET); });
    for (auto make : kinds) {
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        fill(Descriptor(zyntax_io_fd(io)));
        Writer writer(rt, io, "more");
        settle(rt);
        CHECK(writer.alive());
        CHECK(rt.idle_waits() <= idle_budget);
        CHECK(rt.drive_until([&] { return take(pair.far).empty() && !writer.alive(); }));
        CHECK(writer.written == 4);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("cancelling_a_reader_leaves_the_other_readers_and_writers_waiting_as_they_were") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    fill(Descriptor(zyntax_io_fd(io)));
    char gone = 0, byte = 0;
    Await first(rt, reading(io, &gone, 1)), second(rt, reading(io, &byte, 1));
    Writer writer(rt, io, "w");
    settle(rt);
    first.cancel();
    put(pair.far, "r");
    CHECK(rt.drive_until([&] { return !second.alive(); }));
    CHECK(second.result == 1);
    CHECK(first.result == unfinished);
    CHECK(gone == 0);
    CHECK(writer.alive());
    CHECK(rt.drive_until([&] { return take(pair.far).empty() && !writer.alive(); }));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_read_that_was_cancelled_in_its_poll_is_forgotten") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char buf[4];
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        int64_t n = 0;
        if (task.polls == 1) {
            CHECK(zyntax_io_read(io, &task.op, buf, sizeof buf, waker, &n) == POLL_PENDING);
            CHECK(task.op != 0);
            zyntax_op_cancel(&task.op);
            CHECK(task.op == 0);
        }
        return POLL_PENDING;
    };
    task.start();
    settle(rt);
    put(pair.far, "late");
    settle(rt);
    CHECK(task.polls == 1);
    CHECK(await(rt, reading(io, buf, sizeof buf)) == 4);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("null_arguments_are_einval_and_ready") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char buf[4];
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r = 1;
        CHECK(zyntax_io_read(io, nullptr, buf, 4, waker, &r) == POLL_READY);
        CHECK(r == ZYNTAX_EINVAL);
        r = 1;
        CHECK(zyntax_io_read(io, op, buf, 4, nullptr, &r) == POLL_READY);
        CHECK(r == ZYNTAX_EINVAL);
        CHECK(zyntax_io_read(io, op, buf, 4, waker, nullptr) == POLL_READY);
        CHECK(zyntax_io_write(io, nullptr, buf, 4, waker, &r) == POLL_READY);
        CHECK(r == ZYNTAX_EINVAL);
        r = 1;
        CHECK(zyntax_io_write(io, op, buf, 4, nullptr, &r) == POLL_READY);
        CHECK(r == ZYNTAX_EINVAL);
        CHECK(zyntax_io_write(io, op, buf, 4, waker, nullptr) == POLL_READY);
        CHECK(*op == 0);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(take(pair.far).empty());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_op_that_was_never_given_out_reads_as_one_that_has_ended") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    { // operations have been here
        std::deque<Await> warm;
        for (int i = 0; i < 4; i++) warm.emplace_back(rt, reading(io, &byte, 1));
        settle(rt);
    }
    for (uint64_t made_up : {uint64_t(1), uint64_t(2), uint64_t(0xffffff), uint64_t(1) << 24, ~uint64_t(0)}) {
        CAPTURE(made_up);
        put(pair.far, "x");
        zyntax_op op = made_up;
        Await task(rt, [&](zyntax_op *, Waker *waker, int64_t *result) {
            PollStatus status = zyntax_io_read(io, &op, &byte, 1, waker, result);
            CHECK(status == POLL_READY);
            return POLL_READY;
        });
        CHECK(rt.drain());
        CHECK(task.result == 1);
        CHECK(op == 0);
        op = made_up;
        zyntax_op_cancel(&op);
        CHECK(op == 0);
        CHECK(take(Descriptor(zyntax_io_fd(io))).empty());
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_bad_buffer_is_an_error_and_not_a_crash") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    put(pair.far, "data");
    CHECK(await(rt, reading(io, nullptr, 4)) < 0);
    CHECK(await(rt, writing(io, nullptr, 4)) < 0);
    char buf[4];
    CHECK(await(rt, reading(io, buf, 4)) == 4);
    CHECK(rt.idle_waits() <= idle_budget);
}
