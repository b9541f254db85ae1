// Driving runtimes, and the checks in a turn, before the loop sleeps, between turns, and at rest.
#include "program.h"

namespace random_test {

uint64_t Program::now(uint32_t r) const { return (rest_ns_ ? rest_ns_ : outside::now_ns()) + rts_[r].clock_offset_ns; }

uint64_t RuntimeModel::clock(void *self) {
    return outside::now_ns() + static_cast<RuntimeModel *>(self)->clock_offset_ns;
}

// A promise has no drop to tell of its end.
bool Program::is_live(const Actor &actor) const {
    if (!actor.alive) return false;
    if (!actor.silent) return true;
    if (actor.finishing && !actor.in_poll) return false;
    return !actor.task || zyntax_task_alive(actor.task);
}

uint32_t Program::alive_on(uint32_t r) const {
    uint32_t n = 0;
    for (const Actor &actor : actors_) n += actor.rt == r && is_live(actor);
    return n;
}

void Program::reap(bool may_cancel) {
    for (Actor &actor : actors_) {
        if (!actor.alive || !actor.silent || actor.in_poll || is_live(actor)) continue;
        if (!actor.task && !actor.child) continue; // zyntax_promise_block_on ends it
        int64_t expected = actor.finishing ? int64_t(actor.id) : int64_t{ZYNTAX_ECANCELED};
        expect(actor.no_drop || actor.child || actor.result == expected, "promise_result",
               "*result is set when a promise has ended");
        actor.alive = false;
        keep_old(actor.task, &actor.waker, 0, nullptr);
        end_leaves(actor);
        if (may_cancel) end_words(actor);
        for (Word &word : actor.words) {
            if (word.args.kind != Kind::none) forget_word(word);
        }
    }
}

// ---- one drive ----

void Program::begin_round(RuntimeModel &rt) {
    uint32_t there = rt.posted;
    for (const Actor &actor : actors_) there += actor.alive;
    for (uint32_t i = 0; i < regs_used_; i++) there += regs_[i].id != 0;
    rt.round_polls = rt.round_calls = rt.round_spent = 0;
    rt.round_limit = 2 * there + 8 * rt.budget + 64;
}

void Program::turn_begins(RuntimeModel &rt) {
    auto r = uint32_t(&rt - rts_);
    stack_[stack_size_++] = uint8_t(r);
    rt.driving = true;
    rt.drive_polls = 0;
    rt.took_edge = rt.edges && outside::edge_taken(rt.host_fd);
    rt.waits_then = kernel_waits(rt);
    begin_round(rt);
    reap();
    for (Actor &actor : actors_) {
        if (!actor.alive || actor.rt != r) continue;
        actor.due = actor.must_poll && !actor.canceled;
        actor.due_drop = actor.canceled;
        actor.polls_then = actor.polls;
    }
    for (Job &job : jobs_) job.due = job.id && job.over && job.rt == r;
    uint64_t time = now(r);
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        bool timer = reg.args.kind == Kind::sleep || reg.args.kind == Kind::sleep_until;
        if (!reg.id || !timer || reg.args.rt != r || reg.lapsed || reg.forgotten || reg.due_ns > time) continue;
        if (reg.wakee.kind != Wakee::task) continue;
        Actor &actor = actors_[reg.wakee.actor];
        if (actor.id == reg.wakee.id && actor.alive && actor.rt == r && !actor.canceled) actor.due = true;
    }
}

uint64_t Program::kernel_waits(const RuntimeModel &rt) {
    zyntax_runtime_stats stats = {};
    stats.size = sizeof stats;
    return zyntax_runtime_get_stats(rt.rt, &stats) == 0 ? stats.kernel_waits : 0;
}

// A drive, other than a turn, may end before it has asked the kernel: the edge that it took still counts.
void Program::keep_edge(RuntimeModel &rt) {
    if (rt.took_edge && kernel_waits(rt) == rt.waits_then) outside::edge_back(rt.host_fd);
}

