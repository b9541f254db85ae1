// The await points: calls them as a word of the program says, and compares their results with the model.
#include "program.h"

#include <algorithm>
#include <cstring>

namespace random_test {

// ---- ops ----

// The word may be a stale copy, whose original another kind of operation uses by now. Its number decides.
Reg *Program::reg_of(const Word &word) {
    if (!word.op) return nullptr;
    Reg *reg = &regs_[word.reg];
    if (reg->id && reg->id == word.reg_id && reg->op == word.op) return reg;
    for (uint32_t i = 0; i < regs_used_; i++) {
        if (regs_[i].id && regs_[i].op == word.op) return &regs_[i];
    }
    return nullptr;
}

Reg *Program::take_reg(Word &word) {
    for (uint32_t i = 0; i < max_regs; i++) {
        Reg &reg = regs_[i];
        if (reg.id) continue;
        if (i >= regs_used_) regs_used_ = i + 1;
        reg = {};
        reg.id = new_id();
        reg.op = word.op;
        reg.armed = ++order_;
        word.reg = uint16_t(i);
        word.reg_id = reg.id;
        return &reg;
    }
    choices_->end(); // too many to know them all
    word.reg = max_regs - 1;
    return &regs_[max_regs - 1];
}

void Program::end_waker(const Wakee &wakee, HostWaker::State how) {
    if (wakee.kind == Wakee::host && wakers_[wakee.waker].id == wakee.id) wakers_[wakee.waker].state = how;
}

void Program::free_reg(Reg *reg, HostWaker::State how) {
    end_waker(reg->wakee, how);
    reg->id = 0;
    while (regs_used_ && !regs_[regs_used_ - 1].id) regs_used_--;
}

void Program::give_up(Reg *reg) {
    if (reg->args.kind == Kind::blocking) {
        Job &job = jobs_[reg->args.value % max_jobs];
        if (job.id == reg->args.object_id && !has_run(reg->args.value)) job.canceled = true;
        if (job.id == reg->args.object_id && job.drops) job_over(job);
    }
    free_reg(reg, HostWaker::canceled);
}

void Program::cancel_word(Word &word) {
    Reg *reg = reg_of(word);
    TRACE("cancel op %s%s", name_of(word.args.kind), reg ? "" : " (not pending)");
    in_call_ = true;
    zyntax_op_cancel(&word.op);
    in_call_ = false;
    expect(word.op == 0, "op_zero", "a cancelled op is zero");
    if (reg) give_up(reg);
    word.args.kind = Kind::none;
}

void Program::forget_word(Word &word) {
    TRACE("forget op %s", name_of(word.args.kind));
    if (Reg *reg = reg_of(word)) reg->forgotten = true;
    word.op = 0;
    word.args.kind = Kind::none;
}

Channel *Program::channel_of(const Args &args) {
    Channel &channel = channels_[args.object % max_channels];
    return channel.id && channel.id == args.object_id ? &channel : nullptr;
}

Scope *Program::scope_of(const Args &args) {
    Scope &scope = scopes_[args.object % max_scopes];
    return scope.id && scope.id == args.object_id ? &scope : nullptr;
}

Io *Program::io_of(const Args &args) {
    Io &io = ios_[args.object % max_ios];
    return io.id && io.id == args.object_id ? &io : nullptr;
}

Io *Program::new_io(zyntax_io *handle, uint32_t rt, bool listens) {
    for (Io &io : ios_) {
        if (io.id) continue;
        io = {new_id(), handle, zyntax_io_fd(handle), uint8_t(rt), listens, false, false, false, 0, 0};
        for (Io &other : ios_) { // a number that is used again was closed before
            if (&other != &io && other.id && other.fd == io.fd && !outside::scripted) other.is_lost = true;
        }
        expect(io.fd >= 0, "io_fd", "a new handle has a descriptor");
        outside::adopt(io.fd, listens);
        return &io;
    }
    in_call_ = true;
    zyntax_io_close(handle); // no place left to remember it
    in_call_ = false;
    return nullptr;
}

bool Program::ended(const Target &target) const {
    if (target.index >= max_actors) return true;
    const Actor &actor = actors_[target.index];
    return actor.id != target.id || !is_live(actor);
}

// A group ignores the polled task itself, and tasks of runtimes other than the polling one.
bool Program::is_skipped(const Target &target) const {
    uint32_t driving = inner();
    if (target.index >= max_actors || ended(target) || driving >= max_runtimes) return false;
    return actors_[target.index].rt != driving || rts_[driving].current == target.index + 1;
}

// The runtime of a wait for tasks: the runtime of the first task that it can wait for.
uint32_t Program::runtime_of(const Args &args) const {
    for (uint32_t i = 0; i < args.count; i++) {
        const Target &target = args.targets[i];
        if (!ended(target) && !is_skipped(target)) return actors_[target.index].rt;
    }
    return args.rt;
}

bool Program::same_point(const Args &a, const Args &b) const {
    auto timer = [](Kind kind) { return kind == Kind::sleep || kind == Kind::sleep_until; };
    if (timer(a.kind) && timer(b.kind)) return a.rt_id == b.rt_id;
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case Kind::join:
    case Kind::join_until:
        return a.targets[0].task == b.targets[0].task;
    case Kind::send:
    case Kind::recv:
    case Kind::scope_next:
    case Kind::scope_join:
    case Kind::read:
    case Kind::write:
    case Kind::ready:
    case Kind::accept:
        return a.handle == b.handle;
    case Kind::connect:
    case Kind::blocking:
        return a.rt_id == b.rt_id;
    default:
        return true;
    }
}

