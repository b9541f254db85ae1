// Waiting for tasks: join, and groups of joins (join_all, select, join_until). A group has one node that the op names
// and one member for each thing it waits for; when enough members have fired, the waiter is woken once and all go.
#include "runtime.h"

using namespace zyntax;

namespace {

struct Task {
    Slot *slot = nullptr; // null: ended, or never was
    bool is_current = false;
    bool is_foreign = false;
};

// A task as somebody on this thread sees it who waits for it in a poll of `runtime` (null: outside any).
Task look_at(zyntax_task *handle) {
    uintptr_t bits = to_bits(handle);
    Slot *slot = slot_or_null(task_index(bits));
    if (!slot || !is_alive(slot, task_generation(bits))) return {};
    Inbox *owner = slot->owner.load(std::memory_order_acquire);
    if (driving ? owner != driving : !runtime_of(object_bits(owner->id, 0, 0))) return {slot, false, true};
    Runtime *runtime = owner->runtime.load(std::memory_order_relaxed);
    return {slot, slot == runtime->current, false};
}

Runtime *owner_of(const Task &task) { return task.slot->owner.load(std::memory_order_relaxed)->runtime; }

// Nodes that wait for one task form a circle; the slot names one of them by its index + 1.
void join_circle(Runtime *runtime, Slot *slot, Node *node) {
    if (slot->joiners) runtime->nodes.at(slot->joiners - 1)->append(node);
    else slot->joiners = node->index + 1;
    node->task = slot;
    node->place = Node::task_joiners;
}

struct Group : Source {
    Node *head;         // what the op names; its source is the group
    uint32_t remaining; // members that have to fire
    uint32_t count;
    Node *members[1]; // `count` of them; null once fired

    static size_t size_for(size_t n) { return sizeof(Group) + n * sizeof(Node *); }
};

void free_group(Runtime *runtime, Group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->members[i]) free_node(runtime, group->members[i]);
    }
    runtime->arena.give(group, Group::size_for(group->count));
}

void member_fired(Runtime *runtime, Node *member) {
    auto *group = static_cast<Group *>(member->source);
    group->members[member->tag] = nullptr;
    free_node(runtime, member);
    if (--group->remaining > 0) return;
    Node *head = group->head;
    free_group(runtime, group);
    head->source = nullptr;
    fire(runtime, head);
}

void head_abandoned(Runtime *runtime, Node *head) { free_group(runtime, static_cast<Group *>(head->source)); }

Group *make_group(Runtime *runtime, zyntax_op *op, size_t max_members, const Waker *waker) {
    void *memory = max_members < UINT32_MAX / 16 ? runtime->arena.take(Group::size_for(max_members)) : nullptr;
    Node *head = memory ? arm(runtime, op, ZYNTAX_WAIT_JOIN, waker) : nullptr;
    if (!head) {
        if (memory) runtime->arena.give(memory, Group::size_for(max_members));
        return nullptr;
    }
    auto *group = ::new (memory) Group();
    group->fired = member_fired;
    group->abandoned = head_abandoned;
    group->head = head;
    group->count = static_cast<uint32_t>(max_members);
    for (size_t i = 0; i < max_members; i++) group->members[i] = nullptr;
    head->source = group;
    return group;
}

// Only `i` below the group's count, each once. False without memory.
Node *add_member(Runtime *runtime, Group *group, uint32_t i) {
    Node *member = arm(runtime, nullptr, ZYNTAX_WAIT_JOIN, &group->head->waker);
    if (!member) return nullptr;
    member->source = group;
    member->tag = i;
    group->members[i] = member;
    return member;
}

// A group over the live tasks, to fire when `enough` of them have ended (0: all). False without memory.
bool wait_for_tasks(Runtime *runtime, zyntax_task *const *tasks, size_t n, uint32_t enough, zyntax_op *op,
                    const Waker *waker) {
    Group *group = make_group(runtime, op, n, waker);
    if (!group) return false;
    uint32_t live = 0;
    for (uint32_t i = 0; i < n; i++) {
        Task task = look_at(tasks[i]);
        if (!task.slot || task.is_current || task.is_foreign) continue;
        Node *member = add_member(runtime, group, i);
        if (!member) {
            zyntax_op_cancel(op);
            return false;
        }
        join_circle(runtime, task.slot, member);
        live++;
    }
    group->remaining = enough ? enough : live;
    return true;
}

