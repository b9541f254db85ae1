// Task slots, inboxes and handles: everything that a thread may still look at after a task or a runtime has ended.
// This memory is process-wide and type-stable: recycled, never unmapped, never used for anything else. That is what
// lets a waker be two plain words without a reference count (as in embassy's and Abseil's generational handles).
#pragma once

#include <atomic>
#include <stddef.h>
#include <stdint.h>

#include "../platform/os.h"

namespace zyntax {

using Runtime = zyntax_runtime;
struct Inbox;

constexpr bool wide = sizeof(void *) == 8; // handles are numbers of pointer size

// ---- slots ----

// A task. The owner is the runtime whose block the slot is in; "owner only" fields are plain.
//
// Life: free (generation even) -> spawn -> alive (odd) -> finish -> free. The generation of a slot never repeats: a
// slot that has come to `last_generation` is not used again, at the price of 64 bytes every 2^31 tasks.
struct alignas(64) Slot {
    enum Flag : uint8_t {
        queued = 1,   // in the ready queue. Set by whoever queues it, cleared when taken out; survives the task's end
        canceled = 2, // poll is not called again. Set by cancel, cleared by finish
    };
    static constexpr uint32_t last_generation = UINT32_MAX - 1;

    void *state;                // owner only
    union {                     // owner only
        PollFn poll;            //   unless canceled and not being polled
        uint32_t next_canceled; //  then: the next slot in the list of canceled tasks
    };
    DropFn drop;                      // owner only
    std::atomic<Inbox *> owner;       // set at the slot's first use by a runtime; means something while alive
    std::atomic<uint32_t> generation; // written by the owner, read by anybody
    std::atomic<uint32_t> in_inbox;   // 0 -> 1 by the thread that pushes the slot, 1 -> 0 by the owner taking it out
    uint32_t next_in_inbox;           // belongs to whoever turned in_inbox to 1
    std::atomic<uint32_t> cancel_generation; // the newest generation that another thread wants canceled; only grows
    uint32_t joiners;    // owner only. Alive: first node that waits for the end, or 0. Free: next free
    uint32_t owned;      // owner only. Size of the state in units of 16 bytes, 0 when not owned
    uint32_t polls_low;  // owner only
    uint16_t polls_high; // owner only
    uint8_t flags;       // owner only
    uint8_t waits;       // owner only. zyntax_wait of the last operation that stored the waker
};
static_assert(sizeof(Slot) == 64 && alignof(Slot) == 64);

// All slots lie in one range of addresses, reserved when the first runtime needs it and backed with memory as they are
// needed: an index is an offset. Blocks of slots go from runtime to runtime. The first slot of a block is its header,
// so that index 0 is no task.
constexpr uint32_t block_size = 256;
constexpr uint32_t max_slots = wide ? 1u << 26 : 1u << 20;

ZYNTAX_INTERNAL extern constinit std::atomic<Slot *> slots;        // constant once there is a slot
ZYNTAX_INTERNAL extern constinit std::atomic<uint32_t> slot_count; // of those with memory; only grows

// The slot of an index that a block has been given out for.
inline Slot *slot_at(uint32_t index) { return slots.load(std::memory_order_relaxed) + index; }

// The slot of any number at all, or null.
inline Slot *slot_or_null(uint32_t index) {
    return index < slot_count.load(std::memory_order_acquire) ? slot_at(index) : nullptr;
}

// Takes a block, recycled if there is one; its first index, or 0 without memory. Any thread.
uint32_t take_block();

// Gives back a list of blocks, linked through next_free_block. Any thread; no slot in them is alive or in an inbox.
void give_blocks(uint32_t first);

// The link between blocks: free ones, or those of one runtime.
inline uint32_t &next_block(uint32_t first) { return slot_at(first)->joiners; }

// ---- task handles and waker data ----

// From the top: generation, index. On 32-bit targets only the generation's low 12 bits find room, so that a handle that
// was kept while 2048 other tasks used its slot names the newest of them.
constexpr uint32_t task_index_bits = wide ? 32 : 20;
constexpr uint32_t task_generation_mask = UINT32_MAX >> (wide ? 0 : task_index_bits);

inline uintptr_t task_bits(uint32_t index, uint32_t generation) {
    return uintptr_t{generation} << task_index_bits | index;
}
inline uint32_t task_index(uintptr_t handle) {
    return static_cast<uint32_t>(handle & ((uintptr_t{1} << task_index_bits) - 1));
}
inline uint32_t task_generation(uintptr_t handle) { return static_cast<uint32_t>(handle >> task_index_bits); }
inline void *to_pointer(uintptr_t handle) { return reinterpret_cast<void *>(handle); }
inline uintptr_t to_bits(const void *handle) { return reinterpret_cast<uintptr_t>(handle); }

// Whether a slot of that generation is what a handle with this one names, and its task alive.
inline bool names(uint32_t handle_generation, uint32_t slot_generation) {
    return (slot_generation & task_generation_mask) == handle_generation && (handle_generation & 1);
}

inline bool is_alive(const Slot *slot, uint32_t handle_generation) {
    return names(handle_generation, slot->generation.load(std::memory_order_acquire));
}

// ---- inboxes ----

// Work for the runtime's thread that brings its own memory: a post, or a blocking job that is done.
struct Message {
    Message *next;
    void (*run)(Runtime *, Message *); // frees the message; runtime's thread, outside any poll
};

// What other threads write to. One a runtime, from creation to destruction, then the next runtime's.
struct alignas(128) Inbox {
    std::atomic<uint32_t> woken;     // Treiber stack of slots, taken whole: index of the newest, or 0
    std::atomic<uint32_t> sleeping;  // 1: the loop is about to sleep in the kernel, and whoever turns it to 0 wakes it
    std::atomic<Message *> messages; // Treiber stack, taken whole
    std::atomic<uint32_t> pushers;   // threads between looking at a slot's generation and having pushed it
    std::atomic<uint32_t> stop;      // 1: the next round ends with ZYNTAX_ECANCELED
    std::atomic<int32_t> holds;      // zyntax_runtime_hold minus zyntax_runtime_release
    // Read by every wake: on another cache line than what other threads write to.
    alignas(64) uint32_t id;          // constant: place in the table of inboxes
    std::atomic<Runtime *> runtime;   // null while free
    std::atomic<const void *> driver; // the thread that drives the runtime, as this_thread() names it; null: none
    uint32_t last_op;                 // newest generation of an operation; runs on from runtime to runtime
    uint32_t last_handle;             // and of an I/O handle or channel
    uint32_t next_free;
};
static_assert(sizeof(Inbox) == 128);

constexpr uint32_t inbox_bits = wide ? 12 : 7; // runtimes alive at once

Inbox *take_inbox(Runtime *); // null when memory or numbers are out. Any thread
void give_inbox(Inbox *);     // Any thread
Inbox *inbox_at(uint32_t id); // null for a number that never was one

// ---- the thread ----

// The inbox of the runtime that this thread is driving, innermost first; null when none.
ZYNTAX_INTERNAL ZYNTAX_TLS extern constinit ZYNTAX_THREAD_LOCAL os::ThreadPointer<Inbox> driving;

inline const void *this_thread() { return &driving; }

} // namespace zyntax