// ---- the calls ----

PollStatus Program::call_api(Word &word, Waker *waker) {
    Args &a = word.args;
    zyntax_runtime *rt = rts_[a.rt].rt;
    zyntax_task *tasks[4];
    for (int i = 0; i < 4; i++) tasks[i] = a.targets[i].task;
    auto *channel = static_cast<zyntax_channel *>(a.handle);
    auto *scope = static_cast<zyntax_scope *>(a.handle);
    auto *io = static_cast<zyntax_io *>(a.handle);
    PollStatus status = POLL_READY;
    word.result = 0;
    switch (a.kind) {
    case Kind::sleep:
        return zyntax_sleep(rt, &word.op, a.time_ns, waker);
    case Kind::sleep_until:
        return zyntax_sleep_until(rt, &word.op, a.time_ns, waker);
    case Kind::join:
        return zyntax_task_join(tasks[0], &word.op, waker, &word.result);
    case Kind::join_until:
        return zyntax_join_until(tasks[0], &word.op, a.time_ns, waker, &word.result);
    case Kind::join_all:
        return zyntax_join_all(tasks, a.count, &word.op, waker);
    case Kind::select:
        return zyntax_select(tasks, a.count, &word.op, waker, &word.result);
    case Kind::send:
        return zyntax_channel_send(channel, &word.op, word.buffer, waker, &word.result);
    case Kind::recv:
        return zyntax_channel_recv(channel, &word.op, word.buffer, waker, &word.result);
    case Kind::scope_next:
        return zyntax_scope_next(scope, &word.op, waker, &word.ended, &word.result);
    case Kind::scope_join:
        return zyntax_scope_join(scope, &word.op, waker, &word.result);
    case Kind::read:
        if constexpr (!outside::scripted) {
            zyntax_address from;
            zyntax_address *out = a.to_port ? &from : nullptr;
            if (a.datagram) return zyntax_udp_recv(io, &word.op, word.buffer, a.value, out, waker, &word.result);
        }
        if (outside::unix_read(io, &word.op, a.value, waker, &word.result, &status)) return status;
        if constexpr (!outside::scripted) {
            if (a.value % 4 == 1) {
                const zyntax_slice slices[] = {{word.buffer, a.value / 2},
                                               {word.buffer + a.value / 2, a.value - a.value / 2}};
                return zyntax_io_readv(io, &word.op, slices, 2, waker, &word.result);
            }
        }
        return zyntax_io_read(io, &word.op, word.buffer, a.value, waker, &word.result);
    case Kind::write:
        if constexpr (!outside::scripted) {
            const zyntax_address there = {4, a.to_port, 0, {127, 0, 0, 1}};
            const zyntax_address *to = a.to_port ? &there : nullptr;
            if (a.datagram) return zyntax_udp_send(io, &word.op, word.buffer, a.value, to, waker, &word.result);
        }
        if (outside::unix_write(io, &word.op, a.value, waker, &word.result, &status)) return status;
        if constexpr (!outside::scripted) {
            if (a.value % 4 == 1) {
                const zyntax_slice slices[] = {{word.buffer, a.value / 2},
                                               {word.buffer + a.value / 2, a.value - a.value / 2}};
                return zyntax_io_writev(io, &word.op, slices, 2, waker, &word.result);
            }
        }
        if constexpr (!outside::scripted) {
            if (!word.op) word.done = 0;
            if (a.value == 3)
                return zyntax_io_write_all(io, &word.op, word.buffer, a.value, &word.done, waker, &word.result);
        }
        return zyntax_io_write(io, &word.op, word.buffer, a.value, waker, &word.result);
    case Kind::ready:
        return zyntax_io_ready(io, &word.op, a.value, waker, &word.result);
    case Kind::accept:
        return zyntax_tcp_accept(io, &word.op, waker, &word.made, &word.result);
    case Kind::connect:
        if (outside::other_connect(rt, &word.op, a.value, waker, &word.made, &word.result, &status)) return status;
        return zyntax_tcp_connect(rt, &word.op, outside::host(a.value), outside::port(uint32_t(a.time_ns)), waker,
                                  &word.made, &word.result);
    case Kind::blocking:
        if (a.time_ns)
            return zyntax_blocking_with(rt, &word.op, run_job, drop_job, word.buffer, 16, waker, &word.result);
        return zyntax_blocking(rt, &word.op, run_job, word.buffer, 16, waker, &word.result);
    default:
        return POLL_READY;
    }
}

