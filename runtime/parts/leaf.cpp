// Leaves: from the call that makes one, through the polls of compiled code, to its end. What each of them waits for is
// in the files that make them.
#include "leaf.h"

namespace zyntax {

constinit Leaves leaves;

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
        static_cast<LeafCells *>(part)->cells.give_blocks(); // none is in use: they went with their tasks
        forget_cells(part);
    }

    // Its place is not used again before some others have ended: compiled code may ask late, through the pointer.
    void give(Leaf *leaf) {
        cells.end(leaf);
        if (Leaf *rested = resting[oldest]) cells.recycle(rested, leaves.index_of(rested));
        resting[oldest] = leaf;
        oldest = (oldest + 1) % rest;
    }

    static constexpr uint32_t rest = 64;

    Cells<Leaf> cells;
    Leaf *resting[rest] = {};
    uint32_t oldest = 0;
};

LeafCells *cells_of(Runtime *runtime) { return find_or_make_part<LeafCells>(runtime, LeafCells::destroy_cells); }

} // namespace

Leaf *make_leaf(const LeafKind *kind) {
    PromiseTask *task = polled_promise_task();
    Runtime *runtime = task ? task->runtime : nullptr;
    LeafCells *part = runtime ? cells_of(runtime) : nullptr;
    if (!part) return nullptr;
    auto [leaf, index, generation] = part->cells.take(runtime->inbox->id);
    if (!leaf) return nullptr;
    leaf->promise = {to_pointer(handle_bits(index, generation)), poll_leaf};
    leaf->task = task;
    leaf->next = task->leaves;
    leaf->prev = nullptr;
    if (task->leaves) task->leaves->prev = leaf;
    task->leaves = leaf;
    leaf->kind = kind;
    leaf->op = 0;
    leaf->value = 0;
    return leaf;
}

zyntax_promise *begin_leaf(Leaf *leaf) {
    if (!leaf) return nullptr;
    if (advance(leaf) != ZYNTAX_ENOMEM) return &leaf->promise;
    free_leaf(leaf);
    return nullptr;
}

int64_t advance(Leaf *leaf) {
    if (leaf->value) return leaf->value;
    Runtime *runtime = leaf->task->runtime;
    bool was_quiet = runtime->quiet;
    runtime->quiet = true;
    Waker waker = runtime->waker;
    leaf->value = leaf->kind->poll(leaf, runtime, &waker);
    runtime->quiet = was_quiet;
    return leaf->value;
}

void free_leaf(Leaf *leaf) {
    PromiseTask *task = leaf->task;
    Runtime *runtime = task->runtime;
    if (leaf->kind->drop) leaf->kind->drop(leaf, runtime);
    zyntax_op_cancel(&leaf->op);
    (leaf->prev ? leaf->prev->next : task->leaves) = leaf->next;
    if (leaf->next) leaf->next->prev = leaf->prev;
    cells_of(runtime)->give(leaf);
}

Leaf *find_leaf(uintptr_t number) {
    Leaf *leaf = find_alive(leaves, number);
    Runtime *runtime = leaf ? usable_runtime(leaf->owner.load(std::memory_order_relaxed)) : nullptr;
    return runtime ? leaf : nullptr;
}

int64_t poll_leaf(void *number) {
    PromiseTask *task = polled_promise_task();
    Leaf *leaf = task ? find_leaf(to_bits(number)) : nullptr;
    if (!leaf || leaf->task != task) return ZYNTAX_ESTALE;
    int64_t value = advance(leaf);
    if (!value) {
        task->is_pending = true;
        return 0;
    }
    task->goes_on = true;
    leaf->value = 0; // nobody has to give it up
    free_leaf(leaf);
    return value;
}

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_promise_cancel(zyntax_promise *promise) noexcept {
    Leaf *leaf = promise && is_leaf(*promise) ? find_leaf(to_bits(promise->state)) : nullptr;
    if (!leaf) return ZYNTAX_ESTALE;
    check_thread(leaf->task->runtime);
    if (leaf->value) return 0;
    if (leaf->kind->cancel) {
        leaf->kind->cancel(leaf);
        return 0;
    }
    if (leaf->kind->drop) leaf->kind->drop(leaf, leaf->task->runtime);
    zyntax_op_cancel(&leaf->op);
    leaf->value = ZYNTAX_ECANCELED;
    wake(leaf->task->self);
    return 0;
}
