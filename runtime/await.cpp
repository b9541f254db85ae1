#include "runtime.h"

namespace zyntax {

// Another thread's runtime must not be looked into: a stray number may name it.
Runtime *runtime_of(uint64_t bits) {
    auto id = static_cast<uint32_t>(bits >> object_inbox_shift);
    if (driving && driving->id == id) return driving->runtime.load(std::memory_order_relaxed);
    Inbox *inbox = inbox_at(id);
    if (!inbox) return nullptr;
    const void *driver = inbox->driver.load(std::memory_order_acquire);
    if (driver && driver != this_thread()) return nullptr;
    return inbox->runtime.load(std::memory_order_acquire);
}

namespace {

// A node on the list `foreign` has been fired, and only lives on to be cancelled in time.
void fired_foreign(Runtime *, Node *) {}
constinit Source foreign_source = {fired_foreign, fired_foreign};

} // namespace

static Node *find_node(Runtime *runtime, zyntax_op op) {
    if (op >> object_inbox_shift != runtime->inbox->id) return nullptr;
    return runtime->nodes.find(object_index(op), object_generation(op));
}

Node *pending_node(Runtime *runtime, zyntax_op *op) {
    Node *node = *op ? find_node(runtime, *op) : nullptr;
    if (node && node->source == &foreign_source) {
        free_node(runtime, node);
        node = nullptr;
    }
    if (!node) *op = 0;
    return node;
}

// Notes what the task that is being polled waits for, for zyntax_runtime_dump.
static void note_wait(Runtime *runtime, const Node *node, const Waker *waker) {
    runtime->wakers_stored++;
    if (runtime->current && waker->data == runtime->waker.data) runtime->current->waits = node->waits;
}

Node *arm(Runtime *runtime, zyntax_op *op, zyntax_wait waits, const Waker *waker) {
    uint32_t index = runtime->nodes.take(runtime->next_op());
    if (index == runtime->nodes.none) return nullptr;
    Node *node = runtime->nodes.at(index);
    node->waker = *waker;
    node->source = nullptr;
    node->index = index;
    node->waits = static_cast<uint8_t>(waits);
    node->place = Node::nowhere;
    if (op) *op = object_bits(runtime->inbox->id, node->generation, index);
    note_wait(runtime, node, waker);
    return node;
}

Node *arm_timer(Runtime *runtime, zyntax_op *op, zyntax_wait waits, uint64_t deadline_ns, const Waker *waker) {
    Node *node = arm(runtime, op, waits, waker);
    if (!node || runtime->timers.insert(runtime->arena, node, deadline_ns)) return node;
    runtime->nodes.give(node->index);
    if (op) *op = 0;
    return nullptr;
}

PollStatus still_pending(Runtime *runtime, Node *node, const Waker *waker) {
    node->waker = *waker;
    note_wait(runtime, node, waker);
    return POLL_PENDING;
}

PollStatus ready(Runtime *runtime, zyntax_op *op, int64_t *result, int64_t value) {
    if (runtime) runtime->wakers_returned++;
    *op = 0;
    if (result) *result = value;
    return POLL_READY;
}

// Takes the node out of the list that it is in, whatever that is.
static void detach(Runtime *runtime, Node *node) {
    switch (node->place) {
    case Node::nowhere:
        return;
    case Node::timer_wheel:
        return runtime->timers.remove(node);
    case Node::task_joiners:
        if (node->task->joiners == node->index + 1) {
            node->task->joiners = node->empty() ? 0 : node->front()->index + 1;
        }
        break;
    case Node::io_waiters:
        runtime->io_waiting--;
        break;
    case Node::elsewhere:
        break;
    }
    node->unlink();
    node->place = Node::nowhere;
}

void free_node(Runtime *runtime, Node *node) {
    detach(runtime, node);
    runtime->nodes.give(node->index);
}

static void abandon(Runtime *runtime, Node *node) {
    detach(runtime, node);
    if (node->source) node->source->abandoned(runtime, node);
    free_node(runtime, node);
}

bool is_forgotten(const Node *node) {
    if (node->waker.wake != wake) return false;
    uintptr_t handle = to_bits(node->waker.data);
    Slot *slot = slot_or_null(task_index(handle));
    return !slot || !is_alive(slot, task_generation(handle));
}

void keep(Runtime *runtime, Node *node) {
    node->place = Node::elsewhere;
    runtime->kept.append(node);
}

// A few at a time, in turn, so that the cost of a round does not depend on how many there are.
void sweep_forgotten(Runtime *runtime) {
    for (int i = 0; i < 8 && !runtime->kept.empty(); i++) {
        Node *node = runtime->kept.front();
        if (is_forgotten(node)) {
            abandon(runtime, node);
        } else {
            node->unlink();
            runtime->kept.append(node);
        }
    }
}

void wake_waiter(Runtime *runtime, const Node *node) {
    if (node->waker.wake == wake) return wake(node->waker.data);
    // A foreign waker may do anything: it gets a node of its own, and the loop calls it. Without memory, here.
    Waker waker = node->waker;
    Node *messenger = arm(runtime, nullptr, ZYNTAX_WAIT_UNKNOWN, &waker);
    if (!messenger) return waker.wake(waker.data);
    messenger->source = &foreign_source;
    messenger->place = Node::elsewhere;
    runtime->foreign.append(messenger);
}

void fire(Runtime *runtime, Node *node) {
    detach(runtime, node);
    if (node->source) return node->source->fired(runtime, node);
    if (node->waker.wake == wake) {
        void *data = node->waker.data;
        runtime->nodes.give(node->index);
        return wake(data);
    }
    node->source = &foreign_source;
    node->place = Node::elsewhere;
    runtime->foreign.append(node);
}

void fire_all(Runtime *runtime, Link *list) {
    while (!list->empty()) fire(runtime, list->front());
}

} // namespace zyntax

