// In debug builds, a recount of every equation that the structs of the heart state.
#include "runtime.h"

#include <initializer_list>

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
    uint64_t held = 0, waiting_io = 0, queued = 0;
    bool good = true;
    tasks.each([&](uint32_t, const Slot *slot) {
        held += count_held(slot->ops, Node::task);
        good = good && count_waiting(slot->joiners, Node::waiting) != UINT64_MAX;
    });
    for (uint32_t i = queue_begin; i != queue_end; i++) {
        good = good && (slots.at(queue[i & queue_mask])->flags & Slot::queued);
    }
    handles.each([&](uint32_t, const Handle *handle) {
        if (handle->kind != &io_kind) return;
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
    return good && timers.is_valid() && held == 0 && waiting_io == 0 && queued == calls &&
           count_waiting(to_call, Node::to_call) == calls && queue_end - queue_begin <= tasks.most() &&
           (tasks.most() == 0 || tasks.most() <= queue_mask + 1);
}
#endif
