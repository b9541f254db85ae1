// One random program: runtimes, tasks, hosts, channels and descriptors, the model of each, and the checks.
//
// The model is small: a Reg for each op that is pending in the model, a Channel's items, a task's state. Where the
// contract leaves an outcome open, the model does so, too (Reg::murky, Reg::lapsed).
#pragma once

#include "outside.h"
#include "zyntax_async_runtime.h"

#include <atomic>

namespace random_test {

constexpr uint32_t max_runtimes = 3, max_actors = 40, max_words = 3, max_hosts = 24, max_channels = 6, max_ios = 24;
constexpr uint32_t max_regs = 512, max_wakers = 512, max_posts = 64, max_jobs = 64, max_items = 8, max_old = 32;
constexpr uint32_t max_scopes = 4, max_ended = 64;
constexpr uint64_t ms = 1'000'000;

enum class Kind : uint8_t {
    none,
    sleep,
    sleep_until,
    join,
    join_until,
    join_all,
    select,
    send,
    recv,
    scope_next,
    scope_join,
    read,
    write,
    ready,
    accept,
    connect,
    blocking,
    count
};

struct Job {
    uint32_t id;   // 0: free
    bool canceled; // before it began
    bool drops;    // it was given a function that has to be called once it is over
    bool begun;
    bool over, due; // no task waits for it any more; the same when the turn began
    uint8_t rt;
};

// The target of a wait: a task, a task that has ended long ago (stale), or none.
struct Target {
    enum Special : uint8_t { null = 254, stale = 255 };
    zyntax_task *task;
    uint32_t id;
    uint8_t index;
    bool skipped; // it was the polled task's own, or another runtime's, when the wait began
};

// The arguments of an await point.
struct Args {
    Kind kind;
    uint8_t rt, count, object; // count: of targets; object: channel or descriptor
    bool datagram;             // a read or write is a receive or send of zyntax_udp_*
    uint16_t to_port;          // of a send; 0: to the peer
    uint32_t object_id, rt_id;
    uint32_t value; // the item, the interest, the length, the job
    uint64_t time_ns;
    void *handle;
    Target targets[4];
};

// The target of a waker: a task, or a host with its own waker, or neither when the task has ended.
struct Wakee {
    enum Kind : uint8_t { nobody, task, host } kind;
    uint8_t actor;
    uint32_t id; // of the actor or of the HostWaker
    uint16_t waker;
};

inline uint64_t later(uint64_t time, uint64_t by) { return by > UINT64_MAX - time ? UINT64_MAX : time + by; }

// An op that is pending.
struct Reg {
    uint32_t id;    // 0: free
    bool forgotten; // no word has it any more
    bool lapsed;    // its task was polled and did not call again: it has no claim
    bool murky;     // its place in the line is not known: it had lapsed
    bool called;    // its host's waker was
    uint64_t op;
    uint64_t armed, touched;      // order of the first calls, and of the latest
    uint64_t deadline_ns, due_ns; // the earliest that it may be, and the latest: time passes in a call
    Args args;
    Wakee wakee;
};

struct Word {
    zyntax_op op;
    uint16_t reg;
    uint32_t reg_id;
    Args args; // kind none: unused
    int64_t result;
    zyntax_io *made;
    zyntax_task *ended; // of scope_next
    size_t done;        // of a write of all bytes
    unsigned char buffer[32];
};

struct HostWaker {
    uint32_t id; // 0: free
    uint16_t reg;
    uint32_t reg_id;
    enum State : uint8_t { armed, called, canceled, ended, replaced } state;
};

// The inner promise of a promise of section 10: a promise, or compiled code (a Code), of the same task.
struct Inner {
    bool is_code;
    uint8_t index;
    uint32_t id;
    zyntax_promise words;
};

// A promise of section 10, as the task that made it holds it.
struct Leaf {
    enum Type : uint8_t {
        sleep,
        yield,
        read,
        write,
        ready,
        accept,
        connect,
        send,
        recv,
        blocking,
        timeout,
        select,
        child,
        count_
    } type;
    uint32_t id;                // 0: none
    bool gone;                  // it has given its value, or its task has ended, or a limit over it has ended it
    bool failing;               // one of the static promises
    bool unsure;                // the code that it polls has used it: any result is possible
    bool canceled;              // zyntax_promise_cancel returned 0
    bool cut;                   // its only possible result is ZYNTAX_ECANCELED
    bool limited;               // it is, or was, under a limit, which may end it without a report
    bool passed;                // a limit over it has ended it without a report
    bool begun;                 // a yield: polled once
    uint8_t count;              // of `inner`
    uint8_t polling;            // how often it is on the stack
    uint64_t touched;           // order of the latest poll by its task's own hand that left it pending; 0: none
    uint64_t from_ns, to_ns;    // the deadline is between
    uint64_t gone_at, reuse_at; // promises that ended before it; promises that are made before its place's next use
    int64_t error;              // failing: with this
    zyntax_promise *at, copy;
    Args args;
    Inner inner[3];
    unsigned char buffer[32];
    zyntax_slice slices[2]; // of the buffer
    size_t done;            // of a write of all bytes
};

// Compiled code in a promise of section 10.
struct Code {
    uint32_t id; // 0: none
    bool polling;
    uint8_t leaf; // the promise that it awaits
    uint32_t leaf_id;
};

constexpr uint32_t max_leaves = 8, max_codes = 4; // of a task

struct Actor {
    uint32_t id;
    uint8_t rt;
    bool alive, dropping, promise, no_drop, owned, in_poll, canceled, must_poll, finishing;
    bool silent;                  // its end is not reported
    bool hooked, child, refused;  // a promise: with hooks; spawned by another; its spawn fails
    bool leaf_told, leaf_pending; // promises, in this poll: of a leaf
    uint8_t inside;               // the code that runs, as a set
    uint8_t scope;                // it was spawned in
    uint32_t scope_id;            // 0: in none
    uint32_t entered, left;       // hooks
    // In this poll, as await points count that were ready at once: surely, and at most.
    uint32_t spent_least, spent_most;
    bool again;                    // must_poll only because its promise returned 0
    bool due, due_drop;            // when the turn began
    bool took_waker, called_await; // promises, in this poll
    bool interrupted;              // and no await point has reported it
    bool interrupted_later;        // another interrupt, which counts from an unknown moment on
    bool ends_wait;                // this poll: the next await point that would have to wait
    bool was_interrupted;          // ever
    uint32_t drops, polls, polls_then;
    uint64_t poll_began; // in the order of calls
    zyntax_task *task;
    Waker waker;
    int64_t result; // of a promise
    Word words[max_words];
    Leaf leaves[max_leaves];
    Code codes[max_codes];
};

struct Host {
    Word word;
};

struct Channel {
    uint32_t id; // 0: none
    zyntax_channel *handle;
    uint8_t rt;
    bool closed;
    uint32_t capacity, item_size, count, first;
    uint32_t items[max_items];
    bool loose; // promises of section 10 use it, too: their effect is known when they report it, and perhaps never
    uint32_t sent, received, maybe_sent, maybe_received; // loose
};

struct Scope {
    uint32_t id; // 0: none
    zyntax_scope *handle;
    uint8_t rt;
    bool canceled;
    bool tells;            // scope_next was called
    bool was_empty;        // all waiters for an ended task were told that there is none, and may call late
    uint32_t alive;        // tasks whose drops have not ended
    uint64_t alone;        // order, when it was last settled with one task alive
    uint32_t first, count; // ended tasks that were not reported yet
    zyntax_task *ended[max_ended];
};

struct Io {
    uint32_t id; // 0: none
    zyntax_io *handle;
    intptr_t fd;
    uint8_t rt;
    bool listens;
    bool is_lost;   // the descriptor was closed behind the library: its number may name another file
    bool shared;    // its open file is shared, and a duplicate with the lost number looks the same
    bool datagrams; // it was made by zyntax_udp_open
    uint64_t reads_until_ns, writes_until_ns; // the deadlines; 0: none
};

struct Heap { // a post takes memory in its own thread
    std::atomic<uint64_t> bytes, blocks, failures;
    std::atomic<uint32_t> fail_in, fail_run; // 0: does not fail

