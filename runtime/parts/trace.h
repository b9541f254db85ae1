// Traces: the work of a runtime, as text in Chrome's trace event format. A trace replaces the function of a round of
// polls, and is told of the work outside polls (see Tracer). So a runtime without a trace executes nothing here.
//
// Text is collected in a buffer of whole lines, each an event. It is written between polls, before the loop sleeps and
// when the buffer is full. No function here writes while a poll is running.
#pragma once

#include "../runtime.h"

namespace zyntax {

// The numbers of tracks that belong to no task. Tasks have higher numbers.
enum Track : uint32_t { kernel_track = 1, calls_track, pool_track, threads_track };
static_assert(threads_track < Task::first_block);

struct TraceSink {
    int32_t (*write)(void *ctx, const char *bytes, size_t len);
    void *ctx;
};

struct TraceBuffer {
    static constexpr size_t size = 65'536;
    static constexpr size_t line = 768; // a longer line than any
    static constexpr uint32_t tracks = 1024;

    uint64_t named[tracks]; // which names of tracks were written last; a newer one may replace any
    char text[size + 8];    // with room for the end of the array
};

struct Trace : Part, Tracer {
    explicit Trace(Runtime *of) : Part(), Tracer(), runtime(of) {}

    Runtime *const runtime;
    GrowingBlock block;            // of the buffer
    TraceBuffer *buffer = nullptr; // null: there is no trace
    TraceSink sink = {};
    TraceSink next = {};        // takes the place of `sink` after the poll that asked for it
    bool has_next = false;      // `next` was set. Set by zyntax_runtime_trace inside a poll, cleared by change_trace
    bool is_writing = false;    // set and cleared around `write`
    bool is_first = false;      // the array has no line yet. Set by begin_trace, cleared by the first line
    size_t used = 0;            // bytes of text
    uint64_t lost = 0;          // lines for which the buffer had no room, since the last "lost events"
    uint64_t since_ns = 0;      // the time at which the last drawn event ended
    uint64_t counted_ns = 0;    // the time of the last counters
    uint64_t front = 0;         // the number of the entry at the front of the ready queue: entries are numbered as they
                                // come, and an arrow has the number of its entry
    uint64_t first_arrow = 0;   // the number of the first entry with an arrow
    uint32_t drawn = 0;         // entries at the front of the ready queue that are drawn
    uintptr_t starter = 0;      // the task whose poll started the trace, until that poll is drawn; 0: none
    uint64_t starter_polls = 0; // its polls

    uint32_t queued() const { return runtime->queue_end - runtime->queue_begin; }
};

// ---- trace_text.cpp ----

// A line with an event. Without room in the buffer it is counted and not written.
class TraceLine {
public:
    TraceLine(Trace *, char phase, uint32_t track, uint64_t at_ns, const char *category = nullptr);
    ~TraceLine();
    TraceLine(const TraceLine &) = delete;
    TraceLine &operator=(const TraceLine &) = delete;

    TraceLine &put(const char *text);
    TraceLine &number(uint64_t n);
    TraceLine &hex(uint64_t n);                           // in quotes: a number of JSON may lose bits above the 53rd
    TraceLine &micros(uint64_t ns);                       // microseconds with three decimals
    TraceLine &escaped(const char *);                     // any bytes, as the inside of a string
    TraceLine &named(uintptr_t handle, const char *name); // "name":… of a task; the handle where `name` is empty

private:
    void put_char(char c) { *at_++ = c; }

    Trace *trace_;
    char *at_; // null: no room
};

// To be called outside polls. They may end the trace.
void write_trace(Trace *); // the text of the buffer
void make_room(Trace *);   // keeps half of the buffer free, by writing

void write_end(Trace *); // the text of the buffer, and the end of the array. To be called outside polls
void end_trace(Trace *); // without writing

// ---- trace_draw.cpp: the events, to be drawn outside polls ----

// A task as it is drawn, also when it has ended meanwhile.
struct Traced {
    uint32_t index;
    uintptr_t handle;
    char name[32] = "";

    Traced(const Runtime *runtime, uint32_t number, uintptr_t bits) : index(number), handle(bits) {
        read_name(runtime);
    }
    Traced(const Runtime *runtime, uint32_t number) : Traced(runtime, number, handle_of(number)) {}

    // Also of a task that has ended, until another has its place.
    static uintptr_t handle_of(uint32_t number) {
        uint32_t generation = task_pool.at(number)->generation.load(std::memory_order_relaxed);
        return handle_bits(number, (generation - 1) | 1);
    }
    const Task *task() const { return task_pool.at(index); }
    bool is_alive() const { return find_alive(task_pool, handle) != nullptr; }
    void read_name(const Runtime *runtime) {
        const char *given = task_name_of(runtime, index);
        size_t length = 0;
        while (given && given[length] && length < sizeof name - 1) length++;
        for (size_t i = 0; i < length; i++) name[i] = given[i];
        name[length] = '\0';
    }
};

struct Slice {
    uint32_t track;
    uint64_t begin_ns, end_ns;
};

void name_track(Trace *, uint32_t track, const char *name);
void name_track_of(Trace *, const Traced &); // unless its track has that name
void draw_instant(Trace *, const Traced &, uint64_t now, const char *name);
// A slice of the loop, with one number that tells more about it.
void draw_slice(Trace *, const Slice &, const char *category, const char *name, const char *what, uint64_t number);
void draw_poll(Trace *, const Slice &, const Traced &, uint64_t polls);
void draw_entries(Trace *, const Slice &); // the tasks that were spawned and woken in the slice that was drawn last
void draw_counters(Trace *, uint64_t now); // unless they were drawn just before

// ---- trace_events.cpp ----

int32_t begin_trace(Trace *, TraceSink); // in the present buffer, or in a new buffer. 0 or ZYNTAX_ENOMEM
void close_trace(Trace *);               // draws and writes the rest. To be called outside polls

} // namespace zyntax
