// The leaf of a send, to a channel or a port. It begins at once, and copies its item only if it has to wait.
#include "leaf_send.h"

#include <string.h>

namespace zyntax {

namespace {

struct Send {
    void *queue;
    SendCall *call;
    const void *item;
    void *copy; // in the arena; null: none
    size_t size;
};

int64_t poll_sending(Leaf *leaf, Runtime *, Waker *waker) {
    const auto *send = data_of<Send>(leaf);
    assert(!send->copy || send->item == send->copy);
    int64_t result;
    if (send->call(send->queue, &leaf->op_id, send->item, waker, &result) == POLL_PENDING) return 0;
    return result ? result : 1;
}

void drop_send(Leaf *leaf, Runtime *runtime) {
    auto *send = data_of<Send>(leaf);
    if (send->copy) runtime->arena.give(send->copy, send->size);
    send->copy = nullptr;
}
constexpr LeafKind send_kind = {poll_sending, drop_send};

} // namespace

zyntax_promise *promise_of_send(void *queue, SendCall *call, const void *item, size_t size) {
    if (!item && size) return failing(ZYNTAX_EINVAL);
    Leaf *leaf = begin_leaf(make_leaf(&send_kind, Send{queue, call, item, nullptr, size}));
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

} // namespace zyntax
