// The floor of the task workloads: the least work of a program without a library. One loop in a process, one thread, a
// ring of pointers, task records on a free list, a wake behind a function pointer. No handles that outlive their
// object, no I/O, no timers, no errors.
#pragma once

#include "zyntax_async_runtime.h"

#include <cstddef>
#include <cstdint>

namespace bare {

struct Task;

struct Handle {
    Task *task;
    uint32_t generation;
};

Handle spawn(FutureState state, PollFn poll);

// True once the task has ended; otherwise the task of `waker` is woken when it does.
bool join(Handle handle, const Waker *waker);

// Polls up to `budget` queued tasks.
void turn(uint64_t budget);

// Polls until nothing is queued.
void run();

size_t live_tasks();

} // namespace bare
