// The end of a child process: its status, its waiters, and its parent.
#include "process_support.h"

using namespace support;

namespace {

// A child that the host makes.
pid_t fork_host_child(int status, bool waits = false) {
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid != 0) return pid;
    if (waits) sleep(60);
    _exit(status);
}

void end_now(zyntax_process *process) { CHECK(zyntax_process_signal(process, SIGKILL) == 0); }

} // namespace

TEST_CASE("wait_tells_the_exit_status_as_often_as_asked") {
    Runtime rt;
    for (int status : {0, 1, 42, 127, 255}) {
        CAPTURE(status);
        zyntax_process *process = begin(rt, shell("exit " + std::to_string(status)));
        for (int i = 0; i < 3; i++) CHECK(await(rt, ending(process)) == status);
        CHECK(zyntax_process_close(process) == 0);
    }
    CHECK(has_no_child());
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("wait_tells_256_and_the_signal_that_ended_a_child") {
    Runtime rt;
    for (int number : {SIGKILL, SIGTERM, SIGINT, SIGUSR1}) {
        CAPTURE(number);
        zyntax_process *process = begin(rt, sleeper());
        CHECK(zyntax_process_signal(process, number) == 0);
        CHECK(await(rt, ending(process)) == 256 + number);
        CHECK(zyntax_process_signal(process, number) == ZYNTAX_ESRCH);
    }
    CHECK(has_no_child());
}

TEST_CASE("any_number_of_tasks_may_wait_for_one_child") {
    Runtime rt;
    zyntax_process *process = begin(rt, sleeper());
    std::deque<Await> tasks;
    for (int i = 0; i < 100; i++) tasks.emplace_back(rt, ending(process));
    settle(rt);
    for (Await &task : tasks) CHECK(task.alive());
    for (size_t i = 0; i < tasks.size(); i += 2) tasks[i].cancel();
    settle(rt);
    end_now(process);
    CHECK(rt.drain());
    for (size_t i = 0; i < tasks.size(); i++) CHECK(tasks[i].result == (i % 2 ? 256 + SIGKILL : unfinished));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_child_that_ends_before_the_first_wait_is_reaped_and_told") {
    Runtime rt;
    zyntax_process *process = begin(rt, shell("exit 9"));
    CHECK(rt.drive_until(has_no_child)); // the runtime is driven, but no task waits
    CHECK(await(rt, ending(process)) == 9);
    CHECK(zyntax_process_signal(process, 0) == ZYNTAX_ESRCH);
    process = begin(rt, shell("exit 8"));
    siginfo_t info{};
    CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
    CHECK(zyntax_process_signal(process, SIGTERM) == ZYNTAX_ESRCH); // though the loop has not heard of it
    CHECK(await(rt, ending(process)) == 8);
}

TEST_CASE("a_wait_does_not_spin_while_the_child_runs") {
    Runtime rt;
    zyntax_process *process = begin(rt, sleeper());
    Await task(rt, ending(process));
    settle(rt);
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(task.alive());
    end_now(process);
    CHECK(rt.drain());
    CHECK(task.result == 256 + SIGKILL);
}

TEST_CASE("a_busy_loop_hears_of_an_end") {
    Runtime rt;
    zyntax_process *process = begin(rt, shell("exit 5"));
    Await task(rt, ending(process));
    ScopedTask busy(rt);
    busy.on_poll = [&](Waker *waker) {
        if (!task.alive()) return POLL_READY;
        waker->wake(waker->data);
        return POLL_PENDING;
    };
    busy.start();
    CHECK(rt.drain());
    CHECK(task.result == 5);
}

TEST_CASE("run_and_block_on_wait_for_a_child_and_no_stall_is_seen") {
    auto c = config();
    c.flags = ZYNTAX_DETECT_STALL;
    Runtime rt(c);
    zyntax_process *process = begin(rt, shell("sleep 0.05; exit 4"));
    Await task(rt, ending(process));
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(task.result == 4);
    Task stalled{[](Waker *) { return POLL_PENDING; }};
    zyntax_process *other = begin(rt, sleeper());
    stalled.spawn(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK); // no task waits for the child
    end_now(other);
    CHECK(await(rt, ending(other)) == 256 + SIGKILL);
}

TEST_CASE("waits_are_cancelled_and_lose_nothing") {
    Runtime rt;
    zyntax_process *process = begin(rt, sleeper());
    {
        Await task(rt, ending(process));
        settle(rt);
        task.cancel();
        CHECK(rt.drain());
        CHECK(task.result == unfinished);
    }
    {
        Await task(rt, ending(process));
        settle(rt);
        end_now(process);
        siginfo_t info{};
        CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
        task.cancel(); // the event is there
        CHECK(rt.drain());
        CHECK(task.result == unfinished);
    }
    CHECK(await(rt, ending(process)) == 256 + SIGKILL);
}

TEST_CASE("a_forgotten_wait_is_given_up_with_its_task") {
    Runtime rt;
    zyntax_process *process = begin(rt, sleeper());
    zyntax_op op = 0;
    int64_t result = unset;
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        CHECK(zyntax_process_wait(process, &op, waker, &result) == POLL_PENDING);
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    settle(rt);
    end_now(process);
    CHECK(await(rt, ending(process)) == 256 + SIGKILL);
    CHECK(result == unset);
}

TEST_CASE("close_ends_waits_and_the_child_goes_on_and_is_reaped") {
    Runtime rt;
    zyntax_io *pipes[3];
    zyntax_process *process = begin(rt, shell("read line").with(0, ZYNTAX_STDIO_PIPE), pipes);
    int64_t pid = zyntax_process_id(process);
    Await task(rt, ending(process));
    settle(rt);
    CHECK(zyntax_process_close(process) == 0);
    CHECK(rt.drain());
    CHECK(task.result == ZYNTAX_ECANCELED);
    CHECK(exists(pid));
    CHECK(rt.idle_waits() <= idle_budget);
    CHECK(zyntax_process_close(process) == ZYNTAX_ESTALE);
    CHECK(zyntax_process_signal(process, SIGKILL) == ZYNTAX_ESTALE);
    CHECK(zyntax_process_id(process) == ZYNTAX_ESTALE);
    CHECK(await(rt, ending(process)) == ZYNTAX_ESTALE);
    CHECK(zyntax_io_close(pipes[0]) == 0); // which ends it
    CHECK(rt.drive_until(has_no_child));
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("bad_handles_and_arguments_are_refused") {
    Runtime rt;
    zyntax_process *process = begin(rt, sleeper());
    for (void *handle :
         {static_cast<void *>(nullptr), reinterpret_cast<void *>(uintptr_t(0x1234567)), static_cast<void *>(rt.rt)}) {
        auto *bad = static_cast<zyntax_process *>(handle);
        CHECK(zyntax_process_close(bad) == ZYNTAX_ESTALE);
        CHECK(zyntax_process_signal(bad, SIGKILL) == ZYNTAX_ESTALE);
        CHECK(zyntax_process_id(bad) == ZYNTAX_ESTALE);
        CHECK(await(rt, ending(bad)) == ZYNTAX_ESTALE);
    }
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    CHECK(zyntax_process_close(reinterpret_cast<zyntax_process *>(io)) == ZYNTAX_ESTALE);
    CHECK(zyntax_io_close(reinterpret_cast<zyntax_io *>(process)) == ZYNTAX_ESTALE);
    CHECK(zyntax_process_signal(process, -1) == ZYNTAX_EINVAL);
    CHECK(zyntax_process_signal(process, 10'000) == ZYNTAX_EINVAL);
    CHECK(await(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
              CHECK(zyntax_process_wait(process, nullptr, waker, result) == POLL_READY);
              CHECK(*result == ZYNTAX_EINVAL);
              CHECK(zyntax_process_wait(process, op, nullptr, result) == POLL_READY);
              CHECK(*result == ZYNTAX_EINVAL);
              return zyntax_process_wait(process, op, waker, nullptr);
          }) == ZYNTAX_EINVAL);
    std::atomic<int64_t> elsewhere{0};
    ScopedTask task(rt); // another thread may not use it while this one drives
    task.on_poll = [&](Waker *) {
        Thread([&] { elsewhere = zyntax_process_id(process); }).join();
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    CHECK(elsewhere == ZYNTAX_ESTALE);
    end_now(process);
    CHECK(await(rt, ending(process)) == 256 + SIGKILL);
}

TEST_CASE("the_number_of_a_process_is_its_id") {
    Runtime rt;
    Output output = output_of(rt, shell("echo $$"));
    CHECK(std::stol(output.text) > 0);
    zyntax_process *process = begin(rt, sleeper());
    int64_t pid = zyntax_process_id(process);
    CHECK(exists(pid));
    end_now(process);
    CHECK(await(rt, ending(process)) == 256 + SIGKILL);
    CHECK(zyntax_process_id(process) == pid);
    CHECK_FALSE(exists(pid));
}

TEST_CASE("a_signal_reaches_the_process_or_with_the_flag_its_group") {
    Runtime rt;
    for (bool as_group : {false, true}) {
        CAPTURE(as_group);
        zyntax_io *pipes[3];
        Command command = shell("sleep 60 & echo $!; wait").with(1, ZYNTAX_STDIO_PIPE);
        zyntax_process *process = begin(rt, command.with_flags(as_group ? ZYNTAX_PROCESS_GROUP : 0), pipes);
        char text[32] = "";
        CHECK(await(rt, reading(pipes[1], text, sizeof text - 1)) > 0);
        long grandchild = std::atol(text);
        REQUIRE(grandchild > 1);
        CHECK(zyntax_process_signal(process, SIGKILL) == 0);
        CHECK(await(rt, ending(process)) == 256 + SIGKILL);
        char byte; // the pipe is open as long as the grandchild lives
        Await end(rt, reading(pipes[1], &byte, 1));
        CHECK(rt.drive_until([&] { return !end.alive(); }, as_group ? deadline_ms : 30) == as_group);
        kill(pid_t(grandchild), SIGKILL);
        CHECK(rt.drain());
        CHECK(zyntax_io_close(pipes[1]) == 0);
    }
}

// ---- the host's own children ----

TEST_CASE("watch_tells_the_end_of_a_child_of_the_host_and_does_not_reap_it") {
    Runtime rt;
    pid_t pid = fork_host_child(7);
    zyntax_process *process = nullptr;
    REQUIRE(zyntax_process_watch(rt, pid, &process) == 0);
    CHECK(zyntax_process_id(process) == pid);
    CHECK(await(rt, ending(process)) == 7);
    CHECK(await(rt, ending(process)) == 7);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WEXITSTATUS(status) == 7);
    CHECK(await(rt, ending(process)) == 7); // it is known
    CHECK(zyntax_process_close(process) == 0);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("several_handles_may_watch_one_process") {
    Runtime rt;
    pid_t pid = fork_host_child(0, true);
    zyntax_process *handles[3];
    for (auto &handle : handles) REQUIRE(zyntax_process_watch(rt, pid, &handle) == 0);
    zyntax_process *spawned = begin(rt, sleeper()), *watched = nullptr;
    REQUIRE(zyntax_process_watch(rt, zyntax_process_id(spawned), &watched) == 0);
    std::deque<Await> tasks;
    for (auto *handle : handles) tasks.emplace_back(rt, ending(handle));
    settle(rt);
    CHECK(zyntax_process_close(handles[1]) == 0);
    end_now(handles[0]);
    CHECK(rt.drain());
    CHECK(tasks[0].result == 256 + SIGKILL);
    CHECK(tasks[1].result == ZYNTAX_ECANCELED);
    CHECK(tasks[2].result == 256 + SIGKILL);
    CHECK(waitpid(pid, nullptr, 0) == pid);
    end_now(spawned);
    int64_t status = await(rt, ending(watched)); // unless the other handle's turn came first and it was reaped
    CHECK((status == 256 + SIGKILL || status == ZYNTAX_ECHILD));
    CHECK(await(rt, ending(spawned)) == 256 + SIGKILL);
}

TEST_CASE("a_watched_child_that_the_host_reaps_first_is_echild") {
    Runtime rt;
    pid_t pid = fork_host_child(0, true);
    zyntax_process *process = nullptr;
    REQUIRE(zyntax_process_watch(rt, pid, &process) == 0);
    Await task(rt, ending(process));
    settle(rt);
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, nullptr, 0) == pid);
    CHECK(rt.drain());
    CHECK(task.result == ZYNTAX_ECHILD);
    CHECK(zyntax_process_signal(process, 0) == ZYNTAX_ESRCH);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("only_children_can_be_watched") {
    Runtime rt;
    auto *nobody = reinterpret_cast<zyntax_process *>(uintptr_t(1)), *process = nobody;
    pid_t gone = fork_host_child(0);
    CHECK(waitpid(gone, nullptr, 0) == gone);
    CHECK(zyntax_process_watch(rt, gone, &process) == ZYNTAX_ESRCH);
    CHECK(zyntax_process_watch(rt, getpid(), &process) == ZYNTAX_ECHILD);
    CHECK(zyntax_process_watch(rt, getppid(), &process) == ZYNTAX_ECHILD);
    CHECK(zyntax_process_watch(rt, INT64_MAX, &process) == ZYNTAX_ESRCH);
    CHECK(zyntax_process_watch(rt, (int64_t(1) << 32) + getpid(), &process) == ZYNTAX_ESRCH);
    for (int64_t none : {int64_t(0), int64_t(-1), INT64_MIN})
        CHECK(zyntax_process_watch(rt, none, &process) == ZYNTAX_EINVAL);
    CHECK(zyntax_process_watch(nullptr, gone, &process) == ZYNTAX_EINVAL);
    CHECK(zyntax_process_watch(rt, gone, nullptr) == ZYNTAX_EINVAL);
    CHECK(process == nobody);
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("no_other_child_of_the_host_is_waited_for") {
    Runtime rt;
    pid_t mine = fork_host_child(3);
    for (int i = 0; i < 10; i++) CHECK(await(rt, ending(begin(rt, shell("exit 2")))) == 2);
    CHECK(Command{{"/no/such/file"}}.spawn(rt, nullptr, nullptr) == ZYNTAX_EINVAL);
    int status = 0;
    CHECK(waitpid(mine, &status, 0) == mine);
    CHECK(WEXITSTATUS(status) == 3);
    CHECK(has_no_child());
}

TEST_CASE("a_status_that_the_host_takes_first_is_echild_and_every_wait_ends") {
    Child child([] {
        Runtime rt;
        std::atomic<bool> over{false};
        Thread thief([&] {
            while (!over)
                if (waitpid(-1, nullptr, WNOHANG) <= 0) sched_yield();
        });
        int lost = 0, good = 0;
        for (int i = 0; i < scaled(200); i++) {
            zyntax_process *process = nullptr;
            if (shell("exit 6").spawn(rt, nullptr, &process) != 0) return 1;
            int64_t status = await(rt, ending(process));
            (status == 6 ? good : lost)++;
            if (status != 6 && status != ZYNTAX_ECHILD) return 2;
            if (zyntax_process_signal(process, SIGKILL) != ZYNTAX_ESRCH) return 3;
            if (zyntax_process_close(process) != 0) return 4;
        }
        over = true;
        thief.join();
        return rt.stats().io_open == 0 && lost + good > 0 ? 0 : 5;
    });
    CHECK(child.end() == 0);
}

TEST_CASE("a_host_that_ignores_sigchld_gets_echild") {
    Child child([] {
        signal(SIGCHLD, SIG_IGN);
        Runtime rt;
        for (const char *script : {"exit 6", "sleep 0.02"}) {
            zyntax_process *process = begin(rt, shell(script));
            if (await(rt, ending(process)) != ZYNTAX_ECHILD) return 1;
            if (zyntax_process_signal(process, SIGKILL) != ZYNTAX_ESRCH) return 2;
        }
        zyntax_process *none = nullptr;
        if (Command{{"/no/such/file"}}.spawn(rt, nullptr, &none) != ZYNTAX_ENOENT) return 3;
        return signal(SIGCHLD, SIG_DFL) == SIG_IGN ? 0 : 4;
    });
    CHECK(child.end() == 0);
}

// ---- the runtime's end ----

TEST_CASE("destroy_leaves_living_children_and_reaps_those_that_have_ended") {
    Runtime rt;
    zyntax_process *living = begin(rt, sleeper()), *closed = begin(rt, sleeper());
    begin(rt, shell("exit 1"));
    pid_t pids[] = {pid_t(zyntax_process_id(living)), pid_t(zyntax_process_id(closed))};
    CHECK(zyntax_process_close(closed) == 0);
    Await task(rt, ending(living));
    settle(rt);
    sleep_for(std::chrono::milliseconds(50)); // the third has ended, most probably
    int before = fd_count();
    rt.destroy();
    CHECK(fd_count() < before);
    CHECK(task.result == unfinished);
    CHECK(zyntax_process_close(living) == ZYNTAX_ESTALE);
    for (pid_t pid : pids) {
        CHECK(exists(pid));
        CHECK(kill(pid, SIGKILL) == 0);
        CHECK(waitpid(pid, nullptr, 0) == pid); // it is the host's now
    }
    CHECK(has_no_child());
}

TEST_CASE("destroy_kills_and_reaps_children_that_must_die_with_the_runtime") {
    Runtime rt;
    Command command = sleeper().with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME);
    begin(rt, command);
    CHECK(zyntax_process_close(begin(rt, command)) == 0); // also after close
    Command deaf = shell("trap '' TERM INT HUP; sleep 60 & wait");
    begin(rt, deaf.with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME | ZYNTAX_PROCESS_GROUP));
    begin(rt, shell("exit 3").with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME));
    settle(rt);
    rt.destroy();
    CHECK(has_no_child());
}

TEST_CASE("a_host_that_waits_when_its_runtime_is_destroyed_is_called") {
    Runtime rt;
    zyntax_process *process = begin(rt, sleeper().with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME));
    static int wakes;
    wakes = 0;
    zyntax_op op = 0;
    int64_t result = unset;
    Waker waker{nullptr, [](void *) { wakes++; }};
    CHECK(zyntax_process_wait(process, &op, &waker, &result) == POLL_PENDING);
    rt.destroy();
    CHECK(wakes == 1);
    CHECK(zyntax_process_wait(process, &op, &waker, &result) == POLL_READY);
    CHECK(result == ZYNTAX_ECANCELED);
    CHECK(has_no_child());
}

