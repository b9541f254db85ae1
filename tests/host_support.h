// Shared by the tests of hosts: a host has wakers of its own, and calls await points outside polls.
#pragma once

#include "await_support.h"

namespace support {

// A host's waker that counts its calls, and notes calls from inside a function that must not call it.
struct HostWaker {
    int wakes = 0;
    bool busy = false;
    bool was_inline = false;
    bool given_up = false;
    bool was_late = false; // called after that
    std::function<void()> action = nullptr;

    static void wake(void *self) {
        auto *waker = static_cast<HostWaker *>(self);
        waker->wakes++;
        waker->was_inline |= waker->busy;
        waker->was_late |= waker->given_up;
        if (waker->action) waker->action();
    }
    Waker handle() { return {this, wake}; }
};

// A waker without effect, for calls that must not wait.
inline Waker nobody() {
    return {nullptr, [](void *) {}};
}

// An operation that is started outside any task, with a waker of the host's. The waker stays here after the operation's
// cancel or end, so that a late call is noticed and finds no freed memory.
struct HostOp {
    Operation operation;
    HostWaker host{};
    zyntax_op op = 0;
    int64_t result = unfinished;

    explicit HostOp(Operation o) : operation(std::move(o)) {}
    ~HostOp() { cancel(); }
    HostOp(const HostOp &) = delete;
    HostOp &operator=(const HostOp &) = delete;

    PollStatus call() {
        Waker waker = host.handle();
        bool outer = std::exchange(host.busy, true);
        host.given_up = false;
        PollStatus status = operation(&op, &waker, &result);
        host.given_up = status == POLL_READY;
        host.busy = outer;
        return status;
    }
    void cancel() {
        zyntax_op_cancel(&op);
        host.given_up = true;
    }
};

// Runs one operation outside any task that must be ready at once; its result.
inline int64_t at_once(const Operation &operation) {
    Waker waker = nobody();
    zyntax_op op = 0;
    int64_t result = unfinished;
    CHECK(operation(&op, &waker, &result) == POLL_READY);
    zyntax_op_cancel(&op);
    return result;
}

// Runs a function in one poll of a separate task, so that no other code runs in between.
inline void in_one_poll(Runtime &rt, const std::function<void()> &actions) {
    ScopedTask task(rt);
    task.on_poll = [&](Waker *) {
        actions();
        return POLL_READY;
    };
    task.start();
    REQUIRE(rt.drive_until([&] { return !task.alive(); }));
}

} // namespace support
