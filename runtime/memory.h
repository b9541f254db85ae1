// A runtime's memory: an arena for states and other small blocks, and cells of objects that numbers name. In steady
// state both serve every request from their free lists.
#pragma once

#include <assert.h>
#include <bit>
#include <new>
#include <stddef.h>
#include <stdint.h>
#include <type_traits>

#include "../platform/allocator.h"
#include "../platform/os.h"
#include "pool.h"

namespace zyntax {

// Blocks in 4 sizes per power of two, from 16 bytes up, cut from chunks. A freed block serves the next request of its
// size class. The destructor gives chunks back.
class Arena {
public:
    explicit Arena(Memory &memory) : memory_(memory) {}
    ~Arena();
    Arena(const Arena &) = delete;
    Arena &operator=(const Arena &) = delete;

    static constexpr size_t unit = 16; // alignment, and the step of sizes
    // A size in units fits 32 bits; a chunk's size fits a size_t.
    static constexpr size_t max_size =
        sizeof(size_t) == 8 ? static_cast<size_t>((uint64_t{1} << 32) * unit - unit) : SIZE_MAX / 2 + 1;

    // The bytes that a block of that size occupies.
    static constexpr size_t rounded(size_t size) { return size_of(class_of(size)); }

    // Uninitialised, 16-byte aligned; null for size 0, above max_size, or without memory.
    void *take(size_t size) {
        if (size - 1 >= max_size) return nullptr;
        uint32_t c = class_of(size);
        Free *block = free_[c];
        if (!block) return take_fresh(size_of(c));
        os::unpoison(block, size_of(c));
        free_[c] = block->next;
        memory_.in_use += size_of(c);
        return block;
    }

    // `size` is that of take, or the same rounded up to whole units.
    void give(void *at, size_t size) {
        assert(at && size - 1 < max_size);
        uint32_t c = class_of(size);
        auto *block = static_cast<Free *>(at);
        block->next = free_[c];
        free_[c] = block;
        memory_.in_use -= size_of(c);
        os::poison(block, size_of(c));
    }

private:
    struct Free {
        Free *next;
    };
    struct alignas(unit) Chunk {
        Chunk *next;
        size_t size;
    };
    static_assert(sizeof(Chunk) == unit, "a chunk's header keeps blocks aligned");

    static constexpr size_t first_chunk = 4096;
    static constexpr size_t max_chunk = size_t{1} << 18;

    // 16, 32, 48, 64, then 80, 96, 112, 128, 160 … 2^36
    static constexpr uint32_t class_of(size_t size) {
        size_t units = (size - 1) / unit;
        if (units < 4) return static_cast<uint32_t>(units);
        auto octave = static_cast<uint32_t>(std::bit_width(units) - 3); // 4..7 units: 0
        return static_cast<uint32_t>(4 * octave + (units >> octave));
    }
    static constexpr size_t size_of(uint32_t c) {
        return c < 4 ? (c + 1) * unit : (size_t{c % 4} + 5) * unit << (c / 4 - 1);
    }
    static constexpr uint32_t classes = 124; // class_of(max_size) + 1

    void *take_fresh(size_t size);

