// Leaves over other promises: the first of several, and a child task.
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

// A leaf keeps its value for the code that awaits it next. A freed leaf counts as ready, as it would never become so.
bool is_ready(PromiseTask *task, const zyntax_promise &promise) {
    if (!is_leaf(promise)) return poll_in(task, promise) != 0;
    Leaf *leaf = leaf_of(task, promise);
    return !leaf || advance(leaf) != 0;
}

// A promise in the list may cancel the select.
int64_t poll_select(Leaf *leaf, Runtime *, Waker *) {
    const auto *select = data_of<Select>(leaf);
    assert(select->list && select->count > 0);
    for (size_t i = 0; i < select->count && !leaf->value; i++) {
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

// The end of the child sets the leaf's value before it wakes the parent.
int64_t poll_child(Leaf *leaf, Runtime *, Waker *waker) {
    int64_t result;
    if (zyntax_task_join(data_of<Child>(leaf)->task, &leaf->op_id, waker, &result) == POLL_PENDING) return 0;
    return result ? result : int64_t{ZYNTAX_ECANCELED};
}
void cancel_child(Leaf *leaf) { zyntax_task_cancel(data_of<Child>(leaf)->task); }
constexpr LeafKind child_kind = {poll_child, nullptr, cancel_child};

} // namespace

zyntax_promise *zyntax_promise_select(zyntax_promise *const *promises, size_t n) noexcept {
    if (!promises || !n || n > Arena::max_size / sizeof(zyntax_promise)) return failing(ZYNTAX_EINVAL);
    for (size_t i = 0; i < n; i++) {
        if (!promises[i] || !promises[i]->poll) return failing(ZYNTAX_EINVAL);
    }
    Leaf *leaf = make_leaf(&select_kind, Select{nullptr, 0});
    void *memory = leaf ? leaf->task->runtime->arena.take(n * sizeof(zyntax_promise)) : nullptr;
    if (!memory) {
        if (leaf) free_leaf(leaf);
        return failing(ZYNTAX_ENOMEM);
    }
    auto *list = static_cast<zyntax_promise *>(memory);
    for (size_t i = 0; i < n; i++) list[i] = *promises[i];
    *data_of<Select>(leaf) = {list, n};
    return &leaf->promise;
}

// Without memory for the child the host's hook is still called: it frees the host's data of the child.
zyntax_promise *zyntax_promise_spawn_child(const zyntax_promise *promise) noexcept {
    PromiseTask *parent = polled_promise_task();
    if (!parent || !promise || !promise->poll || is_ours(*promise)) return failing(ZYNTAX_EINVAL);
    zyntax_promise copy = *promise;
    zyntax_promise_hooks hooks = {};
    if (parent->hooks.child) {
        hooks = parent->hooks;
        hooks.ctx = hooks.child(hooks.ctx, promise);
    }
    Leaf *leaf = make_leaf(&child_kind, Child{nullptr});
    uintptr_t number = leaf ? to_bits(leaf->promise.state) : 0;
    zyntax_task *task = leaf ? spawn_promise(parent->runtime, copy, nullptr, hooks, number) : nullptr;
    if (task) {
        *data_of<Child>(leaf) = {task};
        return &leaf->promise;
    }
    if (leaf) free_leaf(leaf);
    if (hooks.drop) hooks.drop(hooks.ctx, ZYNTAX_ECANCELED);
    return failing(ZYNTAX_ENOMEM);
}
