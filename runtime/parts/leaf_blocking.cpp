// The leaf that waits for a job of the blocking pool. It begins at once, so that the job copies its argument.
#include "leaf.h"

using namespace zyntax;

namespace {

struct Call {
    int64_t (*fn)(void *);
    void *arg; // for the first call only, as is its size
    size_t arg_size;
};

int64_t poll_blocking(Leaf *leaf, Runtime *runtime, Waker *waker) {
    int64_t value;
    auto [fn, arg, arg_size] = *data_of<Call>(leaf);
    *data_of<Call>(leaf) = {fn, nullptr, 0};
    if (zyntax_blocking(runtime, &leaf->op_id, fn, arg, arg_size, waker, &value) == POLL_PENDING) return 0;
    return value ? value : 1;
}
constexpr LeafKind blocking_kind = {poll_blocking};

} // namespace

zyntax_promise *zyntax_promise_blocking(int64_t (*fn)(void *), void *arg, size_t arg_size) noexcept {
    if (!fn || (!arg && arg_size)) return failing(ZYNTAX_EINVAL);
    return promise_of(begin_leaf(make_leaf(&blocking_kind, Call{fn, arg, arg_size})));
}
