#include "slots.h"

#include "../platform/os.h"

namespace zyntax {

constinit std::atomic<Slot *> slots{nullptr};
constinit std::atomic<uint32_t> slot_count{0};
ZYNTAX_TLS constinit ZYNTAX_THREAD_LOCAL os::ThreadPointer<Inbox> driving = {};

namespace {

// Guards what follows. Taken only when a runtime begins, ends, or grows by a block: a spin lock is enough, and
// nothing that another thread waits for happens while it is held.
class Lock {
public:
    Lock() {
        while (taken.exchange(true, std::memory_order_acquire)) os::yield();
    }
    ~Lock() { taken.store(false, std::memory_order_release); }

private:
    static constinit std::atomic<bool> taken;
};
constinit std::atomic<bool> Lock::taken;

uint32_t free_block;  // list through next_block
uint32_t fresh_block; // first index that was never given out
uint32_t reserved;    // slots that there are addresses for

constexpr uint32_t inboxes_per_chunk = 64;
constinit std::atomic<Inbox *> inbox_chunks[(1u << inbox_bits) / inboxes_per_chunk];
uint32_t free_inbox; // id + 1, list through next_free
uint32_t fresh_inbox;

// Where addresses are limited, fewer tasks than max_slots have to do.
bool reserve_slots() {
    for (uint32_t count = max_slots; count >= block_size; count /= 2) {
        void *memory = os::reserve_pages(size_t{count} * sizeof(Slot));
        if (!memory) continue;
        slots.store(static_cast<Slot *>(memory), std::memory_order_relaxed);
        reserved = count;
        return true;
    }
    return false;
}

bool add_slots() {
    constexpr uint32_t step = (1u << 20) / sizeof(Slot);
    if (!reserved && !reserve_slots()) return false;
    uint32_t count = slot_count.load(std::memory_order_relaxed);
    uint32_t more = reserved - count < step ? reserved - count : step;
    if (!more || !os::commit_pages(slot_at(count), size_t{more} * sizeof(Slot))) return false;
    slot_count.store(count + more, std::memory_order_release);
    return true;
}

} // namespace

uint32_t take_block() {
    Lock lock;
    if (uint32_t first = free_block) {
        free_block = next_block(first);
        return first;
    }
    if (fresh_block == slot_count.load(std::memory_order_relaxed) && !add_slots()) return 0;
    if (fresh_block == 0) fresh_block = block_size; // 0 means "none": the very first block is given up, untouched
    uint32_t first = fresh_block;
    fresh_block += block_size;
    return first;
}

void give_blocks(uint32_t first) {
    Lock lock;
    while (first) {
        uint32_t next = next_block(first);
        next_block(first) = free_block;
        free_block = first;
        first = next;
    }
}

Inbox *inbox_at(uint32_t id) {
    if (id >> inbox_bits) return nullptr;
    Inbox *chunk = inbox_chunks[id / inboxes_per_chunk].load(std::memory_order_acquire);
    return chunk ? chunk + id % inboxes_per_chunk : nullptr;
}

Inbox *take_inbox(Runtime *runtime) {
    Lock lock;
    Inbox *inbox;
    if (free_inbox) {
        inbox = inbox_at(free_inbox - 1);
        free_inbox = inbox->next_free;
    } else {
        uint32_t id = fresh_inbox;
        if (id >> inbox_bits) return nullptr;
        if (id % inboxes_per_chunk == 0) {
            size_t bytes = inboxes_per_chunk * sizeof(Inbox);
            void *memory = os::reserve_pages(bytes);
            if (!memory || !os::commit_pages(memory, bytes)) return nullptr;
            inbox_chunks[id / inboxes_per_chunk].store(static_cast<Inbox *>(memory), std::memory_order_release);
        }
        fresh_inbox++;
        inbox = inbox_at(id);
        inbox->id = id;
    }
    inbox->stop.store(0, std::memory_order_relaxed);
    inbox->holds.store(0, std::memory_order_relaxed);
    inbox->sleeping.store(0, std::memory_order_relaxed);
    inbox->runtime.store(runtime, std::memory_order_release);
    return inbox;
}

void give_inbox(Inbox *inbox) {
    Lock lock;
    inbox->runtime.store(nullptr, std::memory_order_release);
    inbox->next_free = free_inbox;
    free_inbox = inbox->id + 1;
}

} // namespace zyntax
