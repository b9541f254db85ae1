// Leaves of Unix-domain sockets: connect, and the descriptors that they pass.
#include "leaf.h"

using namespace zyntax;

namespace {

// A descriptor as a value is its number + 1, as 0 is a number.
void close_descriptor_value(int64_t value) {
    os::KeepErrors keep;
    os::close(static_cast<intptr_t>(value - 1));
}

} // namespace

zyntax_promise *zyntax_promise_unix_connect(const char *path, size_t len) noexcept {
    if (!path) return failing(ZYNTAX_EINVAL);
    return promise_of_connect([=](Leaf *leaf, Waker *waker, zyntax_io **out, int64_t *result) mutable {
        const char *bytes = path;
        path = nullptr;
        return zyntax_unix_connect(leaf->task->runtime, &leaf->op_id, bytes, len, waker, out, result);
    });
}

zyntax_promise *zyntax_promise_unix_send_fd(zyntax_io *io, intptr_t fd) noexcept {
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        return zyntax_unix_send_fd(io, &leaf->op_id, fd, waker, &result) == POLL_PENDING ? 0 : result;
    }));
}

zyntax_promise *zyntax_promise_unix_recv_fd(zyntax_io *io) noexcept {
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        intptr_t fd = -1;
        if (zyntax_unix_recv_fd(io, &leaf->op_id, &fd, waker, &result) == POLL_PENDING) return 0;
        if (result == 0) return ZYNTAX_EOF;
        if (result < 0) return result;
        leaf->discard = close_descriptor_value;
        return int64_t{fd} + 1;
    }));
}
