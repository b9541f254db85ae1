// The memory of pools. One lock guards them. It is taken when a runtime begins, ends, or grows by a block; never to
// find an object, and never during a wait.
#include "pool.h"
#include "../platform/allocator.h"
#include "lock.h"

namespace zyntax {

namespace {

// Each step of a change is one store. After a fork at any step the child loses some objects at most.
constinit std::atomic<uint32_t> pools_held_by;

} // namespace

void *PoolMemory::address_of(uint32_t index) const { return static_cast<char *>(base_) + index * layout_.object_size; }

// A limit of the address space reduces the number of objects: all pools together leave seven eighths of it to the host.
// The pools: inboxes, tasks, operations, handles, leaves, scopes, ports.
bool PoolMemory::reserve() {
    constexpr size_t pools = 7;
    size_t limit = os::address_limit(layout_.most * layout_.object_size) / (8 * pools);
    for (uint32_t count = layout_.most; count >= 2 * layout_.block; count /= 2) {
        if (count * layout_.object_size > limit) continue;
        void *memory = os::reserve_pages(count * layout_.object_size);
        if (!memory) continue;
        base_ = memory;
        store_in_order();
        reserved_ = count;
        return true;
    }
    return false;
}

bool PoolMemory::add() {
    if (!reserved_ && !reserve()) return false;
    uint32_t count = count_.load(std::memory_order_relaxed);
    assert(count <= reserved_);
    constexpr size_t small = size_t{1} << 20, large = size_t{4} << 20; // large: worth huge pages
    auto step = static_cast<uint32_t>((count * layout_.object_size < large ? small : large) / layout_.object_size);
    uint32_t more = reserved_ - count < step ? reserved_ - count : step;
    if (!more || !os::commit_pages(address_of(count), more * layout_.object_size)) return false;
    count_.store(count + more, std::memory_order_release);
    if (!count) link(0) = 0; // empty entries prefetch number 0, and a prefetch of an absent page is slow
    return true;
}

uint32_t PoolMemory::take_block() {
    Lock lock(&pools_held_by);
    if (uint32_t first = free_) {
        assert(first >= layout_.first_block && first < fresh_);
        free_ = link(first);
        return first;
    }
    uint32_t first = fresh_ ? fresh_ : layout_.first_block; // the objects below the first block are never used
    if (first + layout_.block > count_.load(std::memory_order_relaxed) && !add()) return 0;
    fresh_ = first + layout_.block;
    return first;
}

void PoolMemory::give_blocks(uint32_t first) {
    Lock lock(&pools_held_by);
    while (first) {
        assert(first >= layout_.first_block && first < fresh_);
        uint32_t next = link(first);
        link(first) = free_;
        store_in_order();
        free_ = first;
        first = next;
    }
}

} // namespace zyntax
