// The race of connects. It never blocks, and never waits for more than it has to: a single address needs no timer.
#include "race.h"

#include "io.h"

namespace zyntax {

// A socket that is being connected. Its operation waits until the socket is writable.
struct Attempt {
    Attempt *next;
    uint32_t address; // its index
    zyntax_io *io;
    zyntax_op op_id;
};

namespace {

constexpr uint64_t attempt_delay_ns = 250'000'000;

uint64_t later(uint64_t now_ns) { return now_ns < never_ns - attempt_delay_ns ? now_ns + attempt_delay_ns : never_ns; }

// Of an attempt or of the timer, which is used again.
void race_fired(Runtime *runtime, Op *op) {
    auto *race = static_cast<Race *>(op->source);
    assert(op != race->op);
    if (op != find_op(race->timer)) free_op(runtime, op);
    if (!race->op->woken) wake_waiter(runtime, race->op);
}

// Ends the first attempt of the list.
void end_attempt(Runtime *runtime, Attempt **list) {
    Attempt *attempt = *list;
    *list = attempt->next;
    zyntax_op_cancel(&attempt->op_id);
    if (attempt->io) zyntax_io_close(attempt->io);
    runtime->arena.give(attempt, sizeof(Attempt));
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

// Opens a socket towards an address. *io is set, with 0 if it is connected, or ZYNTAX_EAGAIN: in progress.
int32_t try_address(Runtime *runtime, const os::Address *address, zyntax_io **io) {
    Io *reserved;
    int32_t error = reserve_io(runtime, &reserved);
    if (error) return error;
    bool in_progress;
    intptr_t fd = os::connect(address, &in_progress);
    if (fd < 0) {
        unreserve_io(runtime, reserved);
        return static_cast<int32_t>(fd);
    }
    error = register_io(runtime, reserved, fd, os::Kind::tcp, in_progress ? 0 : readable | writable, io);
    if (error) os::close(fd);
    return error ? error : in_progress ? ZYNTAX_EAGAIN : 0;
}

// Whether the attempt goes on (ZYNTAX_EAGAIN), has won (0) or has failed.
int32_t look_at(Runtime *runtime, Race *race, Attempt *attempt) {
    if (pending_op(runtime, &attempt->op_id)) return ZYNTAX_EAGAIN;
    IoRef ref = find_io(attempt->io);
    if (!ref.object) return ZYNTAX_ECANCELED;
    int32_t error = os::connect_result(ref.object->fd);
    if (error == ZYNTAX_EAGAIN) {
        Waker nobody = {};
        int64_t result;
        if (wait_io(ref, writable, &attempt->op_id, &nobody, &result) == POLL_READY)
            return static_cast<int32_t>(result);
        find_op(attempt->op_id)->source = race;
    } else if (!error) {
        ref.object->readiness = readable | writable;
    }
    return error;
}

// Looks at an attempt, and ends it unless it goes on. Returns as look_at.
int32_t settle_attempt(Runtime *runtime, Race *race, Attempt **list) {
    Attempt *attempt = *list;
    int32_t error = look_at(runtime, race, attempt);
    if (error == ZYNTAX_EAGAIN) return error;
    if (error && !attempt->address) race->error = error;
    if (!error) {
        race->winner = attempt->io;
        attempt->io = nullptr;
    }
    end_attempt(runtime, list);
    return error;
}

// Returns as look_at. A lack of descriptors or memory is no error of the address while other attempts hold some.
int32_t begin_attempt(Runtime *runtime, Race *race) {
    void *memory = runtime->arena.take(sizeof(Attempt));
    zyntax_io *io = nullptr;
    int32_t error =
        memory ? try_address(runtime, &race->look_up.names->list()[race->next], &io) : int32_t{ZYNTAX_ENOMEM};
    if (!io) {
        if (memory) runtime->arena.give(memory, sizeof(Attempt));
        if (error == ZYNTAX_EAGAIN) error = ZYNTAX_ENOBUFS; // Linux's word for a full routing cache
        if (!race->next) race->error = error;
        return error;
    }
    Attempt **end = &race->attempts;
    while (*end) end = &(*end)->next;
    *end = ::new (memory) Attempt{nullptr, race->next, io, 0};
    return settle_attempt(runtime, race, end);
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
        return op->source && op->source->canceled == race_canceled &&
               static_cast<Race *>(op->source)->is_by_name == is_by_name;
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
    race->op = arm(runtime, op_id, ZYNTAX_WAIT_WRITABLE, waker);
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
