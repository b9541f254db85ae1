// Tasks wait for signals: the counts, their receivers, and the ends of a wait.
#include "blocking_support.h"
#include "channel_support.h"
#include "compiled_support.h"
#include "dump_support.h"
#include "host_support.h"
#include "signal_support.h"

#include <cerrno>
#include <deque>

using namespace support;

namespace {

zyntax_runtime_config detecting_stalls() {
    auto c = config();
    c.flags = ZYNTAX_DETECT_STALL;
    return c;
}

} // namespace

TEST_CASE("signals_that_came_before_the_wait_are_counted_at_once") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    raise_times(SIGUSR1, 3);
    Await a(rt, waiting_for(signal));
    zyntax_runtime_turn(rt, 0);
    CHECK(a.result == 3);
    CHECK(a.task.polls == 1);
    settle(rt);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_signal_ends_a_wait") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    Await a(rt, waiting_for(signal));
    settle(rt);
    CHECK(a.alive());
    raise(SIGUSR1);
    CHECK(rt.drain());
    CHECK(a.result == 1);
    CHECK(a.task.polls == 2);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_signal_before_open_does_not_count") {
    Runtime rt;
    HostAction action(SIGUSR1);
    raise_times(SIGUSR1, 5);
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    Await a(rt, waiting_for(signal));
    settle(rt);
    CHECK(a.alive());
    raise(SIGUSR1);
    CHECK(rt.drain());
    CHECK(a.result == 1);
    CHECK(action.calls == 5);
}

TEST_CASE("each_result_counts_what_came_since_the_last") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    for (int times : {1, 4, 2}) {
        raise_times(SIGUSR1, times);
        CHECK(await(rt, waiting_for(signal)) == times);
    }
    Await a(rt, waiting_for(signal));
    settle(rt);
    raise_times(SIGUSR1, 7);
    CHECK(rt.drain());
    CHECK(a.result == 7);
}

TEST_CASE("each_handle_counts_every_delivery") {
    Runtime rt;
    zyntax_signal *one = signal_of(rt, SIGUSR1), *two = signal_of(rt, SIGUSR1), *other = signal_of(rt, SIGUSR2);
    Await a(rt, waiting_for(one)), b(rt, waiting_for(two)), c(rt, waiting_for(other));
    settle(rt);
    raise_times(SIGUSR1, 2);
    settle(rt);
    CHECK(a.result == 2);
    CHECK(b.result == 2);
    CHECK(c.alive());
    CHECK(zyntax_signal_close(one) == 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
    CHECK(await(rt, waiting_for(two)) == 1);
    CHECK(rt.drain());
    CHECK(c.result == 1);
}

TEST_CASE("the_first_of_several_waiters_gets_the_count_and_the_others_wait_on") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    std::deque<Await> all;
    for (int i = 0; i < 3; i++) all.emplace_back(rt, waiting_for(signal));
    settle(rt);
    for (int i = 0; i < 3; i++) {
        raise_times(SIGUSR1, i + 2);
        settle(rt);
        CHECK(all[size_t(i)].result == i + 2);
        if (i < 2) CHECK(all[size_t(i + 1)].alive());
    }
    CHECK(rt.stats().wakes <= 6);
}

TEST_CASE("a_new_caller_does_not_overtake_a_waiter_that_was_woken") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    Await a(rt, waiting_for(signal));
    settle(rt);
    raise(SIGUSR1);
    Await b(rt, waiting_for(signal));
    settle(rt);
    CHECK(a.result == 1);
    CHECK(b.alive());
}

