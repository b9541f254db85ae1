// The inbox as other threads use it: they send messages and wake a loop that sleeps. Nothing here waits, or reads data
// of the loop.
#include "runtime.h"

namespace zyntax {

constinit InboxPool inbox_pool;

// No inbox has a greater number. Only grows.
static constinit std::atomic<uint32_t> last_inbox;

ZYNTAX_TLS constinit ZYNTAX_THREAD_LOCAL os::ThreadPointer<Inbox> driving = {};

Inbox *take_inbox(Runtime *runtime) {
    uint32_t id = inbox_pool.take_block();
    if (!id) return nullptr;
    Inbox *inbox = inbox_pool.at(id);
    inbox->id = id;
    inbox->stop.store(0, std::memory_order_relaxed);
    inbox->holds.store(0, std::memory_order_relaxed);
    inbox->sleeping.store(0, std::memory_order_relaxed);
    inbox->awaits.store(0, std::memory_order_relaxed);
    uint32_t last = last_inbox.load(std::memory_order_relaxed);
    while (last < id && !last_inbox.compare_exchange_weak(last, id, std::memory_order_release)) {
    }
    inbox->runtime.store(runtime, std::memory_order_release);
    return inbox;
}

void give_inbox(Inbox *inbox) {
    inbox->runtime.store(nullptr, std::memory_order_release);
    inbox->link = 0;
    inbox_pool.give_blocks(inbox->id);
}

void poke(Inbox *inbox) {
    if (!inbox->sleeping.load() || !inbox->sleeping.exchange(0)) return; // awake, or another thread wakes it
    os::KeepErrors keep;
    Runtime *runtime = inbox->runtime.load(std::memory_order_relaxed);
    if (runtime->process == os::process_mark()) runtime->poller.wake(); // else a copy, whose numbers are stale
}

void poke_awaiting() {
    uint32_t last = last_inbox.load(std::memory_order_acquire);
    for (uint32_t id = Inbox::first_block; id <= last; id++) {
        Inbox *inbox = inbox_pool.at(id);
        if (!inbox->awaits.load(std::memory_order_seq_cst)) continue;
        Visit visit(inbox);
        if (inbox->awaits.load(std::memory_order_acquire)) poke(inbox);
    }
}

void send(Inbox *inbox, Message *message) {
    assert(message->run);
    Message *head = inbox->messages.load(std::memory_order_relaxed);
    do {
        message->next = head;
    } while (!inbox->messages.compare_exchange_weak(head, message, std::memory_order_seq_cst));
    poke(inbox);
}

} // namespace zyntax
