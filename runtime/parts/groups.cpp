// Waiting for several tasks, or for one and a time: join_all, select, join_until. A group has one node that the op
// names and one member for each thing it waits for; when enough members have fired, the waiter is woken once and all
// go.
#include "join.h"

using namespace zyntax;

namespace {

// What a group was begun for: the same arguments go on with it.
struct Purpose {
    enum Kind : uint8_t { join_all, select, join_until } kind;
    size_t n;
    const void *first; // task
    bool operator==(const Purpose &) const = default;
};

struct Group : Source {
    Purpose purpose;
    Node *head;         // what the op names; its source is the group
    uint32_t remaining; // members that have to fire
    Ring members;       // those that have not, through `of_task`: they are in no task's ring
};

void free_member(Runtime *runtime, Group *group, Node *member) {
    remove(&group->members, member, &Node::of_task);
    free_node(runtime, member);
}

void free_group(Runtime *runtime, Group *group) {
    while (Node *member = first_of(group->members)) free_member(runtime, group, member);
    runtime->arena.give(group, sizeof(Group));
}

void member_fired(Runtime *runtime, Node *member) {
    auto *group = static_cast<Group *>(member->source);
    free_member(runtime, group, member);
    if (--group->remaining > 0) return;
    Node *head = group->head;
    free_group(runtime, group);
    head->source = nullptr;
    fire(runtime, head);
}

void head_abandoned(Runtime *runtime, Node *head) { free_group(runtime, static_cast<Group *>(head->source)); }

bool is_group(const Node *node, const Purpose &purpose) {
    return node->source && node->source->abandoned == head_abandoned &&
           static_cast<Group *>(node->source)->purpose == purpose;
}

Group *make_group(Runtime *runtime, const Purpose &purpose, zyntax_op *op, const Waker *waker) {
    void *memory = runtime->arena.take(sizeof(Group));
    Node *head = memory ? arm(runtime, op, ZYNTAX_WAIT_JOIN, waker) : nullptr;
    if (!head) {
        if (memory) runtime->arena.give(memory, sizeof(Group));
        return nullptr;
    }
    auto *group = ::new (memory) Group();
    group->fired = member_fired;
    group->abandoned = head_abandoned;
    group->purpose = purpose;
    group->head = head;
    head->source = group;
    return group;
}

// Null without memory.
Node *add_member(Runtime *runtime, Group *group) {
    Node *member = arm(runtime, nullptr, ZYNTAX_WAIT_JOIN, &group->head->waker);
    if (!member) return nullptr;
    member->source = group;
    append(&group->members, member, &Node::of_task);
    group->remaining++;
    return member;
}

// A group over the live tasks, to fire when `enough` of them have ended (0: all). False without memory.
bool wait_for_tasks(Runtime *runtime, const Purpose &purpose, zyntax_task *const *tasks, size_t n, uint32_t enough,
                    zyntax_op *op, const Waker *waker) {
    Group *group = make_group(runtime, purpose, op, waker);
    if (!group) return false;
    for (size_t i = 0; i < n; i++) {
        Awaitable task = seen_from_here(tasks[i]);
        if (task.runtime != runtime) continue; // outside of driving several may be usable
        Node *member = add_member(runtime, group);
        if (!member) {
            zyntax_op_cancel(op);
            return false;
        }
        wait_in(&task.slot->joiners, member, Node::waiting);
    }
    if (enough) group->remaining = enough;
    return true;
}

// Whether a group that was armed by an earlier call is still pending; its waker is then the new one.
bool still_waits(const Purpose &purpose, zyntax_op *op, const Waker *waker) {
    Node *node = *op ? find_node(*op) : nullptr;
    Runtime *runtime = node ? usable_runtime(node->owner.load(std::memory_order_relaxed)) : nullptr;
    node = runtime ? my_node(runtime, op, [&](const Node *n) { return is_group(n, purpose); }) : nullptr;
    if (!node) *op = 0;
    return node && still_pending(runtime, node, waker) == POLL_PENDING;
}

} // namespace

PollStatus zyntax_join_all(zyntax_task *const *tasks, size_t n, zyntax_op *op, Waker *waker) noexcept {
    int64_t unused;
    if (Answer answer = answer_at_once(op, waker, &unused)) return *answer;
    if (!tasks && n) return POLL_READY;
    const Purpose purpose{Purpose::join_all, n, n ? tasks[0] : nullptr};
    if (still_waits(purpose, op, waker)) return POLL_PENDING;
    for (size_t i = 0; i < n; i++) {
        Awaitable task = seen_from_here(tasks[i]);
        if (!task.runtime) continue;
        bool waits = wait_for_tasks(task.runtime, purpose, tasks + i, n - i, 0, op, waker);
        return waits ? POLL_PENDING : call_again(task.runtime, op, waker);
    }
    return complete(op, nullptr, 0);
}

PollStatus zyntax_select(zyntax_task *const *tasks, size_t n, zyntax_op *op, Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op, waker, result)) return *answer;
    if (!n || !tasks) return refuse(op, result, ZYNTAX_EINVAL);
    const Purpose purpose{Purpose::select, n, tasks[0]};
    if (still_waits(purpose, op, waker)) return POLL_PENDING;
    Runtime *first = nullptr; // of a task that can be awaited
    int64_t ended = -1;
    for (size_t i = 0; i < n; i++) {
        Awaitable task = seen_from_here(tasks[i]);
        if (!tasks[i]) return complete(op, result, ZYNTAX_EINVAL);
        if (!task.slot && ended < 0) ended = static_cast<int64_t>(i);
        if (!first) first = task.runtime;
    }
    if (ended >= 0) return complete(op, result, ended);
    if (!first) return complete(op, result, ZYNTAX_EDEADLK);
    if (!wait_for_tasks(first, purpose, tasks, n, 1, op, waker)) return complete(op, result, ZYNTAX_ENOMEM);
    return POLL_PENDING;
}

PollStatus zyntax_join_until(zyntax_task *handle, zyntax_op *op, uint64_t deadline_ns, Waker *waker,
                             int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op, waker, result)) return *answer;
    Awaitable task = seen_from_here(handle);
    Runtime *runtime = task.runtime;
    if (!runtime) return refuse(op, result, task.result);
    const Purpose purpose{Purpose::join_until, 1, handle};
    if (still_waits(purpose, op, waker)) return POLL_PENDING;
    if (deadline_ns <= runtime->now_ns()) return complete(op, result, ZYNTAX_ETIMEDOUT);

    Group *group = make_group(runtime, purpose, op, waker);
    Node *end = group ? add_member(runtime, group) : nullptr;
    Node *timer = end ? add_member(runtime, group) : nullptr;
    if (!timer) {
        if (group) zyntax_op_cancel(op);
        return complete(op, result, ZYNTAX_ENOMEM);
    }
    runtime->timers.insert(timer, deadline_ns);
    group->remaining = 1;
    wait_in(&task.slot->joiners, end, Node::waiting);
    return POLL_PENDING;
}
