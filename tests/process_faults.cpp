// Child processes with a lack of descriptors, memory or newer system calls. And many children at once.
#include "filter_support.h"
#include "process_support.h"

using namespace support;

namespace {

// Three pipes, a wait, a signal, a close. 0, or the number of the check that failed.
[[maybe_unused]] int works(uint64_t most_waits = idle_budget) { // Linux only
    Runtime rt;
    zyntax_io *pipes[3];
    zyntax_process *process = nullptr;
    Command command = shell("read line; echo $line; n=3; while [ $n -lt 100 ]; do [ -e /dev/fd/$n ] && exit 1; "
                            "n=$((n + 1)); done; exit 5");
    Fd inheritable(open("/dev/null", O_RDWR));
    for (intptr_t &what : command.stdio) what = ZYNTAX_STDIO_PIPE;
    if (command.spawn(rt, pipes, &process) != 0) return 1;
    if (await(rt, writing(pipes[0], "hi\n", 3)) != 3) return 2;
    char buf[8];
    if (await(rt, reading(pipes[1], buf, sizeof buf)) != 3) return 3;
    if (await(rt, ending(process)) != 5) return 4;
    for (zyntax_io *io : pipes) zyntax_io_close(io);
    process = begin(rt, sleeper());
    if (zyntax_process_signal(process, 0) != 0) return 5;
    Await waiting(rt, ending(process));
    settle(rt);
    if (rt.idle_waits() > most_waits) return 6;
    if (!waiting.alive()) return 7;
    if (zyntax_process_signal(process, SIGTERM) != 0) return 8;
    if (!rt.drain() || waiting.result != 256 + SIGTERM) return 9;
    if (zyntax_process_signal(process, SIGTERM) != ZYNTAX_ESRCH) return 10;
    if (!Command{{"/no/such/file"}}.spawn(rt, nullptr, &process)) return 11;
    process = begin(rt, shell("exit 3"));
    if (zyntax_process_close(process) != 0 || !rt.drive_until(has_no_child)) return 12;
    pid_t mine = fork();
    if (mine == 0) _exit(7);
    if (zyntax_process_watch(rt, mine, &process) != 0) return 13;
    if (await(rt, ending(process)) != 7) return 14;
    if (waitpid(mine, nullptr, 0) != mine) return 15;
    begin(rt, sleeper().with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME));
    begin(rt, sleeper().with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME | ZYNTAX_PROCESS_GROUP));
    rt.destroy();
    return has_no_child() ? 0 : 16;
}

} // namespace

TEST_CASE("a_thousand_children_at_once_end_one_by_one") {
    ManyDescriptors many;
    Runtime rt;
    int count = scaled(1000);
    if (most_descriptors() < count + 100) count = most_descriptors() / 2;
    int before = fd_count();
    std::vector<zyntax_process *> children;
    std::deque<Await> tasks;
    zyntax_io *pipes[3];
    Pair gate = pipe_from_runtime(); // all of them read from it
    make_blocking(gate.far);
    for (int i = 0; i < count; i++) {
        Command command = shell("read line; exit " + std::to_string(i % 256)).with(0, gate.far);
        children.push_back(begin(rt, command, pipes));
        tasks.emplace_back(rt, ending(children.back()));
    }
    settle(rt);
    CHECK(rt.stats().io_open == uint64_t(count));
    CHECK(rt.idle_waits() <= idle_budget);
    gate.far.reset();
    gate.near.reset(); // the end of the input
    CHECK(rt.drive_until([&] { return zyntax_runtime_turn(rt, 0) == 0; }, 60'000));
    int good = 0;
    for (int i = 0; i < count; i++) good += tasks[size_t(i)].result == i % 256;
    CHECK(good == count);
    for (zyntax_process *child : children) CHECK(zyntax_process_close(child) == 0);
    CHECK(has_no_child());
    CHECK(rt.stats().io_open == 0);
    CHECK(fd_count() == before);
}

TEST_CASE("a_child_inherits_nothing_that_another_thread_opens_meanwhile") {
    Runtime rt;
    std::atomic<bool> over{false};
    auto open_and_close = [&] {
        while (!over) {
            int fds[20];
            for (int &fd : fds) fd = open("/dev/null", O_RDWR); // inherited by an exec without care
            for (int fd : fds) ::close(fd);
        }
    };
    Thread one(open_and_close), other(open_and_close);
    Command command = shell("n=3; while [ $n -lt 100 ]; do [ -e /dev/fd/$n ] && exit 1; n=$((n + 1)); done");
    for (int i = 0; i < scaled(200); i++) {
        zyntax_process *process = begin(rt, command);
        CHECK(await(rt, ending(process)) == 0);
        CHECK(zyntax_process_close(process) == 0);
    }
    over = true;
    one.join();
    other.join();
}

// A child of another thread's fork has copies of everything, also of the pipe that tells how the exec went.
TEST_CASE("a_process_that_another_thread_forks_does_not_delay_a_spawn") {
    SKIP_WHEN(sanitized || under_emulation(), "vfork is a fork there");
    Runtime rt;
    std::atomic<bool> over{false};
    std::vector<pid_t> forked;
    Thread forker([&] {
        while (!over && forked.size() < 500) {
            pid_t pid = fork();
            if (pid == 0) {
                sleep(60);
                _exit(0);
            }
            forked.push_back(pid);
        }
    });
    auto begin_time = std::chrono::steady_clock::now();
    for (int i = 0; i < 50; i++) CHECK(await(rt, ending(begin(rt, shell("exit 0")))) == 0);
    CHECK(std::chrono::steady_clock::now() - begin_time < std::chrono::seconds(30));
    over = true;
    forker.join();
    for (pid_t pid : forked) {
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, nullptr, 0) == pid);
    }
}

