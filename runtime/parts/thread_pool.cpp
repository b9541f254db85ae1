// The blocking pool: threads that start on demand, take work in order, and end after idling. Finished work returns to
// the runtime's thread as a message. A thread that ends sends a message, too, and is joined, so no thread of the pool
// outlives the runtime. Name look-ups, which can take half a minute, use at most half of the threads.
#include "thread_pool.h"

#include <initializer_list>

namespace zyntax {

namespace {

constexpr uint64_t idle_ns = 5'000'000'000;

// Work that waits for a thread, oldest first.
struct Queue {
    Work *oldest = nullptr, *newest = nullptr;
    uint32_t count = 0;

    void push(Work *work) {
        assert(!work->is_queued);
        work->next_queued = nullptr;
        work->prev_queued = newest;
        (newest ? newest->next_queued : oldest) = work;
        newest = work;
        work->is_queued = true;
        count++;
    }
    void take_out(Work *work) {
        assert(work->is_queued && count > 0);
        (work->prev_queued ? work->prev_queued->next_queued : oldest) = work->next_queued;
        (work->next_queued ? work->next_queued->prev_queued : newest) = work->prev_queued;
        work->is_queued = false;
        count--;
    }
};

// threads == workers that were started and not joined; running <= threads - ended <= most; looking_up <= running
struct ThreadPool : Part {
    explicit ThreadPool(Runtime *runtime) : Part(), inbox(runtime->inbox) {
        most = runtime->config.blocking_threads;
        monitor.init();
    }

    Inbox *inbox;
    uint32_t most; // ceiling of threads at work
    os::Monitor monitor;
    uint32_t threads = 0; // runtime's thread only
    // Guarded by the monitor. Once `ending` is set, no thread of the pool reads the queues.
    Queue jobs, look_ups;
    uint64_t pushed = 0;                  // works so far
    uint32_t running = 0, looking_up = 0; // threads that run work; of these, look-ups
    uint32_t ended = 0;                   // threads that take no more work and are not joined yet
    bool ending = false;                  // set by end_pool

    Queue *queue_of(const Work *work) { return work->is_look_up ? &look_ups : &jobs; }
    uint32_t free_for_look_ups() const { return (most < 2 ? 1 : most / 2) - looking_up; }

