// User code that runs while a runtime is destroyed: drops, posted functions and hosts' wakers. Each may call every
// function, and receives no object that it would have to close.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"
#include "promise_support.h"

#include <deque>
#include <vector>

using namespace support;

namespace {

// Calls every function that makes an object, while the runtime is being destroyed.
struct Maker {
    zyntax_runtime *rt;
    zyntax_io *listener = nullptr; // with a client in its queue
    zyntax_channel *channel = nullptr;
    Fd client, own;
    bool was_blocking = true;
    int calls = 0;

    explicit Maker(Runtime &runtime) : rt(runtime), channel(channel_of(runtime, 1)) {
        if constexpr (!has_sockets) return;
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
        client = plain_client(uint16_t(zyntax_tcp_port(listener)));
        REQUIRE(wait_for(client, POLLOUT));
        own = plain_listener(1);
    }
    void make() {
        calls++;
        zyntax_channel *made = nullptr;
        CHECK(zyntax_channel_create(rt, 1, 1, &made) == ZYNTAX_ECANCELED);
        CHECK(made == nullptr);
        if constexpr (has_threads) {
            Job job = [](void *) { return int64_t(1); };
            CHECK(at_once(blocking(rt, job, nullptr, 0)) == ZYNTAX_ECANCELED);
        }
        if constexpr (!has_sockets) return;
        zyntax_io *io = nullptr;
        CHECK(zyntax_io_open(rt, own, &io) == ZYNTAX_ECANCELED);
        CHECK(zyntax_tcp_listen(rt, "127.0.0.1", 0, &io) == ZYNTAX_ECANCELED);
        CHECK(zyntax_udp_open(rt, nullptr, 0, &io) == ZYNTAX_ECANCELED);
        CHECK(at_once(connecting(rt, "127.0.0.1", 1, &io)) == ZYNTAX_ECANCELED);
        CHECK(at_once(connecting(rt, "localhost", 1, &io)) == ZYNTAX_ECANCELED);
        int64_t accepted = at_once(accepting(listener, &io));
        CHECK((accepted == ZYNTAX_ECANCELED || accepted == ZYNTAX_ESTALE)); // it may be closed by now
        CHECK(io == nullptr);
        CHECK(is_open(own.fd));
        CHECK(is_blocking(own));
    }
};

} // namespace

TEST_CASE("a_drop_makes_nothing_any_more") {
    Heap heap;
    int descriptors = has_sockets ? fd_count() : 0;
    {
        Runtime rt(heap.config());
        Maker maker(rt);
        Task task{[](Waker *) { return POLL_PENDING; }, [&](int32_t) { maker.make(); }};
        task.spawn(rt);
        settle(rt);
        rt.destroy();
        CHECK(maker.calls == 1);
    }
    CHECK(heap.balanced());
    if constexpr (has_sockets) CHECK(fd_count() == descriptors);
}

TEST_CASE("a_hosts_waker_makes_nothing_any_more") {
    for (int kind = 0; kind < 4; kind++) {
        CAPTURE(kind);
        Heap heap;
        {
            Runtime rt(heap.config());
            Maker maker(rt);
            zyntax_channel *full = channel_of(rt, 1);
            int item = 1;
            CHECK(at_once(sending(full, &item)) == 0);
            Task task{[](Waker *) { return POLL_PENDING; }};
            task.spawn(rt);
            zyntax_task *handle = task.handle;
            const Operation all[] = {
                receiving(maker.channel, &item), sending(full, &item),
                [handle](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_task_join(handle, op, w, r); },
                [handle](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_select(&handle, 1, op, w, r); }};
            HostOp host(all[kind]);
            CHECK(host.call() == POLL_PENDING);
            host.host.action = [&] { maker.make(); };
            settle(rt);
            rt.destroy();
            CHECK(maker.calls <= 1);
            CHECK(task.drops == 1);
        }
        CHECK(heap.balanced());
    }
}

TEST_CASE("a_hosts_waker_that_is_called_for_a_closed_handle_makes_nothing_any_more") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    Heap heap;
    int descriptors = fd_count();
    {
        Runtime rt(heap.config());
        Maker maker(rt);
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        char byte = 0;
        HostOp host(reading(io, &byte, 1));
        CHECK(host.call() == POLL_PENDING);
        host.host.action = [&] { maker.make(); };
        rt.destroy();
        CHECK(maker.calls <= 1);
    }
    CHECK(heap.balanced());
    CHECK(fd_count() == descriptors);
}

