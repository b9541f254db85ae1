// Leaves of I/O handles: read, write, readiness, accept.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_read(zyntax_io *io, void *buf, size_t len) noexcept {
    if (!buf) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t n;
        if (!len) return ZYNTAX_EINVAL;
        if (zyntax_io_read(io, &leaf->op_id, buf, len, waker, &n) == POLL_PENDING) return 0;
        return n ? n : int64_t{ZYNTAX_EOF};
    }));
}

zyntax_promise *zyntax_promise_write(zyntax_io *io, const void *buf, size_t len) noexcept {
    if (!buf) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=, done = size_t{0}](Leaf *leaf, Waker *waker) mutable -> int64_t {
        int64_t result;
        if (!len) return ZYNTAX_EINVAL;
        return zyntax_io_write_all(io, &leaf->op_id, buf, len, &done, waker, &result) == POLL_PENDING ? 0 : result;
    }));
}

zyntax_promise *zyntax_promise_ready(zyntax_io *io, uint32_t interest) noexcept {
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t set;
        return zyntax_io_ready(io, &leaf->op_id, interest, waker, &set) == POLL_PENDING ? 0 : set;
    }));
}

zyntax_promise *zyntax_promise_accept(zyntax_io *listener) noexcept {
    return promise_of(make_connection_leaf([=](Leaf *leaf, Waker *waker, zyntax_io **out, int64_t *result) {
        return zyntax_tcp_accept(listener, &leaf->op_id, waker, out, result);
    }));
}