// The task whose poll a call is in, if it is in one.
Actor *Program::polled_actor() {
    uint8_t current = stack_size_ ? rts_[inner()].current : uint8_t{0};
    return current ? &actors_[current - 1] : nullptr;
}

// The poll has spent its budget: the next one goes on.
void Program::spent(Wakee wakee) {
    Actor &woken = actors_[wakee.actor];
    if (wakee.kind == Wakee::task && woken.id == wakee.id && !woken.canceled) woken.must_poll = true;
    if (stack_size_) rts_[inner()].round_spent++;
}

// Calls the await point of a word, which has a kind. `waker` wakes `wakee`.
PollStatus Program::call(Word &word, Waker *waker, Wakee wakee) {
    Reg *reg = reg_of(word);
    bool was_stale = word.op && !reg;
    bool was_fresh = !word.op;
    uint64_t op = word.op;
    Reg before = reg ? *reg : Reg{};
    Actor *polled = polled_actor();
    uint32_t budget = polled ? rts_[polled->rt].await_budget : UINT32_MAX;
    bool may_end = was_fresh && polled && spent_at_most(*polled) >= budget;
    bool must_end = was_fresh && polled && polled->spent_least >= budget;
    bool is_far = polled && word.args.kind == Kind::connect && polled->rt != word.args.rt && budget < 16;
    if ((may_end || is_far) && wakee.kind == Wakee::host && was_fresh) { // the call's target cannot be told
        word.args.kind = Kind::none;
        end_waker(wakee, HostWaker::ended);
        return POLL_PENDING;
    }
    if (is_far && wakee.kind == Wakee::host) return end_waker(wakee, HostWaker::ended), POLL_PENDING;
    if (reg && !same_point(reg->args, word.args)) {
        give_up(reg);
        reg = nullptr;
        before.id = 0;
    }
    if (word.args.kind == Kind::send) {
        std::memset(word.buffer, 0x5a, sizeof word.buffer);
        std::memcpy(word.buffer, &word.args.value, sizeof word.args.value);
    }
    Args args_before = word.args;
    called_ns_ = outside::now_ns();
    uint64_t failures = 0, failures_after = 0;
    for (RuntimeModel &rt : rts_) failures += rt.heap.failures;
    Wakee old = reg ? reg->wakee : Wakee{};
    in_call_ = true;
    PollStatus status = call_api(word, waker);
    in_call_ = false;
    for (RuntimeModel &rt : rts_) failures_after += rt.heap.failures;
    TRACE("%s(%s%llu) -> %s %lld%s", name_of(word.args.kind),
          args_before.kind <= Kind::sleep_until || args_before.kind == Kind::join_until ? "ns " : "",
          static_cast<unsigned long long>(args_before.kind <= Kind::join_until ? args_before.time_ns
                                                                               : args_before.object),
          status == POLL_READY ? "ready" : "pending", static_cast<long long>(word.result),
          op == 0     ? ""
          : was_stale ? " (stale op)"
          : reg       ? " (again)"
                      : " (other op)");
    expect(status == POLL_READY || status == POLL_PENDING, "status", "a status is ready or pending");
    if (old.kind == Wakee::host && (wakee.kind != Wakee::host || old.id != wakee.id))
        end_waker(old, HostWaker::replaced);
    bool oom = failures != failures_after;
    if (stack_size_) { // a promise's poll that called an await point with its waker
        uint8_t current = rts_[inner()].current;
        if (current && wakee.kind == Wakee::task && wakee.actor == current - 1)
            actors_[wakee.actor].called_await = true;
    }
    if (may_end && status == POLL_PENDING && !word.op) return spent(wakee), status;
    expect(!must_end, "await_budget", "a poll goes on though it has spent its budget");
    if (polled && word.args.kind == Kind::connect) polled->spent_most += 8; // the code may spend budget itself
    if (polled && status == POLL_READY) {
        polled->spent_most++;
        polled->spent_least += polled->inside == 0;
    }
    if (ended_by_interrupt(word, reg, wakee, status)) return status;
    const Reg *known = before.id ? &before : nullptr;
    Args args = word.args;
    switch (args.kind) {
    case Kind::sleep:
    case Kind::sleep_until:
        check_time(word, known, status, was_stale, op && !known);
        break;
    case Kind::join:
    case Kind::join_until:
    case Kind::join_all:
    case Kind::select:
        check_join(word, known, status, oom);
        break;
    case Kind::send:
    case Kind::recv:
        check_channel_call(word, known, status, oom);
        break;
    case Kind::scope_next:
    case Kind::scope_join:
        check_scope_call(word, known, status, oom);
        break;
    case Kind::connect:
    case Kind::accept:
    case Kind::read:
    case Kind::write:
    case Kind::ready:
        check_io(word, known, status, was_fresh, oom);
        break;
    default:
        check_blocking(word, known, status, op && !reg, oom);
        break;
    }
    returned(word, reg, wakee, status, was_fresh, was_stale, op, oom);
    return status;
}

