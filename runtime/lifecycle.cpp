// Creates and destroys runtimes, and frees the copy of a runtime in a forked child.
#include "runtime.h"

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

// Frees the messages that will not run.
void discard_messages(Runtime *runtime) {
    for (Message *message = runtime->inbox->messages.load(std::memory_order_acquire); message;) {
        Message *next = message->next;
        if (message->size) runtime->memory.give(message, message->size);
        message = next;
    }
}

void give_memory(Runtime *runtime) {
    auto free = runtime->memory.free;
    void *ctx = runtime->memory.ctx;
    runtime->queue_block.give(runtime->memory);
    runtime->~Runtime();
    free(ctx, runtime, sizeof(Runtime), alignof(Runtime));
}

// Drops every task. A drop may cancel other tasks, but cannot spawn any more, so one walk is enough.
void drop_all(Runtime *runtime) {
    auto drop_whom_they_cancel = [runtime] {
        while (runtime->canceled_first) drop_canceled(runtime);
    };
    drop_whom_they_cancel();
    runtime->tasks.each([&](uint32_t index, Task *task) {
        if (task->flags & Task::canceled) return;
        finish_canceled(runtime, index, task);
        drop_whom_they_cancel();
    });
    assert(runtime->tasks.used() == 0);
}

// Runs posted functions and calls the hosts' wakers until there are none. No operation that they begin stays pending.
void run_the_rest(Runtime *runtime) {
    do {
        take_inbox_work(runtime);
        call_hosts(runtime);
        cancel_orphans(runtime);
        run_what_is_later(runtime);
    } while (runtime->calls || runtime->later || runtime->inbox->messages.load(std::memory_order_acquire));
}

// Afterwards no other thread writes to the inbox: every generation is stale, and the calls that began before have
// ended.
void wait_for_visitors(Runtime *runtime) {
    while (runtime->inbox->visitors.fetch_add(0, std::memory_order_acq_rel) != 0) os::yield();
}

// In a forked child the runtime is a copy: it has no threads, and shares its kernel objects with the parent. Its memory
// and descriptors are freed, and no user code is called. Its numbers become stale. Their objects are not used again in
// the child, as another thread of the parent may have been writing to them during the fork. That thread may have been
// at any step of driving, so this function reads only what store_in_order keeps in order.
void forget_copy(Runtime *runtime) {
    runtime->tasks.retire();
    runtime->handles.each([](uint32_t, const Handle *handle) {
        if (handle->kind && handle->kind->forget) handle->kind->forget(handle->object);
    });
    runtime->ops.retire();
    runtime->handles.retire();
    for (Part *part = runtime->parts; part; part = part->next)
        if (part->forget) part->forget(part);
    runtime->inbox->awaits.store(0, std::memory_order_relaxed);
    runtime->inbox->runtime.store(nullptr, std::memory_order_release);
    discard_messages(runtime);
    runtime->poller.close(true);
    give_memory(runtime);
}

} // namespace

Runtime *zyntax::create(zyntax_runtime_config config, int32_t *error) {
    if (!config.alloc) {
        config.alloc = default_alloc;
        config.free = default_free;
    }
    if (!config.poll_budget) config.poll_budget = 256;
    if (!config.blocking_threads) config.blocking_threads = 16;
    if (!config.await_budget) config.await_budget = 128;
    *error = ZYNTAX_ENOMEM;
    void *memory = config.alloc(config.alloc_ctx, sizeof(Runtime), alignof(Runtime));
    if (!memory) return nullptr;
    auto *runtime = ::new (memory) Runtime();
    runtime->config = config;
    runtime->memory.alloc = config.alloc;
    runtime->memory.free = config.free;
    runtime->memory.ctx = config.alloc_ctx;
    runtime->memory.reserved.store(sizeof(Runtime), std::memory_order_relaxed);
    runtime->waker.wake = wake;
    runtime->poll_round = poll_tasks;
    runtime->await_budget = config.await_budget == UINT32_MAX ? INT64_MAX : config.await_budget;
    runtime->process = os::process_mark();
    *error = runtime->poller.open(runtime->memory);
    if (*error == 0) {
        *error = ZYNTAX_ENOMEM;
        runtime->inbox = take_inbox(runtime);
        if (runtime->inbox && runtime->ops.refill(runtime->inbox->id)) {
            runtime->now_ns();
            *error = 0;
            return runtime;
        }
        if (runtime->inbox) give_inbox(runtime->inbox);
        runtime->poller.close();
    }
    give_memory(runtime);
    return nullptr;
}

zyntax_runtime *zyntax_runtime_create(void) noexcept {
    os::KeepErrors keep;
    int32_t error;
    return create({}, &error);
}

// The order: user code that may begin operations; the end of everything that waits; user code that may begin none. A
// message of another thread whose call began in time is not lost.
void zyntax_runtime_destroy(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    os::KeepErrors keep;
    bool is_copy = runtime->process != os::process_mark();
    if (driving == runtime->inbox || (runtime->is_driving && !is_copy)) {
        os::panic("zyntax: zyntax_runtime_destroy was called inside a poll, drop or callback of the same runtime\n");
    }
    if (is_copy) return forget_copy(runtime);
    check_thread(runtime);
    {
        Driving scope(runtime);
        runtime->host_waits = false;
        take_inbox_work(runtime); // once: a function that posts itself again must not keep destroy from ending
        runtime->is_ending = true;
        count_rare_spawns(+1);
        drop_all(runtime);
        runtime->handles.each([runtime](uint32_t, Handle *handle) { handle->kind->destroy(runtime, handle->object); });
        for (Part *part = runtime->parts; part; part = part->next) part->destroy(runtime, part);
        run_the_rest(runtime);
        cancel_all_ops(runtime);
        runtime->inbox->awaits.store(0, std::memory_order_relaxed);
        wait_for_visitors(runtime);
        run_the_rest(runtime);
        count_rare_spawns(-1);
        assert(runtime->is_valid());
    }
    runtime->poller.close();
    runtime->ops.retire();
    runtime->handles.retire();
    runtime->tasks.give_blocks();
    runtime->ops.give_blocks();
    runtime->handles.give_blocks();
    give_inbox(runtime->inbox);
    give_memory(runtime);
}
