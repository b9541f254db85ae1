// Shared by the tests of interrupts: one await point, and the required effect of an interrupt at each moment.
#pragma once

#include "compiled_support.h"

namespace support {

constexpr int64_t what_comes = INT64_MIN; // any result that is no error

// An await point that has to wait.
struct Wait {
    std::string name;
    Operation operation;
    std::function<void()> finish = nullptr; // makes it end with `result`; null: nothing can
    int64_t result = what_comes;
    bool result_is_known_at_once = true; // when `finish` has returned, and the loop has looked around

    void check_result(int64_t got) const {
        if (result == what_comes) CHECK(got >= 0);
        else CHECK(got == result);
    }
};

// Awaits the operation, with a result also for operations without one.
struct Interruptible {
    int32_t interrupted = -1;
    Await await;

    Interruptible(zyntax_runtime *rt, const Wait &wait)
        : await(rt, [this, operation = wait.operation](zyntax_op *op, Waker *waker, int64_t *result) {
              PollStatus status = operation(op, waker, result);
              if (status == POLL_READY) interrupted = zyntax_task_interrupted();
              return status;
          }) {}
    void interrupt() const { CHECK(zyntax_task_interrupt(await.task.handle) == 0); }
    bool alive() const { return await.alive(); }

    void check_interrupted() const {
        CHECK_FALSE(alive());
        CHECK(interrupted == 1);
        CHECK((await.result == ZYNTAX_EINTR || await.result == 0));
    }
    void check_result(const Wait &wait) const {
        CHECK_FALSE(alive());
        CHECK(interrupted == 0);
        wait.check_result(await.result);
    }
};

// Gives up the await point, which is then awaited again: nothing has been lost.
inline void check_nothing_is_lost(Runtime &rt, const Wait &wait) {
    if (!wait.finish) return;
    Interruptible again(rt, wait);
    settle(rt);
    wait.finish();
    rt.drive_until([&] { return !again.alive(); });
    again.check_result(wait);
}

inline void check_interrupt_while_it_waits(Runtime &rt, const Wait &wait) {
    CAPTURE(wait.name);
    Interruptible waiting(rt, wait);
    settle(rt);
    REQUIRE(waiting.alive());
    waiting.interrupt();
    settle(rt);
    waiting.check_interrupted();
    check_nothing_is_lost(rt, wait);
}

inline void check_interrupt_before_it_begins(Runtime &rt, const Wait &wait) {
    CAPTURE(wait.name);
    Interruptible waiting(rt, wait);
    waiting.interrupt();
    settle(rt);
    waiting.check_interrupted();
    CHECK(waiting.await.task.polls == 1);
    check_nothing_is_lost(rt, wait);
}

// The await point is interrupted while its result is there, and the task has not been polled since.
inline void check_interrupt_after_its_result(Runtime &rt, const Wait &wait) {
    CAPTURE(wait.name);
    if (!wait.finish) return;
    Interruptible waiting(rt, wait);
    settle(rt);
    REQUIRE(waiting.alive());
    wait.finish();
    waiting.interrupt();
    rt.drive_until([&] { return !waiting.alive(); });
    waiting.check_result(wait);
}

// Interrupts a task that waits again and again, as its first await point and between others.
inline void check_many_interrupts(Runtime &rt, const Wait &wait) {
    CAPTURE(wait.name);
    for (int i = 0; i < 20; i++) {
        Interruptible waiting(rt, wait);
        if (i % 2) settle(rt);
        waiting.interrupt();
        waiting.interrupt();
        settle(rt);
        waiting.check_interrupted();
    }
    check_nothing_is_lost(rt, wait);
}

// The promise of an await point that waits, or would have to wait: its value is ZYNTAX_EINTR, and the code goes on.
inline void check_interrupted_promise(Runtime &rt, const Maker &maker) {
    for (bool waits : {false, true}) {
        CAPTURE(waits);
        Compiled code({maker, sleeping_for(1)});
        code.spawn(rt);
        if (waits) settle(rt);
        REQUIRE(code.alive());
        CHECK(zyntax_task_interrupt(code.task) == 0);
        REQUIRE(rt.drive_until([&] { return !code.alive(); }));
        CHECK(code.values == std::vector<int64_t>{ZYNTAX_EINTR, 1});
    }
}

// Each moment of an interrupt, in a world of its own that has the await point.
template <class World> void check_interrupts(Wait (World::*make)()) {
    {
        World world;
        check_interrupt_while_it_waits(world.rt, (world.*make)());
    }
    {
        World world;
        check_interrupt_before_it_begins(world.rt, (world.*make)());
    }
    {
        World world;
        check_many_interrupts(world.rt, (world.*make)());
    }
    {
        World world;
        Wait wait = (world.*make)();
        if (wait.result_is_known_at_once) check_interrupt_after_its_result(world.rt, wait);
    }
}

} // namespace support