TEST_CASE("a_hosts_waker_that_begins_to_wait_again_comes_to_an_end") {
    Heap heap;
    Runtime rt(heap.config());
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1, again = 0;
    std::deque<HostOp> hosts;
    for (int i = 0; i < 10; i++) {
        HostOp &host = hosts.emplace_back(receiving(channel, &item));
        CHECK(host.call() == POLL_PENDING);
        host.host.action = [&] {
            again += host.call() == POLL_PENDING;
            if (host.result == unfinished) return;
            CHECK((host.result == ZYNTAX_ECANCELED || host.result == ZYNTAX_ESTALE));
        };
    }
    rt.destroy();
    CHECK(heap.balanced());
    for (HostOp &host : hosts) CHECK(host.host.wakes <= 2);
}

TEST_CASE("a_promise_that_is_spawned_in_a_drop_tells_that_it_was_cancelled") {
    Heap heap;
    {
        Runtime rt(heap.config());
        zyntax_runtime *raw = rt;
        int64_t result = unfinished;
        int polls = 0;
        zyntax_promise promise{&polls, [](void *n) {
                                   ++*static_cast<int *>(n);
                                   return int64_t(1);
                               }};
        Task task{[](Waker *) { return POLL_PENDING; },
                  [&](int32_t) {
                      CHECK(zyntax_promise_spawn(raw, &promise, &result) == nullptr);
                      CHECK(zyntax_promise_spawn(raw, &promise, nullptr) == nullptr);
                  }};
        task.spawn(rt);
        rt.destroy();
        CHECK(result == ZYNTAX_ECANCELED);
        CHECK(polls == 0);
    }
    CHECK(heap.balanced());
}

TEST_CASE("a_promise_that_is_alive_tells_that_it_was_cancelled") {
    Runtime rt;
    int64_t result = unfinished;
    Promise promise{[](Promise &) {
        current();
        return int64_t(0);
    }};
    promise.spawn(rt);
    settle(rt);
    rt.destroy();
    CHECK(promise.result == ZYNTAX_ECANCELED);
    CHECK(result == unfinished);
}

namespace {

// A job that posts a function to the runtime's thread, and waits for it.
struct Asking {
    zyntax_runtime *rt;
    Gate begun, answered;
    std::function<void()> answer = [] {};
    int32_t posted = 1;
    std::atomic<int> answers{0};
    std::atomic<bool> runs{false}, ended{false};

    explicit Asking(zyntax_runtime *runtime) : rt(runtime) {}
    static void post(void *self) {
        auto *asking = static_cast<Asking *>(self);
        asking->answers++;
        asking->answer();
        asking->answered.open();
    }
    static int64_t job(void *self) {
        auto *asking = static_cast<Asking *>(self);
        asking->runs = true;
        asking->begun.pass(); // until the runtime is being destroyed
        asking->posted = zyntax_runtime_post(asking->rt, post, asking);
        bool passed = asking->posted != 0 || asking->answered.pass();
        asking->ended = true;
        return passed;
    }
};

// Destroys a runtime with a job that asks for an answer once the destroy has begun, and does not end without it.
void destroy_while_asking(const std::function<void(zyntax_runtime *)> &answer) {
    Heap heap;
    {
        Runtime rt(heap.config());
        zyntax_runtime *raw = rt;
        Asking asking(rt);
        asking.answer = [&answer, raw] { answer(raw); };
        Await task(rt, blocking(rt, Asking::job, &asking, 0));
        Task dropped{[](Waker *) { return POLL_PENDING; }, [&](int32_t) { asking.begun.open(); }};
        dropped.spawn(rt);
        CHECK(rt.drive_until([&] { return asking.runs.load(); }));
        auto begin = std::chrono::steady_clock::now();
        rt.destroy();
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(deadline_ms / 2));
        CHECK(asking.ended);
        CHECK(asking.posted == 0);
        CHECK(asking.answers == 1);
    }
    CHECK(heap.balanced());
}

} // namespace

TEST_CASE("a_job_that_waits_for_a_function_it_posted_gets_its_answer") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    destroy_while_asking([](zyntax_runtime *) {});
}

