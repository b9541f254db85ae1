// Leaves of datagram sockets: send and receive. A count may be 0, which no value can be.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_udp_send(zyntax_io *io, const void *buf, size_t len, const zyntax_address *to) noexcept {
    if (!buf && len) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t n;
        if (zyntax_udp_send(io, &leaf->op_id, buf, len, to, waker, &n) == POLL_PENDING) return 0;
        return n ? n : 1;
    }));
}

zyntax_promise *zyntax_promise_udp_recv(zyntax_io *io, void *buf, size_t len, zyntax_address *from) noexcept {
    if (!buf && len) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t n;
        if (zyntax_udp_recv(io, &leaf->op_id, buf, len, from, waker, &n) == POLL_PENDING) return 0;
        return n < 0 ? n : n + 1;
    }));
}
