// Leaves of channels.
#include "channel.h"
#include "leaf_send.h"

using namespace zyntax;

zyntax_promise *zyntax_promise_send(zyntax_channel *channel, const void *item) noexcept {
    SendCall *call = [](void *queue, zyntax_op *op_id, const void *bytes, Waker *waker, int64_t *result) {
        return zyntax_channel_send(static_cast<zyntax_channel *>(queue), op_id, bytes, waker, result);
    };
    return promise_of_send(channel, call, item, item_size_of(channel));
}

zyntax_promise *zyntax_promise_recv(zyntax_channel *channel, void *item) noexcept {
    if (!item && item_size_of(channel)) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        if (zyntax_channel_recv(channel, &leaf->op_id, item, waker, &result) == POLL_PENDING) return 0;
        return result ? result : int64_t{ZYNTAX_EOF};
    }));
}
