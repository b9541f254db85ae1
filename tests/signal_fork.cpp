// A forked child inherits its parent's handler. It does nothing there until the child opens a signal of its own.
#include "signal_support.h"

using namespace support;

namespace {

#define EXPECT_THERE(condition, number) \
    if (!(condition)) return number

// A runtime of the parent that waits for a signal.
struct WaitingParent {
    HostAction action{SIGUSR1};
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    Await waiter{rt, waiting_for(signal)};

    WaitingParent() { settle(rt); }
    // In the parent: no signal has arrived, and later signals all arrive.
    void check_goes_on() {
        settle(rt);
        CHECK(waiter.alive());
        raise_times(SIGUSR1, 2);
        CHECK(rt.drain());
        CHECK(waiter.result == 2);
        CHECK(zyntax_signal_close(signal) == 0);
        CHECK(action.is_there());
    }
};

// A child's own runtime hears its own signals only.
int hears_its_own() {
    Runtime rt;
    for (int round = 0; round < 3; round++) {
        zyntax_signal *signal = nullptr;
        EXPECT_THERE(zyntax_signal_open(rt, SIGUSR1, &signal) == 0, 20);
        Await a(rt, waiting_for(signal));
        settle(rt);
        EXPECT_THERE(a.alive(), 21);
        raise_times(SIGUSR1, 3);
        EXPECT_THERE(rt.drain(3000), 22);
        // ThreadSanitizer merges signals in the child of a process that has threads.
        EXPECT_THERE(a.result == 3 || (sanitized && a.result > 0), 23);
        EXPECT_THERE(zyntax_signal_close(signal) == 0, 24);
    }
    return 0;
}

} // namespace

TEST_CASE("in_a_child_the_handler_does_nothing_and_destroying_the_copy_changes_no_action") {
    for (ForkBy by : {ForkBy::fork, ForkBy::bare_clone}) {
        WaitingParent parent;
        struct sigaction ours = action_of(SIGUSR1);
        Child child(
            [&] {
                raise_times(SIGUSR1, 10); // the process lives on
                EXPECT_THERE(HostAction::calls == 0, 1);
                EXPECT_THERE(action_of(SIGUSR1).sa_handler == ours.sa_handler, 2);
                parent.rt.destroy();
                EXPECT_THERE(action_of(SIGUSR1).sa_handler == ours.sa_handler, 3);
                raise(SIGUSR1);
                EXPECT_THERE(HostAction::calls == 0, 4);
                return 0;
            },
            by);
        CHECK(child.end() == 0);
        parent.check_goes_on();
    }
}

TEST_CASE("a_signal_in_a_child_does_not_wake_the_parents_host") {
    WaitingParent parent;
    auto fd = Descriptor(zyntax_runtime_backend_fd(parent.rt));
    SKIP_WHEN(fd < 0, "this poller has no descriptor");
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(parent.rt, 0);
    CHECK_FALSE(wait_for(fd, POLLIN, 0));
    Child child([] { return raise(SIGUSR1); }); // its copy shares the descriptor with the parent
    CHECK(child.end() == 0);
    CHECK_FALSE(wait_for(fd, POLLIN, 0));
    parent.check_goes_on();
}

TEST_CASE("a_child_may_open_signals_and_its_last_close_puts_back_the_hosts_action") {
    for (bool destroys : {false, true}) {
        WaitingParent parent;
        Child child([&] {
            if (destroys) parent.rt.destroy();
            int failed = hears_its_own();
            if (failed) return failed;
            EXPECT_THERE(parent.action.is_there(), 30);
            raise(SIGUSR1);
            EXPECT_THERE(HostAction::calls == 1, 31);
            if (!destroys) parent.rt.destroy();
            EXPECT_THERE(parent.action.is_there(), 32);
            return hears_its_own();
        });
        CHECK(child.end() == 0);
        parent.check_goes_on();
    }
}

TEST_CASE("a_childs_copy_hears_nothing_of_the_childs_own_signals") {
    WaitingParent parent;
    Child child([&] {
        Runtime rt;
        zyntax_signal *signal = signal_of(rt, SIGUSR1);
        raise(SIGUSR1);
        EXPECT_THERE(await(rt, waiting_for(signal), 3000) == 1, 1);
        parent.rt.destroy(); // with the child's handle open
        raise(SIGUSR1);
        EXPECT_THERE(await(rt, waiting_for(signal), 3000) == 1, 2);
        Child childs_child([&] {
            raise(SIGUSR1);
            rt.destroy();
            return hears_its_own();
        });
        EXPECT_THERE(childs_child.end() == 0, 3);
        raise(SIGUSR1);
        EXPECT_THERE(await(rt, waiting_for(signal), 3000) == 1, 4);
        return 0;
    });
    CHECK(child.end() == 0);
    parent.check_goes_on();
}

TEST_CASE("a_child_with_its_parents_process_number_hears_nothing_of_its_parents_signals") {
    constexpr int impossible = 77;
    Child outer([&] {
        if (!begin_process_numbers_again()) return impossible;
        Child first([&] {
            WaitingParent parent;
            if (!is_first_process() || !begin_process_numbers_again()) return impossible;
            Child second([&] {
                raise(SIGUSR1);
                parent.rt.destroy();
                EXPECT_THERE(!parent.action.is_there(), 1);
                return hears_its_own();
            });
            int end = second.end();
            if (end) return end;
            settle(parent.rt);
            EXPECT_THERE(parent.waiter.alive(), 2);
            raise(SIGUSR1);
            EXPECT_THERE(parent.rt.drain(3000) && parent.waiter.result == 1, 3);
            return 0;
        });
        return first.end();
    });
    int end = outer.end();
    SKIP_WHEN(end == impossible, "this user cannot create namespaces");
    CHECK(end == 0);
}

TEST_CASE("a_child_may_open_signals_though_another_thread_did_so_when_it_was_forked") {
    HostAction action(SIGUSR1, SIG_IGN);
    std::atomic<bool> over{false};
    std::atomic<int> opened{0};
    Thread other([&] {
        while (!over) {
            Runtime rt;
            for (int i = 0; i < 20; i++) {
                zyntax_signal *signal = signal_of(rt, SIGUSR1);
                opened++;
                CHECK(zyntax_signal_close(signal) == 0);
            }
        }
    });
    for (int i = 0; i < scaled(100); i++) {
        int before = opened;
        Child child(hears_its_own);
        int end = child.end();
        CHECK(end == 0);
        if (end != 0) break;
        CHECK(eventually([&] { return opened > before; }));
    }
    over = true;
    other.join();
}
