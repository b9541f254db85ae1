// Leaves: promises of this library, which compiled code awaits. A leaf belongs to the task in whose poll it was made,
// ends with that task at the latest, and never wakes another task.
//
// The poll of a leaf may run compiled code (under a limit, in a select), which may cancel that leaf, poll it again, or
// end a leaf under it. So a leaf that is being polled is never freed and frees nothing: a cancel only sets the value,
// and the end of the poll does the rest.
#pragma once

#include "promise.h"

namespace zyntax {

// The functions of a kind of leaves.
struct LeafKind {
    int64_t (*poll)(Leaf *, Runtime *, Waker *); // the value; or 0: the waker is stored
    void (*drop)(Leaf *, Runtime *) = nullptr;   // frees the leaf's resources, except for its op. May be called twice
    void (*cancel)(Leaf *) = nullptr;            // replaces the value ZYNTAX_ECANCELED: the value comes later
    Leaf *(*inner)(const Leaf *) = nullptr;      // of a limit: the leaf under it, or null
};

// Type-stable memory, like a task's: compiled code may poll a leaf after its end.
struct alignas(64) Leaf {
    static constexpr uint32_t first_block = 64;

    zyntax_promise promise; // in the hands of compiled code: the leaf's number, and poll_leaf
    std::atomic<uint32_t> generation, owner;
    uint32_t link;  // the pool's
    bool is_polled; // owner only, as all that follows. Set by advance before the poll, cleared after it
    PromiseTask *task;
    Leaf *next, *prev; // in the task's list
    const LeafKind *kind;
    zyntax_op op_id;
    int64_t value;            // 0: pending. Set once; collect takes it
    void (*discard)(int64_t); // frees the resources of an untaken value. Set with it, cleared by collect; or null
    alignas(8) unsigned char data[40]; // the kind's
};
static_assert(sizeof(Leaf) == 128);

using LeafPool = Pool<Leaf, 64, wide ? 1u << 24 : 1u << 18>;
ZYNTAX_INTERNAL extern constinit LeafPool leaf_pool;
inline LeafPool &pool_of(Leaf *) { return leaf_pool; }

// A new leaf of the polled promise task; null outside of such a poll, or without memory.
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

// A leaf that is polled by a closure, which is stored in the leaf. The closure returns the value, or 0 if it has stored
// the waker.
template <class Poll> Leaf *make_leaf_of(const Poll &poll) {
    static constexpr LeafKind kind = {
        [](Leaf *leaf, Runtime *, Waker *waker) -> int64_t { return (*data_of<Poll>(leaf))(leaf, waker); }};
    return make_leaf(&kind, poll);
}

// A promise that fails with that error, ZYNTAX_ENOMEM or ZYNTAX_EINVAL; outside of a promise task's poll with
// ZYNTAX_EPERM. It belongs to no task.
zyntax_promise *failing(int32_t error);

// The promise of a leaf; for null a failing one.
inline zyntax_promise *promise_of(Leaf *leaf) { return leaf ? &leaf->promise : failing(ZYNTAX_ENOMEM); }

// Polls a new leaf at once, so that it copies its arguments. Null for null, and without memory, which frees the leaf.
Leaf *begin_leaf(Leaf *);

// The value, which stays in the leaf; 0: pending; ZYNTAX_EDEADLK, which is not the value: the leaf is being polled.
int64_t advance(Leaf *);

// As advance, for the code that awaits the leaf: a value is taken, with its *discard, and ends the leaf.
int64_t collect(Leaf *, void (**discard)(int64_t));

void free_leaf(Leaf *); // the leaf is not being polled
void end_leaf(Leaf *);  // cancels and, unless being polled, frees; also the leaves under a limit. Null: nothing

// The leaf of that number if this thread may use it; null for a freed leaf.
Leaf *find_leaf(uintptr_t number);

int64_t poll_leaf(void *number); // the poll function of every leaf's promise

// The task's leaf behind a promise; null for a compiled promise, a freed leaf, and a leaf of another task.
Leaf *leaf_of(const PromiseTask *, const zyntax_promise &);

inline void close_value(int64_t value) {
    zyntax_io_close(static_cast<zyntax_io *>(to_pointer(static_cast<uintptr_t>(value))));
}

// A leaf of a call that makes a connection; its value is the I/O handle.
template <class Connect> Leaf *make_connection_leaf(Connect connect) {
    return make_leaf_of([connect](Leaf *leaf, Waker *waker) mutable -> int64_t {
        int64_t result;
        zyntax_io *connection;
        if (connect(leaf, waker, &connection, &result) == POLL_PENDING) return 0;
        if (result) return result;
        assert(connection && !leaf->discard);
        leaf->discard = close_value;
        return static_cast<int64_t>(to_bits(connection));
    });
}

// The promise of a connect. It begins at once, so that the call copies the memory of its arguments: the closure passes
// the arguments to the first call only.
template <class Connect> zyntax_promise *promise_of_connect(Connect connect) {
    return promise_of(begin_leaf(make_connection_leaf(connect)));
}

inline bool is_leaf(const zyntax_promise &promise) { return promise.poll == poll_leaf; }

// Whether the promise is of this library: of a leaf, alive or freed, or a failing one.
bool is_ours(const zyntax_promise &);

} // namespace zyntax
