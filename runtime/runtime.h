// The runtime itself, and the functions that the files of the heart offer to each other and to the parts, lower files
// first. Nothing here names a part.
#pragma once

#include <assert.h>

#include "../platform/io_poller.h"
#include "await.h"
#include "inbox.h"
#include "memory.h"
#include "task.h"
#include "timers.h"

namespace zyntax {

// The state of a part in a runtime: made at the first use, destroyed with the runtime. Lives in the arena, as long as
// the runtime.
struct Part {
    Part *next;
    void (*destroy)(Runtime *, Part *);
    void (*forget)(Part *); // instead of destroy, in a copy after fork: gives memory back. Null: nothing to do
    uint64_t (*count_waiting)(const Part *); // operations in its rings, for is_valid. Null: it has none
};

// The functions of the part of words and names, for the heart: see parts/task_words.cpp.
struct RecordCalls {
    // As spawn_plainly, for a task that begins with a word.
    zyntax_task *(*spawn)(Runtime *, FutureState, PollFn, DropFn, size_t owned, void *word);
    // The end of a task that had this record: frees the record and calls the task's drop function.
    void (*end)(Runtime *, TaskRecord *, void *state, size_t owned, int32_t outcome);
};

// The functions of a trace. Each one replaces the function of its name, and calls it, or is told of its work. See
// parts/trace.h.
struct Tracer {
    int32_t (*wait)(Runtime *, Event *events, int64_t timeout_ns); // of the poller
    void (*take_woken)(Runtime *);
    void (*drop)(Runtime *, uint32_t index, Task *);        // finish, for a task that does not end in its poll
    void (*call)(Runtime *, void (*fn)(void *), void *arg); // of a function that was posted
    void (*job)(Runtime *, const Message *, const char *name, bool begins); // work of the blocking pool
};

} // namespace zyntax

// Equations that always hold on the runtime's thread (is_valid recounts them in debug builds):
//   queue_end - queue_begin == tasks with the flag `queued` (each is in the ready queue once)
//   capacity of the ready queue >= tasks of its blocks, so that queueing a task can never fail
//   calls == operations in to_call; io_waiting == operations in the rings of I/O handles
//   an operation is once in the ring of its holder, and once in the ring of its place
struct zyntax_runtime {
    // The ready queue: a ring of task numbers, first in, first out. An array and not a list through the tasks, so that
    // the processor can fetch the next tasks while one is polled.
    uint32_t *queue = nullptr;
    uint32_t queue_mask = 0;
    uint32_t queue_begin = 0, queue_end = 0; // free-running
    zyntax::Inbox *inbox = nullptr;

    zyntax::Task *current = nullptr; // the task that is being polled
    Waker waker = {};                // the waker of that poll
    // The poll function of a promise returns no status, so the runtime counts the uses of the polled task's waker:
    uint64_t wakers_taken = 0;    // calls of zyntax_current_waker
    uint64_t waker_stores = 0;    // calls of await points that stored it
    int64_t awaits_left = 0;      // await points that this poll may still complete; see ends_wait
    int64_t await_budget = 0;     // awaits_left when a poll begins
    int64_t stored_elsewhere = 0; // operations of other runtimes that store that waker, begun minus ended
    bool is_polling_leaf = false; // operations that begin now belong to a leaf. Set and cleared around its poll
    // Of a poll of an interrupted task:
    zyntax_op *call_op = nullptr;    // of the newest call of an await point
    int64_t *call_result = nullptr;  // the same
    int64_t interrupted_at = no_end; // awaits_left when the interrupt ended an await point
    // arm asks may_arm unless more operations are free. UINT32_MAX from the poll's beginning until the interrupt is
    // seen
    uint32_t spare_ops = few_ops;

    uint32_t canceled_first = 0, canceled_last = 0; // the list of tasks that wait for their drop: see next_canceled
    uint32_t polls_left = 0;                        // of this round
    void *drop_word = nullptr;                      // see `dropping`
    const zyntax::RecordCalls *records = nullptr;   // set with the first word or name, never cleared
    zyntax::Tracer *tracer = nullptr;               // null: there is no trace
    void (*poll_round)(zyntax_runtime *, uint32_t most) = nullptr; // poll_tasks, or a trace's function instead
    zyntax_runtime *outer = nullptr; // the runtime that the driving thread was driving before
    bool is_driving = false;         // set and cleared by Driving
    bool is_ending = false;          // set by destroy, never cleared
    bool host_waits = false; // the host sleeps on backend_fd between turns. Set by that call, cleared by destroy
    // A drop function is running: without a word, or with `drop_word`. Set and cleared around each, also by
    // zyntax_task_set_local.
    enum Dropping : uint8_t { no_drop, without_word, with_word } dropping = no_drop;

