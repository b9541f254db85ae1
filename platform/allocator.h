// The host's allocator and a counter. The runtime and its poller allocate all memory here.
#pragma once

#include <assert.h>
#include <atomic>
#include <stddef.h>

namespace zyntax {

// If another thread forks, the child sees this thread's memory as it is between two instructions. Stores above this
// call happen before stores below it.
inline void store_in_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

// The allocator of the configuration. Several threads change `reserved` (zyntax_runtime_post), and no other field.
struct Memory {
    void *(*alloc)(void *ctx, size_t size, size_t align);
    void (*free)(void *ctx, void *ptr, size_t size, size_t align);
    void *ctx;
    std::atomic<size_t> reserved{0}; // bytes taken from the allocator and not given back
    size_t in_use = 0;               // bytes of these that the arena and the cells handed out. Runtime's thread only

    void *take(size_t size, size_t align = 16) {
        assert(size > 0 && align > 0 && (align & (align - 1)) == 0);
        void *at = alloc(ctx, size, align);
        if (at) reserved.fetch_add(size, std::memory_order_relaxed);
        return at;
    }
    void give(void *at, size_t size, size_t align = 16) {
        if (!at) return;
        store_in_order(); // nothing that a forked child reads points to the block any more
        [[maybe_unused]] size_t before = reserved.fetch_sub(size, std::memory_order_relaxed);
        assert(size > 0 && before >= size);
        free(ctx, at, size, align);
    }
};

// The only block of a growing array. One store changes address and size, before the smaller block is given back. So
// the copy of the array in a forked child gives back exactly the current block.
class GrowingBlock {
public:
    void replace(Memory &memory, void *at, size_t size) {
        assert((at != nullptr) == (size > 0));
        Block before = blocks_[newest_];
        assert(!at || at != before.at);
        blocks_[!newest_] = {at, size};
        store_in_order();
        newest_ = !newest_;
        memory.give(before.at, before.size);
    }
    void give(Memory &memory) { replace(memory, nullptr, 0); }

private:
    struct Block {
        void *at;
        size_t size;
    };
    Block blocks_[2] = {};
    bool newest_ = false; // index of the current block
};

} // namespace zyntax
