// The leaf of a connect. It begins at once, so that the operation copies the host.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_connect(const char *host, uint16_t port) noexcept {
    if (!host) return failing(ZYNTAX_EINVAL);
    auto poll = [=](Leaf *leaf, Waker *waker) mutable -> int64_t {
        int64_t result;
        zyntax_io *connection;
        const char *name = host;
        host = nullptr; // the caller's memory: only the first call may read it
        Runtime *runtime = leaf->task->runtime;
        if (zyntax_tcp_connect(runtime, &leaf->op_id, name, port, waker, &connection, &result) == POLL_PENDING)
            return 0;
        return connection_value(leaf, result, connection);
    };
    return promise_of(begin_leaf(make_leaf_of(poll)));
}