// Whether an interrupt of the polled task has ended the call, so that its operation is given up.
bool Program::ended_by_interrupt(Word &word, Reg *reg, Wakee wakee, PollStatus status) {
    Actor *polled = polled_actor();
    Kind kind = word.args.kind;
    bool has_result = kind != Kind::sleep && kind != Kind::sleep_until && kind != Kind::join_all;
    bool tells = status == POLL_READY && has_result && word.result == ZYNTAX_EINTR;
    bool told = polled && status == POLL_READY && zyntax_task_interrupted() == 1;
    expect(told == tells || !has_result, "interrupt", "interrupted is 1 after EINTR, and only then");
    if (!told) {
        bool waits = status == POLL_PENDING && word.op && polled && polled->ends_wait;
        expect(!waits || word.args.rt != polled->rt, "interrupt",
               "an await point waits though its task was interrupted");
        return false;
    }
    expect(polled->was_interrupted, "interrupt", "an await point ended by an interrupt that nobody asked for");
    bool &which = polled->interrupted ? polled->interrupted : polled->interrupted_later;
    expect(which || polled->promise, "interrupt", "one interrupt ends one await point");
    expect(word.op == 0, "op_zero", "an op that is ready is zero");
    which = polled->ends_wait = false;
    if (reg) give_up(reg);
    else if (kind == Kind::blocking) job_over(jobs_[word.args.value % max_jobs]);
    Scope *scope = kind == Kind::scope_next ? scope_of(word.args) : nullptr;
    if (scope) scope->tells = true;
    if (wakee.kind == Wakee::host) end_waker(wakee, HostWaker::canceled);
    word.args.kind = Kind::none;
    return true;
}

