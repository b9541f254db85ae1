#include "timers.h"

#include <assert.h>
#include <bit>

namespace zyntax {

namespace {

// Longest list that next_ns looks through; a longer one is timed by its slot, and dissolves when that time comes.
constexpr uint32_t crowd = 64;

} // namespace

void Timers::link(Node *node) {
    auto level = static_cast<uint32_t>(63 - std::countl_zero(node->deadline_ns ^ last_)) / digit_bits;
    auto slot = static_cast<uint32_t>(node->deadline_ns >> (level * digit_bits)) % slots;
    node->level = static_cast<uint8_t>(level);
    node->slot = static_cast<uint8_t>(slot);
    wheel_[level][slot].append(node);
    used_[level] |= uint64_t{1} << slot;
    used_levels_ |= 1u << level;
}

void Timers::insert(Node *node) {
    assert(node->deadline_ns > last_ && node->empty());
    if (node->deadline_ns == never_ns) return;
    node->place = Node::timer_wheel;
    count_++;
    link(node);
}

void Timers::remove(Node *node) {
    assert(node->place == Node::timer_wheel);
    node->unlink();
    node->place = Node::nowhere;
    count_--;
    if (!wheel_[node->level][node->slot].empty()) return;
    used_[node->level] &= ~(uint64_t{1} << node->slot);
    if (!used_[node->level]) used_levels_ &= ~(1u << node->level);
}

uint64_t Timers::start_of(uint32_t level, uint32_t slot) const {
    uint32_t shift = level * digit_bits;
    uint64_t above = level + 1 == levels ? 0 : last_ >> (shift + digit_bits) << (shift + digit_bits);
    return above | uint64_t{slot} << shift;
}

uint64_t Timers::next_ns() const {
    if (!used_levels_) return never_ns;
    auto level = static_cast<uint32_t>(std::countr_zero(used_levels_));
    auto slot = static_cast<uint32_t>(std::countr_zero(used_[level]));
    const Link *list = &wheel_[level][slot];
    uint64_t earliest = never_ns;
    uint32_t seen = 0;
    for (const Link *link = list->next; link != list; link = link->next) {
        if (++seen > crowd) return start_of(level, slot);
        uint64_t deadline = static_cast<const Node *>(link)->deadline_ns;
        if (deadline < earliest) earliest = deadline;
    }
    return earliest;
}

void Timers::expire(Runtime *runtime, uint64_t now_ns) {
    while (used_levels_) {
        auto level = static_cast<uint32_t>(std::countr_zero(used_levels_));
        auto slot = static_cast<uint32_t>(std::countr_zero(used_[level]));
        uint64_t start = start_of(level, slot);
        if (start > now_ns) break;
        Link *list = &wheel_[level][slot];
        bool alone = list->next == list->prev;
        if (level == 0 || (alone && list->front()->deadline_ns <= now_ns)) {
            Node *node = list->front();
            last_ = node->deadline_ns;
            remove(node);
            fired_++;
            fire(runtime, node);
            continue;
        }
        // The slot's time has come: its timers move to lower levels, and to where they fire at once if due exactly now.
        last_ = start;
        used_[level] &= ~(uint64_t{1} << slot);
        if (!used_[level]) used_levels_ &= ~(1u << level);
        Link due;
        while (!list->empty()) {
            Node *node = list->front();
            __builtin_prefetch(node->next->next);
            node->unlink();
            if (node->deadline_ns == start) due.append(node);
            else link(node);
        }
        while (!due.empty()) {
            Node *node = due.front();
            node->unlink();
            node->place = Node::nowhere;
            count_--;
            fired_++;
            fire(runtime, node);
        }
    }
    if (now_ns > last_) last_ = now_ns;
}

} // namespace zyntax
