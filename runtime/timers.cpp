// The wheel. To move a timer is to unlink and link its operation, so nothing here needs memory or can fail.
#include "timers.h"

#include <assert.h>
#include <bit>

namespace zyntax {

// find_next_ns reads at most this many operations. A longer ring counts as due at its bucket's start, and moves down
// then.
constexpr uint32_t crowd = 64;

void Timers::put(Op *op) {
    assert(op->deadline_ns >= last_);
    auto level = static_cast<uint32_t>(63 - std::countl_zero((op->deadline_ns ^ last_) | 1)) / digit_bits;
    auto bucket = static_cast<uint32_t>(op->deadline_ns >> (level * digit_bits)) % buckets;
    op->level = level & 15;
    op->bucket = static_cast<uint8_t>(bucket);
    append(&wheel_[level][bucket], op, &Op::in_ring);
    used_[level] |= uint64_t{1} << bucket;
    used_levels_ |= 1u << level;
}

void Timers::take_out(Op *op) {
    uint32_t level = op->level;
    if (op->deadline_ns == next_ns_) next_ns_ = 0;
    Ring *ring = &wheel_[level][op->bucket];
    zyntax::remove(ring, op, &Op::in_ring);
    if (ring->empty()) mark_empty(level, op->bucket);
}

void Timers::mark_empty(uint32_t level, uint32_t bucket) {
    wheel_[level][bucket] = {};
    if (&wheel_[level][bucket] == next_ring_) next_ns_ = 0;
    used_[level] &= ~(uint64_t{1} << bucket);
    if (!used_[level]) used_levels_ &= ~(1u << level);
}

void Timers::insert(Op *op, uint64_t deadline_ns) {
    assert(op->place == Op::nowhere);
    if (deadline_ns == never_ns) return;
    assert(deadline_ns > last_);
    op->place = Op::timer_wheel;
    op->deadline_ns = deadline_ns;
    count_++;
    put(op);
    if (next_ns_ <= deadline_ns) return;
    next_ns_ = deadline_ns;
    next_ring_ = &wheel_[op->level][op->bucket];
}

void Timers::remove(Op *op) {
    assert(op->place == Op::timer_wheel && count_ > 0);
    take_out(op);
    op->place = Op::nowhere;
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
    for (const Op *op = first_of(ring); op; op = next_of(ring, op, &Op::in_ring)) {
        if (++seen > crowd || at.level == 0) return at.start_ns;
        if (op->deadline_ns < earliest) earliest = op->deadline_ns;
    }
    return earliest;
}

// The bucket's time has come: its timers move to lower levels. While one timer is placed, the next one is prefetched,
// and the task that it will wake: with many cold timers this saves a third of the whole time.
void Timers::move_down(const Lowest &at) {
    assert(at.level > 0 && at.start_ns > last_);
    Ring ring = wheel_[at.level][at.bucket];
    Op *op = first_of(ring);
    mark_empty(at.level, at.bucket);
    last_ = at.start_ns;
    while (op) {
        Op *next = next_of(ring, op, &Op::in_ring);
        if (next) os::prefetch(next);
        os::prefetch(task_pool.find(handle_index(to_bits(op->waker.data)))); // a host's waker is any number
        put(op);
        op = next;
    }
}

Op *Timers::pop(uint64_t now_ns) {
    for (Lowest at; find_lowest(&at) && at.start_ns <= now_ns; move_down(at)) {
        Op *op = first_of(wheel_[at.level][at.bucket]);
        bool is_alone = op->in_ring.next == op_pool.index_of(op);
        if (at.level == 0 || (is_alone && op->deadline_ns <= now_ns)) {
            os::prefetch(op_pool.at(op->in_ring.next));
            last_ = op->deadline_ns;
            remove(op);
            return op;
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
            for (const Op *op = first_of(ring); op; op = next_of(ring, op, &Op::in_ring)) {
                uint64_t above = (op->deadline_ns ^ last_) >> (level * digit_bits);
                good = good && op->place == Op::timer_wheel && op->level == level && op->bucket == bucket &&
                       op->deadline_ns >= last_ && above < buckets;
                count++;
            }
        }
    }
    return good && count == count_;
}
#endif

} // namespace zyntax