TEST_CASE("the_next_wait_gets_the_count_of_a_cancelled_wait") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    SUBCASE("cancelled_before_the_signal") {
        Await a(rt, waiting_for(signal)), b(rt, waiting_for(signal));
        settle(rt);
        a.cancel();
        settle(rt);
        raise(SIGUSR1);
        CHECK(rt.drain());
        CHECK(b.result == 1);
    }
    SUBCASE("cancelled_after_it_was_woken") {
        Await a(rt, waiting_for(signal)), b(rt, waiting_for(signal));
        settle(rt);
        raise_times(SIGUSR1, 2);
        Await canceler(rt, [&](zyntax_op *, Waker *, int64_t *) {
            a.cancel();
            return POLL_READY;
        });
        CHECK(rt.drain());
        CHECK(a.result == unfinished);
        CHECK(b.result == 2);
    }
    SUBCASE("woken_and_polled_without_the_call") {
        bool gives_up = false;
        Await a(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
            return gives_up ? POLL_PENDING : zyntax_signal_wait(signal, op, waker, result);
        });
        settle(rt);
        gives_up = true;
        Await b(rt, waiting_for(signal));
        settle(rt);
        raise(SIGUSR1);
        settle(rt);
        CHECK(a.alive());
        CHECK(b.result == 1);
    }
    SUBCASE("the_op_is_cancelled_and_the_task_waits_again") {
        Await a(rt, waiting_for(signal));
        settle(rt);
        raise_times(SIGUSR1, 3);
        zyntax_op_cancel(&a.task.op);
        CHECK(await(rt, waiting_for(signal)) == 3);
    }
    SUBCASE("forgotten_by_a_task_that_ended") {
        zyntax_op forgotten = 0;
        Await a(rt, [&](zyntax_op *, Waker *waker, int64_t *result) {
            CHECK(zyntax_signal_wait(signal, &forgotten, waker, result) == POLL_PENDING);
            return POLL_READY;
        });
        settle(rt);
        Await b(rt, waiting_for(signal));
        raise(SIGUSR1);
        CHECK(rt.drain());
        CHECK(b.result == 1);
    }
    SUBCASE("for_another_operation") {
        int64_t result = unset;
        Await a(rt, [&, first = true](zyntax_op *op, Waker *waker, int64_t *out) mutable {
            if (!first) return zyntax_sleep(rt, op, ms, waker);
            first = false;
            CHECK(zyntax_signal_wait(signal, op, waker, out) == POLL_PENDING);
            return zyntax_sleep(rt, op, ms, waker);
        });
        settle(rt);
        raise(SIGUSR1);
        CHECK(await(rt, waiting_for(signal)) == 1);
        CHECK(rt.drain());
        CHECK(result == unset);
    }
    CHECK(zyntax_signal_close(signal) == 0);
}

TEST_CASE("close_ends_waits_with_ecanceled_and_the_handle_is_stale_then") {
    Runtime rt;
    HostAction action(SIGUSR1);
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    Await woken(rt, waiting_for(signal)), waiting(rt, waiting_for(signal));
    settle(rt);
    raise(SIGUSR1);
    Await closer(rt, [&](zyntax_op *, Waker *, int64_t *) {
        CHECK(zyntax_signal_close(signal) == 0);
        return POLL_READY;
    });
    CHECK(rt.drain());
    bool was_first = woken.result == 1; // it ran before the closer
    CHECK((was_first || woken.result == ZYNTAX_ECANCELED));
    CHECK(waiting.result == ZYNTAX_ECANCELED);
    CHECK(zyntax_signal_close(signal) == ZYNTAX_ESTALE);
    CHECK(await(rt, waiting_for(signal)) == ZYNTAX_ESTALE);
    CHECK(action.is_there());
}

TEST_CASE("a_waiter_that_was_woken_finds_a_handle_that_was_closed") {
    Heap heap;
    Runtime rt(heap.config());
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    uint64_t before = rt.stats().bytes_in_use;
    bool closes = false;
    Await closer(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        if (closes) {
            zyntax_op_cancel(op); // the turn is the second's
            CHECK(zyntax_signal_close(signal) == 0);
            *result = 0;
            return POLL_READY;
        }
        return zyntax_signal_wait(signal, op, waker, result);
    });
    Await second(rt, waiting_for(signal)), third(rt, waiting_for(signal));
    settle(rt);
    closes = true;
    raise(SIGUSR1);
    CHECK(rt.drain());
    CHECK(second.result == ZYNTAX_ECANCELED);
    CHECK(third.result == ZYNTAX_ECANCELED);
    CHECK(rt.stats().bytes_in_use <= before);
}