TEST_CASE("without_a_free_descriptor_spawn_fails_and_changes_nothing") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    Runtime rt;
    for (bool has_pipes : {false, true}) {
        Command command = shell("exit 4");
        if (has_pipes)
            for (intptr_t &what : command.stdio) what = ZYNTAX_STDIO_PIPE;
        int32_t error = ZYNTAX_EMFILE;
        for (int spare = 0; error != 0; spare++) {
            CAPTURE(spare);
            REQUIRE(spare < 30);
            auto *nobody = reinterpret_cast<zyntax_process *>(uintptr_t(1)), *process = nobody;
            zyntax_io *pipes[3] = {nullptr, nullptr, nullptr};
            int before = fd_count();
            {
                FewDescriptors few(spare);
                error = command.spawn(rt, pipes, &process);
            }
            if (error != 0) {
                CHECK(error == ZYNTAX_EMFILE);
                CHECK(process == nobody);
                CHECK(fd_count() == before);
                CHECK(rt.stats().io_open == 0);
                CHECK(has_no_child());
                continue;
            }
            CHECK(spare > 0);
            CHECK(await(rt, ending(process)) == 4); // also without a descriptor for its end
            for (zyntax_io *io : pipes)
                if (io) CHECK(zyntax_io_close(io) == 0);
            CHECK(zyntax_process_close(process) == 0);
            CHECK(fd_count() == before);
            CHECK(has_no_child());
        }
    }
}

