// A task's data: the fields of its owner, and the fields that other threads use. tasks.cpp changes it.
#pragma once

#include "pool.h"

namespace zyntax {

// A ring of operations: see op.h.
struct Ring {
    uint32_t first = 0; // the number of the oldest operation, or 0
    bool empty() const { return first == 0; }
};

// Rarely used fields of a task. The record is in the owner's arena. parts/task_words.cpp makes it.
struct TaskRecord {
    DropFn drop; // the task's
    void *word;  // see zyntax_task_local
    char *name;  // name_bytes in the arena, ended by a NUL; null: none
    static constexpr size_t name_bytes = 32;
};

// The user's state and poll function of a task that a part polls through its own function.
struct Wrapped {
    void *state;
    PollFn poll;
};

// A task. Its owner is the runtime that owns its block; "owner only" fields are plain.
//
// Life: free (even generation) -> spawn -> alive (odd generation) -> finish -> free.
struct alignas(64) Task {
    static constexpr uint32_t first_block = 256;

    enum Flag : uint8_t {
        queued = 1,       // in the ready queue. Set by spawn and enqueue, cleared by poll_task; survives the task's end
        canceled = 2,     // poll is not called again. Set by cancel_task, cleared by finish
        tracked = 4,      // polls a promise: `ops` holds its plain sleeps too. Set after spawn, cleared by finish
        has_turn = 8,     // an operation of `ops` may have a turn. Set by give_turn, cleared by take_turn,
                          // end_turns and finish
        interrupted = 16, // the next await point that would have to wait ends. Set by interrupt_task, cleared by
                          // end_by_interrupt and finish
        has_record = 32,  // `record` is there in place of `drop`. Set by attach, cleared by finish
        ends_round = 64,  // block_on waits for its end, which ends the round. Set by drive, cleared by drive and finish
        is_wrapped = 128  // `state` begins with a Wrapped, for the dump. Set after spawn, cleared by finish
    };

    void *state;                // owner only
    union {                     // owner only
        PollFn poll;            //   until the task enters the list of canceled tasks
        uint32_t next_canceled; //   then: the next task of that list
    };
    union {                 // owner only
        DropFn drop;        //   may be null
        TaskRecord *record; //   with has_record
    };
    std::atomic<uint32_t> generation; // written by the owner, read by any thread
    std::atomic<uint32_t> owner;      // the number of the owner's inbox, set when a runtime first takes the task
    enum Elsewhere : uint32_t {
        in_inbox = 1,   // in the inbox's stack. Set by the thread that pushes the task, cleared by take_woken
        is_awaited = 2, // another runtime's operation stores the waker. Set by hold_foreign, cleared by finish_waited
    };
    std::atomic<uint32_t> elsewhere;
    uint32_t next_in_inbox; // of the thread that set in_inbox; then of the owner
    // The newest generation that another thread canceled, or the newest interrupted generation + 1. Set by that thread,
    // which then puts the task into the inbox. take_woken clears an interrupt.
    std::atomic<uint32_t> cancel_generation;
    union {            // owner only
        Ring joiners;  //   alive: operations that wait for the task's end
        uint32_t link; //   in a block's header: see Pool
    };
    Ring ops;            // owner only. Operations that store this task's waker: orphans at its end
    uint32_t owned;      // owner only. Size of the owned state in units of 16 bytes, or 0
    uint32_t polls_low;  // owner only
    uint16_t polls_high; // owner only
    uint8_t flags;       // owner only
    uint8_t waits;       // owner only. zyntax_wait of the last operation that stored the waker
};
static_assert(sizeof(Task) == 64 && alignof(Task) == 64);

using TaskPool = Pool<Task, 256, wide ? 1u << 26 : 1u << 20>;
ZYNTAX_INTERNAL extern constinit TaskPool task_pool;
inline TaskPool &pool_of(Task *) { return task_pool; }

// Counts the ends of tasks that operations of other runtimes awaited. A change makes other runtimes look for orphans. 0
// until an operation of the process waits for a task of another runtime, and less than 2 until all ends heed that.
ZYNTAX_INTERNAL extern constinit std::atomic<uint32_t> awaited_elsewhere_ended;

// A spawn takes the rare path unless its runtime has more free tasks than this. Normally 0. UINT32_MAX, so that every
// spawn is rare, while a runtime of the process is ending and once a task of the process has had a word.
ZYNTAX_INTERNAL extern constinit std::atomic<uint32_t> spawn_threshold;
void count_rare_spawns(int32_t change); // counts the reasons for rare spawns. Any thread

inline Task *find_task(const void *handle) { return find_alive(task_pool, to_bits(handle)); }

} // namespace zyntax
