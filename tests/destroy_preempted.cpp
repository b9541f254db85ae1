// A thread is preempted in the last system call of its last call on a runtime. Meanwhile the loop sees the thread's
// work, and the runtime is destroyed. Nothing is written to the descriptor that has the number now. An executable of
// its own, because its `write` sleeps to force the preemption.
#include "blocking_support.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace support;

namespace {
thread_local bool dozes = false;
std::atomic<int> dozed{0};
std::atomic<int> ticks{0}; // of the loop's timer

// The loop is going to sleep by then, and to be woken by its timer.
void await_the_loop() {
    while (ticks < 3) yield();
}
} // namespace

extern "C" ssize_t write(int fd, const void *bytes, size_t size) {
    if (dozes) {
        dozed++;
        sleep_for(std::chrono::milliseconds(2));
    }
    return syscall(SYS_write, fd, bytes, size);
}

namespace {

enum Act { stops, posts, posts_a_stop, releases, wakes, cancels, ends_a_job };

struct Scene {
    zyntax_runtime *rt = nullptr;
    Waker waker{};
    zyntax_task *parked = nullptr;
    std::atomic<bool> seen{false};
    bool failed = false;
};

void act_on(Scene &scene, Act act) {
    await_the_loop();
    dozes = true;
    switch (act) {
    case stops:
        zyntax_runtime_stop(scene.rt);
        break;
    case posts:
        zyntax_runtime_post(
            scene.rt, [](void *seen) { *static_cast<std::atomic<bool> *>(seen) = true; }, &scene.seen);
        break;
    case posts_a_stop:
        zyntax_runtime_post(
            scene.rt, [](void *rt) { zyntax_runtime_stop(static_cast<zyntax_runtime *>(rt)); }, scene.rt);
        break;
    case releases:
        zyntax_runtime_release(scene.rt);
        break;
    case wakes:
        scene.waker.wake(scene.waker.data);
        break;
    case cancels:
        zyntax_task_cancel(scene.parked);
        break;
    case ends_a_job:
        break;
    }
    dozes = false;
}

int64_t dozing_job(void *) {
    await_the_loop();
    dozes = true; // from here on the thread runs code of the library
    return 1;
}

// Drives until the act is seen by the loop itself, which a timer wakes all the time.
void drive(Runtime &rt, Scene &scene, Act act) {
    Limit limit(rt);
    if (act == stops || act == posts_a_stop) {
        CHECK(zyntax_runtime_run(rt) == ZYNTAX_ECANCELED);
    } else if (act == releases) {
        int32_t end = zyntax_runtime_run(rt);
        CHECK(end == ZYNTAX_EDEADLK);
        scene.failed = end != ZYNTAX_EDEADLK;
    } else {
        CHECK(rt.drive_until([&] { return scene.seen.load(); }));
    }
}

// This thread and the threads that it starts stay on one processor while the object lives.
struct OneProcessor {
    cpu_set_t before;
    OneProcessor() {
        REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
        cpu_set_t one;
        CPU_ZERO(&one);
        for (int i = 0; CPU_COUNT(&one) == 0; i++)
            if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
        REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    }
    ~OneProcessor() { sched_setaffinity(0, sizeof before, &before); }
};

// Puts this thread before all usual threads, or ends that. False without the privilege.
bool come_first(bool on) {
    sched_param priority{};
    priority.sched_priority = on ? 1 : 0;
    return sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &priority) == 0;
}

int64_t longest_destroy_ns = 0;

void destroy_timed(Runtime &rt) {
    auto begin = std::chrono::steady_clock::now();
    rt.destroy();
    auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin);
    longest_destroy_ns = std::max<int64_t>(longest_destroy_ns, took.count());
}

// Bytes that went astray in one round.
int round_of(Act act, bool comes_first = false) {
    Scene scene;
    zyntax_runtime_config c = config();
    c.flags = act == releases ? ZYNTAX_DETECT_STALL : 0;
    Runtime rt(c);
    scene.rt = rt;
    bool over = false;
    ScopedTask ticking(rt), parked(rt), job(rt);
    ticks = 0;
    ticking.on_poll = [&](Waker *waker) {
        while (!over && zyntax_sleep(rt, &ticking.op, 100'000, waker) == POLL_READY) ticks++;
        over |= act == releases && ticks >= 10; // no hope from here on
        return over ? POLL_READY : POLL_PENDING;
    };
    parked.on_poll = [&](Waker *waker) {
        scene.waker = *waker;
        if (parked.polls > 1) scene.seen = true;
        return POLL_PENDING;
    };
    parked.on_drop = [&](int32_t) { scene.seen = true; };
    job.on_poll = [&](Waker *waker) {
        int64_t result = unfinished;
        PollStatus status = zyntax_blocking(rt, &job.op, dozing_job, nullptr, 0, waker, &result);
        if (status == POLL_READY) scene.seen = true;
        return status;
    };
    parked.start();
    scene.parked = parked.handle;
    if (act == ends_a_job) job.start();
    if (act == releases) zyntax_runtime_hold(rt);
    ticking.start();
    zyntax_runtime_turn(rt, 0);
    Thread thread([&] { act_on(scene, act); });
    drive(rt, scene, act);
    over = true;
    if (comes_first) come_first(true);
    destroy_timed(rt);
    if (comes_first) come_first(false);
    Pair strangers[2] = {socket_pair(), socket_pair()}; // they take the numbers that are free now
    thread.join();
    int strays = scene.failed;
    for (Pair &pair : strangers) {
        char bytes[64];
        make_nonblocking(pair.near);
        strays += receive_some(pair.near, bytes, sizeof bytes) > 0;
        strays += receive_some(pair.far, bytes, sizeof bytes) > 0;
    }
    return strays;
}

void check(Act act) {
    dozed = 0;
    int strays = 0;
    for (int round = 0; strays == 0 && (round < 30 || (dozed == 0 && round < 1000)); round++) strays = round_of(act);
    CHECK(strays == 0);
    CHECK(dozed > 0); // or this has tested nothing
}

} // namespace

TEST_CASE("a_stop_that_is_preempted_writes_to_nobody_else") { check(stops); }
TEST_CASE("a_post_that_is_preempted_writes_to_nobody_else") {
    check(posts);
    check(posts_a_stop);
}
TEST_CASE("a_release_that_is_preempted_writes_to_nobody_else") { check(releases); }
TEST_CASE("a_wake_that_is_preempted_writes_to_nobody_else") { check(wakes); }
TEST_CASE("a_cancel_that_is_preempted_writes_to_nobody_else") { check(cancels); }
TEST_CASE("the_end_of_a_job_that_is_preempted_writes_to_nobody_else") { check(ends_a_job); }

// On one processor only a sleep of the destroying thread lets the other thread end its call. A kernel takes a thread of
// that priority off the processor after about a second.
TEST_CASE("a_thread_that_comes_before_all_others_destroys_while_one_of_them_is_preempted") {
    SKIP_WHEN(!come_first(true), "no privilege for a higher priority");
    come_first(false);
    OneProcessor pinned;
    dozed = 0;
    longest_destroy_ns = 0;
    for (int round = 0; round < 30; round++) CHECK(round_of(stops, true) == 0);
    CHECK(dozed > 0);
    CHECK(longest_destroy_ns < 300 * int64_t(ms));
}
