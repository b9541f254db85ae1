// The leaf of a look-up. It begins at once, so that the operation copies the host.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_resolve(const char *host, zyntax_address *out, size_t room) noexcept {
    if (!host || (!out && room)) return failing(ZYNTAX_EINVAL);
    auto poll = [=](Leaf *leaf, Waker *waker) mutable -> int64_t {
        int64_t result;
        const char *name = host;
        host = nullptr; // the caller's memory: only the first call may read it
        Runtime *runtime = leaf->task->runtime;
        if (zyntax_resolve(runtime, &leaf->op_id, name, out, room, waker, &result) == POLL_PENDING) return 0;
        return result < 0 ? result : result + 1;
    };
    return promise_of(begin_leaf(make_leaf_of(poll)));
}
