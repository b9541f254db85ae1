// The functions that the runtime calls: polls, drops, hosts' wakers, posted functions and jobs. Each checks that the
// call is allowed now, and then acts at random.
#include "program.h"

#include <cstring>

namespace random_test {

namespace {

constexpr uintptr_t state_of(uint32_t index, uint32_t id) { return uintptr_t{id} << 8 | (index + 1); }
void *as_pointer(uintptr_t bits) { return reinterpret_cast<void *>(bits); }
uintptr_t as_bits(void *pointer) { return reinterpret_cast<uintptr_t>(pointer); }

// This may run inside a call of the API that does not drive.
class Callback {
public:
    Callback(uint32_t *depth, bool *in_call) : depth_(depth), in_call_(in_call), was_(*in_call) {
        ++*depth_;
        *in_call_ = false;
    }
    ~Callback() {
        --*depth_;
        *in_call_ = was_;
    }
    bool was() const { return was_; }
    Callback(const Callback &) = delete;
    Callback &operator=(const Callback &) = delete;

private:
    uint32_t *depth_;
    bool *in_call_, was_;
};

} // namespace

// ---- spawn ----

uint32_t Program::free_actor() {
    for (uint32_t i = 0; i < max_actors; i++) {
        if (!actors_[i].alive && !actors_[i].dropping) return i;
    }
    return max_actors;
}

// The scope that a new task of the runtime begins in, if any.
Scope *Program::scope_for(uint32_t r) {
    uint32_t s = below(max_scopes);
    if (rts_[r].ending || below(4) == 0) return nullptr;
    for (uint32_t i = 0; i < max_scopes; i++) {
        Scope &scope = scopes_[(s + i) % max_scopes];
        if (scope.id && scope.rt == r) return &scope;
    }
    return nullptr;
}

zyntax_task *Program::call_spawn(Actor &actor, Scope *scope) {
    void *state = as_pointer(state_of(uint32_t(&actor - actors_), actor.id));
    zyntax_runtime *rt = rts_[actor.rt].rt;
    if (actor.no_drop) return zyntax_runtime_spawn(rt, state, poll_plain);
    if (!scope) return zyntax_runtime_spawn_with(rt, state, poll_plain, drop_plain, 0);
    actor.refused = scope->canceled;
    return zyntax_scope_spawn(scope->handle, state, poll_plain, drop_plain, 0);
}

// Its drop has ended.
void Program::leave_scope(Actor &actor) {
    Scope &scope = scopes_[actor.scope];
    if (!actor.scope_id || scope.id != actor.scope_id) return;
    scope.alive--;
    if (scope.count == max_ended) return choices_->end(), scope.id = 0, void(); // too many to know them all
    scope.ended[(scope.first + scope.count++) % max_ended] = actor.task;
    settle_scope(scope);
}

void Program::spawn(uint32_t r, bool plain) {
    RuntimeModel &rt = rts_[r];
    uint32_t i = free_actor();
    if (i == max_actors || !rt.rt) return;
    Actor &actor = actors_[i];
    actor = {};
    actor.id = new_id();
    actor.rt = uint8_t(r);
    actor.alive = actor.must_poll = true;
    actor.promise = !plain && below(4) == 3;
    actor.owned = !actor.promise && below(4) == 3;
    actor.no_drop = !actor.promise && !actor.owned && !plain && below(8) == 7;
    actor.hooked = actor.promise && below(4) > 0 && !is_without("hooks");
    actor.silent = actor.no_drop || (actor.promise && !actor.hooked);
    Scope *scope = moods_.scopes && !plain && !actor.promise && !actor.owned && !actor.no_drop ? scope_for(r) : nullptr;
    uintptr_t state = state_of(i, actor.id);
    uint32_t size = 16 + below(200);
    uint64_t failures = rt.heap.failures;
    in_call_ = true;
    if (actor.promise) {
        zyntax_promise promise{as_pointer(state), poll_promise};
        zyntax_promise_hooks hooks = hooks_of(actor, below(4) > 0);
        actor.task = actor.hooked ? zyntax_promise_spawn_with(rt.rt, &promise, &actor.result, &hooks)
                                  : zyntax_promise_spawn(rt.rt, &promise, &actor.result);
    } else if (actor.owned) {
        void *memory = zyntax_state_alloc(rt.rt, size);
        if (memory) {
            std::memcpy(memory, &state, sizeof state);
            actor.task = zyntax_runtime_spawn_with(rt.rt, memory, poll_owned, drop_owned, size);
            if (!actor.task && !rt.ending) zyntax_state_free(rt.rt, memory, size);
        }
    } else {
        actor.task = call_spawn(actor, scope);
    }
    in_call_ = false;
    if (scope && actor.task) {
        actor.scope = uint8_t(scope - scopes_);
        actor.scope_id = scope->id;
        scope->alive++;
    }
    TRACE("spawn %s%u on %u%s",
          actor.promise ? "promise "
          : actor.owned ? "owned "
                        : "",
          i, r, actor.task ? "" : ": refused");
    if (scope && scope->canceled) {
        expect(!actor.task, "scope_canceled", "a spawn into a cancelled scope is refused");
        expect(actor.drops == 1, "spawn_drop", "a spawn that is refused runs its drop");
        actor.alive = false;
        return;
    }
    if (actor.task) {
        expect(!rt.refuses, "spawn_ending", "a spawn on a runtime that is being destroyed is refused");
        return;
    }
    expect(rt.ending || rt.heap.failures != failures, "spawn_null", "a spawn fails only without memory");
    if (rt.ending && actor.promise && actor.alive && rt.heap.failures == failures)
        expect(actor.result == ZYNTAX_ECANCELED, "spawn_result", "a promise that is refused in destroy is ECANCELED");
    if (rt.ending && !actor.silent && rt.heap.failures == failures)
        expect(actor.drops == 1, "spawn_drop", "a spawn that is refused in destroy runs its drop");
    actor.alive = false;
}

// ---- polls ----

Actor &Program::enter_poll(uintptr_t state) {
    uint32_t i = uint32_t(state & 255) - 1;
    if (is_copy_) report(this, "fork_calls", "a copy polls a task");
    if (i >= max_actors || actors_[i].id != uint32_t(state >> 8))
        report(this, "poll_after_end", "a task that has ended");
    Actor &actor = actors_[i];
    RuntimeModel &rt = rts_[actor.rt];
    expect(actor.alive && !actor.finishing, "poll_after_end", "a task is not polled after its end");
    expect(!actor.in_poll, "poll_twice", "a task is not polled twice at once");
    expect(!actor.canceled, "poll_canceled", "a task is not polled once it was cancelled");
    expect(!in_call_, "poll_inline", "a poll does not run inside a call that does not drive");
    expect(stack_size_ && stack_[stack_size_ - 1] == actor.rt, "poll_where", "a poll runs where its runtime is driven");
    expect(zyntax_current_runtime() == rt.rt, "current", "zyntax_current_runtime is the one that polls");
    TRACE("poll %u {", i);
    actor.in_poll = true;
    actor.must_poll = actor.again = actor.took_waker = actor.called_await = false;
    actor.leaf_told = actor.leaf_pending = false;
    actor.ends_wait = actor.interrupted && !actor.promise; // which of a promise's awaits would end is not known
    actor.spent_least = actor.spent_most = 0;
    expect(!actor.hooked || (actor.entered == actor.left + 1 && actor.left == actor.polls), "hooks",
           "enter comes before each poll");
    actor.polls++;
    actor.poll_began = ++order_;
    rt.current = uint8_t(i + 1);
    progress_++;
    expect(++rt.round_polls <= rt.budget || !rt.one_round, "budget", "a round polls poll_budget tasks at most");
    end_long_drive(rt);
    return actor;
}

// Some programs would go on for ever.
void Program::end_long_drive(RuntimeModel &rt) {
    if (++rt.drive_polls <= 400 || rt.ending) return;
    if (rt.stop == 0) rt.stop = 1;
    zyntax_runtime_stop(rt.rt);
    rt.drive_polls = 0;
}

// An operation with this task's waker that was not called in this poll has lost its turn.
void Program::leave_poll(Actor &actor, bool ready) {
    actor.in_poll = false;
    rts_[actor.rt].current = 0;
    actor.finishing = ready;
    for (uint32_t i = 0; i < regs_used_; i++) {
        Reg &reg = regs_[i];
        if (!reg.id || reg.wakee.kind != Wakee::task || reg.wakee.id != actor.id) continue;
        if (reg.touched < actor.poll_began) reg.lapsed = true;
    }
    TRACE("} %s", ready ? "ready" : "pending");
}

PollStatus Program::poll_plain(FutureState state, Waker *waker) {
    Program &self = *running;
    Callback callback(&self.depth_, &self.in_call_);
    self.in_call_ = callback.was();
    Actor &actor = self.enter_poll(as_bits(state));
    self.in_call_ = false;
    actor.waker = *waker;
    bool ready = self.act(actor, waker);
    self.leave_poll(actor, ready);
    return ready ? POLL_READY : POLL_PENDING;
}

PollStatus Program::poll_owned(FutureState state, Waker *waker) {
    uintptr_t bits;
    std::memcpy(&bits, state, sizeof bits);
    return poll_plain(as_pointer(bits), waker);
}

// A promise that returned 0 is polled again unless an operation of it is pending, or its host keeps the waker.
void Program::promise_waits(Actor &actor) {
    if (actor.leaf_told && !actor.must_poll && !actor.canceled) actor.must_poll = actor.again = true;
    if (actor.leaf_told || actor.leaf_pending) return;
    if (actor.took_waker && !actor.called_await) return;
    for (uint32_t i = 0; i < regs_used_; i++) {
        if (regs_[i].id && regs_[i].wakee.kind == Wakee::task && regs_[i].wakee.id == actor.id) return;
    }
    if (!actor.must_poll && !actor.canceled && !is_without("promise_again")) actor.must_poll = actor.again = true;
}

int64_t Program::poll_promise(void *state) {
    Program &self = *running;
    Callback callback(&self.depth_, &self.in_call_);
    self.in_call_ = callback.was();
    Actor &actor = self.enter_poll(as_bits(state));
    self.in_call_ = false;
    Waker waker = actor.waker;
    if (!actor.waker.wake || !self.chance(8)) {
        self.expect(zyntax_current_waker(&waker) == 0, "current", "a poll has a waker");
        actor.took_waker = true;
        actor.waker = waker;
    }
    bool ready = self.act(actor, &waker);
    self.leave_poll(actor, ready);
    if (!ready) self.promise_waits(actor);
    return ready ? int64_t(actor.id) : 0;
}

// One poll of a task. True: it has ended.
bool Program::act(Actor &actor, Waker *waker) {
    if (quiet_) {
        recall(actor, waker);
        bool waits = false;
        for (Word &word : actor.words) waits |= word.args.kind != Kind::none;
        if (actor.promise) ask_all(actor);
        for (Leaf &leaf : actor.leaves) waits |= actor.promise && leaf.id && !leaf.gone && !leaf.failing;
        return actor.promise && !waits;
    }
    if (mood(moods_.swap)) disturb_words(actor);
    recall(actor, waker);
    for (uint32_t n = below(3); n > 0; n--) side_action();
    bool waits = false;
    if (actor.promise && moods_.leaf) {
        use_leaves(actor);
        waits = actor.leaf_pending;
    }
    for (Word &word : actor.words) {
        if (word.args.kind == Kind::none && below(2)) {
            choose_args(word, actor.rt);
            if (word.args.kind == Kind::none) continue;
            Waker other = *waker;
            Wakee wakee = choose_wakee(&actor, waker, &other);
            call(word, &other, wakee);
        }
        waits |= word.args.kind != Kind::none;
    }
    if (below(waits ? 8 : 3) == 1) {
        if (actor.silent) end_words(actor);
        return true;
    }
    if (!waits && below(2)) wake(uint32_t(&actor - actors_));
    return false;
}

// Calls most of the pending operations again.
void Program::recall(Actor &actor, Waker *waker) {
    for (Word &word : actor.words) {
        if (word.args.kind == Kind::none) continue;
        steps_++;
        if (mood(moods_.forget)) {
            uint32_t how = below(3);
            if (how == 0) cancel_word(word);
            else if (how == 1) forget_word(word);
            continue; // or later
        }
        Waker other = *waker;
        Wakee wakee{Wakee::task, uint8_t(&actor - actors_), actor.id, 0};
        if (!quiet_ && below(16) == 15) wakee = choose_wakee(&actor, waker, &other);
        call(word, &other, wakee);
    }
}

// ---- ends ----

void Program::end_words(Actor &actor) {
    for (Word &word : actor.words) {
        if (word.args.kind == Kind::none) continue;
        if (mood(moods_.forget)) forget_word(word);
        else cancel_word(word);
    }
}

// Drops that always go on: a round must end nevertheless.
void Program::chain(uint32_t r) {
    if (!mood(moods_.chain) || !rts_[r].rt) return;
    uint32_t i = free_actor();
    if (i == max_actors) return;
    spawn(r, true);
    if (actors_[i].alive) cancel(i);
}

void Program::drop(uintptr_t state, int32_t outcome) {
    uint32_t i = uint32_t(state & 255) - 1;
    if (is_copy_) report(this, "fork_calls", "a copy drops a task");
    if (i >= max_actors || actors_[i].id != uint32_t(state >> 8))
        report(this, "drop_twice", "of a task that has ended");
    Actor &actor = actors_[i];
    TRACE("drop %u, %d {", i, outcome);
    expect(actor.drops++ == 0 && actor.alive, "drop_twice", "a state is dropped once");
    expect(!actor.in_poll, "drop_in_poll", "a drop does not run in the task's own poll");
    expect(!in_call_ || rts_[actor.rt].ending || actor.refused, "drop_inline",
           "a drop does not run inside a call that does not drive");
    expect((outcome == 0) == actor.finishing, "outcome", "0 when the task has finished, else ECANCELED");
    progress_++;
    RuntimeModel &rt = rts_[actor.rt];
    if (rt.ending && !actor.canceled) rt.refuses = true;
    end_long_drive(rt);
    if (!quiet_)
        expect(++rt.round_calls <= rt.round_limit || !rt.one_round, "round",
               "a round takes what was there when it began");
    bool was_in_call = in_call_;
    in_call_ = false;
    actor.alive = false;
    actor.dropping = true; // its place is not taken
    keep_old(actor.task, &actor.waker, 0, nullptr);
    end_leaves(actor);
    end_words(actor);
    if (!quiet_ && depth_ < 6 && below(3) == 2) side_action();
    chain(actor.rt);
    leave_scope(actor);
    actor.dropping = false;
    in_call_ = was_in_call;
    TRACE("}");
}

void Program::drop_plain(FutureState state, int32_t outcome) {
    Program &self = *running;
    Callback callback(&self.depth_, &self.in_call_);
    self.in_call_ = callback.was();
    self.drop(as_bits(state), outcome);
}

void Program::drop_owned(FutureState state, int32_t outcome) {
    uintptr_t bits;
    std::memcpy(&bits, state, sizeof bits);
    drop_plain(as_pointer(bits), outcome);
}

// ---- hosts ----

void Program::host_wake(void *data) {
    Program &self = *running;
    uintptr_t bits = as_bits(data);
    HostWaker &waker = self.wakers_[bits % max_wakers];
    TRACE("host's waker %u {", unsigned(bits % max_wakers));
    if (self.is_copy_) report(&self, "fork_calls", "a copy calls a host");
    bool ours = waker.id == uint32_t(bits / max_wakers), known = ours && waker.state < HostWaker::canceled;
    self.expect(known || (ours && waker.state != HostWaker::canceled), "host_late",
                "called after its op was cancelled");
    self.expect(known || !ours || waker.state != HostWaker::ended, "host_ended", "called after its op was ready");
    self.expect(known || !ours || waker.state != HostWaker::replaced, "host_replaced",
                "called though another took its place");
    self.expect(!self.in_call_, "host_inline", "a host's waker is called inside a call that does not drive");
    self.expect(self.stack_size_ != 0, "host_inline", "a host's waker is called outside of the loop");
    Callback callback(&self.depth_, &self.in_call_);
    self.progress_++;
    if (self.stack_size_ && !self.quiet_) {
        RuntimeModel &rt = self.rts_[self.inner()];
        self.expect(++rt.round_calls <= rt.round_limit || !rt.one_round, "round",
                    "a round takes what was there when it began");
    }
    if (self.stack_size_) self.end_long_drive(self.rts_[self.inner()]);
    if (known) self.host_called(waker);
    TRACE("}");
}

void Program::host_called(HostWaker &waker) {
    waker.state = HostWaker::called;
    Reg &reg = regs_[waker.reg];
    if (reg.id == waker.reg_id) reg.called = true;
    if (quiet_ || depth_ > 6) return;
    if (mood(moods_.chain)) return go_on_inline();
    if (below(2)) side_action();
}

// As a coroutine that ends an await by beginning the next one: here it waits for an item, and sends one.
void Program::go_on_inline() {
    Channel &channel = channels_[0];
    Word &receiver = hosts_[0].word, &sender = hosts_[1].word;
    if (!channel.id || channel.closed || (rts_[channel.rt].driving && channel.rt != inner())) return;
    if (receiver.args.kind != Kind::none) cancel_word(receiver);
    if (sender.args.kind != Kind::none) cancel_word(sender);
    for (uint32_t i = 0; i < max_items && receiver.args.kind == Kind::none; i++)
        use_channel(receiver, Kind::recv, channel);
    use_channel(sender, Kind::send, channel);
}

void Program::use_channel(Word &word, Kind kind, const Channel &channel) {
    word.args = {};
    word.args.kind = kind;
    word.args.rt = channel.rt;
    word.args.rt_id = rts_[channel.rt].id;
    word.args.object_id = channel.id;
    word.args.object = uint8_t(&channel - channels_);
    word.args.handle = channel.handle;
    word.args.value = ++last_item_;
    if (channel.loose && kind == Kind::send) items_[word.args.value % 1024] = {word.args.value, channel.id, false};
    Waker own;
    Wakee wakee = host_wakee(&own);
    call(word, &own, wakee);
}

// ---- posted functions, jobs ----

void Program::run_post(void *arg) {
    auto *post = static_cast<Post *>(arg);
    Program &self = *post->program;
    TRACE("posted function on %u {", post->rt);
    if (self.is_copy_) report(&self, "fork_calls", "a copy runs what was posted");
    self.expect(post->pending, "post_twice", "a posted function runs once");
    self.expect(!self.in_call_, "post_inline", "a posted function does not run inside a call that does not drive");
    self.expect(zyntax_current_runtime() == nullptr || self.stack_size_ > 1, "current", "no task is being polled");
    Callback callback(&self.depth_, &self.in_call_);
    RuntimeModel &rt = self.rts_[post->rt];
    post->pending = false;
    rt.posted--;
    self.progress_++;
    self.end_long_drive(rt);
    if (!self.quiet_) {
        self.expect(++rt.round_calls <= rt.round_limit || !rt.one_round, "round",
                    "a round takes what was there when it began");
        if (self.depth_ < 6 && self.below(2)) self.side_action();
        if (self.mood(self.moods_.chain)) self.post(post->rt);
    }
    TRACE("}");
}

int64_t Program::run_job(void *arg) {
    struct Copy {
        uint32_t id, index, mark, unused;
    } copy;
    std::memcpy(&copy, arg, sizeof copy);
    uint32_t before = running->ran_[copy.index % max_jobs].exchange(copy.id);
    running->expect(before != copy.id, "job_twice", "a job runs once");
    if (outside::scripted) {
        const Job &job = running->jobs_[copy.index % max_jobs];
        bool canceled = job.id == copy.id && job.canceled;
        running->expect(!canceled, "job_canceled", "a job that was cancelled before it began does not begin");
    }
    copy.mark = ~copy.id;
    std::memcpy(arg, &copy, sizeof copy);
    if (outside::scripted) TRACE("job %u", copy.index);
    return int64_t(copy.id);
}

// No task waits for it any more: the loop drops its argument.
void Program::job_over(Job &job) {
    if (job.drops && job.begun) job.over = true;
    else job.id = 0;
}

void Program::drop_job(void *arg) {
    Program &self = *running;
    Callback callback(&self.depth_, &self.in_call_);
    uint32_t copy[4];
    std::memcpy(copy, arg, sizeof copy);
    Job &job = self.jobs_[copy[1] % max_jobs];
    TRACE("drop job %u", copy[1]);
    if (self.is_copy_) report(&self, "fork_calls", "a copy drops a job");
    self.progress_++;
    if (!self.expect(job.id == copy[0] && job.drops && job.begun, "job_drop", "a job that was begun is dropped once"))
        return;
    const RuntimeModel &rt = self.rts_[job.rt];
    self.expect(!callback.was() || rt.ending, "job_drop", "a drop does not run inside a call that does not drive");
    self.expect(self.inner() == job.rt && !rt.current, "job_drop", "a drop runs in the loop, outside of polls");
    for (uint32_t i = 0; i < self.regs_used_; i++) {
        const Reg &reg = self.regs_[i];
        bool waits = reg.id && reg.args.kind == Kind::blocking && reg.args.object_id == job.id && !reg.forgotten;
        self.expect(!waits || job.over || rt.ending || !self.can_call(reg), "job_drop", "a result may still be taken");
    }
    job.id = 0;
    if (!self.quiet_ && self.depth_ < 6 && self.below(2)) self.side_action();
}

} // namespace random_test
