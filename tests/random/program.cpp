// A program's life: it creates, drives and destroys runtimes, acts in between, and leaves nothing.
#include "program.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/wait.h>
#include <unistd.h>

namespace random_test {

// ---- memory ----

namespace {

struct alignas(64) Header {
    size_t size, align;
    uint64_t mark;
};
constexpr uint64_t mark = 0x5bd1e995a5a5f00d;

} // namespace

void *Heap::alloc(void *self, size_t size, size_t align) {
    auto &heap = *static_cast<Heap *>(self);
    if (heap.fail_run) {
        if (heap.fail_in > 1) heap.fail_in--;
        else {
            heap.fail_run--;
            heap.failures++;
            return nullptr;
        }
    }
    size_t room = (size + sizeof(Header) + 63) & ~size_t{63};
    void *at = std::aligned_alloc(64, room);
    if (!at) return nullptr;
    auto *header = static_cast<Header *>(at);
    *header = {size, align, mark};
    std::memset(header + 1, 0xa5, size < 512 ? size : 512); // not zeroed memory
    heap.bytes += size;
    heap.blocks++;
    return header + 1;
}

void Heap::free(void *self, void *block, size_t size, size_t align) {
    auto &heap = *static_cast<Heap *>(self);
    Header *header = static_cast<Header *>(block) - 1;
    if (header->mark != mark || header->size != size || header->align != align)
        report(nullptr, "heap", "a block is given back that was not taken like this");
    header->mark = 0;
    heap.bytes -= size;
    heap.blocks--;
    std::free(header);
}

// ---- failing ----

void Program::fail(const char *oracle, const char *text) { broken(this, oracle, text); }

void Program::check_valid() {
    for (RuntimeModel &rt : rts_) {
        if (rt.rt && !rt.driving) expect(is_valid(rt.rt), "is_valid", "the runtime's equations hold");
    }
}

// ---- life ----

Program::Program(Choices *choices, uint32_t max_steps) : choices_(choices), max_steps_(max_steps) { running = this; }

void Program::choose_moods() {
    static constexpr uint8_t chances[] = {0, 0, 24, 6};
    moods_.forget = chances[below(4)];
    moods_.host = chances[below(4)];
    moods_.oom = chances[below(4)];
    moods_.chain = below(8) == 7 ? uint8_t(1 + below(2)) : uint8_t{0};
    moods_.stale = chances[below(4)];
    moods_.nest = chances[below(4)];
    moods_.swap = below(2) ? 24 : 0;
    moods_.leaf = below(2) ? uint8_t(1 + below(8)) : uint8_t{0};
    if (is_without("section10")) moods_.leaf = 0;
    moods_.fork = below(outside::scripted ? 16 : 4) == 1 ? 16 : 0;
    moods_.share = below(2) ? 8 : 0;
    if (is_without("forks")) moods_.fork = 0;
    bool tells = !std::strcmp(zyntax_runtime_backend(), "epoll"); // the owner of a number's registration, and edges
    if (is_without("sharing") || outside::scripted || !tells) moods_.share = 0;
    uint32_t rare = below(16);
    moods_.thread = rare == 15 ? 32 : 0;
    moods_.scopes = rare >= 11 && rare < 15 && !is_without("scopes");
    if (moods_.oom) moods_.oom = 2;
    if (is_without("forgetting")) moods_.forget = 0;
    if (is_without("hosts")) moods_.host = 0;
    if (is_without("memory")) moods_.oom = 0;
    if (is_without("chains")) moods_.chain = 0;
    if (is_without("stale")) moods_.stale = 0;
    if (is_without("nesting")) moods_.nest = 0;
    if (is_without("swapping")) moods_.swap = 0;
}

void Program::create_runtime(uint32_t r) {
    RuntimeModel &rt = rts_[r];
    if (rt.rt) return;
    uint64_t offset = rt.clock_offset_ns;
    rt.~RuntimeModel();
    ::new (&rt) RuntimeModel();
    rt.id = new_id();
    rt.clock_offset_ns = offset;
    zyntax_runtime_config config = {};
    config.size = sizeof config;
    config.alloc = Heap::alloc;
    config.free = Heap::free;
    config.alloc_ctx = &rt.heap;
    static constexpr uint32_t budgets[] = {0, 0, 1, 3, 16};
    config.poll_budget = budgets[below(5)];
    rt.budget = config.poll_budget ? config.poll_budget : 256;
    static constexpr uint32_t await_budgets[] = {0, 0, 0, 1, 2, 5, UINT32_MAX};
    if (!is_without("await_budget")) config.await_budget = await_budgets[below(7)];
    rt.await_budget = config.await_budget ? config.await_budget : 128;
    rt.stall = below(2);
    config.flags = rt.stall ? ZYNTAX_DETECT_STALL : 0;
    config.blocking_threads = below(4);
    if (below(8) == 7) {
        config.spin_us = 1;
        rt.slack_ns = 5000; // spinning counts its time roughly
    }
    if (below(4) == 3) {
        config.clock_ns = RuntimeModel::clock;
        config.clock_ctx = &rt;
        if (below(4) == 3) rt.clock_offset_ns += 1'000'000 * ms;
    } else {
        rt.clock_offset_ns = 0;
    }
    if (mood(moods_.oom) && below(4) == 3) {
        rt.heap.fail_in = 1 + below(3);
        rt.heap.fail_run = 1;
    }
    int32_t error = 1;
    rt.rt = zyntax_runtime_create_with(&config, &error);
    TRACE("create %u: %d (budget %u%s)", r, error, rt.budget, rt.stall ? ", stall detection" : "");
    expect((rt.rt != nullptr) == (error == 0), "create", "a runtime or an error");
    if (!rt.rt) expect(rt.heap.bytes == 0 && rt.heap.blocks == 0, "heap_balance", "a failed create gives all back");
}

// Another thread's last act makes this thread destroy the runtime at once, while the other thread may still be inside
// the call. This thread notices the act by driving, or by asking for work as a host does.
void Program::say_farewell(uint32_t r) {
    struct Farewell {
        zyntax_runtime *runtime;
        bool posts, heard;
        static void act(void *at) {
            auto *self = static_cast<Farewell *>(at);
            if (self->posts) zyntax_runtime_post(self->runtime, hear, self);
            else zyntax_runtime_stop(self->runtime);
        }
        static void hear(void *at) { static_cast<Farewell *>(at)->heard = true; }
    };
    RuntimeModel &rt = rts_[r];
    if (outside::scripted || !rt.rt || rt.driving || stack_size_ || is_without("farewell")) return;
    bool asks = below(2), seen = false;
    Farewell farewell{rt.rt, below(2) != 0, false};
    TRACE("farewell %u", r);
    settle(); // so that only the last act makes work
    zyntax_runtime_stats stats = {};
    stats.size = sizeof stats;
    zyntax_runtime_get_stats(rt.rt, &stats);
    if (asks) {
        rt.host_fd = zyntax_runtime_backend_fd(rt.rt);
        rt.host_waits = true;
        asks = stats.timers_pending == 0 && zyntax_runtime_next_timeout_ns(rt.rt) != 0;
    }
    quiet_ = true;
    bool stops = drive(r, 0, 0, 0) == ZYNTAX_ECANCELED; // from earlier
    rt.stop = 2;
    if (stops) return void(quiet_ = false);
    void *thread = outside::begin_on_other_thread(Farewell::act, &farewell);
    for (int i = 0; i < 10'000 && thread && !seen; i++) {
        seen = asks ? zyntax_runtime_next_timeout_ns(rt.rt) == 0 : drive(r, 0, 100'000, 0) == ZYNTAX_ECANCELED;
        if (farewell.posts && !asks) seen = farewell.heard;
        rt.stop = 2;
    }
    if (!seen) outside::join_other_thread(thread);
    destroy_runtime(r);
    if (seen) outside::join_other_thread(thread);
    quiet_ = false;
}

void Program::destroy_runtime(uint32_t r) {
    RuntimeModel &rt = rts_[r];
    if (!rt.rt || rt.driving || stack_size_ > max_runtimes) return;
    TRACE("destroy %u {", r);
    for (auto &state : states_) {
        if (state.at && state.rt == r) state.at = nullptr;
    }
    stack_[stack_size_++] = uint8_t(r);
    rt.driving = rt.ending = true;
    rt.one_round = false;
    bool was_in_call = in_call_;
    in_call_ = false;
    if (rt.edges) outside::edge_over(rt.host_fd);
    zyntax_runtime_destroy(rt.rt);
    in_call_ = was_in_call;
    stack_size_--;
    rt.driving = false;
    TRACE("}");
    for (auto &state : states_) {
        if (state.at && state.rt == r) state.at = nullptr;
    }
    reap();
    for (Actor &actor : actors_) {
        if (actor.alive && actor.rt == r && actor.child && actor.silent) {
            actor.alive = false;
            end_leaves(actor);
        }
        if (actor.alive && actor.rt == r) expect(false, "drop_never", "destroy drops every task");
    }
    for (uint32_t i = 0; i < max_regs; i++) {
        Reg &reg = regs_[i];
        if (!reg.id || reg.args.rt != r) continue;
        keep_old(nullptr, nullptr, reg.op, nullptr);
        free_reg(&reg, HostWaker::canceled);
    }
    for (Channel &channel : channels_) {
        if (channel.id && channel.rt == r) {
            keep_old(nullptr, nullptr, 0, channel.handle);
            channel.id = 0;
        }
    }
    for (Scope &scope : scopes_) {
        if (scope.rt == r) scope.id = 0;
    }
    for (Io &io : ios_) {
        if (io.id && io.rt == r) {
            keep_old(nullptr, nullptr, 0, io.handle);
            io.id = 0;
        }
    }
    for (Job &job : jobs_) {
        if (job.id && job.rt == r && job.drops && job.begun) expect(false, "job_drop", "destroy drops every job");
        if (job.id && job.rt == r) job.id = 0;
    }
    expect(rt.posted == 0, "post_never", "destroy runs what was posted");
    expect(rt.heap.bytes == 0 && rt.heap.blocks == 0, "heap_balance", "destroy gives all memory back");
    rt.rt = nullptr;
    for (Host &host : hosts_) {
        if (host.word.args.kind != Kind::none && host.word.args.rt == r) host.word.args.kind = Kind::none;
    }
}

void Program::drive_any() {
    uint32_t r = any_runtime();
    if (r == max_runtimes) return;
    static constexpr int64_t timeouts[] = {0, 0, 0, 1000, 5 * ms, -1, -1};
    uint32_t how = below(12);
    if (below(8) == 7) outside::run_threads();
    if (how < 8) drive(r, 0, timeouts[below(7)], 0);
    else if (how < 9) drive(r, 1, 0, 0);
    else if (how < 11) drive(r, 2, 0, any_actor());
    else drive(r, 3, 0, 0);
}

// A child is forked. It does nothing, or destroys its copies, or makes its own runtime. The parent does not notice.
void Program::fork_between() {
    if (stack_size_ || depth_) return;
    uint32_t what = below(3);
    TRACE("fork %u", what);
    flush_trace();
    pid_t child = fork();
    if (child == 0) be_a_child(what);
    if (child < 0) return;
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) report_child(this, status);
}

void Program::be_a_child(uint32_t what) {
    outside::be_a_child();
    outside::calm(true);
    is_copy_ = true;
    alarm(10);
    if (what == 1) {
        for (RuntimeModel &rt : rts_) {
            if (!rt.rt) continue;
            zyntax_runtime_destroy(rt.rt);
            expect(rt.heap.bytes == 0 && rt.heap.blocks == 0, "fork_memory", "destroy of a copy gives all memory back");
        }
        use_what_is_old();
        expect(outside::end(), "fork_leak", "destroy of a copy closes its descriptors");
    } else if (what == 2) {
        zyntax_runtime *runtime = zyntax_runtime_create();
        if (!runtime) report(this, "fork_create", "a child makes a runtime of its own");
        zyntax_op op = 0;
        Waker nobody = {nullptr, [](void *) {}};
        bool pending = zyntax_sleep(runtime, &op, 1000, &nobody) == POLL_PENDING;
        expect(pending, "fork_create", "a child's own runtime works");
        expect(zyntax_runtime_turn(runtime, 0) >= 0, "fork_create", "a child's own runtime works");
        zyntax_runtime_destroy(runtime);
    }
    _exit(0);
}

void Program::step() {
    steps_++;
    if (mood(moods_.fork)) fork_between();
    uint32_t what = below(64);
    if (what < 28) drive_any();
    else if (what < 58) side_action();
    else if (what < 60) settle();
    else if (what == 60) create_runtime(below(max_runtimes));
    else if (what == 61) {
        uint32_t r = below(max_runtimes);
        if (!outside::scripted && below(2)) say_farewell(r);
        if (below(4) == 3) destroy_runtime(r);
    } else {
        uint32_t r = any_runtime();
        if (r < max_runtimes) spawn(r);
    }
    check_between();
}

void Program::finish() {
    choices_->end();
    settle();
    for (uint32_t r = 0; r < max_runtimes; r++) destroy_runtime(r);
    use_what_is_old();
    expect(outside::end(), "leak", "a descriptor is open though all runtimes are gone");
}

// Wakers and handles of ended objects do nothing.
void Program::use_what_is_old() {
    for (uint32_t i = 0; i < max_old; i++) {
        if (old_tasks_[i]) {
            expect(!zyntax_task_alive(old_tasks_[i]), "stale", "an ended task does not live");
            expect(zyntax_task_cancel(old_tasks_[i]) == ZYNTAX_ESTALE, "stale", "an ended task cannot be cancelled");
        }
        if (old_wakers_[i].wake) {
            old_wakers_[i].wake(old_wakers_[i].data);
            zyntax_wake_from_signal(&old_wakers_[i]);
        }
        zyntax_op_cancel(&old_ops_[i]);
        if (old_handles_[i]) {
            expect(zyntax_io_fd(static_cast<zyntax_io *>(old_handles_[i])) == -1, "stale", "a handle of what is gone");
            expect(zyntax_channel_close(static_cast<zyntax_channel *>(old_handles_[i])) == ZYNTAX_ESTALE, "stale",
                   "a handle of what is gone");
        }
    }
}

void Program::run() {
    outside::begin(this, choices_);
    choose_moods();
    use_no_task();
    create_runtime(0);
    if (below(3)) create_runtime(1);
    for (uint32_t n = below(6); n > 0; n--) spawn(0);
    while (!choices_->over() && steps_ < max_steps_) step();
    finish();
}

} // namespace random_test
