// The contents of a trace: polls, spawns, ends, wakes as arrows, the waits of tasks, the kernel's wait, posted calls,
// jobs, wakes of other threads, counters.
#include "blocking_support.h"
#include "channel_support.h"
#include "trace_support.h"

#include <deque>
#include <map>
#include <set>

using namespace support;

namespace {

PollStatus wake_and_wait(Waker *waker) {
    waker->wake(waker->data);
    return POLL_PENDING;
}

std::string name_of_track(const Recorder &recorder, uint32_t track) {
    std::string name;
    for (TraceEvent &event : recorder.events('M')) {
        if (event.track != track || event.name != "thread_name") continue;
        size_t args = event.line.find("\"args\"");
        name = TraceEvent(event).line.substr(args + 16);
        name = name.substr(0, name.find('"'));
    }
    return name;
}

} // namespace

TEST_CASE("every_poll_is_a_complete_event_on_its_tasks_track_with_its_handle_and_number") {
    Traced rt;
    std::deque<ScopedTask> tasks;
    for (int i = 0; i < 5; i++) {
        ScopedTask &task = tasks.emplace_back(rt);
        task.on_poll = [i, &task](Waker *waker) { return task.polls > i ? POLL_READY : wake_and_wait(waker); };
        task.start();
    }
    CHECK(rt.drain());
    const Recorder &recorder = rt.finish();
    CHECK(recorder.polls().size() == 1 + 2 + 3 + 4 + 5);
    for (int i = 0; i < 5; i++) {
        auto polls = recorder.polls_of(tasks[size_t(i)].handle);
        REQUIRE(polls.size() == size_t(i + 1));
        for (int n = 0; n <= i; n++) {
            const TraceEvent &poll = polls[size_t(n)];
            CHECK(poll.track == track_of(tasks[size_t(i)].handle));
            CHECK(poll.name == hex_of(tasks[size_t(i)].handle));
            CHECK(poll.value("polls") == std::to_string(n + 1));
            CHECK(poll.ended == (n == i));
            CHECK(poll.waits == (n == i ? "" : "queued"));
        }
    }
}

TEST_CASE("times_are_microseconds_of_the_runtimes_clock_with_three_decimals") {
    Clock clock;
    clock.now = 1'234'567'890'123'456'789;
    Traced rt(clock.config());
    ScopedTask task(rt);
    task.on_poll = [&](Waker *) {
        clock.now += 4'005;
        return POLL_READY;
    };
    task.start();
    CHECK(rt.drain());
    auto polls = rt.finish().polls();
    REQUIRE(polls.size() == 1);
    CHECK(polls[0].has("\"ts\":1234567890123456.789,"));
    CHECK(polls[0].has("\"dur\":4.005,"));
}

TEST_CASE("tracks_are_named_by_handles_in_hex_with_every_bit") {
    Traced rt;
    std::set<zyntax_task *> handles;
    for (int i = 0; i < 300; i++) { // one after the other, so that slots are used again
        Await task(rt, sleeping(rt, 0));
        CHECK(rt.drain());
        handles.insert(task.task.handle);
        if (i % 100) continue;
        CHECK(zyntax_runtime_trace(rt, Recorder::write, &rt.recorder) == 0); // writes everything
        CHECK(rt.recorder.text.find("\"name\":\"thread_name\",\"args\":{\"name\":\"" + hex_of(task.task.handle) +
                                    "\"}}") != std::string::npos);
        rt.recorder.text.clear();
    }
    CHECK(handles.size() == 300);
    std::set<std::string> shown;
    for (TraceEvent &poll : rt.finish().polls()) shown.insert(poll.task);
    CHECK(shown.size() == 99);
    for (zyntax_task *handle : handles) shown.erase(hex_of(handle));
    CHECK(shown.empty());
}

