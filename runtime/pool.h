// Pools: the memory of objects that a thread may still look at after they have ended (tasks, operations, handles,
// inboxes, leaves). This memory is process-wide and type-stable: it is recycled, never unmapped, and never used for
// anything else. Therefore wakers and handles can be plain numbers without a reference count, as the generational
// handles of embassy and Abseil are: any thread may compare a number's generation, and only the owner of the object
// looks further. Nothing here knows a runtime.
#pragma once

#include <assert.h>
#include <atomic>
#include <stddef.h>
#include <stdint.h>

#include "../platform/os.h"

namespace zyntax {

using Runtime = zyntax_runtime;

constexpr bool wide = sizeof(void *) == 8; // handles are numbers of pointer size

// ---- pools ----

// Objects of one type in one range of addresses. The first use reserves the range; memory is committed on demand. An
// object's number is its index in the range. Runtimes take and return objects in blocks. In a block of more than one
// object, the first object is the block's header.
class PoolMemory {
public:
    struct Layout {
        size_t object_size;
        uint32_t block, most, first_block;
        uint32_t *(*link_of)(void *object);
    };
    explicit constexpr PoolMemory(const Layout &layout) : layout_(layout) {}

    uint32_t take_block();            // the block's first number, or 0 without memory. Any thread
    void give_blocks(uint32_t first); // takes a list through `link`. Any thread

protected:
    void *base_ = nullptr;           // constant after the first object exists
    std::atomic<uint32_t> count_{0}; // objects with memory; only grows

private:
    void *address_of(uint32_t index) const;
    uint32_t &link(uint32_t index) const { return *layout_.link_of(address_of(index)); }
    bool reserve();
    bool add();

    const Layout layout_;
    uint32_t reserved_ = 0; // objects with reserved addresses
    uint32_t fresh_ = 0;    // the first number that was never given out
    uint32_t free_ = 0;     // list of free blocks through `link`
};

// True when a number names a live object: its generation equals the masked one of the object and is odd.
inline bool names(uint32_t number_generation, uint32_t mask, uint32_t generation) {
    return (generation & mask) == number_generation && (number_generation & 1);
}

// T has a `generation`, a `link` and a constant `first_block`. The pool uses `link` while the block is free; otherwise
// the owner links its blocks with it. `first_block` is above 0, because number 0 names no object. It differs per type,
// because loads wait for stores to the same offset of another page: objects that are used together differ in offset.
template <class T, uint32_t block_size, uint32_t max> class Pool : public PoolMemory {
public:
    static constexpr uint32_t block = block_size;

    constexpr Pool() : PoolMemory({sizeof(T), block_size, max, T::first_block, link_of}) {}

    // The object of a number that was given out once, or of 0.
    T *at(uint32_t index) const {
        assert(index < count_.load(std::memory_order_relaxed));
        return os::nonnull(static_cast<T *>(base_) + index);
    }

    // The object of any number, or null. The object of number 0 is never in use.
    T *find(uint32_t index) const { return index < count_.load(std::memory_order_acquire) ? at(index) : nullptr; }

    // The live object of any number and generation, or null.
    T *find_alive(uint32_t index, uint32_t generation, uint32_t mask) const {
        if (index >= count_.load(std::memory_order_acquire)) return nullptr;
        T *object = at(index);
        return names(generation, mask, object->generation.load(std::memory_order_acquire)) ? object : nullptr;
    }

    uint32_t index_of(const T *object) const { return static_cast<uint32_t>(object - at(0)); }

private:
    static uint32_t *link_of(void *object) { return &static_cast<T *>(object)->link; }
};

// Generations never repeat: an object with this one is never used again. It keeps 64-bit handles positive as int64_t.
constexpr uint32_t last_generation = INT32_MAX - 1;

// ---- numbers of tasks and handles ----

// High bits: generation; low bits: index. 32-bit targets keep only the low 12 bits of the generation: after 2048 reuses
// of its object, a stale handle names the newest one.
constexpr uint32_t handle_index_bits = wide ? 32 : 20;
constexpr uint32_t handle_generation_mask = UINT32_MAX >> (wide ? 0 : handle_index_bits);

inline uintptr_t handle_bits(uint32_t index, uint32_t generation) {
    return uintptr_t{generation} << handle_index_bits | index;
}
inline uint32_t handle_index(uintptr_t handle) {
    return static_cast<uint32_t>(handle & ((uintptr_t{1} << handle_index_bits) - 1));
}
inline uint32_t handle_generation(uintptr_t handle) { return static_cast<uint32_t>(handle >> handle_index_bits); }
inline void *to_pointer(uintptr_t handle) { return reinterpret_cast<void *>(handle); }
inline uintptr_t to_bits(const void *handle) { return reinterpret_cast<uintptr_t>(handle); }

// The live object that a handle names, or null.
template <class P> auto *find_alive(const P &pool, uintptr_t handle) {
    return pool.find_alive(handle_index(handle), handle_generation(handle), handle_generation_mask);
}

} // namespace zyntax
