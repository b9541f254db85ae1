// The loop. One round takes the work that is there when it begins:
//   1. take_what_came: wakes and messages of other threads become ready tasks; timers that are due are fired.
//   2. cancel_orphans: operations of tasks that have ended are canceled.
//   3. ask_kernel or park: events of the poller are fired. The loop sleeps only when it has no work.
//   4. call_hosts and drop_canceled: wakers of hosts are called, canceled tasks are dropped.
//   5. poll_tasks: at most poll_budget ready tasks are polled.
//   6. drop_canceled: tasks that were canceled in these polls are dropped, then the messages of run_later run.
// Functions that were posted run in step 1, never while a list is being walked, so that they may call everything.
#include "runtime.h"

namespace zyntax {

// ---- the inbox ----

static bool has_inbox_work(const Inbox *inbox) {
    return inbox->woken.load(std::memory_order_seq_cst) || inbox->messages.load(std::memory_order_seq_cst);
}

bool has_work(const Runtime *runtime) {
    return runtime->has_queued() || runtime->canceled_first || runtime->calls || runtime->later ||
           has_inbox_work(runtime->inbox) || runtime->is_batch_full ||
           runtime->inbox->stop.load(std::memory_order_seq_cst) ||
           (!runtime->foreign.empty() && has_new_foreign_orphans(runtime));
}

namespace {

// Takes a whole stack and reverses it: first in, first out, and no ABA problem.
template <class T, class Link> T take_all(std::atomic<T> *stack, Link link_of) {
    T newest = stack->exchange({}, std::memory_order_seq_cst), oldest = {};
    while (newest) {
        T &link = link_of(newest);
        T next = link;
        link = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

uint32_t &next_woken(uint32_t index) { return task_pool.at(index)->next_in_inbox; }
Message *&next_message(Message *message) { return message->next; }

} // namespace

void take_woken(Runtime *runtime) {
    for (uint32_t index = take_all(&runtime->inbox->woken, next_woken); index;) {
        Task *task = task_pool.at(index);
        uint32_t woken = index;
        index = task->next_in_inbox; // before others may push it again
        task->elsewhere.fetch_and(~uint32_t{Task::in_inbox}, std::memory_order_acq_rel);
        runtime->counts.wakes_remote++;
        uint32_t generation = task->generation.load(std::memory_order_relaxed);
        if (!(generation & 1)) continue;
        uint32_t asked = task->cancel_generation.load(std::memory_order_relaxed), interrupt = generation + 1;
        if (asked == interrupt && task->cancel_generation.compare_exchange_strong(asked, generation - 1))
            interrupt_task(runtime, woken, task);
        else if (asked == generation) cancel_task(runtime, woken, task);
        else enqueue(runtime, woken, task);
    }
}

void take_inbox_work(Runtime *runtime) {
    Inbox *inbox = runtime->inbox;
    assert(driving == inbox && !runtime->current);
    if (inbox->woken.load(std::memory_order_relaxed)) {
        if (runtime->tracer) runtime->tracer->take_woken(runtime);
        else take_woken(runtime);
    }
    if (inbox->messages.load(std::memory_order_relaxed)) run_all(runtime, take_all(&inbox->messages, next_message));
}

// ---- one look at the world ----

namespace {

// A batch with this many events may have been full: the poller leaves out its own events, and may merge two events of
// the kernel.
constexpr uint32_t full_batch = batch / 2 - 1;

// The handle of an event may have ended since the kernel noted the event.
void dispatch(Runtime *runtime, const Event &event) {
    const Handle *handle = find_alive(handle_pool, event.word);
    bool is_ours = handle && handle->owner.load(std::memory_order_relaxed) == runtime->inbox->id;
    if (is_ours && handle->kind && handle->kind->ready) handle->kind->ready(runtime, handle->object, event.ready);
    else runtime->counts.events_stale++;
}

int32_t ask_kernel(Runtime *runtime, int64_t timeout_ns) {
    Event events[batch];
    os::KeepErrors keep;
    runtime->counts.kernel_waits++;
    int32_t n = runtime->tracer ? runtime->tracer->wait(runtime, events, timeout_ns)
                                : runtime->poller.wait(events, batch, timeout_ns);
    runtime->is_batch_full = n >= static_cast<int32_t>(full_batch);
    if (n < 0) return n;
    runtime->counts.kernel_events += static_cast<uint64_t>(n);
    for (int32_t i = 0; i < n; i++) dispatch(runtime, events[i]);
    return 0;
}

// Looks for work without sleeping, for about spin_us, and subtracts the time from the timeout. Returns true when there
// is work. It spins once after each round that polled something: a clock that stands still must not keep the loop
// awake.
bool spin(Runtime *runtime, int64_t *timeout_ns, int32_t *error) {
    if (runtime->spun_at == runtime->counts.polls) return false;
    uint64_t start = os::clock_ns();
    int64_t spent = 0, limit = int64_t{runtime->config.spin_us} * 1000;
    if (*timeout_ns >= 0 && *timeout_ns < limit) limit = *timeout_ns;
    do {
        for (int i = 0; i < 32 && !has_work(runtime); i++) os::relax();
        // The kernel is asked even if there is work: an edge-triggered host has no edge left for the events of this
        // turn.
        if ((*error = ask_kernel(runtime, 0)) != 0 || has_work(runtime)) return true;
        spent = static_cast<int64_t>(os::clock_ns() - start);
    } while (spent < limit);
    runtime->spun_at = runtime->counts.polls;
    if (*timeout_ns >= 0) *timeout_ns -= *timeout_ns < spent ? *timeout_ns : spent;
    return false;
}

// True when tasks are alive, nothing can ever wake one of them, and the wait would have no end.
bool is_stalled(const Runtime *runtime, int64_t timeout_ns) {
    return (runtime->config.flags & ZYNTAX_DETECT_STALL) && timeout_ns < 0 && runtime->tasks.used() &&
           !has_work(runtime) && runtime->timers.count() == 0 && runtime->io_waiting == 0 &&
           runtime->counts.blocking_pending == 0 && runtime->inbox->holds.load(std::memory_order_seq_cst) <= 0;
}

// Sleeps until something happens, at most timeout_ns. The loop sets `sleeping` before it looks at the inbox for the
// last time. A waker, or a release of a hold, looks at `sleeping` after it has written. All of this is sequentially
// consistent, so at least one side sees the other.
int32_t park(Runtime *runtime, int64_t timeout_ns) {
    int32_t error = 0;
    if (runtime->config.spin_us && spin(runtime, &timeout_ns, &error)) return error;
    Inbox *inbox = runtime->inbox;
    inbox->sleeping.store(1, std::memory_order_seq_cst);
    if (is_stalled(runtime, timeout_ns)) error = ZYNTAX_EDEADLK;
    else error = ask_kernel(runtime, has_work(runtime) ? 0 : timeout_ns);
    inbox->sleeping.store(0, std::memory_order_relaxed);
    return error;
}

} // namespace

void wait_for_inbox(Runtime *runtime) {
    Inbox *inbox = runtime->inbox;
    assert(driving == inbox);
    inbox->sleeping.store(1, std::memory_order_seq_cst);
    if (ask_kernel(runtime, has_inbox_work(inbox) ? 0 : -1) != 0) os::yield();
    inbox->sleeping.store(0, std::memory_order_relaxed);
}

// The shorter of timeout_ns and the time from now until the next timer.
int64_t until_next_timer(Runtime *runtime, int64_t timeout_ns) {
    uint64_t next = runtime->timers.next_ns();
    if (next == never_ns) return timeout_ns;
    uint64_t now = runtime->now_ns();
    uint64_t rest = next > now ? next - now : 0;
    uint64_t most = static_cast<uint64_t>(timeout_ns < 0 ? INT64_MAX : timeout_ns);
    return static_cast<int64_t>(rest < most ? rest : most);
}

static void take_what_came(Runtime *runtime) {
    take_inbox_work(runtime);
    if (!runtime->timers.count()) return;
    for (uint64_t now = runtime->now_ns(); Op *op = runtime->timers.pop(now);) {
        runtime->counts.timers_fired++;
        fire(runtime, op);
    }
}

// User code runs before the loop decides whether it may sleep, or after the sleep.
int32_t look_around(Runtime *runtime, int64_t timeout_ns) {
    assert(runtime->is_driving && !runtime->current);
    int32_t error = 0;
    take_what_came(runtime);
    cancel_orphans(runtime);
    if (timeout_ns == 0 || has_work(runtime)) {
        if (runtime->counts.io_open || runtime->host_waits) error = ask_kernel(runtime, 0);
    } else {
        error = park(runtime, until_next_timer(runtime, timeout_ns));
        take_what_came(runtime);
    }
    call_hosts(runtime);
    drop_canceled(runtime);
    return error;
}

// ---- driving ----

Driving::Driving(Runtime *runtime) : runtime_(runtime), outer_(driving) {
    assert(!runtime->is_driving && !runtime->current);
    runtime->is_driving = true;
    runtime->outer = outer_ ? outer_->runtime.load(std::memory_order_relaxed) : nullptr;
    runtime->inbox->driver.store(this_thread(), std::memory_order_relaxed);
    driving = runtime->inbox;
}

// A host that sleeps on the backend's descriptor hears of later work through that descriptor only. Orphans are canceled
// first, so that the items reserved for dead tasks go to live tasks.
Driving::~Driving() {
    if (runtime_->host_waits) cancel_orphans(runtime_);
    assert(driving == runtime_->inbox && runtime_->is_valid_by_and_by());
    driving = outer_;
    runtime_->is_driving = false;
    runtime_->inbox->driver.store(nullptr, std::memory_order_release);
    if (!runtime_->host_waits) return;
    runtime_->inbox->sleeping.store(1, std::memory_order_seq_cst);
    if (has_work(runtime_)) poke(runtime_->inbox);
}

bool take_stop(Runtime *runtime) {
    return runtime->inbox->stop.load(std::memory_order_relaxed) && runtime->inbox->stop.exchange(0);
}

namespace {

// True when the task has ended; without a task, when all tasks have ended.
bool is_over(const Runtime *runtime, uintptr_t task) {
    return task ? !find_alive(task_pool, task) : runtime->tasks.used() == 0;
}

int32_t drive_until_over(Runtime *runtime, uintptr_t task) {
    take_inbox_work(runtime);
    drop_canceled(runtime);
    for (;;) {
        if (take_stop(runtime)) return ZYNTAX_ECANCELED;
        if (is_over(runtime, task)) return 0;
        int32_t error = look_around(runtime, -1);
        if (error) return error;
        if (!is_over(runtime, task)) runtime->poll_round(runtime, runtime->config.poll_budget);
        drop_canceled(runtime);
    }
}

int32_t drive(Runtime *runtime, uintptr_t task) {
    if (runtime->is_driving) return ZYNTAX_EBUSY;
    Driving scope(runtime);
    runtime->inbox->sleeping.store(0, std::memory_order_relaxed);
    if (task) task_pool.at(handle_index(task))->flags |= Task::ends_round;
    int32_t error = drive_until_over(runtime, task);
    Task *alive = error && task ? find_alive(task_pool, task) : nullptr;
    if (alive) alive->flags &= static_cast<uint8_t>(~Task::ends_round);
    return error;
}

} // namespace

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_runtime_run(zyntax_runtime *runtime) noexcept {
    if (!runtime) return ZYNTAX_EINVAL;
    check_thread(runtime);
    return drive(runtime, 0);
}

int32_t zyntax_runtime_block_on(zyntax_runtime *runtime, zyntax_task *handle) noexcept {
    if (!runtime || !handle) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_driving) return ZYNTAX_EBUSY;
    Task *task = find_task(handle);
    if (!task) return 0;
    if (task->owner.load(std::memory_order_acquire) != runtime->inbox->id) return ZYNTAX_ESTALE;
    return drive(runtime, to_bits(handle));
}
