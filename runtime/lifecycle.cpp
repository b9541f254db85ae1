// Creating and destroying runtimes.
#include "runtime.h"

#include <string.h>

using namespace zyntax;

namespace {

void *default_alloc(void *, size_t size, size_t align) {
    os::KeepErrors keep;
    return os::allocate(size, align);
}

void default_free(void *, void *ptr, size_t, size_t) {
    os::KeepErrors keep;
    os::release(ptr);
}

// Whether a shorter configuration of that size has whole members only.
bool ends_a_member(size_t size) {
    using Config = zyntax_runtime_config;
    constexpr size_t ends[] = {offsetof(Config, alloc),     offsetof(Config, free),
                               offsetof(Config, alloc_ctx), offsetof(Config, clock_ns),
                               offsetof(Config, clock_ctx), offsetof(Config, poll_budget),
                               offsetof(Config, spin_us),   offsetof(Config, blocking_threads),
                               offsetof(Config, flags),     offsetof(Config, flags) + sizeof(Config::flags)};
    for (size_t end : ends) {
        if (size == end) return true;
    }
    return false;
}

// Copies a configuration that may be shorter or longer than ours; false when it says something we do not know.
bool understand(const zyntax_runtime_config *from, zyntax_runtime_config *to) {
    *to = {};
    if (from) {
        if (from->size > 4096 || (from->size < sizeof *from && !ends_a_member(from->size))) return false;
        auto *bytes = reinterpret_cast<const unsigned char *>(from);
        for (size_t i = sizeof *to; i < from->size; i++) {
            if (bytes[i]) return false;
        }
        memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
    }
    if (!to->alloc != !to->free || (to->flags & ~uint32_t{ZYNTAX_DETECT_STALL})) return false;
    if (!to->alloc) {
        to->alloc = default_alloc;
        to->free = default_free;
    }
    return true;
}

struct Post : Message {
    void (*fn)(void *);
    void *arg;
};

void run_post(Runtime *runtime, Message *message) {
    Post post = *static_cast<Post *>(message);
    runtime->memory.give(message, sizeof(Post));
    post.fn(post.arg);
}

// Other messages are in the arena.
void discard_posts(Runtime *runtime) {
    for (Message *message = runtime->inbox->messages.load(std::memory_order_acquire); message;) {
        Message *next = message->next;
        if (message->run == run_post) runtime->memory.give(message, sizeof(Post));
        message = next;
    }
}

void give_memory(Runtime *runtime) {
    auto free = runtime->memory.free;
    void *ctx = runtime->memory.ctx;
    runtime->memory.give(runtime->ready, (size_t{runtime->ready_mask} + 1) * sizeof(uint32_t));
    runtime->~Runtime();
    free(ctx, runtime, sizeof(Runtime), alignof(Runtime));
}

// Drops every task. A drop may cancel others, and may not spawn any more, so one walk is enough.
void drop_all(Runtime *runtime) {
    auto drop_whom_they_cancel = [runtime] {
        while (runtime->canceled_first) drop_canceled(runtime);
    };
    drop_whom_they_cancel();
    each_task(runtime, [&](uint32_t index, Slot *slot) {
        if (slot->flags & Slot::canceled) return;
        finish(runtime, index, slot, ZYNTAX_ECANCELED);
        drop_whom_they_cancel();
    });
    assert(runtime->tasks_alive() == 0);
}

// Runs what is posted and calls the hosts' wakers until there is none. Nobody can begin anything that would go on.
void run_the_rest(Runtime *runtime) {
    do {
        take_inbox_work(runtime);
        call_hosts(runtime);
    } while (runtime->calls || runtime->inbox->messages.load(std::memory_order_acquire));
    give_up_forgotten(runtime);
}

// From here on no other thread writes to the inbox: every generation is stale, and the calls that began before are
// over.
void wait_for_visitors(Runtime *runtime) {
    while (runtime->inbox->visitors.fetch_add(0, std::memory_order_acq_rel) != 0) os::yield();
}

// In a child that was forked the runtime is a copy: its threads are not there, its kernel objects are the parent's,
// too. What it holds goes back, but nothing is told anybody. Its numbers become stale, and what they name is not used
// again here, as the fork may have come while another thread was writing to it.
void forget_copy(Runtime *runtime) {
    each_task(runtime, [](uint32_t, Slot *slot) { slot->generation.fetch_add(1, std::memory_order_release); });
    each_io(runtime, [](const Io *io) {
        os::close(io->fd);
        if (io->unregistered >= 0) os::close(io->unregistered);
    });
    runtime->nodes.retire();
    runtime->handles.retire();
    runtime->inbox->runtime.store(nullptr, std::memory_order_release);
    discard_posts(runtime);
    runtime->poller.close(true);
    give_memory(runtime);
}

} // namespace

