// Before the first blocking call the host's threads are the only ones, and after the end no pool thread is left.
#include "blocking_support.h"

using namespace support;

TEST_CASE("tasks_timers_and_io_start_no_thread") {
    SKIP_WHEN(on_libkqueue, "libkqueue starts a thread of its own");
    int before = usage().threads;
    Runtime rt;
    Pair pair = tcp_pair();
    zyntax_io *io = adopt(rt, pair.near), *listener = nullptr, *client = nullptr, *server = nullptr;
    CHECK(await(rt, sleeping(rt, ms)) == 0);
    CHECK(await(rt, writing(io, "x", 1)) == 1);
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    CHECK(await(rt, connecting(rt, "127.0.0.1", uint16_t(zyntax_tcp_port(listener)), &client)) == 0);
    CHECK(await(rt, accepting(listener, &server)) == 0);
    CHECK(usage().threads == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("threads_start_on_demand_and_end_with_the_runtime") {
    SKIP_WHEN(on_libkqueue, "libkqueue starts and ends a thread of its own");
    Thread([] {}).join(); // a sanitizer starts a thread of its own with the first one
    int before = usage().threads;
    {
        Runtime rt(with_threads(8));
        CHECK(usage().threads == before);
        for (int i = 0; i < 10; i++)
            CHECK(await(rt, blocking(
                                rt, [](void *) { return int64_t(1); }, nullptr, 0)) == 1);
        CHECK(usage().threads > before);
        CHECK(usage().threads <= before + 8);
    }
    CHECK(eventually([&] { return usage().threads <= before; })); // a joined thread may have been counted before
}

TEST_CASE("one_job_after_the_other_needs_one_thread") {
    int before = usage().threads;
    Runtime rt(with_threads(8));
    for (int i = 0; i < 50; i++) {
        CHECK(await(rt, blocking(
                            rt, [](void *) { return int64_t(1); }, nullptr, 0)) == 1);
        // Only when its thread waits again is it idle; the result may be here before.
        sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(usage().threads <= before + 3);
}

TEST_CASE("a_thread_of_the_pool_has_a_stack_of_two_mebibytes_or_the_systems_larger_default") {
    SKIP_WHEN(!has_stack_sizes, "this system cannot report the size of a stack");
    constexpr size_t mib = size_t{1} << 20;
    for (size_t size : {mib / 8, 16 * mib}) {
        CAPTURE(size);
        DefaultStackSize usual(size);
        Runtime rt(with_threads(1));
        auto actual = size_t(await(rt, blocking(
                                           rt, [](void *) { return int64_t(own_stack_size()); }, nullptr, 0)));
        CHECK(actual >= 2 * mib);
        CHECK(actual >= size);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}