TEST_CASE("a_named_task_has_its_name_as_the_name_of_its_track_and_its_polls") {
    Traced rt;
    ScopedTask early(rt), late(rt);
    early.on_poll = [](Waker *waker) { return wake_and_wait(waker); };
    late.on_poll = [&](Waker *waker) {
        if (late.polls == 2) CHECK(zyntax_task_name(late.handle, "late") == 0);
        if (late.polls == 3) CHECK(zyntax_task_name(late.handle, nullptr) == 0);
        return late.polls < 4 ? wake_and_wait(waker) : POLL_READY;
    };
    early.start();
    late.start();
    CHECK(zyntax_task_name(early.handle, "early") == 0);
    zyntax_task *handle = late.handle;
    CHECK(rt.drive_until([&] { return !late.alive(); }));
    zyntax_task_cancel(early.handle);
    settle(rt);
    const Recorder &recorder = rt.finish();
    for (TraceEvent &poll : recorder.polls_of(early.handle)) CHECK(poll.name == "early");
    CHECK(name_of_track(recorder, track_of(early.handle)) == "early");
    auto polls = recorder.polls_of(handle);
    REQUIRE(polls.size() == 4);
    CHECK(polls[0].name == hex_of(handle));
    CHECK(polls[1].name == "late");
    CHECK(polls[2].name == hex_of(handle));
    CHECK(polls[3].name == hex_of(handle));
    CHECK(recorder.text.find("\"args\":{\"name\":\"late\"}}") != std::string::npos);
}

TEST_CASE("names_are_escaped_whatever_their_bytes_are") {
    // A name, and its text in the trace.
    const std::pair<const char *, const char *> names[] = {
        {"say \"hi\" \\o/", "say \\\"hi\\\" \\\\o/"},
        {"a\nb\tc\x01\x1f\x7f", "a\\u000ab\\u0009c\\u0001\\u001f\\u007f"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xff\xc0\x80", "\\ufffd\\ufffd\\ufffd"},                         // no UTF-8, and an overlong NUL
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},                         // a surrogate
        {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},              // beyond the last character
        {"\xe0\x9f\xbf \xf0\x8f", "\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd"}, // overlong, and overlong and cut
        {"x\xe2\x82", "x\\ufffd\\ufffd"},
        {"\x01\x02\x03\x04\x05\x06\x07\x01\x02\x03\x04\x05\x06\x07\x01\x02\x03\x04\x05\x06\x07\x01\x02\x03\x04\x05\x06"
         "\x07\x01"
         "\x02\x03",
         nullptr},
        {"</script>", "</script>"},
    };
    for (const auto &pair : names) {
        const char *name = pair.first, *written = pair.second;
        CAPTURE(name);
        Traced rt;
        Await task(rt, sleeping(rt, 0));
        CHECK(zyntax_task_name(task.task.handle, name) == 0);
        CHECK(rt.drain());
        auto polls = rt.finish().polls();
        REQUIRE(polls.size() == 1);
        if (written) CHECK(polls[0].has("\"name\":\"" + std::string(written) + "\",\"args\""));
        else CHECK(polls[0].has("\\u0001\\u0002\\u0003\",\"args\""));
    }
}

TEST_CASE("a_spawn_is_an_instant_and_an_arrow_leads_from_the_spawner_to_the_first_poll") {
    Traced rt;
    Task child{[](Waker *) { return POLL_READY; }};
    ScopedTask parent(rt);
    parent.on_poll = [&](Waker *) {
        child.spawn(rt);
        return POLL_READY;
    };
    parent.start();
    CHECK(rt.drain());
    const Recorder &recorder = rt.finish();
    auto spawns = recorder.instants("spawn");
    REQUIRE(spawns.size() == 2);
    CHECK(spawns[0].task == hex_of(parent.handle));
    CHECK(spawns[1].task == hex_of(child.handle));
    CHECK(spawns[1].track == track_of(child.handle));
    TraceEvent parents = recorder.polls_of(parent.handle)[0], childs = recorder.polls_of(child.handle)[0];
    CHECK(spawns[1].begin_ns == parents.end_ns);
    auto arrows = recorder.arrows();
    REQUIRE(arrows.size() == 2);
    CHECK(recorder.slice_at(arrows[0].from).name == "outside polls");
    CHECK(recorder.slice_at(arrows[0].to).line == parents.line);
    CHECK(recorder.slice_at(arrows[1].from).line == parents.line);
    CHECK(recorder.slice_at(arrows[1].to).line == childs.line);
}