zyntax_runtime *zyntax_runtime_create_with(const zyntax_runtime_config *given, int32_t *error) noexcept {
    os::KeepErrors keep;
    int32_t ignored;
    int32_t &result = error ? *error : ignored;
    zyntax_runtime_config config;
    result = ZYNTAX_EINVAL;
    if (!understand(given, &config)) return nullptr;
    result = ZYNTAX_ENOMEM;
    void *memory = config.alloc(config.alloc_ctx, sizeof(Runtime), alignof(Runtime));
    if (!memory) return nullptr;
    auto *runtime = ::new (memory) Runtime();
    runtime->memory.alloc = config.alloc;
    runtime->memory.free = config.free;
    runtime->memory.ctx = config.alloc_ctx;
    runtime->memory.reserved.store(sizeof(Runtime), std::memory_order_relaxed);
    runtime->waker.wake = wake;
    runtime->clock = config.clock_ns;
    runtime->clock_ctx = config.clock_ctx;
    runtime->poll_budget = config.poll_budget ? config.poll_budget : 256;
    runtime->spin_us = config.spin_us;
    runtime->blocking_threads = config.blocking_threads ? config.blocking_threads : 16;
    runtime->detect_stall = config.flags & ZYNTAX_DETECT_STALL;
    runtime->process = os::process_id();
    result = runtime->poller.open(runtime->memory);
    if (result == 0) {
        result = ZYNTAX_ENOMEM;
        runtime->inbox = take_inbox(runtime);
        if (runtime->inbox && runtime->nodes.prepare(runtime->inbox->id)) {
            runtime->now_ns();
            result = 0;
            return runtime;
        }
        if (runtime->inbox) give_inbox(runtime->inbox);
        runtime->poller.close();
    }
    give_memory(runtime);
    return nullptr;
}

zyntax_runtime *zyntax_runtime_create(void) noexcept { return zyntax_runtime_create_with(nullptr, nullptr); }

// The order: user code that may begin something, then what ends its waiting, then user code that may not; and what
// another thread sent by a call that began in time is not lost.
void zyntax_runtime_destroy(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    os::KeepErrors keep;
    bool is_copy = runtime->process != os::process_id();
    if (driving == runtime->inbox || (runtime->is_driving && !is_copy)) {
        os::panic(
            "zyntax: zyntax_runtime_destroy was called from inside a poll, drop or callback of its own runtime\n");
    }
    if (is_copy) return forget_copy(runtime);
    check_thread(runtime);
    {
        Driving scope(runtime);
        runtime->host_waits = false;
        take_inbox_work(runtime); // once: a call that posts itself again must come to an end
        runtime->is_ending = true;
        drop_all(runtime);
        close_all_io(runtime);
        for (Part *part = runtime->parts; part; part = part->next) part->destroy(runtime, part);
        run_the_rest(runtime);
        wait_for_visitors(runtime);
        run_the_rest(runtime);
        assert(runtime->is_valid());
    }
    runtime->poller.close();
    runtime->nodes.retire();
    runtime->handles.retire();
    runtime->nodes.give_blocks();
    runtime->handles.give_blocks();
    if (runtime->blocks) slots.give_blocks(runtime->blocks);
    give_inbox(runtime->inbox);
    give_memory(runtime);
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

void *zyntax_state_alloc(zyntax_runtime *runtime, size_t size) noexcept {
    if (!runtime) return nullptr;
    check_thread(runtime);
    void *state = runtime->arena.take(size);
    return state ? memset(state, 0, size) : nullptr;
}

void zyntax_state_free(zyntax_runtime *runtime, void *state, size_t size) noexcept {
    if (!runtime || !state || size - 1 >= Arena::max_size) return;
    check_thread(runtime);
    runtime->arena.give(state, size);
}