    static void *alloc(void *self, size_t size, size_t align);
    static void free(void *self, void *block, size_t size, size_t align);
};

struct RuntimeModel {
    zyntax_runtime *rt; // null: none
    uint32_t id;
    bool stall, driving, host_waits, one_round;
    bool ending, refuses; // being destroyed; new work is refused
    uint8_t stop;         // 0 no, 1 yes, 2 perhaps
    int32_t holds;
    uint32_t budget, posted, round_polls, round_calls, round_limit, drive_polls;
    uint32_t await_budget, round_spent; // and polls of this round that have spent it
    uint8_t current;                    // the actor that is being polled, + 1
    intptr_t host_fd;
    bool edges, took_edge; // the host is edge-triggered; the drive took an edge
    uint64_t waits_then;   // the kernel was asked so often when it began
    uint64_t clock_offset_ns, slack_ns;
    Heap heap;

    static uint64_t clock(void *self);
};

struct Moods { // of a whole program; each is a chance of one in so many, 0: never
    uint8_t forget, host, oom, chain, stale, nest, swap, thread, leaf, fork, share, scopes;
};

class Program {
public:
    Program(Choices *, uint32_t max_steps);
    Program(const Program &) = delete;
    Program &operator=(const Program &) = delete;

    void run();
    uint64_t steps() const { return steps_; }

private:
    friend void loop_waits(Program *, int64_t);
    friend bool others_act(Program *);
    friend void report(Program *, const char *, const char *);
    friend struct RuntimeModel;

