// Tasks, wakers, and the loop. The owner's path (spawn, poll, wake from a poll, finish) takes no lock, allocates
// nothing and does no atomic read-modify-write; other threads reach it through the inbox.
//
// User code runs from poll_ready (poll), finish (drop), take_inbox_work (posted functions) and call_hosts (wakers of
// hosts); never while a list is being walked, so it may call everything. A round takes what was there when it began.
#include "runtime.h"

#include <string.h>

namespace zyntax {

// ---- wakers ----

void poke(Inbox *inbox) {
    if (inbox->sleeping.load(std::memory_order_seq_cst) == 0) return;
    if (inbox->sleeping.exchange(0, std::memory_order_seq_cst) == 0) return; // somebody else does it
    os::KeepErrors keep;
    inbox->runtime.load(std::memory_order_relaxed)->poller.wake();
}

namespace {

// Puts a task of another thread's runtime, or of one that nobody drives, into its inbox.
//
// Why this is safe although nothing keeps the runtime alive: we are visitors before the generation is looked at.
// A runtime that ends first makes every generation stale and then waits until it has seen no visitor. So either we see
// a stale generation and leave, or the runtime waits for us. The inbox itself, wherever it belongs by now, is memory
// for ever.
//
// Why no wake is lost: whoever turns in_inbox to 1 pushes the slot. The owner turns it to 0 before it queues the task,
// with an exchange, so that it sees what every waker wrote that found the 1.
bool push_remote(Slot *slot, uint32_t index, uint32_t generation, bool cancel) {
    // On its way already: one read-modify-write that changes nothing hands our writes to whoever takes it out.
    uint32_t one = 1;
    if (!cancel && slot->in_inbox.load(std::memory_order_relaxed) &&
        slot->in_inbox.compare_exchange_strong(one, 1, std::memory_order_acq_rel)) {
        return true;
    }
    uint32_t owner = slot->owner.load(std::memory_order_acquire);
    if (!owner) return false;
    Inbox *inbox = inboxes.at(owner);
    Visit visit(inbox);
    uint32_t current = slot->generation.load(std::memory_order_acquire);
    bool alive =
        names(generation, handle_generation_mask, current) && slot->owner.load(std::memory_order_relaxed) == owner;
    if (alive && cancel) {
        uint32_t newest = slot->cancel_generation.load(std::memory_order_relaxed);
        while (newest < current && !slot->cancel_generation.compare_exchange_weak(newest, current)) {
        }
    }
    if (alive && slot->in_inbox.exchange(1, std::memory_order_acq_rel) == 0) {
        uint32_t head = inbox->woken.load(std::memory_order_relaxed);
        do {
            slot->next_in_inbox = head;
        } while (!inbox->woken.compare_exchange_weak(head, index, std::memory_order_seq_cst));
        poke(inbox);
    }
    return alive;
}

bool has_inbox_work(const Inbox *inbox) {
    return inbox->woken.load(std::memory_order_seq_cst) || inbox->messages.load(std::memory_order_seq_cst);
}

} // namespace

bool has_work(const Runtime *runtime) {
    return runtime->has_ready() || runtime->canceled_first || runtime->calls || has_inbox_work(runtime->inbox) ||
           runtime->inbox->stop.load(std::memory_order_seq_cst);
}

void wake(void *data) {
    uintptr_t handle = to_bits(data);
    uint32_t index = handle_index(handle);
    Slot *slot = find_task(data);
    if (!slot) return;
    Inbox *inbox = driving;
    if (inbox && slot->owner.load(std::memory_order_relaxed) == inbox->id) {
        Runtime *runtime = inbox->runtime.load(std::memory_order_relaxed);
        runtime->wakes++;
        enqueue(runtime, index, slot);
    } else {
        push_remote(slot, index, handle_generation(handle), false);
    }
}

void enqueue(Runtime *runtime, uint32_t index, Slot *slot) {
    if (slot->flags & (Slot::queued | Slot::canceled)) return;
    slot->flags |= Slot::queued;
    runtime->ready[runtime->ready_end++ & runtime->ready_mask] = index;
}

// ---- the ends of a task ----

namespace {

void release_slot(Runtime *runtime, uint32_t index, Slot *slot) {
    if (slot->generation.load(std::memory_order_relaxed) == last_generation) return;
    slot->link = runtime->free_slot;
    runtime->free_slot = index;
}

} // namespace

// The handle is stale and the slot free before drop runs, so that drop may do everything. A slot that is still in the
// ready queue becomes free when the queue comes to it.
void finish(Runtime *runtime, uint32_t index, Slot *slot, int32_t outcome) {
    void *state = slot->state;
    DropFn drop = slot->drop;
    size_t owned = slot->owned;
    slot->generation.store(slot->generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    if (slot->joiners.first | slot->ops.first) {
        fire_all(runtime, &slot->joiners);
        forget_ops(runtime, slot);
    }
    slot->flags &= Slot::queued;
    if (!slot->flags) release_slot(runtime, index, slot);
    runtime->tasks_ended++;
    if (slot == runtime->awaited) runtime->polls_left = 0;
    if (drop) drop(state, outcome);
    if (owned) runtime->arena.give(state, owned * Arena::unit);
}

void cancel_task(Runtime *runtime, uint32_t index, Slot *slot) {
    if (slot->flags & Slot::canceled) return;
    slot->flags |= Slot::canceled;
    if (slot == runtime->current) return; // its poll decides
    slot->next_canceled = 0;
    if (runtime->canceled_first) slots.at(runtime->canceled_last)->next_canceled = index;
    else runtime->canceled_first = index;
    runtime->canceled_last = index;
}

// Whom a drop cancels is dropped in the next round.
void drop_canceled(Runtime *runtime) {
    uint32_t last = runtime->canceled_last;
    for (uint32_t index = runtime->canceled_first; index;) {
        Slot *slot = slots.at(index);
        runtime->canceled_first = slot->next_canceled;
        finish(runtime, index, slot, ZYNTAX_ECANCELED);
        index = index == last ? 0 : runtime->canceled_first;
    }
}

// ---- polling ----

namespace {

inline void poll_task(Runtime *runtime, uint32_t index, Slot *slot) {
    uint32_t generation = slot->generation.load(std::memory_order_relaxed);
    slot->flags &= static_cast<uint8_t>(~Slot::queued); // a wake from here on queues it again
    if (!(generation & 1)) return release_slot(runtime, index, slot);
    if (slot->flags & Slot::canceled) return;                                          // drop_canceled has it
    if (slot->cancel_generation.load(std::memory_order_acquire) == generation) return; // the inbox has it
    slot->waits = ZYNTAX_WAIT_UNKNOWN;
    if (++slot->polls_low == 0) slot->polls_high++;
    runtime->polls++;
    runtime->waker.data = to_pointer(handle_bits(index, generation));
    runtime->current = slot;
    PollStatus status = slot->poll(slot->state, &runtime->waker);
    runtime->current = nullptr;
    if (status == POLL_READY) finish(runtime, index, slot, 0);
    else if (slot->flags & Slot::canceled) finish(runtime, index, slot, ZYNTAX_ECANCELED);
    else if (slot->flags & Slot::has_turn) end_turns(runtime, slot);
}

} // namespace

void poll_ready(Runtime *runtime) {
    constexpr uint32_t ahead = 8; // a slot's cache line is asked for this many polls before it is needed
    runtime->polls_left = runtime->poll_budget;
    while (runtime->has_ready() && runtime->polls_left-- > 0) {
        uint32_t begin = runtime->ready_begin++;
        uint32_t index = runtime->ready[begin & runtime->ready_mask];
        os::prefetch(slots.at(runtime->ready[(begin + ahead) & runtime->ready_mask]));
        poll_task(runtime, index, slots.at(index));
    }
}

// ---- the inbox ----

namespace {

// Stacks are taken whole and turned round: first in, first out, and no ABA.
uint32_t take_woken(Inbox *inbox) {
    uint32_t newest = inbox->woken.exchange(0, std::memory_order_seq_cst);
    uint32_t oldest = 0;
    while (newest) {
        Slot *slot = slots.at(newest);
        uint32_t next = slot->next_in_inbox;
        slot->next_in_inbox = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

Message *take_messages(Inbox *inbox) {
    Message *newest = inbox->messages.exchange(nullptr, std::memory_order_seq_cst);
    Message *oldest = nullptr;
    while (newest) {
        Message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

} // namespace

void take_inbox_work(Runtime *runtime) {
    Inbox *inbox = runtime->inbox;
    for (uint32_t index = inbox->woken.load(std::memory_order_relaxed) ? take_woken(inbox) : 0; index;) {
        Slot *slot = slots.at(index);
        uint32_t woken = index;
        index = slot->next_in_inbox; // before others may push it again
        slot->in_inbox.exchange(0, std::memory_order_acq_rel);
        runtime->wakes_remote++;
        uint32_t generation = slot->generation.load(std::memory_order_relaxed);
        if (!(generation & 1)) continue;
        if (slot->cancel_generation.load(std::memory_order_relaxed) == generation) cancel_task(runtime, woken, slot);
        else enqueue(runtime, woken, slot);
    }
    if (!inbox->messages.load(std::memory_order_relaxed)) return;
    for (Message *message = take_messages(inbox); message;) {
        Message *next = message->next;
        message->run(runtime, message);
        message = next;
    }
}

void send(Inbox *inbox, Message *message) {
    Message *head = inbox->messages.load(std::memory_order_relaxed);
    do {
        message->next = head;
    } while (!inbox->messages.compare_exchange_weak(head, message, std::memory_order_seq_cst));
    poke(inbox);
}

// ---- one look at the world ----

namespace {

int32_t ask_kernel(Runtime *runtime, int64_t timeout_ns) {
    Event events[batch];
    os::KeepErrors keep;
    runtime->kernel_waits++;
    int32_t n = runtime->poller.wait(events, batch, timeout_ns);
    if (n < 0) return n;
    runtime->kernel_events += static_cast<uint64_t>(n);
    for (int32_t i = 0; i < n; i++) dispatch(runtime, events[i]);
    return 0;
}

// Looks for work without sleeping, for the configured time, which it takes off the timeout. True when there is some. It
// does so once for each time that there was something to do: a clock that stands still must not keep it awake.
bool spin(Runtime *runtime, int64_t *timeout_ns, int32_t *error) {
    if (runtime->spun_at == runtime->polls) return false;
    uint64_t start = os::clock_ns();
    uint64_t limit = uint64_t{runtime->spin_us} * 1000;
    if (*timeout_ns >= 0 && static_cast<uint64_t>(*timeout_ns) < limit) limit = static_cast<uint64_t>(*timeout_ns);
    do {
        for (int i = 0; i < 32; i++) {
            if (has_work(runtime)) return true;
            os::relax();
        }
        if ((*error = ask_kernel(runtime, 0)) != 0 || has_work(runtime)) return true;
    } while (os::clock_ns() - start < limit);
    runtime->spun_at = runtime->polls;
    if (*timeout_ns >= 0) *timeout_ns -= static_cast<int64_t>(limit);
    return false;
}

// Sleeps until something happens, at most timeout_ns. `sleeping` is raised before the last look at the inbox, and a
// waker looks at it after its push, all of it sequentially consistent: one of the two sees the other.
int32_t park(Runtime *runtime, int64_t timeout_ns) {
    int32_t error = 0;
    if (runtime->spin_us && spin(runtime, &timeout_ns, &error)) return error;
    Inbox *inbox = runtime->inbox;
    inbox->sleeping.store(1, std::memory_order_seq_cst);
    error = ask_kernel(runtime, has_work(runtime) ? 0 : timeout_ns);
    inbox->sleeping.store(0, std::memory_order_relaxed);
    return error;
}

} // namespace

void wait_for_inbox(Runtime *runtime) {
    Inbox *inbox = runtime->inbox;
    inbox->sleeping.store(1, std::memory_order_seq_cst);
    if (ask_kernel(runtime, has_inbox_work(inbox) ? 0 : -1) != 0) os::yield();
    inbox->sleeping.store(0, std::memory_order_relaxed);
}

namespace {

// The shorter of the two, with the time until the next timer counted from now.
int64_t until_next_timer(Runtime *runtime, int64_t timeout_ns) {
    uint64_t next = runtime->timers.next_ns();
    if (next == never_ns) return timeout_ns;
    uint64_t now = runtime->now_ns();
    uint64_t rest = next > now ? next - now : 0;
    if (rest > INT64_MAX) rest = INT64_MAX;
    auto rest_ns = static_cast<int64_t>(rest);
    return timeout_ns < 0 || rest_ns < timeout_ns ? rest_ns : timeout_ns;
}

// Live tasks, and nothing that could ever wake one.
bool is_stalled(const Runtime *runtime) {
    return runtime->tasks_alive() && !has_work(runtime) && runtime->timers.count() == 0 && runtime->io_waiting == 0 &&
           runtime->blocking_pending == 0 && runtime->inbox->holds.load(std::memory_order_seq_cst) <= 0;
}

void take_what_came(Runtime *runtime) {
    take_inbox_work(runtime);
    if (runtime->timers.count()) runtime->timers.expire(runtime, runtime->now_ns());
}

} // namespace

// User code runs before the question whether there is anything to wait for, or after the sleep.
int32_t look(Runtime *runtime, int64_t timeout_ns) {
    int32_t error = 0;
    take_what_came(runtime);
    give_up_forgotten(runtime);
    if (timeout_ns == 0 || has_work(runtime)) {
        if (runtime->io_open || runtime->host_waits) error = ask_kernel(runtime, 0);
    } else {
        if (runtime->detect_stall && timeout_ns < 0 && is_stalled(runtime)) return ZYNTAX_EDEADLK;
        error = park(runtime, until_next_timer(runtime, timeout_ns));
        take_what_came(runtime);
    }
    call_hosts(runtime);
    drop_canceled(runtime);
    return error;
}

// ---- driving ----

Driving::Driving(Runtime *runtime) : runtime_(runtime), outer_(driving) {
    runtime->is_driving = true;
    runtime->outer = outer_ ? outer_->runtime.load(std::memory_order_relaxed) : nullptr;
    runtime->inbox->driver.store(this_thread(), std::memory_order_relaxed);
    driving = runtime->inbox;
}

// When a host sleeps on the backend's descriptor, what happens from here on has to reach it through that.
Driving::~Driving() {
    driving = outer_;
    runtime_->is_driving = false;
    runtime_->inbox->driver.store(nullptr, std::memory_order_release);
    if (!runtime_->host_waits) return;
    runtime_->inbox->sleeping.store(1, std::memory_order_seq_cst);
    if (has_work(runtime_)) poke(runtime_->inbox);
}

namespace {

// Over is, with a task, when that has ended, else when all have.
bool is_over(const Runtime *runtime, uintptr_t task) {
    return task ? !find_alive(slots, task) : runtime->tasks_alive() == 0;
}

bool take_stop(Runtime *runtime) {
    return runtime->inbox->stop.load(std::memory_order_relaxed) && runtime->inbox->stop.exchange(0);
}

int32_t drive(Runtime *runtime, uintptr_t task) {
    if (runtime->is_driving) return ZYNTAX_EBUSY;
    Driving scope(runtime);
    runtime->inbox->sleeping.store(0, std::memory_order_relaxed);
    runtime->awaited = task ? slots.at(handle_index(task)) : nullptr;
    take_inbox_work(runtime);
    drop_canceled(runtime);
    for (;;) {
        if (take_stop(runtime)) return ZYNTAX_ECANCELED;
        if (is_over(runtime, task)) return 0;
        int32_t error = look(runtime, -1);
        if (error) return error;
        if (!is_over(runtime, task)) poll_ready(runtime);
        drop_canceled(runtime);
    }
}

} // namespace

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_runtime_run(zyntax_runtime *runtime) noexcept {
    if (!runtime) return ZYNTAX_EINVAL;
    check_thread(runtime);
    return drive(runtime, 0);
}

int32_t zyntax_runtime_block_on(zyntax_runtime *runtime, zyntax_task *task) noexcept {
    if (!runtime || !task) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_driving) return ZYNTAX_EBUSY;
    Slot *slot = find_task(task);
    if (!slot) return 0;
    if (slot->owner.load(std::memory_order_acquire) != runtime->inbox->id) return ZYNTAX_ESTALE;
    return drive(runtime, to_bits(task));
}

int32_t zyntax_runtime_turn(zyntax_runtime *runtime, int64_t timeout_ns) noexcept {
    if (!runtime) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_driving) return ZYNTAX_EBUSY;
    Driving scope(runtime);
    runtime->inbox->sleeping.store(0, std::memory_order_relaxed);
    if (take_stop(runtime)) return ZYNTAX_ECANCELED;
    runtime->awaited = nullptr;
    int32_t error = look(runtime, timeout_ns);
    if (error) return error;
    poll_ready(runtime);
    drop_canceled(runtime);
    if (take_stop(runtime)) return ZYNTAX_ECANCELED;
    uint64_t alive = runtime->tasks_alive();
    return alive > INT32_MAX ? INT32_MAX : static_cast<int32_t>(alive);
}

int64_t zyntax_runtime_next_timeout_ns(zyntax_runtime *runtime) noexcept {
    if (!runtime) return -1;
    check_thread(runtime);
    return has_work(runtime) ? 0 : until_next_timer(runtime, -1);
}

intptr_t zyntax_runtime_backend_fd(zyntax_runtime *runtime) noexcept {
    if (!runtime) return -1;
    check_thread(runtime);
    if (!runtime->host_waits && !runtime->is_driving) {
        runtime->inbox->sleeping.store(1, std::memory_order_seq_cst);
        if (has_work(runtime)) poke(runtime->inbox);
    }
    runtime->host_waits = true;
    return runtime->poller.host_fd();
}

void zyntax_runtime_stop(zyntax_runtime *runtime) noexcept {
    if (!runtime) return;
    Inbox *inbox = runtime->inbox; // the runtime may be gone as soon as the stop is seen, but for visitors
    Visit visit(inbox);
    inbox->stop.store(1, std::memory_order_seq_cst);
    poke(inbox);
}

zyntax_runtime *zyntax_current_runtime(void) noexcept {
    Runtime *runtime = driving ? driving->runtime.load(std::memory_order_relaxed) : nullptr;
    while (runtime && !runtime->current) runtime = runtime->outer; // a callback of one that a poll drives
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
    Slot *slot = slots.find(handle_index(handle));
    if (slot) push_remote(slot, handle_index(handle), handle_generation(handle), false);
}

int32_t zyntax_task_alive(zyntax_task *task) noexcept { return find_task(task) != nullptr; }

int32_t zyntax_task_cancel(zyntax_task *task) noexcept {
    uint32_t index = handle_index(to_bits(task));
    Slot *slot = find_task(task);
    if (!slot) return ZYNTAX_ESTALE;
    if (driving && slot->owner.load(std::memory_order_relaxed) == driving->id) {
        cancel_task(driving->runtime.load(std::memory_order_relaxed), index, slot);
        return 0;
    }
    return push_remote(slot, index, handle_generation(to_bits(task)), true) ? 0 : ZYNTAX_ESTALE;
}

// ---- spawn ----

namespace zyntax {

namespace {

// Room in the ready queue for one more block of slots.
bool reserve_queue(Runtime *runtime) {
    uint32_t capacity = runtime->ready ? runtime->ready_mask + 1 : 0;
    uint32_t needed = (runtime->block_count + 1) * Slots::block;
    if (needed <= capacity) return true;
    uint32_t doubled = capacity ? capacity * 2 : Slots::block;
    auto *ready = static_cast<uint32_t *>(runtime->memory.take(doubled * sizeof(uint32_t)));
    if (!ready) return false;
    memset(ready, 0, doubled * sizeof(uint32_t)); // poll_ready looks ahead of what is queued
    uint32_t count = 0;
    for (uint32_t i = runtime->ready_begin; i != runtime->ready_end; i++) {
        ready[count++] = runtime->ready[i & runtime->ready_mask];
    }
    runtime->memory.give(runtime->ready, capacity * sizeof(uint32_t));
    runtime->ready = ready;
    runtime->ready_mask = doubled - 1;
    runtime->ready_begin = 0;
    runtime->ready_end = count;
    return true;
}

bool add_block(Runtime *runtime) {
    if (!reserve_queue(runtime)) return false;
    uint32_t block = slots.take_block();
    if (!block) return false;
    slots.at(block)->link = runtime->blocks;
    runtime->blocks = block;
    runtime->block_count++;
    runtime->fresh_slot = block + 1;
    runtime->fresh_end = block + Slots::block;
    return true;
}

// Puts a slot that this runtime has not used yet on the free list. False without memory.
bool add_free_slot(Runtime *runtime) {
    for (;;) {
        if (runtime->fresh_slot == runtime->fresh_end && !add_block(runtime)) return false;
        uint32_t index = runtime->fresh_slot++;
        Slot *slot = slots.at(index);
        if (slot->generation.load(std::memory_order_relaxed) == last_generation) continue;
        slot->owner.store(runtime->inbox->id, std::memory_order_release);
        release_slot(runtime, index, slot);
        return true;
    }
}

// The rare ways of spawn, out of line and as tail calls, so that the common one saves no registers.
[[gnu::noinline]] zyntax_task *spawn_with_fresh_slot(Runtime *runtime, FutureState state, PollFn poll, DropFn drop,
                                                     size_t owned) {
    return add_free_slot(runtime) ? zyntax_runtime_spawn_with(runtime, state, poll, drop, owned) : nullptr;
}

[[gnu::noinline]] zyntax_task *poke_host(Runtime *runtime, zyntax_task *task) {
    poke(runtime->inbox);
    return task;
}

[[gnu::noinline]] zyntax_task *refuse(Runtime *runtime, FutureState state, DropFn drop, size_t owned) {
    if (drop) drop(state, ZYNTAX_ECANCELED);
    if (owned) runtime->arena.give(state, owned);
    return nullptr;
}

} // namespace

} // namespace zyntax

zyntax_task *zyntax_runtime_spawn_with(zyntax_runtime *runtime, FutureState state, PollFn poll, DropFn drop,
                                       size_t owned) noexcept {
    if (!runtime || !poll || (owned && (!state || owned > Arena::max_size))) return nullptr;
    check_thread(runtime);
    if (runtime->is_ending) return refuse(runtime, state, drop, owned);
    uint32_t index = runtime->free_slot;
    if (!index) return spawn_with_fresh_slot(runtime, state, poll, drop, owned);
    Slot *slot = slots.at(index);
    runtime->free_slot = slot->link;
    uint32_t generation = slot->generation.load(std::memory_order_relaxed) + 1;
    slot->state = state;
    slot->poll = poll;
    slot->drop = drop;
    slot->joiners = {};
    slot->owned = static_cast<uint32_t>((owned + Arena::unit - 1) / Arena::unit);
    slot->polls_low = 0;
    slot->polls_high = 0;
    slot->flags = Slot::queued;
    slot->waits = ZYNTAX_WAIT_UNKNOWN;
    slot->generation.store(generation, std::memory_order_release);
    runtime->ready[runtime->ready_end++ & runtime->ready_mask] = index;
    runtime->tasks_spawned++;
    auto *task = static_cast<zyntax_task *>(to_pointer(handle_bits(index, generation)));
    return runtime->host_waits && !runtime->is_driving ? poke_host(runtime, task) : task;
}

zyntax_task *zyntax_runtime_spawn(zyntax_runtime *runtime, FutureState state, PollFn poll) noexcept {
    return zyntax_runtime_spawn_with(runtime, state, poll, nullptr, 0);
}
