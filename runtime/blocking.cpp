// The blocking pool: threads that start on demand, take jobs in order, and end after idling. A job owns a copy of its
// argument, so that nobody's memory has to outlive it; it comes back to the runtime's thread as a message.
#include "runtime.h"

#include <string.h>

namespace zyntax {

namespace {

constexpr uint64_t idle_ns = 5'000'000'000;

} // namespace

struct alignas(16) Job : Message, Source, Link {
    enum State : uint8_t {
        pending, // queued or running
        done,    // the message has arrived
        unheard  // nobody will ask for the result: the message frees the job
    };

    Runtime *runtime;
    Node *node;
    int64_t (*fn)(void *);
    void *arg; // the copy behind this struct, or the caller's pointer
    size_t arg_size;
    int64_t outcome;
    State state; // runtime's thread
    bool taken;  // by a thread; guarded by the monitor

    size_t size() const { return sizeof(Job) + arg_size; }
    void *copy() { return this + 1; }
};
static_assert(sizeof(Job) % 16 == 0);

struct Pool : Part {
    os::Monitor monitor; // guards what follows
    Link queue;
    uint32_t threads;
    uint32_t idle;    // of these, waiting
    uint32_t waiting; // jobs in the queue
    bool ending;
};

namespace {

void free_job(Runtime *runtime, Job *job) {
    size_t size = job->size();
    job->~Job();
    runtime->arena.give(job, size);
}

// ---- in the pool's threads ----

void work(void *arg) {
    auto *pool = static_cast<Pool *>(arg);
    pool->monitor.lock();
    for (;;) {
        bool timed_out = false;
        while (pool->queue.empty() && !pool->ending && !timed_out) {
            pool->idle++;
            timed_out = !pool->monitor.wait_for(os::Monitor::work, idle_ns);
            pool->idle--;
        }
        if (pool->queue.empty()) break;
        Job *job = static_cast<Job *>(pool->queue.next);
        job->unlink();
        job->taken = true;
        pool->waiting--;
        pool->monitor.unlock();
        job->outcome = job->fn(job->arg);
        send(job->runtime, job);
        pool->monitor.lock();
    }
    // The pool may be gone as soon as the monitor is free.
    pool->threads--;
    pool->monitor.signal(os::Monitor::ended);
    pool->monitor.unlock();
}

// ---- on the runtime's thread ----

void job_arrived(Runtime *runtime, Message *message) {
    Job *job = static_cast<Job *>(message);
    runtime->blocking_pending--;
    if (job->state == Job::unheard) return free_job(runtime, job);
    job->state = Job::done;
    wake_waiter(runtime, job->node);
}

void job_fired(Runtime *, Node *) {} // jobs are in no list that fires

void job_abandoned(Runtime *runtime, Node *node) {
    Job *job = static_cast<Job *>(node->source);
    Pool *pool = runtime->pool;
    if (job->state == Job::done) return free_job(runtime, job);
    pool->monitor.lock();
    bool queued = !job->taken;
    if (queued) {
        job->unlink();
        pool->waiting--;
    }
    pool->monitor.unlock();
    if (queued) {
        runtime->blocking_pending--;
        free_job(runtime, job);
    } else {
        job->state = Job::unheard;
    }
}

// Discards what is queued and waits for what runs.
void end_pool(Runtime *runtime, Part *part) {
    auto *pool = static_cast<Pool *>(part);
    pool->monitor.lock();
    pool->ending = true;
    while (!pool->queue.empty()) {
        Job *job = static_cast<Job *>(pool->queue.next);
        job->unlink();
        runtime->blocking_pending--;
        free_node(runtime, job->node);
        free_job(runtime, job);
    }
    pool->monitor.broadcast(os::Monitor::work);
    while (pool->threads) pool->monitor.wait(os::Monitor::ended);
    pool->monitor.unlock();
    pool->monitor.destroy();
}

Pool *pool_of(Runtime *runtime) {
    if (runtime->pool) return runtime->pool;
    void *memory = runtime->arena.take(sizeof(Pool));
    if (!memory) return nullptr;
    auto *pool = ::new (memory) Pool();
    pool->monitor.init();
    pool->destroy = end_pool;
    pool->next = runtime->parts;
    runtime->parts = pool;
    return runtime->pool = pool;
}

// False when there is no thread to run the job and none can be started; the job is not queued then.
bool submit(Runtime *runtime, Pool *pool, Job *job) {
    pool->monitor.lock();
    pool->queue.append(job);
    pool->waiting++;
    bool accepted = true;
    if (pool->waiting > pool->idle && pool->threads < runtime->blocking_threads) {
        if (os::start_thread(work, pool)) pool->threads++;
        else if (pool->threads == 0) accepted = false;
    }
    if (!accepted) {
        job->unlink();
        pool->waiting--;
    }
    pool->monitor.signal(os::Monitor::work);
    pool->monitor.unlock();
    return accepted;
}

Job *make_job(Runtime *runtime, int64_t (*fn)(void *), void *arg, size_t arg_size) {
    if (arg_size > Arena::max_size - sizeof(Job)) return nullptr;
    void *memory = runtime->arena.take(sizeof(Job) + arg_size);
    if (!memory) return nullptr;
    auto *job = ::new (memory) Job();
    job->run = job_arrived;
    job->fired = job_fired;
    job->abandoned = job_abandoned;
    job->runtime = runtime;
    job->fn = fn;
    job->arg_size = arg_size;
    job->arg = arg_size ? job->copy() : arg;
    if (arg_size) memcpy(job->copy(), arg, arg_size);
    return job;
}

PollStatus begin(Runtime *runtime, zyntax_op *op, Job *job, Waker *waker, int64_t *result) {
    Pool *pool = job ? pool_of(runtime) : nullptr;
    Node *node = pool ? arm(runtime, op, ZYNTAX_WAIT_BLOCKING, waker) : nullptr;
    if (!node) {
        if (job) free_job(runtime, job);
        return ready(runtime, op, result, ZYNTAX_ENOMEM);
    }
    node->source = job;
    keep(runtime, node);
    job->node = node;
    if (!submit(runtime, pool, job)) {
        free_node(runtime, node);
        free_job(runtime, job);
        return ready(runtime, op, result, ZYNTAX_EAGAIN);
    }
    runtime->blocking_pending++;
    return POLL_PENDING;
}

} // namespace

} // namespace zyntax

using namespace zyntax;

PollStatus zyntax_blocking(zyntax_runtime *runtime, zyntax_op *op, int64_t (*fn)(void *), void *arg, size_t arg_size,
                           Waker *waker, int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    if (!runtime || !fn || (!arg && arg_size)) return ready(nullptr, op, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    if (runtime->is_ending) zyntax_op_cancel(op);
    if (runtime->is_ending) return ready(runtime, op, result, ZYNTAX_ECANCELED);
    if (!*op) return begin(runtime, op, make_job(runtime, fn, arg, arg_size), waker, result);

    Node *node = pending_node(runtime, op);
    if (!node) return ready(runtime, op, result, ZYNTAX_ECANCELED); // the runtime it was begun on is gone
    Job *job = node->source && node->source->abandoned == job_abandoned ? static_cast<Job *>(node->source) : nullptr;
    if (!job || job->state != Job::done) return still_pending(runtime, node, waker);
    int64_t outcome = job->outcome;
    if (arg_size && job->arg_size == arg_size) memcpy(arg, job->copy(), arg_size);
    free_node(runtime, node);
    free_job(runtime, job);
    return ready(runtime, op, result, outcome);
}