TEST_CASE("destroy_ends_waits_and_puts_the_action_back") {
    HostAction action(SIGUSR1);
    Heap heap;
    for (bool woken : {false, true}) {
        Runtime rt(heap.config());
        Task task;
        int64_t result = unset;
        zyntax_signal *signal = signal_of(rt, SIGUSR1);
        task.on_poll = [&](Waker *waker) { return zyntax_signal_wait(signal, &task.op, waker, &result); };
        task.spawn(rt);
        settle(rt);
        if (woken) raise(SIGUSR1);
        rt.destroy();
        CHECK(task.outcome == ZYNTAX_ECANCELED);
        CHECK(result == unset);
        CHECK(action.is_there());
        CHECK(zyntax_signal_close(signal) == ZYNTAX_ESTALE);
    }
    CHECK(heap.balanced());
    CHECK(action.calls == 0);
    raise(SIGUSR1);
    CHECK(action.calls == 1);
}

TEST_CASE("open_is_ecanceled_while_the_runtime_is_destroyed") {
    HostAction action(SIGUSR1);
    Runtime rt;
    int32_t error = 1;
    zyntax_signal *signal = nullptr;
    Task task{[](Waker *) { return POLL_PENDING; },
              [&](int32_t) { error = zyntax_signal_open(rt.rt, SIGUSR1, &signal); }};
    task.spawn(rt);
    zyntax_runtime_destroy(rt.rt);
    rt.rt = nullptr;
    CHECK(error == ZYNTAX_ECANCELED);
    CHECK(signal == nullptr);
    CHECK(action.is_there());
}

TEST_CASE("a_task_that_waits_for_a_signal_is_no_stall") {
    Runtime rt(detecting_stalls());
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    Await a(rt, waiting_for(signal));
    settle(rt);
    Thread other([&] { raise(SIGUSR1); });
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    CHECK(a.result == 1);
    other.join();
    // The count of holds is the same after every kind of end.
    Await canceled(rt, waiting_for(signal)), closed(rt, waiting_for(signal));
    settle(rt);
    canceled.cancel();
    settle(rt);
    CHECK(zyntax_signal_close(signal) == 0);
    settle(rt);
    CHECK(closed.result == ZYNTAX_ECANCELED);
    Task parked{[](Waker *) { return POLL_PENDING; }};
    parked.spawn(rt);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
}

TEST_CASE("a_signal_wakes_a_loop_that_sleeps_with_one_wait_of_the_kernel") {
    SKIP_WHEN(on_libkqueue, "libkqueue locks in kevent");
    for (bool in_other_thread : {false, true}) {
        CAPTURE(in_other_thread);
        for (int round = 0; round < 20; round++) {
            Runtime rt;
            zyntax_signal *signal = signal_of(rt, SIGUSR1);
            Await a(rt, waiting_for(signal));
            std::atomic<bool> sleeps{false};
            Task teller{[&](Waker *) {
                sleeps = true;
                return POLL_READY;
            }};
            teller.spawn(rt);
            std::optional<BlockedSignal> blocked;
            pthread_t loop = pthread_self();
            if (in_other_thread) blocked.emplace(SIGUSR1);
            Thread other([&] {
                while (!sleeps) yield();
                yield();
                if (in_other_thread) {
                    sigset_t one;
                    sigemptyset(&one);
                    sigaddset(&one, SIGUSR1);
                    pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
                    raise(SIGUSR1);
                } else {
                    pthread_kill(loop, SIGUSR1);
                }
            });
            Limit limit(rt);
            CHECK(zyntax_runtime_run(rt) == 0);
            other.join();
            CHECK(a.result == 1);
            CHECK(rt.stats().kernel_waits <= 1);
        }
    }
}

TEST_CASE("a_signal_in_a_thread_of_the_pool_wakes_the_loop") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGTERM);
    Await a(rt, waiting_for(signal));
    Job job = [](void *) -> int64_t { return raise(SIGTERM) == 0; };
    CHECK(await(rt, blocking(rt, job, nullptr, 0)) == 1);
    CHECK(rt.drain());
    CHECK(a.result == 1);
}

