// Calls of other threads that are not wakes: stop, post, hold, release. Each is a visitor until it returns, as the
// runtime may end because of the call.
#include "../runtime.h"

using namespace zyntax;

namespace {

struct Post : Message {
    void (*fn)(void *);
    void *arg;
};

void run_post(Runtime *runtime, Message *message) {
    assert(message->size == sizeof(Post) && !runtime->current);
    Post post = *static_cast<Post *>(message);
    runtime->memory.give(message, sizeof(Post));
    if (runtime->tracer) runtime->tracer->call(runtime, post.fn, post.arg);
    else post.fn(post.arg);
}

} // namespace

void zyntax_runtime_stop(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    Inbox *inbox = runtime->inbox; // without the visit the runtime may end as soon as the stop is seen
    Visit visit(inbox);
    inbox->stop.store(1, std::memory_order_seq_cst);
    poke(inbox);
}

int32_t zyntax_runtime_post(zyntax_runtime *runtime, void (*fn)(void *), void *arg) noexcept {
    if (!runtime || !fn) return ZYNTAX_EINVAL;
    Inbox *inbox = runtime->inbox;
    Visit visit(inbox);
    bool is_driver = inbox->driver.load(std::memory_order_relaxed) == this_thread(); // even inside a nested runtime
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

// Perhaps only the hold keeps the loop from reporting a stall: the loop looks again.
void zyntax_runtime_release(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    Inbox *inbox = runtime->inbox; // without the visit the runtime may end as soon as the release is seen
    Visit visit(inbox);
    inbox->holds.fetch_sub(1, std::memory_order_seq_cst);
    poke(inbox);
}