TEST_CASE("an_arrow_leads_from_the_wakers_poll_to_the_woken_poll") {
    Traced rt;
    WakerKeeper sleeper, other;
    sleeper.spawn(rt);
    other.spawn(rt);
    settle(rt);
    Task waking{[&](Waker *) {
        other.wake();
        sleeper.wake();
        sleeper.wake(); // once is enough
        return POLL_READY;
    }};
    waking.spawn(rt);
    settle(rt);
    const Recorder &recorder = rt.finish();
    std::vector<std::string> woken;
    for (const Recorder::Arrow &arrow : recorder.arrows()) {
        if (recorder.slice_at(arrow.from).task == hex_of(waking.handle))
            woken.push_back(recorder.slice_at(arrow.to).line);
    }
    REQUIRE(woken.size() == 2);
    CHECK(woken[0] == recorder.polls_of(other.handle)[1].line);
    CHECK(woken[1] == recorder.polls_of(sleeper.handle)[1].line);
}

TEST_CASE("every_poll_of_many_tasks_has_one_arrow_although_the_ready_queue_grows") {
    Traced rt;
    std::deque<Task> children;
    Task parent{[&](Waker *waker) {
        for (int i = 0; i < 500; i++) {
            Task &child = children.emplace_back();
            child.on_poll = [&child](Waker *w) { return child.polls > 2 ? POLL_READY : wake_and_wait(w); };
            child.spawn(rt);
        }
        return children.size() < 2000 ? wake_and_wait(waker) : POLL_READY;
    }};
    parent.spawn(rt);
    CHECK(rt.drain());
    const Recorder &recorder = rt.finish();
    auto polls = recorder.polls();
    CHECK(polls.size() == 4 + 2000 * 3);
    CHECK(recorder.instants("spawn").size() == 2001);
    CHECK(recorder.instants("end").size() == 2001);
    std::set<std::string> ids, ends;
    for (TraceEvent &begin : recorder.events('s', "wake")) ids.insert(begin.id);
    auto arrows = recorder.events('f', "wake");
    REQUIRE(arrows.size() == polls.size());
    for (size_t i = 0; i < arrows.size(); i++) {
        CHECK(arrows[i].track == polls[i].track);
        CHECK(arrows[i].begin_ns == polls[i].begin_ns);
        ends.insert(arrows[i].id);
    }
    CHECK(ends == ids);
    CHECK(ids.size() == polls.size());
}

TEST_CASE("the_wait_of_a_task_is_an_argument_of_its_poll") {
    Traced rt;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    Await timer(rt, sleeping(rt, 3'600'000 * ms)), receiver(rt, receiving(channel, &item));
    Await joiner(rt, [&](zyntax_op *op, Waker *w, int64_t *r) {
        return zyntax_join_all(&timer.task.handle, 1, op, w) == POLL_READY ? (*r = 0, POLL_READY) : POLL_PENDING;
    });
    ScopedTask idle(rt);
    idle.on_poll = [](Waker *) { return POLL_PENDING; };
    idle.start();
    settle(rt);
    const Recorder &recorder = rt.finish();
    CHECK(recorder.polls_of(timer.task.handle)[0].waits == "timer");
    CHECK(recorder.polls_of(receiver.task.handle)[0].waits == "channel");
    CHECK(recorder.polls_of(joiner.task.handle)[0].waits == "join");
    CHECK(recorder.polls_of(idle.handle)[0].waits == "unknown");
}