TEST_CASE("a_host_waits_with_its_own_waker") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    HostOp op{waiting_for(signal)};
    CHECK(op.call() == POLL_PENDING);
    settle(rt);
    raise_times(SIGUSR1, 2);
    CHECK(op.host.wakes == 0);
    settle(rt);
    CHECK(op.host.wakes == 1);
    CHECK(op.call() == POLL_READY);
    CHECK(op.result == 2);
}

TEST_CASE("a_host_that_sleeps_on_the_backends_descriptor_hears_of_a_signal") {
    Runtime rt;
    auto fd = Descriptor(zyntax_runtime_backend_fd(rt));
    SKIP_WHEN(fd < 0, "this poller has no descriptor");
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    Await a(rt, waiting_for(signal));
    for (int i = 0; i < 5; i++) zyntax_runtime_turn(rt, 0);
    CHECK_FALSE(wait_for(fd, POLLIN, 0));
    raise(SIGUSR1);
    CHECK(wait_for(fd, POLLIN));
    settle(rt);
    CHECK(a.result == 1);
}

TEST_CASE("the_dump_tells_of_a_wait_for_a_signal") {
    Runtime rt;
    CHECK(waits_for(rt, waiting_for(signal_of(rt, SIGUSR1))) == ZYNTAX_WAIT_SIGNAL);
}

TEST_CASE("errno_is_preserved_by_the_calls_and_by_the_handler") {
    Runtime rt;
    errno = 4242;
    zyntax_signal *signal = nullptr;
    int32_t refused = zyntax_signal_open(rt, SIGKILL, &signal);
    int32_t opened = zyntax_signal_open(rt, SIGUSR1, &signal);
    raise(SIGUSR1);
    int32_t closed = zyntax_signal_close(signal);
    CHECK(errno == 4242);
    CHECK(refused == ZYNTAX_EINVAL);
    CHECK(opened == 0);
    CHECK(closed == 0);
}

TEST_CASE("a_poll_that_always_finds_a_signal_spends_its_budget") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    int in_first_poll = 0;
    Task task;
    task.on_poll = [&](Waker *waker) {
        int64_t result;
        for (int i = 0; i < 1000; i++) {
            raise(SIGUSR1);
            if (zyntax_signal_wait(signal, &task.op, waker, &result) == POLL_PENDING) break;
            in_first_poll += task.polls == 1;
        }
        return task.polls == 1 ? POLL_PENDING : POLL_READY;
    };
    task.spawn(rt);
    CHECK(rt.drain());
    CHECK(in_first_poll == 128);
}

TEST_CASE("compiled_code_awaits_a_signal") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1), *closed = signal_of(rt, SIGUSR1);
    auto awaiting = [](zyntax_signal *which) -> Maker { return [=] { return zyntax_promise_signal_wait(which); }; };
    raise_times(SIGUSR1, 2);
    Compiled first({awaiting(signal)}), later({awaiting(signal)}), none({awaiting(nullptr)}), ends({awaiting(closed)});
    CHECK(run(rt, first) == 2);
    CHECK(run(rt, none) == ZYNTAX_ESTALE);
    CHECK(run(rt, ends) == 2);
    later.spawn(rt);
    settle(rt);
    CHECK(later.alive());
    raise(SIGUSR1);
    CHECK(rt.drain());
    CHECK(later.result == 1);
    zyntax_promise *awaited = nullptr;
    Compiled canceled({[&] { return awaited = zyntax_promise_signal_wait(signal); }}), waits({awaiting(closed)}),
        limited({[&] { return zyntax_promise_timeout(zyntax_promise_signal_wait(signal), ms); }});
    CHECK(run(rt, limited) == ZYNTAX_ETIMEDOUT);
    canceled.spawn(rt);
    CHECK(await(rt, waiting_for(closed)) == 1);
    waits.spawn(rt);
    settle(rt);
    CHECK(zyntax_promise_cancel(awaited) == 0);
    CHECK(zyntax_signal_close(closed) == 0);
    CHECK(rt.drain());
    CHECK(canceled.result == ZYNTAX_ECANCELED);
    CHECK(waits.result == ZYNTAX_ECANCELED);
    CHECK(zyntax_promise_signal_wait(signal)->poll(zyntax_promise_signal_wait(signal)->state) == ZYNTAX_EPERM);
}