TEST_CASE("several_jobs_that_wait_for_functions_they_posted_get_their_answers") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Runtime rt(with_threads(4));
    std::deque<Asking> asking;
    std::deque<Await> tasks;
    for (int i = 0; i < 4; i++) {
        asking.emplace_back(rt);
        tasks.emplace_back(rt, blocking(rt, Asking::job, &asking.back(), 0));
    }
    CHECK(rt.drive_until([&] {
        for (Asking &one : asking)
            if (!one.runs) return false;
        return true;
    }));
    for (Asking &one : asking) one.begun.open();
    rt.destroy();
    for (Asking &one : asking) {
        CHECK(one.answers == 1);
        CHECK(one.ended);
    }
}

TEST_CASE("a_function_that_a_job_posted_makes_nothing_any_more") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    destroy_while_asking([](zyntax_runtime *rt) {
        zyntax_channel *channel = nullptr;
        zyntax_io *io = nullptr;
        Job job = [](void *) { return int64_t(1); };
        CHECK(at_once(blocking(rt, job, nullptr, 0)) == ZYNTAX_ECANCELED);
        CHECK(at_once(connecting(rt, "127.0.0.1", 1, &io)) == ZYNTAX_ECANCELED);
        CHECK(at_once(connecting(rt, "localhost", 1, &io)) == ZYNTAX_ECANCELED);
        CHECK(zyntax_channel_create(rt, 1, 1, &channel) == ZYNTAX_ECANCELED);
        CHECK(zyntax_tcp_listen(rt, "127.0.0.1", 0, &io) == ZYNTAX_ECANCELED);
        Task late{[](Waker *) { return POLL_PENDING; }};
        CHECK(late.spawn(rt) == nullptr);
        CHECK(late.drops == 1);
        CHECK(zyntax_runtime_turn(rt, 0) == ZYNTAX_EBUSY);
    });
}

TEST_CASE("a_function_that_a_job_posted_may_give_up_operations_of_jobs") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Heap heap;
    {
        Runtime rt(heap.config(with_threads(1)));
        Asking asking(rt);
        std::atomic<int> runs{0};
        auto count = [](void *n) { return int64_t(++*static_cast<std::atomic<int> *>(n)); };
        std::deque<HostOp> hosts; // the first of them runs, the others are queued
        hosts.emplace_back(blocking(rt, Asking::job, &asking, 0));
        for (int i = 0; i < 5; i++) hosts.emplace_back(blocking(rt, count, &runs, 0));
        for (HostOp &host : hosts) CHECK(host.call() == POLL_PENDING);
        CHECK(eventually([&] { return asking.runs.load(); }));
        asking.answer = [&] {
            for (HostOp &host : hosts) host.cancel();
        };
        asking.begun.open();
        rt.destroy();
        CHECK(asking.ended);
        CHECK(runs == 0);
        for (HostOp &host : hosts) {
            CHECK_FALSE(host.host.was_late);
            CHECK_FALSE(host.host.was_inline);
        }
    }
    CHECK(heap.balanced());
}

TEST_CASE("functions_that_another_thread_posts_all_the_while_run_once_each_or_not_at_all") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    for (int round = 0; round < scaled(50); round++) {
        Heap heap;
        std::atomic<int> accepted{0}, ran{0};
        {
            Runtime rt(heap.config());
            Held held;
            struct Posting {
                zyntax_runtime *rt;
                std::atomic<int> &accepted, &ran;
                static int64_t job(void *self) {
                    auto *posting = static_cast<Posting *>(self);
                    auto call = [](void *n) { ++*static_cast<std::atomic<int> *>(n); };
                    for (int i = 0; i < 100; i++)
                        posting->accepted += zyntax_runtime_post(posting->rt, call, &posting->ran) == 0;
                    return 0;
                }
            } posting{rt, accepted, ran};
            HostOp host(blocking(rt, Posting::job, &posting, 0));
            CHECK(host.call() == POLL_PENDING);
            rt.destroy();
        }
        CHECK(accepted == ran);
        CHECK(heap.balanced());
    }
}

TEST_CASE("a_drop_that_serves_a_host_has_it_called_by_the_loop") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 1, out = 0;
    HostOp host(receiving(channel, &out));
    CHECK(host.call() == POLL_PENDING);
    Task task{[](Waker *) { return POLL_PENDING; },
              [&](int32_t) {
                  host.host.busy = true;
                  int64_t sent = at_once(sending(channel, &item));
                  CHECK((sent == 0 || sent == ZYNTAX_ESTALE));
                  host.host.busy = false;
              }};
    task.spawn(rt);
    rt.destroy();
    CHECK(host.host.wakes <= 2); // for the item, and for the end of the channel
    CHECK_FALSE(host.host.was_inline);
}
