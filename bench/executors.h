// One interface over the runtime and the bare loop: a task workload is written once and is the same on both.
#pragma once

#include "bare.h"
#include "harness.h"
#include "zyntax_async_runtime.h"

namespace bench {

class OnRuntime {
public:
    using Handle = zyntax_task *;

    explicit OnRuntime(const zyntax_runtime_config *config = nullptr)
        : rt(zyntax_runtime_create_with(config, nullptr)) {
        expect(rt != nullptr, "create a runtime");
    }
    ~OnRuntime() { zyntax_runtime_destroy(rt); }
    OnRuntime(const OnRuntime &) = delete;
    OnRuntime &operator=(const OnRuntime &) = delete;

    Handle spawn(FutureState state, PollFn poll) { return zyntax_runtime_spawn(rt, state, poll); }
    bool join(Handle task, zyntax_op *op, Waker *waker) {
        int64_t result = 0;
        return zyntax_task_join(task, op, waker, &result) == POLL_READY;
    }
    // Until no task is left.
    void run() { expect(zyntax_runtime_run(rt) == 0, "run the runtime"); }

    zyntax_runtime_stats stats() const {
        zyntax_runtime_stats stats{};
        stats.size = sizeof stats;
        expect(zyntax_runtime_get_stats(rt, &stats) == 0, "get the runtime's figures");
        return stats;
    }

    zyntax_runtime *rt;
};

class OnBareLoop {
public:
    using Handle = bare::Handle;

    Handle spawn(FutureState state, PollFn poll) { return bare::spawn(state, poll); }
    bool join(Handle task, zyntax_op *, Waker *waker) { return bare::join(task, waker); }
    void run() {
        bare::run();
        expect(bare::live_tasks() == 0, "end every bare task");
    }
};

} // namespace bench