// Notes the pending operation.
void Program::returned(Word &word, Reg *reg, Wakee wakee, PollStatus status, bool, bool, uint64_t op, bool oom) {
    if (status == POLL_READY) {
        expect(word.op == 0, "op_zero", "an op that is ready is zero");
        if (reg) free_reg(reg, HostWaker::ended);
        if (wakee.kind == Wakee::host) end_waker(wakee, HostWaker::ended);
        word.args.kind = Kind::none;
        return;
    }
    if (word.op == 0) { // without memory: the waker was woken to try again
        bool has_result = word.args.kind >= Kind::send && word.args.kind <= Kind::scope_join;
        expect(oom && !has_result, "op_zero", "pending without an op");
        if (reg) free_reg(reg, HostWaker::ended);
        if (wakee.kind == Wakee::task && actors_[wakee.actor].id == wakee.id && !actors_[wakee.actor].canceled)
            actors_[wakee.actor].must_poll = true;
        return;
    }
    if (reg && (word.op != op)) { // given up, begun anew: a new place in the line
        free_reg(reg, HostWaker::ended);
        reg = nullptr;
    }
    bool is_new = !reg;
    if (reg && reg->lapsed) reg->murky = true;
    if (!reg) reg = take_reg(word);
    word.reg = uint16_t(reg - regs_);
    word.reg_id = reg->id;
    reg->lapsed = reg->called = false;
    reg->touched = ++order_;
    reg->forgotten = false;
    reg->wakee = wakee;
    if (is_new) {
        if (word.args.count) word.args.rt = uint8_t(runtime_of(word.args));
        word.args.rt_id = rts_[word.args.rt].id;
        for (Target &target : word.args.targets) {
            bool elsewhere = target.index < max_actors && !ended(target) && actors_[target.index].rt != word.args.rt;
            target.skipped = elsewhere || is_skipped(target);
        }
        reg->args = word.args;
        reg->deadline_ns = reg->due_ns = word.args.time_ns;
        if (word.args.kind == Kind::sleep) {
            reg->deadline_ns = later(called_ns_ + rts_[word.args.rt].clock_offset_ns, word.args.time_ns);
            reg->due_ns = later(now(word.args.rt), word.args.time_ns);
        }
    }
    if (wakee.kind == Wakee::host && wakers_[wakee.waker].id == wakee.id) {
        HostWaker &waker = wakers_[wakee.waker];
        waker.reg = word.reg;
        waker.reg_id = word.reg_id;
        waker.state = HostWaker::armed;
    }
    if (word.args.kind == Kind::blocking && is_new) {
        Job &job = jobs_[word.args.value % max_jobs];
        job.canceled = false;
        job.begun = true;
    }
}

// ---- possible results ----

void Program::check_time(Word &word, const Reg *reg, PollStatus status, bool was_stale, bool was_other) {
    const Args &a = word.args;
    uint64_t time = now(a.rt);
    if (was_stale) {
        expect(status == POLL_READY, "stale_op", "a sleep with a stale op is ready");
        return;
    }
    if (status == POLL_PENDING) {
        if (!reg && a.kind == Kind::sleep) expect(a.time_ns != 0, "sleep_zero", "a sleep of 0 is ready at once");
        return;
    }
    if (was_other || rts_[a.rt].ending) return; // it may have been fired, or given up, and is stale then
    if (reg) expect(time >= reg->deadline_ns, "early", "a timer fired early");
    else if (a.kind == Kind::sleep) expect(a.time_ns == 0, "early", "a sleep was ready at once");
    else expect(time >= a.time_ns, "early", "sleep_until was ready before its deadline");
}