    static inline Program *running = nullptr;

    Choices *choices_;
    uint64_t steps_ = 0, max_steps_ = 0;
    uint64_t order_ = 0;
    uint32_t last_id_ = 0, last_item_ = 0;
    uint64_t progress_ = 0;  // counts every callback
    bool quiet_ = false;     // nothing new begins
    bool is_copy_ = false;   // of a forked child, in which no code of its parent is called
    uint64_t called_ns_ = 0; // when the latest call of an await point began
    uint64_t rest_ns_ = 0;   // the start of the rest; later deadlines may wait
    bool in_call_ = false;   // inside a call that does not drive
    uint32_t depth_ = 0;     // of callbacks in callbacks
    uint8_t stack_[max_runtimes + 1] = {};
    uint32_t stack_size_ = 0; // runtimes that are being driven
    Moods moods_ = {};

    RuntimeModel rts_[max_runtimes] = {};
    Actor actors_[max_actors] = {};
    Host hosts_[max_hosts] = {};
    Channel channels_[max_channels] = {};
    Scope scopes_[max_scopes] = {};
    Io ios_[max_ios] = {};
    Reg regs_[max_regs] = {};
    uint32_t regs_used_ = 0;
    HostWaker wakers_[max_wakers] = {};
    uint32_t next_waker_ = 0;
    uint64_t made_ = 0, ended_ = 0; // promises of section 10
    Job jobs_[max_jobs] = {};
    struct Item {
        uint32_t id, channel; // 0: not one of a loose channel
        bool received;
    } items_[1024] = {};
    uint32_t next_child_ = 0;                  // while a child is spawned: its actor, + 1
    bool child_hooked_ = false;                // the hook `child` was called for it
    int64_t (*static_poll_)(void *) = nullptr; // of the promises that fail
    std::atomic<uint32_t> ran_[max_jobs] = {}; // ids of jobs that have; written in the pool's threads
    struct Post {
        Program *program;
        uint32_t id;
        uint8_t rt;
        bool pending;
    } posts_[max_posts] = {};
    zyntax_task *old_tasks_[max_old] = {};
    Waker old_wakers_[max_old] = {};
    zyntax_op old_ops_[max_old] = {};
    void *old_handles_[max_old] = {};
    struct State {
        uint8_t rt;
        uint32_t size;
        void *at;
    } states_[8] = {};