int64_t Program::drive(uint32_t r, uint32_t how, int64_t timeout_ns, uint32_t a) {
    RuntimeModel &rt = rts_[r];
    if (!rt.rt || stack_size_ > max_runtimes || (how == 2 && !actors_[a].task)) return 0;
    if (how == 3) return drive_promise(r);
    static constexpr const char *names[] = {"turn", "run", "block_on"};
    TRACE("%s %u (%lld) {", names[how], r, static_cast<long long>(how == 2 ? int64_t(a) : timeout_ns));
    bool busy = rt.driving, stop_before = rt.stop == 1;
    bool was_over = how == 2 && (!zyntax_task_alive(actors_[a].task));
    bool foreign = how == 2 && !was_over && actors_[a].rt != r;
    bool was_in_call = in_call_, may_hang = !outside::scripted && how != 0 && !busy;
    if (may_hang && stack_size_) return 0;
    if (!outside::scripted && how == 0 && timeout_ns < 0) timeout_ns = 100'000;
    if (!outside::scripted && timeout_ns > 100'000) timeout_ns = 100'000;
    if (may_hang) {
        rt.stop = 2;
        outside::stop_later(rt.rt);
    }
    if (!busy && !was_over && !foreign) {
        turn_begins(rt);
        rt.one_round = how == 0;
    }
    in_call_ = false;
    zyntax_task *task = actors_[a].task;
    int64_t result = how == 0   ? zyntax_runtime_turn(rt.rt, timeout_ns)
                     : how == 1 ? zyntax_runtime_run(rt.rt)
                                : zyntax_runtime_block_on(rt.rt, task);
    in_call_ = was_in_call;
    if (may_hang) {
        outside::stopped();
        rt.stop = 2;
    }
    TRACE("} %lld", static_cast<long long>(result));
    if (busy) {
        expect(result == ZYNTAX_EBUSY, "busy", "driving what is being driven is EBUSY");
        return result;
    }
    if (was_over || foreign) {
        expect(result == (foreign ? int64_t{ZYNTAX_ESTALE} : 0), "block_on",
               "0 for an ended task, ESTALE for a foreign");
        return result;
    }
    stack_size_--;
    rt.driving = false;
    if (how != 0) keep_edge(rt);
    turn_ended(r, result, stop_before);
    reap();
    if (result >= 0 && how == 0) expect(result == int64_t(alive_on(r)), "alive_count", "turn gives the live tasks");
    if (result == 0 && how == 1) expect(alive_on(r) == 0, "run_end", "run ends when no task lives");
    if (result == 0 && how == 2) expect(!zyntax_task_alive(task), "block_on", "block_on ends with its task");
    return result;
}

int64_t Program::drive_promise(uint32_t r) {
    RuntimeModel &rt = rts_[r];
    uint32_t i = free_actor();
    if (i == max_actors || (!outside::scripted && stack_size_)) return 0;
    Actor &actor = actors_[i];
    actor = {};
    actor.id = new_id();
    actor.rt = uint8_t(r);
    actor.alive = actor.promise = actor.silent = actor.must_poll = true;
    zyntax_promise promise{reinterpret_cast<void *>(uintptr_t{actor.id} << 8 | (i + 1)), poll_promise};
    TRACE("promise_block_on %u on %u {", i, r);
    bool busy = rt.driving, stop_before = rt.stop == 1, was_in_call = in_call_;
    uint64_t failures = rt.heap.failures;
    bool may_hang = !outside::scripted && !busy;
    if (may_hang) rt.stop = 2;
    if (!busy) {
        turn_begins(rt);
        rt.one_round = false;
    }
    in_call_ = false;
    if (may_hang) outside::stop_later(rt.rt);
    int64_t result = zyntax_promise_block_on(rt.rt, &promise);
    if (may_hang) outside::stopped();
    in_call_ = was_in_call;
    TRACE("} %lld", static_cast<long long>(result));
    if (busy) {
        actor.alive = false;
        expect(result == ZYNTAX_EBUSY, "busy", "driving what is being driven is EBUSY");
        return result;
    }
    stack_size_--;
    rt.driving = false;
    if (result < 0 && result != ZYNTAX_ENOMEM) {
        turn_ended(r, result, stop_before);
        rt.stop = 2; // the promise's drop may have called it again
    }
    keep_edge(rt);
    bool no_memory = result == ZYNTAX_ENOMEM && rt.heap.failures != failures;
    if (result < 0 && !no_memory) expect(!actor.finishing, "promise_stop", "the value of a promise that has finished");
    actor.alive = false;
    end_leaves(actor);
    end_words(actor);
    reap();
    if (actor.finishing) {
        expect(result == int64_t(actor.id) || is_without("promise_stop"), "promise_stop",
               "the value of a promise that has finished");
        if (rt.stop) rt.stop = 2;
        return result;
    }
    if (result == ZYNTAX_ENOMEM && !no_memory) turn_ended(r, result, stop_before);
    return result;
}

void Program::turn_ended(uint32_t r, int64_t result, bool stop_before) {
    RuntimeModel &rt = rts_[r];
    if (result == ZYNTAX_ECANCELED) {
        expect(rt.stop != 0, "stop_false", "ECANCELED though nobody called stop");
        rt.stop = rt.stop == 2 && !outside::scripted ? 2 : 0;
    } else if (result == ZYNTAX_EDEADLK) {
        expect(rt.stall, "false_deadlock", "EDEADLK without ZYNTAX_DETECT_STALL");
        check_deadlock(r);
    } else if (result >= 0) {
        expect(!stop_before, "stop_lost", "a stop ends the next drive");
        if (rt.one_round) expect(rt.stop != 1, "stop_lost", "a stop ends the current turn");
        if (rt.one_round && outside::scripted) rt.stop = 0;
    } else {
        expect(result == asleep_for_ever || result == ZYNTAX_ENOMEM, "drive_result", "an error that nobody made");
    }
    if (rt.stop == 1 && result < 0 && result != ZYNTAX_ECANCELED) rt.stop = 2;
    if (result < 0) return;
    for (const Job &job : jobs_) {
        if (outside::scripted && job.id && job.due && job.over && job.rt == r)
            expect(false, "job_drop", "what is over is dropped within the next turn");
    }
    bool all_polled = rt.budget >= 256 && rt.round_polls + 32 * rt.round_spent < 128 && !moods_.chain;
    for (Actor &actor : actors_) {
        if (actor.rt != r || !is_live(actor)) continue;
        if (actor.due_drop) expect(false, "late_drop", "a cancelled task is dropped within the next turn");
        if (actor.due && all_polled && !actor.canceled && rt.one_round)
            expect(actor.polls != actor.polls_then, actor.again ? "promise_again" : "late",
                   "what is due when a turn begins is polled in it");
    }
}

// ---- when the loop is about to sleep ----

bool Program::can_call(const Reg &reg) {
    if (reg.wakee.kind == Wakee::host) return true;
    if (reg.wakee.kind == Wakee::nobody) return false;
    const Actor &actor = actors_[reg.wakee.actor];
    return actor.id == reg.wakee.id && is_live(actor);
}

bool Program::can_be_woken(uint32_t r) {
    if (rts_[r].holds > 0) return true;
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        if (!reg.id || reg.args.rt != r) continue;
        bool timer = reg.args.kind == Kind::sleep || reg.args.kind == Kind::sleep_until;
        if (timer && reg.deadline_ns > now(r) && reg.deadline_ns != UINT64_MAX) return true;
        if (reg.args.kind >= Kind::read && can_call(reg)) return true;
        if (reg.args.kind == Kind::join_until && can_call(reg) && reg.deadline_ns != UINT64_MAX) return true;
    }
    bool any = false;
    each_leaf(r, [&](Actor &actor, Leaf &leaf) { any |= may_wake(actor, leaf); });
    return any;
}

