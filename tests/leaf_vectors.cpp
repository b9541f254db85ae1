// Promises of reads and writes of slices, and of a write that reports its progress.
#include "compiled_support.h"
#include "io_support.h"

using namespace support;

TEST_CASE("a_promise_of_slices_gives_the_bytes_that_were_read_and_the_end") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char bytes[8] = {};
    const zyntax_slice slices[] = {{bytes, 2}, {nullptr, 0}, {bytes + 2, 6}}, none[] = {{bytes, 0}};
    auto reading = [&] { return zyntax_promise_readv(io, slices, 3); };
    Compiled first({reading});
    first.spawn(rt);
    settle(rt);
    CHECK(first.alive());
    put(pair.far, "abcd");
    CHECK(rt.drain());
    CHECK(first.result == 4);
    CHECK(std::string(bytes) == "abcd");
    Compiled empty({[&] { return zyntax_promise_readv(io, none, 1); }});
    CHECK(run(rt, empty) == ZYNTAX_EINVAL);
    Compiled no_slices({[&] { return zyntax_promise_readv(io, nullptr, 1); }});
    CHECK(run(rt, no_slices) == ZYNTAX_EINVAL);
    pair.far.reset();
    Compiled last({reading});
    CHECK(run(rt, last) == ZYNTAX_EOF);
}

TEST_CASE("a_promise_writes_all_bytes_of_its_slices") {
    for (auto make : pairs_from_runtime()) {
        Runtime rt;
        Pair pair = make();
        make_nonblocking(pair.far);
        zyntax_io *io = adopt(rt, pair.near);
        std::string text(2 * mib, 0);
        for (size_t i = 0; i < text.size(); i++) text[i] = char(i * 7 + i / 253);
        std::vector<zyntax_slice> slices;
        for (size_t at = 0, i = 0; at < text.size(); i++) {
            size_t len = i % 5 == 0 ? 0 : std::min(text.size() - at, 1 + i * i % 4'099);
            slices.push_back({text.data() + at, len});
            at += len;
        }
        Compiled code({[&] { return zyntax_promise_writev(io, slices.data(), slices.size()); }});
        code.spawn(rt);
        std::string all;
        CHECK(rt.drive_until([&] { return all += take(pair.far), !code.alive(); }));
        all += take(pair.far);
        CHECK(code.result == int64_t(text.size()));
        CHECK(all == text);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("a_promise_of_nothing_to_write_is_einval") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte = 0;
    size_t done = 0;
    const zyntax_slice none[] = {{&byte, 0}, {nullptr, 0}};
    Compiled empty({[&] { return zyntax_promise_writev(io, none, 2); }});
    CHECK(run(rt, empty) == ZYNTAX_EINVAL);
    Compiled no_list({[&] { return zyntax_promise_writev(io, none, 0); }});
    CHECK(run(rt, no_list) == ZYNTAX_EINVAL);
    Compiled no_bytes({[&] { return zyntax_promise_write_all(io, &byte, 0, &done); }});
    CHECK(run(rt, no_bytes) == ZYNTAX_EINVAL);
    Compiled no_count({[&] { return zyntax_promise_write_all(io, &byte, 1, nullptr); }});
    CHECK(run(rt, no_count) == ZYNTAX_EINVAL);
    zyntax_promise *outside = zyntax_promise_writev(io, none, 2);
    CHECK(outside->poll(outside->state) == ZYNTAX_EPERM);
}

TEST_CASE("a_promise_that_writes_everything_counts_what_was_written_before_it_ended") {
    Runtime rt;
    Pair pair = socket_pair();
    make_nonblocking(pair.far);
    zyntax_io *io = adopt(rt, pair.near);
    std::string text(16 * mib, 'x');
    size_t done = 0;
    Compiled code({[&] { return zyntax_promise_write_all(io, text.data(), text.size(), &done); }});
    code.spawn(rt);
    settle(rt);
    CHECK(code.alive());
    CHECK(zyntax_io_deadline(io, ZYNTAX_WRITABLE, 0) == 0);
    CHECK(rt.drain());
    CHECK(code.result == ZYNTAX_ETIMEDOUT);
    CHECK(done > 0);
    CHECK(take(pair.far).size() == done);

    done = 0;
    CHECK(zyntax_io_deadline(io, ZYNTAX_WRITABLE, UINT64_MAX) == 0);
    Compiled again({[&] { return zyntax_promise_write_all(io, "four", 4, &done); }});
    CHECK(run(rt, again) == 4);
    CHECK(done == 4);
}
