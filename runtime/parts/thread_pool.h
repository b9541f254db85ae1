// The blocking pool, as those see it who have work for it.
#pragma once

#include "../runtime.h"

namespace zyntax {

// Something to do in a thread of the pool. When it is done it arrives as a message.
struct Work : Message {
    int64_t (*fn)(void *);
    void *arg;
    int64_t outcome;
    void (*discard)(Runtime *, Work *); // when the runtime ends before it has begun: no message comes
    bool is_look_up;                    // of a name: half of the threads are enough for these
    // Guarded by the pool's monitor.
    bool is_queued;
    uint64_t number; // in the order in which it was queued
    Work *next_queued, *prev_queued;
};

// Counted in blocking_pending until its message or its discarding. An error when there is no thread for it and none can
// be started, or no memory: it is the caller's still.
int32_t submit(Runtime *, Work *);

// Takes it back, if it has not begun. It is the caller's then.
bool withdraw(Runtime *, Work *);

// As zyntax_blocking, for the look-up of a name.
PollStatus look_up_in_pool(Runtime *, zyntax_op *, int64_t (*fn)(void *), void *arg, size_t arg_size, Waker *,
                           int64_t *result);

} // namespace zyntax
