// A poller takes all memory from its allocator, gives it back, and survives a lack of memory.
#include "poller_support.h"

using namespace support;

namespace {

// Opens with the n-th allocation failing; false once there are fewer.
bool open_fails(uint64_t n) {
    Heap heap;
    zyntax::Memory memory{Heap::alloc, Heap::free, &heap};
    zyntax::Poller poller;
    heap.fail_at = n;
    int32_t error = poller.open(memory);
    if (error == 0) poller.close();
    CHECK(error == (heap.failures ? ZYNTAX_ENOMEM : 0));
    CHECK(heap.balanced());
    CHECK(memory.reserved == 0);
    return error != 0;
}

} // namespace

TEST_CASE("open_and_close_balance_descriptors_and_memory") {
    {
        Watched first; // the memory that a process needs once
    }
    int descriptors = fd_count();
    for (int round = 0; round < 100; round++) {
        Watched watched;
        watched.wait(0);
    }
    CHECK(fd_count() == descriptors);
}

TEST_CASE("add_and_remove_balance_descriptors_and_memory") {
    Watched watched;
    Pair pair = socket_pair();
    watched.add(pair.near, 1);
    watched.remove(pair.near, 1);
    watched.settle();
    int descriptors = fd_count();
    size_t bytes = watched.heap.bytes;
    for (uint32_t round = 0; round < 1000; round++) {
        watched.add(pair.near, round + 1);
        watched.want(pair.near, round + 1, readable | writable);
        if (round % 4 == 0) watched.wait(0);
        watched.remove(pair.near, round + 1);
    }
    watched.settle();
    CHECK(fd_count() == descriptors);
    CHECK(watched.heap.bytes <= bytes + 4 * kib);
}

TEST_CASE("open_without_memory_fails_and_leaves_nothing") {
    { Watched first; }
    int descriptors = fd_count();
    uint64_t n = 1;
    while (n < 100 && open_fails(n)) n++;
    CHECK(n < 100);
    CHECK(fd_count() == descriptors);
}

TEST_CASE("open_without_descriptors_fails_and_leaves_nothing") {
    SKIP_WHEN(on_libkqueue, "libkqueue reports EBADF when it runs out of descriptors");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    { Watched first; }
    Heap heap;
    zyntax::Memory memory{Heap::alloc, Heap::free, &heap};
    for (int spare = 0; spare < 8; spare++) {
        CAPTURE(spare);
        FewDescriptors few(spare);
        zyntax::Poller poller;
        int32_t error = poller.open(memory);
        if (error == 0) poller.close();
        CHECK((error == 0 || error == ZYNTAX_EMFILE));
        CHECK(heap.balanced());
    }
}

TEST_CASE("add_without_memory_fails_and_changes_nothing") {
    SKIP_WHEN(on_libkqueue, "libkqueue loses events that do not fit into one wait");
    Watched watched;
    std::vector<Pair> pairs;
    for (int i = 0; i < 100; i++) pairs.push_back(socket_pair());
    uint32_t added = 0;
    for (Pair &pair : pairs) {
        size_t bytes = watched.heap.bytes;
        watched.heap.fail_at = 1;
        int32_t error = watched.try_to_add(pair.near, added + 1);
        watched.heap.fail_at = 0;
        if (error != 0) {
            CHECK(error == ZYNTAX_ENOMEM);
            CHECK(watched.heap.bytes == bytes);
            watched.add(pair.near, added + 1); // nothing is in its way now
        }
        watched.want(pair.near, ++added, readable);
    }
    for (Pair &pair : pairs) put(pair.far, "x");
    for (uint32_t index = 0; index < added; index++) CHECK(watched.reported(index + 1, readable));
    for (uint32_t index = 0; index < added; index++) watched.remove(pairs[index].near, index + 1);
}

TEST_CASE("an_add_that_was_reserved_needs_no_memory") {
    Watched watched;
    std::vector<Pair> pairs;
    for (uint32_t index = 0; index < 100; index++) {
        CAPTURE(index);
        pairs.push_back(socket_pair());
        REQUIRE(watched.poller.reserve());
        watched.heap.fail_at = 1;
        int32_t error = watched.try_to_add(pairs.back().near, index + 1);
        watched.heap.fail_at = 0;
        REQUIRE(error == 0);
    }
    for (uint32_t index = 0; index < 100; index++) watched.remove(pairs[index].near, index + 1);
}

TEST_CASE("only_open_reserve_and_add_need_memory") {
    Watched watched;
    std::vector<Pair> pairs;
    for (uint32_t index = 0; index < 50; index++) {
        pairs.push_back(socket_pair());
        watched.add(pairs.back().near, index + 1);
    }
    watched.heap.fail_at = 1;
    watched.heap.persistent = true;
    for (uint32_t index = 0; index < 50; index++) watched.want(pairs[index].near, index + 1, readable);
    for (Pair &pair : pairs) put(pair.far, "x");
    for (uint32_t index = 0; index < 50; index++) CHECK(watched.reported(index + 1, readable));
    for (uint32_t index = 0; index < 50; index++) watched.remove(pairs[index].near, index + 1);
    watched.poller.wake();
    CHECK(watched.wait(0) == 0);
    CHECK(watched.heap.failures == 0);
}
