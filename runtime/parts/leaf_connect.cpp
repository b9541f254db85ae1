// The leaf that waits for a connection. It begins at once, so that the operation copies the host.
#include "leaf.h"

using namespace zyntax;

namespace {

struct Connect {
    const char *host; // for the first call only
    uint16_t port;
};

int64_t poll_connect(Leaf *leaf, Runtime *runtime, Waker *waker) {
    int64_t result;
    zyntax_io *connection;
    auto [host, port] = *data_of<Connect>(leaf);
    data_of<Connect>(leaf)->host = nullptr;
    if (zyntax_tcp_connect(runtime, &leaf->op_id, host, port, waker, &connection, &result) == POLL_PENDING) return 0;
    return connection_value(leaf, result, connection);
}
constexpr LeafKind connect_kind = {poll_connect};

} // namespace

zyntax_promise *zyntax_promise_connect(const char *host, uint16_t port) noexcept {
    if (!host) return failing(ZYNTAX_EINVAL);
    return promise_of(begin_leaf(make_leaf(&connect_kind, Connect{host, port})));
}