bool Program::certain_work(uint32_t r) {
    if (rts_[r].posted || rts_[r].stop == 1) return true;
    for (const Actor &actor : actors_) {
        if (actor.rt == r && is_live(actor) && !actor.in_poll && (actor.must_poll || actor.canceled)) return true;
    }
    return false;
}

// EDEADLK was returned: nothing may be left that could wake a task.
void Program::check_deadlock(uint32_t r) {
    if (!expect(alive_on(r) > 0, "false_deadlock", "EDEADLK though no task lives")) return;
    expect(!certain_work(r), "false_deadlock", "EDEADLK though there is work");
    expect(rts_[r].holds <= 0, "false_deadlock", "EDEADLK though the runtime is held");
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        if (!reg.id || reg.args.rt != r || reg.forgotten || reg.lapsed || reg.called || !can_call(reg)) continue;
        if (reg.wakee.kind == Wakee::task && actors_[reg.wakee.actor].rt != r) continue; // it may have been woken
        bool timed =
            (reg.args.kind <= Kind::sleep_until || reg.args.kind == Kind::join_until) && reg.deadline_ns != UINT64_MAX;
        bool wakes = timed || reg.args.kind >= Kind::read || is_due(reg);
        expect(!wakes, "false_deadlock", "EDEADLK though an op is pending that can wake");
    }
    each_leaf(r, [&](Actor &actor, Leaf &leaf) {
        bool wakes = claims(actor, leaf) && (may_wake(actor, leaf) || is_due(actor, leaf));
        expect(!wakes, "false_deadlock", "EDEADLK though a promise waits that can wake");
    });
    for (uint32_t c = 0; c < max_channels; c++) {
        if (channels_[c].id && channels_[c].rt == r) check_channel(c);
    }
    for (const Scope &scope : scopes_) {
        if (scope.id && scope.rt == r) check_scope(scope);
    }
}

