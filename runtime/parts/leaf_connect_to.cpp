// The leaf of a connect to addresses.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_connect_to(const zyntax_address *addresses, size_t n, uint64_t deadline_ns) noexcept {
    if (!addresses || !n) return failing(ZYNTAX_EINVAL);
    return promise_of_connect([=](Leaf *leaf, Waker *waker, zyntax_io **out, int64_t *result) mutable {
        const zyntax_address *given = addresses;
        addresses = nullptr;
        Runtime *runtime = leaf->task->runtime;
        return zyntax_tcp_connect_to(runtime, &leaf->op_id, given, n, deadline_ns, waker, out, result);
    });
}
