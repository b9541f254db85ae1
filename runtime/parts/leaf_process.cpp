// The leaf of a wait for a child process.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_process_wait(zyntax_process *process) noexcept {
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t status;
        if (zyntax_process_wait(process, &leaf->op_id, waker, &status) == POLL_PENDING) return 0;
        return status < 0 ? status : status + 1;
    }));
}
