// The runtime itself: what the executor, the await points and the optional parts share.
#pragma once

#include <assert.h>

#include "../platform/io_poller.h"
#include "await.h"
#include "memory.h"
#include "slots.h"
#include "timers.h"

namespace zyntax {

struct Channels;
struct Pool;

// A registered descriptor.
struct Io {
    uint32_t generation = 0; // 0: free
    intptr_t fd = -1;
    os::Kind kind = os::Kind::other;
    bool gives_no_delay = false;   // a listener of ours: what it accepts has TCP_NODELAY
    uint32_t ready = 0;            // bits of Event::ready: what is worth a try. Set by events, cleared by "would block"
    Link readers, writers, either; // nodes of those who wait
};

// A part that is linked in only when used, and hears when the runtime ends. Lives in the arena.
struct Part {
    Part *next;
    void (*destroy)(Runtime *, Part *);
};

} // namespace zyntax

// Equations that always hold on the runtime's thread (is_valid recounts them in debug builds):
//   tasks_alive() == slots of its blocks with an odd generation
//   ready_end - ready_begin == slots with the flag `queued` (each is in the ready queue once)
//   capacity of the ready queue >= slots of its blocks, so that queueing a task can never fail
struct zyntax_runtime {
    // The ready queue: a ring of slot indices, first in, first out. An array and not a list through the slots, so that
    // the processor can fetch the next tasks while one is polled.
    uint32_t *ready = nullptr;
    uint32_t ready_mask = 0;
    uint32_t ready_begin = 0, ready_end = 0; // free-running
    zyntax::Inbox *inbox = nullptr;

    zyntax::Slot *current = nullptr; // the task that is being polled
    Waker waker = {};                // what it is given
    uint64_t wakers_taken = 0;       // zyntax_current_waker calls; for promises, as the next two
    uint64_t wakers_stored = 0;      // await points that returned POLL_PENDING
    uint64_t wakers_returned = 0;    // await points that returned POLL_READY

    uint32_t free_slot = 0;                         // list through `joiners`
    uint32_t fresh_slot = 0, fresh_end = 0;         // slots of the newest block that were never used by this runtime
    uint32_t canceled_first = 0, canceled_last = 0; // tasks that wait for their drop, through next_canceled
    uint32_t blocks = 0;                            // list through next_block
    uint32_t block_count = 0;
    uint32_t poll_budget = 0;
    uint32_t polls_left = 0;               // of this round
    const zyntax::Slot *awaited = nullptr; // block_on's task, whose end is the end of the round
    bool is_driving = false;
    bool is_ending = false;
    bool host_waits = false; // backend_fd was asked for: outside of turn the host sleeps on it
    bool detect_stall = false;

    zyntax::Memory memory;
    zyntax::Arena arena{memory};
    zyntax::Table<zyntax::Node, 5, zyntax::object_index_bits> nodes{memory};
    zyntax::Table<zyntax::Io, 4, zyntax::handle_index_bits> ios{memory};
    zyntax::Timers timers;
    zyntax::Link foreign; // fired nodes whose waker is not ours: it is called by the loop, outside everything
    zyntax::Link kept;    // nodes of jobs and of attempts to connect
    zyntax::Poller poller;
    zyntax::Part *parts = nullptr;
    uint64_t channel_wakes = 0;                  // waiters of channels that were woken and have not called again
    void (*pass_on)(zyntax_runtime *) = nullptr; // takes what those were woken for to others
    zyntax::Channels *channels = nullptr;
    zyntax::Pool *pool = nullptr;

    uint64_t (*clock)(void *) = nullptr; // null: the system's
    void *clock_ctx = nullptr;
    uint64_t seen_ns = 0; // the latest time seen
    uint32_t spin_us = 0;
    uint32_t blocking_threads = 0;
    uint64_t blocking_pending = 0; // jobs whose completion has not arrived
    uint64_t io_waiting = 0;       // nodes in the lists of I/O handles
    uint64_t tasks_spawned = 0, tasks_ended = 0, polls = 0, wakes = 0, wakes_remote = 0;
    uint64_t kernel_waits = 0, kernel_events = 0, events_stale = 0;

    uint64_t tasks_alive() const { return tasks_spawned - tasks_ended; }
    bool has_ready() const { return ready_begin != ready_end; }

    // The time, never going back.
    uint64_t now_ns() {
        uint64_t now = clock ? clock(clock_ctx) : zyntax::os::clock_ns();
        return seen_ns = now > seen_ns ? now : seen_ns;
    }

    // The generations of the next operation, and of the next I/O handle or channel.
    uint32_t next_op() { return next(&inbox->last_op, zyntax::object_generation_bits); }
    uint32_t next_handle() { return next(&inbox->last_handle, zyntax::handle_generation_bits); }

    // Counts through all numbers of so many bits but 0 before one comes again.
    static uint32_t next(uint32_t *last, uint32_t bits) {
        *last = (*last + 1) & ((1u << bits) - 1);
        return *last ? *last : *last = 1;
    }

#ifndef NDEBUG
    bool is_valid() const;
#endif
};

namespace zyntax {

// ---- executor.cpp ----

void wake(void *data);                           // the wake function of every waker of this library
void enqueue(Runtime *, uint32_t index, Slot *); // no-op when queued already
void cancel_task(Runtime *, uint32_t index, Slot *);
void finish(Runtime *, uint32_t index, Slot *, int32_t outcome);
void drop_canceled(Runtime *);
void poll_ready(Runtime *);                  // at most poll_budget tasks, none after the awaited one has ended
int32_t look(Runtime *, int64_t timeout_ns); // I/O, timers, other threads; 0 or an error of the kernel's wait
void take_inbox_work(Runtime *);
void send(Runtime *, Message *); // any thread
void poke(Inbox *);              // any thread: wakes the loop if it sleeps
bool has_inbox_work(const Inbox *);

// Marks the thread as the one that drives, for a scope.
class Driving {
public:
    explicit Driving(Runtime *);
    ~Driving();
    Driving(const Driving &) = delete;
    Driving &operator=(const Driving &) = delete;

private:
    Runtime *runtime_;
    Inbox *outer_;
};

// ---- io.cpp ----

// A handle in two steps, so that what may fail for want of memory comes before there is a descriptor to lose.
uint32_t reserve_io(Runtime *); // an index, or ios.none
int32_t register_io(Runtime *, uint32_t index, intptr_t fd, os::Kind, uint32_t ready, zyntax_io **out);

void dispatch(Runtime *, const Event &);
void close_all_io(Runtime *);

// A handle's object, with what a call needs to go on with it.
struct IoRef {
    Runtime *runtime = nullptr;
    Io *io = nullptr; // null: the handle is dead
    uint32_t index = 0;
};
IoRef find_io(zyntax_io *);

// Ends a call on a dead handle.
PollStatus dead_io(zyntax_op *, int64_t *result);

// Ends a call that has to wait for a direction (or for both: whichever comes first).
PollStatus wait_io(const IoRef &, uint32_t directions, zyntax_op *, Waker *, int64_t *result);

// ---- threads ----

// A call marked [rt]: no other thread may be driving the runtime. Aborts a debug build otherwise.
inline void check_thread([[maybe_unused]] const Runtime *runtime) {
#ifndef NDEBUG
    const void *driver = runtime->inbox->driver.load(std::memory_order_relaxed);
    if (driver && driver != this_thread()) {
        os::panic("zyntax: a function marked [rt] was called while another thread drives the runtime\n");
    }
#endif
}

} // namespace zyntax
