// Child processes. The end of a process is an event of a descriptor (Linux: pidfd) or of the poller's own queue
// (EVFILT_PROC), or a message of another thread (Windows). Where there is none of these, a timer looks again and again:
// a thread that blocks in the system until the process ends could not be ended with the runtime. Only processes that
// were spawned here are reaped, each by itself: no call waits for another child of the host.
//
// A process has two handles. `handle` is the host's. Events name `watch`; it lasts until the end is known, also after
// the host has closed its handle.
#include "process.h"

namespace zyntax {

namespace {

constexpr uint64_t first_look_ns = 1'000'000, last_look_ns = 32'000'000;

void free_unused(Runtime *runtime, Process *process) {
    bool is_coming = process->is_told.load(std::memory_order_acquire) && !process->has_arrived;
    if (process->handle || process->watch || is_coming) return;
    assert(process->waiters.empty());
    runtime->arena.give(process, sizeof(Process));
}

void end_watch(Runtime *runtime, Process *process) {
    if (!process->watch) return;
    if (process->report == os::Report::by_descriptor)
        runtime->poller.remove(process->child.process, process->registration);
    give_handle(runtime, process->watch); // first: see forget_copy
    process->watch = nullptr;
    os::end_child(&process->child);
    free_op(runtime, process->timer);
    runtime->counts.io_open--;
}

void settle(Runtime *runtime, Process *process, int64_t outcome) {
    assert(process->outcome == ZYNTAX_EAGAIN && outcome != ZYNTAX_EAGAIN);
    process->outcome = outcome;
    end_watch(runtime, process);
    fire_all(runtime, &process->waiters);
    free_unused(runtime, process);
}

} // namespace

bool look(Runtime *runtime, Process *process) {
    if (process->outcome != ZYNTAX_EAGAIN) return true;
    int64_t outcome = os::look_at(process->child, process->is_ours);
    if (outcome == ZYNTAX_EAGAIN) return false;
    settle(runtime, process, outcome);
    return true;
}

namespace {

// An event may come a moment before the end can be seen (macOS).
void look_until_ended(Runtime *runtime, Process *process) {
    if (look(runtime, process) || process->timer->place == Op::timer_wheel) return;
    uint64_t now = runtime->now_ns(), wait_ns = process->look_ns;
    runtime->timers.insert(process->timer, now < never_ns - wait_ns ? now + wait_ns : never_ns);
    process->look_ns = wait_ns < last_look_ns ? 2 * wait_ns : wait_ns;
}

void look_timer_fired(Runtime *runtime, Op *op) {
    os::KeepErrors keep;
    look_until_ended(runtime, static_cast<Process *>(op->source));
}

void process_ready(Runtime *runtime, void *object, uint32_t) {
    look_until_ended(runtime, static_cast<Process *>(object));
}

void end_arrived(Runtime *runtime, Message *message) {
    auto *process = static_cast<Process *>(message);
    os::KeepErrors keep;
    process->has_arrived = true;
    if (process->watch) look_until_ended(runtime, process);
    else free_unused(runtime, process);
}

void tell_end(void *arg) {
    auto *process = static_cast<Process *>(arg);
    Inbox *inbox = process->inbox;
    process->is_told.store(true, std::memory_order_release);
    send(inbox, process);
}

} // namespace

// ---- the two handles ----

void close_process(Runtime *runtime, void *object) {
    auto *process = static_cast<Process *>(object);
    give_handle(runtime, process->handle);
    process->handle = nullptr;
    fire_all(runtime, &process->waiters);
    if (!process->is_ours) end_watch(runtime, process);
    free_unused(runtime, process);
}

namespace {

// As the runtime ends. A child that has ended already is reaped.
void destroy_watch(Runtime *runtime, void *object) {
    auto *process = static_cast<Process *>(object);
    bool kills = process->flags & ZYNTAX_PROCESS_KILL_WITH_RUNTIME, with_group = process->flags & ZYNTAX_PROCESS_GROUP;
    int64_t outcome =
        kills ? os::kill_and_reap(process->child, with_group) : os::look_at(process->child, process->is_ours);
    settle(runtime, process, outcome == ZYNTAX_EAGAIN ? int64_t{ZYNTAX_ECANCELED} : outcome);
}

// The child of the host's fork has no children of ours.
void forget_watch(void *object) { os::forget_child(static_cast<Process *>(object)->child); }

uint64_t count_process_waiters([[maybe_unused]] const void *object) {
#ifndef NDEBUG
    return count_waiting(static_cast<const Process *>(object)->waiters, Op::io_waiting);
#else
    return 0;
#endif
}
uint64_t count_none(const void *) { return 0; }

const HandleKind process_kind = {close_process, count_process_waiters};
const HandleKind watch_kind = {destroy_watch, count_none, process_ready, forget_watch};

} // namespace

Ref<Process> find_process(const zyntax_process *handle) { return find<Process>(handle, &process_kind); }

// ---- making ----

void unmake_process(Runtime *runtime, Process *process) {
    if (process->handle) runtime->counts.io_open--;
    if (process->timer) free_op(runtime, process->timer);
    if (process->watch) give_handle(runtime, process->watch);
    if (process->handle) give_handle(runtime, process->handle);
    runtime->arena.give(process, sizeof(Process));
}

Process *make_process(Runtime *runtime, uint32_t flags, bool is_ours) {
    const Waker nobody = {};
    void *memory = runtime->poller.reserve() ? runtime->arena.take(sizeof(Process)) : nullptr;
    if (!memory) return nullptr;
    auto *process = ::new (memory) Process();
    process->run = end_arrived;
    process->fired = look_timer_fired;
    process->inbox = runtime->inbox;
    process->outcome = ZYNTAX_EAGAIN;
    process->look_ns = first_look_ns;
    process->flags = flags;
    process->is_ours = is_ours;
    process->timer = arm(runtime, nullptr, ZYNTAX_WAIT_TIMER, &nobody);
    process->watch = process->timer ? take_handle(runtime, &watch_kind, process) : nullptr;
    process->handle = process->watch ? take_handle(runtime, &process_kind, process) : nullptr;
    if (process->handle) {
        process->timer->source = process;
        runtime->counts.io_open++; // so that a busy loop looks for events
        return process;
    }
    unmake_process(runtime, process);
    return nullptr;
}

void begin_watch(Runtime *runtime, Process *process) {
    os::Child *child = &process->child;
    child->tell = tell_end;
    child->arg = process;
    uintptr_t word = to_bits(process->watch);
    process->report = os::await_end(child, runtime->poller.host_fd(), word, process->is_ours);
    if (process->report == os::Report::by_descriptor) {
        if (runtime->poller.add(child->process, word, &process->registration) != 0) process->report = os::Report::never;
        else runtime->poller.want(child->process, process->registration, readable);
    }
    if (process->report == os::Report::never) look_until_ended(runtime, process);
}

} // namespace zyntax
