// The loop calls a job's drop function exactly once for each job that was begun.
#include "blocking_support.h"
#include "host_support.h"

#include <deque>

using namespace support;

namespace {

thread_local char here; // its address tells threads apart

// The resources of a job, and their fate.
struct Owned {
    zyntax_runtime *rt = nullptr;
    int drops = 0;
    std::atomic<int> runs{0};
    bool asked = false; // a poll has begun it
    bool in_a_poll = false, elsewhere = false;
    const void *dropped = nullptr; // the argument that drop was given
    const void *ran = nullptr;     // the argument that fn was given
    const void *home = &here;
    std::function<void()> on_drop;

    void note(const void *arg) {
        drops++;
        dropped = arg;
        in_a_poll = in_a_poll || zyntax_current_runtime();
        elsewhere = elsewhere || &here != home;
        if (on_drop) on_drop();
    }
    bool dropped_once() const { return drops == 1 && !in_a_poll && !elsewhere; }
};

// An argument that is copied.
struct Copied {
    Owned *owned;
    Held *held; // null: fn does not wait
    char bytes[100];
};

int64_t run_copied(void *arg) {
    auto *copy = static_cast<Copied *>(arg);
    copy->owned->runs++;
    copy->owned->ran = arg;
    copy->bytes[99] = 'r';
    return copy->held ? Held::job(copy->held) : 7;
}
void drop_copied(void *arg) { static_cast<Copied *>(arg)->owned->note(arg); }
void drop_owned(void *arg) { static_cast<Owned *>(arg)->note(arg); }
int64_t run_owned(void *arg) { return ++static_cast<Owned *>(arg)->runs; }

Operation with_drop(zyntax_runtime *rt, Job job, void (*drop)(void *), void *arg, size_t size) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_blocking_with(rt, op, job, drop, arg, size, waker, result);
    };
}

} // namespace

TEST_CASE("a_job_is_dropped_with_its_copy_once_its_result_was_taken") {
    Runtime rt;
    Owned owned;
    Copied argument{&owned, nullptr, {}};
    CHECK(await(rt, with_drop(rt, run_copied, drop_copied, &argument, sizeof argument)) == 7);
    CHECK(owned.dropped_once());
    CHECK(owned.dropped == owned.ran);
    CHECK(owned.dropped != &argument);
    CHECK(argument.bytes[99] == 'r');
    CHECK(rt.idle_waits() <= idle_budget);
    rt.destroy();
    CHECK(owned.dropped_once());
}

TEST_CASE("without_a_size_a_job_is_dropped_with_the_pointer_itself") {
    Runtime rt;
    Owned owned;
    CHECK(await(rt, with_drop(rt, run_owned, drop_owned, &owned, 0)) == 1);
    CHECK(owned.dropped_once());
    CHECK(owned.dropped == &owned);
}

TEST_CASE("run_and_turn_return_after_the_drops_of_what_their_polls_took") {
    Runtime rt;
    for (int i = 0; i < 20; i++) {
        Owned owned;
        Await task(rt, with_drop(rt, run_owned, drop_owned, &owned, 0));
        if (i % 2) CHECK(zyntax_runtime_run(rt) == 0);
        else CHECK(rt.drive_until([&] { return !task.alive(); }));
        CHECK(task.result == 1);
        CHECK(owned.dropped_once());
    }
}

TEST_CASE("a_cancel_inside_a_poll_drops_a_queued_job_after_that_poll") {
    Occupied rt;
    Owned owned;
    zyntax_op op = 0;
    int drops_in_poll = -1;
    Task task{[&](Waker *waker) {
        int64_t result = 0;
        if (task.polls == 1) {
            CHECK(zyntax_blocking_with(rt, &op, run_owned, drop_owned, &owned, 0, waker, &result) == POLL_PENDING);
            waker->wake(waker->data);
            return POLL_PENDING;
        }
        zyntax_op_cancel(&op);
        drops_in_poll = owned.drops;
        return POLL_READY;
    }};
    task.spawn(rt);
    CHECK(rt.drive_until([&] { return task.drops == 1; }));
    CHECK(drops_in_poll == 0);
    CHECK(owned.dropped_once());
    CHECK(owned.runs == 0);
    rt.held.gate.open();
    CHECK(rt.drain());
    rt.destroy();
    CHECK(owned.dropped_once());
}

