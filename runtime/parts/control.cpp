// What other threads may ask of a runtime beside waking its tasks: to stop, to run a function, to wait. They are
// visitors all the while, as the runtime may end because of what they ask.
#include "../runtime.h"

using namespace zyntax;

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
    bool is_driver = inbox->driver.load(std::memory_order_relaxed) == this_thread(); // perhaps not of the innermost
    if (is_driver && runtime->is_ending) return ZYNTAX_ECANCELED;
    void *memory = runtime->memory.take(sizeof(Post));
    if (!memory) return ZYNTAX_ENOMEM;
    auto *post = ::new (memory) Post();
    post->run = run_post;
    post->size = sizeof(Post);
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
