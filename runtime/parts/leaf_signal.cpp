// The leaf of a signal.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_signal_wait(zyntax_signal *signal) noexcept {
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        return zyntax_signal_wait(signal, &leaf->op_id, waker, &result) == POLL_PENDING ? 0 : result;
    }));
}
