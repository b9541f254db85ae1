// Pools: the memory of objects that a thread may still look at after they have ended (tasks, operations, handles,
// inboxes, leaves). This memory is process-wide and type-stable: it is recycled, never unmapped, and never used for
// anything else. Therefore wakers and handles can be plain numbers without a reference count, as the generational
// handles of embassy and Abseil are: any thread may compare a number's generation, and only the owner of the object
// looks further. Nothing here knows a runtime.
#pragma once

#include <atomic>
#include <stddef.h>
#include <stdint.h>

#include "../platform/os.h"

namespace zyntax {

using Runtime = zyntax_runtime;

constexpr bool wide = sizeof(void *) == 8; // handles are numbers of pointer size

// ---- pools ----

// Objects of one type in one range of addresses, reserved at the first use and backed with memory as they are needed: a
// number is an offset. They go from runtime to runtime in blocks. The first of a block (of more than one) is its
// header.
class PoolMemory {
public:
    struct Layout {
        size_t object_size;
        uint32_t block, most, first_block;
        uint32_t *(*link_of)(void *object);
    };
    explicit constexpr PoolMemory(const Layout &layout) : layout_(layout) {}

    uint32_t take_block();            // recycled if there is one; its first number, or 0 without memory. Any thread
    void give_blocks(uint32_t first); // a list through `link`. Any thread

protected:
    std::atomic<void *> base_{nullptr}; // constant once there is an object
    std::atomic<uint32_t> count_{0};    // of objects with memory; only grows

private:
    void *address_of(uint32_t index) const;
    uint32_t &link(uint32_t index) const { return *layout_.link_of(address_of(index)); }
    bool reserve();
    bool add();

    const Layout layout_;
    uint32_t reserved_ = 0; // of objects that there are addresses for
    uint32_t fresh_ = 0;    // first number that was never given out
    uint32_t free_ = 0;     // list of blocks through `link`
};

// T has a `generation`, a `link` that belongs to the pool while the block is free and to its owner's list of blocks
// otherwise, and the number of its `first_block`: above 0, so that 0 is no object, and such that what is used together
// is at different places in its pages, as loads wait for stores to the same place in another page.
template <class T, uint32_t block_size, uint32_t max> class Pool : public PoolMemory {
public:
    static constexpr uint32_t block = block_size;

    constexpr Pool() : PoolMemory({sizeof(T), block_size, max, T::first_block, link_of}) {}

    // An object that was given out once.
    T *at(uint32_t index) const { return static_cast<T *>(base_.load(std::memory_order_relaxed)) + index; }

    // The object of any number at all, or null. Number 0 is no object of anybody.
    T *find(uint32_t index) const { return index < count_.load(std::memory_order_acquire) ? at(index) : nullptr; }

    uint32_t index_of(const T *object) const { return static_cast<uint32_t>(object - at(0)); }

private:
    static uint32_t *link_of(void *object) { return &static_cast<T *>(object)->link; }
};

// Named by some bits of a number that an object's generation, or its low bits, must match. Alive is odd.
inline bool names(uint32_t number_generation, uint32_t mask, uint32_t generation) {
    return (generation & mask) == number_generation && (number_generation & 1);
}

// A generation never comes again: an object that has come to this one is not used any more. Handles of 64 bits stay
// positive as an int64_t.
constexpr uint32_t last_generation = INT32_MAX - 1;

// ---- numbers of tasks and handles ----

// From the top: generation, index. On 32-bit targets only the generation's low 12 bits find room, so that a handle that
// was kept while 2048 other tasks used its task names the newest of them.
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

// The object that a task's or another handle names, or null when it has ended or never was.
template <class P> auto *find_alive(const P &pool, uintptr_t handle) {
    auto *object = pool.find(handle_index(handle));
    bool alive = object && names(handle_generation(handle), handle_generation_mask,
                                 object->generation.load(std::memory_order_acquire));
    return alive ? object : nullptr;
}

} // namespace zyntax
