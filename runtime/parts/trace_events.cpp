// The functions that replace functions of the heart while there is a trace. Each draws the events since the last such
// function, calls the function that it replaces, and draws that call.
#include "trace.h"

#include <string.h>

namespace zyntax {

namespace {

Trace *trace_of(const Runtime *runtime) { return static_cast<Trace *>(runtime->tracer); }

// Carries out the request of a poll: the trace ends, or continues with another sink.
void change_trace(Trace *trace) {
    if (!trace->has_next) return;
    trace->has_next = false;
    TraceSink next = trace->next;
    write_end(trace);
    if (next.write) begin_trace(trace, next);
    else end_trace(trace);
}

// Draws events outside traced functions, or the rest of the poll that started the trace.
void draw_outside(Trace *trace) {
    if (!trace->starter && trace->drawn == trace->queued()) return;
    Slice slice = {kernel_track, trace->since_ns, trace->runtime->now_ns()};
    if (uintptr_t handle = trace->starter) {
        slice.track = handle_index(handle);
        trace->starter = 0;
        Traced traced(trace->runtime, slice.track, handle);
        draw_poll(trace, slice, traced, trace->starter_polls);
        if (!traced.is_alive()) draw_instant(trace, traced, slice.end_ns, "end");
    } else {
        draw_slice(trace, slice, "loop", "outside polls", "woken", trace->queued() - trace->drawn);
    }
    draw_entries(trace, slice);
}

// Begins each function. Null: the trace has ended.
Trace *enter(Runtime *runtime) {
    Trace *trace = trace_of(runtime);
    draw_outside(trace);
    change_trace(trace);
    return trace_of(runtime);
}

// False: the end of this task ends the round.
bool trace_poll(Runtime *runtime, Trace *trace) {
    uint32_t index = runtime->queue[runtime->queue_begin & runtime->queue_mask];
    const Task *task = task_pool.at(index);
    Traced traced(runtime, index);
    uint64_t polls = runtime->counts.polls, of_task = (uint64_t{task->polls_high} << 32 | task->polls_low) + 1;
    Slice slice = {index, runtime->now_ns(), 0};
    uint64_t entry = trace->front++;
    trace->drawn--;
    bool ends_round = task->flags & Task::ends_round;
    poll_tasks(runtime, 1);
    if (runtime->counts.polls == polls) return true; // it has ended or was canceled while it was in the queue
    slice.end_ns = runtime->now_ns();
    bool is_alive = traced.is_alive();
    if (is_alive) traced.read_name(runtime);
    draw_poll(trace, slice, traced, of_task);
    if (entry >= trace->first_arrow) {
        make_room(trace);
        TraceLine(trace, 'f', index, slice.begin_ns, "wake").put(",\"bp\":\"e\",\"name\":\"wake\",\"id\":").hex(entry);
    }
    if (!is_alive) draw_instant(trace, traced, slice.end_ns, "end");
    draw_entries(trace, slice);
    draw_counters(trace, slice.end_ns);
    change_trace(trace);
    return is_alive || !ends_round;
}

// As poll_tasks, which polls the rest of the round if the trace ends.
void trace_polls(Runtime *runtime, uint32_t most) {
    Trace *trace = enter(runtime);
    while (runtime->tracer && most > 0 && runtime->has_queued()) {
        if (!trace_poll(runtime, trace)) return;
        uint32_t weight = runtime->awaits_left > 0 ? 1 : 1 + Runtime::long_poll;
        most -= most < weight ? most : weight;
    }
    if (!runtime->tracer) return poll_tasks(runtime, most);
    if (runtime->host_waits && !has_work(runtime)) write_trace(trace); // the host may sleep
}

int32_t trace_wait(Runtime *runtime, Event *events, int64_t timeout_ns) {
    Trace *trace = enter(runtime);
    if (trace && timeout_ns != 0) {
        uint64_t before = os::clock_ns();
        write_trace(trace);
        auto spent = static_cast<int64_t>(os::clock_ns() - before);
        if (timeout_ns > 0) timeout_ns = timeout_ns > spent ? timeout_ns - spent : 0;
        trace = trace_of(runtime);
    }
    if (!trace) return runtime->poller.wait(events, batch, timeout_ns);
    Slice slice = {kernel_track, runtime->now_ns(), 0};
    int32_t n = runtime->poller.wait(events, batch, timeout_ns);
    slice.end_ns = trace->since_ns = runtime->now_ns();
    if (timeout_ns == 0 && n == 0) return n; // a busy loop looks often
    draw_slice(trace, slice, "kernel", timeout_ns ? "wait" : "look", "events", n > 0 ? static_cast<uint64_t>(n) : 0);
    draw_counters(trace, slice.end_ns);
    return n;
}

void trace_take_woken(Runtime *runtime) {
    Trace *trace = enter(runtime);
    Slice slice = {threads_track, runtime->now_ns(), 0};
    take_woken(runtime);
    if (!trace || trace->drawn == trace->queued()) return;
    slice.end_ns = runtime->now_ns();
    draw_slice(trace, slice, "wake", "wakes of other threads", "woken", trace->queued() - trace->drawn);
    draw_entries(trace, slice);
}

void trace_drop(Runtime *runtime, uint32_t index, Task *task) {
    enter(runtime);
    Traced traced(runtime, index);
    Slice slice = {index, runtime->now_ns(), 0};
    finish(runtime, index, task, ZYNTAX_ECANCELED);
    Trace *trace = trace_of(runtime);
    if (!trace) return;
    slice.end_ns = runtime->now_ns();
    name_track_of(trace, traced);
    draw_slice(trace, slice, "drop", "drop", "woken", trace->queued() - trace->drawn);
    draw_instant(trace, traced, slice.end_ns, "end");
    draw_entries(trace, slice);
}

void trace_call(Runtime *runtime, void (*fn)(void *), void *arg) {
    enter(runtime);
    Slice slice = {calls_track, runtime->now_ns(), 0};
    fn(arg);
    Trace *trace = trace_of(runtime);
    if (!trace) return;
    slice.end_ns = runtime->now_ns();
    draw_slice(trace, slice, "call", "posted call", "woken", trace->queued() - trace->drawn);
    draw_entries(trace, slice);
}

// May be called inside polls.
void trace_job(Runtime *runtime, const Message *job, const char *name, bool begins) {
    TraceLine(trace_of(runtime), begins ? 'b' : 'e', pool_track, runtime->now_ns(), "pool")
        .put(",\"name\":\"")
        .put(name)
        .put("\",\"id\":")
        .hex(to_bits(job));
}

} // namespace

int32_t begin_trace(Trace *trace, TraceSink sink) {
    Runtime *runtime = trace->runtime;
    if (!trace->buffer) {
        void *memory = runtime->memory.take(sizeof(TraceBuffer));
        if (!memory) return ZYNTAX_ENOMEM;
        trace->block.replace(runtime->memory, memory, sizeof(TraceBuffer));
        trace->buffer = static_cast<TraceBuffer *>(memory);
    }
    memset(trace->buffer->named, 0, sizeof trace->buffer->named);
    *static_cast<Tracer *>(trace) = {trace_wait, trace_take_woken, trace_drop, trace_call, trace_job};
    runtime->tracer = trace;
    runtime->poll_round = trace_polls;
    trace->sink = sink;
    trace->buffer->text[0] = '[';
    trace->used = 1;
    trace->is_first = true;
    trace->lost = 0;
    trace->since_ns = runtime->now_ns();
    trace->counted_ns = 0;
    trace->drawn = trace->queued();
    trace->first_arrow = trace->front + trace->drawn;
    TraceLine(trace, 'M', kernel_track, trace->since_ns)
        .put(",\"name\":\"process_name\",\"args\":{\"name\":\"zyntax\"}");
    name_track(trace, kernel_track, "kernel");
    name_track(trace, calls_track, "posted calls");
    name_track(trace, pool_track, "pool");
    name_track(trace, threads_track, "other threads");
    return 0;
}

void close_trace(Trace *trace) {
    draw_outside(trace);
    change_trace(trace);
    write_end(trace);
}

} // namespace zyntax
