// Leaves that wait for time or for a turn: sleep, yield, and a limit on another promise.
#include "leaf.h"

using namespace zyntax;

namespace {

struct Sleep {
    uint64_t deadline_ns;
};
struct Yield {
    bool has_begun;
};
struct Timeout {
    zyntax_promise promise;
    uint64_t deadline_ns;
};

int64_t poll_sleep(Leaf *leaf, Runtime *runtime, Waker *waker) {
    return zyntax_sleep_until(runtime, &leaf->op_id, data_of<Sleep>(leaf)->deadline_ns, waker) == POLL_READY;
}
constexpr LeafKind sleep_kind = {poll_sleep};

// The task goes behind all that are ready now, and comes back when they have been polled.
int64_t poll_yield(Leaf *leaf, Runtime *, Waker *waker) {
    auto *yield = data_of<Yield>(leaf);
    if (yield->has_begun) return 1;
    yield->has_begun = true;
    wake(waker->data);
    return 0;
}
constexpr LeafKind yield_kind = {poll_yield};

Leaf *under(const Leaf *leaf) { return leaf_of(leaf->task, data_of<Timeout>(leaf)->promise); }

// What is under it may cancel it.
int64_t poll_timeout(Leaf *leaf, Runtime *runtime, Waker *waker) {
    const auto *timeout = data_of<Timeout>(leaf);
    Leaf *inner = under(leaf);
    int64_t value = inner ? collect(inner, &leaf->discard) : poll_in(leaf->task, timeout->promise);
    if (value || leaf->value) return value;
    if (zyntax_sleep_until(runtime, &leaf->op_id, timeout->deadline_ns, waker) == POLL_PENDING) return 0;
    end_leaf(under(leaf));
    return ZYNTAX_ETIMEDOUT;
}
constexpr LeafKind timeout_kind = {poll_timeout, nullptr, nullptr, under};

// Outside of a promise task no leaf is made of it.
uint64_t after(uint64_t duration_ns) {
    const PromiseTask *task = polled_promise_task();
    uint64_t now = task ? task->runtime->now_ns() : 0;
    return duration_ns > never_ns - now ? never_ns : now + duration_ns;
}

} // namespace

zyntax_promise *zyntax_promise_sleep(uint64_t duration_ns) noexcept {
    return promise_of(make_leaf(&sleep_kind, Sleep{after(duration_ns)}));
}

zyntax_promise *zyntax_promise_yield(void) noexcept { return promise_of(make_leaf(&yield_kind, Yield{false})); }

zyntax_promise *zyntax_promise_timeout(zyntax_promise *promise, uint64_t duration_ns) noexcept {
    if (!promise || !promise->poll) return failing(ZYNTAX_EINVAL);
    return promise_of(make_leaf(&timeout_kind, Timeout{*promise, after(duration_ns)}));
}
