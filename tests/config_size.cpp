// The size of a structure tells which members a program knows. It ends at a member's end, or beyond all members.
#include "support.h"

#include <algorithm>
#include <cstddef>
#include <vector>

using namespace support;

namespace {

#define END_OF(member) (offsetof(zyntax_runtime_config, member) + sizeof(zyntax_runtime_config::member))
constexpr size_t member_ends[] = {END_OF(size),        END_OF(alloc),        END_OF(free),
                                  END_OF(alloc_ctx),   END_OF(clock_ns),     END_OF(clock_ctx),
                                  END_OF(poll_budget), END_OF(spin_us),      END_OF(blocking_threads),
                                  END_OF(flags),       END_OF(await_budget), sizeof(zyntax_runtime_config)};

bool is_an_end(size_t size) {
    for (size_t end : member_ends)
        if (size == end) return true;
    return false;
}

// A configuration with room behind it, and the result of a creation with it.
struct Configured {
    alignas(zyntax_runtime_config) unsigned char bytes[1024] = {};

    zyntax_runtime_config &config() { return *reinterpret_cast<zyntax_runtime_config *>(bytes); }
    int32_t create(size_t size) {
        config().size = size;
        int32_t error = 1;
        zyntax_runtime *rt = zyntax_runtime_create_with(&config(), &error);
        CHECK((rt != nullptr) == (error == 0));
        zyntax_runtime_destroy(rt);
        return error;
    }
};

// An allocator and a clock that need no context, as a size may end before that.
int blocks;
void *allocate(void *, size_t size, size_t align) {
    blocks++;
    return aligned_allocate(size, align < sizeof(void *) ? sizeof(void *) : align);
}
void give_back(void *, void *block, size_t, size_t) {
    blocks--;
    aligned_release(block);
}
zyntax_runtime_config full_config() {
    zyntax_runtime_config c = config();
    c.alloc = allocate;
    c.free = give_back;
    c.alloc_ctx = &blocks;
    c.clock_ns = [](void *) { return 1'000 * ms; };
    c.clock_ctx = &blocks;
    c.poll_budget = 7;
    c.spin_us = 1;
    c.blocking_threads = 1;
    c.flags = ZYNTAX_DETECT_STALL;
    c.await_budget = 9;
    return c;
}

} // namespace

TEST_CASE("every_members_end_is_a_size") {
    Configured given;
    for (size_t end : member_ends) {
        CAPTURE(end);
        CHECK(given.create(end) == 0);
    }
}

TEST_CASE("a_size_that_is_no_members_end_is_invalid") {
    Configured given;
    for (size_t size = 0; size < sizeof(zyntax_runtime_config); size++) {
        CAPTURE(size);
        CHECK(given.create(size) == (is_an_end(size) ? 0 : ZYNTAX_EINVAL));
    }
}

TEST_CASE("a_size_inside_a_member_is_invalid_whatever_the_members_say") {
    blocks = 0;
    Configured given;
    given.config() = full_config();
    for (size_t size = 0; size <= sizeof(zyntax_runtime_config); size++) {
        CAPTURE(size);
        bool half_a_pair = size == END_OF(alloc); // an allocator without its other half
        CHECK(given.create(size) == (is_an_end(size) && !half_a_pair ? 0 : ZYNTAX_EINVAL));
    }
    CHECK(blocks == 0);
}

TEST_CASE("a_larger_size_is_taken_when_the_rest_is_zero") {
    Configured given;
    for (size_t more : {size_t(1), size_t(4), size_t(8), size_t(100), size_t(500)}) {
        size_t size = sizeof(zyntax_runtime_config) + more;
        CAPTURE(size);
        CHECK(given.create(size) == 0);
        for (size_t at : {sizeof(zyntax_runtime_config), size - 1}) {
            given.bytes[at] = 1;
            CHECK(given.create(size) == ZYNTAX_EINVAL);
            given.bytes[at] = 0;
        }
        given.bytes[size] = 1; // behind the given size
        CHECK(given.create(size) == 0);
        given.bytes[size] = 0;
    }
}

TEST_CASE("members_behind_the_size_are_not_looked_at") {
    blocks = 0;
    for (size_t end : member_ends) {
        CAPTURE(end);
        Configured given;
        std::memset(given.bytes, 0xee, sizeof given.bytes);
        zyntax_runtime_config known = full_config();
        std::memcpy(given.bytes, &known, end < sizeof known ? end : sizeof known);
        CHECK(given.create(end) == (end == END_OF(alloc) ? ZYNTAX_EINVAL : 0));
    }
    CHECK(blocks == 0);
}

TEST_CASE("statistics_are_filled_in_whole_members") {
    Runtime rt;
    Task task{[](Waker *) { return POLL_PENDING; }};
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    constexpr size_t first = offsetof(zyntax_runtime_stats, tasks_alive);
    for (size_t size = 0; size <= sizeof(zyntax_runtime_stats); size++) {
        CAPTURE(size);
        unsigned char bytes[sizeof(zyntax_runtime_stats)];
        std::memset(bytes, 0xee, sizeof bytes);
        std::memcpy(bytes, &size, sizeof size);
        auto *stats = reinterpret_cast<zyntax_runtime_stats *>(bytes);
        int32_t code = zyntax_runtime_get_stats(rt, stats);
        size_t filled = 0;
        if (size < first + sizeof(uint64_t)) {
            CHECK(code == ZYNTAX_EINVAL);
        } else {
            filled = size - (size - first) % sizeof(uint64_t);
            CHECK(code == 0);
            CHECK(stats->size == filled);
            CHECK(stats->tasks_alive == 1);
        }
        size_t touched = 0;
        for (size_t i = std::max(filled, sizeof size); i < sizeof bytes; i++) touched += bytes[i] != 0xee;
        CHECK(touched == 0);
    }
}
