// Debug builds only: the messages about a host's mistakes, and a recount of every equation that the structs of the
// heart and the kinds of handles state. It changes nothing.
#include "runtime.h"

#include <inttypes.h>
#include <stdio.h>

using namespace zyntax;

#ifndef NDEBUG
namespace {

constexpr uint64_t broken = UINT64_C(1) << 63; // more than there are operations

// The number of operations in a ring; `broken` when one of them does not belong there.
template <class Belongs> uint64_t count_ring(const Ring &ring, Links Op::*links, Belongs belongs) {
    uint64_t count = 0;
    for (const Op *op = first_of(ring); op; op = next_of(ring, op, links)) {
        const Op *next = op_pool.at((op->*links).next);
        if (!is_in_use(op) || (next->*links).prev != op_pool.index_of(op) || !belongs(op)) return broken;
        count++;
    }
    return count;
}

uint64_t count_held(const Ring &ring, Op::Holder holder) {
    return count_ring(ring, &Op::of_task, [&](const Op *n) { return n->holder == holder; });
}

} // namespace

uint64_t zyntax::count_waiting(const Ring &ring, Op::Place place) {
    return count_ring(ring, &Op::in_ring, [&](const Op *n) { return n->place == place && n->ring == &ring; });
}

bool zyntax_runtime::is_valid() const {
    uint64_t held = count_held(foreign, Op::foreign) + count_held(orphans, Op::orphaned);
    uint64_t queued = 0, waiting = 0;
    bool good = count_waiting(to_call, Op::to_call) == calls && timers.is_valid();
    tasks.each([&](uint32_t, const Task *task) {
        held += count_held(task->ops, Op::task);
        waiting += count_waiting(task->joiners, Op::waiting);
        queued += (task->flags & Task::queued) != 0;
    });
    for (uint32_t i = queue_begin; i != queue_end; i++) {
        const Task *task = task_pool.at(queue[i & queue_mask]);
        good = good && (task->flags & Task::queued);
        queued -= task->generation.load(std::memory_order_relaxed) & 1;
    }
    handles.each([&](uint32_t, const Handle *handle) { waiting += handle->kind->count_waiting(handle->object); });
    for (const Part *part = parts; part; part = part->next) {
        if (part->count_waiting) waiting += part->count_waiting(part);
    }
    uint64_t in_io = 0, to_be_called = 0, in_wheel = 0;
    ops.each([&](uint32_t, const Op *op) {
        held -= op->holder != Op::nobody;
        waiting -= op->place == Op::waiting || op->place == Op::io_waiting;
        in_io += op->place == Op::io_waiting;
        to_be_called += op->place == Op::to_call;
        in_wheel += op->place == Op::timer_wheel;
    });
    return good && held == 0 && queued == 0 && waiting == 0 && in_io == io_waiting && to_be_called == calls &&
           in_wheel == timers.count() && tasks.is_valid() && ops.is_valid() && handles.is_valid() &&
           (tasks.most() == 0 || tasks.most() <= queue_mask + 1);
}

bool zyntax_runtime::is_valid_by_and_by() {
    recount_credit += 256 + counts.polls - recounted_polls;
    recounted_polls = counts.polls;
    if (recount_credit < tasks.used() + ops.used() + handles.used()) return true;
    recount_credit = 0;
    return is_valid();
}

static const char trace_mark = 0;
const void *const zyntax::trace_is_written = &trace_mark;

void zyntax::panic_for_thread(const void *driver, const char *function) {
    const char *meanwhile = driver == trace_is_written ? "a trace was written" : "another thread drives the runtime";
    char text[200];
    snprintf(text, sizeof text, "zyntax: %s was called while %s, but is not marked [any]\n", function, meanwhile);
    os::panic(text);
}

void zyntax::panic_for_status(const Runtime *runtime, const Task *task, int32_t status) {
    char text[200];
    snprintf(text, sizeof text,
             "zyntax: task 0x%" PRIxPTR " has poll function 0x%" PRIxPTR ", which returned %" PRId32
             " instead of POLL_READY or POLL_PENDING\n",
             to_bits(runtime->waker.data), reinterpret_cast<uintptr_t>(task->poll), status);
    os::panic(text);
}
#endif
