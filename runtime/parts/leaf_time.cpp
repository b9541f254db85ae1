// Leaves of time and order: sleep, yield, and a time limit on another promise.
#include "leaf.h"

using namespace zyntax;

namespace {

struct Timeout {
    zyntax_promise promise;
    uint64_t deadline_ns;
};

Leaf *under(const Leaf *leaf) { return leaf_of(leaf->task, data_of<Timeout>(leaf)->promise); }

// The promise under the limit may cancel the limit.
int64_t poll_timeout(Leaf *leaf, Runtime *runtime, Waker *waker) {
    const auto *timeout = data_of<Timeout>(leaf);
    Leaf *inner = under(leaf);
    assert(inner != leaf && timeout->promise.poll);
    int64_t value = inner ? collect(inner, &leaf->discard) : poll_in(leaf->task, timeout->promise);
    if (value || leaf->value) return value;
    if (zyntax_sleep_until(runtime, &leaf->op_id, timeout->deadline_ns, waker) == POLL_PENDING) return 0;
    end_leaf(under(leaf));
    return runtime->was_interrupted() ? ZYNTAX_EINTR : ZYNTAX_ETIMEDOUT;
}
constexpr LeafKind timeout_kind = {poll_timeout, nullptr, nullptr, under};

// The deadline of the polled promise task; unused outside of one, where no leaf is made.
uint64_t after(uint64_t duration_ns) {
    const PromiseTask *task = polled_promise_task();
    uint64_t now = task ? task->runtime->now_ns() : 0;
    return duration_ns > never_ns - now ? never_ns : now + duration_ns;
}

} // namespace

zyntax_promise *zyntax_promise_sleep(uint64_t duration_ns) noexcept {
    return promise_of(make_leaf_of([deadline_ns = after(duration_ns)](Leaf *leaf, Waker *waker) -> int64_t {
        Runtime *runtime = leaf->task->runtime;
        if (zyntax_sleep_until(runtime, &leaf->op_id, deadline_ns, waker) == POLL_PENDING) return 0;
        return runtime->was_interrupted() ? int64_t{ZYNTAX_EINTR} : 1;
    }));
}

// The task goes to the end of the ready queue.
zyntax_promise *zyntax_promise_yield(void) noexcept {
    return promise_of(make_leaf_of([has_begun = false](Leaf *, Waker *waker) mutable -> int64_t {
        if (has_begun) return 1;
        has_begun = true;
        wake(waker->data);
        return 0;
    }));
}

zyntax_promise *zyntax_promise_timeout(zyntax_promise *promise, uint64_t duration_ns) noexcept {
    if (!promise || !promise->poll) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf(&timeout_kind, Timeout{*promise, after(duration_ns)}));
}
