// The leaf of a connect to addresses. It begins at once, so that the operation copies them.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_connect_to(const zyntax_address *addresses, size_t n, uint64_t deadline_ns) noexcept {
    if (!addresses || !n) return failing(ZYNTAX_EINVAL);
    auto poll = [=](Leaf *leaf, Waker *waker) mutable -> int64_t {
        int64_t result;
        zyntax_io *connection;
        const zyntax_address *given = addresses;
        addresses = nullptr; // the caller's memory: only the first call may read it
        Runtime *runtime = leaf->task->runtime;
        if (zyntax_tcp_connect_to(runtime, &leaf->op_id, given, n, deadline_ns, waker, &connection, &result) ==
            POLL_PENDING)
            return 0;
        return connection_value(leaf, result, connection);
    };
    return promise_of(begin_leaf(make_leaf_of(poll)));
}
