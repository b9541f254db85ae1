// Leaves that wait for descriptors: read, write, readiness, accept.
#include "leaf.h"

using namespace zyntax;

namespace {

struct Read {
    zyntax_io *io;
    void *buf;
    size_t len;
};
struct Write {
    zyntax_io *io;
    const char *buf;
    size_t len, done;
};
struct Ready {
    zyntax_io *io;
    uint32_t interest;
};
struct Accept {
    zyntax_io *listener;
};

int64_t poll_read(Leaf *leaf, Runtime *, Waker *waker) {
    const auto *read = data_of<Read>(leaf);
    if (!read->len) return ZYNTAX_EINVAL;
    int64_t n;
    if (zyntax_io_read(read->io, &leaf->op_id, read->buf, read->len, waker, &n) == POLL_PENDING) return 0;
    return n ? n : int64_t{ZYNTAX_EOF};
}
constexpr LeafKind read_kind = {poll_read};

int64_t poll_write(Leaf *leaf, Runtime *, Waker *waker) {
    auto *write = data_of<Write>(leaf);
    if (!write->len) return ZYNTAX_EINVAL;
    while (write->done < write->len) {
        int64_t n;
        size_t rest = write->len - write->done;
        if (zyntax_io_write(write->io, &leaf->op_id, write->buf + write->done, rest, waker, &n) == POLL_PENDING)
            return 0;
        if (n < 0) return n;
        write->done += static_cast<size_t>(n);
    }
    return static_cast<int64_t>(write->len);
}
constexpr LeafKind write_kind = {poll_write};

int64_t poll_io_ready(Leaf *leaf, Runtime *, Waker *waker) {
    const auto *ready = data_of<Ready>(leaf);
    int64_t set;
    return zyntax_io_ready(ready->io, &leaf->op_id, ready->interest, waker, &set) == POLL_PENDING ? 0 : set;
}
constexpr LeafKind ready_kind = {poll_io_ready};

int64_t poll_accept(Leaf *leaf, Runtime *, Waker *waker) {
    int64_t result;
    zyntax_io *connection;
    zyntax_io *listener = data_of<Accept>(leaf)->listener;
    if (zyntax_tcp_accept(listener, &leaf->op_id, waker, &connection, &result) == POLL_PENDING) return 0;
    return connection_value(leaf, result, connection);
}
constexpr LeafKind accept_kind = {poll_accept};

} // namespace

zyntax_promise *zyntax_promise_read(zyntax_io *io, void *buf, size_t len) noexcept {
    return buf ? promise_of(make_leaf(&read_kind, Read{io, buf, len})) : failing(ZYNTAX_EINVAL);
}

zyntax_promise *zyntax_promise_write(zyntax_io *io, const void *buf, size_t len) noexcept {
    if (!buf) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf(&write_kind, Write{io, static_cast<const char *>(buf), len, 0}));
}

zyntax_promise *zyntax_promise_ready(zyntax_io *io, uint32_t interest) noexcept {
    return promise_of(make_leaf(&ready_kind, Ready{io, interest}));
}

zyntax_promise *zyntax_promise_accept(zyntax_io *listener) noexcept {
    return promise_of(make_leaf(&accept_kind, Accept{listener}));
}
