// The blocking pool: threads that start on demand, take jobs in order, and end after idling. A job owns a copy of its
// argument, so that nobody's memory has to outlive it; it comes back to the runtime's thread as a message, and so does
// a thread that ends, to be joined: nothing of the library runs in a thread once the runtime is gone.
#include "../runtime.h"

#include <string.h>

namespace zyntax {

namespace {

constexpr uint64_t idle_ns = 5'000'000'000;

struct alignas(16) Job : Message, Source {
    enum State : uint8_t {
        pending, // queued or running
        done,    // the message has arrived
        unheard  // nobody will ask for the result: the message frees the job
    };

    Node *node;
    int64_t (*fn)(void *);
    void *arg; // the copy behind this struct, or the caller's pointer
    size_t arg_size;
    int64_t outcome;
    State state; // runtime's thread
    // Guarded by the monitor.
    bool is_queued;
    Job *next_queued, *prev_queued;

    size_t size() const { return sizeof(Job) + arg_size; }
    void *copy() { return this + 1; }
};
static_assert(sizeof(Job) % 16 == 0);

// threads == workers that were started and not joined
struct Pool : Part {
    explicit Pool(Runtime *runtime) : Part(), inbox(runtime->inbox) { monitor.init(); }

    Inbox *inbox;
    os::Monitor monitor;
    uint32_t threads = 0; // runtime's thread
    // Guarded by the monitor.
    Job *oldest = nullptr, *newest = nullptr;
    uint32_t waiting = 0; // jobs in the queue
    uint32_t idle = 0;    // threads that wait for one
    uint32_t ended = 0;   // threads that take no more
    bool ending = false;