// The forgotten operations of dead tasks are freed before the loop sleeps, except for timers.
void Program::purge(uint32_t r) {
    for (uint32_t i = regs_used_; i-- > 0;) {
        Reg &reg = regs_[i];
        if (!reg.id || reg.args.rt != r || !reg.forgotten || can_call(reg)) continue;
        bool timer = reg.args.kind == Kind::sleep || reg.args.kind == Kind::sleep_until;
        if (!timer || reg.deadline_ns <= now(r)) free_reg(&reg, HostWaker::ended);
    }
}

// A connect that races the addresses of "n9" has a socket for each at most.
constexpr uint32_t addresses_max = 9;

void Program::check_resources(uint32_t r) {
    uint32_t known = 0, connects = 0;
    for (const Io &io : ios_) { // a listener may keep a connection for which there was no registration
        known += io.id != 0;
        known += io.id && io.listens;
    }
    for (uint32_t i = 0; i < regs_used_; i++) connects += regs_[i].id && regs_[i].args.kind == Kind::connect;
    for (uint32_t each = 0; each < max_runtimes; each++) {
        each_leaf(each, [&](Actor &, Leaf &leaf) {
            connects += leaf.type == Leaf::connect || leaf.type == Leaf::accept || leaf.type == Leaf::timeout;
        });
    }
    if (stack_size_ == 1 && outside::scripted)
        expect(outside::open_ends() <= known + connects * addresses_max, "leak_forgotten",
               "a descriptor that nobody waits for is open");
    (void)r;
}

