// zyntax_io_write_all writes everything. *done is the number of written bytes, also when the call fails.
#include "host_support.h"
#include "io_support.h"

using namespace support;

namespace {

// A task that writes all of a text.
struct WriteAll {
    std::string text;
    size_t done = 0;
    Await task;

    WriteAll(zyntax_runtime *rt, zyntax_io *io, std::string all)
        : text(std::move(all)), task(rt, [this, io](zyntax_op *op, Waker *waker, int64_t *result) {
              return zyntax_io_write_all(io, op, text.data(), text.size(), &done, waker, result);
          }) {}
};

// A pair whose kernel buffers are far smaller than the written text. A pipe has no such option.
Pair with_little_room(MakePair make) {
    Pair pair = make();
    const int bytes = 64 * 1024;
    for (Descriptor fd : {Descriptor(pair.near), Descriptor(pair.far)}) {
        for (int name : {SO_SNDBUF, SO_RCVBUF})
            setsockopt(fd, SOL_SOCKET, name, reinterpret_cast<const char *>(&bytes), sizeof bytes);
    }
    return pair;
}

std::string text_of_length(size_t length) {
    std::string text(length, 0);
    for (size_t i = 0; i < length; i++) text[i] = char(i * 31 + i / 251);
    return text;
}

} // namespace

TEST_CASE("everything_is_written_though_the_room_is_smaller") {
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = with_little_room(make);
        make_nonblocking(pair.far);
        WriteAll writer(rt, adopt(rt, pair.near), text_of_length(3 * mib));
        settle(rt);
        CHECK(writer.task.alive());
        CHECK(writer.done > 0);
        CHECK(writer.done < 3 * mib);
        CHECK(rt.idle_waits() <= idle_budget);
        std::string all;
        CHECK(rt.drive_until([&] { return all += take(pair.far), !writer.task.alive(); }));
        all += take(pair.far);
        CHECK(writer.task.result == int64_t(3 * mib));
        CHECK(writer.done == 3 * mib);
        CHECK(all == writer.text);
    }
}

TEST_CASE("done_tells_what_was_written_before_an_error") {
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = with_little_room(make);
        WriteAll writer(rt, adopt(rt, pair.near), text_of_length(3 * mib));
        settle(rt);
        size_t before = writer.done;
        CHECK(before > 0);
        pair.far.reset();
        CHECK(rt.drain());
        CHECK((writer.task.result == ZYNTAX_EPIPE || writer.task.result == ZYNTAX_ECONNRESET));
        CHECK(writer.done >= before);
        CHECK(writer.done < 3 * mib);
    }
}

TEST_CASE("done_tells_what_was_written_before_a_cancel_a_close_and_a_deadline") {
    for (int how : {0, 1, 2}) {
        Runtime rt;
        Pair pair = socket_pair();
        make_nonblocking(pair.far);
        zyntax_io *io = adopt(rt, pair.near);
        WriteAll writer(rt, io, text_of_length(16 * mib));
        settle(rt);
        if (how == 0) writer.task.cancel();
        if (how == 1) CHECK(zyntax_io_close(io) == 0);
        if (how == 2) CHECK(zyntax_io_deadline(io, ZYNTAX_WRITABLE, 0) == 0);
        CHECK(rt.drain());
        if (how == 1) CHECK(writer.task.result == ZYNTAX_ECANCELED);
        if (how == 2) CHECK(writer.task.result == ZYNTAX_ETIMEDOUT);
        std::string all = take(pair.far);
        CHECK(writer.done == all.size());
        CHECK(all == writer.text.substr(0, writer.done));
    }
}

TEST_CASE("a_write_that_has_written_everything_may_be_asked_again") {
    Runtime rt;
    Pair pair = socket_pair();
    make_nonblocking(pair.far);
    zyntax_io *io = adopt(rt, pair.near);
    size_t done = 0;
    for (int i = 0; i < 2; i++) {
        CHECK(await(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
                  return zyntax_io_write_all(io, op, "four", 4, &done, waker, result);
              }) == 4);
        CHECK(done == 4);
    }
    CHECK(take(pair.far) == "four");
}

TEST_CASE("an_empty_write_is_as_with_io_write") {
    Runtime rt;
    size_t done = 0;
    auto nothing = [&](zyntax_io *io) {
        return await(rt, [&, io](zyntax_op *op, Waker *waker, int64_t *result) {
            return zyntax_io_write_all(io, op, nullptr, 0, &done, waker, result);
        });
    };
    Pair stream = socket_pair();
    CHECK(nothing(adopt(rt, stream.near)) == 0);
    CHECK_FALSE(wait_for(stream.far, POLLIN, 20));
    SKIP_WHEN(!has_local_sockets, "pairs of datagrams");
    Pair messages = socket_pair(SOCK_DGRAM);
    make_nonblocking(messages.far);
    CHECK(nothing(adopt(rt, messages.near)) == 0);
    char byte;
    CHECK(receive_some(messages.far, &byte, 1) == 0);
    CHECK(receive_some(messages.far, &byte, 1) < 0);
}

TEST_CASE("bad_arguments_of_write_all_write_nothing") {
    Runtime rt;
    Pair pair = socket_pair();
    make_nonblocking(pair.far);
    zyntax_io *io = adopt(rt, pair.near);
    size_t done = 5, zero = 0;
    zyntax_op op = 0;
    Waker waker = nobody();
    int64_t result = unset;
    auto expect = [&](int64_t error, PollStatus status) {
        CHECK(status == POLL_READY);
        CHECK(result == error);
        CHECK(op == 0);
        result = unset;
    };
    expect(ZYNTAX_EINVAL, zyntax_io_write_all(io, &op, "four", 4, &done, &waker, &result));
    expect(ZYNTAX_EINVAL, zyntax_io_write_all(io, &op, "four", 4, nullptr, &waker, &result));
    expect(ZYNTAX_EINVAL, zyntax_io_write_all(io, &op, nullptr, 4, &zero, &waker, &result));
    expect(ZYNTAX_EINVAL, zyntax_io_write_all(io, &op, "four", 4, &zero, nullptr, &result));
    expect(ZYNTAX_EINVAL, zyntax_io_write_all(io, nullptr, "four", 4, &zero, &waker, &result));
    expect(ZYNTAX_ESTALE, zyntax_io_write_all(nullptr, &op, "four", 4, &zero, &waker, &result));
    CHECK(zyntax_io_write_all(io, &op, "four", 4, &zero, &waker, nullptr) == POLL_READY);
    CHECK(done == 5);
    CHECK(zero == 0);
    CHECK(take(pair.far).empty());
}

TEST_CASE("a_long_write_to_a_fast_reader_leaves_time_for_others") {
    zyntax_runtime_config config = support::config();
    config.await_budget = 2;
    Runtime rt(config);
    SKIP_WHEN(!has_pipes, "a pipe takes a page at a time");
    Pair pair = pipe_from_runtime();
    make_nonblocking(pair.far);
    WriteAll writer(rt, adopt(rt, pair.near), text_of_length(mib));
    std::string all;
    CHECK(rt.drive_until([&] { return all += take(pair.far), !writer.task.alive(); }));
    all += take(pair.far);
    CHECK(all == writer.text);
}
