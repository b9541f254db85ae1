// Channels: a ring of items, and two lists of those who wait. A waiter that is notified keeps its place until its task
// calls again or gives up; then what it was notified of passes on. So a notified task that never returns cannot take a
// wake-up with it.
//
//   count[turn] == waiters with that tag; channel_wakes == the sum of count[notified]
#include "runtime.h"

#include <initializer_list>
#include <string.h>

namespace zyntax {

namespace {

// What Node::tag says of a waiter.
enum Turn : uint32_t {
    waiting,
    notified, // woken, as there was something; until it calls again
    passed    // its task was polled and did not call again: it is not woken any more
};

// The waiters of one direction.
struct Side : Source {
    Link waiters;
    size_t count[3] = {}; // of waiters, by their turn
};

} // namespace

struct Channel {
    uint32_t generation = 0; // 0: free
    size_t capacity, item_size;
    size_t first, count; // of the items in the ring
    unsigned char *items;
    bool closed;
    Side senders, receivers;
};

struct Channels : Part {
    Table<Channel, 3, handle_index_bits> table;
    explicit Channels(Memory &memory) : table(memory) {}
};

namespace {

void set_turn(Runtime *runtime, Side *side, Node *node, Turn turn) {
    runtime->channel_wakes += (turn == notified) - uint64_t{node->tag == notified};
    side->count[node->tag]--;
    side->count[turn]++;
    node->tag = turn;
}

void leave(Runtime *runtime, Side *side, Node *node) {
    set_turn(runtime, side, node, passed);
    side->count[passed]--;
}

// Wakes waiters, oldest first, until `available` are notified. Tasks that ended without giving up are cleared away.
void notify(Runtime *runtime, Side *side, size_t available) {
    Link *next = side->waiters.next;
    while (side->count[notified] < available && side->count[waiting] > 0) {
        auto *node = static_cast<Node *>(next);
        next = next->next;
        if (is_forgotten(node)) {
            leave(runtime, side, node);
            free_node(runtime, node);
        } else if (node->tag == waiting) {
            set_turn(runtime, side, node, notified);
            wake_waiter(runtime, node);
        }
    }
}

void settle(Runtime *runtime, Channel *channel) {
    notify(runtime, &channel->senders, channel->closed ? SIZE_MAX : channel->capacity - channel->count);
    notify(runtime, &channel->receivers, channel->closed ? SIZE_MAX : channel->count);
}

void waiter_fired(Runtime *, Node *) {} // they are notified instead

// What the waiter was notified of goes to the next.
void waiter_gone(Runtime *runtime, Node *node) {
    auto *side = static_cast<Side *>(node->source);
    bool had_turn = node->tag == notified;
    leave(runtime, side, node);
    if (had_turn) notify(runtime, side, side->count[notified] + 1);
}

// Whether a call may take one of the `available`. Those that others have been notified of are theirs first.
bool may_take(const Side *side, const Node *node, size_t available) {
    return node && node->tag == notified ? available > 0 : available > side->count[notified];
}

// A newcomer that only gives way is notified at once: its turn comes behind those it gives way to, and should they
// never call again, it is nobody's fault but theirs.
PollStatus wait(Runtime *runtime, Side *side, Node *node, size_t available, zyntax_op *op, Waker *waker,
                int64_t *result) {
    if (node) {
        still_pending(runtime, node, waker);
    } else {
        node = arm(runtime, op, ZYNTAX_WAIT_CHANNEL, waker);
        if (!node) return ready(runtime, op, result, ZYNTAX_ENOMEM);
        node->source = side;
        node->place = Node::elsewhere;
        node->tag = waiting;
        side->waiters.append(node);
        side->count[waiting]++;
    }
    set_turn(runtime, side, node, available > 0 ? notified : waiting);
    if (available > 0) wake_waiter(runtime, node);
    return POLL_PENDING;
}

PollStatus finish(Runtime *runtime, Channel *channel, Side *side, Node *node, zyntax_op *op, int64_t *result,
                  int64_t value) {
    if (node) {
        leave(runtime, side, node);
        free_node(runtime, node);
    }
    settle(runtime, channel);
    return ready(runtime, op, result, value);
}

unsigned char *place(Channel *channel, size_t i) {
    size_t index = channel->first + i;
    return channel->items + (index < channel->capacity ? index : index - channel->capacity) * channel->item_size;
}

struct ChannelRef {
    Runtime *runtime = nullptr;
    Channel *channel = nullptr; // null: the handle is dead
    uint32_t index = 0;
};

ChannelRef find_channel(zyntax_channel *handle) {
    uint64_t bits = to_object(handle);
    Runtime *runtime = runtime_of(bits);
    if (!runtime) return {};
    check_thread(runtime);
    if (!runtime->channels) return {runtime};
    uint32_t index = object_index(bits);
    return {runtime, runtime->channels->table.find(index, object_generation(bits)), index};
}

// An op that waits on this side, or null. An op of something else would corrupt the count: it starts anew.
Node *waiter_of(Runtime *runtime, zyntax_op *op, const Side *side) {
    Node *node = pending_node(runtime, op);
    if (!node || node->source == side) return node;
    zyntax_op_cancel(op);
    return nullptr;
}

// Before the loop sleeps every notified task of ours has been polled. One that still has not called again has ended, or
// waits for something else and has forgotten its op.
void pass_on(Runtime *runtime) {
    Channels *channels = runtime->channels;
    for (uint32_t index = 0; index < channels->table.end(); index++) {
        Channel *channel = channels->table.at(index);
        if (!channel->generation) continue;
        for (Side *side : {&channel->senders, &channel->receivers}) {
            for (Link *next = side->waiters.next; next != &side->waiters && side->count[notified];) {
                auto *node = static_cast<Node *>(next);
                next = next->next;
                if (node->tag != notified || node->waker.wake != wake) continue;
                set_turn(runtime, side, node, passed);
                if (!is_forgotten(node)) continue;
                leave(runtime, side, node);
                free_node(runtime, node);
            }
        }
        settle(runtime, channel);
    }
}

void dismiss(Runtime *runtime, Side *side) {
    while (!side->waiters.empty()) {
        Node *node = side->waiters.front();
        leave(runtime, side, node);
        node->source = nullptr;
        fire(runtime, node);
    }
}

void destroy(const ChannelRef &ref) {
    Channel *channel = ref.channel;
    dismiss(ref.runtime, &channel->senders);
    dismiss(ref.runtime, &channel->receivers);
    if (channel->items) ref.runtime->arena.give(channel->items, channel->capacity * channel->item_size);
    ref.runtime->channels->table.give(ref.index);
}

void destroy_all(Runtime *runtime, Part *part) {
    auto *channels = static_cast<Channels *>(part);
    for (uint32_t index = 0; index < channels->table.end(); index++) {
        Channel *channel = channels->table.at(index);
        if (channel->generation) destroy({runtime, channel, index});
    }
    runtime->channels = nullptr;
    channels->~Channels();
}

Channels *channels_of(Runtime *runtime) {
    if (runtime->channels || runtime->is_ending) return runtime->channels;
    void *memory = runtime->arena.take(sizeof(Channels));
    if (!memory) return nullptr;
    auto *channels = ::new (memory) Channels(runtime->memory);
    channels->destroy = destroy_all;
    channels->next = runtime->parts;
    runtime->parts = channels;
    runtime->pass_on = pass_on;
    return runtime->channels = channels;
}

} // namespace

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_channel_create(zyntax_runtime *runtime, size_t capacity, size_t item_size,
                              zyntax_channel **out) noexcept {
    if (!runtime || !capacity || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    if (item_size && capacity > Arena::max_size / item_size) return ZYNTAX_ENOMEM;
    Channels *channels = channels_of(runtime);
    size_t bytes = capacity * item_size;
    void *items = channels && bytes ? runtime->arena.take(bytes) : nullptr;
    if (!channels || (bytes && !items)) return ZYNTAX_ENOMEM;
    uint32_t index = channels->table.take(runtime->next_handle());
    if (index == channels->table.none) {
        if (items) runtime->arena.give(items, bytes);
        return ZYNTAX_ENOMEM;
    }
    Channel *channel = channels->table.at(index);
    channel->capacity = capacity;
    channel->item_size = item_size;
    channel->first = channel->count = 0;
    channel->items = static_cast<unsigned char *>(items);
    channel->closed = false;
    for (Side *side : {&channel->senders, &channel->receivers}) {
        side->fired = waiter_fired;
        side->abandoned = waiter_gone;
        for (size_t &count : side->count) count = 0;
    }
    *out = static_cast<zyntax_channel *>(to_handle(runtime->inbox, channel->generation, index));
    return 0;
}

PollStatus zyntax_channel_send(zyntax_channel *handle, zyntax_op *op, const void *item, Waker *waker,
                               int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    ChannelRef ref = find_channel(handle);
    Channel *channel = ref.channel;
    if (!channel) return dead_io(op, result);
    if (!item && channel->item_size) return ready(ref.runtime, op, result, ZYNTAX_EINVAL);
    Node *node = waiter_of(ref.runtime, op, &channel->senders);
    if (channel->closed) return finish(ref.runtime, channel, &channel->senders, node, op, result, ZYNTAX_EPIPE);
    size_t room = channel->capacity - channel->count;
    if (!may_take(&channel->senders, node, room)) {
        return wait(ref.runtime, &channel->senders, node, room, op, waker, result);
    }
    if (channel->item_size) memcpy(place(channel, channel->count), item, channel->item_size);
    channel->count++;
    return finish(ref.runtime, channel, &channel->senders, node, op, result, 0);
}

PollStatus zyntax_channel_recv(zyntax_channel *handle, zyntax_op *op, void *item, Waker *waker,
                               int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    ChannelRef ref = find_channel(handle);
    Channel *channel = ref.channel;
    if (!channel) return dead_io(op, result);
    if (!item && channel->item_size) return ready(ref.runtime, op, result, ZYNTAX_EINVAL);
    Node *node = waiter_of(ref.runtime, op, &channel->receivers);
    if (channel->closed && channel->count == 0) {
        return finish(ref.runtime, channel, &channel->receivers, node, op, result, 0);
    }
    if (!may_take(&channel->receivers, node, channel->count)) {
        return wait(ref.runtime, &channel->receivers, node, channel->count, op, waker, result);
    }
    if (channel->item_size) memcpy(item, place(channel, 0), channel->item_size);
    channel->first = channel->first + 1 == channel->capacity ? 0 : channel->first + 1;
    channel->count--;
    return finish(ref.runtime, channel, &channel->receivers, node, op, result, 1);
}

int32_t zyntax_channel_close(zyntax_channel *handle) noexcept {
    ChannelRef ref = find_channel(handle);
    if (!ref.channel) return ZYNTAX_ESTALE;
    ref.channel->closed = true;
    settle(ref.runtime, ref.channel);
    return 0;
}

int32_t zyntax_channel_destroy(zyntax_channel *handle) noexcept {
    ChannelRef ref = find_channel(handle);
    if (!ref.channel) return ZYNTAX_ESTALE;
    destroy(ref);
    return 0;
}
