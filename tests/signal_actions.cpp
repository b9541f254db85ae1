// The effects of open signals on the process: actions, masks, system calls.
#include "io_support.h"
#include "signal_support.h"

#include <vector>

using namespace support;

namespace {

// The number of changed actions. The C library sets a flag of its own in each action that it installs.
int changes_since(const std::vector<Disposition> &before) {
    constexpr int of_library = 0x04000000;
    int changed = 0;
    auto now = dispositions();
    for (size_t i = 0; i < before.size(); i++) {
        Disposition then = before[i];
        then.flags |= of_library;
        now[i].flags |= of_library;
        changed += !(now[i] == then);
    }
    return changed;
}

void another_handler(int) {}
bool is_other_handler_there() { return action_of(SIGUSR1).sa_handler == another_handler; }

} // namespace

TEST_CASE("the_last_close_puts_back_the_action_that_was_there_before") {
    for (auto handler : {SIG_DFL, SIG_IGN, HostAction::count_call}) {
        for (int flags : {0, SA_RESTART | SA_NODEFER}) {
            HostAction action(SIGUSR1, handler, flags);
            Runtime one, two;
            zyntax_signal *first = signal_of(one, SIGUSR1), *second = signal_of(two, SIGUSR1);
            CHECK(zyntax_signal_close(first) == 0);
            CHECK_FALSE(action.is_there());
            CHECK(zyntax_signal_close(second) == 0);
            CHECK(action.is_there());
        }
    }
}

TEST_CASE("the_hosts_handler_is_called_before_and_after_and_not_in_between") {
    HostAction action(SIGUSR1);
    Runtime rt;
    raise(SIGUSR1);
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    raise_times(SIGUSR1, 3);
    CHECK(action.calls == 1);
    CHECK(await(rt, waiting_for(signal)) == 3);
    CHECK(zyntax_signal_close(signal) == 0);
    raise(SIGUSR1);
    CHECK(action.calls == 2);
}

TEST_CASE("an_action_that_the_host_has_changed_meanwhile_is_left_alone") {
    HostAction action(SIGUSR1);
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    action.set(another_handler);
    CHECK(zyntax_signal_close(signal) == 0);
    CHECK(is_other_handler_there());
    // The next handle finds this action, and restores it.
    signal = signal_of(rt, SIGUSR1);
    raise(SIGUSR1);
    CHECK(await(rt, waiting_for(signal)) == 1);
    CHECK(zyntax_signal_close(signal) == 0);
    CHECK(is_other_handler_there());
}

TEST_CASE("a_further_open_installs_the_handler_again_when_the_host_has_changed_the_action") {
    HostAction action(SIGUSR1);
    Runtime rt;
    zyntax_signal *first = signal_of(rt, SIGUSR1);
    action.set(another_handler);
    zyntax_signal *second = signal_of(rt, SIGUSR1);
    raise(SIGUSR1);
    CHECK(await(rt, waiting_for(first)) == 1);
    CHECK(await(rt, waiting_for(second)) == 1);
    CHECK(zyntax_signal_close(first) == 0);
    CHECK(zyntax_signal_close(second) == 0);
    CHECK(is_other_handler_there());
}

TEST_CASE("a_handler_that_the_host_puts_back_after_the_last_close_does_nothing") {
    HostAction action(SIGUSR1);
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    struct sigaction ours = action_of(SIGUSR1);
    CHECK(zyntax_signal_close(signal) == 0);
    REQUIRE(sigaction(SIGUSR1, &ours, nullptr) == 0);
    raise(SIGUSR1);
    settle(rt);
    signal = signal_of(rt, SIGUSR1);
    raise(SIGUSR1);
    CHECK(await(rt, waiting_for(signal)) == 1);
    CHECK(zyntax_signal_close(signal) == 0);
    CHECK(action.is_there()); // the old action is still known
}

TEST_CASE("nothing_else_about_the_processs_signals_changes") {
    Runtime rt;
    auto before = dispositions();
    auto blocked = blocked_signals();
    std::vector<zyntax_signal *> signals;
    for (int number : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGCHLD}) signals.push_back(signal_of(rt, number));
    CHECK(blocked_signals() == blocked);
    Await in_poll(rt, [&](zyntax_op *, Waker *, int64_t *) {
        CHECK(blocked_signals() == blocked);
        return POLL_READY;
    });
    raise(SIGUSR1);
    CHECK(rt.drain());
    CHECK(blocked_signals() == blocked);
    CHECK(changes_since(before) == 5);
    rt.destroy();
    CHECK(changes_since(before) == 0);
}

TEST_CASE("a_signal_that_is_closed_ends_the_process_again") {
    Child child([] {
        HostAction action(SIGTERM, SIG_DFL);
        Runtime rt;
        zyntax_signal *signal = signal_of(rt, SIGTERM);
        raise(SIGTERM);
        if (zyntax_signal_close(signal) != 0) return 1;
        raise(SIGTERM);
        return 2;
    });
    CHECK(child.end() == 100 + SIGTERM);
}

TEST_CASE("a_system_call_of_the_host_goes_on_after_the_signal") {
    SKIP_WHEN(sanitized, "ThreadSanitizer calls no handler while read waits");
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    std::atomic<pthread_t> reader{};
    std::atomic<bool> over{false};
    ssize_t n = 0;
    int error = 0;
    Thread other([&] {
        char byte;
        reader = pthread_self();
        n = ::read(ends[0], &byte, 1);
        error = errno;
        over = true;
    });
    while (!reader.load()) yield();
    int64_t sent = 0, heard = 0;
    for (int i = 0; i < 100; i++) {
        sent += pthread_kill(reader, SIGUSR1) == 0;
        heard += await(rt, waiting_for(signal));
    }
    CHECK_FALSE(over);
    REQUIRE(::write(ends[1], "x", 1) == 1);
    other.join();
    CAPTURE(error);
    CHECK(n == 1);
    CHECK(sent == heard);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("bytes_arrive_whole_and_no_call_is_interrupted_while_signals_come") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGALRM);
    int64_t heard = 0, errors = 0;
    Task counter;
    counter.on_poll = [&](Waker *waker) {
        int64_t n;
        while (zyntax_signal_wait(signal, &counter.op, waker, &n) == POLL_READY) {
            if (n > 0) heard += n;
            else errors++;
        }
        return POLL_PENDING;
    };
    counter.spawn(rt);
    for (auto make : pairs_to_runtime()) {
        Pair pair = make();
        zyntax_io *in = adopt(rt, pair.near), *out = adopt(rt, pair.far);
        std::string text(4 * mib, 's');
        Interruptions::every(200);
        Reader reader(rt, in, text.size());
        Writer writer(rt, out, text);
        CHECK(rt.drive_until([&] { return reader.data.size() == text.size() && heard > 0; }));
        Interruptions::every(0);
        CHECK(reader.data == text);
        zyntax_task_cancel(counter.handle);
        CHECK(rt.drain());
        counter.spawn(rt);
    }
    CHECK(errors == 0);
}

TEST_CASE("the_handler_runs_on_the_alternate_stack_of_a_thread_that_has_one") {
    CHECK((action_of(SIGUSR1).sa_flags & SA_ONSTACK) == 0);
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    CHECK((action_of(SIGUSR1).sa_flags & SA_ONSTACK) != 0);
    CHECK((action_of(SIGUSR1).sa_flags & SA_RESTART) != 0);
    CHECK(zyntax_signal_close(signal) == 0);
}
