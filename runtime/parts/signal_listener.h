// The data that signal handlers and runtimes share: a count of deliveries for each number, and a listener for each
// runtime.
#pragma once

#include "../../platform/signals.h"
#include "../runtime.h"

namespace zyntax {

// A message to a runtime that waits for signals. Handlers send it, in any thread and at any time. Its memory is never
// freed: when its runtime has ended, it serves another one.
struct SignalListener : Message {
    SignalListener *older; // in the list of the process; constant
    // Of the runtime. Written while no number is wanted and no handler visits.
    Inbox *inbox;
    void *owner;
    bool is_used;              // a runtime has it. Set by take_listener, cleared by give_listener; guarded by the lock
    std::atomic<bool> is_sent; // in the inbox, or about to be. Set by handlers, cleared by the loop
    std::atomic<uint32_t> visitors;                  // handlers that may be sending it
    std::atomic<uint32_t> wants[os::signal_numbers]; // by number: how many handles want it. Written under the lock
};

// The runtime's listener, whose message runs `came`; null without memory.
SignalListener *take_listener(Runtime *, void (*came)(Runtime *, Message *), void *owner);

// `came` calls this before it looks at the deliveries. A delivery that is counted later sends the message again.
inline void receive(SignalListener *listener) { listener->is_sent.exchange(false, std::memory_order_seq_cst); }

// Nothing is wanted any more. Afterwards the message is not in the inbox, and the listener may serve another runtime.
void give_listener(Runtime *, SignalListener *);

// How often the signal has been delivered while it was taken. It may wrap around.
size_t signal_deliveries(int32_t number);

// Takes the signal for one more handle, and sets *deliveries. 0, or an error with nothing changed.
int32_t begin_to_listen(SignalListener *, int32_t number, size_t *deliveries);
void end_to_listen(SignalListener *, int32_t number);

} // namespace zyntax
