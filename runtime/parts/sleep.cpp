// The clock, and the two sleeps of tasks. A sleep never ends early.
#include "../runtime.h"

using namespace zyntax;

namespace {

// A host's sleep whose time has come, while the loop has yet to call the host's waker.
bool is_fired_sleep(const Runtime *runtime, const Op *op) {
    bool is_ours = op->owner.load(std::memory_order_relaxed) == runtime->inbox->id;
    return is_ours && is_sleep(op) && op->place == Op::to_call;
}

// The status of a call that begins no sleep: of a pending sleep, or of a sleep that has ended, as any op id without an
// operation has. An operation that waits for something else is canceled, and a sleep begins.
Answer answer_without_sleep(Runtime *runtime, zyntax_op *op_id, const Waker *waker) {
    int64_t unused;
    if (!runtime) return {POLL_READY};
    if (Answer answer = answer_at_once(op_id, waker, &unused)) return answer;
    if (!*op_id) return {};
    const Op *named = find_op(*op_id);
    bool has_ended = !named || is_fired_sleep(runtime, named);
    if (Op *sleep = my_op(runtime, op_id, is_sleep)) return {still_pending(runtime, sleep, waker)};
    if (has_ended) return {complete(op_id, nullptr, 0)};
    return {};
}

// Without memory for the operation the task is polled again: a sleep may end late, but never early.
PollStatus sleep_to(Runtime *runtime, zyntax_op *op_id, uint64_t deadline_ns, Waker *waker) {
    assert(!*op_id);
    if (deadline_ns <= runtime->seen_ns) return complete(op_id, nullptr, 0);
    bool armed = arm_timer(runtime, op_id, ZYNTAX_WAIT_TIMER, deadline_ns, waker);
    return armed ? POLL_PENDING : not_armed(runtime, op_id, waker);
}

} // namespace

uint64_t zyntax_now_ns(zyntax_runtime *runtime) noexcept {
    if (!runtime) return 0;
    if (runtime->inbox == driving) return runtime->now_ns();
    return runtime->config.clock_ns ? runtime->config.clock_ns(runtime->config.clock_ctx) : os::clock_ns();
}

PollStatus zyntax_sleep(zyntax_runtime *runtime, zyntax_op *op_id, uint64_t duration_ns, Waker *waker) noexcept {
    check_thread(runtime);
    if (Answer answer = answer_without_sleep(runtime, op_id, waker)) return *answer;
    uint64_t now = duration_ns ? runtime->now_ns() : 0;
    return sleep_to(runtime, op_id, duration_ns > never_ns - now ? never_ns : now + duration_ns, waker);
}

PollStatus zyntax_sleep_until(zyntax_runtime *runtime, zyntax_op *op_id, uint64_t deadline_ns, Waker *waker) noexcept {
    check_thread(runtime);
    if (Answer answer = answer_without_sleep(runtime, op_id, waker)) return *answer;
    return sleep_to(runtime, op_id, deadline_ns, waker);
}