    // ---- tell.cpp ----
    void tell();
    void tell_runtime(uint32_t r);
    void tell_actor(const Actor &);
    void tell_reg(const Reg &);

    // ---- chance ----
    uint32_t below(uint32_t n) { return choices_->below(n); }
    bool chance(uint32_t n) { return choices_->chance(n); }
    bool mood(uint8_t n) { return n && !quiet_ && choices_->chance(n); }
    uint32_t new_id() { return ++last_id_; }

    // ---- program.cpp: the main thread ----
    void choose_moods();
    void step();
    void create_runtime(uint32_t r);
    void destroy_runtime(uint32_t r);
    void drive_any();
    void finish();
    void fork_between();
    [[noreturn]] void be_a_child(uint32_t what);
    void use_what_is_old();

    // ---- drive.cpp ----
    int64_t drive(uint32_t r, uint32_t how, int64_t timeout_ns, uint32_t actor);
    uint64_t kernel_waits(const RuntimeModel &);
    void keep_edge(RuntimeModel &);
    void turn_begins(RuntimeModel &);
    void turn_ended(uint32_t r, int64_t result, bool stop_before);
    void begin_round(RuntimeModel &);
    void check_waiting(uint32_t r, int64_t timeout_ns);
    void check_deadlock(uint32_t r);
    bool can_be_woken(uint32_t r);
    bool certain_work(uint32_t r);
    bool can_call(const Reg &);
    bool is_live(const Actor &) const;
    void purge(uint32_t r);
    void check_resources(uint32_t r);
    void check_host_fd(uint32_t r);
    bool timer_may_be_due(uint32_t r);
    int64_t drive_promise(uint32_t r);
    void check_between();
    void settle();
    bool is_busy();
    void say_farewell(uint32_t r);
    void check_rest();
    void check_channel(uint32_t c);
    void check_scope(const Scope &);
    void count_waiters(Kind, uint32_t object_id, uint32_t rt, uint32_t *untold, uint32_t *told);
    uint32_t surely_available(const Channel &, Kind side);
    bool is_due(const Reg &);
    uint64_t deadline_of(const Io &, const Args &) const; // UINT64_MAX: none
    uint64_t now(uint32_t r) const;
    uint32_t alive_on(uint32_t r) const;
    void check_counts(uint32_t r);
    void reap(bool may_cancel = true);

