// For a host with a loop of its own: one round of the runtime, how long the host may sleep, and the descriptor to sleep
// on. The rounds themselves are in executor.cpp.
#include "../runtime.h"

using namespace zyntax;

int32_t zyntax_runtime_turn(zyntax_runtime *runtime, int64_t timeout_ns) noexcept {
    if (!runtime) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_driving) return ZYNTAX_EBUSY;
    Driving scope(runtime);
    runtime->inbox->sleeping.store(0, std::memory_order_relaxed);
    if (take_stop(runtime)) {
        // The kernel was not asked, but this turn has used the edge of an edge-triggered host: the host gets another
        // edge.
        runtime->is_batch_full |= runtime->host_waits;
        return ZYNTAX_ECANCELED;
    }
    int32_t error = look_around(runtime, timeout_ns);
    if (error) return error;
    runtime->poll_round(runtime, runtime->config.poll_budget);
    drop_canceled(runtime);
    if (take_stop(runtime)) return ZYNTAX_ECANCELED;
    uint64_t alive = runtime->tasks.used();
    return alive > INT32_MAX ? INT32_MAX : static_cast<int32_t>(alive);
}

int64_t zyntax_runtime_next_timeout_ns(zyntax_runtime *runtime) noexcept {
    if (!runtime) return -1;
    check_thread(runtime);
    return has_work(runtime) ? 0 : until_next_timer(runtime, -1);
}

intptr_t zyntax_runtime_backend_fd(zyntax_runtime *runtime) noexcept {
    if (!runtime) return -1;
    check_thread(runtime);
    if (!runtime->host_waits && !runtime->is_driving) {
        runtime->inbox->sleeping.store(1, std::memory_order_seq_cst);
        if (has_work(runtime)) poke(runtime->inbox);
    }
    runtime->host_waits = true;
    return runtime->poller.host_fd();
}