    zyntax::Memory memory;
    zyntax::GrowingBlock queue_block;
    zyntax::Arena arena{memory};
    zyntax::Cells<zyntax::Task> tasks{memory};
    zyntax::Cells<zyntax::Op> ops{memory};
    zyntax::Cells<zyntax::Handle> handles{memory};
    zyntax::Timers timers;
    zyntax::Ring to_call;      // operations of hosts whose wakers the loop is going to call
    zyntax::Ring orphans;      // operations of tasks that have ended, until the loop cancels them
    zyntax::Ring foreign;      // operations that wait for tasks of other runtimes
    uint32_t foreign_seen = 0; // awaited_elsewhere_ended at the last search for orphans in `foreign`. Another value: an
                               // operation of `foreign` may be an orphan
    zyntax::Poller poller;
    zyntax::Part *parts = nullptr;
    zyntax::Message *later = nullptr; // the newest message of run_later, in a ring; null: none

    zyntax_runtime_config config = {};
    zyntax_runtime_stats counts = {}; // counted as it happens; zyntax_runtime_get_stats adds the rest
    uint64_t seen_ns = 0;             // the latest time that now_ns has returned
    uint32_t process = 0;             // os::process_mark of the process that created the runtime
    uint64_t spun_at = 0;             // counts.polls when the last spin found nothing
    uint64_t io_waiting = 0, calls = 0;
    bool is_batch_full = false; // the kernel may have more events than the last wait took. Set and cleared by each wait

    // Whether the next await point of this poll that would have to wait ends by an interrupt. Then awaits_left is lower
    // by the mark, so that each call takes the cold path of answer_at_once. begin_leaf suspends this.
    static constexpr int64_t interrupt_mark = INT64_MIN / 2, most_awaits = INT64_MAX / 4, no_end = INT64_MIN;
    static constexpr uint32_t few_ops = 16;   // for call_again
    static constexpr uint32_t long_poll = 32; // a poll that spends its budget counts as so many more
    bool ends_wait() const { return current && awaits_left < INT32_MIN; }
    bool was_interrupted() const { return interrupted_at == awaits_left; }

    bool has_queued() const { return queue_begin != queue_end; }

    // The time in nanoseconds. It never goes back.
    uint64_t now_ns() {
        uint64_t now = config.clock_ns ? config.clock_ns(config.clock_ctx) : zyntax::os::clock_ns();
        return seen_ns = now > seen_ns ? now : seen_ns;
    }

#ifndef NDEBUG
    bool is_valid() const;
    bool is_valid_by_and_by(); // recounts only when the work since the last recount costs as much as a recount
    uint64_t recount_credit = 0, recounted_polls = 0;
#endif
};