    Memory &memory_;
    Free *free_[classes] = {};
    unsigned char *fresh_ = nullptr; // the rest of the newest chunk
    size_t fresh_left_ = 0;
    size_t next_chunk_ = first_chunk;
    Chunk *chunks_ = nullptr;
};

// A runtime's objects of a pool (see pool.h): whole blocks, and a stack of free numbers. The stack is separate from the
// objects: it has the numbers of the next objects, so that they can be prefetched.
//   used() + free_ + (fresh_end_ - fresh_) + objects that ended and are not recycled == numbers of all blocks
//   capacity_ >= numbers of all blocks, so that recycling never fails
template <class Object> class Cells {
    static auto &pool() { return pool_of(static_cast<Object *>(nullptr)); }
    static constexpr uint32_t block_size = std::remove_reference_t<decltype(pool())>::block;

public:
    explicit Cells(Memory &memory) : memory_(memory) {}
    ~Cells() { stack_block_.give(memory_); }
    Cells(const Cells &) = delete;
    Cells &operator=(const Cells &) = delete;

    bool has_free(uint32_t more_than = 0) const { return free_ > more_than; }

    // A new object, its number and its odd generation. `object` is null without memory.
    struct Taken {
        Object *object;
        uint32_t index, generation;
    };

    // Requires has_free().
    Taken take_free() {
        assert(free_ > 0);
        uint32_t index = stack_[ahead + --free_];
        Object *object = pool().at(index);
        uint32_t generation = object->generation.load(std::memory_order_relaxed) + 1;
        assert(generation & 1);
        object->generation.store(generation, std::memory_order_release);
        taken_++;
        return {object, index, generation};
    }

    uint32_t available() const { return free_ + (fresh_end_ - fresh_); }

    // Prefetches the object that will be taken `ahead` objects after the next one.
    void prefetch() const { os::prefetch(pool().at(free_ ? stack_[free_ - 1] : 0)); }

    // Grows if necessary.
    Taken take(uint32_t owner) { return refill(owner) ? take_free() : Taken{}; }

    // Makes has_free() true; may_grow agrees to each new block, given the new most(). False without memory.
    template <class Grow> bool refill(uint32_t owner, Grow may_grow) {
        while (!free_) {
            if (fresh_ != fresh_end_) add_fresh(owner);
            else if (!may_grow(most() + block_size) || !grow(owner)) return false;
        }
        return true;
    }
    bool refill(uint32_t owner) {
        return refill(owner, [](uint32_t) { return true; });
    }

    // Adds a block. False without memory.
    [[gnu::noinline]] bool grow(uint32_t owner) {
        uint32_t needed = most() + block_size;
        if (needed > capacity_) {
            uint32_t doubled = capacity_ ? capacity_ * 2 : block_size;
            auto *stack = static_cast<uint32_t *>(memory_.take(stack_bytes(doubled)));
            if (!stack) return false;
            for (uint32_t i = 0; i < ahead + free_; i++) stack[i] = stack_ ? stack_[i] : 0;
            stack_ = stack;
            capacity_ = doubled;
            stack_block_.replace(memory_, stack, stack_bytes(doubled));
        }
        uint32_t block = pool().take_block();
        if (!block) return false;
        while (fresh_ != fresh_end_) add_fresh(owner); // take keeps spare numbers
        pool().at(block)->link = blocks_;
        store_in_order();
        blocks_ = block;
        block_count_++;
        assert(most() <= capacity_);
        fresh_ = block + 1;
        fresh_end_ = block + block_size;
        return true;
    }

    // Ends an object: its number becomes stale.
    void end(Object *object) {
        uint32_t generation = object->generation.load(std::memory_order_relaxed) + 1;
        assert(used() > 0 && !(generation & 1));
        object->generation.store(generation, std::memory_order_release);
        ended_++;
    }

    // Makes an ended object's number free.
    void recycle(Object *object, uint32_t index) {
        assert(pool().at(index) == object && free_ < capacity_);
        assert(!(object->generation.load(std::memory_order_relaxed) & 1));
        if (object->generation.load(std::memory_order_relaxed) == last_generation) return;
        stack_[ahead + free_++] = index;
    }

    void give(Object *object) {
        end(object);
        recycle(object, pool().index_of(object));
    }

    uint64_t taken() const { return taken_; } // in total
    uint64_t used() const { return taken_ - ended_; }
    uint32_t most() const { return block_count_ * block_size; } // numbers of all blocks
    size_t bytes_used() const { return static_cast<size_t>(used()) * sizeof(Object); }
    size_t bytes() const { return size_t{most()} * sizeof(Object); }

    // Calls visit(index, object) for every object in use.
    template <class Visit> void each(Visit visit) const {
        for (uint32_t block = blocks_; block; block = pool().at(block)->link) {
            bool is_newest = fresh_ - block - 1 < block_size;
            uint32_t end = is_newest ? fresh_ : block + block_size;
            for (uint32_t index = block + 1; index < end; index++) {
                Object *object = pool().at(index);
                if (object->generation.load(std::memory_order_relaxed) & 1) visit(index, object);
            }
        }
    }

#ifndef NDEBUG
    bool is_valid() const {
        uint64_t alive = 0;
        each([&](uint32_t, const Object *) { alive++; });
        return alive == used() && used() + available() <= most() && most() <= capacity_;
    }
#endif

    // Makes every number stale. No object may be taken afterwards. In the copy of a forked child, any other function
    // may have stopped halfway.
    void retire() {
        each([](uint32_t, auto *object) { object->generation.fetch_add(1, std::memory_order_release); });
    }

    // Gives the blocks to the pool. No object is in use.
    void give_blocks() {
        if (blocks_) pool().give_blocks(blocks_);
        blocks_ = 0;
    }

private:
    static constexpr uint32_t ahead = 8; // zeros below the stack, which is read that far ahead

    static size_t stack_bytes(uint32_t capacity) { return capacity ? (ahead + capacity) * sizeof(uint32_t) : 0; }

    // Makes a fresh number of the newest block free, unless its generation is the last one.
    void add_fresh(uint32_t owner) {
        assert(fresh_ != fresh_end_);
        uint32_t index = fresh_++;
        Object *object = pool().at(index);
        object->owner.store(owner, std::memory_order_release);
        recycle(object, index);
    }

    Memory &memory_;
    GrowingBlock stack_block_;
    uint32_t *stack_ = nullptr;
    uint32_t capacity_ = 0;
    uint64_t taken_ = 0, ended_ = 0;
    uint32_t free_ = 0;                  // numbers on the stack
    uint32_t fresh_ = 0, fresh_end_ = 0; // numbers of the newest block that were never taken
    uint32_t blocks_ = 0;                // list through `link`
    uint32_t block_count_ = 0;
};

} // namespace zyntax
