// The arena. A warm runtime allocates nothing, and all memory is given back.
#include "support.h"

#include <cstring>
#include <vector>

using namespace support;

namespace {

bool all_zero(const void *block, size_t size) {
    auto *bytes = static_cast<const unsigned char *>(block);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0) return false;
    return true;
}

// A task that does a bit of everything with memory: its own state, a timer, a child that is joined.
struct Worker {
    zyntax_runtime *rt;
    zyntax_op op;
    zyntax_task *child;
    int step;

    static PollStatus end(FutureState, Waker *) { return POLL_READY; }
    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Worker *>(state);
        int64_t result;
        if (self->step == 0) {
            if (zyntax_sleep(self->rt, &self->op, ms, waker) == POLL_PENDING) return POLL_PENDING;
            self->child = zyntax_runtime_spawn(self->rt, nullptr, end);
            self->step = 1;
        }
        if (self->step == 1) {
            if (zyntax_task_join(self->child, &self->op, waker, &result) == POLL_PENDING) return POLL_PENDING;
            self->step = 2;
        }
        return POLL_READY;
    }
    static bool spawn(zyntax_runtime *rt) {
        auto *self = static_cast<Worker *>(zyntax_state_alloc(rt, sizeof(Worker)));
        if (self == nullptr) return false;
        self->rt = rt;
        return zyntax_runtime_spawn_with(rt, self, poll, nullptr, sizeof(Worker)) != nullptr;
    }
};

// Runs `count` workers to their end.
void burst(Runtime &rt, Clock &clock, int count) {
    int failed = 0;
    for (int i = 0; i < count; i++) failed += !Worker::spawn(rt);
    CHECK(failed == 0);
    CHECK(rt.drive_until([&] {
        clock.now += ms;
        return zyntax_runtime_turn(rt, 0) == 0;
    }));
}

} // namespace

