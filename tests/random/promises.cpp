// Promises of section 10: tasks that make and poll them as compiled code does. Compiled code of the program runs inside
// limits and selects, and makes, polls and cancels other promises; children, and hooks.
//
// The model knows a promise's result when the promise is ready. It knows the result of an inner promise when the outer
// promise is ready (Leaf::limited). It does not know the result when code has polled or cancelled the outer promise
// (Leaf::unsure).
#include "program.h"

#include <cstring>

namespace random_test {

namespace {

void *as_pointer(uintptr_t bits) { return reinterpret_cast<void *>(bits); }
uintptr_t as_bits(void *pointer) { return reinterpret_cast<uintptr_t>(pointer); }
uintptr_t actor_bits(uint32_t index, uint32_t id) { return uintptr_t{id} << 8 | (index + 1); }
uintptr_t code_bits(uint32_t index, uint32_t code, uint32_t id) {
    return uintptr_t{id} << 16 | code << 8 | (index + 1);
}

bool is_group(const Leaf &leaf) { return leaf.type == Leaf::timeout || leaf.type == Leaf::select; }
bool is_io(const Leaf &leaf) { return leaf.type >= Leaf::read && leaf.type <= Leaf::accept; }
bool is_timed(const Leaf &leaf) { return leaf.type == Leaf::sleep || leaf.type == Leaf::timeout; }
bool makes_connection(const Leaf &leaf) { return leaf.type == Leaf::accept || leaf.type == Leaf::connect; }

constexpr const char *leaf_names[] = {"sleep", "yield", "read",     "write",   "ready",  "accept", "connect",
                                      "send",  "recv",  "blocking", "timeout", "select", "child"};
static_assert(sizeof leaf_names / sizeof *leaf_names == Leaf::count_);

} // namespace

// ---- making ----

Leaf *Program::inner_leaf(Actor &actor, const Inner &inner) {
    Leaf &leaf = actor.leaves[inner.index % max_leaves];
    return !inner.is_code && leaf.id && leaf.id == inner.id ? &leaf : nullptr;
}

// The promise under a limit; null for compiled code, and for promises other than limits.
Leaf *Program::under(Actor &actor, const Leaf &limit) {
    return limit.type == Leaf::timeout ? inner_leaf(actor, limit.inner[0]) : nullptr;
}

// The promise below all limits; null for compiled code.
Leaf *Program::end_of_limits(Actor &actor, Leaf *leaf) {
    while (leaf && leaf->type == Leaf::timeout) leaf = inner_leaf(actor, leaf->inner[0]);
    return leaf;
}

// A new promise, which has begun; null without a place for it.
Leaf *Program::make_leaf(Actor &actor, bool simple) {
    for (Leaf &leaf : actor.leaves) {
        // A limit may have the value of a promise that is gone, such as a connection.
        bool used = leaf.id && (!leaf.gone || leaf.polling || leaf.reuse_at > made_ || is_held(actor, leaf));
        if (used || actor.in_poll == false) continue;
        leaf = {};
        leaf.id = new_id();
        if (begin_leaf(actor, leaf, simple)) return &leaf;
        leaf.id = 0;
        return nullptr;
    }
    return nullptr;
}

// Chooses the arguments of a promise; false when there is no object of the kind.
bool Program::choose_object(Actor &actor, Leaf &leaf) {
    Args &a = leaf.args;
    a.rt = actor.rt;
    a.rt_id = rts_[actor.rt].id;
    if (is_io(leaf)) {
        Io &io = ios_[any_io()];
        a.object = uint8_t(&io - ios_);
        a.object_id = io.id;
        a.handle = io.handle;
        a.rt = io.rt;
        if (!io.id || io.is_lost || io.rt != actor.rt)
            return false; // it is not defined which runtime's loop would wake it
        if (io.listens && leaf.type <= Leaf::write) leaf.type = Leaf::accept;
        if (leaf.type == Leaf::accept && !io.listens && is_without("accept_kind")) return false;
        a.value = leaf.type == Leaf::ready ? 1 + below(3) : below(8);
        constexpr Kind kinds[] = {Kind::read, Kind::write, Kind::ready, Kind::accept};
        a.kind = kinds[leaf.type - Leaf::read];
    } else if (leaf.type == Leaf::send || leaf.type == Leaf::recv) {
        Channel &channel = channels_[any_channel()];
        a.object = uint8_t(&channel - channels_);
        a.object_id = channel.id;
        a.handle = channel.handle;
        a.value = ++last_item_;
        a.kind = leaf.type == Leaf::send ? Kind::send : Kind::recv;
        if (!channel.id || !channel.loose || channel.rt != actor.rt) return false;
        std::memset(leaf.buffer, 0x5a, sizeof leaf.buffer);
        std::memcpy(leaf.buffer, &a.value, sizeof a.value);
        if (leaf.type == Leaf::send) items_[a.value % 1024] = {a.value, channel.id, false};
    } else if (leaf.type == Leaf::blocking) {
        a.kind = Kind::blocking;
        a.value = below(max_jobs);
        if (jobs_[a.value].id) return false;
        jobs_[a.value] = {};
        jobs_[a.value].id = a.object_id = new_id();
        jobs_[a.value].rt = actor.rt;
        uint32_t arg[4] = {a.object_id, a.value, 0, 0};
        std::memcpy(leaf.buffer, arg, sizeof arg);
    } else if (leaf.type == Leaf::connect) {
        a.kind = Kind::connect;
        a.value = below(outside::scripted ? 8 : 64);
        a.time_ns = 1 + below(4);
    }
    return true;
}

void Program::choose_inner(Actor &actor, Leaf &leaf) {
    leaf.count = uint8_t(leaf.type == Leaf::timeout ? 1 : 1 + below(3));
    for (uint32_t i = 0; i < leaf.count; i++) {
        Inner &inner = leaf.inner[i];
        uint32_t how = below(4), k = below(max_codes);
        Leaf *other = how < 2 ? make_leaf(actor, below(2)) : how == 2 ? &actor.leaves[below(max_leaves)] : nullptr;
        // The end of a limit cancels a child below it, and the ends of some children are not reported.
        Leaf *end = leaf.type == Leaf::timeout ? end_of_limits(actor, other) : nullptr;
        bool untold = end && end->type == Leaf::child && actors_[end->args.object].silent;
        if (other && other != &leaf && other->id && other->at && !other->failing && !untold) {
            inner = {false, uint8_t(other - actor.leaves), other->id, other->copy};
            continue;
        }
        Code &code = actor.codes[k];
        if (!code.id) code = {new_id(), false, 0, 0};
        uintptr_t bits = code_bits(uint32_t(&actor - actors_), k, code.id);
        inner = {true, uint8_t(k), code.id, {as_pointer(bits), poll_code}};
    }
}

zyntax_promise *Program::call_group(Actor &actor, Leaf &leaf) {
    zyntax_promise *list[3];
    for (uint32_t i = 0; i < leaf.count; i++) {
        Leaf *other = inner_leaf(actor, leaf.inner[i]);
        list[i] = other && !other->gone && below(8) ? other->at : &leaf.inner[i].words;
    }
    if (leaf.type == Leaf::timeout) return zyntax_promise_timeout(list[0], leaf.args.time_ns);
    return zyntax_promise_select(list, leaf.count);
}

zyntax_promise *Program::call_transfer(Leaf &leaf, zyntax_io *io) {
    const Args &a = leaf.args;
    bool reads = leaf.type == Leaf::read;
    if (!outside::scripted && a.value % 4 == 1) {
        leaf.slices[0] = {leaf.buffer, a.value / 2};
        leaf.slices[1] = {leaf.buffer + a.value / 2, a.value - a.value / 2};
        return reads ? zyntax_promise_readv(io, leaf.slices, 2) : zyntax_promise_writev(io, leaf.slices, 2);
    }
    if (!outside::scripted && a.value == 3 && !reads)
        return zyntax_promise_write_all(io, leaf.buffer, a.value, &leaf.done);
    if (reads) return zyntax_promise_read(io, leaf.buffer, a.value);
    return zyntax_promise_write(io, leaf.buffer, a.value);
}

zyntax_promise *Program::call_maker(Actor &actor, Leaf &leaf) {
    const Args &a = leaf.args;
    auto *io = static_cast<zyntax_io *>(a.handle);
    auto *channel = static_cast<zyntax_channel *>(a.handle);
    switch (leaf.type) {
    case Leaf::sleep:
        return zyntax_promise_sleep(a.time_ns);
    case Leaf::yield:
        return zyntax_promise_yield();
    case Leaf::read:
    case Leaf::write:
        return call_transfer(leaf, io);
    case Leaf::ready:
        return zyntax_promise_ready(io, a.value);
    case Leaf::accept:
        return zyntax_promise_accept(io);
    case Leaf::connect:
        if (zyntax_promise *promise = outside::other_connect_promise(a.value)) return promise;
        return zyntax_promise_connect(outside::host(a.value), outside::port(uint32_t(a.time_ns)));
    case Leaf::send:
        return zyntax_promise_send(channel, leaf.buffer);
    case Leaf::recv:
        return zyntax_promise_recv(channel, leaf.buffer);
    case Leaf::blocking:
        return zyntax_promise_blocking(run_job, leaf.buffer, 16);
    case Leaf::child: {
        const Actor &child = actors_[leaf.args.object];
        zyntax_promise promise{as_pointer(actor_bits(leaf.args.object, child.id)), poll_promise};
        return zyntax_promise_spawn_child(&promise);
    }
    default:
        return call_group(actor, leaf);
    }
}

bool Program::begin_leaf(Actor &actor, Leaf &leaf, bool simple) {
    RuntimeModel &rt = rts_[actor.rt];
    leaf.type = static_cast<Leaf::Type>(below(simple ? uint32_t(Leaf::timeout) : uint32_t(Leaf::count_)));
    if (!choose_object(actor, leaf)) return false;
    static constexpr uint64_t times[] = {0, 1, 1000, ms, 3 * ms, 50 * ms, 3600'000 * ms, UINT64_MAX};
    if (is_timed(leaf)) leaf.args.time_ns = times[below(8)];
    if (is_group(leaf)) choose_inner(actor, leaf);
    Actor *child = nullptr;
    if (leaf.type == Leaf::child) {
        child = rt.ending ? nullptr : begin_promise(actor.rt);
        if (!child) return false;
        child->child = true;
        leaf.args.object = uint8_t(child - actors_);
        leaf.args.object_id = child->id;
        next_child_ = leaf.args.object + 1u;
        child_hooked_ = false;
    }
    uint64_t failures = rt.heap.failures;
    leaf.from_ns = later(now(actor.rt), leaf.args.time_ns);
    in_call_ = true;
    zyntax_promise *made = call_maker(actor, leaf);
    in_call_ = false;
    leaf.to_ns = later(now(actor.rt), leaf.args.time_ns);
    next_child_ = 0;
    TRACE("make %s %u -> leaf %u of %u", leaf_names[leaf.type], leaf.args.object, unsigned(&leaf - actor.leaves),
          unsigned(&actor - actors_));
    if (!made) report(this, "leaf_null", "a maker returns a promise");
    expect(made->poll != nullptr, "leaf_null", "a promise has a poll");
    made_++;
    leaf.at = made;
    leaf.copy = *made;
    leaf.failing = is_failing(made);
    if (leaf.failing) {
        leaf.error = ZYNTAX_ENOMEM;
        expect(rt.heap.failures != failures, "leaf_failing", "a promise fails only without memory");
    }
    for (uint32_t i = 0; i < leaf.count && !leaf.failing; i++) {
        Leaf *inner = inner_leaf(actor, leaf.inner[i]);
        if (inner && leaf.type == Leaf::timeout) inner->limited = true;
    }
    if (!child) return true;
    bool tells = rts_[child->rt].rt && child_hooked_;
    child->hooked = tells;
    child->silent = !tells;
    child->refused = false;
    if (leaf.failing) {
        expect(!tells || child->drops == 1, "leaf_child", "a child that is refused is dropped");
        child->alive = false;
    }
    return true;
}

// ---- hooks ----

// A task of compiled code, which is yet to be spawned.
Actor *Program::begin_promise(uint32_t r) {
    uint32_t i = free_actor();
    if (i == max_actors) return nullptr;
    Actor &actor = actors_[i];
    actor = {};
    actor.id = new_id();
    actor.rt = uint8_t(r);
    actor.alive = actor.must_poll = actor.promise = actor.silent = true;
    return &actor;
}

zyntax_promise_hooks Program::hooks_of(const Actor &actor, bool children) {
    zyntax_promise_hooks hooks = {};
    hooks.size = sizeof hooks;
    hooks.enter = hook_enter;
    hooks.leave = hook_leave;
    hooks.drop = hook_drop;
    hooks.ctx = as_pointer(actor_bits(uint32_t(&actor - actors_), actor.id));
    if (children) hooks.child = hook_child;
    return hooks;
}

void Program::hook_enter(void *ctx) {
    Program &self = *running;
    Actor &actor = self.actors_[(as_bits(ctx) & 255) - 1];
    self.expect(actor.id == uint32_t(as_bits(ctx) >> 8) && actor.hooked, "hooks", "enter is called with its context");
    self.expect(actor.entered == actor.left && !actor.in_poll, "hooks", "enter comes before each poll");
    actor.entered++;
}

void Program::hook_leave(void *ctx) {
    Program &self = *running;
    Actor &actor = self.actors_[(as_bits(ctx) & 255) - 1];
    self.expect(actor.id == uint32_t(as_bits(ctx) >> 8) && actor.hooked, "hooks", "leave is called with its context");
    actor.left++;
    self.expect(actor.entered == actor.left && !actor.in_poll && actor.polls == actor.left, "hooks",
                "leave comes after each poll");
}

void Program::hook_drop(void *ctx, int32_t outcome) {
    Program &self = *running;
    uintptr_t bits = as_bits(ctx);
    const Actor &actor = self.actors_[(bits & 255) - 1];
    if (actor.id == uint32_t(bits >> 8)) {
        self.expect(actor.entered == actor.left, "hooks", "drop comes outside of polls");
        int64_t expected = outcome ? outcome : int64_t(actor.id);
        self.expect(actor.child || actor.result == expected, "promise_result", "*result is set before the drop");
    }
    drop_plain(ctx, outcome);
}

// A child's context is its own.
void *Program::hook_child(void *ctx, const zyntax_promise *promise) {
    Program &self = *running;
    const Actor &parent = self.actors_[(as_bits(ctx) & 255) - 1];
    self.expect(parent.id == uint32_t(as_bits(ctx) >> 8) && parent.in_poll, "hooks",
                "child is called with the parent's context, in its poll");
    uint32_t index = self.next_child_ - 1;
    if (index >= max_actors) report(&self, "hooks", "child is called while no child is spawned");
    Actor &child = self.actors_[index];
    self.expect(promise->state == as_pointer(actor_bits(index, child.id)), "hooks", "child is told of its promise");
    self.expect(!self.child_hooked_, "hooks", "child is called once");
    self.child_hooked_ = true;
    child.hooked = true;
    child.silent = false;
    child.refused = true; // until it is known to live: a drop comes within the call, then
    return as_pointer(actor_bits(index, child.id));
}

// ---- polling ----

bool Program::is_held(const Actor &actor, const Leaf &leaf) const {
    for (const Leaf &other : actor.leaves) {
        if (!other.id || other.gone) continue;
        for (uint32_t i = 0; i < other.count; i++) {
            if (!other.inner[i].is_code && other.inner[i].id == leaf.id) return true;
        }
    }
    return false;
}

// Whether it may be on the stack: code that runs is in it.
bool Program::reaches_running(Actor &actor, const Leaf &leaf, int depth) {
    if (!actor.inside || depth > 8) return depth > 8;
    for (uint32_t i = 0; i < leaf.count; i++) {
        const Inner &inner = leaf.inner[i];
        if (inner.is_code && actor.codes[inner.index].polling) return true;
        Leaf *other = inner_leaf(actor, inner);
        if (other && !other->gone && reaches_running(actor, *other, depth + 1)) return true;
    }
    return false;
}

// The promises inside it may have been polled, and may have their values.
void Program::polled_inside(Actor &actor, const Leaf &leaf, int depth) {
    for (uint32_t i = 0; i < leaf.count && depth < 8; i++) {
        Leaf *inner = inner_leaf(actor, leaf.inner[i]);
        if (!inner) continue;
        inner->touched = 0;
        polled_inside(actor, *inner, depth + 1);
    }
}

// Polls a promise as the code that awaits it does. Late: it may be freed.
void Program::ask(Actor &actor, Leaf &leaf, bool late) {
    if (!leaf.id || !leaf.at || (leaf.gone && !late)) return;
    // The pointer is valid until 64 more promises have been freed: promises that were alive then, or were made since.
    bool by_copy = leaf.failing ? false : leaf.gone ? leaf.gone_at + 64 <= made_ || below(2) : below(4) == 3;
    zyntax_promise promise = by_copy ? leaf.copy : *leaf.at;
    bool was_on_stack = leaf.polling || (is_group(leaf) && reaches_running(actor, leaf, 0));
    if (was_on_stack) leaf.unsure = true;
    bool has_ended = false; // a promise inside a select
    for (uint32_t i = 0; i < leaf.count && leaf.type == Leaf::select; i++) {
        const Leaf *inner = inner_leaf(actor, leaf.inner[i]);
        has_ended |= !leaf.inner[i].is_code && (!inner || inner->gone);
    }
    uint64_t failures = rts_[actor.rt].heap.failures;
    uint32_t id = leaf.id;
    bool must_end = actor.spent_least >= rts_[actor.rt].await_budget;
    TRACE("ask leaf %u of %u (%s%s) {", unsigned(&leaf - actor.leaves), unsigned(&actor - actors_),
          leaf_names[leaf.type],
          leaf.gone     ? ", gone"
          : leaf.unsure ? ", unsure"
                        : "");
    leaf.polling++;
    in_call_ = true;
    int64_t value = promise.poll(promise.state);
    in_call_ = false;
    if (leaf.id != id) report(this, "model", "a place is used again while it is asked");
    leaf.polling--;
    polled_inside(actor, leaf, 0);
    TRACE("} %lld", static_cast<long long>(value));
    bool oom = rts_[actor.rt].heap.failures != failures;
    uint32_t budget = rts_[actor.rt].await_budget;
    if (value == 0) {
        actor.leaf_pending = true;
        if (leaf.type == Leaf::connect || leaf.count) actor.spent_most += 8; // the code may spend budget itself
        if (spent_at_most(actor) >= budget) {                                // it may not have been looked at
            if (must_end) spent({Wakee::task, uint8_t(&actor - actors_), actor.id, 0});
            else rts_[actor.rt].round_spent++;
            leaf.unsure |= !must_end && leaf.type == Leaf::yield;
            leaf.touched = 0;
            return;
        }
        leaf.touched = is_held(actor, leaf) ? 0 : ++order_;
        if (leaf.type == Leaf::yield) {
            expect(!leaf.begun, "leaf_yield", "a yield waits once");
            leaf.begun = true;
            if (!actor.canceled) actor.must_poll = true;
        }
        return check_leaf_pending(leaf, has_ended);
    }
    actor.leaf_told = true;
    expect(!must_end || leaf.failing, "await_budget", "a poll goes on though it has spent its budget");
    actor.spent_most += leaf.type == Leaf::connect || leaf.count ? 8 : 1;
    actor.spent_least += actor.inside == 0 && !leaf.failing;
    if (leaf.failing) return void(expect(value == leaf.error, "leaf_value", "a promise that fails goes on failing"));
    if (leaf.gone) return void(expect(value == ZYNTAX_ESTALE, "leaf_stale", "a poll of a freed promise is ESTALE"));
    if (was_on_stack && value == ZYNTAX_EDEADLK) return;
    if (value == ZYNTAX_ESTALE && leaf.limited) { // its limit has its value, perhaps
        leaf.passed = true;
        return leaf_ends(actor, leaf, false);
    }
    if (!leaf.unsure) check_value(actor, leaf, value, oom);
    told(actor, leaf, value);
}

void Program::check_leaf_pending(const Leaf &leaf, bool has_ended) {
    expect(!leaf.failing && !leaf.gone, "leaf_stale", "a poll of a freed promise is not pending");
    if (leaf.unsure) return;
    expect(!leaf.cut, "leaf_cancel", "a promise that was cancelled is ready");
    expect(!has_ended, "leaf_select", "a select waits though one of its promises has ended");
}

// ---- values ----

void Program::check_value(Actor &actor, Leaf &leaf, int64_t value, bool oom) {
    expect(!leaf.cut || value == ZYNTAX_ECANCELED, "leaf_cancel", "a promise that was cancelled is ECANCELED");
    bool ending = rts_[actor.rt].ending;
    if (value == ZYNTAX_EINTR)
        return void(expect(actor.was_interrupted, "leaf_value", "EINTR though nobody has interrupted the task"));
    if (value == ZYNTAX_ENOMEM) {
        bool may =
            oom || !outside::scripted || leaf.type == Leaf::connect || leaf.count || rts_[actor.rt].heap.failures;
        return void(expect(may, "enomem", "ENOMEM though no allocation failed"));
    }
    if (value == ZYNTAX_ECANCELED && !leaf.count) {
        bool may = leaf.canceled || leaf.limited || ending || is_io(leaf) || leaf.type == Leaf::send ||
                   leaf.type == Leaf::recv || leaf.type == Leaf::child;
        return void(expect(may, "leaf_value", "ECANCELED though nobody has cancelled it"));
    }
    if (leaf.type == Leaf::timeout) return check_limit(actor, leaf, value, oom);
    if (leaf.type == Leaf::select) return check_choice(actor, leaf, value);
    check_simple(leaf, value);
}

void Program::check_simple(Leaf &leaf, int64_t value) {
    const Args &a = leaf.args;
    uint32_t r = a.rt;
    bool dead = value == ZYNTAX_ESTALE;
    switch (leaf.type) {
    case Leaf::sleep:
        expect(value == 1, "leaf_value", "a sleep is 1");
        expect(now(r) >= leaf.from_ns, "early", "a sleep ends early");
        break;
    case Leaf::yield:
        expect(value == 1, "leaf_value", "a yield is 1");
        break;
    case Leaf::read:
        if (a.value == 0) expect(value == ZYNTAX_EINVAL, "leaf_value", "nothing to read is EINVAL");
        else expect(value <= int64_t(a.value) && value != ZYNTAX_EAGAIN, "leaf_value", "bytes, the end, or an error");
        break;
    case Leaf::write:
        if (a.value == 0) expect(value == ZYNTAX_EINVAL, "leaf_value", "nothing to write is EINVAL");
        else expect(value < 0 || value == int64_t(a.value), "leaf_value", "a write is all of it, or an error");
        expect(value != ZYNTAX_EAGAIN, "leaf_value", "an answer that is not documented");
        break;
    case Leaf::ready:
        expect(value < 0 || !(value & ~int64_t(a.value)), "leaf_value", "a set of what was asked for");
        break;
    case Leaf::send:
        expect(value == 1 || value == ZYNTAX_EPIPE || dead, "leaf_value", "a send is 1, EPIPE, or of a dead handle");
        break;
    case Leaf::recv:
        expect(value == 1 || value == ZYNTAX_EOF || dead, "leaf_value", "an item, the end, or of a dead handle");
        break;
    case Leaf::blocking:
        if (value == ZYNTAX_EAGAIN) break;
        expect(value == int64_t(a.object_id) && has_run(a.value), "leaf_value", "what the job returned");
        break;
    case Leaf::child: {
        const Actor &child = actors_[a.object];
        bool ended = child.id != a.object_id || !is_live(child);
        expect(ended && value == int64_t(a.object_id), "leaf_value", "the value of a child that has ended");
        break;
    }
    default:
        expect((value != ZYNTAX_EAGAIN || leaf.type == Leaf::connect) && value != ZYNTAX_EOF, "leaf_value",
               "an answer that is not documented");
    }
}

void Program::check_limit(Actor &actor, Leaf &leaf, int64_t value, bool oom) {
    const Inner &inner = leaf.inner[0];
    if (value == ZYNTAX_ETIMEDOUT && now(actor.rt) >= leaf.from_ns) return;
    if (value == ZYNTAX_ECANCELED && leaf.canceled) return;
    if (inner.is_code) {
        bool known = value == int64_t(inner.id) || value == ZYNTAX_EDEADLK;
        return void(expect(known, "leaf_value", "a limit gives the value of what it limits"));
    }
    Leaf *other = inner_leaf(actor, inner);
    if (!other || other->unsure) return;
    if (value == ZYNTAX_EDEADLK && is_group(*other)) return; // code in it has polled the limit
    if (other->passed) return;
    if (other->gone) return void(expect(value == ZYNTAX_ESTALE, "leaf_value", "a limit on what is gone is ESTALE"));
    if (value == ZYNTAX_ESTALE && other->limited) { // another limit on it, or on one below it, has its value
        for (Leaf *each = other; each; each = under(actor, *each)) each->passed = true;
        return;
    }
    check_value(actor, *other, value, oom);
}

void Program::check_choice(Actor &actor, Leaf &leaf, int64_t value) {
    if (value == ZYNTAX_ECANCELED) return void(expect(leaf.canceled || leaf.limited, "leaf_value", "nobody cancelled"));
    expect(value >= 1 && value <= int64_t(leaf.count), "leaf_value", "a select gives an index");
    (void)actor;
}

// It has given its value.
void Program::told(Actor &actor, Leaf &leaf, int64_t value) {
    const Args &a = leaf.args;
    const Leaf *source = &leaf; // of the value
    while (source->type == Leaf::timeout && !source->inner[0].is_code && inner_leaf(actor, source->inner[0]))
        source = inner_leaf(actor, source->inner[0]);
    if (value > 0 && makes_connection(*source)) {
        auto *io = static_cast<zyntax_io *>(as_pointer(uintptr_t(value)));
        expect(zyntax_io_fd(io) >= 0, "leaf_handle", "a connection as a value is a handle that is open");
        if (zyntax_io_fd(io) >= 0) new_io(io, actor.rt, false);
    }
    if (value == 1 && source->type == Leaf::send) note_sent(source->args);
    if (value == 1 && source->type == Leaf::recv) note_received(source->args, source->buffer);
    if (leaf.type == Leaf::blocking && jobs_[a.value].id == a.object_id && (value < 0 || has_run(a.value)))
        jobs_[a.value].id = 0;
    bool heard = source == &leaf || (value != ZYNTAX_ETIMEDOUT && value != ZYNTAX_EINTR);
    leaf_ends(actor, leaf, heard);
    // The promise under a limit ends with it; the promises of a select may go on. A promise whose code has polled the
    // limit may go on, too.
    bool unsure = leaf.unsure || value == ZYNTAX_EDEADLK;
    for (Leaf *inner = under(actor, leaf); inner && !inner->gone; inner = under(actor, *inner)) {
        unsure |= inner->unsure || inner->polling || inner->type == Leaf::child ||
                  (is_group(*inner) && reaches_running(actor, *inner, 0));
        inner->unsure = unsure;
        if (!unsure) leaf_ends(actor, *inner, heard && value != ZYNTAX_ECANCELED);
    }
}

// Heard: its result is known.
void Program::leaf_ends(Actor &actor, Leaf &leaf, bool heard) {
    (void)actor;
    if (leaf.gone) return;
    leaf.gone = true;
    leaf.gone_at = ended_++;
    leaf.reuse_at = made_ + below(2) * 8;
    Channel *channel = heard ? nullptr : channel_of(leaf.args);
    if (channel && leaf.type == Leaf::send) channel->maybe_sent++;
    if (channel && leaf.type == Leaf::recv) channel->maybe_received++;
}

void Program::note_sent(const Args &args) {
    if (Channel *channel = channel_of(args)) channel->sent++;
}

// An item came out of a loose channel. True: it was sent there, and had not come out before.
bool Program::note_received(const Args &args, const unsigned char *buffer) {
    Channel *channel = channel_of(args);
    if (!channel) return true;
    channel->received++;
    if (channel->item_size < sizeof(uint32_t)) return true;
    uint32_t id;
    std::memcpy(&id, buffer, sizeof id);
    Item &item = items_[id % 1024];
    if (item.id && item.id != id) return true; // long ago
    bool right = item.id == id && item.channel == channel->id && !item.received;
    item.received = true;
    return expect(right, "channel_item", "an item that was not sent, or that had come out before");
}

// ---- cancelling ----

void Program::cancel_leaf(Actor &actor, Leaf &leaf) {
    if (!leaf.id || !leaf.at) return;
    const RuntimeModel &rt = rts_[actor.rt];
    if (!rt.rt || (rt.driving && inner() != actor.rt)) return;
    if (leaf.type == Leaf::child && !leaf.gone && actors_[leaf.args.object].silent) return; // its end is not reported
    if (rt.ending && actor.silent && !actor.task) return;                                   // has it been dropped?
    zyntax_promise words = leaf.copy;
    bool on_stack = leaf.polling || reaches_running(actor, leaf, 0);
    TRACE("cancel leaf %u of %u%s", unsigned(&leaf - actor.leaves), unsigned(&actor - actors_),
          on_stack ? ", which is being polled" : "");
    in_call_ = true;
    int32_t error = zyntax_promise_cancel(leaf.failing ? leaf.at : &words);
    in_call_ = false;
    bool live = !leaf.gone && !leaf.failing && is_live(actor);
    if (!live && !leaf.unsure) expect(error == ZYNTAX_ESTALE, "leaf_cancel", "cancel of one that is gone is ESTALE");
    else if (!leaf.limited && !leaf.unsure) expect(error == 0, "leaf_cancel", "cancel of a promise is 0");
    if (error || leaf.gone) return;
    leaf.canceled = true;
    if (leaf.type == Leaf::child) {
        Actor &child = actors_[leaf.args.object];
        if (child.id == leaf.args.object_id && is_live(child)) child.canceled = true;
        return;
    }
    bool direct = leaf.polling > 0 && !leaf.unsure; // it is being polled, so that its value has not come
    bool waits = leaf.touched && !is_held(actor, leaf) && !on_stack;
    leaf.cut = direct || waits;
    if (waits && !leaf.unsure && !actor.canceled && is_live(actor)) actor.must_poll = true;
    for (Leaf *inner = under(actor, leaf); inner && !inner->gone; inner = under(actor, *inner)) {
        inner->limited = true; // it ends with its limit
        inner->unsure |= on_stack;
    }
}

void Program::end_leaves(Actor &actor) {
    for (Leaf &leaf : actor.leaves) {
        if (leaf.id) leaf_ends(actor, leaf, false);
    }
}

// ---- actions of compiled code ----

void Program::leaf_action(Actor &actor) {
    steps_++;
    Leaf &leaf = actor.leaves[below(max_leaves)];
    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        make_leaf(actor, false);
        break;
    case 3:
    case 4:
        ask(actor, leaf, false);
        break;
    case 5:
        ask(actor, leaf, true);
        break;
    case 6:
        cancel_leaf(actor, leaf);
        break;
    default:
        ask_from_elsewhere(&actor);
    }
}

// Polls a promise of another task, or outside of every task.
void Program::ask_from_elsewhere(Actor *actor) {
    Actor &other = actors_[below(max_actors)];
    Leaf &leaf = other.leaves[below(max_leaves)];
    if (&other == actor || !leaf.id || !leaf.at || leaf.failing) return;
    if (!actor && zyntax_current_runtime()) return;
    TRACE("ask leaf %u of %u from elsewhere", unsigned(&leaf - other.leaves), unsigned(&other - actors_));
    in_call_ = true;
    int64_t value = leaf.copy.poll(leaf.copy.state);
    in_call_ = false;
    if (actor && value == 0 && spent_at_most(*actor) >= rts_[actor->rt].await_budget) {
        actor->leaf_pending = true;
        return;
    }
    if (actor) {
        actor->spent_most++;
        actor->spent_least += actor->inside == 0;
    }
    expect(value == ZYNTAX_ESTALE, "leaf_stale", "a poll outside of its task is ESTALE");
    if (actor) actor->leaf_told = true;
}

// Outside of every promise task a maker returns a promise that fails.
void Program::use_no_task() {
    if (zyntax_current_runtime()) return;
    zyntax_promise *promise = zyntax_promise_sleep(1);
    if (!promise) report(this, "leaf_null", "a maker returns a promise");
    expect(promise->poll(promise->state) == ZYNTAX_EPERM, "leaf_value", "EPERM outside of a promise task");
    expect(zyntax_promise_cancel(promise) == ZYNTAX_ESTALE, "leaf_cancel", "a promise that fails cannot be cancelled");
    expect(zyntax_promise_cancel(nullptr) == ZYNTAX_ESTALE, "leaf_cancel", "no promise cannot be cancelled");
    static_poll_ = promise->poll;
}

// Every promise that waits, and is not inside another promise that waits.
void Program::ask_all(Actor &actor) {
    for (Leaf &leaf : actor.leaves) {
        if (leaf.id && !leaf.gone && !leaf.polling && !leaf.failing && !is_held(actor, leaf)) ask(actor, leaf, false);
    }
}

void Program::use_leaves(Actor &actor) {
    bool all = below(2);
    if (all) ask_all(actor);
    if (moods_.leaf == 0) return;
    for (uint32_t n = below(moods_.leaf); n > 0; n--) leaf_action(actor);
}

int64_t Program::poll_code(void *state) {
    Program &self = *running;
    uintptr_t bits = as_bits(state);
    Actor &actor = self.actors_[(bits & 255) - 1];
    uint32_t k = bits >> 8 & 255;
    Code &code = actor.codes[k];
    if (code.id != uint32_t(bits >> 16)) report(&self, "code_late", "code is polled after the end of its task");
    self.expect(actor.in_poll && self.inner() == actor.rt, "code_where", "code is polled within its task's poll");
    if (code.polling || self.depth_ > 8) return ZYNTAX_EDEADLK; // its own affair
    bool was_in_call = self.in_call_;
    self.in_call_ = false;
    self.depth_++;
    actor.inside++;
    code.polling = true;
    TRACE("code %u of %u {", k, unsigned(&actor - self.actors_));
    if (!self.quiet_) {
        for (uint32_t n = self.below(3); n > 0; n--) self.leaf_action(actor);
        if (self.below(8) == 7) self.side_action();
    }
    Leaf &awaited = actor.leaves[code.leaf % max_leaves];
    bool awaits = code.leaf_id && awaited.id == code.leaf_id && !awaited.gone && !awaited.polling;
    if (awaits) self.ask(actor, awaited, false);
    awaits = awaits && !awaited.gone && !awaited.failing;
    if (!awaits && !self.quiet_ && self.below(2)) {
        if (Leaf *leaf = self.make_leaf(actor, true)) {
            code.leaf = uint8_t(leaf - actor.leaves);
            code.leaf_id = leaf->id;
            awaits = true;
        }
    }
    bool ends = self.quiet_ ? !awaits : self.below(3) == 0;
    TRACE("} %s", ends ? "ready" : "pending");
    code.polling = false;
    actor.inside--;
    self.depth_--;
    self.in_call_ = was_in_call;
    return ends ? int64_t(code.id) : 0;
}

// ---- invariants ----

// Whether it is known to wait: its task has polled it directly in the task's latest poll.
bool Program::claims(const Actor &actor, const Leaf &leaf) const {
    return !leaf.unsure && leaf.touched && leaf.touched > actor.poll_began && !actor.in_poll && !actor.canceled &&
           !actor.finishing && !is_held(actor, leaf);
}

// Whether it would give a value if it was asked.
bool Program::is_due(Actor &actor, Leaf &leaf) {
    if (leaf.gone) return true;
    if (leaf.unsure || leaf.failing) return false;
    if (is_timed(leaf) && now(actor.rt) >= leaf.to_ns) return true;
    for (uint32_t i = 0; i < leaf.count; i++) {
        Leaf *inner = inner_leaf(actor, leaf.inner[i]);
        if (inner && !inner->limited && is_due(actor, *inner)) return true;
    }
    if (leaf.type == Leaf::child) {
        const Actor &child = actors_[leaf.args.object];
        return child.id != leaf.args.object_id || !child.alive;
    }
    if (!is_io(leaf) && leaf.type != Leaf::send && leaf.type != Leaf::recv && leaf.type != Leaf::blocking) return false;
    if (leaf.type <= Leaf::write && leaf.type >= Leaf::read && !leaf.args.value) return true;
    Reg reg = {};
    reg.args = leaf.args;
    return is_due(reg);
}

// Whether an event other than a task may wake it.
bool Program::may_wake(const Actor &, const Leaf &leaf) const {
    if (is_timed(leaf)) return leaf.to_ns != UINT64_MAX;
    return is_io(leaf) || leaf.type == Leaf::connect || leaf.type == Leaf::blocking || leaf.unsure;
}

void Program::check_leaves_at_rest() {
    for (uint32_t r = 0; r < max_runtimes; r++) {
        if (!rts_[r].rt) continue;
        each_leaf(r, [&](Actor &actor, Leaf &leaf) {
            if (!claims(actor, leaf) || !is_due(actor, leaf)) return;
            TRACE("in vain: leaf %u of %u (%s)", unsigned(&leaf - actor.leaves), unsigned(&actor - actors_),
                  leaf_names[leaf.type]);
            expect(false, "vain_leaf", "a promise waits for what is there");
        });
    }
}

// Counts a loose channel's promises on a side: promises that certainly wait and have done nothing, and the other
// promises.
void Program::count_on_channel(const Channel &channel, Kind side, uint32_t *waiting, uint32_t *maybe) {
    for (const Actor &actor : actors_) { // also of actors that have just ended
        for (const Leaf &leaf : actor.leaves) {
            if (!leaf.id || leaf.gone || leaf.args.kind != side || leaf.args.object_id != channel.id) continue;
            if (is_live(actor) && claims(actor, leaf) && !leaf.limited) ++*waiting;
            else ++*maybe;
        }
    }
}

// Room, or items, of a loose channel that no unreported result of its promises can have used.
uint32_t Program::surely_available(const Channel &channel, Kind side) {
    uint32_t waiting = 0, maybe = 0;
    count_on_channel(channel, side == Kind::send ? Kind::send : Kind::recv, &waiting, &maybe);
    uint32_t sent = channel.sent, received = channel.received;
    if (side == Kind::recv) {
        received += channel.maybe_received + maybe;
        return sent > received ? sent - received : 0;
    }
    sent += channel.maybe_sent + maybe;
    uint32_t most = sent > received ? sent - received : 0;
    return channel.capacity > most ? channel.capacity - most : 0;
}

} // namespace random_test
