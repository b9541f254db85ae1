// The text of a trace: one line of JSON for each event, and the buffer that collects lines for the host's function.
#include "trace.h"

#include <string.h>

namespace zyntax {

namespace {

// The length of the UTF-8 character at the beginning of a text that ends with NUL; 0 if there is none (Unicode 15,
// table 3-7).
size_t utf8_length(const char *text) {
    auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
    auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
    unsigned char first = byte(0);
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4 || !follows(1)) return 0;
    if (first < 0xe0) return 2;
    bool too_long = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
    bool surrogate = first == 0xed && byte(1) >= 0xa0, too_high = first == 0xf4 && byte(1) >= 0x90;
    if (too_long || surrogate || too_high || !follows(2)) return 0;
    if (first < 0xf0) return 3;
    return follows(3) ? 4 : 0;
}

// In debug builds a function of the API that `write` calls finds another driver, and panics.
class Writing {
public:
    explicit Writing(Trace *trace) : trace_(trace) {
        trace->is_writing = true;
#ifndef NDEBUG
        driver_ = trace->runtime->inbox->driver.exchange(trace_is_written, std::memory_order_relaxed);
#endif
    }
    ~Writing() {
#ifndef NDEBUG
        trace_->runtime->inbox->driver.store(driver_, std::memory_order_relaxed);
#endif
        trace_->is_writing = false;
    }
    Writing(const Writing &) = delete;
    Writing &operator=(const Writing &) = delete;

private:
    Trace *trace_;
#ifndef NDEBUG
    const void *driver_;
#endif
};

} // namespace

TraceLine::TraceLine(Trace *trace, char phase, uint32_t track, uint64_t at_ns, const char *category)
    : trace_(trace), at_(nullptr) {
    if (!trace->buffer) return;
    if (TraceBuffer::size - trace->used < TraceBuffer::line) {
        trace->lost++;
        return;
    }
    at_ = trace->buffer->text + trace->used;
    put(trace->is_first ? "\n{\"ph\":\"" : ",\n{\"ph\":\"").put_char(phase);
    trace->is_first = false;
    put("\",\"pid\":1,\"tid\":").number(track).put(",\"ts\":").micros(at_ns);
    if (category) put(",\"cat\":\"").put(category).put("\"");
}

TraceLine::~TraceLine() {
    if (!at_) return;
    put_char('}');
    auto used = static_cast<size_t>(at_ - trace_->buffer->text);
    assert(used - trace_->used <= TraceBuffer::line);
    trace_->used = used;
}

TraceLine &TraceLine::put(const char *text) {
    if (!at_) return *this;
    size_t length = strlen(text);
    memcpy(at_, text, length);
    at_ += length;
    return *this;
}

TraceLine &TraceLine::number(uint64_t n) {
    char digits[21];
    char *at = digits + sizeof digits;
    *--at = '\0';
    do *--at = static_cast<char>('0' + n % 10);
    while (n /= 10);
    return put(at);
}

TraceLine &TraceLine::hex(uint64_t n) {
    char digits[22];
    char *at = digits + sizeof digits;
    *--at = '\0';
    *--at = '"';
    do *--at = "0123456789abcdef"[n & 15];
    while (n >>= 4);
    return put("\"0x").put(at);
}

TraceLine &TraceLine::micros(uint64_t ns) {
    auto digit = [](uint64_t n) { return static_cast<char>('0' + n % 10); };
    char decimals[] = {'.', digit(ns / 100), digit(ns / 10), digit(ns), '\0'};
    return number(ns / 1000).put(decimals);
}

TraceLine &TraceLine::escaped(const char *text) {
    if (!at_) return *this;
    while (*text) {
        size_t length = utf8_length(text);
        auto c = static_cast<unsigned char>(*text);
        if (!length || c < 0x20 || c == 0x7f) {
            char escape[] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15], '\0'};
            put(length ? escape : "\\ufffd");
            text++;
            continue;
        }
        if (c == '"' || c == '\\') put_char('\\');
        for (size_t i = 0; i < length; i++) put_char(*text++);
    }
    return *this;
}

TraceLine &TraceLine::named(uintptr_t handle, const char *name) {
    put("\"name\":");
    if (!*name) return hex(handle);
    return put("\"").escaped(name).put("\"");
}

void end_trace(Trace *trace) {
    Runtime *runtime = trace->runtime;
    runtime->tracer = nullptr;
    runtime->poll_round = poll_tasks;
    trace->buffer = nullptr;
    trace->used = 0;
    trace->block.give(runtime->memory);
}

// False: the host wants no more.
static bool call_write(Trace *trace) {
    assert(!trace->runtime->current && !trace->is_writing);
    os::KeepErrors keep;
    Writing writing(trace);
    size_t length = trace->used;
    trace->used = 0;
    return trace->sink.write(trace->sink.ctx, trace->buffer->text, length) >= 0;
}

void write_trace(Trace *trace) {
    if (!trace->used) return;
    if (!call_write(trace)) return end_trace(trace);
    if (!trace->lost) return;
    uint64_t lost = trace->lost;
    trace->lost = 0;
    TraceLine(trace, 'i', kernel_track, trace->since_ns, "trace")
        .put(",\"s\":\"g\",\"name\":\"lost events\",\"args\":{\"events\":")
        .number(lost)
        .put("}");
}

void make_room(Trace *trace) {
    if (trace->used > TraceBuffer::size / 2) write_trace(trace);
}

void write_end(Trace *trace) {
    if (trace->lost) write_trace(trace);
    if (!trace->buffer) return;
    memcpy(trace->buffer->text + trace->used, "\n]\n", 3);
    trace->used += 3;
    call_write(trace);
}

} // namespace zyntax
