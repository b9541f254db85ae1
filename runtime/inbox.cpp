// The side of the inbox that other threads are on: posting, stopping, holding, and waking a loop that sleeps. No
// function here waits for anything.
#include "runtime.h"

namespace zyntax {

ZYNTAX_TLS constinit ZYNTAX_THREAD_LOCAL os::ThreadPointer<Inbox> driving = {};

Inbox *take_inbox(Runtime *runtime) {
    uint32_t id = inboxes.take_block();
    if (!id) return nullptr;
    Inbox *inbox = inboxes.at(id);
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
    inboxes.give_blocks(inbox->id);
}

void poke(Inbox *inbox) {
    if (inbox->sleeping.load(std::memory_order_seq_cst) == 0) return;
    if (inbox->sleeping.exchange(0, std::memory_order_seq_cst) == 0) return; // somebody else does it
    os::KeepErrors keep;
    inbox->runtime.load(std::memory_order_relaxed)->poller.wake();
}

void send(Inbox *inbox, Message *message) {
    Message *head = inbox->messages.load(std::memory_order_relaxed);
    do {
        message->next = head;
    } while (!inbox->messages.compare_exchange_weak(head, message, std::memory_order_seq_cst));
    poke(inbox);
}

namespace {

struct Post : Message {
    void (*fn)(void *);
    void *arg;
};

void run_post(Runtime *runtime, Message *message) {
    Post post = *static_cast<Post *>(message);
    runtime->memory.give(message, sizeof(Post));
    post.fn(post.arg);
}

} // namespace

// Other messages are in the arena.
void give_back_posts(Runtime *runtime) {
    for (Message *message = runtime->inbox->messages.load(std::memory_order_acquire); message;) {
        Message *next = message->next;
        if (message->run == run_post) runtime->memory.give(message, sizeof(Post));
        message = next;
    }
}

} // namespace zyntax

using namespace zyntax;

void zyntax_runtime_stop(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    Inbox *inbox = runtime->inbox; // the runtime may be gone as soon as the stop is seen, but for visitors
    Visit visit(inbox);
    inbox->stop.store(1, std::memory_order_seq_cst);
    poke(inbox);
}

int32_t zyntax_runtime_post(zyntax_runtime *runtime, void (*fn)(void *), void *arg) noexcept {
    if (!runtime || !fn) return ZYNTAX_EINVAL;
    Inbox *inbox = runtime->inbox;
    Visit visit(inbox);
    if (driving == inbox && runtime->is_ending) return ZYNTAX_ECANCELED;
    void *memory = runtime->memory.take(sizeof(Post));
    if (!memory) return ZYNTAX_ENOMEM;
    auto *post = ::new (memory) Post();
    post->run = run_post;
    post->fn = fn;
    post->arg = arg;
    send(inbox, post);
    return 0;
}

void zyntax_runtime_hold(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    Visit visit(runtime->inbox);
    runtime->inbox->holds.fetch_add(1, std::memory_order_seq_cst);
}

// The loop may be asleep for the hold's sake alone: it looks again.
void zyntax_runtime_release(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    Inbox *inbox = runtime->inbox; // the runtime may be gone as soon as this is seen, but for visitors
    Visit visit(inbox);
    inbox->holds.fetch_sub(1, std::memory_order_seq_cst);
    poke(inbox);
}
