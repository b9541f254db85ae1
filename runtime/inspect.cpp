// Seeing inside: statistics, the dump, and in debug builds a recount of what the loop believes.
#include "runtime.h"

#include <string.h>

namespace zyntax {

namespace {

// Calls visit(index, slot) for every live task.
template <class Visit> void each_task(const Runtime *runtime, Visit visit) {
    for (uint32_t block = runtime->blocks; block; block = next_block(block)) {
        uint32_t end = block == runtime->blocks ? runtime->fresh_slot : block + block_size;
        for (uint32_t index = block + 1; index < end; index++) {
            const Slot *slot = slot_at(index);
            if (slot->generation.load(std::memory_order_relaxed) & 1) visit(index, slot);
        }
    }
}

zyntax_wait doing(const Runtime *runtime, const Slot *slot) {
    if (slot == runtime->current) return ZYNTAX_WAIT_RUNNING;
    if (slot->flags || slot->in_inbox.load(std::memory_order_relaxed)) return ZYNTAX_WAIT_QUEUED;
    return static_cast<zyntax_wait>(slot->waits);
}

int32_t to_count(uint64_t n) { return n > INT32_MAX ? INT32_MAX : static_cast<int32_t>(n); }

} // namespace

} // namespace zyntax

using namespace zyntax;

#ifndef NDEBUG
bool zyntax_runtime::is_valid() const {
    uint64_t alive = 0;
    each_task(this, [&](uint32_t, const Slot *) { alive++; });
    if (alive != tasks_alive()) return false;
    for (uint32_t i = ready_begin; i != ready_end; i++) {
        if (!(slot_at(ready[i & ready_mask])->flags & Slot::queued)) return false;
    }
    return ready_end - ready_begin <= block_count * block_size;
}
#endif

int32_t zyntax_runtime_get_stats(zyntax_runtime *runtime, zyntax_runtime_stats *stats) noexcept {
    if (!runtime || !stats || stats->size < offsetof(zyntax_runtime_stats, tasks_spawned)) return ZYNTAX_EINVAL;
    check_thread(runtime);
    assert(runtime->is_valid());
    size_t slot_bytes = size_t{runtime->block_count} * block_size * sizeof(Slot);
    zyntax_runtime_stats all = {};
    all.size = stats->size < sizeof all ? stats->size : sizeof all;
    all.tasks_alive = runtime->tasks_alive();
    all.tasks_spawned = runtime->tasks_spawned;
    all.polls = runtime->polls;
    all.wakes = runtime->wakes;
    all.wakes_remote = runtime->wakes_remote;
    all.kernel_waits = runtime->kernel_waits;
    all.kernel_events = runtime->kernel_events;
    all.events_stale = runtime->events_stale;
    all.timers_pending = runtime->timers.count();
    all.timers_fired = runtime->timers.fired();
    all.io_open = runtime->ios.used();
    all.blocking_pending = runtime->blocking_pending;
    all.bytes_reserved = runtime->memory.reserved.load(std::memory_order_relaxed) + slot_bytes;
    all.bytes_in_use =
        runtime->memory.in_use - runtime->timers.reserved_bytes() + runtime->tasks_alive() * sizeof(Slot);
    memcpy(stats, &all, all.size);
    return 0;
}

int32_t zyntax_runtime_dump(zyntax_runtime *runtime, void (*visit)(void *user, const zyntax_task_info *info),
                            void *user) noexcept {
    if (!runtime || !visit) return ZYNTAX_EINVAL;
    check_thread(runtime);
    each_task(runtime, [&](uint32_t index, const Slot *slot) {
        bool will_poll = slot == runtime->current || !(slot->flags & Slot::canceled);
        zyntax_task_info info = {};
        info.size = sizeof info;
        uintptr_t handle = task_bits(index, slot->generation.load(std::memory_order_relaxed));
        info.task = static_cast<zyntax_task *>(to_pointer(handle));
        info.state = slot->state;
        info.poll = will_poll ? slot->poll : nullptr;
        info.polls = uint64_t{slot->polls_high} << 32 | slot->polls_low;
        info.waits = doing(runtime, slot);
        visit(user, &info);
    });
    return to_count(runtime->tasks_alive());
}

const char *zyntax_runtime_backend(void) noexcept { return Poller::name; }

uint32_t zyntax_runtime_version(void) noexcept { return ZYNTAX_ASYNC_RUNTIME_VERSION; }
