// The host's allocator behind a counter: where the runtime and its poller take every byte from.
#pragma once

#include <atomic>
#include <stddef.h>

namespace zyntax {

// A child that another thread forks finds this thread's memory as it is between two instructions. What stands above
// this call is stored before what stands below.
inline void store_in_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

// The allocator of the configuration. Only `reserved` is touched by several threads (zyntax_runtime_post).
struct Memory {
    void *(*alloc)(void *ctx, size_t size, size_t align);
    void (*free)(void *ctx, void *ptr, size_t size, size_t align);
    void *ctx;
    std::atomic<size_t> reserved{0}; // bytes taken from the allocator and not given back
    size_t in_use = 0;               // of these, handed out by the arena and the cells. Runtime's thread

    void *take(size_t size, size_t align = 16) {
        void *at = alloc(ctx, size, align);
        if (at) reserved.fetch_add(size, std::memory_order_relaxed);
        return at;
    }
    void give(void *at, size_t size, size_t align = 16) {
        if (!at) return;
        store_in_order(); // nothing that a forked child looks at leads to it any more
        reserved.fetch_sub(size, std::memory_order_relaxed);
        free(ctx, at, size, align);
    }
};

// The one block of an array that grows. Address and size change in one store, and before the smaller block is given
// back: a copy of the array, in a forked child, gives back the block that is there and no other.
class GrowingBlock {
public:
    void replace(Memory &memory, void *at, size_t size) {
        Block before = blocks_[newest_];
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
    bool newest_ = false; // index
};

} // namespace zyntax