TEST_CASE("a_job_that_runs_while_its_op_is_cancelled_is_dropped_when_it_has_run") {
    Runtime rt;
    Owned owned;
    Held held;
    Copied argument{&owned, &held, {}};
    {
        Await task(rt, with_drop(rt, run_copied, drop_copied, &argument, sizeof argument));
        CHECK(rt.drive_until([&] { return held.begun == 1; }));
        task.cancel();
        settle(rt);
        CHECK_FALSE(task.alive());
    }
    CHECK(owned.drops == 0);
    held.gate.open();
    CHECK(rt.drive_until([&] { return owned.drops == 1; }));
    CHECK(owned.dropped_once());
    CHECK(owned.dropped == owned.ran);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_job_whose_op_was_forgotten_is_dropped_whether_it_has_begun_or_not") {
    Occupied rt;
    std::deque<Owned> owned(4);
    std::deque<Await> tasks;
    for (Owned &o : owned)
        tasks.emplace_back(rt, [&](zyntax_op *, Waker *waker, int64_t *result) {
            zyntax_op forgotten = 0;
            int64_t r = 0;
            CHECK(zyntax_blocking_with(rt, &forgotten, run_owned, drop_owned, &o, 0, waker, &r) == POLL_PENDING);
            *result = 0;
            return POLL_READY;
        });
    CHECK(rt.drive_until([&] {
        for (Owned &o : owned)
            if (o.drops == 0) return false;
        return true;
    }));
    for (Owned &o : owned) CHECK((o.dropped_once() && o.runs == 0));
    rt.held.gate.open();
    CHECK(rt.drain());
}

TEST_CASE("a_call_that_begins_nothing_drops_nothing") {
    Runtime rt;
    Owned owned;
    Copied argument{&owned, nullptr, {}};
    CHECK(await(rt, with_drop(rt, nullptr, drop_owned, &owned, 0)) == ZYNTAX_EINVAL);
    CHECK(await(rt, with_drop(rt, run_owned, drop_owned, nullptr, 8)) == ZYNTAX_EINVAL);
    CHECK(await(rt, with_drop(nullptr, run_owned, drop_owned, &owned, 0)) == ZYNTAX_EINVAL);
    CHECK(await(rt, with_drop(rt, run_copied, drop_copied, &argument, SIZE_MAX / 2)) == ZYNTAX_ENOMEM);
    settle(rt);
    rt.destroy();
    CHECK(owned.drops == 0);
    CHECK(owned.runs == 0);
}

