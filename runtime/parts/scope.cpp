// Scopes: made, canceled, destroyed. See scope.h.
#include "scope.h"

namespace zyntax {

namespace {

// ---- cancelling ----

void mark_canceled(Scope *scope, uint32_t generation) {
    uint32_t newest = scope->cancel_generation.load(std::memory_order_relaxed);
    while (newest < generation && !scope->cancel_generation.compare_exchange_weak(newest, generation)) {
    }
}

void cancel_tasks(const Scope *scope) {
    for (const ScopeTask *task = scope->tasks; task; task = task->next) zyntax_task_cancel(task->handle);
}

void cancel_arrived(Runtime *, Message *message) {
    auto *scope = static_cast<Scope *>(message);
    scope->is_sent.store(0, std::memory_order_release);
    if ((scope->generation.load(std::memory_order_relaxed) & 1) && scope->is_canceled()) cancel_tasks(scope);
}

// ---- the runtime's scopes ----

struct ScopeCells : Part {
    explicit ScopeCells(Runtime *runtime) : Part(), cells(runtime->memory) {
        forget = forget_cells;
        count_waiting = count_calls;
    }

    static void forget_cells(Part *part) {
        auto *self = static_cast<ScopeCells *>(part);
        self->cells.retire();
        self->cells.~Cells(); // the part itself stays in the list
    }
    static void destroy_cells(Runtime *, Part *part);
    static uint64_t count_calls([[maybe_unused]] const Part *part) {
        uint64_t count = 0;
#ifndef NDEBUG
        static_cast<const ScopeCells *>(part)->cells.each([&count](uint32_t, const Scope *scope) {
            assert(scope->nexts.queue.empty() || scope->nexts.turns >= scope->available());
            count += zyntax::count_waiting(scope->nexts.queue, Op::waiting);
            count += zyntax::count_waiting(scope->joins, Op::waiting);
        });
#endif
        return count;
    }

    Cells<Scope> cells;
};

ScopeCells *scope_cells(Runtime *runtime) { return find_or_make_part<ScopeCells>(runtime, ScopeCells::destroy_cells); }

// The place is used again once no operation of `next` has a turn: these still lead to it.
void recycle_scope(Runtime *runtime, Scope *scope) {
    bool is_unused = !scope->nexts.turns && !runtime->is_ending;
    if (is_unused) scope_cells(runtime)->cells.recycle(scope, scope_pool.index_of(scope));
}

// Callers that wait find a dead handle.
void end_scope(Runtime *runtime, Scope *scope) {
    mark_canceled(scope, scope->generation.load(std::memory_order_relaxed));
    cancel_tasks(scope);
    for (ScopeTask *task = scope->tasks; task; task = task->next) task->scope = nullptr;
    while (scope->ended) take_ended(runtime, scope);
    scope_cells(runtime)->cells.end(scope);
    fire_queue(runtime, &scope->nexts);
    fire_all(runtime, &scope->joins);
    recycle_scope(runtime, scope);
}

void next_canceled(Runtime *, Op *);

// The memory of the scopes goes to other runtimes: the hosts' operations that still have a turn forget their scope.
void forget_turns(Runtime *runtime) {
    runtime->ops.each([](uint32_t, Op *op) {
        if (op->source && op->source->canceled == next_canceled) op->source = nullptr;
    });
}

// Other threads may be in a cancel that began in time: their messages are in the memory of the scopes.
void ScopeCells::destroy_cells(Runtime *runtime, Part *part) {
    auto *self = static_cast<ScopeCells *>(part);
    self->cells.each([runtime](uint32_t, Scope *scope) { end_scope(runtime, scope); });
    forget_turns(runtime);
    while (runtime->inbox->visitors.fetch_add(0, std::memory_order_acq_rel) != 0) os::yield();
    take_inbox_work(runtime);
    self->cells.give_blocks();
    forget_cells(part);
}

void next_canceled(Runtime *runtime, Op *op) {
    auto *nexts = static_cast<Nexts *>(op->source);
    if (!op->woken) return;
    assert(nexts->turns > 0);
    nexts->turns--;
    Scope *scope = nexts->scope;
    if (scope->generation.load(std::memory_order_relaxed) & 1) settle_scope(runtime, scope);
    else recycle_scope(runtime, scope);
}

} // namespace

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_scope_create(zyntax_runtime *runtime, zyntax_scope **out) noexcept {
    if (!runtime || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_ending) return ZYNTAX_ECANCELED;
    ScopeCells *part = scope_cells(runtime);
    if (!part) return ZYNTAX_ENOMEM;
    auto [scope, index, generation] = part->cells.take(runtime->inbox->id);
    if (!scope) return ZYNTAX_ENOMEM;
    scope->run = cancel_arrived;
    scope->size = 0;
    scope->tells = false;
    scope->alive = scope->ended = 0;
    scope->tasks = scope->oldest = scope->newest = nullptr;
    scope->nexts = {};
    scope->nexts.canceled = next_canceled;
    scope->nexts.scope = scope;
    scope->joins = {};
    *out = static_cast<zyntax_scope *>(to_pointer(handle_bits(index, generation)));
    return 0;
}

// Marks the scope first, and then tells the owner.
int32_t zyntax_scope_cancel(zyntax_scope *handle) noexcept {
    Scope *scope = find_alive(scope_pool, to_bits(handle));
    if (!scope) return ZYNTAX_ESTALE;
    uint32_t owner = scope->owner.load(std::memory_order_acquire);
    Inbox *inbox = inbox_pool.at(owner);
    Visit visit(inbox);
    uint32_t generation = scope->generation.load(std::memory_order_acquire);
    bool is_alive = names(handle_generation(to_bits(handle)), handle_generation_mask, generation) &&
                    scope->owner.load(std::memory_order_relaxed) == owner;
    if (!is_alive) return ZYNTAX_ESTALE;
    mark_canceled(scope, generation);
    if (inbox == driving) cancel_tasks(scope);
    else if (!scope->is_sent.exchange(1, std::memory_order_acq_rel)) send(inbox, scope);
    return 0;
}

int32_t zyntax_scope_destroy(zyntax_scope *handle) noexcept {
    auto [runtime, scope] = find_scope(handle);
    if (!scope) return ZYNTAX_ESTALE;
    end_scope(runtime, scope);
    return 0;
}