void Program::check_waiting(uint32_t r, int64_t timeout_ns) {
    RuntimeModel &rt = rts_[r];
    if (timeout_ns == 0 || rt.ending) return;
    reap(false);
    for (const Actor &actor : actors_) {
        if (!actor.alive || actor.rt != r || actor.in_poll || !is_live(actor)) continue;
        expect(!actor.canceled, "sleep_canceled", "the loop sleeps while a cancelled task waits for its drop");
        expect(!actor.must_poll, actor.again ? "promise_again" : "sleep_ready",
               "the loop sleeps while a task is ready");
    }
    expect(rt.stop != 1, "sleep_stop", "the loop sleeps though it was stopped");
    expect(rt.posted == 0, "sleep_posted", "the loop sleeps while a function is posted");
    purge(r);
    uint64_t time = now(r);
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        if (!reg.id || reg.args.rt != r || reg.forgotten || reg.lapsed || reg.called || !can_call(reg)) continue;
        bool local = reg.wakee.kind == Wakee::host || actors_[reg.wakee.actor].rt == r;
        if (!local) continue; // it may have been woken
        bool timer = reg.args.kind == Kind::sleep || reg.args.kind == Kind::sleep_until;
        if ((timer || reg.args.kind == Kind::join_until) && reg.deadline_ns != UINT64_MAX) {
            TRACE("(a wait of %lld ns, and %llu to a deadline)", static_cast<long long>(timeout_ns),
                  static_cast<unsigned long long>(reg.deadline_ns - time));
            bool early = timeout_ns > 0 && time + uint64_t(timeout_ns) <= reg.deadline_ns + rts_[r].slack_ns;
            expect(early, "sleep_long", "the loop sleeps beyond a deadline");
        }
        bool of_io = reg.args.kind >= Kind::read && reg.args.kind <= Kind::accept;
        const Io *io = of_io ? io_of(reg.args) : nullptr;
        uint64_t until_ns = io && !io->is_lost ? deadline_of(*io, reg.args) : UINT64_MAX;
        if (until_ns != UINT64_MAX)
            expect(timeout_ns > 0 && time + uint64_t(timeout_ns) <= until_ns + rts_[r].slack_ns, "sleep_long",
                   "the loop sleeps beyond the deadline of a handle");
        if (reg.args.kind >= Kind::join && reg.args.kind <= Kind::select && !rt.slack_ns)
            expect(!is_due(reg), "sleep_beside", "the loop sleeps beside a join that is over");
    }
    each_leaf(r, [&](Actor &actor, Leaf &leaf) {
        if (!claims(actor, leaf)) return;
        if (may_wake(actor, leaf) && leaf.to_ns && timeout_ns < 0)
            expect(leaf.type > Leaf::sleep && leaf.type != Leaf::timeout, "sleep_long", "the loop sleeps for ever");
        if ((leaf.type == Leaf::sleep || leaf.type == Leaf::timeout) && leaf.to_ns != UINT64_MAX && timeout_ns > 0)
            expect(time + uint64_t(timeout_ns) <= leaf.to_ns + rt.slack_ns, "sleep_long",
                   "the loop sleeps beyond a deadline");
        if (leaf.type == Leaf::child && !rt.slack_ns)
            expect(!is_due(actor, leaf), "sleep_beside", "the loop sleeps beside a child that has ended");
    });
    for (uint32_t c = 0; c < max_channels; c++) {
        if (channels_[c].id && channels_[c].rt == r) check_channel(c);
    }
    check_resources(r);
    if (rt.stall && timeout_ns < 0 && alive_on(r))
        expect(can_be_woken(r), rt.one_round ? "turn_deadlock" : "missed_deadlock",
               "the loop sleeps for ever where it promises EDEADLK");
}

void loop_waits(Program *program, int64_t timeout_ns) {
    uint32_t r = program->inner();
    if (r < max_runtimes) program->check_waiting(r, timeout_ns);
}

bool others_act(Program *program) {
    if (program->quiet_ || program->below(2) == 0) return false;
    program->remote_action(program->mood(program->moods_.thread));
    return true;
}

// ---- at rest ----

uint64_t Program::deadline_of(const Io &io, const Args &a) const {
    uint32_t directions = a.kind == Kind::write ? 2 : a.kind == Kind::ready ? a.value : 1;
    uint64_t earliest = UINT64_MAX;
    if ((directions & 1) && io.reads_until_ns) earliest = io.reads_until_ns;
    if ((directions & 2) && io.writes_until_ns) earliest = std::min(earliest, io.writes_until_ns);
    return earliest;
}

