// The wheel. Moving a timer is unlinking and linking its node, so that nothing here needs memory or can fail.
#include "timers.h"

#include <assert.h>
#include <bit>

namespace zyntax {

// Most nodes that find_next_ns looks through; a longer ring is timed by its bucket, and dissolves when that time comes.
constexpr uint32_t crowd = 64;

void Timers::put(Node *node) {
    assert(node->deadline_ns >= last_);
    auto level = static_cast<uint32_t>(63 - std::countl_zero((node->deadline_ns ^ last_) | 1)) / digit_bits;
    auto bucket = static_cast<uint32_t>(node->deadline_ns >> (level * digit_bits)) % buckets;
    node->level = static_cast<uint8_t>(level);
    node->bucket = static_cast<uint8_t>(bucket);
    append(&wheel_[level][bucket], node, &Node::in_ring);
    used_[level] |= uint64_t{1} << bucket;
    used_levels_ |= 1u << level;
}

void Timers::take_out(Node *node) {
    uint32_t level = node->level;
    if (node->deadline_ns == next_ns_) next_ns_ = 0;
    Ring *ring = &wheel_[level][node->bucket];
    zyntax::remove(ring, node, &Node::in_ring);
    if (ring->empty()) mark_empty(level, node->bucket);
}

void Timers::mark_empty(uint32_t level, uint32_t bucket) {
    wheel_[level][bucket] = {};
    if (&wheel_[level][bucket] == next_ring_) next_ns_ = 0;
    used_[level] &= ~(uint64_t{1} << bucket);
    if (!used_[level]) used_levels_ &= ~(1u << level);
}

void Timers::insert(Node *node, uint64_t deadline_ns) {
    assert(node->place == Node::nowhere);
    if (deadline_ns == never_ns) return;
    assert(deadline_ns > last_);
    node->place = Node::timer_wheel;
    node->deadline_ns = deadline_ns;
    count_++;
    put(node);
    if (next_ns_ <= deadline_ns) return;
    next_ns_ = deadline_ns;
    next_ring_ = &wheel_[node->level][node->bucket];
}

void Timers::remove(Node *node) {
    assert(node->place == Node::timer_wheel && count_ > 0);
    take_out(node);
    node->place = Node::nowhere;
    count_--;
}

bool Timers::find_lowest(Lowest *lowest) const {
    if (!used_levels_) return false;
    auto level = static_cast<uint32_t>(std::countr_zero(used_levels_));
    auto bucket = static_cast<uint32_t>(std::countr_zero(used_[level]));
    uint32_t shift = level * digit_bits;
    uint64_t above = level + 1 == levels ? 0 : last_ >> (shift + digit_bits) << (shift + digit_bits);
    *lowest = {level, bucket, above | uint64_t{bucket} << shift};
    return true;
}

uint64_t Timers::find_next_ns() {
    Lowest at;
    if (!find_lowest(&at)) return never_ns;
    const Ring &ring = wheel_[at.level][at.bucket];
    next_ring_ = &ring;
    uint64_t earliest = never_ns;
    uint32_t seen = 0;
    for (const Node *node = first_of(ring); node; node = next_of(ring, node, &Node::in_ring)) {
        if (++seen > crowd || at.level == 0) return at.start_ns;
        if (node->deadline_ns < earliest) earliest = node->deadline_ns;
    }
    return earliest;
}

// The bucket's time has come: what is in it goes to lower levels. The next node is asked for while one is placed, and
// the task that it will wake, which is soon needed: with many cold timers that is a third of the whole time.
void Timers::move_down(const Lowest &at) {
    assert(at.level > 0 && at.start_ns > last_);
    Ring ring = wheel_[at.level][at.bucket];
    Node *node = first_of(ring);
    mark_empty(at.level, at.bucket);
    last_ = at.start_ns;
    while (node) {
        Node *next = next_of(ring, node, &Node::in_ring);
        if (next) os::prefetch(next);
        os::prefetch(slots.find(handle_index(to_bits(node->waker.data)))); // a host's waker is any number
        put(node);
        node = next;
    }
}

Node *Timers::pop(uint64_t now_ns) {
    for (Lowest at; find_lowest(&at) && at.start_ns <= now_ns; move_down(at)) {
        Node *node = first_of(wheel_[at.level][at.bucket]);
        bool is_alone = node->in_ring.next == nodes.index_of(node);
        if (at.level == 0 || (is_alone && node->deadline_ns <= now_ns)) {
            os::prefetch(nodes.at(node->in_ring.next));
            last_ = node->deadline_ns;
            remove(node);
            return node;
        }
    }
    if (now_ns > last_) last_ = now_ns;
    return nullptr;
}

#ifndef NDEBUG
bool Timers::is_valid() const {
    uint64_t count = 0;
    bool good = true;
    for (uint32_t level = 0; level < levels; level++) {
        good = good && (used_levels_ >> level & 1) == (used_[level] != 0);
        for (uint64_t left = used_[level]; left; left &= left - 1) {
            auto bucket = static_cast<uint32_t>(std::countr_zero(left));
            const Ring &ring = wheel_[level][bucket];
            good = good && !ring.empty();
            for (const Node *node = first_of(ring); node; node = next_of(ring, node, &Node::in_ring)) {
                uint64_t above = (node->deadline_ns ^ last_) >> (level * digit_bits);
                good = good && node->place == Node::timer_wheel && node->level == level && node->bucket == bucket &&
                       node->deadline_ns >= last_ && above < buckets;
                count++;
            }
        }
    }
    return good && count == count_;
}
#endif

} // namespace zyntax