TEST_CASE("reads_and_writes_are_shown_and_the_kernels_wait_has_its_events") {
    SKIP_WHEN(!has_sockets, "WASI has no socket pairs");
    Traced rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near);
    char byte = 0;
    Await reader(rt, reading(io, &byte, 1));
    settle(rt);
    put(pair.far, "x");
    CHECK(rt.drive_until([&] { return !reader.alive(); }));
    const Recorder &recorder = rt.finish();
    auto polls = recorder.polls_of(reader.task.handle);
    REQUIRE(polls.size() == 2);
    CHECK(polls[0].waits == "readable");
    CHECK(polls[1].ended);
    int with_events = 0;
    for (TraceEvent &wait : recorder.events('X', "kernel")) {
        CHECK(name_of_track(recorder, wait.track) == "kernel");
        CHECK((wait.name == "wait" || (wait.name == "look" && wait.value("events") != "0")));
        with_events += wait.value("events") == "1";
        if (wait.value("events") == "1") CHECK(wait.end_ns <= polls[1].begin_ns);
    }
    CHECK(with_events == 1);
    TraceEvent cause = recorder.slice_at(recorder.arrows().back().from);
    CHECK(cause.name == "outside polls");
    CHECK(name_of_track(recorder, cause.track) == "kernel");
}

TEST_CASE("a_sleep_in_the_kernel_is_a_slice_as_long_as_the_sleep") {
    Traced rt;
    Await task(rt, sleeping(rt, 20 * ms));
    Limit limit(rt);
    CHECK(zyntax_runtime_run(rt) == 0);
    uint64_t slept = 0;
    for (TraceEvent &wait : rt.finish().events('X', "kernel")) slept += wait.end_ns - wait.begin_ns;
    CHECK(slept >= 15 * ms);
}

TEST_CASE("a_looking_loop_that_finds_nothing_draws_nothing") {
    Traced rt;
    ScopedTask idle(rt);
    idle.on_poll = [](Waker *) { return POLL_PENDING; };
    idle.start();
    for (int i = 0; i < 1000; i++) zyntax_runtime_turn(rt, 0);
    CHECK(rt.finish().events('X').size() == 2); // the spawn, and the poll
}

TEST_CASE("the_end_of_a_task_is_an_instant_after_its_last_poll") {
    Traced rt;
    ScopedTask task(rt);
    task.on_poll = [](Waker *) { return POLL_READY; };
    task.start();
    zyntax_task *handle = task.handle;
    CHECK(rt.drain());
    const Recorder &recorder = rt.finish();
    auto ends = recorder.instants("end");
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].task == hex_of(handle));
    CHECK(ends[0].track == track_of(handle));
    CHECK(ends[0].begin_ns == recorder.polls()[0].end_ns);
    CHECK(recorder.polls()[0].ended);
}

TEST_CASE("a_canceled_task_shows_its_drop_what_it_woke_and_its_end") {
    Traced rt;
    WakerKeeper sleeper;
    sleeper.spawn(rt);
    Task task{[](Waker *) { return POLL_PENDING; }, [&](int32_t) { sleeper.wake(); }};
    task.spawn(rt);
    settle(rt);
    CHECK(zyntax_task_cancel(task.handle) == 0);
    settle(rt);
    Task self_canceled;
    self_canceled.on_poll = [&](Waker *) {
        zyntax_task_cancel(self_canceled.handle);
        return POLL_PENDING;
    };
    self_canceled.spawn(rt);
    settle(rt);
    const Recorder &recorder = rt.finish();
    auto drops = recorder.events('X', "drop");
    REQUIRE(drops.size() == 1);
    CHECK(drops[0].track == track_of(task.handle));
    CHECK(drops[0].value("woken") == "1");
    auto ends = recorder.instants("end");
    REQUIRE(ends.size() == 2);
    CHECK(ends[0].task == hex_of(task.handle));
    CHECK(ends[0].begin_ns == drops[0].end_ns);
    CHECK(ends[1].task == hex_of(self_canceled.handle));
    CHECK(recorder.polls_of(self_canceled.handle)[0].ended);
    bool from_drop = false;
    for (const Recorder::Arrow &arrow : recorder.arrows())
        from_drop |= recorder.slice_at(arrow.from).line == drops[0].line &&
                     recorder.slice_at(arrow.to).line == recorder.polls_of(sleeper.handle)[1].line;
    CHECK(from_drop);
}