TEST_CASE("bad_arguments_and_foreign_handles_are_refused") {
    HostAction action(SIGUSR1);
    Runtime rt;
    zyntax_signal *signal = nullptr;
    CHECK(zyntax_signal_open(nullptr, SIGUSR1, &signal) == ZYNTAX_EINVAL);
    CHECK(zyntax_signal_open(rt, SIGUSR1, nullptr) == ZYNTAX_EINVAL);
    CHECK(signal == nullptr);
    CHECK(action.is_there());
    auto *channel = reinterpret_cast<zyntax_signal *>(channel_of(rt, 1));
    for (zyntax_signal *bad : {static_cast<zyntax_signal *>(nullptr), channel}) {
        CHECK(await(rt, waiting_for(bad)) == ZYNTAX_ESTALE);
        CHECK(zyntax_signal_close(bad) == ZYNTAX_ESTALE);
    }
    signal = signal_of(rt, SIGUSR1);
    CHECK(zyntax_channel_close(reinterpret_cast<zyntax_channel *>(signal)) == ZYNTAX_ESTALE);
    zyntax_op op = 0;
    int64_t result = unset;
    HostOp host{waiting_for(signal)};
    CHECK(zyntax_signal_wait(signal, &op, nullptr, &result) == POLL_READY);
    CHECK(result == ZYNTAX_EINVAL);
    result = unset;
    Waker waker = {};
    CHECK(zyntax_signal_wait(signal, &op, &waker, &result) == POLL_READY);
    CHECK(result == ZYNTAX_EINVAL);
    CHECK(zyntax_signal_close(signal) == 0);
}

TEST_CASE("a_handle_of_another_threads_runtime_is_stale") {
    Runtime rt;
    zyntax_signal *signal = signal_of(rt, SIGUSR1);
    Task task{[&](Waker *) {
        Thread([&] {
            Runtime own;
            CHECK(zyntax_signal_close(signal) == ZYNTAX_ESTALE);
            CHECK(await(own, waiting_for(signal)) == ZYNTAX_ESTALE);
        }).join();
        return POLL_READY;
    }};
    task.spawn(rt);
    CHECK(rt.drain());
    CHECK(zyntax_signal_close(signal) == 0);
}

TEST_CASE("open_and_wait_without_memory_change_nothing") {
    HostAction action(SIGUSR1);
    int failed_opens = 0, failed_waits = 0;
    for (bool persistent : {false, true}) {
        for (uint64_t n = 1;; n++) {
            Heap heap;
            uint64_t failures = 0;
            {
                Runtime rt(heap.config());
                std::deque<Await> others;
                std::deque<HostOp> hosts;
                std::deque<zyntax_signal *> signals;
                heap.fail_at = n;
                heap.persistent = persistent;
                // Enough of each kind to use up the first blocks of a runtime.
                while (signals.size() < 600 && !heap.failures) {
                    zyntax_signal *signal = nullptr;
                    uint64_t in_use = rt.stats().bytes_in_use;
                    int32_t error = zyntax_signal_open(rt, SIGUSR1, &signal);
                    if (!error) signals.push_back(signal);
                    else failed_opens++;
                    if (error) CHECK(error == ZYNTAX_ENOMEM);
                    if (error) CHECK(signal == nullptr);
                    if (error) CHECK(rt.stats().bytes_in_use == in_use);
                    if (error || signals.empty()) continue;
                    HostOp &op = hosts.emplace_back(waiting_for(signals.back()));
                    if (op.call() == POLL_READY) {
                        CHECK(op.result == ZYNTAX_ENOMEM);
                        failed_waits++;
                    }
                }
                if (signals.empty()) CHECK(action.is_there());
                failures = heap.failures;
                heap.fail_at = 0;
                signals.push_back(signal_of(rt, SIGUSR1));
                raise(SIGUSR1);
                CHECK(await(rt, waiting_for(signals.back())) == 1);
                for (HostOp &op : hosts) zyntax_op_cancel(&op.op);
            }
            CHECK(heap.balanced());
            CHECK(action.is_there());
            if (!failures) break;
            REQUIRE(n < 100);
        }
    }
    CHECK(failed_opens > 2);
    CHECK(failed_waits > 0);
}
