// How the events of a trace are drawn. See trace_events.cpp.
//
// A task enters the ready queue when it is spawned or woken, and entries leave it in the order in which they came. So
// an entry's number identifies the arrow that leads to its poll, and the trace needs no memory for each task.
#include "trace.h"

namespace zyntax {

namespace {

constexpr uint64_t between_counters_ns = 500'000;

const char *const wait_names[] = {"unknown",  "running", "queued",   "timer",   "readable",
                                  "writable", "join",    "blocking", "channel", "signal"};
static_assert(sizeof wait_names / sizeof *wait_names == ZYNTAX_WAIT_SIGNAL + 1);

uint64_t key_of(const Traced &traced) { // name and handle, by FNV-1a
    uint64_t hash = 14'695'981'039'346'656'037u;
    for (const char *at = traced.name; *at; at++) hash = (hash ^ static_cast<unsigned char>(*at)) * 1'099'511'628'211u;
    return hash ^ traced.handle;
}

} // namespace

void name_track_of(Trace *trace, const Traced &traced) {
    make_room(trace);
    if (!trace->buffer) return;
    uint64_t &named = trace->buffer->named[traced.index % TraceBuffer::tracks];
    if (named == key_of(traced)) return;
    named = key_of(traced);
    TraceLine line(trace, 'M', traced.index, trace->since_ns);
    line.put(",\"name\":\"thread_name\",\"args\":{");
    line.named(traced.handle, traced.name).put("}");
}

void name_track(Trace *trace, uint32_t track, const char *name) {
    TraceLine(trace, 'M', track, trace->since_ns)
        .put(",\"name\":\"thread_name\",\"args\":{\"name\":\"")
        .put(name)
        .put("\"}");
}

void draw_instant(Trace *trace, const Traced &traced, uint64_t now, const char *name) {
    make_room(trace);
    TraceLine(trace, 'i', traced.index, now, "task")
        .put(",\"s\":\"t\",\"name\":\"")
        .put(name)
        .put("\",\"args\":{\"task\":")
        .hex(traced.handle)
        .put("}");
}

void draw_slice(Trace *trace, const Slice &slice, const char *category, const char *name, const char *what,
                uint64_t number) {
    make_room(trace);
    TraceLine(trace, 'X', slice.track, slice.begin_ns, category)
        .put(",\"dur\":")
        .micros(slice.end_ns - slice.begin_ns)
        .put(",\"name\":\"")
        .put(name)
        .put("\",\"args\":{\"")
        .put(what)
        .put("\":")
        .number(number)
        .put("}");
}

void draw_entries(Trace *trace, const Slice &slice) {
    Runtime *runtime = trace->runtime;
    trace->since_ns = slice.end_ns;
    for (uint32_t queued = trace->queued(); trace->drawn < queued; trace->drawn++) {
        uint32_t index = runtime->queue[(runtime->queue_begin + trace->drawn) & runtime->queue_mask];
        const Task *task = task_pool.at(index);
        if (!task->polls_low && !task->polls_high) {
            Traced traced(runtime, index);
            name_track_of(trace, traced);
            draw_instant(trace, traced, slice.end_ns, "spawn");
        }
        make_room(trace);
        TraceLine(trace, 's', slice.track, slice.begin_ns, "wake")
            .put(",\"name\":\"wake\",\"id\":")
            .hex(trace->front + trace->drawn);
    }
}

void draw_poll(Trace *trace, const Slice &slice, const Traced &traced, uint64_t polls) {
    name_track_of(trace, traced);
    TraceLine line(trace, 'X', slice.track, slice.begin_ns, "poll");
    line.put(",\"dur\":").micros(slice.end_ns - slice.begin_ns).put(",").named(traced.handle, traced.name);
    line.put(",\"args\":{\"task\":").hex(traced.handle).put(",\"polls\":").number(polls);
    if (!traced.is_alive()) {
        line.put(",\"ended\":true}");
        return;
    }
    const Task *task = traced.task();
    line.put(",\"waits\":\"")
        .put(wait_names[task->flags & Task::queued ? +ZYNTAX_WAIT_QUEUED : task->waits])
        .put("\"}");
}

void draw_counters(Trace *trace, uint64_t now) {
    if (now - trace->counted_ns < between_counters_ns) return;
    trace->counted_ns = now;
    make_room(trace);
    const Runtime *runtime = trace->runtime;
    TraceLine line(trace, 'C', kernel_track, now);
    line.put(",\"name\":\"runtime\",\"args\":{\"tasks\":").number(runtime->tasks.used());
    line.put(",\"ready\":").number(trace->queued()).put(",\"timers\":").number(runtime->timers.count());
    line.put(",\"io\":").number(runtime->io_waiting);
    line.put(",\"blocking\":").number(runtime->counts.blocking_pending).put("}");
}

} // namespace zyntax
