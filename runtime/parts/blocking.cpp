// Blocking work as an operation. A job owns a copy of its argument, so no memory of a caller has to outlive the call.
#include "thread_pool.h"

#include <string.h>

using namespace zyntax;

namespace {

struct alignas(16) Job : Work, Source {
    enum State : uint8_t {
        pending, // set when the job is made; ends when the message arrives or the operation is canceled
        done,    // set by the message; the operation's next call or its cancel ends the job
        unheard  // set by a cancel while the job runs; the message ends the job
    };

    Op *op;
    void (*drop)(void *); // may be null
    size_t arg_size;
    State state; // runtime's thread only

    size_t size() const { return sizeof(Job) + arg_size; }
    void *copy() { return this + 1; }
};
static_assert(sizeof(Job) % 16 == 0);

void free_job(Runtime *runtime, Job *job) { runtime->arena.give(job, job->size()); }

void drop_job(Runtime *runtime, Message *message) {
    Job *job = static_cast<Job *>(message);
    job->drop(job->arg);
    free_job(runtime, job);
}

// The loop calls the drop function later, as the caller may be a poll.
void end_job(Runtime *runtime, Job *job) {
    assert(!job->is_queued);
    if (!job->drop) return free_job(runtime, job);
    job->run = drop_job;
    run_later(runtime, job);
}

void job_arrived(Runtime *runtime, Message *message) {
    Job *job = static_cast<Job *>(message);
    assert(job->state != Job::done);
    count_end(runtime, job);
    if (job->state == Job::unheard) return end_job(runtime, job);
    assert(job->op->source == job && !job->op->woken);
    job->state = Job::done;
    wake_waiter(runtime, job->op);
}

void job_discarded(Runtime *runtime, Work *work) {
    Job *job = static_cast<Job *>(work);
    assert(runtime->is_ending && job->state == Job::pending && job->op->source == job);
    job->op->source = nullptr;
    fire(runtime, job->op);
    end_job(runtime, job);
}

void job_canceled(Runtime *runtime, Op *op) {
    Job *job = static_cast<Job *>(op->source);
    assert(job->op == op && job->state != Job::unheard);
    if (job->state == Job::done || withdraw(runtime, job)) end_job(runtime, job);
    else job->state = Job::unheard;
}

// The arguments of a call.
struct Request {
    int64_t (*fn)(void *);
    void (*drop)(void *);
    void *arg;
    size_t arg_size;
    bool is_look_up;
};

Job *make_job(Runtime *runtime, const Request &request) {
    size_t arg_size = request.arg_size;
    if (arg_size > Arena::max_size - sizeof(Job)) return nullptr;
    void *memory = runtime->arena.take(sizeof(Job) + arg_size);
    if (!memory) return nullptr;
    auto *job = ::new (memory) Job();
    job->run = job_arrived;
    job->discard = job_discarded;
    job->canceled = job_canceled;
    job->fn = request.fn;
    job->drop = request.drop;
    job->is_look_up = request.is_look_up;
    job->arg_size = arg_size;
    job->arg = arg_size ? job->copy() : request.arg;
    if (arg_size) memcpy(job->copy(), request.arg, arg_size);
    return job;
}

PollStatus begin_job(Runtime *runtime, zyntax_op *op_id, Job *job, Waker *waker, int64_t *result) {
    assert(!*op_id);
    Op *op = job ? arm(runtime, op_id, ZYNTAX_WAIT_BLOCKING, waker) : nullptr;
    if (!op) {
        if (job) free_job(runtime, job);
        return not_armed(op_id, result);
    }
    op->source = job;
    job->op = op;
    int32_t error = submit(runtime, job);
    if (!error) return POLL_PENDING;
    free_op(runtime, op);
    free_job(runtime, job);
    return complete(op_id, result, error);
}

bool is_job(const Op *op, int64_t (*fn)(void *)) {
    return op->source && op->source->canceled == job_canceled && static_cast<Job *>(op->source)->fn == fn;
}

PollStatus run(Runtime *runtime, zyntax_op *op_id, const Request &request, Waker *waker, int64_t *result) {
    if (runtime->is_ending) return refuse(op_id, result, ZYNTAX_ECANCELED);
    cancel_unbegun(op_id);
    if (!*op_id) return begin_job(runtime, op_id, make_job(runtime, request), waker, result);

    auto is_it = [fn = request.fn](const Op *n) { return is_job(n, fn); };
    Op *op = my_op(runtime, op_id, is_it);
    if (!op) return complete(op_id, result, ZYNTAX_ECANCELED);
    Job *job = static_cast<Job *>(op->source);
    if (job->state != Job::done) return still_pending(runtime, op, waker);
    int64_t outcome = job->outcome;
    size_t size = request.arg_size;
    if (size && job->arg_size == size) memcpy(request.arg, job->copy(), size);
    free_op(runtime, op);
    end_job(runtime, job);
    return complete(op_id, result, outcome);
}

PollStatus check_and_run(Runtime *runtime, zyntax_op *op_id, const Request &request, Waker *waker, int64_t *result) {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!runtime || !request.fn || (!request.arg && request.arg_size)) return refuse(op_id, result, ZYNTAX_EINVAL);
    return run(runtime, op_id, request, waker, result);
}

} // namespace

PollStatus zyntax::look_up_in_pool(Runtime *runtime, zyntax_op *op_id, int64_t (*fn)(void *), void *arg,
                                   size_t arg_size, Waker *waker, int64_t *result) {
    return run(runtime, op_id, {fn, nullptr, arg, arg_size, true}, waker, result);
}

PollStatus zyntax_blocking(zyntax_runtime *runtime, zyntax_op *op_id, int64_t (*fn)(void *), void *arg, size_t arg_size,
                           Waker *waker, int64_t *result) noexcept {
    check_thread(runtime);
    return check_and_run(runtime, op_id, {fn, nullptr, arg, arg_size, false}, waker, result);
}

PollStatus zyntax_blocking_with(zyntax_runtime *runtime, zyntax_op *op_id, int64_t (*fn)(void *), void (*drop)(void *),
                                void *arg, size_t arg_size, Waker *waker, int64_t *result) noexcept {
    check_thread(runtime);
    return check_and_run(runtime, op_id, {fn, drop, arg, arg_size, false}, waker, result);
}
