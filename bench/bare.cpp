#include "bare.h"

#include <cstdlib>
#include <memory>
#include <vector>

namespace bare {

enum : uint32_t {
    ALIVE = 1,  // set by spawn, cleared when poll has returned POLL_READY
    QUEUED = 2, // has an entry in the ring; cleared when that is taken out
};

struct Task {
    FutureState state;
    PollFn poll;
    Task *link; // of a live task: its joiner; else: the next free task
    uint32_t generation;
    uint32_t bits;
};
static_assert(sizeof(Task) == 3 * sizeof(void *) + 8);

namespace {

constexpr size_t chunk_tasks = 1024;

struct Loop {
    std::unique_ptr<Task *[]> ring;
    uint64_t mask = 0; // capacity - 1, or 0 before the first push
    uint64_t head = 0;
    uint64_t tail = 0;
    Task *free = nullptr;
    size_t live = 0;
    std::vector<std::unique_ptr<Task[]>> chunks;
};

Loop loop;

[[gnu::noinline]] void grow_ring() {
    uint64_t capacity = loop.mask ? (loop.mask + 1) * 2 : 1024;
    std::unique_ptr<Task *[]> bigger(new Task *[capacity]);
    for (uint64_t i = loop.head; i != loop.tail; i++) bigger[i & (capacity - 1)] = loop.ring[i & loop.mask];
    loop.ring = std::move(bigger);
    loop.mask = capacity - 1;
}

[[gnu::noinline]] void grow_tasks() {
    loop.chunks.push_back(std::make_unique<Task[]>(chunk_tasks));
    for (size_t i = chunk_tasks; i-- > 0;) {
        Task *task = &loop.chunks.back()[i];
        task->link = loop.free;
        loop.free = task;
    }
}

void push(Task *task) {
    if (loop.tail - loop.head > loop.mask || loop.mask == 0) [[unlikely]]
        grow_ring();
    loop.ring[loop.tail++ & loop.mask] = task;
}

[[gnu::noinline]] void wake(void *data) {
    auto *task = static_cast<Task *>(data);
    if ((task->bits & (ALIVE | QUEUED)) != ALIVE) return;
    task->bits |= QUEUED;
    push(task);
}

void recycle(Task *task) {
    task->link = loop.free;
    loop.free = task;
}

void end(Task *task) {
    Task *joiner = task->link;
    task->generation++;
    task->bits &= ~ALIVE;
    loop.live--;
    if (!(task->bits & QUEUED)) recycle(task);
    if (joiner) wake(joiner);
}

void poll_next() {
    Task *task = loop.ring[loop.head++ & loop.mask];
    task->bits &= ~QUEUED;
    if (!(task->bits & ALIVE)) [[unlikely]] {
        recycle(task); // ended while an entry was left
        return;
    }
    Waker waker{task, wake};
    if (task->poll(task->state, &waker) == POLL_READY) end(task);
}

} // namespace

[[gnu::noinline]] Handle spawn(FutureState state, PollFn poll) {
    if (loop.free == nullptr) [[unlikely]]
        grow_tasks();
    Task *task = loop.free;
    loop.free = task->link;
    task->state = state;
    task->poll = poll;
    task->link = nullptr;
    task->bits = ALIVE | QUEUED;
    loop.live++;
    push(task);
    return {task, task->generation};
}

[[gnu::noinline]] bool join(Handle handle, const Waker *waker) {
    if (handle.task->generation != handle.generation) return true;
    handle.task->link = static_cast<Task *>(waker->data);
    return false;
}

[[gnu::noinline]] void turn(uint64_t budget) {
    for (; budget != 0 && loop.head != loop.tail; budget--) poll_next();
}

[[gnu::noinline]] void run() {
    while (loop.head != loop.tail) poll_next();
}

size_t live_tasks() { return loop.live; }

} // namespace bare
