// The leaf of a job of the blocking pool. It begins at once, so that the job copies its argument.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_blocking(int64_t (*fn)(void *), void *arg, size_t arg_size) noexcept {
    if (!fn || (!arg && arg_size)) return failing(ZYNTAX_EINVAL);
    auto poll = [=, is_first = true](Leaf *leaf, Waker *waker) mutable -> int64_t {
        int64_t value;
        void *given = is_first ? arg : nullptr; // the caller's memory: only the first call may read it
        size_t given_size = is_first ? arg_size : 0;
        is_first = false;
        Runtime *runtime = leaf->task->runtime;
        if (zyntax_blocking(runtime, &leaf->op_id, fn, given, given_size, waker, &value) == POLL_PENDING) return 0;
        return value ? value : 1;
    };
    return promise_of(begin_leaf(make_leaf_of(poll)));
}