    // ---- awaits.cpp ----
    PollStatus call(Word &, Waker *, Wakee);
    PollStatus call_api(Word &, Waker *);
    Actor *polled_actor();
    // An upper bound in this poll: the inside of a promise that is being polled is counted after its poll.
    uint32_t spent_at_most(const Actor &actor) const { return actor.spent_most + (actor.inside ? 8 : 0); }
    void spent(Wakee);
    void returned(Word &, Reg *, Wakee, PollStatus, bool was_fresh, bool was_stale, uint64_t op, bool oom);
    void check_time(Word &, const Reg *, PollStatus, bool was_stale, bool was_other);
    void check_join(Word &, const Reg *, PollStatus, bool oom);
    void check_channel_call(Word &, const Reg *, PollStatus, bool oom);
    void check_loose_call(Word &, const Channel &, PollStatus);
    void check_io(Word &, const Reg *, PollStatus, bool was_fresh, bool oom);
    void check_blocking(Word &, const Reg *, PollStatus, bool was_other, bool oom);
    bool ended(const Target &) const;
    bool is_skipped(const Target &) const;
    uint32_t runtime_of(const Args &) const;
    bool same_point(const Args &, const Args &) const;
    uint32_t ahead_of(const Word &, const Reg *, uint32_t *holders) const;
    Reg *reg_of(const Word &);
    Reg *take_reg(Word &);
    void free_reg(Reg *, HostWaker::State how);
    void end_waker(const Wakee &, HostWaker::State how);
    void give_up(Reg *);
    void cancel_word(Word &);
    bool ended_by_interrupt(Word &, Reg *, Wakee, PollStatus);
    void forget_word(Word &);
    Channel *channel_of(const Args &);
    Scope *scope_of(const Args &);
    bool is_last_polled(const Scope &) const;
    void settle_scope(Scope &);
    void check_scope_call(Word &, const Reg *, PollStatus, bool oom);
    void check_next(Word &, const Reg *, PollStatus, Scope &);
    Io *io_of(const Args &);
    Io *new_io(zyntax_io *, uint32_t rt, bool listens);

    // ---- tasks.cpp: functions that the runtime calls ----
    static PollStatus poll_plain(FutureState, Waker *);
    static PollStatus poll_owned(FutureState, Waker *);
    static int64_t poll_promise(void *);
    static void drop_plain(FutureState, int32_t);
    static void drop_owned(FutureState, int32_t);
    static void host_wake(void *);
    static void run_post(void *);
    static int64_t run_job(void *);
    static void drop_job(void *);
    void job_over(Job &);
    bool poll(Actor &, Waker *);
    Actor &enter_poll(uintptr_t state);
    void leave_poll(Actor &, bool ready);
    void end_long_drive(RuntimeModel &);
    void drop(uintptr_t state, int32_t outcome);
    bool act(Actor &, Waker *);
    void recall(Actor &, Waker *);
    void chain(uint32_t r);
    void host_called(HostWaker &);
    void go_on_inline();
    void use_channel(Word &, Kind, const Channel &);
    void end_words(Actor &);
    void spawn(uint32_t r, bool plain = false);
    zyntax_task *call_spawn(Actor &, Scope *);
    Scope *scope_for(uint32_t r);
    void leave_scope(Actor &);
    uint32_t free_actor();
    void promise_waits(Actor &);

    // ---- promises.cpp: section 10 ----
    static int64_t poll_code(void *);
    static void hook_enter(void *), hook_leave(void *), hook_drop(void *, int32_t);
    static void *hook_child(void *, const zyntax_promise *);
    zyntax_promise_hooks hooks_of(const Actor &, bool children);
    Actor *begin_promise(uint32_t r);
    void use_leaves(Actor &);
    void ask_all(Actor &);
    void leaf_action(Actor &);
    Leaf *make_leaf(Actor &, bool simple);
    bool begin_leaf(Actor &, Leaf &, bool simple);
    zyntax_promise *call_transfer(Leaf &leaf, zyntax_io *io);
    zyntax_promise *call_maker(Actor &, Leaf &);
    zyntax_promise *call_group(Actor &, Leaf &);
    bool choose_object(Actor &, Leaf &);
    void choose_inner(Actor &, Leaf &);
    Leaf *under(Actor &, const Leaf &limit);
    Leaf *end_of_limits(Actor &, Leaf *);
    Leaf *inner_leaf(Actor &, const Inner &);
    void ask(Actor &, Leaf &, bool late);
    void told(Actor &, Leaf &, int64_t value);
    void check_value(Actor &, Leaf &, int64_t value, bool oom);
    void check_simple(Leaf &, int64_t value);
    void check_limit(Actor &, Leaf &, int64_t value, bool oom);
    void check_choice(Actor &, Leaf &, int64_t value);
    void check_leaf_pending(const Leaf &, bool has_ended);
    void leaf_ends(Actor &, Leaf &, bool heard);
    void end_leaves(Actor &);
    void cancel_leaf(Actor &, Leaf &);
    void ask_from_elsewhere(Actor *);
    void use_no_task();
    void polled_inside(Actor &, const Leaf &, int depth);
    bool is_held(const Actor &, const Leaf &) const;
    bool reaches_running(Actor &, const Leaf &, int depth);
    bool claims(const Actor &, const Leaf &) const;
    bool is_due(Actor &, Leaf &);
    bool may_wake(const Actor &, const Leaf &) const;
    void check_leaves_at_rest();
    void count_on_channel(const Channel &, Kind side, uint32_t *waiting, uint32_t *maybe);
    void note_sent(const Args &);
    bool note_received(const Args &, const unsigned char *buffer);
    bool is_failing(const zyntax_promise *promise) const { return promise->poll == static_poll_; }
    template <class Visit> void each_leaf(uint32_t r, Visit visit) { // the live promises of the runtime's tasks
        for (Actor &actor : actors_) {
            if (actor.rt != r || !is_live(actor)) continue;
            for (Leaf &leaf : actor.leaves) {
                if (leaf.id && !leaf.gone && !leaf.failing) visit(actor, leaf);
            }
        }
    }