// Whether an op that was armed by an earlier call is still pending; its waker is then the new one.
bool still_waits(zyntax_op *op, const Waker *waker) {
    Runtime *runtime = *op ? runtime_of(*op) : nullptr;
    Node *node = runtime ? pending_node(runtime, op) : nullptr;
    if (!node) *op = 0;
    return node && still_pending(runtime, node, waker) == POLL_PENDING;
}

} // namespace

PollStatus zyntax_task_join(zyntax_task *handle, zyntax_op *op, Waker *waker, int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    Task task = look_at(handle);
    if (!task.slot || task.is_foreign || task.is_current) {
        if (*op) zyntax_op_cancel(op);
        Runtime *runtime = driving ? driving->runtime.load(std::memory_order_relaxed) : nullptr;
        int64_t value = !task.slot ? 0 : task.is_foreign ? ZYNTAX_ESTALE : ZYNTAX_EDEADLK;
        return ready(runtime, op, result, value);
    }
    Runtime *runtime = owner_of(task);
    if (Node *node = pending_node(runtime, op)) return still_pending(runtime, node, waker);
    Node *node = arm(runtime, op, ZYNTAX_WAIT_JOIN, waker);
    if (!node) return ready(runtime, op, result, ZYNTAX_ENOMEM);
    join_circle(runtime, task.slot, node);
    return POLL_PENDING;
}

PollStatus zyntax_join_all(zyntax_task *const *tasks, size_t n, zyntax_op *op, Waker *waker) noexcept {
    int64_t unused;
    if (!valid(op, waker, &unused) || (!tasks && n)) return POLL_READY;
    if (still_waits(op, waker)) return POLL_PENDING;
    for (size_t i = 0; i < n; i++) {
        Task task = look_at(tasks[i]);
        if (!task.slot || task.is_current || task.is_foreign) continue;
        Runtime *runtime = owner_of(task);
        if (!wait_for_tasks(runtime, tasks + i, n - i, 0, op, waker)) {
            runtime->wakers_stored++;
            waker->wake(waker->data);
        }
        return POLL_PENDING;
    }
    return ready(zyntax_current_runtime(), op, nullptr, 0);
}

PollStatus zyntax_select(zyntax_task *const *tasks, size_t n, zyntax_op *op, Waker *waker, int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    if (still_waits(op, waker)) return POLL_PENDING;
    Runtime *runtime = zyntax_current_runtime();
    if (!n || !tasks) return ready(runtime, op, result, ZYNTAX_EINVAL);
    Task first;
    for (size_t i = 0; i < n; i++) {
        Task task = look_at(tasks[i]);
        if (!task.slot) return ready(runtime, op, result, static_cast<int64_t>(i));
        if (!first.slot && !task.is_current && !task.is_foreign) first = task;
    }
    if (!first.slot) return ready(runtime, op, result, ZYNTAX_EDEADLK);
    runtime = owner_of(first);
    if (!wait_for_tasks(runtime, tasks, n, 1, op, waker)) return ready(runtime, op, result, ZYNTAX_ENOMEM);
    return POLL_PENDING;
}

PollStatus zyntax_join_until(zyntax_task *handle, zyntax_op *op, uint64_t deadline_ns, Waker *waker,
                             int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    Task task = look_at(handle);
    if (!task.slot || task.is_foreign || task.is_current) return zyntax_task_join(handle, op, waker, result);
    Runtime *runtime = owner_of(task);
    if (Node *node = pending_node(runtime, op)) return still_pending(runtime, node, waker);
    if (deadline_ns <= runtime->now_ns()) return ready(runtime, op, result, ZYNTAX_ETIMEDOUT);

    Group *group = make_group(runtime, op, 2, waker);
    Node *end = group ? add_member(runtime, group, 0) : nullptr;
    Node *timer = end ? add_member(runtime, group, 1) : nullptr;
    if (!timer || !runtime->timers.insert(runtime->arena, timer, deadline_ns)) {
        if (group) zyntax_op_cancel(op);
        return ready(runtime, op, result, ZYNTAX_ENOMEM);
    }
    group->remaining = 1;
    join_circle(runtime, task.slot, end);
    return POLL_PENDING;
}
