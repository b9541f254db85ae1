// The call that starts and ends traces.
#include "trace.h"

using namespace zyntax;

namespace {

void destroy_trace(Runtime *, Part *part) {
    auto *trace = static_cast<Trace *>(part);
    if (!trace->buffer) return;
    close_trace(trace);
    end_trace(trace);
}

// Another thread of the parent may have been anywhere in the trace.
void forget_trace(Part *part) {
    auto *trace = static_cast<Trace *>(part);
    trace->block.give(trace->runtime->memory);
}

Trace *find_trace(const Runtime *runtime) {
    for (Part *part = runtime->parts; part; part = part->next) {
        if (part->destroy == destroy_trace) return static_cast<Trace *>(part);
    }
    return nullptr;
}

// Null without memory. The trace is the last part, so that the ends of the other parts are in it.
Trace *make_trace(Runtime *runtime) {
    void *memory = runtime->arena.take(sizeof(Trace));
    if (!memory) return nullptr;
    runtime->memory.in_use -= Arena::rounded(sizeof(Trace)); // of no operation
    auto *trace = ::new (memory) Trace(runtime);
    trace->destroy = destroy_trace;
    trace->forget = forget_trace;
    Part **last = &runtime->parts;
    while (*last) last = &(*last)->next;
    store_in_order();
    *last = trace;
    return trace;
}

void start_in_poll(Runtime *runtime, Trace *trace) {
    const Task *task = runtime->current;
    trace->starter = to_bits(runtime->waker.data);
    trace->starter_polls = uint64_t{task->polls_high} << 32 | task->polls_low;
}

} // namespace

int32_t zyntax_runtime_trace(zyntax_runtime *runtime, int32_t (*write)(void *ctx, const char *bytes, size_t len),
                             void *ctx) noexcept {
    if (!runtime) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (write && runtime->is_ending) return ZYNTAX_ECANCELED;
    os::KeepErrors keep;
    Trace *trace = find_trace(runtime);
    if (!trace && !write) return 0;
    if (!trace) trace = make_trace(runtime);
    if (!trace) return ZYNTAX_ENOMEM;
    if (trace->is_writing) return ZYNTAX_EINVAL;
    if (trace->buffer && runtime->current) {
        trace->next = {write, ctx};
        trace->has_next = true;
        return 0;
    }
    if (trace->buffer) close_trace(trace);
    if (!write) {
        end_trace(trace);
        return 0;
    }
    int32_t error = begin_trace(trace, {write, ctx});
    if (error) return error;
    runtime->polls_left = 0; // the caller may be a poll or drop of a round, whose rest is left to the trace
    if (runtime->current) start_in_poll(runtime, trace);
    return 0;
}
