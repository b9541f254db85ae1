// In debug builds: what is said of a host's mistakes before the abort; and a recount of every equation that the structs
// of the heart state, and of those that the kinds of handles have. It changes nothing.
#include "runtime.h"

#include <inttypes.h>
#include <stdio.h>

using namespace zyntax;

#ifndef NDEBUG
namespace {

constexpr uint64_t broken = UINT64_C(1) << 63; // more than there are nodes

// The nodes in a ring; `broken` when one of them does not belong there.
template <class Belongs> uint64_t count_ring(const Ring &ring, Links Node::*links, Belongs belongs) {
    uint64_t count = 0;
    for (const Node *node = first_of(ring); node; node = next_of(ring, node, links)) {
        const Node *next = nodes.at((node->*links).next);
        if (!is_in_use(node) || (next->*links).prev != nodes.index_of(node) || !belongs(node)) return broken;
        count++;
    }
    return count;
}

uint64_t count_held(const Ring &ring, Node::Holder holder) {
    return count_ring(ring, &Node::of_task, [&](const Node *n) { return n->holder == holder; });
}

} // namespace

uint64_t zyntax::count_waiting(const Ring &ring, Node::Place place) {
    return count_ring(ring, &Node::in_ring, [&](const Node *n) { return n->place == place && n->ring == &ring; });
}

bool zyntax_runtime::is_valid() const {
    uint64_t held = count_held(strays, Node::stray) + count_held(forgotten, Node::forgotten);
    uint64_t queued = 0, waiting = 0;
    bool good = count_waiting(to_call, Node::to_call) == calls && timers.is_valid();
    tasks.each([&](uint32_t, const Slot *slot) {
        held += count_held(slot->ops, Node::task);
        waiting += count_waiting(slot->joiners, Node::waiting);
        queued += (slot->flags & Slot::queued) != 0;
    });
    for (uint32_t i = queue_begin; i != queue_end; i++) {
        const Slot *slot = slots.at(queue[i & queue_mask]);
        good = good && (slot->flags & Slot::queued);
        queued -= slot->generation.load(std::memory_order_relaxed) & 1;
    }
    handles.each([&](uint32_t, const Handle *handle) { waiting += handle->kind->count_waiting(handle->object); });
    uint64_t in_io = 0, to_be_called = 0, in_wheel = 0;
    nodes.each([&](uint32_t, const Node *node) {
        held -= node->holder != Node::nobody;
        waiting -= node->place == Node::waiting || node->place == Node::io_waiting;
        in_io += node->place == Node::io_waiting;
        to_be_called += node->place == Node::to_call;
        in_wheel += node->place == Node::timer_wheel;
    });
    return good && held == 0 && queued == 0 && waiting == 0 && in_io == io_waiting && to_be_called == calls &&
           in_wheel == timers.count() && tasks.is_valid() && nodes.is_valid() && handles.is_valid() &&
           (tasks.most() == 0 || tasks.most() <= queue_mask + 1);
}

bool zyntax_runtime::is_valid_by_and_by() {
    recount_credit += 256 + counts.polls - recounted_polls;
    recounted_polls = counts.polls;
    if (recount_credit < tasks.used() + nodes.used() + handles.used()) return true;
    recount_credit = 0;
    return is_valid();
}

void zyntax::panic_for_thread(const char *function) {
    char text[200];
    snprintf(text, sizeof text, "zyntax: %s is marked [rt] and was called while another thread drives the runtime\n",
             function);
    os::panic(text);
}

void zyntax::panic_for_status(const Runtime *runtime, const Slot *slot, int32_t status) {
    char text[200];
    snprintf(text, sizeof text,
             "zyntax: task 0x%" PRIxPTR " has returned %" PRId32 ", neither POLL_READY nor POLL_PENDING, from its "
             "poll function 0x%" PRIxPTR "\n",
             to_bits(runtime->waker.data), status, reinterpret_cast<uintptr_t>(slot->poll));
    os::panic(text);
}
#endif
