// Reads and writes of several slices: the bytes come in order, messages stay whole, and unusual lists are safe.
#include "host_support.h"
#include "io_support.h"

#include <climits>
#include <numeric>

using namespace support;

namespace {

Operation reading_slices(zyntax_io *io, const std::vector<zyntax_slice> &slices) {
    return [io, slices](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_io_readv(io, op, slices.data(), slices.size(), waker, result);
    };
}
Operation writing_slices(zyntax_io *io, const std::vector<zyntax_slice> &slices) {
    return [io, slices](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_io_writev(io, op, slices.data(), slices.size(), waker, result);
    };
}

// A text in slices of the given lengths.
std::vector<zyntax_slice> split(std::string &text, const std::vector<size_t> &lengths) {
    std::vector<zyntax_slice> slices;
    size_t at = 0;
    for (size_t length : lengths) {
        slices.push_back({text.data() + at, length});
        at += length;
    }
    REQUIRE(at <= text.size());
    return slices;
}

std::string received(Descriptor fd, size_t length) {
    std::string text(length, 0);
    size_t at = 0;
    while (at < length) {
        REQUIRE(wait_for(fd, POLLIN));
        auto n = receive_some(fd, text.data() + at, length - at);
        REQUIRE(n > 0);
        at += size_t(n);
    }
    return text;
}

constexpr size_t most = 1'024;

} // namespace