TEST_CASE("states_are_zeroed_aligned_and_apart_at_every_size") {
    Heap heap;
    Runtime rt(heap.config());
    for (size_t size = 1; size <= 100'000; size += size < 3000 ? 1 : 977) {
        void *a = zyntax_state_alloc(rt, size), *b = zyntax_state_alloc(rt, size);
        REQUIRE(a != nullptr);
        REQUIRE(b != nullptr);
        bool good = uintptr_t(a) % 16 == 0 && uintptr_t(b) % 16 == 0 && all_zero(a, size) && all_zero(b, size);
        std::memset(a, 0xee, size); // the next owner must not see it
        good = good && all_zero(b, size);
        std::memset(b, 0xdd, size);
        good = good && *static_cast<unsigned char *>(a) == 0xee;
        zyntax_state_free(rt, a, size);
        zyntax_state_free(rt, b, size);
        void *again = zyntax_state_alloc(rt, size);
        good = good && all_zero(again, size);
        zyntax_state_free(rt, again, size);
        CAPTURE(size);
        REQUIRE(good);
    }
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("states_do_not_overlap") {
    Runtime rt;
    std::vector<std::pair<unsigned char *, size_t>> blocks;
    for (size_t i = 0; i < 5000; i++) {
        size_t size = 1 + i * 7919 % 2000;
        auto *block = static_cast<unsigned char *>(zyntax_state_alloc(rt, size));
        REQUIRE(block != nullptr);
        std::memset(block, int(i % 251), size);
        blocks.emplace_back(block, size);
    }
    int wrong = 0;
    for (size_t i = 0; i < blocks.size(); i++) {
        auto [block, size] = blocks[i];
        for (size_t k = 0; k < size; k++) wrong += block[k] != i % 251;
        zyntax_state_free(rt, block, size);
    }
    CHECK(wrong == 0);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_freed_state_is_reused") {
    Heap heap;
    Runtime rt(heap.config());
    for (size_t size : {1, 16, 17, 100, 1000, 10'000, 100'000}) {
        zyntax_state_free(rt, zyntax_state_alloc(rt, size), size);
        uint64_t warm = heap.allocations;
        for (int i = 0; i < 100; i++) zyntax_state_free(rt, zyntax_state_alloc(rt, size), size);
        CHECK(heap.allocations == warm);
    }
}

TEST_CASE("sizes_are_rounded_up_by_a_quarter_at_most") {
    Runtime rt;
    for (size_t size : {64, 65, 80, 81, 100, 128, 129, 1000, 1025, 5000, 70'000}) {
        uint64_t before = rt.stats().bytes_in_use;
        void *state = zyntax_state_alloc(rt, size);
        uint64_t used = rt.stats().bytes_in_use - before;
        CAPTURE(size);
        CHECK(used >= size);
        CHECK(used <= size + size / 4 + 16);
        zyntax_state_free(rt, state, size);
    }
}

TEST_CASE("states_of_no_size_or_absurd_size_are_null") {
    Runtime rt;
    auto before = rt.stats();
    CHECK(zyntax_state_alloc(rt, 0) == nullptr);
    CHECK(zyntax_state_alloc(rt, SIZE_MAX) == nullptr);
    CHECK(zyntax_state_alloc(rt, SIZE_MAX - 15) == nullptr);
    CHECK(zyntax_state_alloc(rt, SIZE_MAX / 2 + 2) == nullptr);
    CHECK(zyntax_state_alloc(nullptr, 16) == nullptr);
    zyntax_state_free(rt, nullptr, 16);
    zyntax_state_free(nullptr, nullptr, 16);
    CHECK(rt.stats().bytes_reserved == before.bytes_reserved);
    CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
}

TEST_CASE("once_warm_spawning_sleeping_joining_and_ending_allocate_nothing") {
    Heap heap;
    Clock clock;
    Runtime rt(heap.config(clock.config()));
    for (int i = 0; i < 3; i++) burst(rt, clock, 100);
    uint64_t warm = heap.allocations;
    auto before = rt.stats();
    for (int i = 0; i < scaled(200); i++) burst(rt, clock, 100);
    CHECK(heap.allocations == warm);
    CHECK(rt.stats().bytes_reserved == before.bytes_reserved);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_burst_reuses_the_memory_of_the_one_before") {
    Heap heap;
    Clock clock;
    Runtime rt(heap.config(clock.config()));
    burst(rt, clock, scaled(100'000));
    CHECK(rt.stats().bytes_in_use == 0);
    uint64_t warm = heap.allocations;
    burst(rt, clock, scaled(100'000));
    CHECK(heap.allocations == warm);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("everything_goes_back_at_destroy") {
    Heap heap;
    Clock clock;
    {
        Runtime rt(heap.config(clock.config()));
        burst(rt, clock, 1000);
        for (int i = 0; i < 100; i++) Worker::spawn(rt); // in the middle of their lives
        zyntax_runtime_turn(rt, 0);
        CHECK(zyntax_state_alloc(rt, 100'000) != nullptr);
        CHECK(heap.bytes > 0);
    }
    CHECK(heap.balanced());
}

TEST_CASE("bytes_in_use_counts_tasks_and_states_and_only_while_they_live") {
    Runtime rt;
    CHECK(rt.stats().bytes_in_use == 0);
    void *state = zyntax_state_alloc(rt, 1000);
    uint64_t with_state = rt.stats().bytes_in_use;
    CHECK(with_state >= 1000);
    zyntax_task *task = zyntax_runtime_spawn_with(rt, state, Worker::end, nullptr, 1000);
    CHECK(rt.stats().bytes_in_use > with_state);
    CHECK(rt.stats().bytes_in_use <= rt.stats().bytes_reserved);
    CHECK(zyntax_runtime_block_on(rt, task) == 0);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_runtime_that_was_never_used_takes_little_memory") {
    Heap heap;
    Runtime rt(heap.config());
    CHECK(heap.bytes <= 64 * 1024);
}
