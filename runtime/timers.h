// Timers: a hierarchical wheel whose digits are those of the deadline itself, in nanoseconds and base 64. Eleven levels
// cover all 64 bits, so there is no tick to round to, no overflow list, and no uptime at which a value wraps.
// (Varghese and Lauck's scheme 7, with the exact order of a radix heap.) It wakes no task: the loop pops due timers.
//
// Invariant: each timer t is in level L = highest base-64 digit in which t and `last_` differ (0 when in none), bucket
// = that digit of t; so the earliest are in the lowest used bucket of the lowest used level, and all of a bucket of
// level 0 are due at once. A bucket is a ring of operations in the order of insertion. A timer moves down when its
// bucket's time has come, at most once a level.
#pragma once

#include "op.h"

namespace zyntax {

constexpr uint64_t never_ns = UINT64_MAX;

class Timers {
public:
    // The deadline is after every deadline that was due. With never_ns the operation stays outside the wheel.
    void insert(Op *, uint64_t deadline_ns);
    void remove(Op *);

    // Removes and returns the earliest timer that is due by now; null when there is none. Equal deadlines come in the
    // order of insertion.
    Op *pop(uint64_t now_ns);

    // A time not after the earliest deadline, and after every deadline that was due. It is exact unless the bucket is
    // crowded. never_ns when there is no timer.
    uint64_t next_ns() {
        if (!next_ns_) next_ns_ = find_next_ns();
        return next_ns_;
    }

    uint64_t count() const { return count_; }
#ifndef NDEBUG
    bool is_valid() const;
#endif

private:
    static constexpr uint32_t digit_bits = 6;
    static constexpr uint32_t levels = (64 + digit_bits - 1) / digit_bits;
    static constexpr uint32_t buckets = 1u << digit_bits;

    // The lowest used bucket of the lowest used level; false when there is none.
    struct Lowest {
        uint32_t level, bucket;
        uint64_t start_ns; // no deadline in it is earlier
    };
    bool find_lowest(Lowest *) const;
    uint64_t find_next_ns();
    void put(Op *);
    void take_out(Op *);
    void mark_empty(uint32_t level, uint32_t bucket);
    void move_down(const Lowest &);

    uint64_t last_ = 0; // every earlier deadline was due
    uint64_t count_ = 0;
    uint64_t next_ns_ = 0;            // the result of next_ns while it is valid; 0: none
    const Ring *next_ring_ = nullptr; // the lowest bucket, from which next_ns_ is
    uint32_t used_levels_ = 0;        // bit L: level L has a timer
    uint64_t used_[levels] = {};      // bit b of used_[L]: bucket b of level L has a timer
    Ring wheel_[levels][buckets];
};

} // namespace zyntax
