// Leaves: promises of the library's own, which compiled code awaits. A leaf belongs to the task in whose poll it was
// made and goes with it; it never wakes another.
#pragma once

#include "promise.h"

namespace zyntax {

// What a leaf waits for.
struct LeafKind {
    int64_t (*poll)(Leaf *, Runtime *, Waker *); // the value, or 0, and the waker is stored
    void (*drop)(Leaf *, Runtime *) = nullptr;   // when it ends, before its op is given up
    void (*cancel)(Leaf *) = nullptr;            // instead of giving its op up
};

// Memory that is type-stable for the process, like tasks: compiled code may poll one late.
struct alignas(64) Leaf {
    static constexpr uint32_t first_block = 64;

    zyntax_promise promise; // what compiled code holds: the leaf's number, and poll_leaf
    std::atomic<uint32_t> generation, owner;
    uint32_t link;     // the pool's
    PromiseTask *task; // owner only, as is what follows
    Leaf *next, *prev; // of the task
    const LeafKind *kind;
    zyntax_op op;
    int64_t value;                     // not 0: it has come, and waits to be asked for
    alignas(8) unsigned char data[40]; // its kind's
};

using Leaves = Pool<Leaf, 64, wide ? 1u << 24 : 1u << 18>;
ZYNTAX_INTERNAL extern constinit Leaves leaves;
inline Leaves &pool_of(Leaf *) { return leaves; }

// A new leaf of the polled task; null outside of one, or without memory.
Leaf *make_leaf(const LeafKind *);
template <class Data> Leaf *make_leaf(const LeafKind *kind, const Data &data) {
    static_assert(sizeof(Data) <= sizeof Leaf::data && std::is_trivially_destructible_v<Data>);
    Leaf *leaf = make_leaf(kind);
    if (leaf) ::new (static_cast<void *>(leaf->data)) Data(data);
    return leaf;
}

template <class Data> Data *data_of(Leaf *leaf) { return std::launder(reinterpret_cast<Data *>(leaf->data)); }

// Lets it begin at once, for what has to be copied. Null for null, and when memory is short, which
// ends the leaf.
zyntax_promise *begin_leaf(Leaf *);

// Its value, which stays with it; 0 while it is pending.
int64_t advance(Leaf *);

void free_leaf(Leaf *);

// The leaf of that number, if this thread may use it; null for one that was freed.
Leaf *find_leaf(uintptr_t number);

int64_t poll_leaf(void *number); // of every leaf

inline zyntax_promise *promise_of(Leaf *leaf) { return leaf ? &leaf->promise : nullptr; }

// A handle of I/O as a value.
inline int64_t to_value(zyntax_io *io) { return static_cast<int64_t>(to_bits(io)); }

// Closes a connection that has come and that nobody has asked for yet.
inline void close_value(Leaf *leaf, Runtime *) {
    if (leaf->value > 0) zyntax_io_close(static_cast<zyntax_io *>(to_pointer(static_cast<uintptr_t>(leaf->value))));
}

inline bool is_leaf(const zyntax_promise &promise) { return promise.poll == poll_leaf; }

} // namespace zyntax