bool Program::is_due(const Reg &reg) {
    const Args &a = reg.args;
    uint32_t over = 0, count = 0;
    for (uint32_t i = 0; i < a.count; i++) {
        count += !a.targets[i].skipped;
        over += !a.targets[i].skipped && ended(a.targets[i]);
    }
    Io *io = nullptr;
    switch (a.kind) {
    case Kind::sleep:
    case Kind::sleep_until:
        return reg.deadline_ns <= now(a.rt);
    case Kind::join:
    case Kind::select:
        return over > 0;
    case Kind::join_until:
        return over > 0 || reg.deadline_ns <= now(a.rt);
    case Kind::join_all:
        return over == count;
    case Kind::send:
    case Kind::recv:
        return !channel_of(a);
    case Kind::scope_next:
    case Kind::scope_join: {
        const Scope *scope = scope_of(a);
        if (!scope || !scope->alive) return !scope || a.kind == Kind::scope_join;
        const Actor &woken = actors_[reg.wakee.actor];
        bool is_own = reg.wakee.kind == Wakee::task && woken.id == reg.wakee.id && woken.scope_id == scope->id;
        bool is_alone = scope->alive == 1 && is_own && reg.touched && reg.touched < scope->alone;
        return is_alone && (a.kind == Kind::scope_join || !scope->count);
    }
    case Kind::read:
    case Kind::write:
    case Kind::ready:
    case Kind::accept:
        io = io_of(a);
        if (!io) return true;
        if (io->is_lost) return false;
        if (deadline_of(*io, a) <= now(a.rt)) return true;
        if (a.kind == Kind::accept)
            return outside::has_backlog(io->fd) && outside::now_ns() > outside::refused_ns() + 100 * ms;
        return outside::readiness(io->fd) & (a.kind == Kind::read ? 1 : a.kind == Kind::write ? 2 : a.value);
    case Kind::blocking:
        return jobs_[a.value % max_jobs].id == a.object_id && has_run(a.value);
    default:
        return false;
    }
}

// Counts the waiters for an object of a runtime: those that were not woken for it, and those that may know of it.
void Program::count_waiters(Kind kind, uint32_t object_id, uint32_t rt, uint32_t *untold, uint32_t *told) {
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        if (!reg.id || reg.args.kind != kind || reg.args.object_id != object_id) continue;
        bool local = reg.wakee.kind == Wakee::task && actors_[reg.wakee.actor].rt == rt;
        bool claims = can_call(reg) && !reg.lapsed && !reg.called && !reg.forgotten;
        if (reg.wakee.kind == Wakee::task && (!local || actors_[reg.wakee.actor].in_poll)) claims = false;
        if (claims) ++*untold;
        else if (reg.called || (can_call(reg) && !(local && reg.lapsed))) ++*told;
    }
}

void Program::check_scope(const Scope &scope) {
    uint32_t untold = 0, told = 0;
    count_waiters(Kind::scope_next, scope.id, scope.rt, &untold, &told);
    if (!scope.alive && !scope.count) expect(untold == 0, "vain_scope", "a task waits for the next task of none");
    else expect(!untold || told >= scope.count, "vain_scope", "a task waits though another has ended");
}

// If a waiter was not woken, each available item or place has a waiter that was woken.
void Program::check_channel(uint32_t c) {
    Channel &channel = channels_[c];
    constexpr Kind sides[] = {Kind::send, Kind::recv};
    for (Kind side : sides) {
        uint32_t available = side == Kind::send ? channel.capacity - channel.count : channel.count;
        uint32_t told = 0, untold = 0;
        if (channel.loose) {
            available = surely_available(channel, side);
            count_on_channel(channel, side, &untold, &told);
        }
        count_waiters(side, channel.id, channel.rt, &untold, &told);
        bool is_empty = channel.loose ? surely_available(channel, Kind::send) == channel.capacity : channel.count == 0;
        if (channel.closed && (side == Kind::send || is_empty))
            expect(untold == 0, "vain_closed", "a task waits on a channel that is closed");
        else if (untold && told < available) {
            TRACE("channel %u: %s, %u available, %u told, %u not", c, name_of(side), available, told, untold);
            expect(false, "vain_channel", "a task waits beside what it waits for");
        }
    }
}

