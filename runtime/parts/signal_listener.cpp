// The one signal handler of the process: it counts the delivery, and sends a message to each runtime that wants the
// number. All that it touches is atomic or constant, and is never freed. The lock is for open and close, so a
// handler may interrupt its holder.
#include "signal_listener.h"
#include "../lock.h"

namespace zyntax {

namespace {

constinit std::atomic<SignalListener *> newest_listener; // the list; only grows
constinit std::atomic<size_t> deliveries[os::signal_numbers];
constinit std::atomic<uint32_t> signals_held_by; // the lock
uint32_t signal_handles[os::signal_numbers];     // guarded by the lock: of all runtimes, by number
uint32_t signal_process = 0;                     // guarded by the lock: the mark of the table's process

// A listener that is given back waits until it sees no visitor. Either it sees this one, or this one sees that the
// number is not wanted. The loop clears is_sent before it looks at the deliveries, so it sees those that find it set.
void signal_arrived(int32_t number) {
    deliveries[number].fetch_add(1, std::memory_order_seq_cst);
    for (SignalListener *each = newest_listener.load(std::memory_order_acquire); each; each = each->older) {
        if (!each->wants[number].load(std::memory_order_seq_cst)) continue;
        each->visitors.fetch_add(1, std::memory_order_seq_cst);
        bool is_wanted = each->wants[number].load(std::memory_order_seq_cst);
        if (is_wanted && !each->is_sent.exchange(true, std::memory_order_seq_cst)) send(each->inbox, each);
        each->visitors.fetch_sub(1, std::memory_order_release);
    }
}

// In a forked child the table is a copy, and the parent's runtimes do not run there. The parent's handlers do nothing
// in the child until it takes a signal of its own.
void claim_signals() {
    uint32_t process = os::process_mark();
    if (signal_process == process) return;
    for (uint32_t &handles : signal_handles) handles = 0;
    for (SignalListener *each = newest_listener.load(std::memory_order_relaxed); each; each = each->older) {
        for (auto &wants : each->wants) wants.store(0, std::memory_order_seq_cst);
    }
    signal_process = process;
}

} // namespace

size_t signal_deliveries(int32_t number) { return deliveries[number].load(std::memory_order_seq_cst); }

SignalListener *take_listener(Runtime *runtime, void (*came)(Runtime *, Message *), void *owner) {
    Lock lock(&signals_held_by);
    SignalListener *newest = newest_listener.load(std::memory_order_relaxed), *listener = newest;
    while (listener && listener->is_used) listener = listener->older;
    if (!listener) {
        void *memory = os::allocate(sizeof(SignalListener), alignof(SignalListener));
        if (!memory) return nullptr;
        listener = ::new (memory) SignalListener();
        listener->older = newest;
        newest_listener.store(listener, std::memory_order_release);
    }
    listener->is_used = true;
    listener->run = came;
    listener->inbox = runtime->inbox;
    listener->owner = owner;
    return listener;
}

void give_listener(Runtime *runtime, SignalListener *listener) {
    while (listener->visitors.load(std::memory_order_seq_cst) != 0) os::yield();
    while (listener->is_sent.load(std::memory_order_acquire)) take_inbox_work(runtime);
    Lock lock(&signals_held_by);
    listener->is_used = false;
}

// The deliveries are read before the handler is there, so none of its calls is missed.
int32_t begin_to_listen(SignalListener *listener, int32_t number, size_t *deliveries_before) {
    Lock lock(&signals_held_by);
    claim_signals();
    *deliveries_before = signal_deliveries(number);
    listener->wants[number].fetch_add(1, std::memory_order_seq_cst);
    int32_t error = os::take_signal(number, signal_arrived);
    if (error) listener->wants[number].fetch_sub(1, std::memory_order_seq_cst);
    else signal_handles[number]++;
    return error;
}

void end_to_listen(SignalListener *listener, int32_t number) {
    Lock lock(&signals_held_by);
    assert(signal_handles[number] > 0 && listener->wants[number].load(std::memory_order_relaxed) > 0);
    listener->wants[number].fetch_sub(1, std::memory_order_seq_cst);
    if (--signal_handles[number] == 0) os::give_signal(number);
}

} // namespace zyntax