void Program::check_join(Word &word, const Reg *reg, PollStatus status, bool oom) {
    const Args &a = word.args;
    uint32_t driving = inner();
    uint32_t nulls = 0, over = 0, self = 0, foreign = 0;
    int64_t first_over = -1;
    for (uint32_t i = 0; i < a.count; i++) {
        const Target &target = a.targets[i];
        bool gone = ended(target);
        nulls += target.index == Target::null;
        over += gone;
        if (gone && first_over < 0) first_over = i;
        if (gone) continue;
        const Actor &actor = actors_[target.index];
        if (actor.rt != (driving < max_runtimes ? driving : runtime_of(a))) foreign++;
        else if (driving < max_runtimes && rts_[driving].current == target.index + 1) self++;
    }
    if (status == POLL_PENDING) {
        for (uint32_t i = 0; i < a.count && reg; i++) over -= reg->args.targets[i].skipped && ended(a.targets[i]);
        bool waits = a.kind == Kind::select ? over == 0 && self + foreign < a.count : over + self + foreign < a.count;
        bool once = a.kind == Kind::join_all || a.kind == Kind::select;
        if (!(once && reg)) expect(waits || (oom && a.kind == Kind::join_all), "join_vain", "a join waits for nothing");
        else expect(waits || self || foreign, "join_vain", "a join waits though its tasks have ended");
        if (nulls && a.kind != Kind::join_all) expect(false, "null_task", "a NULL task is waited for");
        return;
    }
    int64_t result = word.result;
    if (a.kind == Kind::join_all) {
        bool all = over + self + foreign >= a.count;
        for (uint32_t i = 0; i < a.count && reg; i++) all |= actors_[a.targets[i].index % max_actors].rt != a.rt;
        expect(all, "join_early", "join_all is ready though a task lives");
        return;
    }
    if (result == ZYNTAX_ENOMEM) {
        expect(oom, "enomem", "ENOMEM though no allocation failed");
        return;
    }
    if (a.kind == Kind::select) {
        if (nulls || a.count == 0) expect(result == ZYNTAX_EINVAL, "null_task", "select of a NULL task or of none");
        else if (over) expect(result == first_over, "select", "select names the first that has ended");
        else expect(result == ZYNTAX_EDEADLK && self + foreign == a.count, "select", "select has nothing to wait for");
        return;
    }
    if (nulls) expect(result == ZYNTAX_EINVAL, "null_task", "join of a NULL task is EINVAL");
    else if (over) expect(result == 0, "join", "join of a task that has ended is 0");
    else if (self) expect(result == ZYNTAX_EDEADLK, "join", "join of the polled task is EDEADLK");
    else if (foreign) expect(result == ZYNTAX_ESTALE, "join", "join of another runtime's task is ESTALE");
    else if (a.kind == Kind::join) expect(false, "join_early", "join is ready though the task lives");
    else {
        expect(result == ZYNTAX_ETIMEDOUT, "join_early", "join_until is ready though the task lives");
        expect(now(actors_[a.targets[0].index].rt) >= (reg ? reg->deadline_ns : a.time_ns), "early",
               "join_until timed out early");
    }
}

// The number of waiters of the same side with an earlier claim; *holders: further waiters that may have a claim.
uint32_t Program::ahead_of(const Word &word, const Reg *own, uint32_t *holders) const {
    uint32_t ahead = 0;
    *holders = 0;
    for (uint32_t i = 0; i < regs_used_; i++) {
        const Reg &reg = regs_[i];
        if (!reg.id || (own && reg.id == own->id) || reg.args.kind != word.args.kind) continue;
        if (reg.args.object_id != word.args.object_id) continue;
        bool alive = reg.wakee.kind == Wakee::host ||
                     (reg.wakee.kind == Wakee::task && actors_[reg.wakee.actor].id == reg.wakee.id &&
                      is_live(actors_[reg.wakee.actor]));
        bool sure = alive && !reg.forgotten && !reg.lapsed && !reg.murky && !(own && reg.armed > own->armed);
        if (sure && reg.wakee.kind == Wakee::task)
            sure = actors_[reg.wakee.actor].rt == reg.args.rt && !actors_[reg.wakee.actor].canceled;
        if (sure) ahead++;
        else ++*holders;
    }
    return ahead;
}

void Program::check_channel_call(Word &word, const Reg *reg, PollStatus status, bool oom) {
    const Args &a = word.args;
    bool sends = a.kind == Kind::send;
    int64_t result = word.result;
    Channel *channel = channel_of(a);
    if (status == POLL_READY && result == ZYNTAX_ENOMEM) {
        expect(oom, "enomem", "ENOMEM though no allocation failed");
        return;
    }
    if (rts_[a.rt].ending) return; // it is there, or is gone already
    if (!channel) {
        bool stale = status == POLL_READY && (result == ZYNTAX_ESTALE || result == ZYNTAX_ECANCELED);
        expect(stale, "channel_stale", "a dead channel is ESTALE or ECANCELED");
        return;
    }
    if (channel->loose) return check_loose_call(word, *channel, status);
    uint32_t holders, ahead = ahead_of(word, reg, &holders);
    bool unknown = channel->closed || (reg && (reg->murky || reg->lapsed));
    uint32_t available = sends ? channel->capacity - channel->count : channel->count;
    if (status == POLL_PENDING) {
        expect(!channel->closed || (!sends && channel->count), "channel_closed", "a wait on a closed channel");
        expect(available <= ahead + holders, "channel_vain", "a wait though there is more than others wait for");
        return;
    }
    if (sends) {
        if (channel->closed) {
            expect(result == ZYNTAX_EPIPE, "channel_closed", "a closed channel takes no item");
            return;
        }
        if (!expect(result == 0, "channel_result", "send gives 0")) return;
        if (!expect(channel->count < channel->capacity, "channel_full", "an item went into a full channel")) return;
        expect(available > ahead || unknown, "overtaken", "a sender overtook one that waited longer");
        channel->items[(channel->first + channel->count++) % max_items] = a.value;
        return;
    }
    if (result == 0) {
        expect(channel->closed && channel->count == 0, "channel_closed", "the end of a channel that is not");
        return;
    }
    if (!expect(result == 1, "channel_result", "recv gives 1")) return;
    if (!expect(channel->count > 0, "channel_item", "an item from an empty channel")) return;
    expect(available > ahead || unknown, "overtaken", "a receiver overtook one that waited longer");
    uint32_t item = channel->items[channel->first];
    channel->first = (channel->first + 1) % max_items;
    channel->count--;
    bool same = std::memcmp(word.buffer, &item, std::min<size_t>(channel->item_size, sizeof item)) == 0;
    expect(same, "channel_item", "items are lost, doubled or out of order");
}

