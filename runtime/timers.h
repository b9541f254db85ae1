// Timers: a hierarchical wheel whose digits are those of the deadline itself, in nanoseconds and base 64. Eleven levels
// cover all 64 bits, so there is no tick to round to, no overflow list, and no uptime at which anything wraps.
// (Varghese and Lauck's scheme 7, with the exact order of a radix heap.)
//
// Invariant: each timer t is in level L = highest base-64 digit in which t and `last_` differ, slot = that digit of t;
// so the earliest are in the lowest used slot of the lowest used level. A timer moves down when its slot's time has
// come, at most once a level, and fires from level 0 or when it is alone in its slot.
//
// A slot is a chain of blocks of entries and not a list through the nodes: what moves down is read in order, where a
// list would cost a cache miss a timer. Blocks are reserved when a timer is inserted, so that moving cannot fail:
//   blocks_ >= entries / Block::size + min(entries, all slots) + 2
#pragma once

#include "await.h"
#include "memory.h"

namespace zyntax {

constexpr uint64_t never_ns = UINT64_MAX;

struct TimerEntry {
    uint64_t deadline_ns;
    Node *node; // whose `timer` points back here
};

class Timers {
public:
    // The deadline is above last_ns(). One of never_ns takes no place. False, with nothing changed, without memory.
    bool insert(Arena &, Node *, uint64_t deadline_ns);
    void remove(Node *);

    // Fires everything with a deadline up to now in order of deadline. Equal deadlines fire in order of insertion,
    // unless others of their slot were removed meanwhile.
    void expire(Runtime *, uint64_t now_ns);

    // A time not after the earliest deadline and after every one that expired: exact unless its slot is crowded.
    // never_ns when there is none.
    uint64_t next_ns() const;

    uint64_t count() const { return count_; }
    uint64_t fired() const { return fired_; }
    size_t reserved_bytes() const { return blocks_ * block_bytes; }

private:
    static constexpr uint32_t digit_bits = 6;
    static constexpr uint32_t levels = (64 + digit_bits - 1) / digit_bits;
    static constexpr uint32_t slots = 1u << digit_bits;

    struct Block {
        static constexpr uint32_t size = 14;
        Block *older, *newer; // in a chain, all but the newest are full
        uint32_t count;
        TimerEntry entries[size];
    };
    static constexpr size_t block_bytes = 256; // its class in the arena
    static_assert(sizeof(Block) <= block_bytes);

    struct Chain {
        Block *newest = nullptr;
        Block *oldest = nullptr;
    };

    bool reserve(Arena &);
    void place(uint64_t deadline_ns, Node *);
    void free_block(Block *);
    void fire_entry(Runtime *, const TimerEntry &);
    void move_down(Runtime *, uint32_t level, uint32_t slot);
    void mark_empty(uint32_t level, uint32_t slot);
    uint64_t start_of(uint32_t level, uint32_t slot) const;

    uint64_t last_ = 0; // everything up to here has fired
    size_t count_ = 0;
    uint64_t fired_ = 0;
    size_t blocks_ = 0;          // free and in chains
    Block *free_ = nullptr;      // list through `older`
    uint32_t used_levels_ = 0;   // bit L: level L has a timer
    uint64_t used_[levels] = {}; // bit s of used_[L]: slot s of level L has a timer
    Chain wheel_[levels][slots];
};

} // namespace zyntax