namespace zyntax {

// ---- inbox.cpp ----

void send(Inbox *, Message *); // any thread, as a visitor
void poke(Inbox *);            // any thread, as a visitor: wakes the loop if it sleeps

// ---- wakers.cpp ----

void wake(void *data); // the wake function of every waker of this library
void cancel_task(Runtime *, uint32_t index, Task *);
void interrupt_task(Runtime *, uint32_t index, Task *);

// The requests for a task by threads that do not drive its runtime. Each one also causes a poll or a drop.
enum class Push : uint8_t { wake, cancel, interrupt };
bool push_remote(Task *, uint32_t index, uint32_t generation, Push); // false: the task has ended

// Asks a task from any thread: `ask_here` if this thread drives its runtime. 0, or ZYNTAX_ESTALE after the task's end.
int32_t ask_task(zyntax_task *, Push, void (*ask_here)(Runtime *, uint32_t index, Task *));

// No-op when queued already.
inline void enqueue(Runtime *runtime, uint32_t index, Task *task) {
    if (task->flags & (Task::queued | Task::canceled)) return;
    assert(runtime->queue_end - runtime->queue_begin <= runtime->queue_mask); // room for each task, once
    task->flags |= Task::queued;
    runtime->queue[runtime->queue_end++ & runtime->queue_mask] = index;
}

// ---- tasks.cpp ----

void finish(Runtime *, uint32_t index, Task *, int32_t outcome);
void finish_canceled(Runtime *, uint32_t index, Task *); // finish with ZYNTAX_ECANCELED, outside polls
void drop_canceled(Runtime *); // the tasks that were there when it began; then runs the messages of run_later
void poll_tasks(Runtime *, uint32_t most); // none after the task of block_on has ended

// The body of zyntax_runtime_spawn_with: the task begins without a word.
zyntax_task *spawn_plainly(Runtime *, FutureState, PollFn, DropFn, size_t owned);

// drop_with_word ends a task that has begun. drop_refused ends a task that a spawn refuses: its `drop` runs as a part
// of the caller, with the caller's word, and a word that it sets holds until it returns; the result is null. Both free
// an owned state.
void drop_with_word(Runtime *, void *state, DropFn, size_t owned, int32_t outcome, void *word);
zyntax_task *drop_refused(Runtime *, void *state, DropFn, size_t owned);

void run_all(Runtime *, Message *message); // the oldest first; each may free itself

// User code for the loop to call: after the polls of this round, outside everything. The message does not move.
void run_later(Runtime *, Message *);
void run_what_is_later(Runtime *); // the messages that were there when it began

// ---- executor.cpp ----

int32_t look_around(Runtime *, int64_t timeout_ns); // I/O, timers, other threads; 0 or an error of the kernel's wait
void take_inbox_work(Runtime *);
void take_woken(Runtime *);     // wakes and cancels of other threads
void wait_for_inbox(Runtime *); // sleeps until another thread has sent something
bool has_work(const Runtime *);
bool take_stop(Runtime *); // whether a stop was asked for; clears the request
int64_t until_next_timer(Runtime *, int64_t timeout_ns);

// Marks this thread as the driver until the scope ends.
class Driving {
public:
    explicit Driving(Runtime *);
    ~Driving();
    Driving(const Driving &) = delete;
    Driving &operator=(const Driving &) = delete;

private:
    Runtime *runtime_;
    Inbox *outer_;
};

// ---- lifecycle.cpp ----

// Null with *error; zeros are defaults.
Runtime *create(zyntax_runtime_config, int32_t *error);

// ---- parts ----

// Whether a caller's struct of `size` bytes has only zeros behind the `known` bytes of this version.
inline bool is_known(const void *given, size_t size, size_t known) {
    if (size > 4096) return false;
    auto *bytes = static_cast<const unsigned char *>(given);
    for (size_t i = known; i < size; i++) {
        if (bytes[i]) return false;
    }
    return true;
}

// The runtime's part with that end, made when it is needed first; null without memory.
template <class P> P *find_or_make_part(Runtime *runtime, void (*destroy)(Runtime *, Part *)) {
    for (Part *part = runtime->parts; part; part = part->next) {
        if (part->destroy == destroy) return static_cast<P *>(part);
    }
    void *memory = runtime->arena.take(sizeof(P));
    if (!memory) return nullptr;
    runtime->memory.in_use -= Arena::rounded(sizeof(P)); // of no operation
    auto *part = ::new (memory) P(runtime);
    part->destroy = destroy;
    part->next = runtime->parts;
    store_in_order();
    runtime->parts = part;
    return part;
}

// ---- valid.cpp ----

#ifndef NDEBUG
[[noreturn]] void panic_for_thread(const void *driver, const char *function);
// Stands for the thread that drives while a trace is being written, so that no function may be called.
ZYNTAX_INTERNAL extern const void *const trace_is_written;
[[noreturn]] void panic_for_status(const Runtime *, const Task *, int32_t status);
#endif

// ---- calls ----

// A call marked [rt]: no other thread may be driving the runtime, which may be null. Otherwise a debug build aborts
// with the name of the calling function. So every function of the API calls this one directly.
inline void check_thread([[maybe_unused]] const Runtime *runtime,
                         [[maybe_unused]] const char *function = __builtin_FUNCTION()) {
#ifndef NDEBUG
    const void *driver = runtime ? runtime->inbox->driver.load(std::memory_order_relaxed) : nullptr;
    if (driver && driver != this_thread()) panic_for_thread(driver, function);
#endif
}

// Checks the status that a poll function returned. A debug build aborts on any other value than the two.
inline void check_status([[maybe_unused]] const Runtime *runtime, [[maybe_unused]] const Task *task,
                         [[maybe_unused]] PollStatus status) {
#ifndef NDEBUG
    auto value = static_cast<int32_t>(status);
    if (value != POLL_READY && value != POLL_PENDING) panic_for_status(runtime, task, value);
#endif
}

// The runtime that the thread is driving, or null.
inline Runtime *driven() {
    Inbox *inbox = driving;
    return inbox ? inbox->runtime.load(std::memory_order_relaxed) : nullptr;
}

// The word of the task that this runtime is polling or dropping, or null.
inline void *running_word(const Runtime *runtime) {
    if (runtime->dropping) return runtime->dropping == Runtime::with_word ? runtime->drop_word : nullptr;
    const Task *task = runtime->current;
    return task && (task->flags & Task::has_record) ? task->record->word : nullptr;
}

// The name of a live task of this runtime, or null.
inline const char *task_name_of(const Runtime *, uint32_t index) {
    const Task *task = task_pool.at(index);
    return task->flags & Task::has_record ? task->record->name : nullptr;
}

// Whether a call of an await point with usable arguments goes on in a poll that has not spent its budget.
inline bool goes_on(const Runtime *polling, const zyntax_op *op_id, const Waker *waker, const int64_t *result) {
    return op_id && waker && waker->wake && result && polling && polling->awaits_left > 0;
}

// Begins every await point. The answer ends the call: POLL_READY with ZYNTAX_EINVAL (where there is a result) for
// arguments that cannot be used, POLL_PENDING when the poll has spent its budget of await points. An operation that has
// begun may always end: it could hold a result.
inline Answer answer_at_once(zyntax_op *op_id, const Waker *waker, int64_t *result) {
    Runtime *polling = driven();
    return goes_on(polling, op_id, waker, result) ? Answer{} : answer_rarely(polling, op_id, waker, result);
}

// Ends a call of an await point with a result. `result` may be null.
inline PollStatus complete(zyntax_op *op_id, int64_t *result, int64_t value) {
    assert(op_id);
    if (Runtime *polling = driven()) polling->awaits_left--;
    *op_id = 0;
    if (result) *result = value;
    return POLL_READY;
}

} // namespace zyntax
