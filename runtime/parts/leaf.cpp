// The life of a leaf: made by a call, polled by compiled code, ended. The kinds of leaves are in leaf_*.cpp.
#include "leaf.h"

namespace zyntax {

constinit LeafPool leaf_pool;

namespace {

// A runtime's leaves.
struct LeafCells : Part {
    explicit LeafCells(Runtime *runtime) : Part(), cells(runtime->memory) { forget = forget_cells; }

    static void forget_cells(Part *part) {
        auto *self = static_cast<LeafCells *>(part);
        self->cells.retire();
        self->cells.~Cells(); // the part itself stays in the list
    }
    static void destroy_cells(Runtime *, Part *part) {
        auto *self = static_cast<LeafCells *>(part);
        assert(self->cells.used() == 0); // leaves end with their tasks
        self->cells.give_blocks();
        forget_cells(part);
    }

    // The place is used again after `rest` other leaves have ended, as compiled code may poll late by the pointer.
    void give(Leaf *leaf) {
        cells.end(leaf);
        if (Leaf *rested = resting[oldest]) cells.recycle(rested, leaf_pool.index_of(rested));
        resting[oldest] = leaf;
        oldest = (oldest + 1) % rest;
    }

    static constexpr uint32_t rest = 64;

    Cells<Leaf> cells;
    Leaf *resting[rest] = {};
    uint32_t oldest = 0;
};

LeafCells *cells_of(Runtime *runtime) { return find_or_make_part<LeafCells>(runtime, LeafCells::destroy_cells); }

int64_t answer(PromiseTask *task, int64_t value) {
    assert(task == polled_promise_task());
    (value ? task->goes_on : task->is_pending) = true;
    return value;
}

// The poll function of a promise whose state is its value.
int64_t poll_failing(void *state) {
    PromiseTask *task = polled_promise_task();
    int64_t value = *static_cast<const int32_t *>(state);
    return task ? answer(task, value) : value;
}

constinit int32_t no_permission = ZYNTAX_EPERM, no_memory = ZYNTAX_ENOMEM, not_valid = ZYNTAX_EINVAL;
constinit zyntax_promise permission_promise = {&no_permission, poll_failing};
constinit zyntax_promise memory_promise = {&no_memory, poll_failing};
constinit zyntax_promise validity_promise = {&not_valid, poll_failing};

Leaf *inner_of(const Leaf *leaf) { return leaf->kind->inner ? leaf->kind->inner(leaf) : nullptr; }

// Frees the leaf's operation and its resources.
void stop(Leaf *leaf) {
    assert(!leaf->is_polled);
    if (leaf->kind->drop) leaf->kind->drop(leaf, leaf->task->runtime);
    zyntax_op_cancel(&leaf->op_id);
}

// Gives the leaf the value ZYNTAX_ECANCELED, or its kind's, unless it has a value.
void cancel(Leaf *leaf) {
    if (leaf->value) return;
    if (leaf->kind->cancel) return leaf->kind->cancel(leaf);
    leaf->value = ZYNTAX_ECANCELED;
    if (leaf->is_polled) return;
    stop(leaf);
    end_leaf(inner_of(leaf));
}

} // namespace

zyntax_promise *failing(int32_t error) {
    assert(error == ZYNTAX_ENOMEM || error == ZYNTAX_EINVAL);
    if (!polled_promise_task()) return &permission_promise;
    return error == ZYNTAX_ENOMEM ? &memory_promise : &validity_promise;
}

bool is_ours(const zyntax_promise &promise) { return is_leaf(promise) || promise.poll == poll_failing; }

Leaf *make_leaf(const LeafKind *kind) {
    PromiseTask *task = polled_promise_task();
    Runtime *runtime = task ? task->runtime : nullptr;
    LeafCells *part = runtime ? cells_of(runtime) : nullptr;
    if (!part) return nullptr;
    auto [leaf, index, generation] = part->cells.take(runtime->inbox->id);
    if (!leaf) return nullptr;
    leaf->promise = {to_pointer(handle_bits(index, generation)), poll_leaf};
    leaf->is_polled = false;
    leaf->task = task;
    leaf->next = task->leaves;
    leaf->prev = nullptr;
    if (task->leaves) task->leaves->prev = leaf;
    task->leaves = leaf;
    leaf->kind = kind;
    leaf->op_id = 0;
    leaf->value = 0;
    leaf->discard = nullptr;
    return leaf;
}

// The leaf copies its arguments now, even if the budget of the task's poll is spent: only polls of promises count.
Leaf *begin_leaf(Leaf *leaf) {
    if (!leaf) return nullptr;
    assert(!leaf->value && !leaf->is_polled && !leaf->op_id);
    Runtime *runtime = leaf->task->runtime;
    int64_t left = runtime->awaits_left;
    runtime->awaits_left = INT64_MAX;
    int64_t value = advance(leaf);
    runtime->awaits_left = left;
    runtime->waker_stores++; // also if the leaf was ready at once
    if (value != ZYNTAX_ENOMEM) return leaf;
    free_leaf(leaf);
    return nullptr;
}

int64_t advance(Leaf *leaf) {
    if (leaf->is_polled) return ZYNTAX_EDEADLK;
    if (leaf->value) return leaf->value;
    Runtime *runtime = leaf->task->runtime;
    assert(leaf->task == polled_promise_task());
    bool was_polling_leaf = runtime->is_polling_leaf;
    runtime->is_polling_leaf = true;
    Waker waker = runtime->waker;
    leaf->is_polled = true;
    int64_t value = leaf->kind->poll(leaf, runtime, &waker);
    leaf->is_polled = false;
    runtime->is_polling_leaf = was_polling_leaf;
    if (!leaf->value) return leaf->value = value;
    assert(!leaf->discard); // kinds with such a value poll no compiled code
    stop(leaf);
    end_leaf(inner_of(leaf));
    return leaf->value;
}

int64_t collect(Leaf *leaf, void (**discard)(int64_t)) {
    int64_t value = advance(leaf);
    if (!value || leaf->is_polled) return value;
    assert(value == leaf->value);
    *discard = leaf->discard;
    leaf->discard = nullptr;
    free_leaf(leaf);
    return value;
}

void free_leaf(Leaf *leaf) {
    PromiseTask *task = leaf->task;
    assert((leaf->generation.load(std::memory_order_relaxed) & 1) && (leaf->prev || task->leaves == leaf));
    stop(leaf);
    if (leaf->discard) leaf->discard(leaf->value);
    (leaf->prev ? leaf->prev->next : task->leaves) = leaf->next;
    if (leaf->next) leaf->next->prev = leaf->prev;
    cells_of(task->runtime)->give(leaf);
}

// A loop and no recursion: limits may be nested as deep as memory allows.
void end_leaf(Leaf *leaf) {
    while (leaf) {
        Leaf *inner = leaf->value ? nullptr : inner_of(leaf);
        if (!leaf->value && leaf->kind->cancel) leaf->kind->cancel(leaf);
        else if (!leaf->value) leaf->value = ZYNTAX_ECANCELED;
        if (leaf->is_polled) return;
        free_leaf(leaf);
        leaf = inner;
    }
}

Leaf *find_leaf(uintptr_t number) {
    Leaf *leaf = find_alive(leaf_pool, number);
    Runtime *runtime = leaf ? usable_runtime(leaf->owner.load(std::memory_order_relaxed)) : nullptr;
    return runtime ? leaf : nullptr;
}

Leaf *leaf_of(const PromiseTask *task, const zyntax_promise &promise) {
    Leaf *leaf = is_leaf(promise) ? find_leaf(to_bits(promise.state)) : nullptr;
    return leaf && leaf->task == task ? leaf : nullptr;
}

// From here on compiled code owns the value. ZYNTAX_ESTALE advances it like any other value.
static inline int64_t value_of(PromiseTask *task, void *number) {
    Leaf *leaf = find_leaf(to_bits(number));
    void (*discard)(int64_t);
    return leaf && leaf->task == task ? collect(leaf, &discard) : int64_t{ZYNTAX_ESTALE};
}

// The budget of this poll is spent, or the task is interrupted. An interrupt that is seen in this call ends this leaf,
// or another leaf that the polled promise awaits.
[[gnu::noinline]] static int64_t poll_leaf_at_end(PromiseTask *task, void *number) {
    Runtime *runtime = task->runtime;
    int64_t left = runtime->awaits_left;
    if (!runtime->ends_wait() || left <= Runtime::interrupt_mark) {
        wake(task->self);
        return answer(task, 0);
    }
    int64_t value = value_of(task, number);
    bool was_interrupted = value ? value == ZYNTAX_EINTR : runtime->was_interrupted();
    if (!runtime->ends_wait()) left -= Runtime::interrupt_mark;
    runtime->awaits_left = value ? left - 1 : left;
    runtime->interrupted_at = was_interrupted ? runtime->awaits_left : Runtime::no_end;
    return answer(task, value);
}

int64_t poll_leaf(void *number) {
    PromiseTask *task = polled_promise_task();
    if (!task) return ZYNTAX_ESTALE;
    Runtime *runtime = task->runtime;
    int64_t left = runtime->awaits_left;
    if (left <= 0) return poll_leaf_at_end(task, number);
    int64_t value = value_of(task, number);
    runtime->awaits_left = value ? left - 1 : left;
    return answer(task, value);
}

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_promise_cancel(zyntax_promise *promise) noexcept {
    Leaf *leaf = promise && is_leaf(*promise) ? find_leaf(to_bits(promise->state)) : nullptr;
    if (!leaf) return ZYNTAX_ESTALE;
    check_thread(leaf->task->runtime);
    cancel(leaf);
    if (leaf->value) wake(leaf->task->self);
    return 0;
}
