// A runtime's memory: the host's allocator behind two counters, an arena for states and everything small, and cells
// of objects that numbers name. Steady state stays inside their free lists.
#pragma once

#include <bit>
#include <new>
#include <stddef.h>
#include <stdint.h>

#include "../platform/allocator.h"
#include "../platform/os.h"
#include "slots.h"

namespace zyntax {

// Blocks of 4 sizes per power of two, from 16 bytes up, cut from chunks. A freed block serves the next request of its
// class; chunks are given back at the end.
class Arena {
public:
    explicit Arena(Memory &memory) : memory_(memory) {}
    ~Arena();
    Arena(const Arena &) = delete;
    Arena &operator=(const Arena &) = delete;

    static constexpr size_t unit = 16; // alignment, and step of sizes
    // Sizes in units fit 32 bits, and a chunk's size fits a size_t.
    static constexpr size_t max_size =
        sizeof(size_t) == 8 ? static_cast<size_t>((uint64_t{1} << 32) * unit - unit) : SIZE_MAX / 2 + 1;

    // What a block of that size takes.
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

    // `size` as given to take, or rounded up to a whole unit.
    void give(void *at, size_t size) {
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
    unsigned char *fresh_ = nullptr; // rest of the newest chunk
    size_t fresh_left_ = 0;
    size_t next_chunk_ = first_chunk;
    Chunk *chunks_ = nullptr;
};

// A runtime's objects of a pool (see slots.h): whole blocks, and a stack of the numbers that are free. A stack beside
// the objects and not a list through them, so that the next objects to be taken can be fetched ahead.
//   available_ == numbers on the stack + those of the newest block that were never taken
//   capacity_ >= numbers of all blocks, so that giving one back can never fail
template <class P> class Cells {
public:
    Cells(Memory &memory, P &pool) : memory_(memory), pool_(pool) {}
    ~Cells() { memory_.give(stack_, capacity_ * sizeof(uint32_t)); }
    Cells(const Cells &) = delete;
    Cells &operator=(const Cells &) = delete;

    // A number for a new object of an owner, its generation odd; 0 without memory, or when no more than `spare` of
    // those that there is memory for would be left.
    uint32_t take(uint32_t owner, uint32_t spare = 0) {
        if (available_ <= spare && !grow(owner)) return 0;
        uint32_t index;
        if (free_) {
            index = stack_[--free_];
            if (free_ >= ahead) os::prefetch(pool_.at(stack_[free_ - ahead]));
        } else if (!(index = take_fresh(owner))) {
            return take(owner, spare); // a block of which nothing can be used any more
        }
        auto *object = pool_.at(index);
        object->generation.store(object->generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        available_--;
        used_++;
        memory_.in_use += sizeof(*object);
        return index;
    }

    void give(uint32_t index) {
        auto *object = pool_.at(index);
        uint32_t generation = object->generation.load(std::memory_order_relaxed) + 1;
        object->generation.store(generation, std::memory_order_release);
        used_--;
        memory_.in_use -= sizeof(*object);
        if (generation == last_generation) return;
        stack_[free_++] = index;
        available_++;
    }

    // Makes sure that there is a block.
    bool prepare(uint32_t owner) { return blocks_ || grow(owner); }

    uint32_t used() const { return used_; }
    size_t bytes() const { return size_t{block_count_} * P::block * sizeof(*pool_.at(0)); }

    // Calls visit(index, object) for every one in use.
    template <class Visit> void each(Visit visit) const {
        for (uint32_t block = blocks_; block; block = pool_.at(block)->link) {
            uint32_t end = block == blocks_ ? fresh_ : block + P::block;
            for (uint32_t index = block + 1; index < end; index++) {
                auto *object = pool_.at(index);
                if (object->generation.load(std::memory_order_relaxed) & 1) visit(index, object);
            }
        }
    }

    // Makes every number stale. Nothing may be taken any more.
    void retire() {
        each([](uint32_t, auto *object) { object->generation.fetch_add(1, std::memory_order_release); });
    }

    // To the pool, once nothing is in use.
    void give_blocks() {
        if (blocks_) pool_.give_blocks(blocks_);
        blocks_ = 0;
    }

private:
    static constexpr uint32_t ahead = 8;

    // The next number of the newest block that can be used at all, or 0.
    uint32_t take_fresh(uint32_t owner) {
        for (; fresh_ != fresh_end_; available_--) {
            uint32_t index = fresh_++;
            auto *object = pool_.at(index);
            if (object->generation.load(std::memory_order_relaxed) == last_generation) continue;
            object->owner.store(owner, std::memory_order_release);
            return index;
        }
        return 0;
    }

    [[gnu::noinline]] bool grow(uint32_t owner) {
        uint32_t needed = (block_count_ + 1) * P::block;
        if (needed > capacity_) {
            uint32_t doubled = capacity_ ? capacity_ * 2 : P::block;
            auto *stack = static_cast<uint32_t *>(memory_.take(doubled * sizeof(uint32_t)));
            if (!stack) return false;
            for (uint32_t i = 0; i < free_; i++) stack[i] = stack_[i];
            memory_.give(stack_, capacity_ * sizeof(uint32_t));
            stack_ = stack;
            capacity_ = doubled;
        }
        uint32_t block = pool_.take_block();
        if (!block) return false;
        while (fresh_ != fresh_end_) { // what was kept in reserve
            uint32_t index = take_fresh(owner);
            if (index) stack_[free_++] = index;
        }
        pool_.at(block)->link = blocks_;
        blocks_ = block;
        block_count_++;
        fresh_ = block + 1;
        fresh_end_ = block + P::block;
        available_ += P::block - 1;
        return true;
    }

    Memory &memory_;
    P &pool_;
    uint32_t *stack_ = nullptr;
    uint32_t capacity_ = 0;
    uint32_t free_ = 0; // numbers on the stack
    uint32_t available_ = 0;
    uint32_t used_ = 0;
    uint32_t fresh_ = 0, fresh_end_ = 0; // of the newest block: those that were never taken
    uint32_t blocks_ = 0;                // list through `link`
    uint32_t block_count_ = 0;
};

} // namespace zyntax
