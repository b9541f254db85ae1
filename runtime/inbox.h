// A runtime's inbox: the one place where other threads write. Its memory outlives the runtime. Work arrives on two
// lock-free stacks, which the loop takes whole. A thread that finds the loop asleep wakes it. Wakes by the owner itself
// do not use the inbox.
#pragma once

#include "pool.h"

namespace zyntax {

// Work for the runtime's thread, with its own memory: a post, a blocking job that is done, a pool thread that ends.
struct Message {
    Message *next;
    void (*run)(Runtime *, Message *); // frees the message; runtime's thread, outside any poll
    size_t size;                       // of memory from the allocator; 0: it is in the arena
};

// A runtime has one inbox from its creation to its destruction. After that another runtime may use it.
struct alignas(128) Inbox {
    static constexpr uint32_t first_block = 1;

    std::atomic<uint32_t> woken;     // Treiber stack of tasks, taken whole: index of the newest, or 0
    std::atomic<uint32_t> sleeping;  // 1: the loop sleeps in the kernel, or is about to. Set by the loop before it
                                     // sleeps, cleared by it afterwards, or by the thread that wakes it
    std::atomic<Message *> messages; // Treiber stack, taken whole
    std::atomic<uint32_t> visitors;  // threads whose call may still touch the runtime: see Visit
    std::atomic<uint32_t> stop;      // 1: the drive ends with ZYNTAX_ECANCELED. Set by stop, cleared by take_stop
    std::atomic<int32_t> holds;      // zyntax_runtime_hold minus zyntax_runtime_release
    std::atomic<uint32_t> awaits;    // 1: operations of the runtime may wait for tasks of other runtimes, whose ends
                                     // must wake the loop. Set by the owner, cleared by it before it waits for visitors
    // Read by every wake, and so not on the cache line that other threads write to.
    alignas(64) uint32_t id;          // constant: its own number
    std::atomic<uint32_t> generation; // the pool's; not used for inboxes
    std::atomic<Runtime *> runtime;   // null while free
    std::atomic<const void *> driver; // the thread that drives the runtime, as this_thread() names it; null: none
    uint32_t link;                    // free: next free
};
static_assert(sizeof(Inbox) == 128);

using InboxPool = Pool<Inbox, 1, wide ? 1u << 16 : 1u << 10>;
ZYNTAX_INTERNAL extern constinit InboxPool inbox_pool;

Inbox *take_inbox(Runtime *); // null when memory or numbers are out. Any thread
void give_inbox(Inbox *);     // Any thread
void poke_awaiting(); // wakes each sleeping loop whose operations may wait for tasks of other runtimes. Any thread

// A call of another thread, as long as it may touch the runtime. A runtime that ends waits until it sees no visitor, so
// a call whose effect the loop could see has ended before the runtime is freed.
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

// The runtime of an inbox's number if this thread may use it, else null: another thread's runtime must not be read.
inline Runtime *usable_runtime(uint32_t id) {
    Inbox *mine = driving;
    if (mine && mine->id == id) return mine->runtime.load(std::memory_order_relaxed);
    const Inbox *inbox = inbox_pool.at(id);
    const void *driver = inbox->driver.load(std::memory_order_acquire);
    if (driver && driver != this_thread()) return nullptr;
    return inbox->runtime.load(std::memory_order_acquire);
}

} // namespace zyntax
