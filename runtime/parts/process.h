// Child processes, for the calls of process_calls.cpp.
#pragma once

#include "../../platform/processes.h"
#include "../runtime.h"

namespace zyntax {

// The timer's operation has the Source.
struct Process : Message, Source {
    void *handle;       // the host's number. Null: closed
    void *watch;        // the poller's number. Null: the end is known, or no longer awaited
    void *registration; // the poller's
    Inbox *inbox;
    Op *timer;        // as long as `watch`
    uint64_t look_ns; // the timer's next duration
    int64_t outcome;  // of wait; ZYNTAX_EAGAIN until the end is known
    os::Child child;
    uint32_t flags;
    bool is_ours; // spawned by zyntax_process_spawn, and so reaped here. Set by make_process, never changed
    os::Report report;
    bool has_arrived;          // the message has arrived. Set by end_arrived, never cleared
    std::atomic<bool> is_told; // the message is sent, or soon is. Set by tell_end in another thread, never cleared
    Ring waiters;
};

Ref<Process> find_process(const zyntax_process *);

// A process is made in two steps, so that a lack of memory is found before there is a child. Null without memory.
Process *make_process(Runtime *, uint32_t flags, bool is_ours);
void unmake_process(Runtime *, Process *);
void begin_watch(Runtime *, Process *); // `child` is set

// Whether the process has ended; `outcome` tells how. The end of a process without a handle ends the object.
bool look(Runtime *, Process *);

void close_process(Runtime *, void *object); // a Process

} // namespace zyntax
