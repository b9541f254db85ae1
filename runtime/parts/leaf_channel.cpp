// Leaves of channels. A send begins at once, and copies its item only if it has to wait.
#include "channel.h"
#include "leaf.h"

#include <string.h>

using namespace zyntax;

namespace {

struct Send {
    zyntax_channel *channel;
    const void *item;
    void *copy; // in the arena; null: none
    size_t size;
};

int64_t poll_send(Leaf *leaf, Runtime *, Waker *waker) {
    const auto *send = data_of<Send>(leaf);
    assert(!send->copy || send->item == send->copy);
    int64_t result;
    if (zyntax_channel_send(send->channel, &leaf->op_id, send->item, waker, &result) == POLL_PENDING) return 0;
    return result ? result : 1;
}

void drop_send(Leaf *leaf, Runtime *runtime) {
    auto *send = data_of<Send>(leaf);
    if (send->copy) runtime->arena.give(send->copy, send->size);
    send->copy = nullptr;
}
constexpr LeafKind send_kind = {poll_send, drop_send};

} // namespace

zyntax_promise *zyntax_promise_send(zyntax_channel *channel, const void *item) noexcept {
    size_t size = item_size_of(channel);
    if (!item && size) return failing(ZYNTAX_EINVAL);
    Leaf *leaf = begin_leaf(make_leaf(&send_kind, Send{channel, item, nullptr, size}));
    if (!leaf || leaf->value || !size) return promise_of(leaf);
    auto *send = data_of<Send>(leaf);
    send->copy = leaf->task->runtime->arena.take(size);
    if (!send->copy) {
        free_leaf(leaf);
        return failing(ZYNTAX_ENOMEM);
    }
    send->item = memcpy(send->copy, item, size);
    return &leaf->promise;
}

zyntax_promise *zyntax_promise_recv(zyntax_channel *channel, void *item) noexcept {
    if (!item && item_size_of(channel)) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf_of([=](Leaf *leaf, Waker *waker) -> int64_t {
        int64_t result;
        if (zyntax_channel_recv(channel, &leaf->op_id, item, waker, &result) == POLL_PENDING) return 0;
        return result ? result : int64_t{ZYNTAX_EOF};
    }));
}