void Program::check_rest() {
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        if (!reg.id || reg.forgotten || reg.lapsed || reg.called || !can_call(reg)) continue;
        if (!is_due(reg)) continue;
        TRACE("in vain: %s on %u, %s %u, deadline %llu, at rest since %llu", name_of(reg.args.kind), reg.args.rt,
              reg.wakee.kind == Wakee::host ? "host" : "task", unsigned(reg.wakee.actor),
              static_cast<unsigned long long>(reg.deadline_ns), static_cast<unsigned long long>(now(reg.args.rt)));
        static constexpr const char *names[] = {
            "",          "vain_sleep", "vain_sleep",  "vain_join",    "vain_join",  "vain_join",
            "vain_join", "vain_dead",  "vain_dead",   "vain_scope",   "vain_scope", "vain_read",
            "vain_read", "vain_ready", "vain_accept", "vain_connect", "vain_job"};
        expect(false, names[int(reg.args.kind)], "somebody waits for what is there");
    }
    uint32_t connects = 0;
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        connects +=
            reg.id && reg.args.kind == Kind::connect && !reg.forgotten && !reg.lapsed && !reg.called && can_call(reg);
    }
    for (uint32_t r = 0; r < max_runtimes; r++) {
        if (!rts_[r].rt) continue;
        each_leaf(r, [&](Actor &actor, Leaf &leaf) { connects += leaf.type == Leaf::connect && claims(actor, leaf); });
    }
    if (outside::scripted) expect(connects <= outside::connecting(), "vain_connect", "who connects waits for a socket");
    check_leaves_at_rest();
    for (uint32_t c = 0; c < max_channels; c++) {
        if (channels_[c].id) check_channel(c);
    }
    for (const Scope &scope : scopes_) {
        if (scope.id) check_scope(scope);
    }
    for (uint32_t r = 0; r < max_runtimes; r++) {
        if (rts_[r].rt) check_counts(r);
        if (rts_[r].rt && rts_[r].host_waits && !certain_work(r) && rts_[r].stop == 0)
            expect(!outside::host_readable(rts_[r].host_fd, false), "host_fd_idle",
                   "the host's descriptor is readable at rest");
    }
}

void Program::check_counts(uint32_t r) {
    zyntax_runtime_stats stats = {};
    stats.size = sizeof stats;
    expect(zyntax_runtime_get_stats(rts_[r].rt, &stats) == 0, "stats", "get_stats gives 0");
    uint32_t open = 0, listeners = 0;
    for (const Io &io : ios_) {
        open += io.id && io.rt == r;
        listeners += io.id && io.rt == r && io.listens;
    }
    expect(stats.tasks_alive == alive_on(r), "stats", "tasks_alive");
    expect(stats.io_open >= open, "stats", "io_open");
    int64_t next = zyntax_runtime_next_timeout_ns(rts_[r].rt);
    uint32_t timers = 0, pending = 0;
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        if (!reg.id || reg.args.rt != r) continue;
        bool timer = reg.args.kind == Kind::sleep || reg.args.kind == Kind::sleep_until;
        timers += timer || reg.args.kind == Kind::join_until || reg.args.kind == Kind::accept ||
                  reg.args.kind == Kind::connect;
        if (!timer || reg.forgotten || reg.lapsed || reg.called || !can_call(reg)) continue;
        if (reg.deadline_ns == UINT64_MAX || !outside::scripted) continue;
        pending++;
        expect(next >= 0 && uint64_t(next) <= reg.deadline_ns - now(r), "next_timeout", "not more than to a deadline");
    }
    each_leaf(r, [&](Actor &actor, Leaf &leaf) {
        timers += leaf.type == Leaf::sleep || leaf.type == Leaf::timeout || leaf.type == Leaf::accept ||
                  leaf.type == Leaf::connect;
        bool waits = (leaf.type == Leaf::sleep || leaf.type == Leaf::timeout) && claims(actor, leaf);
        if (!waits || leaf.to_ns == UINT64_MAX || !outside::scripted) return;
        pending++;
        expect(next >= 0 && now(r) + uint64_t(next) <= leaf.to_ns, "next_timeout", "not more than to a deadline");
    });
    for (const Io &io : ios_) timers += io.id && io.rt == r && (io.reads_until_ns || io.writes_until_ns);
    expect(stats.timers_pending >= pending, "stats", "timers_pending: too few");
    expect(stats.timers_pending <= timers + listeners, "forgotten_held", "what dead tasks forgot is still timed");
}

