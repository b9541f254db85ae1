// A runtime's inbox: the one place where other threads write, and that outlives it. Work arrives in two lock-free
// stacks which the loop takes whole; whoever finds the loop asleep wakes it. The owner's own wakes never come here.
#pragma once

#include "pool.h"

namespace zyntax {

// Work for the runtime's thread that brings its own memory: a post, a blocking job that is done, a thread that ends.
struct Message {
    Message *next;
    void (*run)(Runtime *, Message *); // frees the message; runtime's thread, outside any poll
    size_t size;                       // when it is in memory of its own; 0: in the arena
};

// What other threads write to. One a runtime, from creation to destruction, then the next runtime's.
struct alignas(128) Inbox {
    static constexpr uint32_t first_block = 1;

    std::atomic<uint32_t> woken;     // Treiber stack of tasks, taken whole: index of the newest, or 0
    std::atomic<uint32_t> sleeping;  // 1: the loop sleeps in the kernel, or is about to. Set by the loop before it
                                     // sleeps, cleared by it afterwards, or by the thread that wakes it
    std::atomic<Message *> messages; // Treiber stack, taken whole
    std::atomic<uint32_t> visitors;  // threads whose call may still touch the runtime: see Visit
    std::atomic<uint32_t> stop;      // 1: the drive ends with ZYNTAX_ECANCELED. Set by stop, cleared by take_stop
    std::atomic<int32_t> holds;      // zyntax_runtime_hold minus zyntax_runtime_release
    // Read by every wake: on another cache line than what other threads write to.
    alignas(64) uint32_t id;          // constant: its own number
    std::atomic<uint32_t> generation; // the pool's, which has no use for it here
    std::atomic<Runtime *> runtime;   // null while free
    std::atomic<const void *> driver; // the thread that drives the runtime, as this_thread() names it; null: none
    uint32_t link;                    // free: next free
};
static_assert(sizeof(Inbox) == 128);

using InboxPool = Pool<Inbox, 1, wide ? 1u << 16 : 1u << 10>;
ZYNTAX_INTERNAL extern constinit InboxPool inbox_pool;

Inbox *take_inbox(Runtime *); // null when memory or numbers are out. Any thread
void give_inbox(Inbox *);     // Any thread

// A call of another thread, for as long as it may touch the runtime. A runtime that ends waits until it has seen no
// visitor: so one that had an effect which the loop could see is over before the runtime is gone.
class Visit {
public:
    explicit Visit(Inbox *inbox) : inbox_(inbox) { inbox->visitors.fetch_add(1, std::memory_order_acq_rel); }
    ~Visit() { inbox_->visitors.fetch_sub(1, std::memory_order_release); }
    Visit(const Visit &) = delete;
    Visit &operator=(const Visit &) = delete;

private:
    Inbox *inbox_;
};

// ---- the thread ----

// The inbox of the runtime that this thread is driving, innermost first; null when none.
ZYNTAX_INTERNAL ZYNTAX_TLS extern constinit ZYNTAX_THREAD_LOCAL os::ThreadPointer<Inbox> driving;

inline const void *this_thread() { return &driving; }

// The runtime of an inbox's number, if this thread may use it; else null. Another thread's must not be looked into.
inline Runtime *usable_runtime(uint32_t id) {
    Inbox *mine = driving;
    if (mine && mine->id == id) return mine->runtime.load(std::memory_order_relaxed);
    const Inbox *inbox = inbox_pool.at(id);
    const void *driver = inbox->driver.load(std::memory_order_acquire);
    if (driver && driver != this_thread()) return nullptr;
    return inbox->runtime.load(std::memory_order_acquire);
}

} // namespace zyntax
