// Leaves: promises of the library's own, which compiled code awaits. A leaf belongs to the task in whose poll it was
// made and goes with it; it never wakes another.
//
// The poll of a leaf may run compiled code (under a limit, in a select), which may cancel that leaf, poll it again, or
// end what is under it. So a leaf that is being polled is never freed and gives nothing back: a cancel notes the value,
// and the end of the poll does the rest.
#pragma once

#include "promise.h"

namespace zyntax {

// What a leaf waits for.
struct LeafKind {
    int64_t (*poll)(Leaf *, Runtime *, Waker *); // the value, or 0, and the waker is stored
    void (*drop)(Leaf *, Runtime *) = nullptr;   // gives back what it holds beside its op. May be called twice
    void (*cancel)(Leaf *) = nullptr;            // instead of the value ZYNTAX_ECANCELED: the value comes later
    Leaf *(*inner)(const Leaf *) = nullptr;      // of a limit: the leaf under it, or null
};

// Memory that is type-stable for the process, like tasks: compiled code may poll one late.
struct alignas(64) Leaf {
    static constexpr uint32_t first_block = 64;

    zyntax_promise promise; // what compiled code holds: the leaf's number, and poll_leaf
    std::atomic<uint32_t> generation, owner;
    uint32_t link;  // the pool's
    bool is_polled; // owner only, as is what follows. Set and cleared by advance
    PromiseTask *task;
    Leaf *next, *prev; // of the task
    const LeafKind *kind;
    zyntax_op op_id;
    int64_t value;            // not 0: it has come, and waits to be asked for
    void (*discard)(int64_t); // of a value that holds something and that nobody has taken; null: it holds nothing
    alignas(8) unsigned char data[40]; // its kind's
};
static_assert(sizeof(Leaf) == 128);

using LeafPool = Pool<Leaf, 64, wide ? 1u << 24 : 1u << 18>;
ZYNTAX_INTERNAL extern constinit LeafPool leaf_pool;
inline LeafPool &pool_of(Leaf *) { return leaf_pool; }

// A new leaf of the polled task; null outside of one, or without memory.
Leaf *make_leaf(const LeafKind *);
template <class Data> Leaf *make_leaf(const LeafKind *kind, const Data &data) {
    static_assert(sizeof(Data) <= sizeof Leaf::data && std::is_trivially_destructible_v<Data>);
    Leaf *leaf = make_leaf(kind);
    if (leaf) ::new (static_cast<void *>(leaf->data)) Data(data);
    return leaf;
}

template <class Data> Data *data_of(Leaf *leaf) { return std::launder(reinterpret_cast<Data *>(leaf->data)); }
template <class Data> const Data *data_of(const Leaf *leaf) {
    return std::launder(reinterpret_cast<const Data *>(leaf->data));
}

// A leaf that is polled by a closure, which lies in the leaf. The closure returns the value, or 0 when it has stored
// the waker.
template <class Poll> Leaf *make_leaf_of(const Poll &poll) {
    static constexpr LeafKind kind = {
        [](Leaf *leaf, Runtime *, Waker *waker) -> int64_t { return (*data_of<Poll>(leaf))(leaf, waker); }};
    return make_leaf(&kind, poll);
}

// A promise that fails with ZYNTAX_ENOMEM or ZYNTAX_EINVAL; outside of a promise task with ZYNTAX_EPERM. It belongs to
// no task.
zyntax_promise *failing(int32_t error);

// Of null: why there is none.
inline zyntax_promise *promise_of(Leaf *leaf) { return leaf ? &leaf->promise : failing(ZYNTAX_ENOMEM); }

// Lets it begin at once, for what has to be copied. Null for null, and without memory, which ends the leaf.
Leaf *begin_leaf(Leaf *);

// Its value, which stays with it; 0 while it is pending; ZYNTAX_EDEADLK, which is not its value, while it is polled.
int64_t advance(Leaf *);

// As advance, for the code that awaits it: a value ends the leaf. *discard is that of the value.
int64_t collect(Leaf *, void (**discard)(int64_t));

void free_leaf(Leaf *); // it is not polled
void end_leaf(Leaf *);  // null is fine. As cancel, and freed unless it is polled; and what is under a limit, too

// The leaf of that number, if this thread may use it; null for one that was freed.
Leaf *find_leaf(uintptr_t number);

int64_t poll_leaf(void *number); // of every leaf

// The leaf of a task that a promise is; null for a compiled one, one that was freed, and that of another task.
Leaf *leaf_of(const PromiseTask *, const zyntax_promise &);

// A handle of I/O as a value.
inline int64_t to_value(zyntax_io *io) { return static_cast<int64_t>(to_bits(io)); }

inline void close_value(int64_t value) {
    zyntax_io_close(static_cast<zyntax_io *>(to_pointer(static_cast<uintptr_t>(value))));
}

// The value of a leaf that makes a connection.
inline int64_t connection_value(Leaf *leaf, int64_t result, zyntax_io *connection) {
    if (result) return result;
    leaf->discard = close_value;
    return to_value(connection);
}

inline bool is_leaf(const zyntax_promise &promise) { return promise.poll == poll_leaf; }

// Whether it is of this section: a leaf, alive or not, or one that fails.
bool is_ours(const zyntax_promise &);

} // namespace zyntax
