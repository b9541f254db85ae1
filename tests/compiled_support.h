// A model of Zyntax's compiled code: a state machine of 8-byte slots behind a promise of 16 bytes. An awaited call
// returns a promise, which the code polls on each of its polls until the result is not 0. Then the code saves the
// value, forgets the promise and returns 0 for "advanced". It frees nothing, and has no waker, no op and no runtime.
#pragma once

#include "await_support.h"

#include <vector>

namespace support {

using Maker = std::function<zyntax_promise *()>;

struct Compiled {
    // Slots as a code generator lays them out. The state id is a whole one.
    int64_t state_id = 0;
    zyntax_promise *awaited = nullptr;
    int64_t awaited_value = 0;

    std::vector<Maker> awaits;
    std::function<int64_t(Compiled &)> returns = [](Compiled &self) { return self.awaited_value; };
    std::vector<int64_t> values{}; // of its awaits
    zyntax_promise entry{};        // the result of its entry function
    int polls = 0;
    int64_t result = unfinished;
    zyntax_task *task = nullptr;

    explicit Compiled(std::vector<Maker> makers) : awaits(std::move(makers)) { entry = {this, poll}; }
    Compiled(const Compiled &) = delete;
    Compiled &operator=(const Compiled &) = delete;

    static int64_t poll(void *state) {
        auto &self = *static_cast<Compiled *>(state);
        self.polls++;
        if (self.state_id == int64_t(self.awaits.size())) return self.returns(self);
        if (self.awaited == nullptr) self.awaited = self.awaits[size_t(self.state_id)]();
        if (self.awaited == nullptr) return ZYNTAX_ENOMEM;
        int64_t value = self.awaited->poll(self.awaited->state);
        if (value == 0) return 0;
        self.awaited_value = value;
        self.values.push_back(value);
        self.awaited = nullptr;
        self.state_id++;
        return 0;
    }

    void spawn(zyntax_runtime *rt) {
        task = zyntax_promise_spawn(rt, &entry, &result);
        REQUIRE(task != nullptr);
    }
    bool alive() const { return zyntax_task_alive(task) == 1; }

    // An await of another async function.
    Maker call() {
        return [this] { return &entry; };
    }
};

// Runs it to its end, and gives its value; `unfinished` if it does not end in time.
inline int64_t run(Runtime &rt, Compiled &code, int64_t limit_ms = deadline_ms) {
    code.spawn(rt);
    rt.drive_until([&] { return !code.alive(); }, limit_ms);
    return code.result;
}

inline Maker sleeping_for(uint64_t duration_ns) {
    return [=] { return zyntax_promise_sleep(duration_ns); };
}

} // namespace support
