// Leaves of files. All begin at once: the calls at a file's position take effect in their order.
#include "leaf.h"

using namespace zyntax;

static void close_file_value(int64_t value) {
    zyntax_file_close(static_cast<zyntax_file *>(to_pointer(static_cast<uintptr_t>(value))));
}

zyntax_promise *zyntax_promise_file_open(const char *path, uint32_t flags) noexcept {
    if (!path) return failing(ZYNTAX_EINVAL);
    auto poll = [=](Leaf *leaf, Waker *waker) mutable -> int64_t {
        int64_t result;
        zyntax_file *file;
        const char *name = path;
        path = nullptr; // the caller's memory: only the first call may read it
        Runtime *runtime = leaf->task->runtime;
        if (zyntax_file_open(runtime, &leaf->op_id, name, flags, waker, &file, &result) == POLL_PENDING) return 0;
        if (result) return result;
        leaf->discard = close_file_value;
        return static_cast<int64_t>(to_bits(file));
    };
    return promise_of(begin_leaf(make_leaf_of(poll)));
}

zyntax_promise *zyntax_promise_file_read(zyntax_file *file, void *buf, size_t len, uint64_t offset) noexcept {
    if (!buf || !len) return failing(ZYNTAX_EINVAL);
    return promise_of(begin_leaf(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t n;
        if (zyntax_file_read(file, &leaf->op_id, buf, len, offset, waker, &n) == POLL_PENDING) return 0;
        return n ? n : int64_t{ZYNTAX_EOF};
    })));
}

zyntax_promise *zyntax_promise_file_write(zyntax_file *file, const void *buf, size_t len, uint64_t offset) noexcept {
    if (!buf || !len) return failing(ZYNTAX_EINVAL);
    return promise_of(begin_leaf(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t n;
        return zyntax_file_write(file, &leaf->op_id, buf, len, offset, waker, &n) == POLL_PENDING ? 0 : n;
    })));
}

zyntax_promise *zyntax_promise_file_sync(zyntax_file *file) noexcept {
    return promise_of(begin_leaf(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        if (zyntax_file_sync(file, &leaf->op_id, waker, &result) == POLL_PENDING) return 0;
        return result ? result : 1;
    })));
}

zyntax_promise *zyntax_promise_file_size(zyntax_file *file) noexcept {
    return promise_of(begin_leaf(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t size;
        if (zyntax_file_size(file, &leaf->op_id, waker, &size) == POLL_PENDING) return 0;
        return size < 0 ? size : size + 1;
    })));
}
