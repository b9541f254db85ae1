// Rings of nodes: in, and out. They never look at what a node is for.
#include "node.h"

#include <assert.h>

namespace zyntax {

void append(Ring *ring, Node *node, Links Node::*links) {
    assert(is_in_use(node));
    uint32_t index = nodes.index_of(node);
    if (ring->empty()) {
        node->*links = {index, index};
        ring->first = index;
        return;
    }
    Node *first = nodes.at(ring->first);
    uint32_t last = (first->*links).prev;
    node->*links = {ring->first, last};
    (nodes.at(last)->*links).next = index;
    (first->*links).prev = index;
}

void remove(Ring *ring, Node *node, Links Node::*links) {
    uint32_t index = nodes.index_of(node);
    uint32_t next = (node->*links).next;
    uint32_t prev = (node->*links).prev; // not both at once: a load of two fresh stores waits for the cache
    assert(!ring->empty() && (nodes.at(prev)->*links).next == index);
    if (next == index) {
        ring->first = 0;
        return;
    }
    if (ring->first == index) ring->first = next;
    (nodes.at(prev)->*links).next = next;
    (nodes.at(next)->*links).prev = prev;
}

} // namespace zyntax
