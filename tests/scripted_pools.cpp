// A pool that all runtimes share gives each block to one thread.
#include "../runtime/pool.h"
#include "scripted_world.h"

#include <atomic>

using namespace support;
using namespace scripted;

namespace {

struct Thing {
    static constexpr uint32_t first_block = 1;
    std::atomic<uint32_t> generation;
    uint32_t link;
};

} // namespace

TEST_CASE("a_thread_that_asks_for_a_block_waits_while_another_is_given_one") {
    SKIP_WHEN(!has_threads, "a WASI program has one thread");
    static constinit zyntax::Pool<Thing, 64, 1024> pool;
    World world;
    std::atomic<bool> waits = false, has_block = false, overtook = false;
    uint32_t second = 0;
    std::optional<Thread> other;
    world.before_yield = [&] { waits = true; };
    world.before_commit = [&] { // within the first thread's call
        if (other) return;
        other.emplace([&] {
            second = pool.take_block();
            has_block = true;
        });
        while (!waits && !has_block) yield(); // the thread's first step is one of the two
        overtook = has_block.load();
    };
    uint32_t first = pool.take_block();
    other->join();
    CHECK_FALSE(overtook);
    CHECK(first != 0);
    CHECK(second != 0);
    CHECK(first != second);
}
