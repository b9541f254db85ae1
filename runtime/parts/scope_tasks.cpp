// Scopes: the life of their tasks. See scope.h.
#include "scope.h"

namespace zyntax {

constinit ScopePool scope_pool;

ScopeRef find_scope(const zyntax_scope *handle) {
    Scope *scope = find_alive(scope_pool, to_bits(handle));
    Runtime *runtime = scope ? usable_runtime(scope->owner.load(std::memory_order_acquire)) : nullptr;
    return {runtime, runtime ? scope : nullptr};
}

namespace {

// The state of a scope's task.
struct ScopeState : Wrapped {
    DropFn drop; // may be null
    size_t owned;
    ScopeTask *task;
};

// ---- the lists ----

void add_alive(Scope *scope, ScopeTask *task) {
    task->next = scope->tasks;
    task->prev = nullptr;
    if (scope->tasks) scope->tasks->prev = task;
    scope->tasks = task;
    scope->alive++;
}

void remove_alive(Scope *scope, ScopeTask *task) {
    assert(scope->alive > 0);
    (task->prev ? task->prev->next : scope->tasks) = task->next;
    if (task->next) task->next->prev = task->prev;
    scope->alive--;
}

void add_ended(Scope *scope, ScopeTask *task) {
    task->next = nullptr;
    (scope->oldest ? scope->newest->next : scope->oldest) = task;
    scope->newest = task;
    scope->ended++;
}

// ---- the tasks ----

// A cancel of another thread counts from its return on, although the owner hears of it later.
PollStatus poll_in_scope(FutureState state, Waker *waker) {
    const auto *wrapped = static_cast<const ScopeState *>(state);
    const Scope *scope = wrapped->task->scope;
    if (scope && !scope->is_canceled()) return wrapped->poll(wrapped->state, waker);
    zyntax_task_cancel(wrapped->task->handle);
    return POLL_PENDING;
}

void drop_user_state(Runtime *runtime, void *state, DropFn drop, size_t owned, int32_t outcome) {
    if (drop) drop(state, outcome);
    if (owned) runtime->arena.give(state, owned);
}

// The drop function may destroy the scope.
void drop_in_scope(FutureState state, int32_t outcome) {
    const auto *wrapped = static_cast<const ScopeState *>(state);
    Runtime *runtime = driven();
    drop_user_state(runtime, wrapped->state, wrapped->drop, wrapped->owned, outcome);
    ScopeTask *task = wrapped->task;
    Scope *scope = task->scope;
    if (!scope) return runtime->arena.give(task, sizeof(ScopeTask));
    remove_alive(scope, task);
    add_ended(scope, task);
    settle_scope(runtime, scope);
}

// Ends the waits of the only task left for its own scope: their next call is ZYNTAX_EDEADLK.
void fire_waits_of(Runtime *runtime, const ScopeTask *last, Ring *ring) {
    for (Op *op = first_of(*ring); op;) {
        Op *next = next_of(*ring, op, &Op::in_ring);
        if (op->waker.data == static_cast<void *>(last->handle)) {
            op->source = nullptr;
            fire(runtime, op);
        }
        op = next;
    }
}

} // namespace

zyntax_task *take_ended(Runtime *runtime, Scope *scope) {
    ScopeTask *task = scope->oldest;
    if (!task) return nullptr;
    zyntax_task *handle = task->handle;
    scope->oldest = task->next;
    scope->ended--;
    runtime->arena.give(task, sizeof(ScopeTask));
    return handle;
}

bool is_last_polled(const Runtime *runtime, const Scope *scope) {
    return scope->alive == 1 && runtime->current && scope->tasks->handle == runtime->waker.data;
}

void settle_scope(Runtime *runtime, Scope *scope) {
    give_turns(runtime, &scope->nexts, scope->available());
    if (!scope->alive) fire_all(runtime, &scope->joins);
    if (scope->alive != 1) return;
    fire_waits_of(runtime, scope->tasks, &scope->joins);
    if (!scope->ended) fire_waits_of(runtime, scope->tasks, &scope->nexts.queue);
}

} // namespace zyntax

using namespace zyntax;

zyntax_task *zyntax_scope_spawn(zyntax_scope *handle, FutureState state, PollFn poll, DropFn drop,
                                size_t owned) noexcept {
    auto [runtime, scope] = find_scope(handle);
    if (!scope || !poll || (owned && (!state || owned > Arena::max_size))) return nullptr;
    if (scope->is_canceled() || runtime->is_ending) return drop_refused(runtime, state, drop, owned);
    auto *task = static_cast<ScopeTask *>(runtime->arena.take(sizeof(ScopeTask)));
    void *memory = task ? runtime->arena.take(sizeof(ScopeState)) : nullptr;
    if (memory) {
        auto *wrapped = ::new (memory) ScopeState{{state, poll}, drop, owned, task};
        task->handle = zyntax_runtime_spawn_with(runtime, wrapped, poll_in_scope, drop_in_scope, sizeof(ScopeState));
        task->scope = scope;
        if (task->handle) {
            find_task(task->handle)->flags |= Task::is_wrapped;
            add_alive(scope, task);
            return task->handle;
        }
        runtime->arena.give(memory, sizeof(ScopeState));
    }
    if (task) runtime->arena.give(task, sizeof(ScopeTask));
    return nullptr;
}
