// Timers: a hierarchical wheel whose digits are those of the deadline itself, in nanoseconds and base 64. Eleven levels
// cover all 64 bits, so there is no tick to round to, no overflow list, and no uptime at which anything wraps.
// (Varghese and Lauck's scheme 7, with the exact order of a radix heap.)
//
// Invariant: each timer t is in level L = highest base-64 digit in which t and `last_` differ, slot = that digit of t;
// so the earliest are in the lowest used slot of the lowest used level. A timer moves down when its slot's time has
// come, at most once a level, and fires from level 0 or when it is alone in its slot. Equal deadlines stay in order.
// Lists are linked through the nodes: nothing here allocates, so nothing here fails.
#pragma once

#include "await.h"

namespace zyntax {

constexpr uint64_t never_ns = UINT64_MAX;

class Timers {
public:
    // Links the node. deadline_ns is above every `now` that expire was told; never_ns is not linked at all.
    void insert(Node *);
    void remove(Node *);

    // Fires everything with a deadline up to now, in order of deadline, then of insertion.
    void expire(Runtime *, uint64_t now_ns);

    // A time not after the earliest deadline and after every one that expired: exact unless its slot is crowded.
    // never_ns when there is none.
    uint64_t next_ns() const;

    uint64_t count() const { return count_; }
    uint64_t fired() const { return fired_; }
    uint64_t last_ns() const { return last_; }

private:
    static constexpr uint32_t digit_bits = 6;
    static constexpr uint32_t levels = (64 + digit_bits - 1) / digit_bits;
    static constexpr uint32_t slots = 1u << digit_bits;

    void link(Node *);
    uint64_t start_of(uint32_t level, uint32_t slot) const;

    uint64_t last_ = 0; // everything up to here has fired
    uint64_t count_ = 0;
    uint64_t fired_ = 0;
    uint32_t used_levels_ = 0;    // bit L: level L has a timer
    uint64_t used_[levels] = {};  // bit s of used_[L]: slot s of level L has a timer
    Link wheel_[levels][slots];
};

} // namespace zyntax
