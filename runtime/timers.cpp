#include "runtime.h"

#include <bit>

namespace zyntax {

namespace {

// Most entries that next_ns looks through; a longer chain is timed by its slot, and dissolves when that time comes.
constexpr uint32_t crowd = 64;

} // namespace

bool Timers::reserve(Arena &arena) {
    size_t entries = count_ + 1;
    size_t wanted = entries / Block::size + (entries < levels * slots ? entries : levels * slots) + 2;
    for (; blocks_ < wanted; blocks_++) {
        void *memory = arena.take(block_bytes);
        if (!memory) return false;
        free_block(static_cast<Block *>(memory));
    }
    return true;
}

void Timers::free_block(Block *block) {
    block->older = free_;
    free_ = block;
}

void Timers::place(uint64_t deadline_ns, Node *node) {
    auto level = static_cast<uint32_t>(63 - std::countl_zero(deadline_ns ^ last_)) / digit_bits;
    auto slot = static_cast<uint32_t>(deadline_ns >> (level * digit_bits)) % slots;
    Chain &chain = wheel_[level][slot];
    Block *block = chain.newest;
    if (!block || block->count == Block::size) {
        block = free_;
        assert(block);
        free_ = block->older;
        block->older = chain.newest;
        block->newer = nullptr;
        block->count = 0;
        (chain.newest ? chain.newest->newer : chain.oldest) = block;
        chain.newest = block;
        used_[level] |= uint64_t{1} << slot;
        used_levels_ |= 1u << level;
    }
    TimerEntry *entry = &block->entries[block->count++];
    *entry = {deadline_ns, node};
    node->timer = entry;
    node->level = static_cast<uint8_t>(level);
    node->slot = static_cast<uint8_t>(slot);
}

bool Timers::insert(Arena &arena, Node *node, uint64_t deadline_ns) {
    assert(node->place == Node::nowhere);
    if (deadline_ns == never_ns) return true;
    assert(deadline_ns > last_);
    if (!reserve(arena)) return false;
    node->place = Node::timer_wheel;
    count_++;
    place(deadline_ns, node);
    return true;
}

// The chain's last entry takes the place of the one that goes.
void Timers::remove(Node *node) {
    assert(node->place == Node::timer_wheel && node->timer->node == node);
    Chain &chain = wheel_[node->level][node->slot];
    Block *block = chain.newest;
    TimerEntry moved = block->entries[--block->count];
    *node->timer = moved;
    moved.node->timer = node->timer;
    node->place = Node::nowhere;
    count_--;
    if (block->count > 0) return;
    chain.newest = block->older;
    (chain.newest ? chain.newest->newer : chain.oldest) = nullptr;
    free_block(block);
    if (!chain.newest) mark_empty(node->level, node->slot);
}

void Timers::mark_empty(uint32_t level, uint32_t slot) {
    used_[level] &= ~(uint64_t{1} << slot);
    if (!used_[level]) used_levels_ &= ~(1u << level);
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
    uint64_t earliest = never_ns;
    uint32_t seen = 0;
    for (const Block *block = wheel_[level][slot].oldest; block; block = block->newer) {
        if ((seen += block->count) > crowd) return start_of(level, slot);
        for (uint32_t i = 0; i < block->count; i++) {
            if (block->entries[i].deadline_ns < earliest) earliest = block->entries[i].deadline_ns;
        }
    }
    return earliest;
}

void Timers::fire_entry(Runtime *runtime, const TimerEntry &entry) {
    entry.node->place = Node::nowhere;
    count_--;
    fired_++;
    fire(runtime, entry.node);
}

// The slot's time has come: what is due exactly now fires, the rest goes to lower levels. Firing wakes tasks of ours
// or puts foreign wakers on a list, and never touches another timer.
void Timers::move_down(Runtime *runtime, uint32_t level, uint32_t slot) {
    Block *block = wheel_[level][slot].oldest;
    wheel_[level][slot] = {};
    mark_empty(level, slot);
    while (block) {
        for (uint32_t i = 0; block->newer && i < block->newer->count; i++) {
            os::prefetch(block->newer->entries[i].node);
        }
        for (uint32_t i = 0; i < block->count; i++) {
            TimerEntry entry = block->entries[i];
            if (entry.deadline_ns == last_) fire_entry(runtime, entry);
            else place(entry.deadline_ns, entry.node);
        }
        Block *done = block;
        block = block->newer;
        free_block(done);
    }
}

void Timers::expire(Runtime *runtime, uint64_t now_ns) {
    while (used_levels_) {
        auto level = static_cast<uint32_t>(std::countr_zero(used_levels_));
        auto slot = static_cast<uint32_t>(std::countr_zero(used_[level]));
        uint64_t start = start_of(level, slot);
        if (start > now_ns) break;
        const Block *newest = wheel_[level][slot].newest;
        bool alone = newest->count == 1 && !newest->older;
        if (alone && newest->entries[0].deadline_ns <= now_ns) {
            TimerEntry entry = newest->entries[0];
            last_ = entry.deadline_ns;
            remove(entry.node);
            fired_++;
            fire(runtime, entry.node);
        } else {
            last_ = start;
            move_down(runtime, level, slot);
        }
    }
    if (now_ns > last_) last_ = now_ns;
}

} // namespace zyntax
