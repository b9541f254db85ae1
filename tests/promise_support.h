// Shared by the tests of promises.
#pragma once

#include "await_support.h"

namespace support {

// A promise written as a lambda over its own op word.
struct Promise {
    std::function<int64_t(Promise &)> on_poll;
    zyntax_op op = 0;
    int polls = 0;
    int64_t result = unfinished;
    zyntax_task *task = nullptr;

    static int64_t poll(void *state) {
        auto *self = static_cast<Promise *>(state);
        self->polls++;
        return self->on_poll(*self);
    }
    zyntax_promise handle() { return {this, poll}; }
    void spawn(zyntax_runtime *rt) {
        zyntax_promise promise = handle();
        task = zyntax_promise_spawn(rt, &promise, &result);
        REQUIRE(task != nullptr);
    }
    bool alive() const { return zyntax_task_alive(task) == 1; }
};

inline Waker current() {
    Waker waker{};
    CHECK(zyntax_current_waker(&waker) == 0);
    return waker;
}

} // namespace support