TEST_CASE("a_call_without_memory_drops_nothing") {
    int failures = 0;
    for (uint64_t allocation = 1; allocation <= 4; allocation++) {
        Heap heap;
        Owned owned;
        static char argument[100'000]; // more than any chunk has left
        struct Big {
            static int64_t run(void *) { return 1; }
        };
        static Owned *dropped;
        dropped = &owned;
        Runtime rt(heap.config());
        Await task(rt, with_drop(
                           rt, Big::run, [](void *arg) { dropped->note(arg); }, argument, sizeof argument));
        heap.fail_at = allocation;
        CHECK(rt.drive_until([&] { return !task.alive(); }));
        heap.fail_at = 0;
        if (task.result != 1) failures++;
        CHECK((task.result == 1 || task.result == ZYNTAX_ENOMEM));
        CHECK(owned.drops == (task.result == 1 ? 1 : 0));
    }
    CHECK(failures > 0);
}

TEST_CASE("destroying_the_runtime_drops_every_job_once") {
    Heap heap;
    Held held;
    std::deque<Owned> owned(8);
    {
        Runtime rt(heap.config(with_threads(1)));
        Copied runs{&owned[0], &held, {}}, forgotten{&owned[1], nullptr, {}};
        HostWaker host;
        zyntax_op done = 0, queued = 0;
        int64_t result = 0;
        Waker waker = host.handle();
        // A host's job that has run, and whose result is not taken.
        CHECK(zyntax_blocking_with(rt, &done, run_owned, drop_owned, &owned[2], 0, &waker, &result) == POLL_PENDING);
        CHECK(rt.drive_until([&] { return host.wakes == 1; }));
        CHECK(owned[2].drops == 0);
        Await running(rt, with_drop(rt, run_copied, drop_copied, &runs, sizeof runs));
        CHECK(rt.drive_until([&] { return held.begun == 1; }));
        Await waiting(rt, with_drop(rt, run_copied, drop_copied, &forgotten, sizeof forgotten));
        std::deque<Await> others;
        for (size_t i = 3; i < 7; i++) others.emplace_back(rt, with_drop(rt, run_owned, drop_owned, &owned[i], 0));
        settle(rt);
        CHECK(zyntax_blocking_with(rt, &queued, run_owned, drop_owned, &owned[7], 0, &waker, &result) == POLL_PENDING);
        // The running job ends only because a job that cannot begin drops its argument.
        owned[1].on_drop = [&] { held.gate.open(); };
        rt.destroy();
        CHECK(host.wakes == 2);
        zyntax_op_cancel(&done);
        zyntax_op_cancel(&queued);
    }
    for (Owned &o : owned) CHECK(o.dropped_once());
    for (size_t i : {0, 2}) CHECK(owned[i].runs == 1);
    for (size_t i : {1, 3, 4, 5, 6, 7}) CHECK(owned[i].runs == 0);
    CHECK(heap.balanced());
}

TEST_CASE("a_drop_may_call_everything") {
    Heap heap;
    std::deque<Owned> owned(3);
    int spawned = 0;
    {
        Runtime rt(heap.config(with_threads(1)));
        auto calls = [&](size_t next) {
            return [&, next] {
                CHECK(zyntax_runtime_run(rt) == ZYNTAX_EBUSY);
                void *state = zyntax_state_alloc(rt, 40);
                auto poll = [](FutureState, Waker *) { return POLL_READY; };
                if (zyntax_runtime_spawn_with(rt, state, poll, nullptr, 40)) spawned++;
                zyntax_channel *channel = nullptr;
                if (zyntax_channel_create(rt, 1, 4, &channel) == 0) zyntax_channel_destroy(channel);
                if (next == owned.size()) return;
                HostWaker host;
                Waker waker = host.handle();
                zyntax_op op = 0;
                int64_t result = 0;
                zyntax_blocking_with(rt, &op, run_owned, drop_owned, &owned[next], 0, &waker, &result);
                zyntax_op_cancel(&op);
            };
        };
        for (size_t i = 0; i < owned.size(); i++) owned[i].on_drop = calls(i + 1);
        CHECK(await(rt, with_drop(rt, run_owned, drop_owned, &owned[0], 0)) == 1);
        CHECK(rt.drive_until([&] { return owned[2].drops == 1; }));
        for (Owned &o : owned) CHECK(o.dropped_once());
        CHECK(spawned == 3);
        // Again, while the runtime ends: nothing can begin any more.
        for (Owned &o : owned) o.drops = 0;
        Held held;
        Await running(rt, blocking(rt, Held::job, &held, 0));
        CHECK(rt.drive_until([&] { return held.begun == 1; }));
        Await queued(rt, with_drop(rt, run_owned, drop_owned, &owned[0], 0));
        settle(rt);
        held.gate.open();
        rt.destroy();
    }
    CHECK((owned[0].drops == 1 && owned[1].drops == 0 && owned[2].drops == 0));
    CHECK(spawned == 3);
    CHECK(heap.balanced());
}

TEST_CASE("cancelling_at_any_moment_drops_each_job_once") {
    Runtime rt(with_threads(4));
    std::deque<Owned> owned(size_t(scaled(3000)));
    size_t round = 0;
    for (Owned &o : owned) {
        Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
            o.asked = true;
            return zyntax_blocking_with(rt, op, run_owned, drop_owned, &o, 0, waker, result);
        });
        for (size_t i = round++ % 7; i > 0; i--) zyntax_runtime_turn(rt, 0);
        task.cancel();
        CHECK(rt.drain());
    }
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    settle(rt);
    for (Owned &o : owned) CHECK(o.asked == (o.drops > 0));
    for (Owned &o : owned) CHECK((o.dropped_once() || !o.asked));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_job_that_a_host_cancels_between_two_turns_is_dropped_in_the_next") {
    Occupied rt;
    Owned owned;
    HostWaker host;
    Waker waker = host.handle();
    zyntax_op op = 0;
    int64_t result = 0;
    CHECK(zyntax_blocking_with(rt, &op, run_owned, drop_owned, &owned, 0, &waker, &result) == POLL_PENDING);
    zyntax_op_cancel(&op);
    CHECK(owned.drops == 0);
    CHECK(zyntax_runtime_next_timeout_ns(rt) == 0);
    CHECK(zyntax_runtime_turn(rt, -1) >= 0);
    CHECK(owned.dropped_once());
    CHECK(host.wakes == 0);
    rt.held.gate.open();
    CHECK(rt.drain());
}
