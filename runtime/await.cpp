// How an operation begins, and how it is fired, canceled or freed. User code runs from call_hosts only. Firing puts a
// task into the ready queue and never polls it.
#include "runtime.h"

namespace zyntax {

// ---- whose task an operation is ----

namespace {

// Tells the runtime whose task is being polled that an operation of this other runtime stores the task's waker, or has
// stopped storing it.
void note_elsewhere(const Runtime *runtime, const Waker &waker, int change) {
    Runtime *polling = zyntax_current_runtime();
    if (!polling || polling == runtime || polling->waker.data != waker.data) return;
    polling->stored_elsewhere += change;
    polling->waker_stores++;
    if (change > 0 && polling->ends_wait()) wake(waker.data); // the next poll's still_pending ends it
}

Ring *holder_ring(Runtime *runtime, const Op *op) {
    assert(op->holder != Op::nobody);
    if (op->holder == Op::task) return &task_pool.at(handle_index(to_bits(op->waker.data)))->ops;
    return op->holder == Op::foreign ? &runtime->foreign : &runtime->orphans;
}

void add_to_holder(Runtime *runtime, Op *op, Op::Holder holder) {
    assert(op->holder == Op::nobody);
    op->holder = holder;
    append(holder_ring(runtime, op), op, &Op::of_task);
}

[[gnu::noinline]] void remove_from_holder(Runtime *runtime, Op *op) {
    if (op->holder == Op::nobody) return;
    if (op->holder == Op::foreign) note_elsewhere(runtime, op->waker, -1);
    remove(holder_ring(runtime, op), op, &Op::of_task);
    op->holder = Op::nobody;
}

// The waker is of another runtime's task, or of no task. Either the task's end in another thread sees the mark, or this
// thread sees the end: all threads write and read the mark and the generation in one order (see finish). At the first
// such wait of a process, tasks that do not know of it may be ending: their stores are visible after the yield. Other
// threads yield, too, until then.
void hold_foreign(Runtime *runtime, Op *op, Task *task) {
    note_elsewhere(runtime, op->waker, 1);
    if (!runtime->is_ending) runtime->inbox->awaits.store(1, std::memory_order_seq_cst);
    if (task && awaited_elsewhere_ended.load(std::memory_order_relaxed) < 2) {
        awaited_elsewhere_ended.fetch_or(1, std::memory_order_seq_cst);
        os::yield();
        awaited_elsewhere_ended.fetch_or(2, std::memory_order_seq_cst);
    }
    if (runtime->foreign.empty()) runtime->foreign_seen = awaited_elsewhere_ended.load(std::memory_order_seq_cst);
    if (task) task->elsewhere.fetch_or(Task::is_awaited, std::memory_order_seq_cst);
    uint32_t generation = task ? task->generation.load(std::memory_order_seq_cst) : 0;
    add_to_holder(runtime, op, Op::foreign);
    if (names(handle_generation(to_bits(op->waker.data)), handle_generation_mask, generation)) return;
    runtime->foreign_seen--;
    if (runtime->host_waits && !runtime->is_driving) poke(runtime->inbox);
}

// A plain sleep holds no resource: it has a holder only in tasks that poll promises, because these tasks must know
// their waits.
inline void hold_in_task(Op *op, Task *task) {
    if (is_sleep(op) && !(task->flags & Task::tracked)) return;
    op->holder = Op::task;
    append(&task->ops, op, &Op::of_task);
}

[[gnu::noinline]] void choose_distant_holder(Runtime *runtime, Op *op) {
    Task *task = find_task(op->waker.data);
    if (!task || task->owner.load(std::memory_order_relaxed) != runtime->inbox->id) hold_foreign(runtime, op, task);
    else hold_in_task(op, task);
}

// Chooses the holder by the waker. Most often it is the waker of the task that is being polled.
inline void choose_holder(Runtime *runtime, Op *op) {
    assert(op->holder == Op::nobody);
    if (op->waker.wake != wake) return;
    Task *task = runtime->current;
    if (!task || op->waker.data != runtime->waker.data) return choose_distant_holder(runtime, op);
    task->waits = op->waits;
    runtime->waker_stores++;
    hold_in_task(op, task);
}

} // namespace

// ---- where it waits ----

void stop_waiting(Runtime *runtime, Op *op) {
    if (op->place == Op::timer_wheel) return runtime->timers.remove(op);
    if (op->place >= Op::waiting) remove(op->ring, op, &Op::in_ring);
    if (op->place > Op::waiting) (op->place == Op::to_call ? runtime->calls : runtime->io_waiting)--;
    op->place = Op::nowhere;
}

Runtime *interrupted_by(const zyntax_op *op_id) {
    Runtime *polling = driven();
    return polling && polling->ends_wait() && polling->call_op == op_id ? polling : nullptr;
}

namespace {

bool is_mine(const Runtime *runtime, const Op *op) {
    return op->owner.load(std::memory_order_relaxed) == runtime->inbox->id;
}

// A host's waker may do anything, so only the loop calls it. Until then the operation can be canceled.
void call_later(Runtime *runtime, Op *op) {
    assert(op->waker.wake != wake);
    wait_in(&runtime->to_call, op, Op::to_call);
    runtime->calls++;
    if (runtime->host_waits && !runtime->is_driving) poke(runtime->inbox);
}

void cancel_op(Runtime *runtime, Op *op) {
    assert(is_in_use(op) && is_mine(runtime, op));
    stop_waiting(runtime, op);
    if (op->source && op->source->canceled) op->source->canceled(runtime, op);
    free_op(runtime, op);
}

// Whether a call with that op id may take one of the last operations, and whether the call of an interrupted task may
// take any.
bool may_arm(Runtime *runtime, const zyntax_op *op_id) {
    if (op_id && interrupted_by(op_id)) return false;
    return runtime->ops.available() > Runtime::few_ops || runtime->ops.grow(runtime->inbox->id);
}

inline Op *begin_op(Runtime *runtime, zyntax_op *op_id, zyntax_wait waits, const Waker *waker) {
    auto [op, index, generation] = runtime->ops.take_free();
    op->waker = *waker;
    op->source = nullptr;
    op->waits = static_cast<uint8_t>(waits);
    op->place = Op::nowhere;
    op->holder = Op::nobody;
    op->woken = false;
    op->is_of_leaf = runtime->is_polling_leaf;
    op->level = 0;
    if (!op_id) return op;
    *op_id = op_bits(index, generation);
    choose_holder(runtime, op);
    return op;
}

[[gnu::noinline]] Op *arm_rarely(Runtime *runtime, zyntax_op *op_id, zyntax_wait waits, const Waker *waker) {
    if (runtime->ops.available() <= runtime->spare_ops && !may_arm(runtime, op_id)) return nullptr;
    return runtime->ops.refill(runtime->inbox->id) ? begin_op(runtime, op_id, waits, waker) : nullptr;
}

constinit Source starved = {nullptr, nullptr};

} // namespace

Op *arm(Runtime *runtime, zyntax_op *op_id, zyntax_wait waits, const Waker *waker) {
    bool is_at_hand = runtime->ops.has_free() && runtime->ops.available() > runtime->spare_ops;
    if (!is_at_hand) return arm_rarely(runtime, op_id, waits, waker);
    return begin_op(runtime, op_id, waits, waker);
}

Op *arm_timer(Runtime *runtime, zyntax_op *op_id, zyntax_wait waits, uint64_t deadline_ns, const Waker *waker) {
    runtime->ops.prefetch();
    Op *op = arm(runtime, op_id, waits, waker);
    if (op) runtime->timers.insert(op, deadline_ns);
    return op;
}

Op *pending_op(Runtime *runtime, zyntax_op *op_id) {
    Op *op = find_op(*op_id);
    if (op && is_mine(runtime, op) && (op->place != Op::to_call || op->source)) return op;
    if (op) zyntax_op_cancel(op_id);
    *op_id = 0;
    return nullptr;
}

// The await point of the newest call ends, and the interrupt has been seen.
static PollStatus end_by_interrupt(Runtime *polling) {
    assert(polling->ends_wait() && (polling->current->flags & Task::interrupted));
    polling->current->flags &= static_cast<uint8_t>(~Task::interrupted);
    polling->awaits_left -= Runtime::interrupt_mark;
    polling->spare_ops = Runtime::few_ops;
    zyntax_op_cancel(polling->call_op);
    complete(polling->call_op, polling->call_result, ZYNTAX_EINTR);
    polling->interrupted_at = polling->awaits_left;
    return POLL_READY;
}

// Handles the calls that are not of the task that is being polled, have another waker than before, or are interrupted.
// In a call of several steps the operation of a step may wait; the interrupt ends the operation of the call.
[[gnu::noinline]] static PollStatus still_pending_elsewhere(Runtime *runtime, Op *op, const Waker *waker) {
    Runtime *polling = driven();
    if (polling && polling->ends_wait() && find_op(*polling->call_op) == op) return end_by_interrupt(polling);
    if (op->place == Op::to_call) stop_waiting(runtime, op); // its host is calling already
    bool same = op->waker.data == waker->data && op->waker.wake == waker->wake;
    if (same && op->holder == Op::foreign) {
        note_elsewhere(runtime, *waker, 1);
    } else {
        remove_from_holder(runtime, op);
        op->waker = *waker;
        choose_holder(runtime, op);
    }
    return POLL_PENDING;
}

PollStatus still_pending(Runtime *runtime, Op *op, const Waker *waker) {
    assert(is_in_use(op) && is_mine(runtime, op));
    bool is_polled = waker->data == runtime->waker.data && waker->wake == wake && runtime->current;
    bool is_same = op->waker.data == waker->data && op->waker.wake == wake;
    if (!is_polled || !is_same || runtime->ends_wait()) return still_pending_elsewhere(runtime, op, waker);
    runtime->current->waits = op->waits;
    runtime->waker_stores++;
    return POLL_PENDING;
}

PollStatus not_armed(zyntax_op *op_id, int64_t *result) {
    Runtime *polling = interrupted_by(op_id);
    return polling ? end_by_interrupt(polling) : complete(op_id, result, ZYNTAX_ENOMEM);
}

// A task of this library is queued again. A host's waker is called by the loop, through one of the spare operations.
// The operation stays until then, so that the next call knows that nothing has begun. After the runtime has dropped its
// tasks no waker is called: a host that begins anew in each call would keep destroy from ending.
static PollStatus call_again(Runtime *runtime, zyntax_op *op_id, const Waker *waker) {
    *op_id = 0;
    if (runtime->is_ending && !runtime->tasks.used()) return POLL_PENDING;
    if (waker->wake == wake) {
        wake(waker->data);
    } else if (runtime->ops.refill(runtime->inbox->id)) {
        Op *op = begin_op(runtime, op_id, ZYNTAX_WAIT_UNKNOWN, waker);
        op->source = &starved;
        wake_waiter(runtime, op);
    } else {
        waker->wake(waker->data);
    }
    return POLL_PENDING;
}

PollStatus not_armed(Runtime *runtime, zyntax_op *op_id, const Waker *waker) {
    Runtime *polling = interrupted_by(op_id);
    if (!polling) return call_again(runtime, op_id, waker);
    polling->call_result = nullptr; // it may be gone
    return end_by_interrupt(polling);
}

void cancel_unbegun(zyntax_op *op_id) {
    Op *op = find_op(*op_id);
    bool is_usable = op && usable_runtime(op->owner.load(std::memory_order_relaxed));
    if (is_usable && op->source == &starved) zyntax_op_cancel(op_id);
}

Answer refuse_arguments(zyntax_op *op_id, int64_t *result) {
    if (Runtime *polling = driven()) polling->awaits_left--;
    zyntax_op_cancel(op_id);
    if (result) *result = ZYNTAX_EINVAL;
    return {POLL_READY};
}

// A poll that has spent its budget takes longer than others, so it counts as several polls of the round. An operation
// that has begun may always end: it could hold a result.
Answer answer_rarely(Runtime *polling, zyntax_op *op_id, const Waker *waker, int64_t *result) {
    constexpr uint32_t weight = Runtime::long_poll;
    if (!op_id || !waker || !waker->wake || !result) return refuse_arguments(op_id, result);
    if (!polling || !polling->current) return {};
    bool is_interrupted = polling->ends_wait();
    polling->call_op = op_id;
    polling->call_result = result;
    if (*op_id || (is_interrupted && polling->awaits_left > Runtime::interrupt_mark)) return {};
    polling->polls_left = polling->polls_left < weight ? 0 : polling->polls_left - weight;
    return {call_again(polling, op_id, waker)};
}

[[gnu::noinline]] static PollStatus refuse_begun(zyntax_op *op_id, int64_t *result, int64_t error) {
    zyntax_op_cancel(op_id);
    return complete(op_id, result, error);
}

PollStatus refuse(zyntax_op *op_id, int64_t *result, int64_t error) {
    if (find_op(*op_id)) return refuse_begun(op_id, result, error);
    return complete(op_id, result, error);
}

PollStatus dead_handle(zyntax_op *op_id, int64_t *result) {
    return refuse(op_id, result, *op_id ? ZYNTAX_ECANCELED : ZYNTAX_ESTALE);
}

static inline void free_idle(Runtime *runtime, Op *op) {
    assert(is_in_use(op) && is_mine(runtime, op) && op->place <= Op::turn);
    if (op->holder == Op::task) remove(holder_ring(runtime, op), op, &Op::of_task);
    else if (op->holder != Op::nobody) remove_from_holder(runtime, op);
    runtime->ops.give(op);
}

void free_op(Runtime *runtime, Op *op) {
    if (op->place > Op::turn) stop_waiting(runtime, op);
    free_idle(runtime, op);
}

// ---- firing ----

// The woken task may be another thread's, which must find no operation then.
[[gnu::noinline]] static void fire_far(Runtime *runtime, Op *op) {
    if (op->waker.wake != wake) return call_later(runtime, op);
    void *data = op->waker.data;
    free_idle(runtime, op);
    wake(data);
}

// A task that is ending leaves the queue again without a poll: an operation that waits for its end may store its waker.
void fire(Runtime *runtime, Op *op) {
    stop_waiting(runtime, op);
    if (op->source) return op->source->fired(runtime, op);
    if (op->holder != Op::task || !runtime->is_driving) return fire_far(runtime, op);
    uint32_t index = handle_index(to_bits(op->waker.data));
    runtime->counts.wakes++;
    enqueue(runtime, index, task_pool.at(index));
    free_idle(runtime, op);
}

void fire_all(Runtime *runtime, Ring *ring) {
    while (Op *op = first_of(*ring)) fire(runtime, op);
}

void wake_waiter(Runtime *runtime, Op *op) {
    assert(op->source && op->place <= Op::turn);
    op->woken = true;
    if (op->waker.wake == wake) wake(op->waker.data);
    else call_later(runtime, op);
}

void call_hosts(Runtime *runtime) {
    assert(runtime->is_driving && !runtime->current);
    for (uint64_t n = runtime->calls; n > 0 && !runtime->to_call.empty(); n--) {
        Op *op = first_of(runtime->to_call);
        Waker waker = op->waker;
        if (op->source) stop_waiting(runtime, op);
        else free_op(runtime, op);
        waker.wake(waker.data);
    }
}

// ---- turns ----

// A turn that was given during the poll stays: the task was woken and will be polled again. When a turn is canceled,
// another operation of the same task may receive it, at the front of the ring.
void end_turns(Runtime *runtime, Task *task) {
    assert(runtime->current == nullptr);
    task->flags &= static_cast<uint8_t>(~Task::has_turn);
    for (Op *op = first_of(task->ops); op && op->place == Op::turn;) {
        Op *next = next_of(task->ops, op, &Op::of_task);
        if (op->source_word != task->polls_low) cancel_op(runtime, op);
        op = next;
    }
    const Op *first = first_of(task->ops);
    if (first && first->place == Op::turn) task->flags |= Task::has_turn;
}

// ---- orphans ----

bool is_orphan(const Op *op) { return op->waker.wake == wake && !find_task(op->waker.data); }

// A turn passes on at once. The other operations wait for the loop: the task's drop function may still cancel them, and
// another task may go on with them.
void orphan_ops(Runtime *runtime, Task *task) {
    while (Op *op = first_of(task->ops)) {
        remove(&task->ops, op, &Op::of_task);
        op->holder = Op::nobody;
        if (op->place == Op::turn) cancel_op(runtime, op);
        else if (!is_sleep(op)) add_to_holder(runtime, op, Op::orphaned);
    }
}

bool has_new_foreign_orphans(const Runtime *runtime) {
    return awaited_elsewhere_ended.load(std::memory_order_seq_cst) != runtime->foreign_seen;
}

// The search goes through all foreign operations, but only after a task that was awaited elsewhere has ended, or when
// an operation has begun for a task that had ended.
static void find_foreign_orphans(Runtime *runtime) {
    if (!has_new_foreign_orphans(runtime)) return;
    runtime->foreign_seen = awaited_elsewhere_ended.load(std::memory_order_acquire);
    for (Op *op = first_of(runtime->foreign); op;) {
        Op *foreign_op = op;
        op = next_of(runtime->foreign, op, &Op::of_task);
        if (!is_orphan(foreign_op)) continue;
        remove_from_holder(runtime, foreign_op);
        if (!is_sleep(foreign_op)) add_to_holder(runtime, foreign_op, Op::orphaned);
    }
}

void cancel_orphans(Runtime *runtime) {
    assert(!runtime->current);
    if (!runtime->foreign.empty()) find_foreign_orphans(runtime);
    while (Op *op = first_of(runtime->orphans)) cancel_op(runtime, op);
}

void cancel_all_ops(Runtime *runtime) {
    runtime->ops.each([runtime](uint32_t, Op *op) { cancel_op(runtime, op); });
}

bool waits_for_something(const Task *task) {
    const Op *op = first_of(task->ops);
    while (op && (op->woken || op->is_of_leaf)) op = next_of(task->ops, op, &Op::of_task);
    return op;
}

} // namespace zyntax

using namespace zyntax;

void zyntax_op_cancel(zyntax_op *op_id) noexcept {
    if (!op_id || !*op_id) return;
    Op *op = find_op(*op_id);
    *op_id = 0;
    Runtime *runtime = op ? usable_runtime(op->owner.load(std::memory_order_relaxed)) : nullptr;
    if (runtime) cancel_op(runtime, op);
}
