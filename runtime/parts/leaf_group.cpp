// Leaves over other promises: the first of several, and one that runs beside as a task.
#include "leaf.h"

using namespace zyntax;

namespace {

struct Select {
    zyntax_promise *list; // in the arena
    size_t count;
};
struct Child {
    zyntax_task *task;
};

// A leaf keeps its value for whoever awaits it next; one that was freed is as ready as it ever will be.
bool is_ready(PromiseTask *task, const zyntax_promise &promise) {
    if (!is_leaf(promise)) return poll_in(task, promise) != 0;
    Leaf *leaf = find_leaf(to_bits(promise.state));
    return !leaf || leaf->task != task || advance(leaf) != 0;
}

int64_t poll_select(Leaf *leaf, Runtime *, Waker *) {
    const auto *select = data_of<Select>(leaf);
    for (size_t i = 0; i < select->count; i++) {
        if (is_ready(leaf->task, select->list[i])) return static_cast<int64_t>(i) + 1;
    }
    return 0;
}

void drop_select(Leaf *leaf, Runtime *runtime) {
    auto *select = data_of<Select>(leaf);
    if (select->count) runtime->arena.give(select->list, select->count * sizeof(zyntax_promise));
    select->count = 0;
}
constexpr LeafKind select_kind = {poll_select, drop_select};

// The child's end sets the value, and then wakes who joins it.
int64_t poll_child(Leaf *leaf, Runtime *, Waker *waker) {
    int64_t result;
    if (zyntax_task_join(data_of<Child>(leaf)->task, &leaf->op, waker, &result) == POLL_PENDING) return 0;
    return result ? result : int64_t{ZYNTAX_ECANCELED};
}
void cancel_child(Leaf *leaf) { zyntax_task_cancel(data_of<Child>(leaf)->task); }
constexpr LeafKind child_kind = {poll_child, nullptr, cancel_child};

} // namespace

zyntax_promise *zyntax_promise_select(zyntax_promise *const *promises, size_t n) noexcept {
    if (!promises || !n || n > Arena::max_size / sizeof(zyntax_promise)) return nullptr;
    for (size_t i = 0; i < n; i++) {
        if (!promises[i] || !promises[i]->poll) return nullptr;
    }
    Leaf *leaf = make_leaf(&select_kind, Select{nullptr, 0});
    void *memory = leaf ? leaf->task->runtime->arena.take(n * sizeof(zyntax_promise)) : nullptr;
    if (!memory) {
        if (leaf) free_leaf(leaf);
        return nullptr;
    }
    auto *list = static_cast<zyntax_promise *>(memory);
    for (size_t i = 0; i < n; i++) list[i] = *promises[i];
    *data_of<Select>(leaf) = {list, n};
    return &leaf->promise;
}

zyntax_promise *zyntax_promise_spawn_child(const zyntax_promise *promise) noexcept {
    Leaf *leaf = make_leaf(&child_kind, Child{nullptr});
    if (!leaf) return nullptr;
    uintptr_t number = to_bits(leaf->promise.state);
    zyntax_task *task = spawn_promise(leaf->task->runtime, promise, nullptr, nullptr, number);
    if (!task) {
        free_leaf(leaf);
        return nullptr;
    }
    *data_of<Child>(leaf) = {task};
    return &leaf->promise;
}
