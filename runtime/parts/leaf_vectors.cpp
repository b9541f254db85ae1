// Leaves of reads and writes of slices, and of writes that report how far they came.
#include "leaf.h"

using namespace zyntax;

static int64_t bytes_of(const zyntax_slice *slices, size_t n) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += slices[i].len;
    return static_cast<int64_t>(bytes);
}

zyntax_promise *zyntax_promise_readv(zyntax_io *io, const zyntax_slice *slices, size_t n) noexcept {
    if (!slices || !n) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t bytes;
        if (zyntax_io_readv(io, &leaf->op_id, slices, n, waker, &bytes) == POLL_PENDING) return 0;
        return bytes ? bytes : bytes_of(slices, n) ? int64_t{ZYNTAX_EOF} : int64_t{ZYNTAX_EINVAL};
    }));
}

// The slice in which a write has ended is finished by itself, so that the list is not copied.
zyntax_promise *zyntax_promise_writev(zyntax_io *io, const zyntax_slice *slices, size_t n) noexcept {
    if (!slices || !n) return failing(ZYNTAX_EINVAL);
    return promise_of(
        make_leaf_of([=, next = size_t{0}, done = size_t{0}](Leaf *leaf, Waker *waker) mutable -> int64_t {
            if (!bytes_of(slices, n)) return ZYNTAX_EINVAL;
            for (;;) {
                while (next < n && done >= slices[next].len) done -= slices[next++].len;
                if (next == n) return bytes_of(slices, n);
                const zyntax_slice *left = slices + next;
                auto write_slice = [=](int64_t *bytes) {
                    const char *rest = static_cast<const char *>(left->data) + done;
                    return zyntax_io_write(io, &leaf->op_id, rest, left->len - done, waker, bytes);
                };
                int64_t bytes;
                PollStatus status =
                    done ? write_slice(&bytes) : zyntax_io_writev(io, &leaf->op_id, left, n - next, waker, &bytes);
                if (status == POLL_PENDING) return 0;
                if (bytes < 0) return bytes;
                done += static_cast<size_t>(bytes);
            }
        }));
}

zyntax_promise *zyntax_promise_write_all(zyntax_io *io, const void *buf, size_t len, size_t *done) noexcept {
    if (!buf || !done) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        if (!len) return ZYNTAX_EINVAL;
        return zyntax_io_write_all(io, &leaf->op_id, buf, len, done, waker, &result) == POLL_PENDING ? 0 : result;
    }));
}
