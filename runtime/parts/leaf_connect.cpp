// The leaf of a connect by name.
#include "leaf.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_connect(const char *host, uint16_t port) noexcept {
    if (!host) return failing(ZYNTAX_EINVAL);
    return promise_of_connect([=](Leaf *leaf, Waker *waker, zyntax_io **out, int64_t *result) mutable {
        const char *name = host;
        host = nullptr;
        return zyntax_tcp_connect(leaf->task->runtime, &leaf->op_id, name, port, waker, out, result);
    });
}
