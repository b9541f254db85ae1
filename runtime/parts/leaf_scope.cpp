// Leaves of scopes.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_scope_next(zyntax_scope *scope) noexcept {
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        zyntax_task *ended;
        if (zyntax_scope_next(scope, &leaf->op_id, waker, &ended, &result) == POLL_PENDING) return 0;
        if (result < 0) return result;
        return ended ? static_cast<int64_t>(to_bits(ended)) : int64_t{ZYNTAX_EOF};
    }));
}

zyntax_promise *zyntax_promise_scope_join(zyntax_scope *scope) noexcept {
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        if (zyntax_scope_join(scope, &leaf->op_id, waker, &result) == POLL_PENDING) return 0;
        return result ? result : 1;
    }));
}
