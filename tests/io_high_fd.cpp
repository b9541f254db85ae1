// Descriptors with high numbers work and need no more memory than others.
#include "io_support.h"

#include <deque>

using namespace support;

namespace {

// Moves a descriptor up to the highest number that the process may use, 15000 at most.
void move_up(Fd &fd, int below) {
    int number = most_descriptors() - 1 - below;
    REQUIRE(number > fd);
    fd.reset(duplicate_from(fd, number));
    REQUIRE(fd >= number);
}

} // namespace

TEST_CASE("a_descriptor_with_a_high_number_reads_and_writes") {
    ManyDescriptors many;
    Runtime rt;
    Pair pair = socket_pair();
    move_up(pair.near, 0);
    zyntax_io *io = adopt(rt, pair.near);
    CHECK(zyntax_io_fd(io) > 1000);
    char buf[8];
    Await reader(rt, reading(io, buf, sizeof buf));
    settle(rt);
    CHECK(reader.alive());
    put(pair.far, "high");
    CHECK(rt.drain());
    CHECK(reader.result == 4);
    CHECK(await(rt, writing(io, "back", 4)) == 4);
    CHECK(take(pair.far) == "back");
    zyntax_io *second = nullptr;
    CHECK(zyntax_io_open(rt, zyntax_io_fd(io), &second) == ZYNTAX_EEXIST);
    CHECK(zyntax_io_close(io) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("three_high_descriptors_cost_less_than_a_mebibyte") {
    ManyDescriptors many;
    Runtime rt;
    uint64_t before = rt.stats().bytes_reserved;
    std::deque<Pair> pairs;
    for (int i = 0; i < 3; i++) {
        pairs.push_back(socket_pair());
        move_up(pairs.back().near, i);
        adopt(rt, pairs.back().near);
    }
    CHECK(rt.stats().bytes_reserved - before < mib);
    CHECK(rt.idle_waits() <= idle_budget);
}
