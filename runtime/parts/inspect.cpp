// Seeing inside: statistics and the dump. Reads, and changes nothing.
#include "promise.h"

#include <string.h>

namespace zyntax {

namespace {

zyntax_wait doing(const Runtime *runtime, const Slot *slot) {
    if (slot == runtime->current) return ZYNTAX_WAIT_RUNNING;
    if (slot->flags & (Slot::queued | Slot::canceled) ||
        (slot->elsewhere.load(std::memory_order_relaxed) & Slot::in_inbox))
        return ZYNTAX_WAIT_QUEUED;
    return static_cast<zyntax_wait>(slot->waits);
}

int32_t to_count(uint64_t n) { return n > INT32_MAX ? INT32_MAX : static_cast<int32_t>(n); }

} // namespace

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_runtime_get_stats(zyntax_runtime *runtime, zyntax_runtime_stats *stats) noexcept {
    if (!runtime || !stats || stats->size < offsetof(zyntax_runtime_stats, tasks_spawned)) return ZYNTAX_EINVAL;
    check_thread(runtime);
    assert(runtime->is_valid_by_and_by());
    constexpr size_t first = offsetof(zyntax_runtime_stats, tasks_alive), member = sizeof(uint64_t);
    size_t whole = stats->size - (stats->size - first) % member;
    size_t pooled = runtime->tasks.bytes() + runtime->nodes.bytes() + runtime->handles.bytes();
    size_t pooled_used = runtime->tasks.bytes_used() + runtime->nodes.bytes_used() + runtime->handles.bytes_used();
    zyntax_runtime_stats all = runtime->counts;
    all.size = whole < sizeof all ? whole : sizeof all;
    all.tasks_alive = runtime->tasks.used();
    all.tasks_spawned = runtime->tasks.taken();
    all.timers_pending = runtime->timers.count();
    all.bytes_reserved = runtime->memory.reserved.load(std::memory_order_relaxed) + pooled;
    all.bytes_in_use = runtime->memory.in_use + pooled_used;
    memcpy(stats, &all, all.size);
    return 0;
}

int32_t zyntax_runtime_dump(zyntax_runtime *runtime, void (*visit)(void *user, const zyntax_task_info *info),
                            void *user) noexcept {
    if (!runtime || !visit) return ZYNTAX_EINVAL;
    check_thread(runtime);
    runtime->tasks.each([&](uint32_t index, const Slot *slot) {
        bool will_poll = slot == runtime->current || !(slot->flags & Slot::canceled);
        zyntax_task_info info = {};
        info.size = sizeof info;
        uintptr_t handle = handle_bits(index, slot->generation.load(std::memory_order_relaxed));
        info.task = static_cast<zyntax_task *>(to_pointer(handle));
        info.state = slot->state;
        info.poll = will_poll ? slot->poll : nullptr;
        info.polls = uint64_t{slot->polls_high} << 32 | slot->polls_low;
        info.waits = doing(runtime, slot);
        if (slot->flags & Slot::tracked) info.polls_again = static_cast<PromiseTask *>(slot->state)->polls_again;
        visit(user, &info);
    });
    return to_count(runtime->tasks.used());
}

const char *zyntax_runtime_backend(void) noexcept { return Poller::name; }

uint32_t zyntax_runtime_version(void) noexcept { return ZYNTAX_ASYNC_RUNTIME_VERSION; }
