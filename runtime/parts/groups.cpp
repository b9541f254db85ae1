// Waiting for several tasks, or for a task and a time: join_all, select, join_until. A group has a head, the operation
// of the caller's op id, and a member for each task or time. When enough members have fired, the head is fired once and
// everything is freed.
#include "task_join.h"

using namespace zyntax;

namespace {

// The arguments that began a group. A call with the same arguments goes on with it.
struct Purpose {
    enum Kind : uint8_t { join_all, select, join_until } kind;
    size_t n;
    const void *first; // the first task
    bool operator==(const Purpose &) const = default;
};

struct Group : Source {
    Purpose purpose;
    Op *head;           // the operation of the op id; its source is the group
    uint32_t remaining; // members that have yet to fire
    Ring members;       // not fired; linked through `of_task`, as members are in no task's ring
};

void free_member(Runtime *runtime, Group *group, Op *member) {
    assert(member->source == group && member->holder == Op::nobody);
    remove(&group->members, member, &Op::of_task);
    free_op(runtime, member);
}

void free_group(Runtime *runtime, Group *group) {
    assert(group->head->source == group);
    while (Op *member = first_of(group->members)) free_member(runtime, group, member);
    runtime->arena.give(group, sizeof(Group));
}

void member_fired(Runtime *runtime, Op *member) {
    auto *group = static_cast<Group *>(member->source);
    assert(group->remaining > 0 && member != group->head);
    free_member(runtime, group, member);
    if (--group->remaining > 0) return;
    Op *head = group->head;
    free_group(runtime, group);
    head->source = nullptr;
    fire(runtime, head);
}

void head_canceled(Runtime *runtime, Op *head) {
    auto *group = static_cast<Group *>(head->source);
    assert(group->head == head);
    free_group(runtime, group);
}

bool is_group(const Op *op, const Purpose &purpose) {
    return op->source && op->source->canceled == head_canceled && static_cast<Group *>(op->source)->purpose == purpose;
}

Group *make_group(Runtime *runtime, const Purpose &purpose, zyntax_op *op_id, const Waker *waker) {
    assert(!*op_id);
    void *memory = runtime->arena.take(sizeof(Group));
    Op *head = memory ? arm(runtime, op_id, ZYNTAX_WAIT_JOIN, waker) : nullptr;
    if (!head) {
        if (memory) runtime->arena.give(memory, sizeof(Group));
        return nullptr;
    }
    auto *group = ::new (memory) Group();
    group->fired = member_fired;
    group->canceled = head_canceled;
    group->purpose = purpose;
    group->head = head;
    head->source = group;
    return group;
}

// A new member, in no ring in which it waits; null without memory.
Op *add_member(Runtime *runtime, Group *group) {
    Op *member = arm(runtime, nullptr, ZYNTAX_WAIT_JOIN, &group->head->waker);
    if (!member) return nullptr;
    member->source = group;
    append(&group->members, member, &Op::of_task);
    group->remaining++;
    return member;
}

// Begins a group that fires when `enough` of the live tasks have ended (0: all). False without memory.
bool wait_for_tasks(Runtime *runtime, const Purpose &purpose, zyntax_task *const *tasks, size_t n, uint32_t enough,
                    zyntax_op *op_id, const Waker *waker) {
    Group *group = make_group(runtime, purpose, op_id, waker);
    if (!group) return false;
    for (size_t i = 0; i < n; i++) {
        Awaitable target = seen_from_here(tasks[i]);
        if (target.runtime != runtime) continue; // a thread that drives no runtime may use tasks of several
        Op *member = add_member(runtime, group);
        if (!member) {
            zyntax_op_cancel(op_id);
            return false;
        }
        wait_in(&target.task->joiners, member, Op::waiting);
    }
    assert(group->remaining > 0 && group->remaining >= enough);
    if (enough) group->remaining = enough;
    return true;
}

// The status of a call with the group of an earlier call, which is still pending; or *op_id is 0.
Answer answer_of_group(const Purpose &purpose, zyntax_op *op_id, const Waker *waker) {
    Op *op = *op_id ? find_op(*op_id) : nullptr;
    Runtime *runtime = op ? usable_runtime(op->owner.load(std::memory_order_relaxed)) : nullptr;
    op = runtime ? my_op(runtime, op_id, [&](const Op *n) { return is_group(n, purpose); }) : nullptr;
    if (op) return {still_pending(runtime, op, waker)};
    *op_id = 0;
    return {};
}

} // namespace

PollStatus zyntax_join_all(zyntax_task *const *tasks, size_t n, zyntax_op *op_id, Waker *waker) noexcept {
    int64_t unused;
    if (Answer answer = answer_at_once(op_id, waker, &unused)) return *answer;
    if (!tasks && n) return POLL_READY;
    const Purpose purpose{Purpose::join_all, n, n ? tasks[0] : nullptr};
    if (Answer answer = answer_of_group(purpose, op_id, waker)) return *answer;
    for (size_t i = 0; i < n; i++) {
        Awaitable target = seen_from_here(tasks[i]);
        if (!target.runtime) continue;
        bool waits = wait_for_tasks(target.runtime, purpose, tasks + i, n - i, 0, op_id, waker);
        return waits ? POLL_PENDING : not_armed(target.runtime, op_id, waker);
    }
    return complete(op_id, nullptr, 0);
}

PollStatus zyntax_select(zyntax_task *const *tasks, size_t n, zyntax_op *op_id, Waker *waker,
                         int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!n || !tasks) return refuse(op_id, result, ZYNTAX_EINVAL);
    const Purpose purpose{Purpose::select, n, tasks[0]};
    if (Answer answer = answer_of_group(purpose, op_id, waker)) return *answer;
    Runtime *first = nullptr; // the runtime of the first task that can be awaited
    int64_t ended = -1;
    for (size_t i = 0; i < n; i++) {
        Awaitable target = seen_from_here(tasks[i]);
        if (!tasks[i]) return complete(op_id, result, ZYNTAX_EINVAL);
        if (!target.task && ended < 0) ended = static_cast<int64_t>(i);
        if (!first) first = target.runtime;
    }
    if (ended >= 0) return complete(op_id, result, ended);
    if (!first) return complete(op_id, result, ZYNTAX_EDEADLK);
    bool waits = wait_for_tasks(first, purpose, tasks, n, 1, op_id, waker);
    return waits ? POLL_PENDING : not_armed(op_id, result);
}

PollStatus zyntax_join_until(zyntax_task *handle, zyntax_op *op_id, uint64_t deadline_ns, Waker *waker,
                             int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    Awaitable target = seen_from_here(handle);
    Runtime *runtime = target.runtime;
    if (!runtime) return refuse(op_id, result, target.result);
    const Purpose purpose{Purpose::join_until, 1, handle};
    if (Answer answer = answer_of_group(purpose, op_id, waker)) return *answer;
    if (deadline_ns <= runtime->now_ns()) return complete(op_id, result, ZYNTAX_ETIMEDOUT);

    Group *group = make_group(runtime, purpose, op_id, waker);
    Op *end = group ? add_member(runtime, group) : nullptr;
    Op *timer = end ? add_member(runtime, group) : nullptr;
    if (!timer) {
        if (group) zyntax_op_cancel(op_id);
        return not_armed(op_id, result);
    }
    runtime->timers.insert(timer, deadline_ns);
    group->remaining = 1;
    wait_in(&target.task->joiners, end, Op::waiting);
    return POLL_PENDING;
}