void Program::check_loose_call(Word &word, const Channel &channel, PollStatus status) {
    if (status == POLL_PENDING) return;
    int64_t result = word.result;
    if (word.args.kind == Kind::send) {
        expect(result == (channel.closed ? int64_t{ZYNTAX_EPIPE} : 0), "channel_closed", "0, or EPIPE once closed");
        if (result == 0) note_sent(word.args);
    } else {
        expect(result == 1 || (result == 0 && channel.closed), "channel_result", "an item, or the end once closed");
        if (result == 1) note_received(word.args, word.buffer);
    }
}

// Whether the caller is the only task left.
bool Program::is_last_polled(const Scope &scope) const {
    uint8_t current = rts_[scope.rt].current; // perhaps it drives the runtime of the caller
    return current && scope.alive == 1 && actors_[current - 1].scope_id == scope.id;
}

// As the library wakes the waiters.
void Program::settle_scope(Scope &scope) {
    if (!scope.alive && !scope.count) scope.was_empty = true;
    if (scope.alive == 1) scope.alone = ++order_;
}

void Program::check_scope_call(Word &word, const Reg *reg, PollStatus status, bool oom) {
    const Args &a = word.args;
    int64_t result = word.result;
    Scope *scope = scope_of(a);
    if (status == POLL_READY && result == ZYNTAX_ENOMEM) {
        if (scope && a.kind == Kind::scope_next) scope->tells = true;
        expect(oom, "enomem", "ENOMEM though no allocation failed");
        return;
    }
    if (rts_[a.rt].ending) return;
    if (!scope) {
        bool stale = status == POLL_READY && (result == ZYNTAX_ESTALE || result == ZYNTAX_ECANCELED);
        expect(stale, "scope_stale", "a dead scope is ESTALE or ECANCELED");
        return;
    }
    if (a.kind == Kind::scope_next) return check_next(word, reg, status, *scope);
    if (status == POLL_PENDING) {
        expect(scope->alive && !is_last_polled(*scope), "scope_vain", "a join of a scope waits for nothing");
    } else if (result == ZYNTAX_EDEADLK) {
        expect(is_last_polled(*scope), "scope_deadlock", "EDEADLK is for the only task left");
    } else if (expect(result == 0 && !scope->alive, "scope_early", "a join of a scope is ready though a task lives")) {
        if (!scope->tells) scope->count = 0;
    }
}

void Program::check_next(Word &word, const Reg *reg, PollStatus status, Scope &scope) {
    int64_t result = word.result;
    scope.tells = true;
    uint32_t holders, ahead = ahead_of(word, reg, &holders);
    if (status == POLL_PENDING) {
        expect(scope.alive || scope.count, "scope_vain", "a wait for the next task of none");
        expect(scope.count || !is_last_polled(scope), "scope_vain", "the only task left waits for itself");
        expect(scope.count <= ahead + holders, "scope_vain", "a wait though more have ended than others wait for");
    } else if (result == ZYNTAX_EDEADLK) {
        expect(is_last_polled(scope) && !scope.count, "scope_deadlock", "EDEADLK is for the only task left");
    } else if (result == 0) {
        expect(!scope.alive && !scope.count && !word.ended, "scope_end", "the end of a scope that has tasks");
    } else if (expect(result == 1 && scope.count, "scope_result", "next tells of a task that has ended")) {
        bool unknown = scope.was_empty || (reg && (reg->murky || reg->lapsed));
        expect(scope.count > ahead || unknown, "overtaken", "a caller overtook one that waited longer");
        expect(word.ended == scope.ended[scope.first], "scope_order", "tasks are told in the order of their ends");
        scope.first = (scope.first + 1) % max_ended;
        scope.count--;
        settle_scope(scope);
    }
}

