// zyntax_blocking: the input of a job, its output, and its thread.
#include "blocking_support.h"

#include <deque>
#include <set>

using namespace support;

namespace {

struct Sum {
    int64_t a, b, sum;
};
int64_t add(void *arg) {
    auto *sum = static_cast<Sum *>(arg);
    sum->sum = sum->a + sum->b;
    return sum->sum * 10;
}

} // namespace

TEST_CASE("the_result_is_what_the_function_returned") {
    Runtime rt;
    for (int64_t value : {int64_t(0), int64_t(7), INT64_MAX, INT64_MIN + 1, int64_t(-5)}) {
        CHECK(await(rt, blocking(
                            rt, [](void *arg) { return *static_cast<int64_t *>(arg); }, &value, sizeof value)) ==
              value);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_argument_is_copied_into_the_job_and_back") {
    Runtime rt;
    Sum sum{2, 3, 0};
    CHECK(await(rt, blocking(rt, add, &sum, sizeof sum)) == 50);
    CHECK(sum.sum == 5);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_job_works_on_a_copy_that_is_aligned_to_16_bytes") {
    Runtime rt;
    struct Where {
        void *self;
    } where{nullptr};
    Job job = [](void *arg) {
        static_cast<Where *>(arg)->self = arg;
        return int64_t(reinterpret_cast<uintptr_t>(arg) % 16);
    };
    CHECK(await(rt, blocking(rt, job, &where, sizeof where)) == 0);
    CHECK(where.self != nullptr);
    CHECK(where.self != &where);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_argument_is_copied_back_to_where_it_is_when_the_operation_ends") {
    Runtime rt;
    Sum places[2] = {{20, 3, 0}, {0, 0, 0}};
    ScopedTask task(rt);
    int64_t result = 0;
    task.on_poll = [&](Waker *waker) {
        Sum *place = task.polls == 1 ? &places[0] : &places[1]; // the state has moved
        PollStatus status = zyntax_blocking(rt, &task.op, add, place, sizeof(Sum), waker, &result);
        if (task.polls == 1) places[0] = {99, 99, 99}; // copied already
        return status;
    };
    task.start();
    CHECK(rt.drain());
    CHECK(result == 230);
    CHECK(places[1].sum == 23);
    CHECK(places[0].sum == 99);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("with_a_size_of_zero_the_pointer_itself_is_passed") {
    Runtime rt;
    Sum sum{4, 5, 0};
    CHECK(await(rt, blocking(rt, add, &sum, 0)) == 90);
    CHECK(sum.sum == 9);
    CHECK(await(rt, blocking(
                        rt, [](void *arg) { return int64_t(arg == nullptr); }, nullptr, 0)) == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_large_argument_arrives_whole_and_comes_back_whole") {
    Runtime rt;
    std::string text(mib, 'a');
    Job job = [](void *arg) {
        auto *bytes = static_cast<char *>(arg);
        int64_t sum = 0;
        for (size_t i = 0; i < mib; i++) {
            sum += bytes[i] == 'a';
            bytes[i] = 'b';
        }
        return sum;
    };
    CHECK(await(rt, blocking(rt, job, text.data(), text.size())) == int64_t(mib));
    CHECK(text == std::string(mib, 'b'));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("jobs_run_in_other_threads_than_the_runtime") {
    Runtime rt;
    ThreadId ids[10];
    for (auto &id : ids) {
        Job job = [](void *arg) {
            *static_cast<ThreadId *>(arg) = this_thread_id();
            return int64_t(0);
        };
        CHECK(await(rt, blocking(rt, job, &id, sizeof id)) == 0);
        CHECK(id != ThreadId());
        CHECK(id != this_thread_id());
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("more_jobs_than_threads_all_run_and_no_more_than_that_at_once") {
    Runtime rt(with_threads(3));
    struct Shared {
        std::atomic<int> now{0}, most{0}, runs{0};
    } shared;
    Job job = [](void *arg) {
        auto *s = static_cast<Shared *>(arg);
        int now = ++s->now;
        for (int most = s->most; now > most && !s->most.compare_exchange_weak(most, now);) {
        }
        sleep_for(std::chrono::microseconds(200)); // the work
        s->now--;
        return int64_t(++s->runs);
    };
    std::deque<Await> tasks;
    for (int i = 0; i < 200; i++) tasks.emplace_back(rt, blocking(rt, job, &shared, 0));
    CHECK(rt.drain());
    CHECK(shared.runs == 200);
    CHECK(shared.most <= 3);
    std::set<int64_t> results;
    for (const Await &task : tasks) results.insert(task.result);
    CHECK(results.size() == 200); // each got its own
    CHECK(rt.stats().blocking_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("as_many_jobs_as_there_are_threads_run_at_the_same_time") {
    Runtime rt(with_threads(4));
    Held held;
    std::deque<Await> tasks;
    for (int i = 0; i < 4; i++) tasks.emplace_back(rt, blocking(rt, Held::job, &held, 0));
    CHECK(rt.drive_until([&] { return held.begun == 4; }));
    held.gate.open();
    CHECK(rt.drain());
    for (const Await &task : tasks) CHECK(task.result == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("null_arguments_are_einval_and_run_nothing") {
    Runtime rt;
    static std::atomic<int> runs;
    runs = 0;
    Job job = [](void *) { return int64_t(++runs); };
    char byte = 0;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r[5] = {1, 1, 1, 1, 1};
        CHECK(zyntax_blocking(nullptr, op, job, &byte, 1, waker, &r[0]) == POLL_READY);
        CHECK(zyntax_blocking(rt, nullptr, job, &byte, 1, waker, &r[1]) == POLL_READY);
        CHECK(zyntax_blocking(rt, op, nullptr, &byte, 1, waker, &r[2]) == POLL_READY);
        CHECK(zyntax_blocking(rt, op, job, nullptr, 1, waker, &r[3]) == POLL_READY);
        CHECK(zyntax_blocking(rt, op, job, &byte, 1, nullptr, &r[4]) == POLL_READY);
        for (int64_t code : r) CHECK(code == ZYNTAX_EINVAL);
        CHECK(zyntax_blocking(rt, op, job, &byte, 1, waker, nullptr) == POLL_READY);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(rt.stats().blocking_pending == 0);
    CHECK(runs == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_absurd_size_is_enomem_and_runs_nothing") {
    struct Modest : Heap { // sanitizers abort where malloc would return NULL
        static void *allocate(void *self, size_t size, size_t align) {
            return size >> 30 != 0 ? nullptr : Heap::alloc(self, size, align);
        }
    } heap;
    zyntax_runtime_config c = heap.config();
    c.alloc = Modest::allocate;
    Runtime rt(c);
    char byte = 0;
    for (size_t size : {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 100, SIZE_MAX / 2})
        CHECK(await(rt, blocking(
                            rt, [](void *) { return int64_t(1); }, &byte, size)) == ZYNTAX_ENOMEM);
    CHECK(rt.idle_waits() <= idle_budget);
}
