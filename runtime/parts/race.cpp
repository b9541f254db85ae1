// The race of connects. It never blocks, and never waits for more than it has to: a single address needs no timer.
#include "race.h"

namespace zyntax {

namespace {

constexpr uint64_t attempt_delay_ns = 250'000'000;

uint64_t later(uint64_t now_ns) { return now_ns < never_ns - attempt_delay_ns ? now_ns + attempt_delay_ns : never_ns; }

// An operation of an attempt or of the timer was fired. The timer's operation is used again.
void race_fired(Runtime *runtime, Op *op) {
    auto *race = static_cast<Race *>(op->source);
    assert(op != race->op);
    if (op != find_op(race->timer)) free_op(runtime, op);
    if (!race->op->woken) wake_waiter(runtime, race->op);
}

void free_race(Runtime *runtime, Race *race) {
    while (race->attempts) end_attempt(runtime, &race->attempts);
    zyntax_op_cancel(&race->timer);
    end_look_up(runtime, &race->look_up);
    runtime->arena.give(race, sizeof(Race));
}

// The operations of attempts and of the timer are canceled by the race, or with the runtime, and hold nothing.
void race_canceled(Runtime *runtime, Op *op) {
    auto *race = static_cast<Race *>(op->source);
    if (op == race->op) free_race(runtime, race);
}

// Chooses the next address: of the other family than the last one, if one is left. The size of an address tells its
// family.
void choose_next(Race *race) {
    const os::Address *list = race->look_up.names->list();
    uint32_t count = race->look_up.count;
    for (int tries = 0; tries < 2; tries++) {
        race->is_next_of_others = !race->is_next_of_others;
        uint32_t *at = &race->after_next[race->is_next_of_others];
        while (*at < count && (list[*at].size != list[0].size) != race->is_next_of_others) ++*at;
        race->next = *at;
        if (*at < count) {
            ++*at;
            return;
        }
    }
}

// Begins the attempts whose time has come. True: the race has a winner.
bool begin_attempts(Runtime *runtime, Race *race, uint64_t now_ns, bool has_failed) {
    while (race->next < race->look_up.count && (!race->attempts || has_failed || now_ns >= race->next_ns)) {
        int32_t error = begin_attempt(runtime, race);
        if (!error) return true;
        race->next_ns = later(now_ns);
        if (race->attempts && os::accept_exhausted(error)) return false; // the address is tried again
        has_failed = error != ZYNTAX_EAGAIN;
        choose_next(race);
    }
    return false;
}

// False without memory.
bool set_timer(Runtime *runtime, Race *race) {
    uint64_t at = race->deadline_ns;
    if (race->next < race->look_up.count && race->next_ns < at) at = race->next_ns;
    Op *timer = pending_op(runtime, &race->timer);
    if (!timer && at != never_ns) {
        const Waker nobody = {};
        timer = arm(runtime, &race->timer, ZYNTAX_WAIT_TIMER, &nobody);
        if (!timer) return false;
        timer->source = race;
    }
    if (!timer || (timer->place == Op::timer_wheel && timer->deadline_ns == at)) return true;
    stop_waiting(runtime, timer);
    runtime->timers.insert(timer, at);
    return true;
}

// True: the race has a winner or an error.
bool advance_race(Runtime *runtime, Race *race) {
    bool has_failed = false;
    for (Attempt **link = &race->attempts; *link;) {
        int32_t error = settle_attempt(runtime, race, link);
        if (!error) return true;
        if (error == ZYNTAX_EAGAIN) link = &(*link)->next;
        else has_failed = true;
    }
    uint64_t now = runtime->now_ns();
    if (runtime->is_ending) race->error = ZYNTAX_ECANCELED;
    else if (race->deadline_ns <= now && race->deadline_ns != never_ns) race->error = ZYNTAX_ETIMEDOUT;
    else if (begin_attempts(runtime, race, now, has_failed) || !race->attempts) return true;
    else if (set_timer(runtime, race)) return false;
    else race->error = ZYNTAX_ENOMEM;
    return true;
}

} // namespace

Race *race_of(Runtime *runtime, zyntax_op *op_id, bool is_by_name) {
    auto is_it = [is_by_name](const Op *op) {
        if (!op->source || op->source->canceled != race_canceled) return false;
        auto *race = static_cast<const Race *>(op->source);
        return race->op == op && race->is_by_name == is_by_name;
    };
    Op *op = my_op(runtime, op_id, is_it);
    return op ? static_cast<Race *>(op->source) : nullptr;
}

Race *begin_race(Runtime *runtime, zyntax_op *op_id, bool is_by_name, Waker *waker) {
    assert(!*op_id);
    void *memory = runtime->arena.take(sizeof(Race));
    if (!memory) return nullptr;
    auto *race = ::new (memory) Race();
    race->fired = race_fired;
    race->canceled = race_canceled;
    race->is_by_name = is_by_name;
    race->after_next[0] = 1; // the first address is next
    race->deadline_ns = never_ns;
    zyntax_op first_try = 0; // not the call's op id: an interrupt ends the call after a try
    race->op = arm(runtime, &first_try, ZYNTAX_WAIT_WRITABLE, waker);
    *op_id = first_try;
    if (race->op) {
        race->op->source = race;
        return race;
    }
    runtime->arena.give(memory, sizeof(Race));
    return nullptr;
}

PollStatus go_on(Runtime *runtime, Race *race, zyntax_op *op_id, Waker *waker, zyntax_io **out, int64_t *result) {
    Op *op = race->op;
    stop_waiting(runtime, op); // a host's waker that the loop has not called yet
    op->woken = false;
    op->waits = ZYNTAX_WAIT_WRITABLE;
    if (!advance_race(runtime, race)) return still_pending(runtime, op, waker);
    zyntax_io *winner = race->winner;
    int32_t error = winner ? 0 : race->error;
    assert(winner || error);
    if (winner) *out = winner;
    free_race(runtime, race);
    free_op(runtime, op);
    return complete(op_id, result, error);
}

} // namespace zyntax
