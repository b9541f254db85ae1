// Time as tasks see it: the clock, and the two sleeps, which are never early.
#include "../runtime.h"

using namespace zyntax;

namespace {

// Refuses what cannot be used, and goes on with a sleep that was begun; true when that was all, and *status is the
// answer. An op that has ended, as one that was made up, has slept; one that waits for something else is canceled, and
// the sleep begins anew.
bool is_answered(Runtime *runtime, zyntax_op *op_id, const Waker *waker, PollStatus *status) {
    int64_t unused;
    *status = POLL_READY;
    if (!runtime) return true;
    if (Answer answer = answer_at_once(op_id, waker, &unused)) {
        *status = *answer;
        return true;
    }
    if (!*op_id) return false;
    const Op *op = find_op(*op_id);
    bool is_ours = op && op->owner.load(std::memory_order_relaxed) == runtime->inbox->id;
    bool is_over = !op || (is_ours && is_sleep(op) && op->place == Op::to_call);
    Op *sleep = my_op(runtime, op_id, is_sleep);
    if (sleep) *status = still_pending(runtime, sleep, waker);
    else if (is_over) *status = complete(op_id, nullptr, 0);
    return sleep || is_over;
}

// While there is no memory for the operation the task polls on: late is allowed, early is not.
PollStatus sleep_to(Runtime *runtime, zyntax_op *op_id, uint64_t deadline_ns, Waker *waker) {
    if (deadline_ns <= runtime->seen_ns) return complete(op_id, nullptr, 0);
    bool armed = arm_timer(runtime, op_id, ZYNTAX_WAIT_TIMER, deadline_ns, waker);
    return armed ? POLL_PENDING : call_again(runtime, op_id, waker);
}

} // namespace

uint64_t zyntax_now_ns(zyntax_runtime *runtime) noexcept {
    if (!runtime) return 0;
    if (runtime->inbox == driving) return runtime->now_ns();
    return runtime->config.clock_ns ? runtime->config.clock_ns(runtime->config.clock_ctx) : os::clock_ns();
}

PollStatus zyntax_sleep(zyntax_runtime *runtime, zyntax_op *op_id, uint64_t duration_ns, Waker *waker) noexcept {
    check_thread(runtime);
    PollStatus status;
    if (is_answered(runtime, op_id, waker, &status)) return status;
    uint64_t now = duration_ns ? runtime->now_ns() : 0;
    return sleep_to(runtime, op_id, duration_ns > never_ns - now ? never_ns : now + duration_ns, waker);
}

PollStatus zyntax_sleep_until(zyntax_runtime *runtime, zyntax_op *op_id, uint64_t deadline_ns, Waker *waker) noexcept {
    check_thread(runtime);
    PollStatus status;
    if (is_answered(runtime, op_id, waker, &status)) return status;
    return sleep_to(runtime, op_id, deadline_ns, waker);
}
