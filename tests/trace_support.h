// Shared by the tests of zyntax_runtime_trace: a recorder of the written text, and its lines as events.
#pragma once

#include "await_support.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace support {

// One line of a trace. A field that the line lacks is empty or 0.
struct TraceEvent {
    std::string line;
    char phase = 0;
    uint32_t track = 0;
    uint64_t begin_ns = 0, end_ns = 0;
    std::string category, name, id, task, waits;
    bool ended = false;

    // The text after "key":, without quotes, up to the end of the value.
    std::string value(const std::string &key) const {
        size_t at = line.find("\"" + key + "\":");
        if (at == std::string::npos) return "";
        at += key.size() + 3;
        if (line[at] == '"') return line.substr(at + 1, line.find('"', at + 1) - at - 1);
        return line.substr(at, line.find_first_of(",}", at) - at);
    }
    bool has(const std::string &text) const { return line.find(text) != std::string::npos; }

    // Microseconds with three decimals; anything else fails.
    static uint64_t nanoseconds(const std::string &micros) {
        size_t point = micros.find('.');
        bool good = point != std::string::npos && micros.size() == point + 4;
        CHECK(good);
        return good ? std::stoull(micros.substr(0, point)) * 1000 + std::stoull(micros.substr(point + 1)) : 0;
    }
    explicit TraceEvent(std::string text) : line(std::move(text)) {
        std::string ph = value("ph"), dur = value("dur");
        CHECK(ph.size() == 1);
        phase = ph.empty() ? '?' : ph[0];
        CHECK(value("pid") == "1");
        track = uint32_t(std::stoul(value("tid")));
        begin_ns = nanoseconds(value("ts"));
        end_ns = begin_ns + (dur.empty() ? 0 : nanoseconds(dur));
        CHECK((phase == 'X') == !dur.empty());
        category = value("cat");
        name = value("name");
        id = value("id");
        task = value("task");
        waits = value("waits");
        ended = value("ended") == "true";
    }
};

// Receives the text of a trace, and checks each call.
struct Recorder {
    std::string text;
    int writes = 0;
    int32_t answer = 0;
    zyntax_runtime *rt = nullptr;
    ThreadId thread = this_thread_id();
    std::function<void()> on_write = nullptr;

    static int32_t write(void *self, const char *bytes, size_t len) {
        auto &recorder = *static_cast<Recorder *>(self);
        recorder.writes++;
        CHECK(recorder.thread == this_thread_id());
        CHECK(zyntax_current_runtime() == nullptr);
        CHECK(len > 0);
        CHECK(len <= 65'536);
        CHECK((bytes[0] == (recorder.text.empty() ? '[' : recorder.text.back() == '[' ? '\n' : bytes[0])));
        CHECK((bytes[0] == '[' || bytes[0] == '\n' || bytes[0] == ','));
        CHECK((bytes[len - 1] == '}' || (len >= 3 && std::string(bytes + len - 3, 3) == "\n]\n")));
        recorder.text.append(bytes, len);
        if (recorder.on_write) recorder.on_write();
        errno = 4321;
        return recorder.answer;
    }
    int32_t start(zyntax_runtime *runtime) { return zyntax_runtime_trace(runtime, write, this); }
    bool is_closed() const { return text.size() > 4 && text.substr(text.size() - 3) == "\n]\n"; }

    // The lines, each of which is one event.
    std::vector<TraceEvent> events() const {
        std::vector<TraceEvent> found;
        CHECK(text[0] == '[');
        for (size_t at = 2; at < text.size();) {
            size_t end = std::min(text.find('\n', at), text.size());
            std::string line = text.substr(at, end - at);
            at = end + 1;
            if (line == "]" && at >= text.size()) break;
            if (!line.empty() && line.back() == ',') line.pop_back();
            CHECK((line.size() > 2 && line.front() == '{' && line.back() == '}'));
            found.emplace_back(line);
        }
        return found;
    }
    // The events of a phase and a category, in their order; an empty category: of all categories.
    std::vector<TraceEvent> events(char phase, const std::string &category = "") const {
        std::vector<TraceEvent> found;
        for (TraceEvent &event : events()) {
            if (event.phase == phase && (category.empty() || event.category == category)) found.push_back(event);
        }
        return found;
    }
    std::vector<TraceEvent> polls() const { return events('X', "poll"); }
    std::vector<TraceEvent> polls_of(zyntax_task *task) const;
    std::vector<TraceEvent> instants(const std::string &name) const {
        std::vector<TraceEvent> found;
        for (TraceEvent &event : events('i')) {
            if (event.name == name) found.push_back(event);
        }
        return found;
    }
    // The begins and ends of arrows by their number; an arrow has one of each.
    struct Arrow {
        TraceEvent from, to;
    };
    std::vector<Arrow> arrows() const {
        std::vector<Arrow> found;
        auto begins = events('s', "wake");
        for (TraceEvent &to : events('f', "wake")) {
            int matches = 0;
            CHECK(to.value("bp") == "e");
            for (TraceEvent &from : begins) {
                if (from.id != to.id) continue;
                matches++;
                found.push_back({from, to});
            }
            CHECK(matches == 1);
        }
        return found;
    }
    // The slice that holds the beginning of an arrow, as a viewer finds it.
    TraceEvent slice_at(const TraceEvent &point) const {
        std::vector<TraceEvent> slices = events('X');
        for (TraceEvent &slice : slices) {
            if (slice.track == point.track && slice.begin_ns == point.begin_ns) return slice;
        }
        FAIL("no slice at an arrow's end");
        return slices.front();
    }
};

inline std::string hex_of(uint64_t number) {
    char text[32];
    snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
    return text;
}
inline std::string hex_of(zyntax_task *task) { return hex_of(uint64_t(reinterpret_cast<uintptr_t>(task))); }
inline uint32_t track_of(zyntax_task *task) {
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(task) & (sizeof(void *) == 8 ? UINT32_MAX : 0xfffff));
}

inline std::vector<TraceEvent> Recorder::polls_of(zyntax_task *task) const {
    std::vector<TraceEvent> found;
    for (TraceEvent &event : polls()) {
        if (event.task == hex_of(task)) found.push_back(event);
    }
    return found;
}

// A runtime with a trace from the beginning.
struct Traced : Runtime {
    Recorder recorder;
    explicit Traced(const zyntax_runtime_config &config = support::config()) : Runtime(config) {
        REQUIRE(recorder.start(rt) == 0);
    }
    ~Traced() { destroy(); }
    // The end of the trace, after which all is written.
    const Recorder &finish() {
        CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
        CHECK(recorder.is_closed());
        return recorder;
    }
};

} // namespace support
