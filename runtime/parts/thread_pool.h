// The blocking pool, for parts that have work for it.
#pragma once

#include "../runtime.h"

namespace zyntax {

// Something to do in a thread of the pool. When it is done, it arrives as a message.
struct Work : Message {
    int64_t (*fn)(void *);
    void *arg;
    int64_t outcome;
    void (*discard)(Runtime *, Work *); // called instead of the message if the runtime ends before the work begins
    bool is_look_up;                    // look-up of a name: such work uses at most half of the threads
    // Guarded by the pool's monitor.
    bool is_queued;  // set by submit; cleared when taken by a thread, withdrawn or discarded
    uint64_t number; // order of submission
    Work *next_queued, *prev_queued;
};

// Counts the work in blocking_pending until its message (see count_end), withdrawal or discard. An error without
// memory, or when there is no thread and none can be started: the work is still the caller's.
int32_t submit(Runtime *, Work *);

// Takes work back that has not begun: it is the caller's again. False if it has begun.
bool withdraw(Runtime *, Work *);

// The work is done, and its message has arrived: to be called by `run`.
void count_end(Runtime *, const Work *);

// As zyntax_blocking, for look-ups of names.
PollStatus look_up_in_pool(Runtime *, zyntax_op *, int64_t (*fn)(void *), void *arg, size_t arg_size, Waker *,
                           int64_t *result);

} // namespace zyntax
