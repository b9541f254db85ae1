// The pool of tasks, and the words about tasks that all threads of the process share.
#include "task.h"

#include "lock.h"

namespace zyntax {

constinit TaskPool task_pool;
constinit std::atomic<uint32_t> awaited_elsewhere_ended;
constinit std::atomic<uint32_t> spawn_threshold;

void count_rare_spawns(int32_t change) {
    static constinit std::atomic<uint32_t> held_by;
    static constinit int32_t count;
    Lock lock(&held_by);
    count += change;
    spawn_threshold.store(count ? UINT32_MAX : 0, std::memory_order_relaxed);
}

} // namespace zyntax
