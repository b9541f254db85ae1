// Channels: a ring of items, and for each direction the turns of the operations that wait (see turns.h).
//
//   turns <= available
//   available to senders: places; without limit once the channel is closed, as each send then fails
//   available to receivers: items; without limit once the channel is closed and empty, as each receive then ends
#include "channel.h"
#include "turns.h"

#include <initializer_list>
#include <string.h>

namespace zyntax {

namespace {

struct Channel;

// One direction.
struct Side : Turns {
    Channel *channel;
};

struct Channel {
    void *handle; // null: destroyed, and kept while operations have turns
    size_t capacity, item_size;
    size_t first, count; // of the items in the ring
    unsigned char *items;
    bool closed; // no send succeeds. Set by zyntax_channel_close, never cleared
    Side senders, receivers;

    size_t room() const { return closed ? SIZE_MAX : capacity - count; }
    size_t available() const { return closed && !count ? SIZE_MAX : count; }
};

void free_unused(Runtime *runtime, Channel *channel) {
    if (channel->handle || channel->senders.turns || channel->receivers.turns) return;
    assert(channel->senders.queue.empty() && channel->receivers.queue.empty());
    runtime->arena.give(channel, sizeof(Channel));
}

[[gnu::noinline]] void settle_waiters(Runtime *runtime, Channel *channel) {
    give_turns(runtime, &channel->senders, channel->room());
    give_turns(runtime, &channel->receivers, channel->available());
    assert(channel->senders.turns <= channel->room() && channel->receivers.turns <= channel->available());
}

inline void settle(Runtime *runtime, Channel *channel) {
    if (channel->senders.queue.first | channel->receivers.queue.first) settle_waiters(runtime, channel);
}

void waiter_gone(Runtime *runtime, Op *op) {
    auto *side = static_cast<Side *>(op->source);
    if (!op->woken) return;
    assert(side->turns > 0);
    side->turns--;
    if (side->channel->handle) settle(runtime, side->channel);
    else free_unused(runtime, side->channel);
}

PollStatus end_call(Runtime *runtime, Side *side, Op *op, zyntax_op *op_id, int64_t *result, int64_t value) {
    use_turn(runtime, side, op);
    settle(runtime, side->channel);
    return complete(op_id, result, value);
}

unsigned char *item_at(Channel *channel, size_t i) {
    assert(i < channel->capacity && channel->first < channel->capacity);
    size_t index = channel->first + i;
    return channel->items + (index < channel->capacity ? index : index - channel->capacity) * channel->item_size;
}

// Most items are words or pointers.
void copy_item(void *to, const void *from, size_t size) {
    if (size == sizeof(uint64_t)) memcpy(to, from, sizeof(uint64_t));
    else if (size) memcpy(to, from, size);
}

void put_item(Channel *channel, const void *item) {
    assert(!channel->closed && channel->count < channel->capacity && (item || !channel->item_size));
    copy_item(item_at(channel, channel->count), item, channel->item_size);
    channel->count++;
}

void take_item(Channel *channel, void *item) {
    assert(channel->count > 0 && (item || !channel->item_size));
    copy_item(item, item_at(channel, 0), channel->item_size);
    channel->first = channel->first + 1 == channel->capacity ? 0 : channel->first + 1;
    channel->count--;
}

void destroy(Runtime *runtime, Channel *channel) {
    for (Side *side : {&channel->senders, &channel->receivers}) fire_queue(runtime, side);
    if (channel->items) runtime->arena.give(channel->items, channel->capacity * channel->item_size);
    give_handle(runtime, channel->handle);
    channel->handle = nullptr;
    free_unused(runtime, channel);
}

void destroy_channel(Runtime *runtime, void *object) { destroy(runtime, static_cast<Channel *>(object)); }

uint64_t count_in_queues([[maybe_unused]] const void *object) {
    uint64_t count = 0;
#ifndef NDEBUG
    auto *channel = static_cast<const Channel *>(object);
    assert(channel->count <= channel->capacity && channel->first < channel->capacity);
    for (const Side *side : {&channel->senders, &channel->receivers}) {
        size_t available = side == &channel->senders ? channel->room() : channel->available();
        assert(side->turns == available || (side->turns < available && side->queue.empty()));
        count += count_waiting(side->queue, Op::waiting);
    }
#endif
    return count;
}

const HandleKind channel_kind = {destroy_channel, count_in_queues};

Ref<Channel> find_channel(zyntax_channel *handle) { return find<Channel>(handle, &channel_kind); }

} // namespace

size_t item_size_of(zyntax_channel *handle) {
    const Channel *channel = find_channel(handle).object;
    return channel ? channel->item_size : 0;
}

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_channel_create(zyntax_runtime *runtime, size_t capacity, size_t item_size,
                              zyntax_channel **out) noexcept {
    if (!runtime || !capacity || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (runtime->is_ending) return ZYNTAX_ECANCELED;
    if (item_size && capacity > Arena::max_size / item_size) return ZYNTAX_ENOMEM;
    size_t bytes = capacity * item_size;
    void *items = bytes ? runtime->arena.take(bytes) : nullptr;
    void *memory = items || !bytes ? runtime->arena.take(sizeof(Channel)) : nullptr;
    void *handle = memory ? take_handle(runtime, &channel_kind, memory) : nullptr;
    if (!handle) {
        if (items) runtime->arena.give(items, bytes);
        if (memory) runtime->arena.give(memory, sizeof(Channel));
        return ZYNTAX_ENOMEM;
    }
    auto *channel = ::new (memory) Channel();
    channel->handle = handle;
    channel->capacity = capacity;
    channel->item_size = item_size;
    channel->items = static_cast<unsigned char *>(items);
    for (Side *side : {&channel->senders, &channel->receivers}) {
        side->canceled = waiter_gone;
        side->channel = channel;
    }
    *out = static_cast<zyntax_channel *>(handle);
    return 0;
}

PollStatus zyntax_channel_send(zyntax_channel *handle, zyntax_op *op_id, const void *item, Waker *waker,
                               int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return dead_handle(op_id, result);
    if (!item && channel->item_size) return refuse(op_id, result, ZYNTAX_EINVAL);
    Side *side = &channel->senders;
    Op *op = turn_waiter(runtime, op_id, side);
    if (channel->closed) return end_call(runtime, side, op, op_id, result, ZYNTAX_EPIPE);
    if (!may_take(side, op, channel->room()))
        return wait_for_turn(runtime, side, ZYNTAX_WAIT_CHANNEL, op, op_id, waker, result);
    put_item(channel, item);
    return end_call(runtime, side, op, op_id, result, 0);
}

PollStatus zyntax_channel_recv(zyntax_channel *handle, zyntax_op *op_id, void *item, Waker *waker,
                               int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return dead_handle(op_id, result);
    if (!item && channel->item_size) return refuse(op_id, result, ZYNTAX_EINVAL);
    Side *side = &channel->receivers;
    Op *op = turn_waiter(runtime, op_id, side);
    if (channel->closed && channel->count == 0) return end_call(runtime, side, op, op_id, result, 0);
    if (!may_take(side, op, channel->count))
        return wait_for_turn(runtime, side, ZYNTAX_WAIT_CHANNEL, op, op_id, waker, result);
    take_item(channel, item);
    return end_call(runtime, side, op, op_id, result, 1);
}

// While operations wait, each available place and item is reserved for one of them.
int32_t zyntax_channel_try_send(zyntax_channel *handle, const void *item) noexcept {
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return ZYNTAX_ESTALE;
    if (!item && channel->item_size) return ZYNTAX_EINVAL;
    if (channel->closed) return ZYNTAX_EPIPE;
    if (!may_take(&channel->senders, nullptr, channel->room())) return ZYNTAX_EAGAIN;
    put_item(channel, item);
    settle(runtime, channel);
    return 0;
}

int32_t zyntax_channel_try_recv(zyntax_channel *handle, void *item) noexcept {
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return ZYNTAX_ESTALE;
    if (!item && channel->item_size) return ZYNTAX_EINVAL;
    if (channel->closed && channel->count == 0) return 0;
    if (!may_take(&channel->receivers, nullptr, channel->count)) return ZYNTAX_EAGAIN;
    take_item(channel, item);
    settle(runtime, channel);
    return 1;
}

int32_t zyntax_channel_close(zyntax_channel *handle) noexcept {
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return ZYNTAX_ESTALE;
    channel->closed = true;
    settle(runtime, channel);
    return 0;
}

int32_t zyntax_channel_destroy(zyntax_channel *handle) noexcept {
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return ZYNTAX_ESTALE;
    destroy(runtime, channel);
    return 0;
}
