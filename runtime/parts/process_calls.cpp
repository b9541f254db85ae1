// The calls on child processes: spawn with pipes, watch, wait, signal, close.
#include "io.h"
#include "process.h"

#include <string.h>

using namespace zyntax;

namespace {

constexpr uint32_t known_flags = ZYNTAX_PROCESS_GROUP | ZYNTAX_PROCESS_DETACHED | ZYNTAX_PROCESS_KILL_WITH_RUNTIME;

// A pipe to one of the child's descriptors.
struct ChildPipe {
    Io *io = nullptr; // our end, registered; null: there is none
    zyntax_io *handle = nullptr;
    intptr_t childs = -1;
};

bool is_usable(const zyntax_process_options *options, zyntax_io *const *pipes) {
    if (!options || options->size < sizeof *options || !is_known(options, options->size, sizeof *options)) return false;
    if (!options->file || (options->args && !options->args[0]) || (options->flags & ~known_flags)) return false;
    for (intptr_t given : options->stdio) {
        if (given < ZYNTAX_STDIO_PIPE || (given == ZYNTAX_STDIO_PIPE && !pipes)) return false;
    }
    return true;
}

int32_t open_pipe_to_child(Runtime *runtime, bool child_reads, ChildPipe *pipe) {
    Io *io;
    int32_t error = reserve_io(runtime, &io);
    if (error) return error;
    intptr_t ours;
    os::Kind kind = os::Kind::pipe;
    error = os::open_child_pipe(child_reads, &ours, &pipe->childs);
    if (error) {
        unreserve_io(runtime, io);
        return error;
    }
    os::kind_of(ours, &kind);
    error = register_new_io(runtime, io, ours, kind, readable | writable, &pipe->handle);
    if (!error) pipe->io = io;
    return error;
}

// Opens the pipes that are asked for, and puts the child's ends into *plan.
int32_t open_pipes(Runtime *runtime, zyntax_process_options *plan, ChildPipe (&pipes)[3]) {
    for (int i = 0; i < 3; i++) {
        if (plan->stdio[i] != ZYNTAX_STDIO_PIPE) continue;
        int32_t error = open_pipe_to_child(runtime, i == 0, &pipes[i]);
        if (error) return error;
        plan->stdio[i] = pipes[i].childs;
    }
    return 0;
}

} // namespace

// The pipes are registered before the child begins, which cannot be undone.
int32_t zyntax_process_spawn(zyntax_runtime *runtime, const zyntax_process_options *options, zyntax_io *pipes[3],
                             zyntax_process **out) noexcept {
    if (!runtime || !out || !is_usable(options, pipes)) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_ending) return ZYNTAX_ECANCELED;
    os::KeepErrors keep;
    Process *process = make_process(runtime, options->flags, true);
    if (!process) return ZYNTAX_ENOMEM;
    zyntax_process_options plan = *options;
    ChildPipe made[3];
    int32_t error = open_pipes(runtime, &plan, made);
    if (!error) error = os::spawn(runtime->memory, plan, &process->child);
    for (ChildPipe &pipe : made) {
        if (pipe.childs >= 0) os::close(pipe.childs);
        if (error && pipe.io) close_io(runtime, pipe.io);
    }
    if (error) {
        unmake_process(runtime, process);
        return error;
    }
    for (int i = 0; pipes && i < 3; i++) pipes[i] = made[i].handle;
    *out = static_cast<zyntax_process *>(process->handle);
    begin_watch(runtime, process);
    return 0;
}

int32_t zyntax_process_watch(zyntax_runtime *runtime, int64_t pid, zyntax_process **out) noexcept {
    if (!runtime || !out || pid <= 0) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_ending) return ZYNTAX_ECANCELED;
    os::KeepErrors keep;
    Process *process = make_process(runtime, 0, false);
    if (!process) return ZYNTAX_ENOMEM;
    int32_t error = os::find_child(pid, &process->child);
    if (error) {
        unmake_process(runtime, process);
        return error;
    }
    *out = static_cast<zyntax_process *>(process->handle);
    begin_watch(runtime, process);
    return 0;
}

// A call asks the system before it waits.
PollStatus zyntax_process_wait(zyntax_process *handle, zyntax_op *op_id, Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    auto [runtime, process] = find_process(handle);
    if (!process) return dead_handle(op_id, result);
    os::KeepErrors keep;
    Ring *ring = &process->waiters;
    auto is_it = [ring](const Op *n) { return n->place == Op::io_waiting && n->ring == ring; };
    Op *op = *op_id ? my_op(runtime, op_id, is_it) : nullptr;
    if (op) return still_pending(runtime, op, waker);
    if (look(runtime, process)) return complete(op_id, result, process->outcome);
    op = arm(runtime, op_id, ZYNTAX_WAIT_READABLE, waker);
    if (!op) return not_armed(op_id, result);
    wait_in(ring, op, Op::io_waiting);
    runtime->io_waiting++;
    return POLL_PENDING;
}

int32_t zyntax_process_signal(zyntax_process *handle, int32_t number) noexcept {
    auto [runtime, process] = find_process(handle);
    if (!process) return ZYNTAX_ESTALE;
    if (number < 0) return ZYNTAX_EINVAL;
    os::KeepErrors keep;
    if (look(runtime, process)) return ZYNTAX_ESRCH;
    return os::signal_process(process->child, number, process->flags & ZYNTAX_PROCESS_GROUP);
}

int64_t zyntax_process_id(zyntax_process *handle) noexcept {
    const Process *process = find_process(handle).object;
    return process ? process->child.pid : int64_t{ZYNTAX_ESTALE};
}

int32_t zyntax_process_close(zyntax_process *handle) noexcept {
    auto [runtime, process] = find_process(handle);
    if (!process) return ZYNTAX_ESTALE;
    os::KeepErrors keep;
    close_process(runtime, process);
    return 0;
}