TEST_CASE("a_task_that_is_canceled_before_its_first_poll_shows_its_spawn_and_end_and_no_poll") {
    Traced rt;
    Task task{[](Waker *) { return POLL_PENDING; }};
    task.spawn(rt);
    CHECK(zyntax_task_cancel(task.handle) == 0);
    settle(rt);
    const Recorder &recorder = rt.finish();
    CHECK(recorder.instants("spawn").size() == 1);
    CHECK(recorder.instants("end").size() == 1);
    CHECK(recorder.polls().empty());
    CHECK(recorder.events('f').empty());
}

TEST_CASE("wakes_of_other_threads_are_drawn_when_the_loop_takes_them") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Traced rt;
    WakerKeeper sleeper;
    sleeper.spawn(rt);
    settle(rt);
    Thread([&] { sleeper.wake(); }).join();
    settle(rt);
    const Recorder &recorder = rt.finish();
    auto wakes = recorder.events('X', "wake");
    REQUIRE(wakes.size() == 1);
    CHECK(name_of_track(recorder, wakes[0].track) == "other threads");
    CHECK(wakes[0].value("woken") == "1");
    auto arrows = recorder.arrows();
    REQUIRE(arrows.size() == 2);
    CHECK(arrows[1].from.track == wakes[0].track);
    CHECK(recorder.slice_at(arrows[1].to).line == recorder.polls_of(sleeper.handle)[1].line);
}

