// Handles of I/O and channels: numbers with a generation that name an object of a runtime. The handle's kind knows the
// object's type and its end.
#pragma once

#include "pool.h"

namespace zyntax {

// A kind of objects that have handles.
struct HandleKind {
    void (*destroy)(Runtime *, void *object);                         // with its handle, as the runtime ends
    uint64_t (*count_waiting)(const void *object);                    // operations in its rings, for is_valid
    void (*ready)(Runtime *, void *object, uint32_t ready) = nullptr; // bits of Event::ready; null: no descriptor
    void (*forget)(void *object) = nullptr;                           // in a copy after fork. Null: nothing to do
};

// The entry that a handle's number names.
struct Handle {
    static constexpr uint32_t first_block = 256;

    std::atomic<uint32_t> generation; // odd: in use
    std::atomic<uint32_t> owner;
    union {
        void *object;  // owner only, as is `kind`
        uint32_t link; // the pool's
    };
    const HandleKind *kind; // null: there is no object
};

using HandlePool = Pool<Handle, 256, wide ? 1u << 24 : 1u << 18>;
ZYNTAX_INTERNAL extern constinit HandlePool handle_pool;
inline HandlePool &pool_of(Handle *) { return handle_pool; }

// A handle's object and its runtime.
template <class T> struct Ref {
    Runtime *runtime = nullptr;
    T *object = nullptr; // null: the handle is dead
};

// The object of a handle, if the handle has this kind and this thread may use it.
Ref<void> find_object(const void *number, const HandleKind *kind);
template <class T> Ref<T> find(const void *number, const HandleKind *kind) {
    Ref<void> ref = find_object(number, kind);
    return {ref.runtime, static_cast<T *>(ref.object)};
}

// The handle of an object, or null without memory. give_handle makes it stale.
void *take_handle(Runtime *, const HandleKind *kind, void *object);
void give_handle(Runtime *, const void *number);

} // namespace zyntax
