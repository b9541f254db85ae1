// Rings of operations: append and remove. They never look at an operation's purpose.
#include "op.h"

#include <assert.h>

namespace zyntax {

constinit OpPool op_pool;

void append_behind(Ring *ring, Op *op, Links Op::*links) {
    uint32_t index = op_pool.index_of(op);
    Op *first = op_pool.at(ring->first);
    uint32_t last = (first->*links).prev;
    assert((op_pool.at(last)->*links).next == ring->first);
    op->*links = {ring->first, last};
    (op_pool.at(last)->*links).next = index;
    (first->*links).prev = index;
}

void remove_from_others(Ring *ring, Op *op, Links Op::*links) {
    uint32_t index = op_pool.index_of(op);
    uint32_t next = (op->*links).next;
    uint32_t prev = (op->*links).prev; // two loads: one load of two fresh stores waits for the cache
    assert((op_pool.at(prev)->*links).next == index && (op_pool.at(next)->*links).prev == index);
    if (ring->first == index) ring->first = next;
    (op_pool.at(prev)->*links).next = next;
    (op_pool.at(next)->*links).prev = prev;
}

} // namespace zyntax
