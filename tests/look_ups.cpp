// Name look-ups, which cannot be ended early, leave half of the pool's threads to other jobs. An executable of its own,
// whose look-ups wait for a permit of the test.
#include "blocking_support.h"

#include <netdb.h>

#include <deque>

using namespace support;

namespace {

struct LookUps {
    Gate gate;
    int code = EAI_NONAME; // the answer
    std::atomic<int> begun{0}, running{0}, most{0};
};
LookUps *look_ups;

} // namespace

// Takes the C library's place.
extern "C" int getaddrinfo(const char *, const char *, const addrinfo *hints, addrinfo **) {
    if (hints && (hints->ai_flags & AI_NUMERICHOST)) return EAI_NONAME;
    look_ups->begun++;
    int now = ++look_ups->running, most = look_ups->most;
    while (now > most && !look_ups->most.compare_exchange_weak(most, now)) {
    }
    look_ups->gate.pass();
    look_ups->running--;
    errno = 0;
    return look_ups->code;
}

namespace {

// Many tasks that connect by name.
struct Connecting : LookUps {
    std::deque<zyntax_io *> ios;
    std::deque<Await> tasks;

    Connecting(Runtime &rt, int count) {
        look_ups = this;
        for (int i = 0; i < count; i++) {
            zyntax_io **io = &ios.emplace_back(nullptr);
            tasks.emplace_back(rt, [&rt, io](zyntax_op *op, Waker *waker, int64_t *result) {
                return zyntax_tcp_connect(rt, op, "some.name", 80, waker, io, result);
            });
        }
        settle(rt);
    }
};

int64_t one(void *) { return 1; }

} // namespace

TEST_CASE("half_of_the_threads_look_names_up_at_most_and_the_others_run_jobs") {
    for (uint32_t threads : {2u, 3u, 8u, 16u}) {
        CAPTURE(threads);
        int half = int(threads / 2);
        Runtime rt(with_threads(threads));
        Connecting connecting(rt, 20);
        CHECK(rt.drive_until([&] { return connecting.running == half; }));
        for (int i = 0; i < 10; i++) CHECK(await(rt, blocking(rt, one, nullptr, 0)) == 1);
        CHECK(connecting.running == half);
        connecting.gate.open();
        CHECK(rt.drain());
        for (Await &task : connecting.tasks) CHECK(task.result == ZYNTAX_ENOENT);
        CHECK(connecting.begun == 20);
        CHECK(connecting.most == half);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("each_answer_of_the_resolver_is_an_error_also_one_without_a_number") {
    struct {
        int code;
        int32_t error;
    } const answers[] = {{EAI_NONAME, ZYNTAX_ENOENT},
                         {EAI_FAIL, ZYNTAX_ENOENT},
                         {EAI_AGAIN, ZYNTAX_EAGAIN},
                         {EAI_MEMORY, ZYNTAX_ENOMEM},
                         {EAI_SYSTEM, ZYNTAX_EIO}};
    for (const auto &answer : answers) {
        int code = answer.code;
        int32_t error = answer.error;
        CAPTURE(code);
        Runtime rt;
        Connecting connecting(rt, 1);
        connecting.code = code;
        connecting.gate.open();
        CHECK(rt.drain());
        CHECK(connecting.tasks[0].result == error);
        CHECK(connecting.ios[0] == nullptr);
    }
}

TEST_CASE("with_one_thread_names_are_looked_up_too") {
    Runtime rt(with_threads(1));
    Connecting connecting(rt, 5);
    CHECK(rt.drive_until([&] { return connecting.running == 1; }));
    connecting.gate.open();
    CHECK(rt.drain());
    CHECK(connecting.begun == 5);
    CHECK(connecting.most == 1);
}

TEST_CASE("look_ups_that_wait_start_no_threads") {
    Runtime rt(with_threads(16));
    auto before = usage().threads;
    Connecting connecting(rt, 20);
    CHECK(rt.drive_until([&] { return connecting.running == 8; }));
    CHECK(usage().threads <= before + 8);
    connecting.gate.open();
    CHECK(rt.drain());
}

TEST_CASE("a_look_up_that_nobody_waits_for_does_not_begin") {
    for (bool destroys : {false, true}) {
        CAPTURE(destroys);
        Runtime rt(with_threads(4));
        Connecting connecting(rt, 20);
        CHECK(rt.drive_until([&] { return connecting.running == 2; }));
        for (Await &task : connecting.tasks) task.cancel();
        settle(rt);
        CHECK(rt.stats().blocking_pending == 2);
        CHECK(await(rt, blocking(rt, one, nullptr, 0)) == 1);
        connecting.gate.open();
        if (destroys) rt.destroy();
        else CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
        CHECK(connecting.begun == 2);
    }
}

TEST_CASE("jobs_and_look_ups_that_wait_for_a_thread_are_taken_in_their_order") {
    Runtime rt(with_threads(2));
    Held held;
    Await running(rt, blocking(rt, Held::job, &held, 0));
    CHECK(rt.drive_until([&] { return held.begun == 1; }));
    Connecting connecting(rt, 2); // one runs, one waits
    CHECK(rt.drive_until([&] { return connecting.running == 1; }));
    Held later;
    Await after(rt, blocking(rt, Held::job, &later, 0));
    settle(rt);
    CHECK(later.begun == 0);
    held.gate.open(); // its thread passes the look-up that must wait
    CHECK(rt.drive_until([&] { return later.begun == 1; }));
    CHECK(connecting.begun == 1);
    connecting.gate.open();
    CHECK(rt.drive_until([&] { return connecting.begun == 2; }));
    later.gate.open();
    CHECK(rt.drain());
    CHECK(after.result == 1);
}

TEST_CASE("a_job_leaves_nothing_in_use") {
    Runtime rt;
    uint64_t before = rt.stats().bytes_in_use;
    {
        Await task(rt, blocking(rt, one, nullptr, 0));
        CHECK(rt.drain());
    }
    CHECK(rt.stats().bytes_in_use == before);
}
