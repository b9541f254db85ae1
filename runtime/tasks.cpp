// Tasks from spawn to drop. The owner's path takes no lock, allocates nothing and does no atomic read-modify-write.
//
// User code runs from poll_tasks (poll) and finish (drop), never while a list is being walked, so it may call every
// function.
#include "runtime.h"

#include <string.h>

namespace zyntax {

// ---- ends ----

namespace {

[[gnu::noinline]] void drop_state(Runtime *runtime, void *state, DropFn drop, size_t owned, int32_t outcome) {
    runtime->dropping = Runtime::without_word;
    drop(state, outcome);
    runtime->dropping = Runtime::no_drop;
    if (owned) runtime->arena.give(state, owned);
}

inline void drop_plainly(Runtime *runtime, const Task *task, size_t owned, int32_t outcome) {
    if (task->drop) drop_state(runtime, task->state, task->drop, owned, outcome);
    else if (owned) runtime->arena.give(task->state, owned);
}

// A task that is still in the ready queue, has a record, or is the task of block_on.
[[gnu::noinline]] void drop_marked(Runtime *runtime, uint32_t index, Task *task, size_t owned, int32_t outcome) {
    if (task->flags == Task::queued) return drop_plainly(runtime, task, owned, outcome);
    TaskRecord *record = task->flags & Task::has_record ? task->record : nullptr;
    void *state = task->state;
    if (task->flags & Task::ends_round) runtime->polls_left = 0;
    task->flags &= Task::queued;
    if (!task->flags) runtime->tasks.recycle(task, index);
    if (record) runtime->records->end(runtime, record, state, owned, outcome);
    else drop_plainly(runtime, task, owned, outcome);
}

// The handle is stale and the task is free before the drop function runs, so that it may call everything. A task that
// is still in the ready queue becomes free when it leaves the queue.
inline void drop_task(Runtime *runtime, uint32_t index, Task *task, int32_t outcome) {
    assert(task->joiners.empty() && task->ops.empty());
    size_t owned = size_t{task->owned} * Arena::unit;
    task->flags &= Task::queued | Task::has_record | Task::ends_round;
    if (task->flags) return drop_marked(runtime, index, task, owned, outcome);
    runtime->tasks.recycle(task, index);
    drop_plainly(runtime, task, owned, outcome);
}

[[gnu::noinline]] void finish_waited(Runtime *runtime, uint32_t index, Task *task, int32_t outcome) {
    if (task->elsewhere.load(std::memory_order_relaxed) & Task::is_awaited) {
        task->elsewhere.fetch_and(~uint32_t{Task::is_awaited}, std::memory_order_relaxed);
        awaited_elsewhere_ended.fetch_add(1, std::memory_order_seq_cst);
        poke_awaiting();
    }
    fire_all(runtime, &task->joiners);
    if (!task->ops.empty()) orphan_ops(runtime, task);
    drop_task(runtime, index, task, outcome);
}

} // namespace

// Rare paths are tail calls out of line, here and in spawn, so that the common path saves no registers.
void finish(Runtime *runtime, uint32_t index, Task *task, int32_t outcome) {
    assert(task != runtime->current && task == task_pool.at(index));
    runtime->tasks.end(task);
    // The store of a new generation may become visible after the read of the mark: see hold_foreign.
    if (awaited_elsewhere_ended.load(std::memory_order_relaxed))
        task->generation.store(task->generation.load(std::memory_order_relaxed), std::memory_order_seq_cst);
    uint32_t awaited = task->elsewhere.load(std::memory_order_seq_cst) & Task::is_awaited;
    if (task->joiners.first | task->ops.first | awaited) finish_waited(runtime, index, task, outcome);
    else drop_task(runtime, index, task, outcome);
}

void drop_with_word(Runtime *runtime, void *state, DropFn drop, size_t owned, int32_t outcome, void *word) {
    Runtime::Dropping outer = runtime->dropping;
    void *outer_word = runtime->drop_word;
    runtime->dropping = word ? Runtime::with_word : Runtime::without_word;
    runtime->drop_word = word;
    if (drop) drop(state, outcome);
    runtime->dropping = outer;
    runtime->drop_word = outer_word;
    if (owned) runtime->arena.give(state, owned);
}

zyntax_task *drop_refused(Runtime *runtime, void *state, DropFn drop, size_t owned) {
    Runtime *caller = driven();
    if (caller) drop_with_word(caller, state, drop, 0, ZYNTAX_ECANCELED, running_word(caller));
    else if (drop) drop(state, ZYNTAX_ECANCELED);
    if (owned) runtime->arena.give(state, owned);
    return nullptr;
}

void run_all(Runtime *runtime, Message *message) {
    while (message) {
        Message *next = message->next;
        message->run(runtime, message);
        message = next;
    }
}

void run_later(Runtime *runtime, Message *message) {
    Message *newest = runtime->later;
    message->next = newest ? newest->next : message;
    if (newest) newest->next = message;
    runtime->later = message;
    if (runtime->host_waits && !runtime->is_driving) poke(runtime->inbox);
}

void run_what_is_later(Runtime *runtime) {
    assert(runtime->is_driving && !runtime->current);
    Message *newest = runtime->later;
    if (!newest) return;
    Message *oldest = newest->next;
    newest->next = nullptr;
    runtime->later = nullptr;
    run_all(runtime, oldest);
}

void finish_canceled(Runtime *runtime, uint32_t index, Task *task) {
    if (runtime->tracer) runtime->tracer->drop(runtime, index, task);
    else finish(runtime, index, task, ZYNTAX_ECANCELED);
}

// Tasks cancelled by a drop are dropped in the next round.
void drop_canceled(Runtime *runtime) {
    uint32_t last = runtime->canceled_last;
    for (uint32_t index = runtime->canceled_first; index;) {
        Task *task = task_pool.at(index);
        runtime->canceled_first = task->next_canceled;
        finish_canceled(runtime, index, task);
        index = index == last ? 0 : runtime->canceled_first;
    }
    run_what_is_later(runtime);
}

// ---- polling ----

static inline void poll_alive(Runtime *runtime, uint32_t index, Task *task, uint32_t generation, int64_t awaits) {
    if (task->cancel_generation.load(std::memory_order_acquire) == generation) return; // the task is in the inbox
    task->waits = ZYNTAX_WAIT_UNKNOWN;
    if (++task->polls_low == 0) task->polls_high++;
    runtime->counts.polls++;
    runtime->waker.data = to_pointer(handle_bits(index, generation));
    runtime->awaits_left = awaits;
    runtime->current = task;
    PollStatus status = task->poll(task->state, &runtime->waker);
    runtime->current = nullptr;
    check_status(runtime, task, status);
    if (status == POLL_READY) finish(runtime, index, task, 0);
    else if (task->flags & Task::canceled) finish(runtime, index, task, ZYNTAX_ECANCELED);
    else if (task->flags & Task::has_turn) end_turns(runtime, task);
}

// See ends_wait.
[[gnu::noinline]] static void poll_interrupted(Runtime *runtime, uint32_t index, Task *task, uint32_t generation) {
    int64_t budget = runtime->await_budget < Runtime::most_awaits ? runtime->await_budget : Runtime::most_awaits - 1;
    runtime->spare_ops = UINT32_MAX;
    poll_alive(runtime, index, task, generation, budget + Runtime::interrupt_mark);
    runtime->spare_ops = Runtime::few_ops;
    runtime->interrupted_at = Runtime::no_end;
}

static inline void poll_task(Runtime *runtime, uint32_t index, Task *task) {
    assert(task->flags & Task::queued);
    uint32_t generation = task->generation.load(std::memory_order_relaxed);
    task->flags &= static_cast<uint8_t>(~Task::queued); // a later wake queues it again
    if (!(generation & 1)) return runtime->tasks.recycle(task, index);
    if (task->flags & (Task::canceled | Task::interrupted)) {
        if (task->flags & Task::canceled) return; // drop_canceled ends it
        return poll_interrupted(runtime, index, task, generation);
    }
    poll_alive(runtime, index, task, generation, runtime->await_budget);
}

void poll_tasks(Runtime *runtime, uint32_t most) {
    assert(runtime->is_driving && !runtime->current);
    constexpr uint32_t ahead = 8; // a task is prefetched this many polls before its own
    runtime->polls_left = most;
    while (runtime->has_queued() && runtime->polls_left-- > 0) {
        uint32_t begin = runtime->queue_begin++;
        uint32_t index = runtime->queue[begin & runtime->queue_mask];
        os::prefetch(task_pool.at(runtime->queue[(begin + ahead) & runtime->queue_mask]));
        poll_task(runtime, index, task_pool.at(index));
    }
}

// ---- spawn ----

namespace {

// Makes room in the ready queue for that many tasks. False without memory.
bool reserve_queue(Runtime *runtime, uint32_t needed) {
    uint32_t capacity = runtime->queue ? runtime->queue_mask + 1 : 0;
    if (needed <= capacity) return true;
    uint32_t doubled = capacity ? capacity * 2 : TaskPool::block;
    auto *queue = static_cast<uint32_t *>(runtime->memory.take(doubled * sizeof(uint32_t)));
    if (!queue) return false;
    memset(queue, 0, doubled * sizeof(uint32_t)); // poll_tasks also reads entries behind the queue's end
    uint32_t count = 0;
    for (uint32_t i = runtime->queue_begin; i != runtime->queue_end; i++) {
        queue[count++] = runtime->queue[i & runtime->queue_mask];
    }
    runtime->queue = queue;
    runtime->queue_mask = doubled - 1;
    runtime->queue_begin = 0;
    runtime->queue_end = count;
    runtime->queue_block.replace(runtime->memory, queue, doubled * sizeof(uint32_t));
    return true;
}

[[gnu::noinline]] zyntax_task *poke_host(Runtime *runtime, zyntax_task *handle) {
    poke(runtime->inbox);
    return handle;
}

inline zyntax_task *spawn_task(Runtime *runtime, FutureState state, PollFn poll, DropFn drop, size_t owned) {
    auto [task, index, generation] = runtime->tasks.take_free();
    assert(task->ops.empty() && runtime->queue_end - runtime->queue_begin <= runtime->queue_mask);
    task->state = state;
    task->poll = poll;
    task->drop = drop;
    task->joiners = {};
    task->owned = static_cast<uint32_t>((owned + Arena::unit - 1) / Arena::unit);
    task->polls_low = 0;
    task->polls_high = 0;
    task->flags = Task::queued;
    task->waits = ZYNTAX_WAIT_UNKNOWN;
    runtime->queue[runtime->queue_end++ & runtime->queue_mask] = index;
    auto *handle = static_cast<zyntax_task *>(to_pointer(handle_bits(index, generation)));
    return runtime->host_waits && !runtime->is_driving ? poke_host(runtime, handle) : handle;
}

// A task begins with the word of its spawner, which may be a task of another runtime.
[[gnu::noinline]] zyntax_task *spawn_rarely(Runtime *runtime, FutureState state, PollFn poll, DropFn drop,
                                            size_t owned) {
    const Runtime *spawner = driven();
    void *word = spawner ? running_word(spawner) : nullptr;
    if (runtime->is_ending) return drop_refused(runtime, state, drop, owned);
    if (word) return spawner->records->spawn(runtime, state, poll, drop, owned, word);
    return spawn_plainly(runtime, state, poll, drop, owned);
}

} // namespace

zyntax_task *spawn_plainly(Runtime *runtime, FutureState state, PollFn poll, DropFn drop, size_t owned) {
    auto reserve = [runtime](uint32_t tasks_needed) { return reserve_queue(runtime, tasks_needed); };
    bool has_free = runtime->tasks.has_free() || runtime->tasks.refill(runtime->inbox->id, reserve);
    return has_free ? spawn_task(runtime, state, poll, drop, owned) : nullptr;
}

} // namespace zyntax

using namespace zyntax;

zyntax_task *zyntax_runtime_spawn_with(zyntax_runtime *runtime, FutureState state, PollFn poll, DropFn drop,
                                       size_t owned) noexcept {
    if (!runtime || !poll || (owned && (!state || owned > Arena::max_size))) return nullptr;
    check_thread(runtime);
    uint32_t threshold = spawn_threshold.load(std::memory_order_relaxed);
    if (!runtime->tasks.has_free(threshold)) return spawn_rarely(runtime, state, poll, drop, owned);
    return spawn_task(runtime, state, poll, drop, owned);
}

zyntax_task *zyntax_runtime_spawn(zyntax_runtime *runtime, FutureState state, PollFn poll) noexcept {
    check_thread(runtime);
    return zyntax_runtime_spawn_with(runtime, state, poll, nullptr, 0);
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
