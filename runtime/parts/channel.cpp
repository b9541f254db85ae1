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

// The ring is behind it in memory.
struct alignas(Arena::unit) Channel {
    void *handle; // null: destroyed, and kept while operations have turns
    size_t capacity, item_size;
    size_t first, count; // of the items in the ring
    size_t places;       // for items: the capacity; 0 once the channel is closed. Zeroed by zyntax_channel_close
    Side senders, receivers;

    size_t room() const { return places ? places - count : SIZE_MAX; }
    size_t bytes() const { return sizeof(Channel) + capacity * item_size; }
    size_t available() const { return places || count ? count : SIZE_MAX; }
};

void free_unused(Runtime *runtime, Channel *channel) {
    if (channel->handle || channel->senders.turns || channel->receivers.turns) return;
    assert(channel->senders.queue.empty() && channel->receivers.queue.empty());
    runtime->arena.give(channel, channel->bytes());
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

unsigned char *item_at(Channel *channel, size_t i) {
    assert(i < channel->capacity && channel->first < channel->capacity);
    size_t index = channel->first + i;
    if (index >= channel->capacity) index -= channel->capacity;
    return reinterpret_cast<unsigned char *>(channel + 1) + index * channel->item_size;
}

// Most items are words or pointers.
void copy_item(void *to, const void *from, size_t size) {
    if (size == sizeof(uint64_t)) memcpy(to, from, sizeof(uint64_t));
    else if (size) memcpy(to, from, size);
}

void destroy(Runtime *runtime, Channel *channel) {
    for (Side *side : {&channel->senders, &channel->receivers}) fire_queue(runtime, side);
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

// The channel of a handle if this thread drives its runtime; null: find_channel looks further.
inline Channel *find_near(const Inbox *inbox, zyntax_channel *handle) {
    const Handle *entry = handle_pool.find(handle_index(to_bits(handle)));
    if (!entry || entry->owner.load(std::memory_order_relaxed) != inbox->id) return nullptr;
    uint32_t generation = entry->generation.load(std::memory_order_relaxed);
    bool is_alive = names(handle_generation(to_bits(handle)), handle_generation_mask, generation);
    return is_alive && entry->kind == &channel_kind ? static_cast<Channel *>(os::nonnull(entry->object)) : nullptr;
}

Ref<Channel> find_channel(zyntax_channel *handle) { return find<Channel>(handle, &channel_kind); }

// ---- calls, of senders and receivers ----

template <bool sends> Side *side_of(Channel *channel) { return sends ? &channel->senders : &channel->receivers; }

// Of a call that finds the channel closed, or closed and empty.
template <bool sends> constexpr int32_t at_end = sends ? ZYNTAX_EPIPE : 0;
template <bool sends> bool is_at_end(const Channel *channel) { return !channel->places && (sends || !channel->count); }

// Whether a call without a turn may move an item. Turns reserve theirs.
template <bool sends> bool may_move(const Channel *channel) {
    if (sends) return channel->count + channel->senders.turns < channel->places;
    return channel->count > channel->receivers.turns;
}

template <bool sends> int32_t move_item(Channel *channel, void *item) {
    assert((sends ? channel->count < channel->places : channel->count > 0) && (item || !channel->item_size));
    unsigned char *place = item_at(channel, sends ? channel->count : 0);
    channel->count = sends ? channel->count + 1 : channel->count - 1;
    if (!sends) channel->first = channel->first + 1 == channel->capacity ? 0 : channel->first + 1;
    copy_item(sends ? place : item, sends ? item : place, channel->item_size);
    return sends ? 0 : 1;
}

template <bool sends>
[[gnu::noinline]] PollStatus pass_item(Runtime *runtime, Channel *channel, zyntax_op *op_id, void *item, Waker *waker,
                                       int64_t *result) {
    if (!item && channel->item_size) return refuse(op_id, result, ZYNTAX_EINVAL);
    Side *side = side_of<sends>(channel);
    Op *op = turn_waiter(runtime, op_id, side);
    bool ends = is_at_end<sends>(channel);
    if (!ends && !(op && op->woken) && !may_move<sends>(channel))
        return wait_for_turn(runtime, side, ZYNTAX_WAIT_CHANNEL, op, op_id, waker, result);
    int32_t value = ends ? at_end<sends> : move_item<sends>(channel, item);
    use_turn(runtime, side, op);
    settle(runtime, channel);
    return complete(op_id, result, value);
}

template <bool sends>
[[gnu::noinline]] PollStatus pass_rarely(zyntax_channel *handle, zyntax_op *op_id, void *item, Waker *waker,
                                         int64_t *result) {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return dead_handle(op_id, result);
    return pass_item<sends>(runtime, channel, op_id, item, waker, result);
}

// The rest of a call is a tail call, so that the path of a word that can be moved at once saves no registers.
template <bool sends>
inline PollStatus pass(zyntax_channel *handle, zyntax_op *op_id, void *item, Waker *waker, int64_t *result) {
    const Inbox *inbox = driving;
    Runtime *runtime = inbox ? inbox->runtime.load(std::memory_order_relaxed) : nullptr;
    Channel *channel = goes_on(runtime, op_id, waker, result) ? find_near(inbox, handle) : nullptr;
    if (!channel) return pass_rarely<sends>(handle, op_id, item, waker, result);
    bool is_plain = !*op_id && item && channel->item_size == sizeof(uint64_t);
    if (is_plain && may_move<sends>(channel)) {
        *result = move_item<sends>(channel, item);
        runtime->awaits_left--;
        settle(runtime, channel);
        return POLL_READY;
    }
    if (!is_plain || !channel->places) return pass_item<sends>(runtime, channel, op_id, item, waker, result);
    return begin_wait(runtime, side_of<sends>(channel), ZYNTAX_WAIT_CHANNEL, op_id, waker, result);
}

template <bool sends> int32_t try_pass(zyntax_channel *handle, void *item) {
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return ZYNTAX_ESTALE;
    if (!item && channel->item_size) return ZYNTAX_EINVAL;
    if (is_at_end<sends>(channel)) return at_end<sends>;
    if (!may_move<sends>(channel)) return ZYNTAX_EAGAIN;
    int32_t value = move_item<sends>(channel, item);
    settle(runtime, channel);
    return value;
}

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
    if (item_size && capacity > (Arena::max_size - sizeof(Channel)) / item_size) return ZYNTAX_ENOMEM;
    size_t bytes = sizeof(Channel) + capacity * item_size;
    void *memory = runtime->arena.take(bytes);
    void *handle = memory ? take_handle(runtime, &channel_kind, memory) : nullptr;
    if (!handle) {
        if (memory) runtime->arena.give(memory, bytes);
        return ZYNTAX_ENOMEM;
    }
    auto *channel = ::new (memory) Channel();
    channel->handle = handle;
    channel->capacity = capacity;
    channel->places = capacity;
    channel->item_size = item_size;
    for (Side *side : {&channel->senders, &channel->receivers}) {
        side->canceled = waiter_gone;
        side->channel = channel;
    }
    *out = static_cast<zyntax_channel *>(handle);
    return 0;
}

PollStatus zyntax_channel_send(zyntax_channel *handle, zyntax_op *op_id, const void *item, Waker *waker,
                               int64_t *result) noexcept {
    return pass<true>(handle, op_id, const_cast<void *>(item), waker, result);
}

PollStatus zyntax_channel_recv(zyntax_channel *handle, zyntax_op *op_id, void *item, Waker *waker,
                               int64_t *result) noexcept {
    return pass<false>(handle, op_id, item, waker, result);
}

int32_t zyntax_channel_try_send(zyntax_channel *handle, const void *item) noexcept {
    return try_pass<true>(handle, const_cast<void *>(item));
}

int32_t zyntax_channel_try_recv(zyntax_channel *handle, void *item) noexcept { return try_pass<false>(handle, item); }

int32_t zyntax_channel_close(zyntax_channel *handle) noexcept {
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return ZYNTAX_ESTALE;
    channel->places = 0;
    settle(runtime, channel);
    return 0;
}

int32_t zyntax_channel_destroy(zyntax_channel *handle) noexcept {
    auto [runtime, channel] = find_channel(handle);
    if (!channel) return ZYNTAX_ESTALE;
    destroy(runtime, channel);
    return 0;
}