    // ---- actions.cpp ----
    void side_action();
    void action(uint32_t what);
    void choose_args(Word &, uint32_t r);
    void choose_target(Target &, uint32_t r, bool same_runtime);
    Wakee choose_wakee(Actor *, Waker *own, Waker *out);
    Wakee host_wakee(Waker *out);
    void host_awaits();
    void wake(uint32_t actor);
    void cancel(uint32_t actor);
    void interrupt(uint32_t actor);
    void act_on_channels();
    void try_channel(Channel &, uint32_t c);
    void ask_addresses(const Io &io);
    void limit_io(Io &);
    void open_io();
    void open_udp();
    void change_udp(Io &);
    void share_io();
    void lose_io();
    void close_lost(Io &);
    void act_on_io();
    void listen();
    void act_on_runtime();
    void act_on_states();
    void act_on_scopes();
    void cancel_scope(Scope &);
    void scope_canceled(const Scope &);
    bool choose_scope(Args &);
    void look_inside();
    void use_stale();
    void disturb_words(Actor &);
    void post(uint32_t r);
    void inject();
    void peer();
    void nest();
    void remote_action(bool other_thread);
    uint32_t any_runtime();
    uint32_t any_actor();
    uint32_t any_channel();
    uint32_t any_io();
    uint32_t inner() const { return stack_size_ ? stack_[stack_size_ - 1] : 255u; }
    bool has_run(uint32_t job) const { return ran_[job % max_jobs].load() == jobs_[job % max_jobs].id; }
    void keep_old(zyntax_task *, const Waker *, zyntax_op, void *);
    void check_valid();

    bool expect(bool holds, const char *oracle, const char *text) {
        if (!holds) fail(oracle, text);
        return holds;
    }
    void fail(const char *oracle, const char *text);
};

// ---- random.cpp ----

bool is_without(const char *oracle); // switched off on the command line
extern bool tracing;                 // the programs' actions are printed, or kept until a failure
void flush_trace();
[[noreturn]] void report_child(Program *, int status); // a forked child did not end well
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define TRACE(...) (tracing ? trace(__VA_ARGS__) : (void)0)

// ---- valid.cpp ----

bool is_valid(zyntax_runtime *); // the runtime's own equations, in debug builds over the scripted world

constexpr const char *name_of(Kind kind) {
    constexpr const char *names[] = {"none",   "sleep", "sleep_until", "join",       "join_until", "join_all",
                                     "select", "send",  "recv",        "scope_next", "scope_join", "read",
                                     "write",  "ready", "accept",      "connect",    "blocking"};
    return names[static_cast<int>(kind)];
}

} // namespace random_test