using namespace zyntax;

void zyntax_op_cancel(zyntax_op *op) noexcept {
    if (!op || !*op) return;
    Runtime *runtime = runtime_of(*op);
    Node *node = runtime ? find_node(runtime, *op) : nullptr;
    *op = 0;
    if (!node) return;
    check_thread(runtime);
    abandon(runtime, node);
}

uint64_t zyntax_now_ns(zyntax_runtime *runtime) noexcept {
    if (!runtime) return 0;
    if (runtime->inbox == driving) return runtime->now_ns();
    return runtime->clock ? runtime->clock(runtime->clock_ctx) : os::clock_ns();
}

// While there is no memory for the node the task polls on: late is allowed, early is not.
static PollStatus sleep_to(Runtime *runtime, zyntax_op *op, uint64_t deadline_ns, Waker *waker) {
    if (deadline_ns <= runtime->seen_ns) return ready(runtime, op, nullptr, 0);
    if (arm_timer(runtime, op, ZYNTAX_WAIT_TIMER, deadline_ns, waker)) return POLL_PENDING;
    runtime->wakers_stored++;
    waker->wake(waker->data);
    return POLL_PENDING;
}

PollStatus zyntax_sleep(zyntax_runtime *runtime, zyntax_op *op, uint64_t duration_ns, Waker *waker) noexcept {
    int64_t unused;
    if (!runtime || !valid(op, waker, &unused)) return POLL_READY;
    check_thread(runtime);
    if (*op) {
        Node *node = pending_node(runtime, op);
        return node ? still_pending(runtime, node, waker) : ready(runtime, op, nullptr, 0);
    }
    uint64_t now = duration_ns ? runtime->now_ns() : 0;
    return sleep_to(runtime, op, duration_ns > never_ns - now ? never_ns : now + duration_ns, waker);
}

PollStatus zyntax_sleep_until(zyntax_runtime *runtime, zyntax_op *op, uint64_t deadline_ns, Waker *waker) noexcept {
    int64_t unused;
    if (!runtime || !valid(op, waker, &unused)) return POLL_READY;
    check_thread(runtime);
    if (*op) {
        Node *node = pending_node(runtime, op);
        return node ? still_pending(runtime, node, waker) : ready(runtime, op, nullptr, 0);
    }
    return sleep_to(runtime, op, deadline_ns, waker);
}
