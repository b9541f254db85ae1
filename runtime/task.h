// A task, as the runtime that owns it and as other threads see it. What happens to it is in tasks.cpp.
#pragma once

#include "pool.h"

namespace zyntax {

// The oldest of a ring of operations (see await.h), or 0.
struct Ring {
    uint32_t first = 0;
    bool empty() const { return first == 0; }
};

// A task. The owner is the runtime whose block the task is in; "owner only" fields are plain.
//
// Life: free (generation even) -> spawn -> alive (odd) -> finish -> free.
struct alignas(64) Task {
    static constexpr uint32_t first_block = 256;

    enum Flag : uint8_t {
        queued = 1,   // in the ready queue. Set by whoever queues it, cleared when taken out; survives the task's end
        canceled = 2, // poll is not called again. Set by cancel, cleared by finish
        tracked = 4,  // polls a promise: its sleeps, too, are in `ops`. Set after spawn
        has_turn = 8  // an operation of `ops` has its turn. Set by give_turn, cleared when its poll has used or lost it
    };

    void *state;                // owner only
    union {                     // owner only
        PollFn poll;            //   unless canceled and not being polled
        uint32_t next_canceled; //  then: the next task in the list of canceled tasks
    };
    DropFn drop;                      // owner only
    std::atomic<uint32_t> generation; // written by the owner, read by anybody
    std::atomic<uint32_t> owner;      // number of the owner's inbox, set at the task's first use by a runtime
    enum Elsewhere : uint32_t {
        in_inbox = 1,   // set by the thread that pushes the task, cleared by the owner taking it out
        is_awaited = 2, // an operation of another runtime stores the task's waker. Set by that, cleared at the end
    };
    std::atomic<uint32_t> elsewhere;
    uint32_t next_in_inbox;                  // belongs to the thread that set in_inbox
    std::atomic<uint32_t> cancel_generation; // the newest generation that another thread wants canceled; only grows
    union {                                  // owner only
        Ring joiners;                        //   alive: operations that wait for the end
        uint32_t link;                       //   in a block's header: see Pool
    };
    Ring ops;            // owner only. Operations that store this task's waker: what it forgets at its end
    uint32_t owned;      // owner only. Size of the state in units of 16 bytes, 0 when not owned
    uint32_t polls_low;  // owner only
    uint16_t polls_high; // owner only
    uint8_t flags;       // owner only
    uint8_t waits;       // owner only. zyntax_wait of the last operation that stored the waker
};
static_assert(sizeof(Task) == 64 && alignof(Task) == 64);

using TaskPool = Pool<Task, 256, wide ? 1u << 26 : 1u << 20>;
ZYNTAX_INTERNAL extern constinit TaskPool task_pool;
inline TaskPool &pool_of(Task *) { return task_pool; }

// How many tasks have ended while they were awaited elsewhere. Other runtimes look for what those have left with them.
ZYNTAX_INTERNAL extern constinit std::atomic<uint32_t> awaited_elsewhere_ended;

inline Task *find_task(const void *handle) { return find_alive(task_pool, to_bits(handle)); }

} // namespace zyntax
