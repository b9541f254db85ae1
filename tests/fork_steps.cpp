// Another thread may fork at each step of the thread that drives a runtime. The child can destroy its copy.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"
#include "promise_support.h"

#include <deque>
#include <vector>

#if defined(__linux__) && defined(__x86_64__) && !defined(__ILP32__)
#include <signal.h>
#include <ucontext.h>
#define HAS_SINGLE_STEPS 1
#endif

using namespace support;

namespace {

#define EXPECT_IN_CHILD(condition, number) \
    if (!(condition)) return number

#define NEEDS_FORK                                  \
    SKIP_WHEN(!has_fork, "this system has no fork") \
    SKIP_WHEN(on_libkqueue, "libkqueue's thread does not exist in a forked child");

// An allocator that knows every block and never uses one again, and that calls `on_step` before and after each change.
// It takes no lock: one thread uses it.
struct StepHeap {
    struct Block {
        unsigned char *at;
        size_t size, align;
        bool is_out;
    };
    static constexpr size_t room = 16 << 20;
    std::unique_ptr<unsigned char[]> memory{new unsigned char[room]}; // no page of it is there before its use
    std::vector<Block> blocks;
    size_t used = 0;
    uint64_t calls = 0;
    int wrong_frees = 0;
    std::function<void()> on_step;

    StepHeap() { blocks.reserve(10'000); }
    static void *alloc(void *self, size_t size, size_t align) {
        auto &heap = *static_cast<StepHeap *>(self);
        heap.step();
        auto begin = reinterpret_cast<uintptr_t>(heap.memory.get());
        size_t at = (begin + heap.used + align - 1) / align * align - begin;
        if (at + size > room || heap.blocks.size() == heap.blocks.capacity()) return nullptr;
        heap.used = at + size;
        std::memset(&heap.memory[at], 0xa5, size);
        heap.blocks.push_back({&heap.memory[at], size, align, true});
        heap.step();
        return &heap.memory[at];
    }
    static void free(void *self, void *at, size_t size, size_t align) {
        auto &heap = *static_cast<StepHeap *>(self);
        heap.step();
        Block *block = nullptr;
        for (Block &b : heap.blocks)
            if (b.at == at) block = &b;
        bool is_right = block && block->is_out && block->size == size && block->align == align;
        if (is_right) block->is_out = false;
        else heap.wrong_frees++;
        heap.step();
    }
    size_t out() const {
        size_t count = 0;
        for (const Block &block : blocks) count += block.is_out;
        return count;
    }
    zyntax_runtime_config config() {
        zyntax_runtime_config c = support::config();
        c.alloc = alloc;
        c.free = free;
        c.alloc_ctx = this;
        return c;
    }

private:
    void step() {
        calls++;
        if (on_step) on_step();
    }
};

// A thread that forks when another asks it to, while that waits. The child runs `in_child` and ends with its value.
class Forker {
public:
    explicit Forker(std::function<int()> in_child) : in_child_(std::move(in_child)), thread_([this] { serve(); }) {}
    ~Forker() {
        state_ = over;
        thread_.join();
    }
    void fork_now() { // async-signal-safe
        state_ = asked;
        while (state_ == asked) yield();
    }
    int forks = 0, failed = 0, last_failure = 0;

private:
    enum { idle, asked, over };

    void serve() {
        for (;;) {
            if (state_ == over) return;
            if (state_ == asked) {
                Child child(in_child_);
                int end = child.end();
                forks++;
                if (end != 0) failed++, last_failure = end;
                state_ = idle;
            }
            yield();
        }
    }
    std::function<int()> in_child_;
    std::atomic<int> state_{idle};
    Thread thread_;
};

// A runtime whose structures all grow, one step after the other.
class Growth {
public:
    StepHeap heap;
    Runtime rt{heap.config()};

    static constexpr int steps = 630;
    // Steps that reuse memory, and steps with other threads.
    static constexpr int reuses_begin = 570, reuses_end = 574, threads_begin = 620;

    void take_step(int step) {
        if (step < 550) return spawn_sleeper(step);
        if (step < reuses_begin) return open_pair();
        if (step < reuses_end) return reuse_handle();
        if (step < 604) return make_channel();
        if (step < 608) return call_host();
        if (step < 612) return await_promises();
        if (step < threads_begin) return post();
        return run_job();
    }
    // The child's part. One block may be lost: the block in transit during the fork.
    int destroy_copy() {
        heap.on_step = nullptr;
        rt.destroy();
        EXPECT_IN_CHILD(heap.wrong_frees == 0, 1);
        EXPECT_IN_CHILD(heap.out() <= 1, 2);
        for (Pair &pair : pairs_) EXPECT_IN_CHILD(is_open(pair.far), 3);
        for (Fd &stranger : strangers_) EXPECT_IN_CHILD(is_open(stranger), 4);
        return 0;
    }

private:
    void spawn_sleeper(int step) {
        sleepers_.emplace_back(rt, sleeping(rt, 1000 * ms));
        if (step % 50 == 0) zyntax_runtime_turn(rt, 0);
    }
    void open_pair() {
        Pair &pair = pairs_.emplace_back(socket_pair());
        readers_.emplace_back(rt, reading(adopt(rt, pair.near), &byte_, 1));
        zyntax_runtime_turn(rt, 0);
    }
    // A channel gets the number of an I/O handle, and a new descriptor the number of the closed one.
    void reuse_handle() {
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        CHECK(zyntax_io_close(io) == 0);
        strangers_.emplace_back(duplicate(pair.far));
        make_channel();
    }
    void make_channel() { CHECK(channel_of(rt, 1000) != nullptr); }
    void call_host() {
        HostOp &op = hosts_.emplace_back(sleeping(rt, 1000 * ms));
        CHECK(op.call() == POLL_PENDING);
    }
    void post() {
        CHECK(zyntax_runtime_post(
                  rt, [](void *) {}, nullptr) == 0);
        zyntax_runtime_turn(rt, 0);
    }
    void run_job() {
        char argument[300] = {};
        CHECK(await(rt, blocking(
                            rt, [](void *) { return int64_t(5); }, argument, sizeof argument)) == 5);
    }
    void await_promises() {
        zyntax_promise promise = {this, [](void *) -> int64_t {
                                      for (int i = 0; i < 20; i++) zyntax_promise_sleep(1000 * ms);
                                      return 1;
                                  }};
        int64_t value = 0;
        CHECK(zyntax_promise_spawn(rt, &promise, &value) != nullptr);
        zyntax_runtime_turn(rt, 0);
    }

    std::deque<Await> sleepers_, readers_;
    std::deque<Pair> pairs_;
    std::deque<Fd> strangers_;
    std::deque<HostOp> hosts_;
    char byte_ = 0;
};

} // namespace

TEST_CASE("a_child_forked_at_any_call_of_the_allocator_can_destroy_its_copy") {
    NEEDS_FORK
    Growth growth;
    Forker forker([&] { return growth.destroy_copy(); });
    growth.heap.on_step = [&] { forker.fork_now(); };
    for (int step = 0; step < Growth::steps; step++) growth.take_step(step);
    growth.heap.on_step = nullptr;
    CHECK(forker.forks > 50);
    CAPTURE(forker.last_failure);
    CHECK(forker.failed == 0);
    growth.rt.destroy();
    CHECK(growth.heap.wrong_frees == 0);
    CHECK(growth.heap.out() == 0);
}

#ifdef HAS_SINGLE_STEPS

namespace {

std::function<void()> *on_instruction;

// Runs a function with a call of *on_instruction after each instruction.
class SingleSteps {
public:
    SingleSteps() {
        struct sigaction action = {};
        action.sa_sigaction = [](int, siginfo_t *, void *) { (*on_instruction)(); };
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGTRAP, &action, &before_);
        __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                             : "memory", "cc");
    }
    ~SingleSteps() {
        __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                             : "memory", "cc");
        sigaction(SIGTRAP, &before_, nullptr);
    }

private:
    struct sigaction before_;
};

} // namespace

