// Seeing inside: statistics, the dump, and in debug builds a recount of what the loop believes.
#include "../runtime.h"

#include <initializer_list>
#include <string.h>

namespace zyntax {

namespace {

zyntax_wait doing(const Runtime *runtime, const Slot *slot) {
    if (slot == runtime->current) return ZYNTAX_WAIT_RUNNING;
    if (slot->flags & (Slot::queued | Slot::canceled) || slot->in_inbox.load(std::memory_order_relaxed))
        return ZYNTAX_WAIT_QUEUED;
    return static_cast<zyntax_wait>(slot->waits);
}

int32_t to_count(uint64_t n) { return n > INT32_MAX ? INT32_MAX : static_cast<int32_t>(n); }

} // namespace

} // namespace zyntax

using namespace zyntax;

#ifndef NDEBUG
namespace {

// The nodes in a ring, or UINT64_MAX when one of them does not belong there.
template <class Belongs> uint64_t count_ring(const Ring &ring, Links Node::*links, Belongs belongs) {
    uint64_t count = 0;
    for (uint32_t index = ring.first; index;) {
        const Node *node = nodes.at(index);
        bool in_use = node->generation.load(std::memory_order_relaxed) & 1;
        if (!in_use || (nodes.at((node->*links).next)->*links).prev != index || !belongs(node)) return UINT64_MAX;
        count++;
        index = (node->*links).next == ring.first ? 0 : (node->*links).next;
    }
    return count;
}

uint64_t count_waiting(const Ring &ring, Node::Place place) {
    return count_ring(ring, &Node::in_ring, [&](const Node *n) { return n->place == place && n->ring == &ring; });
}

uint64_t count_held(const Ring &ring, Node::Holder holder) {
    return count_ring(ring, &Node::of_task, [&](const Node *n) { return n->holder == holder; });
}

} // namespace

bool zyntax_runtime::is_valid() const {
    uint64_t alive = 0, held = 0, waiting_io = 0, queued = 0;
    bool good = true;
    each_task(this, [&](uint32_t, const Slot *slot) {
        alive++;
        held += count_held(slot->ops, Node::task);
        good = good && count_waiting(slot->joiners, Node::waiting) != UINT64_MAX;
    });
    for (uint32_t i = ready_begin; i != ready_end; i++) {
        good = good && (slots.at(ready[i & ready_mask])->flags & Slot::queued);
    }
    handles.each([&](uint32_t, const Handle *handle) {
        if (handle->kind != Handle::io) return;
        const Io *io = static_cast<const Io *>(handle->object);
        for (const Ring *ring : {&io->readers, &io->writers, &io->either})
            waiting_io += count_waiting(*ring, Node::io_waiting);
    });
    held += count_held(strays, Node::stray) + count_held(forgotten, Node::forgotten);
    nodes.each([&](uint32_t, const Node *node) {
        held -= node->holder != Node::nobody;
        waiting_io -= node->place == Node::io_waiting;
        queued += node->place == Node::to_call;
    });
    return good && alive == tasks_alive() && held == 0 && waiting_io == 0 && queued == calls &&
           count_waiting(to_call, Node::to_call) == calls && ready_end - ready_begin <= block_count * Slots::block;
}
#endif

int32_t zyntax_runtime_get_stats(zyntax_runtime *runtime, zyntax_runtime_stats *stats) noexcept {
    if (!runtime || !stats || stats->size < offsetof(zyntax_runtime_stats, tasks_spawned)) return ZYNTAX_EINVAL;
    check_thread(runtime);
    assert(runtime->is_valid());
    size_t pooled =
        size_t{runtime->block_count} * Slots::block * sizeof(Slot) + runtime->nodes.bytes() + runtime->handles.bytes();
    zyntax_runtime_stats all = {};
    constexpr size_t first = offsetof(zyntax_runtime_stats, tasks_alive), member = sizeof(uint64_t);
    size_t whole = stats->size - (stats->size - first) % member;
    all.size = whole < sizeof all ? whole : sizeof all;
    all.tasks_alive = runtime->tasks_alive();
    all.tasks_spawned = runtime->tasks_spawned;
    all.polls = runtime->polls;
    all.wakes = runtime->wakes;
    all.wakes_remote = runtime->wakes_remote;
    all.kernel_waits = runtime->kernel_waits;
    all.kernel_events = runtime->kernel_events;
    all.events_stale = runtime->events_stale;
    all.timers_pending = runtime->timers.count();
    all.timers_fired = runtime->timers.fired();
    all.io_open = runtime->io_open;
    all.blocking_pending = runtime->blocking_pending;
    all.bytes_reserved = runtime->memory.reserved.load(std::memory_order_relaxed) + pooled;
    all.bytes_in_use =
        runtime->memory.in_use - runtime->timers.reserved_bytes() + runtime->tasks_alive() * sizeof(Slot);
    memcpy(stats, &all, all.size);
    return 0;
}

int32_t zyntax_runtime_dump(zyntax_runtime *runtime, void (*visit)(void *user, const zyntax_task_info *info),
                            void *user) noexcept {
    if (!runtime || !visit) return ZYNTAX_EINVAL;
    check_thread(runtime);
    each_task(runtime, [&](uint32_t index, const Slot *slot) {
        bool will_poll = slot == runtime->current || !(slot->flags & Slot::canceled);
        zyntax_task_info info = {};
        info.size = sizeof info;
        uintptr_t handle = handle_bits(index, slot->generation.load(std::memory_order_relaxed));
        info.task = static_cast<zyntax_task *>(to_pointer(handle));
        info.state = slot->state;
        info.poll = will_poll ? slot->poll : nullptr;
        info.polls = uint64_t{slot->polls_high} << 32 | slot->polls_low;
        info.waits = doing(runtime, slot);
        visit(user, &info);
    });
    return to_count(runtime->tasks_alive());
}

const char *zyntax_runtime_backend(void) noexcept { return Poller::name; }

uint32_t zyntax_runtime_version(void) noexcept { return ZYNTAX_ASYNC_RUNTIME_VERSION; }