// Whether a timer may be due, so that a turn has work which the host's descriptor does not report.
bool Program::timer_may_be_due(uint32_t r) {
    for (const Io &io : ios_) {
        if (io.id && io.rt == r && io.listens) return true;                          // an accept may rest until then
        uint64_t until_ns = std::min(io.reads_until_ns - 1, io.writes_until_ns - 1); // none: UINT64_MAX
        if (io.id && io.rt == r && until_ns < now(r)) return true;
    }
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        bool timer = reg.args.kind <= Kind::sleep_until || reg.args.kind == Kind::join_until;
        if (reg.id && timer && reg.args.rt == r && reg.deadline_ns <= now(r)) return true;
        if (reg.id && reg.args.kind == Kind::connect && reg.args.rt == r)
            return true; // its next address, or its next try
    }
    bool any = false;
    each_leaf(r, [&](Actor &, Leaf &leaf) {
        any |= (leaf.type == Leaf::sleep || leaf.type == Leaf::timeout) && leaf.from_ns <= now(r);
        any |= leaf.type == Leaf::connect;
    });
    return any;
}

void Program::check_host_fd(uint32_t r) {
    RuntimeModel &rt = rts_[r];
    if (rt.edges && outside::host_readable(rt.host_fd, false))
        expect(outside::edge_seen(rt.host_fd, true), "host_edge", "what makes the descriptor readable makes an edge");
    int64_t next = zyntax_runtime_next_timeout_ns(rt.rt);
    bool again = false; // is a promise's next poll the only work?
    for (Actor &actor : actors_) again |= actor.rt == r && actor.again && is_live(actor);
    if (again && !rt.posted && rt.stop != 1) return;
    bool work = certain_work(r);
    if (work) expect(next == 0, "next_timeout", "0 when there is work");
    if (!rt.host_waits || rt.host_fd < 0 || next != 0 || (!work && timer_may_be_due(r))) return;
    expect(outside::host_readable(rt.host_fd, true), "host_fd", "the host's descriptor is readable when there is work");
    if (rt.edges) expect(outside::edge_seen(rt.host_fd, true), "host_edge", "there is an edge when there is work");
}

void Program::check_between() {
    for (uint32_t r = 0; r < max_runtimes; r++) {
        if (rts_[r].rt && !rts_[r].driving) check_host_fd(r);
    }
    check_valid();
}

bool Program::is_busy() {
    for (RuntimeModel &rt : rts_) {
        if (!rt.rt) continue;
        zyntax_runtime_stats stats = {};
        stats.size = sizeof stats;
        if (zyntax_runtime_get_stats(rt.rt, &stats) == 0 && stats.blocking_pending) return true;
        if (zyntax_runtime_next_timeout_ns(rt.rt) == 0) return true;
    }
    return false;
}

// Until nothing moves any more, without letting the loop sleep.
void Program::settle() {
    TRACE("settle {");
    quiet_ = true;
    outside::calm(true);
    for (RuntimeModel &rt : rts_) rt.heap.fail_in = 0, rt.heap.fail_run = 0;
    uint32_t idle = 0;
    uint64_t began = 0, since_ns = outside::now_ns();
    auto is_early = [since_ns] { // threads have to come to an end, too, perhaps on a loaded machine
        return !outside::scripted && outside::now_ns() - since_ns < 5000 * ms;
    };
    for (uint32_t turns = 0; (turns < 2000 || is_early()) && idle < 3; turns++) {
        uint64_t before = progress_;
        outside::run_threads();
        for (uint32_t r = 0; r < max_runtimes; r++) {
            const RuntimeModel &rt = rts_[r]; // an edge-triggered host drives at an edge
            bool waits = rt.rt && rt.edges && turns > 0 && zyntax_runtime_next_timeout_ns(rt.rt) != 0;
            if (!waits || outside::edge_seen(rt.host_fd, false)) drive(r, 0, 0, 0);
        }
        idle = before != progress_ || is_busy() ? 0 : idle + 1;
        if (idle < 2) began = outside::now_ns();
    }
    expect(idle >= 3, "restless", "nobody begins anything, and yet it goes on");
    rest_ns_ = outside::scripted ? 0 : began;
    check_rest();
    rest_ns_ = 0;
    quiet_ = false;
    outside::calm(false);
    TRACE("}");
}

} // namespace random_test
