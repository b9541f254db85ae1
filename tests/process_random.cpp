// Random tasks that spawn, wait for, signal and close child processes, while system calls fail at random. A model knows
// how each child ends. An executable of its own, because it replaces these calls.
#include "process_support.h"

#include <cstdarg>
#include <deque>
#include <dlfcn.h>
#include <random>
#include <sys/syscall.h>
#include <sys/wait.h>

using namespace support;

namespace {

bool fails = false;
std::mt19937 dice;

uint32_t roll(uint32_t n) { return dice() % n; }

// A failure of a call by the runtime; `hard` of 0: it may only be interrupted.
bool has_failed(int hard, uint32_t rarely) {
    if (!fails || roll(rarely)) return false;
    errno = hard && roll(2) ? hard : EINTR;
    return true;
}

template <class F> F next_of(const char *name) { return reinterpret_cast<F>(dlsym(RTLD_NEXT, name)); }

} // namespace

extern "C" {
int pipe2(int ends[2], int flags) noexcept {
    static auto real = next_of<int (*)(int *, int)>("pipe2");
    if (fails && !roll(12)) {
        errno = roll(2) ? EMFILE : ENFILE;
        return -1;
    }
    return real(ends, flags);
}
int waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
    static auto real = next_of<int (*)(idtype_t, id_t, siginfo_t *, int)>("waitid");
    if (has_failed(0, 6)) return -1;
    return real(type, id, info, options);
}
int poll(pollfd *list, nfds_t n, int timeout) {
    static auto real = next_of<int (*)(pollfd *, nfds_t, int)>("poll");
    if (has_failed(0, 6)) return -1;
    return real(list, n, timeout);
}
// Without pidfds the runtime looks at the child by a timer.
long syscall(long number, ...) noexcept {
    static auto real = next_of<long (*)(long, ...)>("syscall");
    va_list list;
    va_start(list, number);
    long given[6];
    for (long &each : given) each = va_arg(list, long);
    va_end(list);
    if (fails && number == SYS_pidfd_open && !roll(3)) {
        errno = roll(2) ? ENOSYS : EMFILE;
        return -1;
    }
    if (fails && number == SYS_pidfd_send_signal && !roll(4)) {
        errno = roll(2) ? ENOSYS : EPERM; // the older call does the work
        return -1;
    }
    return real(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
}

namespace {

constexpr int workers = 5;

struct World {
    Heap heap;
    Runtime rt{heap.config()};
    int spawns_left = 0, begun = 0, refused = 0, killed = 0, waits = 0, given_up = 0;
};

// A child as the model knows it. It exits with `status`, or lives until a signal ends it.
struct Child {
    zyntax_process *process = nullptr;
    zyntax_io *pipes[3] = {};
    int status = 0;
    bool lives_on = false;
    std::vector<int> signals{}; // sent, and accepted
    bool is_reported = false;
    int64_t end = 0; // as reported first
};

// One task: it makes a child, waits for it, sends it signals, gives waits up, closes it; then it makes the next.
struct Worker {
    World &world;
    ScopedTask task;
    std::unique_ptr<Child> child;
    int patience = 0;
    bool waiting = false;

    explicit Worker(World &w) : world(w), task(w.rt) {
        task.on_poll = [this](Waker *waker) { return poll(waker); };
        task.start();
    }

    // Whether there is a child now.
    bool spawn() {
        auto made = std::make_unique<Child>();
        made->status = int(roll(256));
        made->lives_on = !roll(3);
        Command command = made->lives_on ? sleeper() : shell("exit " + std::to_string(made->status));
        bool has_pipe = !roll(3);
        if (has_pipe) command = command.with(int(roll(3)), ZYNTAX_STDIO_PIPE);
        if (!roll(3)) command = command.with_flags(ZYNTAX_PROCESS_GROUP);
        if (made->lives_on) command = command.with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME);
        bool is_missing = !roll(8);
        if (is_missing) command.file = "/nonexistent/program";
        auto *untouched = reinterpret_cast<zyntax_process *>(uintptr_t{1});
        made->process = untouched;
        int32_t error = command.spawn(world.rt, made->pipes, &made->process);
        if (error) {
            bool is_documented = error == ZYNTAX_EMFILE || error == ZYNTAX_ENFILE;
            CHECK((is_documented || (is_missing && error == ZYNTAX_ENOENT)));
            CHECK(made->process == untouched);
            for (zyntax_io *pipe : made->pipes) CHECK(pipe == nullptr);
            world.refused++;
            return false;
        }
        CHECK_FALSE(is_missing);
        CHECK(zyntax_process_id(made->process) > 0);
        world.begun++;
        child = std::move(made);
        return true;
    }

    bool fits(int64_t end) const {
        for (int number : child->signals)
            if (end == 256 + number) return true;
        return !child->lives_on && end == child->status;
    }

    void signal(int number) {
        int32_t error = zyntax_process_signal(child->process, number);
        if (error == ZYNTAX_ESRCH) {
            CHECK((!child->lives_on || !child->signals.empty()));
            return;
        }
        CHECK(error == 0);
        if (number) child->signals.push_back(number);
        world.killed += number != 0;
    }

    void close() {
        // The handle's end is not the child's: the runtime reaps it.
        if (child->lives_on && child->signals.empty()) signal(SIGKILL);
        for (zyntax_io *pipe : child->pipes)
            if (pipe) CHECK(zyntax_io_close(pipe) == 0);
        CHECK(zyntax_process_close(child->process) == 0);
        CHECK(zyntax_process_close(child->process) == ZYNTAX_ESTALE);
        CHECK(zyntax_process_signal(child->process, SIGTERM) == ZYNTAX_ESTALE);
        CHECK(zyntax_process_id(child->process) == ZYNTAX_ESTALE);
        child.reset();
    }

    void check(int64_t end) {
        world.waits++;
        CAPTURE(end);
        CHECK(fits(end));
        if (child->is_reported) CHECK(end == child->end); // each wait tells the same
        child->is_reported = true;
        child->end = end;
    }

    PollStatus pause(Waker *waker) {
        waker->wake(waker->data);
        return POLL_PENDING;
    }

    PollStatus poll(Waker *waker) {
        for (;;) {
            if (!child) {
                if (world.spawns_left-- <= 0) return POLL_READY;
                if (!spawn()) return pause(waker);
                patience = roll(3) ? 1000 : int(roll(3));
            }
            if (waiting && !roll(6)) {
                zyntax_op_cancel(&task.op);
                waiting = false;
                world.given_up++;
            }
            switch (roll(8)) {
            case 0:
                signal(roll(2) ? SIGTERM : SIGKILL);
                break;
            case 1:
                signal(0);
                break;
            case 2:
                if (waiting) break;
                close();
                continue;
            case 3:
                return pause(waker); // does nothing for a poll, whatever the wait was
            default:
                break;
            }
            if (child->lives_on && child->signals.empty()) {
                if (roll(4)) return pause(waker);
                signal(SIGTERM);
            }
            int64_t end = unfinished;
            if (zyntax_process_wait(child->process, &task.op, waker, &end) == POLL_READY) {
                waiting = false;
                check(end);
                if (!roll(3)) close();
                continue;
            }
            waiting = true;
            if (patience-- > 0) return POLL_PENDING;
            zyntax_op_cancel(&task.op);
            waiting = false;
            patience = 1000;
            world.given_up++;
            return pause(waker);
        }
    }
};

void run_world(uint32_t seed) {
    CAPTURE(seed);
    dice.seed(seed);
    syscall(SYS_getpid); // finds the system's own function before a child of vfork calls it
    int before = fd_count();
    {
        World world;
        world.spawns_left = sanitized ? 60 : 200;
        uint64_t in_use = world.rt.stats().bytes_in_use;
        fails = true;
        {
            std::deque<Worker> all;
            for (int i = 0; i < workers; i++) all.emplace_back(world);
            CHECK(world.rt.drain());
        }
        fails = false;
        // Also children whose handles were closed are reaped while the runtime is driven.
        CHECK(world.rt.drive_until(has_no_child));
        CHECK(world.rt.drive_until([&] { return world.rt.stats().bytes_in_use == in_use; }));
        CHECK(world.rt.stats().io_open == 0);
        CHECK(world.begun > 0);
        CHECK(world.refused > 0);
        CHECK(world.killed > 0);
        CHECK(world.waits > 0);
        CHECK(world.given_up > 0);
        // Children that live at the runtime's end are killed and reaped with it.
        zyntax_process *left = nullptr;
        CHECK(sleeper().with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME).spawn(world.rt, nullptr, &left) == 0);
        fails = true;
        world.rt.destroy();
        fails = false;
        CHECK(has_no_child());
        CHECK(world.heap.balanced());
    }
    CHECK(fd_count() == before);
}

} // namespace

TEST_CASE("random_tasks_with_children_lose_no_end_no_zombie_and_no_descriptor") {
    for (uint32_t seed = 1; seed <= 5; seed++) run_world(seed);
    run_world(std::random_device()());
}
