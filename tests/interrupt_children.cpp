// Interrupts of waits for child processes and signals.
#include "interrupt_support.h"
#include "process_support.h"
#include "signal_support.h"

using namespace support;

namespace {

struct ChildWorld {
    Runtime rt;
    zyntax_process *process = begin(rt, sleeper());

    ~ChildWorld() {
        zyntax_process_signal(process, SIGKILL);
        await(rt, ending(process));
    }
    Wait process_wait() {
        return {"process_wait", ending(process), [this] { CHECK(zyntax_process_signal(process, SIGTERM) == 0); },
                256 + SIGTERM, false};
    }
};

struct SignalWorld {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);

    Wait signal_wait() {
        return {"signal_wait", waiting_for(signal), [] { raise_times(SIGUSR1, 3); }, 3};
    }
};

} // namespace

TEST_CASE("an_interrupted_wait_for_a_child_leaves_its_end_to_the_next_wait") {
    check_interrupts(&ChildWorld::process_wait);
    CHECK(has_no_child());
}

TEST_CASE("an_interrupted_wait_for_a_signal_loses_no_delivery") { check_interrupts(&SignalWorld::signal_wait); }

TEST_CASE("a_signal_that_came_between_two_interrupted_waits_is_told_by_the_next") {
    SignalWorld world;
    Interruptible first(world.rt, world.signal_wait());
    settle(world.rt);
    first.interrupt();
    settle(world.rt);
    first.check_interrupted();
    raise_times(SIGUSR1, 2);
    settle(world.rt);
    Interruptible second(world.rt, world.signal_wait());
    second.interrupt();
    settle(world.rt);
    CHECK(second.await.result == 2);
    CHECK(second.interrupted == 0);
    CHECK(world.rt.idle_waits() <= idle_budget);
}

TEST_CASE("promises_of_children_and_signals_have_the_value_eintr_after_an_interrupt") {
    ChildWorld child;
    check_interrupted_promise(child.rt, [&] { return zyntax_promise_process_wait(child.process); });
    SignalWorld signal;
    check_interrupted_promise(signal.rt, [&] { return zyntax_promise_signal_wait(signal.signal); });
}