TEST_CASE("the_bytes_of_slices_are_written_in_order_on_every_kind_of_stream") {
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        std::string text = "one two three";
        CHECK(await(rt, writing_slices(io, split(text, {4, 0, 4, 5, 0}))) == 13);
        CHECK(received(pair.far, 13) == text);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("slices_are_filled_in_order_and_a_waiting_read_is_woken_on_every_kind_of_stream") {
    for (auto make : pairs_to_runtime()) {
        Runtime rt;
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        std::string text(16, '.');
        Await reader(rt, reading_slices(io, split(text, {3, 0, 4, 9})));
        settle(rt);
        CHECK(reader.alive());
        put(pair.far, "abcdefghij");
        CHECK(rt.drain());
        CHECK(reader.result == 10);
        CHECK(text == "abcdefghij......");
        pair.far.reset();
        CHECK(await(rt, reading_slices(io, split(text, {1, 1}))) == 0);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("a_write_of_slices_waits_for_room_and_a_write_to_nobody_is_epipe_without_a_signal") {
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = make();
        make_nonblocking(pair.near);
        fill(pair.near);
        zyntax_io *io = adopt(rt, pair.near);
        std::string text = "one two";
        Await writer(rt, writing_slices(io, split(text, {4, 3})));
        settle(rt);
        CHECK(writer.alive());
        CHECK(rt.drive_until([&] { return take(pair.far), !writer.alive(); }));
        CHECK(writer.result > 0);
        CHECK(rt.idle_waits() <= idle_budget);
        pair.far.reset();
        int64_t result = 0;
        for (int i = 0; i < 20 && result >= 0; i++) result = await(rt, writing_slices(io, split(text, {4, 3})));
        CHECK((result == ZYNTAX_EPIPE || result == ZYNTAX_ECONNRESET));
    }
}

TEST_CASE("a_message_is_gathered_from_its_slices_and_spread_over_them") {
    SKIP_WHEN(!has_local_sockets, "pairs of datagrams");
    for (int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
        if (type == SOCK_SEQPACKET && !has_sequenced_packets) continue;
        Runtime rt;
        Pair pair = socket_pair(type);
        zyntax_io *near = adopt(rt, pair.near), *far = adopt(rt, pair.far);
        std::string text = "one two three", other(20, '.');
        CHECK(await(rt, writing_slices(near, split(text, {4, 0, 4, 5}))) == 13);
        CHECK(await(rt, writing_slices(near, split(text, {3}))) == 3);
        CHECK(await(rt, reading_slices(far, split(other, {2, 10, 8}))) == 13);
        CHECK(other == "one two three.......");
        CHECK(await(rt, reading_slices(far, split(other, {2, 10}))) == 3);
    }
}

TEST_CASE("an_empty_list_is_an_empty_message_on_a_message_socket_and_nothing_elsewhere") {
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        std::string text = "x";
        CHECK(await(rt, writing_slices(io, {})) == 0);
        CHECK(await(rt, writing_slices(io, split(text, {0, 0}))) == 0);
        CHECK(await(rt, writing_slices(io, {{nullptr, 0}})) == 0);
        CHECK(await(rt, reading_slices(io, {})) == 0);
        CHECK(await(rt, reading_slices(io, {{nullptr, 0}})) == 0);
        CHECK_FALSE(wait_for(pair.far, POLLIN, 20));
    }
    SKIP_WHEN(!has_local_sockets, "pairs of datagrams");
    Runtime rt;
    Pair pair = socket_pair(SOCK_DGRAM);
    make_nonblocking(pair.far);
    zyntax_io *io = adopt(rt, pair.near);
    char byte;
    CHECK(await(rt, writing_slices(io, {})) == 0);
    CHECK(await(rt, writing_slices(io, {{nullptr, 0}})) == 0);
    CHECK(receive_some(pair.far, &byte, 1) == 0);
    CHECK(receive_some(pair.far, &byte, 1) == 0);
    CHECK(receive_some(pair.far, &byte, 1) < 0);
    CHECK(await(rt, reading_slices(io, {})) == 0); // consumes nothing
}

TEST_CASE("more_slices_than_the_system_takes_are_a_short_transfer") {
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        std::string text(3'000, 0);
        std::iota(text.begin(), text.end(), char(0));
        std::vector<zyntax_slice> slices = split(text, std::vector<size_t>(3'000, 1));
        CHECK(await(rt, writing_slices(io, slices)) == most);
        CHECK(received(pair.far, most) == text.substr(0, most));
        for (size_t i = 0; i < 3'000; i += 2) slices[i].len = 0; // skipped
        CHECK(await(rt, writing_slices(io, slices)) == most);
        std::string odd;
        for (size_t i = 1; odd.size() < most; i += 2) odd += text[i];
        CHECK(received(pair.far, most) == odd);
    }
    for (auto make : pairs_to_runtime()) {
        Runtime rt;
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        put(pair.far, std::string(2'000, 'x'));
        CHECK(wait_for(Descriptor(zyntax_io_fd(io)), POLLIN));
        std::string text(3'000, '.');
        size_t sum = 0;
        while (sum < 2'000) {
            int64_t n = await(rt, reading_slices(io, split(text, std::vector<size_t>(3'000, 1))));
            REQUIRE(n > 0);
            CHECK(n <= int64_t(most));
            sum += size_t(n);
        }
        CHECK(sum == 2'000);
    }
}

TEST_CASE("a_message_in_more_slices_than_the_system_takes_is_emsgsize_and_nothing_is_sent") {
    SKIP_WHEN(!has_local_sockets, "pairs of datagrams");
    Runtime rt;
    Pair pair = socket_pair(SOCK_DGRAM);
    make_nonblocking(pair.far);
    zyntax_io *io = adopt(rt, pair.near);
    std::string text(most + 1, 'x'), other(2'000, 0);
    CHECK(await(rt, writing_slices(io, split(text, std::vector<size_t>(most + 1, 1)))) == ZYNTAX_EMSGSIZE);
    CHECK(await(rt, writing_slices(io, {{text.data(), 1}, {text.data(), SIZE_MAX}})) == ZYNTAX_EMSGSIZE);
    CHECK(receive_some(pair.far, other.data(), other.size()) < 0);
    CHECK(await(rt, writing_slices(io, split(text, std::vector<size_t>(most, 1)))) == int64_t(most));
    CHECK(receive_some(pair.far, other.data(), other.size()) == int64_t(most));
}

TEST_CASE("lengths_whose_sum_overflows_are_a_short_transfer_and_touch_nothing_behind") {
    SKIP_WHEN(on_windows, "Winsock looks at all of the memory first");
    for (auto make : pairs_to_runtime()) {
        Runtime rt;
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        std::string text(8, '.');
        text.reserve(100); // not on the stack, which may end less than INT_MAX below the system's addresses
        for (size_t length : {SIZE_MAX, SIZE_MAX / 2 + 1, size_t{INT_MAX}, size_t{INT_MAX} - 3}) {
            CAPTURE(length);
            deliver(pair.far, io, "abcdef");
            CHECK(await(rt, reading_slices(io, {{text.data(), 4}, {text.data() + 4, length}, {text.data(), length}})) ==
                  6);
            CHECK(text == "abcdef..");
        }
    }
}

TEST_CASE("bad_slices_are_einval_and_transfer_nothing") {
    Runtime rt;
    Pair pair = socket_pair();
    make_nonblocking(pair.far);
    zyntax_io *io = adopt(rt, pair.near);
    char bytes[4] = {};
    put(pair.far, "data");
    CHECK(await(rt, reading_slices(io, {{bytes, 2}, {nullptr, 1}})) == ZYNTAX_EINVAL);
    CHECK(await(rt, writing_slices(io, {{bytes, 2}, {nullptr, 1}})) == ZYNTAX_EINVAL);
    CHECK(await(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
              return zyntax_io_readv(io, op, nullptr, 1, waker, result);
          }) == ZYNTAX_EINVAL);
    CHECK(take(pair.far).empty());
    CHECK(await(rt, reading_slices(io, {{bytes, 2}, {bytes + 2, 2}})) == 4);
    CHECK(std::string(bytes, 4) == "data");
    CHECK(await(rt, reading_slices(nullptr, {{bytes, 2}})) == ZYNTAX_ESTALE);
    zyntax_slice slice{bytes, 4};
    zyntax_op op = 0;
    Waker waker = nobody();
    int64_t result = unset;
    CHECK(zyntax_io_readv(io, nullptr, &slice, 1, &waker, &result) == POLL_READY);
    CHECK(result == ZYNTAX_EINVAL);
    CHECK(zyntax_io_writev(io, &op, &slice, 1, nullptr, &result) == POLL_READY);
    CHECK(result == ZYNTAX_EINVAL);
    CHECK(zyntax_io_writev(io, &op, &slice, 1, &waker, nullptr) == POLL_READY);
}

TEST_CASE("memory_that_cannot_be_accessed_is_efault") {
    SKIP_WHEN(on_windows, "Winsock's answer differs");
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    put(pair.far, "data");
    auto *nowhere = reinterpret_cast<void *>(uintptr_t{16});
    CHECK(await(rt, reading_slices(io, {{nowhere, 8}, {nowhere, 8}})) == ZYNTAX_EFAULT);
    CHECK(await(rt, writing_slices(io, {{nowhere, 8}, {nowhere, 8}})) == ZYNTAX_EFAULT);
}

TEST_CASE("closing_and_cancelling_end_waits_for_slices") {
    Heap heap;
    Runtime rt(heap.config());
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    std::string text(4, '.');
    Await first(rt, reading_slices(io, split(text, {2, 2}))), second(rt, reading_slices(io, split(text, {2, 2})));
    settle(rt);
    first.cancel();
    settle(rt);
    CHECK(zyntax_io_close(io) == 0);
    CHECK(rt.drain());
    CHECK(first.result == unfinished);
    CHECK(second.result == ZYNTAX_ECANCELED);
    rt.destroy();
    CHECK(heap.balanced());
}

TEST_CASE("a_short_read_of_slices_from_a_stream_waits_without_asking_again_and_loses_nothing") {
    Runtime rt;
    for (auto make : pairs_to_runtime()) {
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        std::string text(64, '.'), all;
        ScopedTask task(rt);
        task.on_poll = [&](Waker *waker) {
            std::vector<zyntax_slice> slices = split(text, {1, 2, 61});
            for (int64_t n = 0;;) {
                if (zyntax_io_readv(io, &task.op, slices.data(), slices.size(), waker, &n) == POLL_PENDING)
                    return POLL_PENDING;
                if (n <= 0) return POLL_READY;
                all.append(text.data(), size_t(n));
            }
        };
        task.start();
        std::string sent;
        for (int i = 0; i < 200; i++) {
            std::string part(size_t(1 + i % 9), char('a' + i % 26));
            put(pair.far, part);
            sent += part;
            if (i % 3) zyntax_runtime_turn(rt, 0);
        }
        pair.far.reset();
        CHECK(rt.drain());
        CHECK(all == sent);
    }
}

TEST_CASE("passed_descriptors_in_a_read_of_slices_are_closed_and_bytes_behind_them_are_read") {
    SKIP_WHEN(!has_local_sockets, "only AF_UNIX passes descriptors");
    Runtime rt;
    Pair pair = socket_pair();
    int before = fd_count();
    zyntax_io *io = adopt(rt, pair.near);
    send_with_descriptor(pair.far, "ab");
    put(pair.far, "cd");
    std::string text(8, '.');
    int64_t first = await(rt, reading_slices(io, split(text, {4, 4})));
    REQUIRE(first > 0);
    int64_t second = first < 4 ? await(rt, reading_slices(io, {{text.data() + first, 4}})) : 0;
    CHECK(first + second == 4);
    CHECK(text == "abcd....");
    CHECK(fd_count() == before);
}

TEST_CASE("a_transfer_of_slices_never_waits_in_the_kernel_though_the_open_file_was_made_blocking") {
    SKIP_WHEN(on_windows, "an open file is not shared there");
    for (auto make : pairs_to_runtime()) {
        Runtime rt;
        Pair pair = make();
        Fd copy(duplicate(pair.near));
        zyntax_io *io = adopt(rt, pair.near);
        make_blocking(copy);
        std::string text(4, '.');
        Await reader(rt, reading_slices(io, split(text, {2, 2})));
        settle(rt);
        CHECK(reader.alive());
        put(pair.far, "data");
        CHECK(rt.drain());
        CHECK(reader.result == 4);
    }
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = make();
        Fd copy(duplicate(pair.near));
        zyntax_io *io = adopt(rt, pair.near);
        make_nonblocking(copy);
        fill(copy);
        make_blocking(copy);
        std::string text(4, '.');
        Await writer(rt, writing_slices(io, split(text, {2, 2})));
        settle(rt);
        CHECK(writer.alive());
    }
}
