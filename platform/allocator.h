// The host's allocator behind a counter: where the runtime and its poller take every byte from.
#pragma once

#include <atomic>
#include <stddef.h>

namespace zyntax {

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
        reserved.fetch_sub(size, std::memory_order_relaxed);
        free(ctx, at, size, align);
    }
};

} // namespace zyntax
