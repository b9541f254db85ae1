// Wakers: the way into the ready queue, from every thread and at any time. They know a task's number and its owner's
// queue or inbox. They know no polls, operations or drops, and no user code runs from here.
#include "runtime.h"

namespace zyntax {

// A cancel replaces an interrupt of the same task. Nothing replaces a request for a later task in this place.
static void note(Task *task, uint32_t generation, Push push) {
    if (push == Push::wake) return;
    bool cancels = push == Push::cancel;
    uint32_t asked = task->cancel_generation.load(std::memory_order_relaxed);
    while ((asked < generation || (cancels && asked == generation + 1)) &&
           !task->cancel_generation.compare_exchange_weak(asked, generation + !cancels)) {
    }
}

// Puts a task of a runtime that this thread does not drive into the runtime's inbox.
//
// Why this is safe although nothing keeps the runtime alive: the caller is a visitor before it reads the generation.
// A runtime that ends makes every generation stale first, and then waits until it sees no visitor. So either the caller
// sees a stale generation and leaves, or the runtime waits for it. The memory of the inbox is never unmapped.
//
// Why no wake is lost: the thread that sets in_inbox pushes the task. The owner clears the bit with a read-modify-write
// before it queues the task, and so it sees all writes of the wakers that found the bit set.
bool push_remote(Task *task, uint32_t index, uint32_t generation, Push push) {
    // The task is in the inbox already: a read-modify-write without a change publishes our writes to the owner.
    uint32_t seen = task->elsewhere.load(std::memory_order_relaxed);
    if (push == Push::wake && (seen & Task::in_inbox) &&
        task->elsewhere.compare_exchange_strong(seen, seen, std::memory_order_acq_rel)) {
        return true;
    }
    uint32_t owner = task->owner.load(std::memory_order_acquire);
    if (!owner) return false;
    Inbox *inbox = inbox_pool.at(owner);
    Visit visit(inbox);
    uint32_t current = task->generation.load(std::memory_order_acquire);
    bool alive =
        names(generation, handle_generation_mask, current) && task->owner.load(std::memory_order_relaxed) == owner;
    if (alive) note(task, current, push);
    if (alive && !(task->elsewhere.fetch_or(Task::in_inbox, std::memory_order_acq_rel) & Task::in_inbox)) {
        uint32_t head = inbox->woken.load(std::memory_order_relaxed);
        do {
            task->next_in_inbox = head;
        } while (!inbox->woken.compare_exchange_weak(head, index, std::memory_order_seq_cst));
        poke(inbox);
    }
    return alive;
}

void wake(void *data) {
    uintptr_t handle = to_bits(data);
    uint32_t index = handle_index(handle);
    Task *task = find_task(data);
    if (!task) return;
    Inbox *inbox = driving;
    if (inbox && task->owner.load(std::memory_order_relaxed) == inbox->id) {
        Runtime *runtime = inbox->runtime.load(std::memory_order_relaxed);
        runtime->counts.wakes++;
        enqueue(runtime, index, task);
    } else {
        push_remote(task, index, handle_generation(handle), Push::wake);
    }
}

void cancel_task(Runtime *runtime, uint32_t index, Task *task) {
    if (task->flags & Task::canceled) return;
    task->flags |= Task::canceled;
    if (task == runtime->current) return; // the end of its poll handles it
    assert(task == task_pool.at(index) && (task->generation.load(std::memory_order_relaxed) & 1));
    task->next_canceled = 0;
    if (runtime->canceled_first) task_pool.at(runtime->canceled_last)->next_canceled = index;
    else runtime->canceled_first = index;
    runtime->canceled_last = index;
}

int32_t ask_task(zyntax_task *handle, Push push, void (*ask_here)(Runtime *, uint32_t index, Task *)) {
    uint32_t index = handle_index(to_bits(handle));
    Task *task = find_task(handle);
    if (!task) return ZYNTAX_ESTALE;
    if (driving && task->owner.load(std::memory_order_relaxed) == driving->id) {
        ask_here(driving->runtime.load(std::memory_order_relaxed), index, task);
        return 0;
    }
    return push_remote(task, index, handle_generation(to_bits(handle)), push) ? 0 : ZYNTAX_ESTALE;
}

void interrupt_task(Runtime *runtime, uint32_t index, Task *task) {
    if (task->flags & Task::canceled) return;
    task->flags |= Task::interrupted;
    enqueue(runtime, index, task);
}

} // namespace zyntax

using namespace zyntax;

zyntax_runtime *zyntax_current_runtime(void) noexcept {
    Runtime *runtime = driving ? driving->runtime.load(std::memory_order_relaxed) : nullptr;
    while (runtime && !runtime->current) runtime = runtime->outer; // a callback of a nested runtime
    return runtime;
}

int32_t zyntax_current_waker(Waker *out) noexcept {
    Runtime *runtime = zyntax_current_runtime();
    if (!runtime || !out) return ZYNTAX_EINVAL;
    runtime->wakers_taken++;
    *out = runtime->waker;
    return 0;
}

void zyntax_wake_from_signal(const Waker *waker) noexcept {
    if (!waker || waker->wake != wake) return;
    uintptr_t handle = to_bits(waker->data);
    Task *task = task_pool.find(handle_index(handle));
    if (task) push_remote(task, handle_index(handle), handle_generation(handle), Push::wake);
}

int32_t zyntax_task_alive(zyntax_task *task) noexcept { return find_task(task) != nullptr; }

int32_t zyntax_task_cancel(zyntax_task *task) noexcept { return ask_task(task, Push::cancel, cancel_task); }
