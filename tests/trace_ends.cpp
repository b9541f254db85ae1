// The life of a trace: its begin, its end, its replacement, also inside polls; when it is written; memory; misuse.
#include "blocking_support.h"
#include "trace_support.h"

#include <cerrno>
#include <deque>

using namespace support;

namespace {

#ifdef NDEBUG
constexpr bool notices_api_calls = false;
#else
constexpr bool notices_api_calls = true;
#endif

int32_t write_nothing(void *, const char *, size_t) { return 0; }

int32_t write_and_call(void *rt, const char *, size_t) {
    zyntax_runtime_next_timeout_ns(static_cast<zyntax_runtime *>(rt));
    return 0;
}

// In a child process: `write` calls a function of the API.
void call_while_writing() {
    zyntax_runtime *rt = zyntax_runtime_create();
    zyntax_runtime_trace(rt, write_and_call, rt);
    zyntax_runtime_turn(rt, 1);
    zyntax_runtime_destroy(rt);
}

void yield_often(Runtime &rt, int count) {
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (task.polls >= count) return POLL_READY;
        waker->wake(waker->data);
        return POLL_PENDING;
    };
    task.spawn(rt);
    CHECK(rt.drive_until([&] { return !task.alive(); }));
}

} // namespace

TEST_CASE("bad_arguments_and_the_end_of_no_trace") {
    Runtime rt;
    CHECK(zyntax_runtime_trace(nullptr, write_nothing, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_trace(nullptr, nullptr, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    yield_often(rt, 3);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
}

TEST_CASE("a_trace_can_be_opened_after_each_write_and_is_closed_by_its_end") {
    Traced rt;
    std::vector<size_t> lengths;
    rt.recorder.on_write = [&] { lengths.push_back(rt.recorder.text.size()); };
    for (int i = 0; i < 3; i++) {
        yield_often(rt, 10);
        zyntax_runtime_turn(rt, ms);
    }
    CHECK_FALSE(rt.recorder.is_closed());
    rt.finish();
    CHECK(lengths.size() >= 4);
    Recorder part;
    for (size_t length : lengths) {
        part.text = rt.recorder.text.substr(0, length);
        CHECK_FALSE(part.events().empty()); // each of its lines is whole
    }
    int writes = rt.recorder.writes;
    yield_often(rt, 10);
    zyntax_runtime_turn(rt, ms);
    rt.destroy();
    CHECK(rt.recorder.writes == writes);
}

TEST_CASE("collected_text_is_written_before_the_loop_sleeps") {
    Traced rt;
    Task task{[](Waker *) { return POLL_READY; }};
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(rt.recorder.writes == 0);
    zyntax_runtime_turn(rt, ms);
    CHECK(rt.recorder.writes == 1);
    CHECK(rt.recorder.polls().size() == 1);
    zyntax_runtime_turn(rt, 0);
    CHECK(rt.recorder.writes == 1);
}

TEST_CASE("collected_text_is_written_before_a_host_sleeps_on_the_backend") {
    Traced rt;
    if (zyntax_runtime_backend_fd(rt) < 0) return;
    Task task{[](Waker *) { return POLL_READY; }};
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(rt.recorder.polls().size() == 1);
}

TEST_CASE("a_loop_that_never_sleeps_is_written_with_whole_events_and_none_is_lost") {
    Traced rt;
    yield_often(rt, 5'000);
    const Recorder &recorder = rt.finish();
    CHECK(recorder.writes > 10);
    CHECK(recorder.polls().size() == 5'000);
    CHECK(recorder.instants("lost events").empty());
}

TEST_CASE("a_negative_result_ends_the_trace_and_the_round_goes_on") {
    Traced rt;
    rt.recorder.answer = -1;
    std::deque<WakerKeeper> tasks(200);
    for (WakerKeeper &task : tasks) task.spawn(rt);
    zyntax_runtime_turn(rt, 0); // more than half of the buffer
    CHECK(rt.recorder.writes == 1);
    for (WakerKeeper &task : tasks) CHECK(task.polls == 1);
    yield_often(rt, 2'000);
    zyntax_runtime_turn(rt, ms);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(rt.recorder.writes == 1);
    Recorder next;
    CHECK(next.start(rt) == 0);
    yield_often(rt, 10);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(next.polls().size() == 10);
    CHECK(rt.recorder.writes == 1);
}

TEST_CASE("a_negative_result_before_a_sleep_ends_the_trace_and_the_loop_still_sleeps") {
    Traced rt;
    rt.recorder.answer = -5;
    zyntax_runtime_turn(rt, ms);
    CHECK(rt.recorder.writes == 1);
    CHECK(rt.idle_waits() <= 3);
    CHECK(rt.recorder.writes == 1);
}

// Such a poll counts as 33 polls of its round, so that timers are on time.
TEST_CASE("a_poll_that_spends_its_budget_takes_as_much_of_a_round_as_without_a_trace") {
    zyntax_runtime_config config{};
    config.size = sizeof config;
    config.poll_budget = 100;
    config.await_budget = 2;
    uint64_t polls[2];
    for (bool is_traced : {false, true}) {
        Runtime rt(config);
        Recorder recorder;
        if (is_traced) REQUIRE(recorder.start(rt) == 0);
        std::deque<Task> tasks(8);
        for (Task &task : tasks) {
            task.on_poll = [&](Waker *waker) {
                while (zyntax_sleep(rt, &task.op, 0, waker) == POLL_READY) {
                }
                return POLL_PENDING;
            };
            task.spawn(rt);
        }
        zyntax_runtime_turn(rt, 0);
        polls[is_traced] = rt.stats().polls;
        CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    }
    CHECK(polls[0] == 4);
    CHECK(polls[1] == polls[0]);
}

TEST_CASE("a_second_call_replaces_the_trace") {
    Traced rt;
    yield_often(rt, 10);
    Recorder second;
    CHECK(second.start(rt) == 0);
    CHECK(rt.recorder.is_closed());
    int writes = rt.recorder.writes;
    yield_often(rt, 7);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(rt.recorder.writes == writes);
    CHECK(rt.recorder.polls().size() == 10);
    CHECK(second.polls().size() == 7);
    CHECK(second.is_closed());
}

TEST_CASE("a_trace_that_a_poll_starts_begins_with_the_rest_of_that_poll") {
    Clock clock;
    Runtime rt(clock.config());
    Recorder recorder;
    Task child{[](Waker *) { return POLL_READY; }}, queued{[](Waker *) { return POLL_READY; }};
    Task starter{[&](Waker *) {
        clock.now += 1'000;
        CHECK(recorder.start(rt) == 0);
        clock.now += 2'000;
        child.spawn(rt);
        return POLL_READY;
    }};
    starter.spawn(rt);
    queued.spawn(rt);
    CHECK(rt.drain());
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    auto polls = recorder.polls();
    REQUIRE(polls.size() == 3);
    CHECK(polls[0].task == hex_of(starter.handle));
    CHECK(polls[0].end_ns - polls[0].begin_ns == 2'000);
    CHECK(polls[0].ended);
    CHECK(polls[1].task == hex_of(queued.handle));
    CHECK(polls[2].task == hex_of(child.handle));
    auto arrows = recorder.arrows();
    REQUIRE(arrows.size() == 1);
    CHECK(recorder.slice_at(arrows[0].from).line == polls[0].line);
    CHECK(recorder.slice_at(arrows[0].to).line == polls[2].line);
    CHECK(recorder.instants("spawn").size() == 1);
    CHECK(recorder.instants("end").size() == 3);
}

TEST_CASE("a_poll_that_ends_its_trace_is_the_last_one_in_it_and_write_is_called_after_it") {
    Traced rt;
    int in_poll = 0;
    bool polling = false;
    rt.recorder.on_write = [&] { in_poll += polling; };
    Task last{[&](Waker *) {
        polling = true;
        CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
        CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
        polling = false;
        return POLL_READY;
    }};
    Task after{[](Waker *) { return POLL_READY; }};
    last.spawn(rt);
    after.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(after.polls == 1);
    CHECK(in_poll == 0);
    CHECK(rt.recorder.is_closed());
    CHECK(rt.recorder.polls().size() == 1);
    CHECK(rt.recorder.polls_of(last.handle).size() == 1);
}

TEST_CASE("a_poll_may_replace_its_trace_several_times") {
    Traced rt;
    Recorder dropped, second;
    Task changing{[&](Waker *) {
        CHECK(dropped.start(rt) == 0);
        CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
        CHECK(second.start(rt) == 0);
        return POLL_READY;
    }};
    Task after{[](Waker *) { return POLL_READY; }};
    changing.spawn(rt);
    after.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    CHECK(rt.recorder.is_closed());
    CHECK(rt.recorder.polls().size() == 1);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(dropped.writes == 0);
    CHECK(second.is_closed());
    CHECK(second.polls().size() == 1);
    CHECK(second.polls_of(after.handle).size() == 1);
}

TEST_CASE("a_poll_may_start_and_end_a_trace") {
    Runtime rt;
    Recorder recorder;
    Task task{[&](Waker *) {
        CHECK(recorder.start(rt) == 0);
        CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
        return POLL_READY;
    }};
    task.spawn(rt);
    settle(rt);
    CHECK(recorder.is_closed());
    CHECK(recorder.polls().size() == 1);
}

TEST_CASE("a_trace_that_a_drop_starts_draws_every_poll_after_it") {
    Runtime rt;
    Recorder recorder;
    Task starter{[](Waker *) { return POLL_READY; }, [&](int32_t) { CHECK(recorder.start(rt) == 0); }};
    starter.spawn(rt);
    std::deque<Task> tasks;
    for (int i = 0; i < 5; i++) {
        Task &task = tasks.emplace_back();
        task.on_poll = [&task](Waker *waker) {
            if (task.polls == 3) return POLL_READY;
            waker->wake(waker->data);
            return POLL_PENDING;
        };
        task.spawn(rt);
    }
    settle(rt);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(recorder.is_closed());
    for (const Task &task : tasks) CHECK(recorder.polls_of(task.handle).size() == 3);
    CHECK(recorder.arrows().size() == 10);
    CHECK(recorder.events('X', "loop").empty());
}

TEST_CASE("drops_and_posted_calls_may_end_and_replace_the_trace") {
    for (bool restarts : {false, true}) {
        CAPTURE(restarts);
        Traced rt;
        Recorder second;
        auto change = [&] { CHECK((restarts ? second.start(rt) : zyntax_runtime_trace(rt, nullptr, nullptr)) == 0); };
        Task ready{[](Waker *) { return POLL_READY; }, [&](int32_t) { change(); }};
        ready.spawn(rt);
        settle(rt);
        CHECK(rt.recorder.is_closed());
        CHECK(rt.recorder.start(rt) == 0);
        Task canceled{[](Waker *) { return POLL_PENDING; }, [&](int32_t) { change(); }};
        canceled.spawn(rt);
        settle(rt);
        zyntax_task_cancel(canceled.handle);
        settle(rt);
        CHECK(rt.recorder.is_closed());
        CHECK(rt.recorder.start(rt) == 0);
        std::function<void()> call = change;
        auto run = [](void *fn) { (*static_cast<std::function<void()> *>(fn))(); };
        CHECK(zyntax_runtime_post(rt, run, &call) == 0);
        settle(rt);
        CHECK(rt.recorder.is_closed());
        yield_often(rt, 5);
        rt.destroy();
        CHECK(second.is_closed() == restarts);
    }
}

TEST_CASE("destroy_writes_what_is_left_with_the_drops_and_the_ends_of_jobs") {
    auto held = std::make_unique<Held>();
    Recorder recorder;
    std::deque<Task> tasks;
    {
        Runtime rt(with_threads(1));
        Job job = [](void *) { return int64_t(1); };
        if (has_threads) CHECK(await(rt, blocking(rt, job, nullptr, 0)) == 1); // the pool is older than the trace
        CHECK(recorder.start(rt) == 0);
        for (int i = 0; i < 5; i++) tasks.emplace_back().on_poll = [](Waker *) { return POLL_PENDING; };
        for (Task &task : tasks) task.spawn(rt);
        zyntax_op op = 0;
        Waker waker{nullptr, [](void *) {}};
        int64_t result;
        if (has_threads) zyntax_blocking(rt, &op, Held::job, held.get(), 0, &waker, &result);
        settle(rt);
        held->gate.open();
        tasks[0].on_drop = [&](int32_t) {
            Recorder refused;
            CHECK(refused.start(rt) == ZYNTAX_ECANCELED);
        };
        rt.destroy();
    }
    CHECK(recorder.is_closed());
    CHECK(recorder.instants("end").size() == 5);
    CHECK(recorder.events('X', "drop").size() == 5);
    CHECK(recorder.events('b').size() == recorder.events('e').size());
    CHECK(recorder.events('b').size() == (has_threads ? 1 : 0));
}

TEST_CASE("the_buffer_belongs_to_the_runtimes_memory_and_goes_back_at_the_end") {
    Heap heap;
    Runtime rt(heap.config());
    Recorder recorder;
    yield_often(rt, 1);
    CHECK(recorder.start(rt) == 0); // its small part stays
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    size_t bytes = heap.bytes;
    uint64_t in_use = rt.stats().bytes_in_use, reserved = rt.stats().bytes_reserved;
    CHECK(recorder.start(rt) == 0);
    CHECK(heap.bytes >= bytes + 65'536);
    CHECK(rt.stats().bytes_reserved >= reserved + 65'536);
    uint64_t allocations = heap.allocations;
    CHECK(recorder.start(rt) == 0);
    yield_often(rt, 2'000);
    CHECK(heap.allocations == allocations);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(heap.bytes == bytes);
    CHECK(rt.stats().bytes_in_use == in_use);
    CHECK(rt.stats().bytes_reserved == reserved);
    CHECK(recorder.start(rt) == 0);
    rt.destroy();
    CHECK(heap.balanced());
}

TEST_CASE("without_memory_no_trace_begins_and_nothing_has_changed") {
    for (uint64_t fail_at = 1; fail_at <= 4; fail_at++) {
        CAPTURE(fail_at);
        Heap heap;
        Runtime rt(heap.config());
        Recorder recorder;
        heap.fail_at = fail_at;
        int32_t error = recorder.start(rt);
        heap.fail_at = 0;
        CHECK(error == (heap.failures ? ZYNTAX_ENOMEM : 0));
        if (fail_at == 1) CHECK(error == ZYNTAX_ENOMEM);
        if (fail_at == 4) CHECK(error == 0);
        yield_often(rt, 5);
        zyntax_runtime_turn(rt, ms);
        CHECK((recorder.writes > 0) == (error == 0));
        if (error) CHECK(recorder.start(rt) == 0);
        rt.destroy();
        CHECK(recorder.is_closed());
        CHECK(heap.balanced());
    }
}

TEST_CASE("events_for_which_one_poll_leaves_no_room_are_lost_as_a_whole_and_counted") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Traced rt(with_threads(1));
    constexpr size_t count = 2'000;
    std::vector<zyntax_op> ops(count);
    Held held;
    Task task;
    task.on_poll = [&](Waker *waker) {
        int64_t result;
        for (zyntax_op &op : ops) zyntax_blocking(rt, &op, Held::job, &held, 0, waker, &result);
        return POLL_PENDING;
    };
    task.on_drop = [&](int32_t) {
        for (zyntax_op &op : ops) zyntax_op_cancel(&op);
    };
    task.spawn(rt);
    zyntax_runtime_turn(rt, 0);
    held.gate.open();
    Recorder second;
    CHECK(second.start(rt) == 0);
    const Recorder &recorder = rt.recorder;
    auto lost = recorder.instants("lost events");
    REQUIRE(lost.size() == 1);
    CHECK(recorder.events('b').size() + std::stoul(lost[0].value("events")) >= count);
    CHECK(recorder.events('b').size() < count);
    CHECK(recorder.is_closed());
    zyntax_task_cancel(task.handle);
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
}

TEST_CASE("errno_is_left_as_it_was_by_what_write_does") {
    Traced rt;
    errno = 11;
    zyntax_runtime_turn(rt, 0);
    zyntax_runtime_turn(rt, ms);
    CHECK(errno == 11);
    CHECK(rt.recorder.writes == 1);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(errno == 11);
}

TEST_CASE("a_long_write_does_not_make_timers_late") {
    Traced rt;
    rt.recorder.on_write = [&] { sleep_for(std::chrono::milliseconds(60)); };
    uint64_t start = zyntax_now_ns(rt);
    zyntax_runtime_turn(rt, 100 * int64_t(ms));
    uint64_t took = zyntax_now_ns(rt) - start;
    CHECK(took >= 95 * ms);
    CHECK(took < 150 * ms);
}

TEST_CASE("a_debug_build_notices_that_write_calls_the_api") {
    SKIP_WHEN(!has_processes, "this system has no child processes that may abort");
    if (!notices_api_calls) return; // a release build trusts its host
    Death death = death_of(call_while_writing);
    CHECK(death.aborted);
    CHECK(death.message.find("zyntax_runtime_next_timeout_ns was called while a trace was written") !=
          std::string::npos);
}

TEST_CASE("a_forked_copy_writes_nothing_and_gives_the_buffer_back") {
    SKIP_WHEN(!has_fork, "this system has no fork");
    SKIP_WHEN(on_libkqueue, "libkqueue's thread does not exist in a forked child");
    Heap heap;
    Recorder recorder;
    Runtime rt(heap.config());
    CHECK(recorder.start(rt) == 0);
    yield_often(rt, 10);
    int writes = recorder.writes;
    Child child([&] {
        rt.destroy();
        return recorder.writes == writes && heap.balanced() ? 7 : 1;
    });
    CHECK(child.end() == 7);
    yield_often(rt, 10);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(recorder.polls().size() == 20);
}

TEST_CASE("two_runtimes_have_traces_of_their_own_also_when_one_drives_the_other") {
    Traced outer, inner;
    Task child{[](Waker *) { return POLL_READY; }};
    Task driving{[&](Waker *) {
        child.spawn(inner);
        zyntax_runtime_run(inner);
        return POLL_READY;
    }};
    inner.recorder.on_write = nullptr;
    driving.spawn(outer);
    CHECK(outer.drain());
    CHECK(outer.finish().polls().size() == 1);
    CHECK(inner.finish().polls().size() == 1);
    CHECK(inner.recorder.polls_of(child.handle).size() == 1);
}