TEST_CASE("a_child_that_has_no_descriptor_for_its_end_is_still_waited_for") {
    Runtime rt;
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        usleep(20'000);
        _exit(3);
    }
    zyntax_process *process = nullptr;
    {
        FewDescriptors none;
        REQUIRE(zyntax_process_watch(rt, pid, &process) == 0);
    }
    CHECK(await(rt, ending(process)) == 3);
    CHECK(waitpid(pid, nullptr, 0) == pid);
    CHECK(rt.stats().timers_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("without_memory_spawn_watch_and_wait_are_enomem_and_change_nothing") {
    for (bool persistent : {false, true}) {
        bool failed = true;
        for (uint64_t nth = 1; failed; nth++) {
            CAPTURE(nth);
            CAPTURE(persistent);
            REQUIRE(nth < 100);
            Heap heap;
            {
                Runtime rt(heap.config());
                int before = fd_count();
                Command command = shell("exit 4");
                for (intptr_t &what : command.stdio) what = ZYNTAX_STDIO_PIPE;
                zyntax_io *pipes[3] = {nullptr, nullptr, nullptr};
                zyntax_process *process = nullptr, *watching = nullptr;
                heap.persistent = persistent;
                heap.fail_at = nth;
                int32_t error = command.spawn(rt, pipes, &process);
                failed = heap.failures > 0;
                heap.fail_at = 0;
                if (error != 0) {
                    CHECK(error == ZYNTAX_ENOMEM);
                    CHECK(failed);
                    CHECK(fd_count() == before);
                    CHECK(rt.stats().io_open == 0);
                    CHECK(rt.stats().bytes_in_use == 0);
                    CHECK(has_no_child());
                    REQUIRE(command.spawn(rt, pipes, &process) == 0);
                }
                heap.fail_at = nth;
                heap.failures = 0;
                error = zyntax_process_watch(rt, zyntax_process_id(process), &watching);
                failed = failed || heap.failures > 0;
                heap.fail_at = 0;
                CHECK((error == 0 || (error == ZYNTAX_ENOMEM && heap.failures > 0) || error == ZYNTAX_ESRCH));
                CHECK(await(rt, ending(process)) == 4);
            }
            CHECK(heap.balanced());
            CHECK(has_no_child());
        }
    }
}

TEST_CASE("a_wait_without_memory_is_enomem_and_the_next_one_works") {
    Heap heap;
    Runtime rt(heap.config());
    zyntax_process *process = begin(rt, sleeper());
    std::deque<zyntax_op> ops;
    ScopedTask task(rt);
    bool is_short = false;
    task.on_poll = [&](Waker *waker) {
        heap.persistent = true;
        heap.fail_at = 1;
        for (int i = 0; i < 5000 && !is_short; i++) {
            int64_t result = unset;
            PollStatus status = zyntax_process_wait(process, &ops.emplace_back(0), waker, &result);
            is_short = status == POLL_READY;
            if (is_short) CHECK(result == ZYNTAX_ENOMEM);
        }
        heap.fail_at = 0;
        for (zyntax_op &op : ops) zyntax_op_cancel(&op);
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    CHECK(is_short);
    CHECK(zyntax_process_signal(process, SIGKILL) == 0);
    CHECK(await(rt, ending(process)) == 256 + SIGKILL);
}

TEST_CASE("ending_closing_and_destroying_need_no_memory") {
    Heap heap;
    {
        Runtime rt(heap.config());
        zyntax_process *process = begin(rt, sleeper()), *closed = begin(rt, sleeper());
        begin(rt, sleeper().with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME));
        Await task(rt, ending(process));
        settle(rt);
        heap.persistent = true;
        heap.fail_at = 1;
        CHECK(zyntax_process_signal(process, SIGKILL) == 0);
        CHECK(zyntax_process_signal(closed, SIGKILL) == 0);
        CHECK(zyntax_process_close(closed) == 0);
        CHECK(rt.drain());
        CHECK(task.result == 256 + SIGKILL);
        rt.destroy();
        CHECK(heap.failures == 0);
    }
    CHECK(heap.balanced());
}

#if defined(__linux__) && __has_include(<linux/seccomp.h>) && defined(SYS_pidfd_open) && defined(SYS_close_range)
TEST_CASE("processes_work_where_a_newer_system_call_is_refused") {
    SKIP_WHEN(on_libkqueue, "libkqueue makes calls of its own");
    const Refused newer_calls[] = {
        {"pidfd_open", SYS_pidfd_open}, {"pidfd_send_signal", SYS_pidfd_send_signal}, {"close_range", SYS_close_range}};
    for (const Refused &call : newer_calls) {
        for (int error : {EPERM, EACCES, EINVAL, ENOSYS}) {
            if (call.number == SYS_pidfd_send_signal && (error == EACCES || error == EINVAL)) continue;
            CAPTURE(std::string(call.name));
            CAPTURE(error);
            uint64_t most_waits = call.number == SYS_pidfd_open ? 20 : idle_budget; // it looks again and again
            Child child([&] { return refuse(call, error) ? works(most_waits) : no_filters; });
            int end = child.end();
            SKIP_WHEN(end == no_filters, "this process cannot install a filter of system calls");
            CHECK(end == 0);
        }
    }
}

TEST_CASE("processes_work_without_a_call_for_all_descriptors_and_without_their_list") {
    SKIP_WHEN(on_libkqueue, "libkqueue makes calls of its own");
    Child child([] {
        bool refuses =
            refuse({"close_range", SYS_close_range}, ENOSYS) && refuse({"getdents64", SYS_getdents64}, ENOSYS);
        return refuses ? works() : no_filters;
    });
    int end = child.end();
    SKIP_WHEN(end == no_filters, "this process cannot install a filter of system calls");
    CHECK(end == 0);
}
#endif
