// Creating and destroying runtimes.
#include "runtime.h"

#include <string.h>

using namespace zyntax;

namespace {

void *default_alloc(void *, size_t size, size_t align) { return os::allocate(size, align); }
void default_free(void *, void *ptr, size_t, size_t) { os::release(ptr); }

// Copies a configuration that may be shorter or longer than ours; false when it says something we do not know.
bool understand(const zyntax_runtime_config *from, zyntax_runtime_config *to) {
    *to = {};
    if (from) {
        if (from->size < sizeof from->size || from->size > 4096) return false;
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

void give_memory(Runtime *runtime) {
    auto free = runtime->memory.free;
    void *ctx = runtime->memory.ctx;
    runtime->memory.give(runtime->ready, (size_t{runtime->ready_mask} + 1) * sizeof(uint32_t));
    runtime->~Runtime();
    free(ctx, runtime, sizeof(Runtime), alignof(Runtime));
}

// Drops every task. A drop may cancel others, and may not spawn any more, so one walk is enough.
void drop_all(Runtime *runtime) {
    drop_canceled(runtime);
    for (uint32_t block = runtime->blocks; block; block = next_block(block)) {
        for (uint32_t index = block + 1; index < block + block_size; index++) {
            if (block == runtime->blocks && index >= runtime->fresh_slot) break; // not used by this runtime
            Slot *slot = slot_at(index);
            if (!(slot->generation.load(std::memory_order_relaxed) & 1) || (slot->flags & Slot::canceled)) continue;
            finish(runtime, index, slot, ZYNTAX_ECANCELED);
            drop_canceled(runtime);
        }
    }
    assert(runtime->tasks_alive() == 0);
}

// From here on no other thread writes to the inbox: every generation is stale, and those who looked before are done.
void wait_for_pushers(Runtime *runtime) {
    while (runtime->inbox->pushers.fetch_add(0, std::memory_order_acq_rel) != 0) os::yield();
}

void run_posted(Runtime *runtime) {
    while (has_inbox_work(runtime->inbox)) {
        take_inbox_work(runtime);
        drop_canceled(runtime);
    }
}

} // namespace

zyntax_runtime *zyntax_runtime_create_with(const zyntax_runtime_config *given, int32_t *error) noexcept {
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
    result = runtime->poller.open(runtime->memory);
    if (result == 0) {
        runtime->inbox = take_inbox(runtime);
        if (runtime->inbox) {
            runtime->now_ns();
            return runtime;
        }
        runtime->poller.close();
        result = ZYNTAX_ENOMEM;
    }
    give_memory(runtime);
    return nullptr;
}

zyntax_runtime *zyntax_runtime_create(void) noexcept { return zyntax_runtime_create_with(nullptr, nullptr); }

void zyntax_runtime_destroy(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    check_thread(runtime);
    if (runtime->is_driving) {
        os::panic(
            "zyntax: zyntax_runtime_destroy was called from inside a poll, drop or callback of its own runtime\n");
    }
    {
        Driving scope(runtime);
        runtime->host_waits = false;
        take_inbox_work(runtime); // once: a call that posts itself again must come to an end
        runtime->is_ending = true;
        drop_all(runtime);
        close_all_io(runtime);
        for (Part *part = runtime->parts; part; part = part->next) part->destroy(runtime, part);
        run_posted(runtime);
        while (!runtime->foreign.empty()) {
            Node *node = runtime->foreign.front();
            Waker waker = node->waker;
            free_node(runtime, node);
            waker.wake(waker.data);
        }
        wait_for_pushers(runtime);
        take_inbox_work(runtime);
    }
    runtime->poller.close();
    if (runtime->blocks) give_blocks(runtime->blocks);
    give_inbox(runtime->inbox);
    give_memory(runtime);
}

int32_t zyntax_runtime_post(zyntax_runtime *runtime, void (*fn)(void *), void *arg) noexcept {
    struct Post : Message {
        void (*fn)(void *);
        void *arg;
        static void run_once(Runtime *rt, Message *message) {
            Post post = *static_cast<Post *>(message);
            rt->memory.give(message, sizeof(Post));
            post.fn(post.arg);
        }
    };
    if (!runtime || !fn) return ZYNTAX_EINVAL;
    if (driving == runtime->inbox && runtime->is_ending) return ZYNTAX_ECANCELED;
    void *memory = runtime->memory.take(sizeof(Post));
    if (!memory) return ZYNTAX_ENOMEM;
    auto *post = ::new (memory) Post();
    post->run = Post::run_once;
    post->fn = fn;
    post->arg = arg;
    send(runtime, post);
    return 0;
}

void zyntax_runtime_hold(zyntax_runtime *runtime) noexcept {
    if (runtime) runtime->inbox->holds.fetch_add(1, std::memory_order_seq_cst);
}

// The loop may be asleep for the hold's sake alone: it looks again.
void zyntax_runtime_release(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    runtime->inbox->holds.fetch_sub(1, std::memory_order_seq_cst);
    poke(runtime->inbox);
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