TEST_CASE("a_runtime_that_is_being_destroyed_begins_no_child") {
    Runtime rt;
    zyntax_runtime *raw = rt;
    int32_t errors[2] = {1, 1};
    Task task{[](Waker *) { return POLL_PENDING; },
              [&](int32_t) {
                  zyntax_process *process = nullptr;
                  errors[0] = shell("true").spawn(raw, nullptr, &process);
                  errors[1] = zyntax_process_watch(raw, getpid(), &process);
              }};
    task.spawn(rt);
    rt.destroy();
    CHECK(errors[0] == ZYNTAX_ECANCELED);
    CHECK(errors[1] == ZYNTAX_ECANCELED);
    CHECK(has_no_child());
}

TEST_CASE("a_forked_child_of_the_host_destroys_its_copy_and_touches_no_process") {
    SKIP_WHEN(on_libkqueue, "libkqueue's thread does not exist in a forked child");
    Runtime rt;
    Command command = sleeper().with_flags(ZYNTAX_PROCESS_KILL_WITH_RUNTIME);
    zyntax_process *kept = begin(rt, command), *closed = begin(rt, command);
    int64_t pid = zyntax_process_id(closed);
    CHECK(zyntax_process_close(closed) == 0);
    Await task(rt, ending(kept));
    settle(rt);
    Child child([&] {
        int before = fd_count();
        rt.destroy();
        return fd_count() < before || on_libkqueue ? 0 : 1;
    });
    CHECK(child.end() == 0);
    settle(rt);
    CHECK(task.alive());
    CHECK(zyntax_process_signal(kept, 0) == 0);
    CHECK(exists(pid));
    end_now(kept);
    CHECK(rt.drain());
    CHECK(task.result == 256 + SIGKILL);
    rt.destroy();
    CHECK(has_no_child());
}

TEST_CASE("a_promise_gives_the_status_and_one") {
    Runtime rt;
    struct State {
        zyntax_process *process;
        zyntax_promise *promise;
    };
    auto poll = [](void *state) -> int64_t {
        auto *s = static_cast<State *>(state);
        if (!s->promise) s->promise = zyntax_promise_process_wait(s->process);
        return s->promise->poll(s->promise->state);
    };
    auto value_of = [&](zyntax_process *process) {
        State state{process, nullptr};
        zyntax_promise promise{&state, poll};
        Limit limit(rt);
        return zyntax_promise_block_on(rt, &promise);
    };
    CHECK(value_of(begin(rt, shell("exit 0"))) == 1);
    CHECK(value_of(begin(rt, shell("sleep 0.02; exit 7"))) == 8);
    zyntax_process *process = begin(rt, sleeper());
    end_now(process);
    CHECK(value_of(process) == 257 + SIGKILL);
    CHECK(value_of(nullptr) == ZYNTAX_ESTALE);
    zyntax_promise *outside = zyntax_promise_process_wait(process);
    CHECK(outside->poll(outside->state) == ZYNTAX_EPERM);
}
