// Shared by all tests: a runtime that cleans up after itself, tasks written as lambdas, and waits with a deadline.
#pragma once

#include "system.h"
#include "zyntax_async_runtime.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SUPPORT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SUPPORT_SANITIZED 1
#endif
#endif
#ifndef SUPPORT_SANITIZED
#define SUPPORT_SANITIZED 0
#endif

namespace support {

using namespace sys;

constexpr uint64_t ms = 1'000'000;
constexpr bool sanitized = SUPPORT_SANITIZED;

// A stress count: a tenth of it under a sanitizer, and under Wine, where Windows is run.
constexpr int scaled(int count) { return sanitized || on_windows ? count / 10 : count; }

// Leaves a test case that the system, or the built-in poller, cannot run.
#define SKIP_WHEN(cannot, reason)    \
    if (cannot) {                    \
        MESSAGE("skipped: " reason); \
        return;                      \
    }

// A configuration for zyntax_runtime_create_with, with all defaults.
inline zyntax_runtime_config config() {
    zyntax_runtime_config c{};
    c.size = sizeof c;
    return c;
}

// Longest time that any wait in a test may take before the test fails.
constexpr int64_t deadline_ms = 10'000;

struct Runtime {
    zyntax_runtime *rt;

    Runtime() : rt(zyntax_runtime_create()) { REQUIRE(rt != nullptr); }
    explicit Runtime(const zyntax_runtime_config &config) {
        int32_t error = 1;
        rt = zyntax_runtime_create_with(&config, &error);
        REQUIRE(rt != nullptr);
        REQUIRE(error == 0);
    }
    ~Runtime() { destroy(); }
    Runtime(const Runtime &) = delete;
    Runtime &operator=(const Runtime &) = delete;

    void destroy() {
        zyntax_runtime_destroy(rt);
        rt = nullptr;
    }
    operator zyntax_runtime *() const { return rt; }

    zyntax_runtime_stats stats() const {
        zyntax_runtime_stats s{};
        s.size = sizeof s;
        REQUIRE(zyntax_runtime_get_stats(rt, &s) == 0);
        return s;
    }

    // Turns the runtime until `done` holds; false when deadline_ms have passed.
    template <class Predicate> bool drive_until(Predicate done, int64_t limit_ms = deadline_ms) {
        auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
        while (!done()) {
            if (std::chrono::steady_clock::now() >= end) return false;
            zyntax_runtime_turn(rt, 5 * int64_t(ms));
        }
        return true;
    }

    // Drives until no task is left; false when deadline_ms have passed.
    bool drain(int64_t limit_ms = deadline_ms) {
        return drive_until([this] { return zyntax_runtime_turn(rt, 0) == 0; }, limit_ms);
    }

    // Kernel waits while nothing happens for 100 ms: the idle budget. A spinning loop makes thousands.
    uint64_t idle_waits() {
        uint64_t before = stats().kernel_waits;
        auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
        while (std::chrono::steady_clock::now() < end) zyntax_runtime_turn(rt, 100 * int64_t(ms));
        return stats().kernel_waits - before;
    }
};

// A task whose poll and drop are lambdas. The object cancels the task if it goes first.
struct Task {
    std::function<PollStatus(Waker *)> on_poll;
    std::function<void(int32_t)> on_drop = nullptr;
    zyntax_op op = 0;
    int polls = 0;
    int drops = 0;
    int32_t outcome = 1; // the outcome given to drop; 1 = not dropped yet
    zyntax_task *handle = nullptr;
    zyntax_runtime *runtime = nullptr;

    ~Task() {
        if (!alive()) return;
        zyntax_task_cancel(handle);
        for (int i = 0; i < 3 && alive(); i++) zyntax_runtime_turn(runtime, 0);
    }
    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Task *>(state);
        self->polls++;
        return self->on_poll(waker);
    }
    static void drop(FutureState state, int32_t outcome) {
        auto *self = static_cast<Task *>(state);
        self->drops++;
        self->outcome = outcome;
        zyntax_op_cancel(&self->op);
        if (self->on_drop) self->on_drop(outcome);
    }
    zyntax_task *spawn(zyntax_runtime *rt) {
        runtime = rt;
        handle = zyntax_runtime_spawn_with(rt, this, poll, drop, 0);
        return handle;
    }
    bool alive() const { return zyntax_task_alive(handle) == 1; }
};

// A task that keeps the waker of its last poll for others, and gives the same answer to each poll.
struct WakerKeeper : Task {
    Waker kept{};