TEST_CASE("posted_calls_have_a_track_and_arrows_to_what_they_wake") {
    Clock clock;
    Traced rt(clock.config());
    struct Called {
        Clock *clock;
        WakerKeeper sleeper;
    } called{&clock, WakerKeeper()};
    called.sleeper.spawn(rt);
    settle(rt);
    auto call = [](void *arg) {
        auto *self = static_cast<Called *>(arg);
        self->clock->now += 7'000;
        self->sleeper.wake();
    };
    REQUIRE(zyntax_runtime_post(rt, call, &called) == 0);
    settle(rt);
    const Recorder &recorder = rt.finish();
    auto calls = recorder.events('X', "call");
    REQUIRE(calls.size() == 1);
    CHECK(name_of_track(recorder, calls[0].track) == "posted calls");
    CHECK(calls[0].end_ns - calls[0].begin_ns == 7'000);
    CHECK(calls[0].value("woken") == "1");
    CHECK(recorder.arrows().back().from.track == calls[0].track);
}

TEST_CASE("jobs_begin_and_end_on_the_pools_track_whatever_becomes_of_them") {
    SKIP_WHEN(!has_threads, "WASI has no threads");
    Traced rt(with_threads(1));
    Held held;
    Await runs(rt, blocking(rt, Held::job, &held, 0)), withdrawn(rt, blocking(rt, Held::job, &held, 0));
    settle(rt);
    withdrawn.cancel();
    settle(rt);
    held.gate.open();
    CHECK(rt.drain());
    auto discarded = std::make_unique<Await>(rt, blocking(rt, Held::job, &held, 0));
    zyntax_address found[1];
    Await name(rt, resolving(rt, "localhost", found, 1));
    CHECK(rt.drain());
    const Recorder &recorder = rt.finish();
    std::map<std::string, int> open;
    int jobs = 0, look_ups = 0;
    for (TraceEvent &event : recorder.events()) {
        if (event.category != "pool") continue;
        CHECK(name_of_track(recorder, event.track) == "pool");
        bool begins = event.phase == 'b';
        CHECK((begins || event.phase == 'e'));
        CHECK(open[event.id] == !begins);
        open[event.id] += begins ? 1 : -1;
        jobs += begins && event.name == "job";
        look_ups += begins && event.name == "look-up";
    }
    CHECK(jobs == 3);
    CHECK(look_ups == 1);
    for (auto &[id, count] : open) CHECK(count == 0);
}

TEST_CASE("counters_are_at_least_half_a_millisecond_apart") {
    Clock clock;
    Traced rt(clock.config());
    ScopedTask task(rt);
    task.on_poll = [&](Waker *waker) {
        clock.now += 100'000;
        return task.polls < 100 ? wake_and_wait(waker) : POLL_READY;
    };
    task.start();
    Await timer(rt, sleeping(rt, 3'600'000 * ms));
    CHECK(rt.drive_until([&] { return !task.alive(); }));
    auto counters = rt.finish().events('C');
    CHECK(counters.size() == 20);
    for (size_t i = 1; i < counters.size(); i++) CHECK(counters[i].begin_ns - counters[i - 1].begin_ns == 500'000);
    CHECK(counters[5].value("tasks") == "2");
    CHECK(counters[5].value("ready") == "1");
    CHECK(counters[5].value("timers") == "1");
    CHECK(counters[5].value("io") == "0");
    CHECK(counters[5].value("blocking") == "0");
}

TEST_CASE("slices_and_instants_come_in_the_order_in_which_they_end") {
    Traced rt;
    std::deque<Await> timers;
    for (uint64_t i = 0; i < 50; i++) timers.emplace_back(rt, sleeping(rt, i * ms / 10));
    for (int i = 0; i < 20; i++)
        REQUIRE(zyntax_runtime_post(
                    rt, [](void *) {}, nullptr) == 0);
    CHECK(rt.drain());
    const Recorder &recorder = rt.finish();
    uint64_t last = 0;
    size_t seen = 0;
    for (TraceEvent &event : recorder.events()) {
        if (event.phase != 'X' && event.phase != 'i') continue;
        CHECK(event.end_ns >= last);
        last = event.end_ns;
        seen++;
    }
    CHECK(seen >= 4 * 50);
    // Slices of one track do not overlap.
    std::map<uint32_t, uint64_t> ends;
    for (TraceEvent &slice : recorder.events('X')) {
        CHECK(slice.begin_ns >= ends[slice.track]);
        ends[slice.track] = slice.end_ns;
    }
}

TEST_CASE("tasks_that_exist_already_get_their_track_at_their_next_poll") {
    Runtime rt;
    std::deque<WakerKeeper> tasks(3);
    for (WakerKeeper &task : tasks) task.spawn(rt);
    settle(rt);
    Task queued{[](Waker *) { return POLL_READY; }};
    queued.spawn(rt); // it is in the ready queue when the trace begins
    Recorder recorder;
    REQUIRE(recorder.start(rt) == 0);
    settle(rt);
    tasks[1].wake();
    settle(rt);
    CHECK(zyntax_runtime_trace(rt, nullptr, nullptr) == 0);
    CHECK(name_of_track(recorder, track_of(queued.handle)) == hex_of(queued.handle));
    CHECK(name_of_track(recorder, track_of(tasks[0].handle)) == "");
    CHECK(name_of_track(recorder, track_of(tasks[1].handle)) == hex_of(tasks[1].handle));
    CHECK(name_of_track(recorder, track_of(tasks[2].handle)) == "");
    CHECK(recorder.polls().size() == 2);
    CHECK(recorder.polls()[1].value("polls") == "2");
    CHECK(recorder.instants("spawn").empty());
    CHECK(recorder.arrows().size() == 1); // none of the spawn that came before the trace
}

TEST_CASE("the_order_of_polls_the_budget_and_the_end_of_block_on_are_as_without_a_trace") {
    for (bool traced : {false, true}) {
        CAPTURE(traced);
        zyntax_runtime_config c = config();
        c.poll_budget = 4;
        Runtime rt(c);
        Recorder recorder;
        if (traced) REQUIRE(recorder.start(rt) == 0);
        std::vector<int> order;
        std::deque<Task> tasks;
        for (int i = 0; i < 6; i++) {
            Task &task = tasks.emplace_back();
            task.on_poll = [&, i](Waker *waker) {
                order.push_back(i);
                return i == 1 && tasks[1].polls == 2 ? POLL_READY : wake_and_wait(waker);
            };
            task.spawn(rt);
        }
        zyntax_runtime_turn(rt, 0);
        CHECK(order == std::vector<int>{0, 1, 2, 3});
        CHECK(zyntax_runtime_block_on(rt, tasks[1].handle) == 0);
        CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 0, 1});
        rt.destroy();
    }
}