void Program::check_io(Word &word, const Reg *reg, PollStatus status, bool was_fresh, bool oom) {
    const Args &a = word.args;
    int64_t result = word.result;
    if (status == POLL_READY && result == ZYNTAX_ENOMEM) {
        expect(oom || !outside::scripted || a.kind == Kind::connect, "enomem", "ENOMEM though no allocation failed");
        return;
    }
    if (a.kind == Kind::connect) {
        if (status == POLL_READY && result == 0) new_io(word.made, a.rt, false);
        if (status == POLL_READY) expect(result <= 0, "connect_result", "connect gives 0 or an error");
        return;
    }
    Io *io = io_of(a);
    if (io && io->is_lost) {
        if (status == POLL_READY && result == 0 && a.kind == Kind::accept) new_io(word.made, io->rt, false);
        return;
    }
    if (io && rts_[io->rt].ending) return; // it may be closed already, and its number in use again
    if (!io) {
        int64_t expected = was_fresh ? ZYNTAX_ESTALE : ZYNTAX_ECANCELED;
        expect(status == POLL_READY && result == expected, "io_stale",
               "a dead handle is ESTALE, or ECANCELED with an op");
        return;
    }
    (void)reg;
    if (status == POLL_READY && result == ZYNTAX_ETIMEDOUT) {
        expect(deadline_of(*io, a) <= now(io->rt), "io_early", "ETIMEDOUT before the deadline");
        return;
    }
    if (a.kind == Kind::accept) {
        if (!io->listens) expect(status == POLL_READY && result < 0, "accept_kind", "accept on what does not listen");
        if (status == POLL_READY && result == 0) new_io(word.made, io->rt, false);
        if (status == POLL_READY) expect(result <= 0, "accept_result", "accept gives 0 or an error");
        return;
    }
    if (status == POLL_PENDING) return;
    if (a.kind == Kind::ready) {
        if (a.value == 0 || a.value > 3)
            expect(result == ZYNTAX_EINVAL, "ready_result", "an unknown interest is EINVAL");
        else expect(result > 0 && !(result & ~int64_t(a.value)), "ready_result", "a set of what was asked for");
    } else {
        bool is_cut_off = a.datagram && a.kind == Kind::read; // the length is told
        expect(result <= int64_t(a.value) || is_cut_off, "io_result", "more bytes than were asked for");
        if (a.datagram && a.kind == Kind::write)
            expect(result < 0 || result == int64_t(a.value), "datagram", "a datagram is sent whole");
        expect(result != ZYNTAX_EAGAIN && result != ZYNTAX_ESTALE, "io_result", "an answer that is not documented");
    }
}

void Program::check_blocking(Word &word, const Reg *reg, PollStatus status, bool was_other, bool oom) {
    const Args &a = word.args;
    int64_t result = word.result;
    Job &job = jobs_[a.value % max_jobs];
    if (was_other) {
        expect(status == POLL_READY && result == ZYNTAX_ECANCELED, "blocking_op",
               "the op of something else is ECANCELED");
        return;
    }
    if (status == POLL_PENDING) return;
    if (result == ZYNTAX_ENOMEM) expect(oom, "enomem", "ENOMEM though no allocation failed");
    else if (result == ZYNTAX_ECANCELED) // or the task of its waker has ended: it was canceled
        expect(rts_[a.rt].ending || (reg && !can_call(*reg)), "blocking_result", "ECANCELED without a destroy");
    else if (result != ZYNTAX_EAGAIN) {
        expect(result == int64_t(a.object_id), "blocking_result", "what the job returned");
        expect(job.id == a.object_id && has_run(a.value), "blocking_result", "a job is done that has not run");
        uint32_t mark = 0;
        std::memcpy(&mark, word.buffer + 8, sizeof mark);
        expect(mark == ~a.object_id, "blocking_copy", "what the job wrote comes back");
    }
    if (job.id == a.object_id && (result < 0 || has_run(a.value))) job_over(job);
}

} // namespace random_test