    explicit WakerKeeper(PollStatus answer = POLL_PENDING)
        : Task{[this, answer](Waker *waker) {
              kept = *waker;
              return answer;
          }} {}
    WakerKeeper(const WakerKeeper &) = delete;
    void wake() const { kept.wake(kept.data); }
};

// Turns until every ready task has been polled and waits.
inline void settle(Runtime &rt) {
    for (int round = 0; round < 5; round++) zyntax_runtime_turn(rt, 0);
}

// The poll function of a task that ends at once.
inline PollStatus ends_at_once(FutureState, Waker *) { return POLL_READY; }

// The value of a result that was not written.
constexpr int64_t unset = 77;

// Stops a runtime that is still being driven after deadline_ms, so that a hang in run or block_on is a failed check.
// Without threads only the time limit of the whole test ends it.
class Limit {
    Mutex mutex_;
    Condition done_;
    bool over_ = false;
    std::optional<Thread> thread_;

public:
    explicit Limit(zyntax_runtime *rt, int64_t limit_ms = deadline_ms) {
        if (!has_threads) return;
        thread_.emplace([this, rt, limit_ms] {
            Lock lock(mutex_);
            if (!done_.wait_for(lock, std::chrono::milliseconds(limit_ms), [this] { return over_; }))
                zyntax_runtime_stop(rt);
        });
    }
    ~Limit() {
        {
            Lock lock(mutex_);
            over_ = true;
        }
        done_.notify_one();
        if (thread_) thread_->join();
    }
    Limit(const Limit &) = delete;
    Limit &operator=(const Limit &) = delete;
};

// A clock that only tests move. Drive with turn(0): a runtime that waits would wait for real.
struct Clock {
    std::atomic<uint64_t> now{1'000 * ms};

    static uint64_t read(void *self) { return static_cast<Clock *>(self)->now.load(std::memory_order_relaxed); }
    zyntax_runtime_config config(zyntax_runtime_config c = support::config()) {
        c.clock_ns = read;
        c.clock_ctx = this;
        return c;
    }
};

// An allocator that counts, checks the blocks that it gets back, and fails on demand.
struct Heap {
    Mutex mutex;
    std::unordered_map<void *, std::pair<size_t, size_t>> blocks; // size and alignment of the blocks in use
    size_t bytes = 0;                                             // of these
    uint64_t allocations = 0;
    uint64_t failures = 0;
    uint64_t wrong_frees = 0;
    uint64_t fail_at = 0;    // the fail_at-th allocation from now on fails; 0: none
    bool persistent = false; // and all after it

    static void *alloc(void *self, size_t size, size_t align) {
        auto &heap = *static_cast<Heap *>(self);
        Lock lock(heap.mutex);
        if (heap.fail_at == 1) {
            if (!heap.persistent) heap.fail_at = 0;
            heap.failures++;
            return nullptr;
        }
        if (heap.fail_at > 1) heap.fail_at--;
        align = align < sizeof(void *) ? sizeof(void *) : align;
        void *block = aligned_allocate(size, align);
        if (block == nullptr) return nullptr;
        std::memset(block, 0xa5, size); // not zeroed memory
        heap.allocations++;
        heap.bytes += size;
        heap.blocks[block] = {size, align};
        return block;
    }
    static void free(void *self, void *block, size_t size, size_t align) {
        auto &heap = *static_cast<Heap *>(self);
        Lock lock(heap.mutex);
        auto found = heap.blocks.find(block);
        align = align < sizeof(void *) ? sizeof(void *) : align;
        if (found == heap.blocks.end() || found->second != std::pair(size, align)) {
            heap.wrong_frees++;
            return;
        }
        heap.bytes -= size;
        heap.blocks.erase(found);
        aligned_release(block);
    }
    zyntax_runtime_config config(zyntax_runtime_config c = support::config()) {
        c.alloc = alloc;
        c.free = free;
        c.alloc_ctx = this;
        return c;
    }
    bool balanced() const { return blocks.empty() && bytes == 0 && wrong_frees == 0; }
};

// Hands a descriptor to the runtime.
inline zyntax_io *adopt(zyntax_runtime *rt, Fd &fd) {
    zyntax_io *io = nullptr;
    REQUIRE(zyntax_io_open(rt, fd, &io) == 0);
    REQUIRE(io != nullptr);
    fd.release();
    return io;
}

// Writes at one end of a pair, and waits until it is there at the other, which the runtime owns.
inline void deliver(Descriptor far, zyntax_io *near, const std::string &text) {
    put(far, text);
    REQUIRE(wait_for(Descriptor(zyntax_io_fd(near)), POLLIN));
}

} // namespace support