    void push(Job *job) {
        job->next_queued = nullptr;
        job->prev_queued = newest;
        (newest ? newest->next_queued : oldest) = job;
        newest = job;
        job->is_queued = true;
        waiting++;
    }
    void take_out(Job *job) {
        (job->prev_queued ? job->prev_queued->next_queued : oldest) = job->next_queued;
        (job->next_queued ? job->next_queued->prev_queued : newest) = job->prev_queued;
        job->is_queued = false;
        waiting--;
    }
};

// A thread of the pool.
struct Worker : Message {
    Pool *pool;
    os::Thread thread;
};

class Locked {
public:
    explicit Locked(os::Monitor *monitor) : monitor_(monitor) { monitor->lock(); }
    ~Locked() { monitor_->unlock(); }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;

private:
    os::Monitor *monitor_;
};

void worker_ended(Runtime *, Message *);

void free_job(Runtime *runtime, Job *job) { runtime->arena.give(job, job->size()); }

// ---- in the pool's threads ----

// Null: there is nothing more to do for this thread.
Job *take_job(Pool *pool) {
    Locked lock(&pool->monitor);
    bool timed_out = false;
    while (!pool->oldest && !pool->ending && !timed_out) {
        pool->idle++;
        timed_out = !pool->monitor.wait_for(idle_ns);
        pool->idle--;
    }
    Job *job = pool->oldest;
    if (job) pool->take_out(job);
    else pool->ended++;
    return job;
}

void work(void *arg) {
    auto *worker = static_cast<Worker *>(arg);
    Pool *pool = worker->pool;
    while (Job *job = take_job(pool)) {
        job->outcome = job->fn(job->arg);
        send(pool->inbox, job);
    }
    send(pool->inbox, worker);
}

// ---- on the runtime's thread ----

// A thread is nobody's operation: its memory does not count as in use.
Worker *make_worker(Runtime *runtime, Pool *pool) {
    void *memory = runtime->arena.take(sizeof(Worker));
    if (!memory) return nullptr;
    runtime->memory.in_use -= Arena::rounded(sizeof(Worker));
    auto *worker = ::new (memory) Worker();
    worker->run = worker_ended;
    worker->pool = pool;
    worker->thread = {work, worker, 0};
    return worker;
}

void free_worker(Runtime *runtime, Worker *worker) {
    runtime->memory.in_use += Arena::rounded(sizeof(Worker));
    runtime->arena.give(worker, sizeof(Worker));
}

void worker_ended(Runtime *runtime, Message *message) {
    auto *worker = static_cast<Worker *>(message);
    Pool *pool = worker->pool;
    os::KeepErrors keep;
    os::join_thread(&worker->thread);
    pool->threads--;
    {
        Locked lock(&pool->monitor);
        pool->ended--;
    }
    free_worker(runtime, worker);
}

void job_arrived(Runtime *runtime, Message *message) {
    Job *job = static_cast<Job *>(message);
    runtime->counts.blocking_pending--;
    if (job->state == Job::unheard) return free_job(runtime, job);
    job->state = Job::done;
    wake_waiter(runtime, job->node);
}

void end_pool(Runtime *, Part *);

Pool *pool_of(Runtime *runtime) { return find_or_make_part<Pool>(runtime, end_pool); }

void job_abandoned(Runtime *runtime, Node *node) {
    Job *job = static_cast<Job *>(node->source);
    if (job->state == Job::done) return free_job(runtime, job);
    Pool *pool = pool_of(runtime);
    bool had_begun;
    {
        Locked lock(&pool->monitor);
        had_begun = !job->is_queued;
        if (!had_begun) pool->take_out(job);
    }
    if (had_begun) {
        job->state = Job::unheard;
        return;
    }
    runtime->counts.blocking_pending--;
    free_job(runtime, job);
}

// Discards what is queued and waits for what runs, which may wait for a function that it has posted.
void end_pool(Runtime *runtime, Part *part) {
    auto *pool = static_cast<Pool *>(part);
    Job *discarded;
    {
        Locked lock(&pool->monitor);
        pool->ending = true;
        discarded = pool->oldest;
        pool->oldest = pool->newest = nullptr;
        pool->waiting = 0;
        pool->monitor.broadcast();
    }
    while (Job *job = discarded) {
        discarded = job->next_queued;
        runtime->counts.blocking_pending--;
        job->node->source = nullptr;
        fire(runtime, job->node);
        free_job(runtime, job);
    }
    for (take_inbox_work(runtime); pool->threads; take_inbox_work(runtime)) wait_for_inbox(runtime);
    pool->monitor.destroy();
}

// One more thread for the pool. 0 or an error: no memory, or the system has no threads left.
int32_t start_worker(Runtime *runtime, Pool *pool) {
    os::KeepErrors keep;
    Worker *worker = make_worker(runtime, pool);
    if (!worker) return ZYNTAX_ENOMEM;
    if (os::start_thread(&worker->thread)) {
        pool->threads++;
        return 0;
    }
    free_worker(runtime, worker);
    return ZYNTAX_EAGAIN;
}

// An error when there is no thread to run the job and none can be started; the job is not queued then.
int32_t submit(Runtime *runtime, Pool *pool, Job *job) {
    Locked lock(&pool->monitor);
    pool->push(job);
    uint32_t working = pool->threads - pool->ended;
    bool wants_more = pool->waiting > pool->idle && working < runtime->config.blocking_threads;
    int32_t error = wants_more ? start_worker(runtime, pool) : 0;
    if (error && working == 0) {
        pool->take_out(job);
        return error;
    }
    pool->monitor.signal();
    return 0;
}

Job *make_job(Runtime *runtime, int64_t (*fn)(void *), void *arg, size_t arg_size) {
    if (arg_size > Arena::max_size - sizeof(Job)) return nullptr;
    void *memory = runtime->arena.take(sizeof(Job) + arg_size);
    if (!memory) return nullptr;
    auto *job = ::new (memory) Job();
    job->run = job_arrived;
    job->abandoned = job_abandoned;
    job->fn = fn;
    job->arg_size = arg_size;
    job->arg = arg_size ? job->copy() : arg;
    if (arg_size) memcpy(job->copy(), arg, arg_size);
    return job;
}

PollStatus begin_job(Runtime *runtime, zyntax_op *op, Job *job, Waker *waker, int64_t *result) {
    Pool *pool = job ? pool_of(runtime) : nullptr;
    Node *node = pool ? arm(runtime, op, ZYNTAX_WAIT_BLOCKING, waker) : nullptr;
    if (!node) {
        if (job) free_job(runtime, job);
        return complete(op, result, ZYNTAX_ENOMEM);
    }
    node->source = job;
    job->node = node;
    int32_t error = submit(runtime, pool, job);
    if (error) {
        free_node(runtime, node);
        free_job(runtime, job);
        return complete(op, result, error);
    }
    runtime->counts.blocking_pending++;
    return POLL_PENDING;
}

bool is_job(const Node *node, int64_t (*fn)(void *)) {
    return node->source && node->source->abandoned == job_abandoned && static_cast<Job *>(node->source)->fn == fn;
}

} // namespace

} // namespace zyntax

using namespace zyntax;

PollStatus zyntax_blocking(zyntax_runtime *runtime, zyntax_op *op, int64_t (*fn)(void *), void *arg, size_t arg_size,
                           Waker *waker, int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    if (!runtime || !fn || (!arg && arg_size)) return refuse(op, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    if (runtime->is_ending) return refuse(op, result, ZYNTAX_ECANCELED);
    if (!*op) return begin_job(runtime, op, make_job(runtime, fn, arg, arg_size), waker, result);

    Node *node = my_node(runtime, op, [fn](const Node *n) { return is_job(n, fn); });
    if (!node) return complete(op, result, ZYNTAX_ECANCELED);
    Job *job = static_cast<Job *>(node->source);
    if (job->state != Job::done) return still_pending(runtime, node, waker);
    int64_t outcome = job->outcome;
    if (arg_size && job->arg_size == arg_size) memcpy(arg, job->copy(), arg_size);
    free_node(runtime, node);
    free_job(runtime, job);
    return complete(op, result, outcome);
}