TEST_CASE("a_child_forked_between_any_two_instructions_of_a_growing_runtime_can_destroy_its_copy") {
    NEEDS_FORK
    SKIP_WHEN(sanitized, "too many instructions");
    SKIP_WHEN(under_emulation(), "an emulator does not step single instructions");
    std::vector<int> growing; // steps to look at
    {
        Growth growth;
        for (int step = 0; step < Growth::steps; step++) {
            uint64_t before = growth.heap.calls;
            growth.take_step(step);
            bool reuses = step >= Growth::reuses_begin && step < Growth::reuses_end;
            if (step < Growth::threads_begin && (reuses || growth.heap.calls != before)) growing.push_back(step);
        }
    }
    Growth growth;
    Forker forker([&] { return growth.destroy_copy(); });
    // Only changes of the runtime itself, the first block, can make a difference.
    const StepHeap::Block &block = growth.heap.blocks[0];
    std::vector<unsigned char> seen(block.at, block.at + block.size);
    std::function<void()> fork_after_a_change = [&] {
        if (std::memcmp(seen.data(), block.at, block.size) == 0) return;
        std::memcpy(seen.data(), block.at, block.size);
        forker.fork_now();
    };
    on_instruction = &fork_after_a_change;
    size_t next = 0;
    for (int step = 0; step < Growth::steps; step++) {
        if (next == growing.size() || step != growing[next]) {
            growth.take_step(step);
            continue;
        }
        next++;
        SingleSteps steps;
        growth.take_step(step);
    }
    CHECK(forker.forks > 50);
    CAPTURE(forker.last_failure);
    CHECK(forker.failed == 0);
    growth.rt.destroy();
    CHECK(growth.heap.wrong_frees == 0);
}

#endif
