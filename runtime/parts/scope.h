// Scopes: tasks that belong together. Their data, for the tasks' life (scope.cpp) and for the calls that wait
// (scope_wait.cpp).
//
// A task of a scope polls and drops through two functions of this part, whose state is a ScopeState. So the heart knows
// nothing of scopes. Each end costs the same, as a task leaves a list.
#pragma once

#include "turns.h"

namespace zyntax {

struct Scope;

// A task of a scope, alive or ended. Kept after the end until `next` reports it.
struct ScopeTask {
    ScopeTask *next, *prev; // alive: in Scope::tasks; ended: `next` in Scope::oldest
    zyntax_task *handle;
    Scope *scope; // null: destroyed before the task's end
};
static_assert(sizeof(ScopeTask) == 32 || !wide);

// The calls of `next` that wait.
struct Nexts : Turns {
    Scope *scope;
};

// Type-stable memory, as any thread may cancel with a stale handle. The message tells the owner of such a cancel.
//   alive == ScopeTasks in `tasks`; ended == ScopeTasks in `oldest`
//   available to `next`: ended tasks; without limit when no task is left, as each call then ends
struct alignas(64) Scope : Message {
    static constexpr uint32_t first_block = 64;

    std::atomic<uint32_t> generation, owner;
    std::atomic<uint32_t> cancel_generation; // the newest generation that was canceled; only grows
    std::atomic<uint32_t> is_sent;           // 1: the message is on its way. Set by cancel, cleared on arrival
    uint32_t link;                           // the pool's
    bool tells;                              // `next` was called. Set by that call, never cleared
    uint64_t alive, ended;
    ScopeTask *tasks;
    ScopeTask *oldest, *newest; // ended
    Nexts nexts;
    Ring joins; // calls of `join` that wait

    size_t available() const {
        if (ended) return static_cast<size_t>(ended);
        return alive ? 0 : SIZE_MAX;
    }
    bool is_canceled() const {
        return cancel_generation.load(std::memory_order_acquire) == generation.load(std::memory_order_relaxed);
    }
};

using ScopePool = Pool<Scope, 16, wide ? 1u << 22 : 1u << 16>;
ZYNTAX_INTERNAL extern constinit ScopePool scope_pool;
inline ScopePool &pool_of(Scope *) { return scope_pool; }

using ScopeRef = Ref<Scope>;
ScopeRef find_scope(const zyntax_scope *);

// Wakes the calls that can end: with an ended task, because no task is left, or because the only task left waits for
// itself.
void settle_scope(Runtime *, Scope *);

// Whether the only task left is being polled.
bool is_last_polled(const Runtime *, const Scope *);

// The oldest ended task, which is freed; null: none.
zyntax_task *take_ended(Runtime *, Scope *);

} // namespace zyntax
