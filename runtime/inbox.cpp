// The inbox as other threads use it: they send messages and wake a loop that sleeps. Nothing here waits, or reads what
// the loop owns.
#include "runtime.h"

namespace zyntax {

constinit InboxPool inbox_pool;

ZYNTAX_TLS constinit ZYNTAX_THREAD_LOCAL os::ThreadPointer<Inbox> driving = {};

Inbox *take_inbox(Runtime *runtime) {
    uint32_t id = inbox_pool.take_block();
    if (!id) return nullptr;
    Inbox *inbox = inbox_pool.at(id);
    inbox->id = id;
    inbox->stop.store(0, std::memory_order_relaxed);
    inbox->holds.store(0, std::memory_order_relaxed);
    inbox->sleeping.store(0, std::memory_order_relaxed);
    inbox->runtime.store(runtime, std::memory_order_release);
    return inbox;
}

void give_inbox(Inbox *inbox) {
    inbox->runtime.store(nullptr, std::memory_order_release);
    inbox->link = 0;
    inbox_pool.give_blocks(inbox->id);
}

void poke(Inbox *inbox) {
    if (inbox->sleeping.load(std::memory_order_seq_cst) == 0) return;
    if (inbox->sleeping.exchange(0, std::memory_order_seq_cst) == 0) return; // another thread wakes it
    os::KeepErrors keep;
    inbox->runtime.load(std::memory_order_relaxed)->poller.wake();
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