    // The oldest work that may begin, or null.
    Work *next_work() const {
        if (ending) return nullptr;
        Work *look_up = free_for_look_ups() ? look_ups.oldest : nullptr;
        return look_up && (!jobs.oldest || look_up->number < jobs.oldest->number) ? look_up : jobs.oldest;
    }
    // The number of works that may begin.
    uint32_t waiting() const {
        uint32_t free = free_for_look_ups();
        return jobs.count + (look_ups.count < free ? look_ups.count : free);
    }
};

// A thread of the pool.
struct Worker : Message {
    ThreadPool *pool;
    os::Thread thread;
};

void worker_ended(Runtime *, Message *);

// ---- in the pool's threads ----

// Null: the thread has to end.
Work *take_work(ThreadPool *pool) {
    os::Locked lock(&pool->monitor);
    Work *work = pool->next_work();
    for (bool timed_out = false; !work && !pool->ending && !timed_out; work = pool->next_work())
        timed_out = !pool->monitor.wait_for(idle_ns);
    if (work) {
        pool->queue_of(work)->take_out(work);
        pool->running++;
        pool->looking_up += work->is_look_up;
        assert(pool->looking_up <= pool->running && pool->running <= pool->most);
    } else {
        pool->ended++;
    }
    return work;
}

void end_work(ThreadPool *pool, const Work *work) {
    os::Locked lock(&pool->monitor);
    assert(pool->running > 0 && pool->looking_up >= work->is_look_up);
    pool->running--;
    pool->looking_up -= work->is_look_up;
}

void run_worker(void *arg) {
    auto *worker = static_cast<Worker *>(arg);
    ThreadPool *pool = worker->pool;
    while (Work *work = take_work(pool)) {
        work->outcome = work->fn(work->arg);
        end_work(pool, work); // before the message: the loop may submit the next work as soon as that arrives
        send(pool->inbox, work);
    }
    send(pool->inbox, worker);
}

// ---- on the runtime's thread ----

void free_worker(Runtime *runtime, Worker *worker) {
    runtime->memory.in_use += Arena::rounded(sizeof(Worker));
    runtime->arena.give(worker, sizeof(Worker));
}

void worker_ended(Runtime *runtime, Message *message) {
    auto *worker = static_cast<Worker *>(message);
    ThreadPool *pool = worker->pool;
    os::KeepErrors keep;
    os::join_thread(&worker->thread);
    pool->threads--;
    {
        os::Locked lock(&pool->monitor);
        assert(pool->ended > 0);
        pool->ended--;
    }
    free_worker(runtime, worker);
}

// Discards queued work and waits for running jobs. Meanwhile posts and drop functions are called: a running job may
// wait for one.
void end_pool(Runtime *runtime, Part *part) {
    auto *pool = static_cast<ThreadPool *>(part);
    {
        os::Locked lock(&pool->monitor);
        pool->ending = true;
        pool->monitor.broadcast();
    }
    for (Queue *queue : {&pool->jobs, &pool->look_ups}) {
        while (Work *work = queue->oldest) {
            queue->take_out(work);
            count_end(runtime, work);
            work->discard(runtime, work);
        }
    }
    for (;;) {
        take_inbox_work(runtime);
        run_what_is_later(runtime);
        if (!pool->threads) break;
        if (!runtime->later) wait_for_inbox(runtime);
    }
    assert(!pool->running && !pool->ended && !pool->waiting());
    pool->monitor.destroy();
}

ThreadPool *pool_of(Runtime *runtime) { return find_or_make_part<ThreadPool>(runtime, end_pool); }

// Starts a thread. Its memory belongs to no operation, so it does not count as in use. 0 or an error: no memory, or the
// system has no threads left.
int32_t start_worker(Runtime *runtime, ThreadPool *pool) {
    os::KeepErrors keep;
    void *memory = runtime->arena.take(sizeof(Worker));
    if (!memory) return ZYNTAX_ENOMEM;
    runtime->memory.in_use -= Arena::rounded(sizeof(Worker));
    auto *worker = ::new (memory) Worker();
    worker->run = worker_ended;
    worker->pool = pool;
    worker->thread = {run_worker, worker, 0};
    if (os::start_thread(&worker->thread)) {
        pool->threads++;
        return 0;
    }
    free_worker(runtime, worker);
    return ZYNTAX_EAGAIN;
}

const char *name_of(const Work *work) { return work->is_look_up ? "look-up" : "job"; }

} // namespace

void count_end(Runtime *runtime, const Work *work) {
    assert(runtime->counts.blocking_pending > 0);
    runtime->counts.blocking_pending--;
    if (runtime->tracer) runtime->tracer->job(runtime, work, name_of(work), false);
}

int32_t submit(Runtime *runtime, Work *work) {
    ThreadPool *pool = pool_of(runtime);
    if (!pool) return ZYNTAX_ENOMEM;
    os::Locked lock(&pool->monitor);
    Queue *queue = pool->queue_of(work);
    work->number = pool->pushed++;
    queue->push(work);
    assert(!pool->ending && pool->threads >= pool->ended);
    uint32_t working = pool->threads - pool->ended;
    bool wants_more = pool->waiting() > working - pool->running && working < pool->most;
    int32_t error = wants_more ? start_worker(runtime, pool) : 0;
    if (error && working == 0) {
        queue->take_out(work);
        return error;
    }
    pool->monitor.signal();
    runtime->counts.blocking_pending++;
    if (runtime->tracer) runtime->tracer->job(runtime, work, name_of(work), true);
    return 0;
}

bool withdraw(Runtime *runtime, Work *work) {
    ThreadPool *pool = pool_of(runtime);
    os::Locked lock(&pool->monitor);
    if (!work->is_queued) return false;
    pool->queue_of(work)->take_out(work);
    count_end(runtime, work);
    return true;
}

} // namespace zyntax
