// Statistics and the dump. Nothing here changes a runtime.
#include "promise.h"

#include <string.h>

using namespace zyntax;

namespace {

zyntax_wait doing(const Runtime *runtime, const Task *task) {
    if (task == runtime->current) return ZYNTAX_WAIT_RUNNING;
    if (task->flags & (Task::queued | Task::canceled) ||
        (task->elsewhere.load(std::memory_order_relaxed) & Task::in_inbox))
        return ZYNTAX_WAIT_QUEUED;
    return static_cast<zyntax_wait>(task->waits);
}

int32_t to_count(uint64_t n) { return n > INT32_MAX ? INT32_MAX : static_cast<int32_t>(n); }

} // namespace

int32_t zyntax_runtime_get_stats(zyntax_runtime *runtime, zyntax_runtime_stats *stats) noexcept {
    if (!runtime || !stats || stats->size < offsetof(zyntax_runtime_stats, tasks_spawned)) return ZYNTAX_EINVAL;
    check_thread(runtime);
    assert(runtime->is_valid_by_and_by());
    constexpr size_t first = offsetof(zyntax_runtime_stats, tasks_alive), member = sizeof(uint64_t);
    size_t whole = stats->size - (stats->size - first) % member;
    size_t pooled = runtime->tasks.bytes() + runtime->ops.bytes() + runtime->handles.bytes();
    size_t pooled_used = runtime->tasks.bytes_used() + runtime->ops.bytes_used() + runtime->handles.bytes_used();
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
    runtime->tasks.each([&](uint32_t index, const Task *task) {
        bool will_poll = task == runtime->current || !(task->flags & Task::canceled);
        zyntax_task_info info = {};
        info.size = sizeof info;
        uintptr_t handle = handle_bits(index, task->generation.load(std::memory_order_relaxed));
        info.task = static_cast<zyntax_task *>(to_pointer(handle));
        bool is_wrapped = task->flags & Task::is_wrapped;
        const auto *wrapped = static_cast<const Wrapped *>(task->state);
        info.state = is_wrapped ? wrapped->state : task->state;
        info.poll = !will_poll ? nullptr : is_wrapped ? wrapped->poll : task->poll;
        info.polls = uint64_t{task->polls_high} << 32 | task->polls_low;
        info.waits = doing(runtime, task);
        if (task->flags & Task::tracked) info.polls_again = static_cast<PromiseTask *>(task->state)->polls_again;
        info.name = task_name_of(runtime, index);
        visit(user, &info);
    });
    return to_count(runtime->tasks.used());
}

const char *zyntax_runtime_backend(void) noexcept { return Poller::name; }

uint32_t zyntax_runtime_version(void) noexcept { return ZYNTAX_ASYNC_RUNTIME_VERSION; }
