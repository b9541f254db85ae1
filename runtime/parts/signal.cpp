// Signals. When a signal has come, the first waiter of each handle is given a turn, as in a channel. Its call takes all
// deliveries that the handle has not reported yet, also those that arrive before the call.
//
//   has_turn while the queue is not empty and a delivery is untold, once the message about it has been received
//   the holds of the runtime include one for each operation in a queue: the world outside may wake it
#include "signal_listener.h"
#include "turns.h"

namespace zyntax {

namespace {

struct SignalPart;

// A handle.
struct SignalWatch : Source {
    void *handle; // null: closed, and kept while an operation has a turn
    SignalPart *part;
    SignalWatch *next; // in the part's list
    int32_t number;
    size_t told;   // deliveries at the last result
    Ring queue;    // operations that wait for a turn
    bool has_turn; // an operation has a turn. Set by give_signal_turn; cleared by the operation's call or its end

    size_t untold() const { return signal_deliveries(number) - told; }
};

// The open handles of a runtime.
struct SignalPart : Part {
    explicit SignalPart(Runtime *) : Part() {}
    SignalListener *listener = nullptr; // null: there was no memory
    SignalWatch *watches = nullptr;
};

// ---- turns ----

void leave_signal_queue(Runtime *runtime, Op *op) {
    stop_waiting(runtime, op);
    runtime->inbox->holds.fetch_sub(1, std::memory_order_relaxed);
}

void give_signal_turn(Runtime *runtime, SignalWatch *watch) {
    while (!watch->has_turn && watch->untold() && !watch->queue.empty()) {
        Op *op = first_of(watch->queue);
        assert(op->source == watch && !op->woken);
        leave_signal_queue(runtime, op);
        if (is_orphan(op)) {
            free_op(runtime, op);
        } else {
            watch->has_turn = true;
            give_turn(runtime, op);
        }
    }
}

void signals_came(Runtime *runtime, Message *message) {
    auto *listener = static_cast<SignalListener *>(message);
    receive(listener);
    SignalWatch *watch = static_cast<SignalPart *>(listener->owner)->watches;
    for (; watch; watch = watch->next) give_signal_turn(runtime, watch);
}

void signal_waiter_gone(Runtime *runtime, Op *op) {
    auto *watch = static_cast<SignalWatch *>(op->source);
    if (!op->woken) return leave_signal_queue(runtime, op);
    assert(watch->has_turn);
    watch->has_turn = false;
    if (watch->handle) give_signal_turn(runtime, watch);
    else runtime->arena.give(watch, sizeof(SignalWatch));
}

// ---- begin and end ----

// 0 or an error.
int32_t begin_watch(Runtime *runtime, SignalWatch *watch) {
    SignalPart *part = watch->part;
    if (!part->listener) part->listener = take_listener(runtime, signals_came, part);
    if (!part->listener) return ZYNTAX_ENOMEM;
    int32_t error = begin_to_listen(part->listener, watch->number, &watch->told);
    if (error) return error;
    watch->next = part->watches;
    part->watches = watch;
    return 0;
}

void close_signal(Runtime *runtime, SignalWatch *watch) {
    SignalPart *part = watch->part;
    SignalWatch **link = &part->watches;
    while (*link != watch) link = &(*link)->next;
    *link = watch->next;
    end_to_listen(part->listener, watch->number);
    while (Op *op = first_of(watch->queue)) {
        leave_signal_queue(runtime, op);
        op->source = nullptr;
        fire(runtime, op);
    }
    give_handle(runtime, watch->handle);
    watch->handle = nullptr;
    if (!watch->has_turn) runtime->arena.give(watch, sizeof(SignalWatch));
}

void destroy_signal(Runtime *runtime, void *object) { close_signal(runtime, static_cast<SignalWatch *>(object)); }

uint64_t count_in_signal_queue([[maybe_unused]] const void *object) {
#ifndef NDEBUG
    return count_waiting(static_cast<const SignalWatch *>(object)->queue, Op::waiting);
#else
    return 0;
#endif
}

const HandleKind signal_kind = {destroy_signal, count_in_signal_queue};

void end_signals(Runtime *runtime, Part *part) {
    auto *signals = static_cast<SignalPart *>(part);
    assert(!signals->watches);
    if (signals->listener) give_listener(runtime, signals->listener);
}

} // namespace

} // namespace zyntax

using namespace zyntax;

int32_t zyntax_signal_open(zyntax_runtime *runtime, int32_t number, zyntax_signal **out) noexcept {
    if (!runtime || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::KeepErrors keep;
    int32_t error = os::check_signal(number);
    if (error) return error;
    if (runtime->is_ending) return ZYNTAX_ECANCELED;
    auto *part = find_or_make_part<SignalPart>(runtime, end_signals);
    void *memory = part ? runtime->arena.take(sizeof(SignalWatch)) : nullptr;
    if (!memory) return ZYNTAX_ENOMEM;
    auto *watch = ::new (memory) SignalWatch();
    void *handle = take_handle(runtime, &signal_kind, watch);
    watch->canceled = signal_waiter_gone;
    watch->handle = handle;
    watch->part = part;
    watch->number = number;
    error = handle ? begin_watch(runtime, watch) : int32_t{ZYNTAX_ENOMEM};
    if (error) {
        if (handle) give_handle(runtime, handle);
        runtime->arena.give(watch, sizeof(SignalWatch));
        return error;
    }
    *out = static_cast<zyntax_signal *>(handle);
    return 0;
}

PollStatus zyntax_signal_wait(zyntax_signal *handle, zyntax_op *op_id, Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    auto [runtime, watch] = find<SignalWatch>(handle, &signal_kind);
    if (!watch) return dead_handle(op_id, result);
    Op *op = my_op(runtime, op_id, [source = watch](const Op *each) { return each->source == source; });
    bool has_turn = op && op->woken;
    bool is_first = !watch->has_turn && first_of(watch->queue) == op; // also a new caller where no operation waits
    size_t count = has_turn || is_first ? watch->untold() : 0;
    if (!count && op) return still_pending(runtime, op, waker);
    if (!count) {
        op = arm(runtime, op_id, ZYNTAX_WAIT_SIGNAL, waker);
        if (!op) return not_armed(op_id, result);
        op->source = watch;
        wait_in(&watch->queue, op, Op::waiting);
        runtime->inbox->holds.fetch_add(1, std::memory_order_relaxed);
        return POLL_PENDING;
    }
    watch->told += count;
    if (has_turn) watch->has_turn = false;
    else if (op) leave_signal_queue(runtime, op);
    if (op) free_op(runtime, op);
    return complete(op_id, result, static_cast<int64_t>(count));
}

int32_t zyntax_signal_close(zyntax_signal *handle) noexcept {
    auto [runtime, watch] = find<SignalWatch>(handle, &signal_kind);
    if (!watch) return ZYNTAX_ESTALE;
    os::KeepErrors keep;
    close_signal(runtime, watch);
    return 0;
}
