// Leaves of ports.
#include "leaf_send.h"
#include "port.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_port_send(zyntax_port *port, const void *item) noexcept {
    SendCall *call = [](void *queue, zyntax_op *op_id, const void *bytes, Waker *waker, int64_t *result) {
        return zyntax_port_send(static_cast<zyntax_port *>(queue), op_id, bytes, waker, result);
    };
    return promise_of_send(port, call, item, item_size_of(port));
}

zyntax_promise *zyntax_promise_port_recv(zyntax_port *port, void *item) noexcept {
    if (!item && item_size_of(port)) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        if (zyntax_port_recv(port, &leaf->op_id, item, waker, &result) == POLL_PENDING) return 0;
        return result ? result : int64_t{ZYNTAX_EOF};
    }));
}
